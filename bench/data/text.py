"""Label files: the dataset's folder, the lines of its text files, errors that name the line.

Several datasets and RAF-ML's own features read such files. Accepted everywhere: CRLF, a UTF-8 byte
order mark, blank lines, no newline at the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise, permutations
from pathlib import Path

from bench.api import BenchError
from bench.data.files import is_litter

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))

Rows = dict[str, tuple[int, list[str]]]
"""Rows of a label file by their first field: line number and the other fields."""


def read_lines(path: Path, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """Line numbers (from 1) and texts of the lines that are not blank, ends stripped."""
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise BenchError(f"{path} does not exist: unpack the dataset again") from error
    except OSError as error:
        raise BenchError(f"{path} cannot be read ({error.strerror}): check the file") from error
    content = content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for number, raw in enumerate(content.split(b"\n"), 1):
        try:
            line = raw.decode(encoding).strip()
        except UnicodeDecodeError as error:
            raise BenchError(
                f"{path}:{number}: this is not {encoding.upper()} text; save the file as such"
            ) from error
        if line:
            yield number, line


def read_rows(path: Path, columns: int, layout: str = "") -> Iterator[tuple[int, list[str]]]:
    """Line numbers and blank-separated fields of a label file.

    Parameters
    ----------
    columns : int
        Fields that each line must have.
    layout : str
        The line as it should look (``"NAME FLAG"``), for the error.

    Raises
    ------
    BenchError
        Naming file and line, where the number of fields differs.
    """
    for number, line in read_lines(path):
        fields = line.split()
        if len(fields) != columns:
            shape = f" ({layout})" if layout else ""
            raise BenchError(
                f"{path}:{number}: {len(fields)} columns where {columns}{shape} are expected: "
                f"{shortened(line)}"
            )
        yield number, fields


def read_named(path: Path, columns: int, layout: str = "") -> Rows:
    """Rows of a label file by their first field, in file order.

    Raises
    ------
    BenchError
        Where a name stands twice, a column count differs, or the file has no rows.
    """
    rows: Rows = {}
    for number, (name, *fields) in read_rows(path, columns, layout):
        if name in rows:
            raise BenchError(
                f"{path}:{number}: {shortened(name)} stands in line {rows[name][0]} already; "
                "delete one of the two"
            )
        rows[name] = (number, fields)
    if not rows:
        raise BenchError(f"{path} has no lines: copy or unpack it again")
    return rows


def same_names(files: Mapping[Path, Rows]) -> None:
    """Check that files read by `read_named` list the same names, in whatever order.

    Raises
    ------
    BenchError
        Naming the file and line of a name that another file lacks.
    """
    for (path, rows), (other, others) in permutations(files.items(), 2):
        for name, (line, _) in rows.items():
            if name not in others:
                raise BenchError(
                    f"{path}:{line}: {shortened(name)} has no line in {other.name}; "
                    "both files must list the same images"
                )


def numbers(
    fields: Iterable[str],
    path: Path,
    line: int,
    low: float = -math.inf,
    high: float = math.inf,
) -> list[float]:
    """The fields as finite numbers within [low, high]; `BenchError` naming file and line."""
    values = []
    for field in fields:
        try:
            value = float(field)
        except ValueError:
            value = math.nan
        # float() also takes "1_000" and digits of other scripts, which no label file means.
        if not math.isfinite(value) or "_" in field or not field.isascii():
            raise BenchError(f"{path}:{line}: {shortened(field)} is not a number; correct the line")
        if not low <= value <= high:
            raise BenchError(
                f"{path}:{line}: {shortened(field)} is outside {low:g} to {high:g}; "
                "correct the line"
            )
        values.append(value)
    return values


def flags(fields: Iterable[str], path: Path, line: int) -> list[bool]:
    """The fields as booleans; each must be 0 or 1."""
    values = []
    for field in fields:
        (value,) = numbers([field], path, line)
        if value not in (0.0, 1.0):
            raise BenchError(
                f"{path}:{line}: {shortened(field)} is neither 0 nor 1; correct the line"
            )
        values.append(value == 1.0)
    return values


def shortened(text: str, length: int = 60) -> str:
    """``text`` in quotes, safe on a terminal, cut where it is long."""
    return repr(text if len(text) <= length else text[: length - 1] + "…")


def duration(seconds: float) -> str:
    """A duration for people: ``0.4 s``, ``12 s``, ``3 min 5 s``, ``2 h``, ``4 d 4 h``.

    In the largest unit and the next one, rounded to that.
    """
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    for (name, size), (smaller, step) in pairwise(_UNITS):
        steps = round(seconds / step)
        if steps * step >= size:
            count, rest = divmod(steps * step, size)
            return f"{count:,} {name}" + (f" {rest // step} {smaller}" if rest else "")
    return f"{round(seconds)} s"


def differences(counts: Mapping[str, tuple[Sequence[int], Sequence[int]]]) -> list[str]:
    """One sentence for each pair of counts that differ, for `Dataset.check`.

    ``counts`` has, by what is counted, the dataset's own counts and the published ones.
    """
    return [
        f"{name}: {' '.join(map(str, own))}, published {' '.join(map(str, published))}"
        for name, (own, published) in counts.items()
        if list(own) != list(published)
    ]


def find_root(root: Path | None, name: str, entries: Sequence[str]) -> Path:
    """The dataset's folder, which holds ``entries``; `BenchError` saying which folder to pass.

    Parameters
    ----------
    root : Path or None
        As the user gave it.
    name : str
        The dataset's name.
    entries : sequence of str
        Files or folders that the right folder holds; ``*`` stands for any text.
    """
    if root is None:
        content = " and ".join(entries)
        raise BenchError(f"{name} needs --root DIR, the folder that holds {content}")
    if not root.exists():
        raise BenchError(f"--root {root} does not exist; pass the folder that {name} lies in")
    if not root.is_dir():
        raise BenchError(f"--root {root} is a file; pass the unpacked folder of {name}")
    if not _holds(root, entries):
        raise BenchError(f"--root {root} is not the folder of {name}: {_remedy(root, entries)}")
    return root


def _holds(folder: Path, entries: Sequence[str]) -> bool:
    """Whether a folder holds all the entries."""
    return all(any(folder.glob(entry)) for entry in entries)


def _remedy(root: Path, entries: Sequence[str]) -> str:
    """Which folder to pass in place of ``root``: a near one that holds the entries, if any does."""
    inside = sorted(path for path in root.iterdir() if not is_litter(path.name))
    for folder in (*root.absolute().parents[:4], *(path for path in inside if path.is_dir())):
        if _holds(folder, entries):
            return f"pass --root {folder}"
    missing = " and ".join(entry for entry in entries if not any(root.glob(entry)))
    content = ", ".join(path.name for path in inside[:6]) + (", …" if len(inside) > 6 else "")
    return (
        f"it lacks {missing} (it holds {content or 'nothing'}); pass the folder that holds "
        f"{' and '.join(entries)}"
    )
