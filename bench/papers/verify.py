"""Whether written tables still say what this bench says, and what another run of them said."""

from __future__ import annotations

import csv
import difflib
import io
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.api import BenchError
from bench.papers.measured import Overrides
from bench.papers.methods import params_of, trains
from bench.papers.probe import criteria_probe
from bench.papers.published import by_id
from bench.papers.reading import TIME
from bench.papers.spec import Paper, PaperTable
from bench.papers.write import ABOUT, REPRODUCTION
from bench.papers.yardsticks import with_yardsticks
from bench.plugins import Registry

TOLERANCES = {"untrained": 0.02, "trained": 0.1}
"""How far values may move between machines, as a fraction of values above 1.

Rounding differs between processors; at ``smoke`` a label that flips on a hundred test images is a
percent, and a training lets rounding grow. Between AVX2 and AVX-512 kernels values of RAF-ML's
Tables 3 and 4 differed by .0001 untrained and by .025 trained at most.
"""

_PLACE = ("table", "block", "row", "column")
_EXACT = (
    *("metric", "true", "predicted", "fold", "run", "dataset", "target", "protocol"),
    *("target_protocol", "selection", "budget", "seeds", "published_id", "published", "unit"),
    "convention",
)
_OF_RUN = (
    *("n_seeds", "n_folds", "n_test", "verdict", "used", "used_protocol", "stand_ins"),
    "synthetic",
)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
_DATA_MARK = re.compile(r"\bdata [0-9a-f]{8}\b")
_ABOUT = ("budget", "seeds", "convention", "criteria", "parameters")
_UNTIMED = (TIME,)  # no two machines agree

Rows = dict[tuple[str, ...], dict[str, str]]


def against_bench(paper: Paper, registry: Registry, folder: Path) -> Iterator[str]:
    """Where written tables differ from this bench's specification, numbers, parameters, criteria.

    Parameters
    ----------
    folder : Path
        Holds the tables of several papers.

    Yields
    ------
    str
        One sentence for each difference, naming it.

    Raises
    ------
    BenchError
        There are no tables, or their files cannot be read.
    """
    rows, about = _rows(folder / paper.id), _about(folder / paper.id)
    overrides = Overrides(about["budget"], about["seeds"], about["convention"])
    convention = overrides.convention or paper.convention
    expected: Rows = {}
    for table in paper.tables:
        if any(place[0] == table.name for place in rows):
            expected |= _expected(table, overrides, convention)
    yield from _differences(expected, rows, _EXACT, "these tables have")
    yield from _lost_numbers(paper, rows)
    for run, before in about["parameters"].items():
        yield from _changed_parameters(registry, run, before)
    yield from _changed_criteria(about["criteria"])


def _lost_numbers(paper: Paper, rows: Rows) -> Iterator[str]:
    """Published numbers that written tables name, and that are no longer there."""
    known = by_id(paper.id)
    for place, row in rows.items():
        if row["published_id"] and row["published_id"] not in known:
            yield f"{_in_words(place)}: no published number {row['published_id']}"


def _changed_parameters(
    registry: Registry, run: str, before: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """Parameters of a method, by side, that had another value when tables were written."""
    try:
        now = json.loads(json.dumps(params_of(registry, run)))
    except BenchError as error:
        yield f"{run}: {error}"
        return
    for side in sorted({*before, *now}):
        was, has = before.get(side, {}), now.get(side, {})
        for name in sorted({*was, *has}):
            if was.get(name) != has.get(name):
                yield (
                    f"{run}: parameter {name} of {has.get('name') or was.get('name')} is "
                    f"{has.get(name)}, and {was.get(name)} in these tables"
                )


def _changed_criteria(before: Mapping[str, float | None]) -> Iterator[str]:
    """Criteria that gave another value on the fixed rows when tables were written."""
    now = criteria_probe()
    for name in sorted({*now, *before}):
        if now.get(name) != before.get(name):
            yield (
                f"criterion {name} gives {now.get(name)} on the fixed rows, and gave "
                f"{before.get(name)} when these tables were made"
            )


def against_tables(paper: str, registry: Registry, folder: Path, other: Path) -> Iterator[str]:
    """Where two writings of a paper's tables differ.

    Everything exactly but values (`TOLERANCES`) and how long things took; texts with their numbers
    left out.
    """
    rows, others = _rows(folder / paper), _rows(other / paper)
    about, others_about = _about(folder / paper), _about(other / paper)
    for name in ("budget", "seeds", "convention"):
        if about[name] != others_about[name]:
            yield f"{name}: {about[name]} here, {others_about[name]} in {other}"
    columns = (*_EXACT, *_OF_RUN)
    yield from _differences(rows, others, columns, f"{other} has")
    trained = {run: trains(registry, run) for run in {row["run"] for row in rows.values()}}
    for place, row in rows.items():
        if place in others:
            kind = "trained" if trained[row["run"]] else "untrained"
            yield from _moved(place, row, others[place], other, TOLERANCES[kind])
    for file in sorted({*_texts(folder / paper), *_texts(other / paper)}):
        yield from _rewritten(folder / paper / file, other / paper / file)


def accept(paper: str, folder: Path, other: Path) -> None:
    """Put the tables in ``folder`` in the place of those in ``other``."""
    target = other / paper
    if target.is_dir():
        shutil.rmtree(target)
    shutil.copytree(folder / paper, target)


def _expected(table: PaperTable, overrides: Overrides, convention: str) -> Rows:
    """What this bench says of a table's entries, as `write` would put it."""
    expected: Rows = {}
    for row in with_yardsticks(table).rows:
        for column, entry in zip(table.columns, row.entries, strict=True):
            if entry is not None:
                number = entry.published
                values: dict[str, Any] = {**vars(entry), **vars(overrides.over(entry.conditions))}
                values["convention"] = convention
                values["fold"] = entry.fold or None
                values["published_id"] = number and number.id
                values["published"] = number and number.printed
                values["unit"] = number and number.unit
                place = (table.name, row.block, row.label, column.title)
                expected[place] = {name: _text(values[name]) for name in _EXACT}
    return expected


def _differences(
    expected: Mapping[tuple[str, ...], Mapping[str, str]],
    rows: Mapping[tuple[str, ...], Mapping[str, str]],
    columns: tuple[str, ...],
    other: str,
) -> Iterator[str]:
    for place in expected.keys() - rows.keys():
        yield f"{_in_words(place)}: {other} no such entry"
    for place in sorted(rows.keys() - expected.keys()):
        yield f"{_in_words(place)}: {other} an entry of that name, too many"
    for place in expected:
        for column in columns if place in rows else ():
            here, there = expected[place][column], rows[place][column]
            if here != there:
                yield (
                    f"{_in_words(place)}: {column} is {here or 'empty'}, and {other} "
                    f"{there or 'nothing'}"
                )


def _in_words(place: tuple[str, ...]) -> str:
    return ", ".join(filter(None, place))


def _moved(
    place: tuple[str, ...],
    row: dict[str, str],
    other: dict[str, str],
    where: Path,
    tolerance: float,
) -> Iterator[str]:
    """How far an entry's value lies from that of other tables, where that is too far."""
    entry = _in_words(place)
    # Rendered faces have other last digits on another processor (AVX2, AVX-512), and so another
    # fingerprint; what that does to values is bounded below.
    real = row["measured"] and "true" not in (row["synthetic"], other["synthetic"])
    if real and row["fingerprint"] != other["fingerprint"]:
        yield f"{entry}: data {row['fingerprint'][:8]}, and {other['fingerprint'][:8]} in {where}"
    if row["metric"] in _UNTIMED:
        return
    if bool(row["measured"]) != bool(other["measured"]):
        yield f"{entry}: {row['measured'] or row['why']}, and {other['measured'] or other['why']}"
    elif row["measured"]:
        here, there = float(row["measured"]), float(other["measured"])
        allowed = tolerance * max(1, abs(there))
        if abs(here - there) > allowed:
            yield f"{entry}: {here:.6g}, and {there:.6g} in {where} (± {allowed:g} allowed)"


def _rewritten(path: Path, other: Path) -> Iterator[str]:
    """The lines of two texts that differ in more than their numbers."""
    here, there = (
        [_without_numbers(line) for line in file.read_text(encoding="utf-8").splitlines()]
        if file.is_file()
        else []
        for file in (path, other)
    )
    if here != there:
        yield "\n".join(difflib.unified_diff(there, here, str(other), str(path), lineterm="", n=0))


def _without_numbers(line: str) -> str:
    """A line without what may differ: its numbers, and the marks of data, which rows hold too."""
    return _NUMBER.sub("#", _DATA_MARK.sub("data #", line))


def _texts(folder: Path) -> set[str]:
    names = {path.name for end in ("md", "tex") for path in folder.glob(f"*.{end}")}
    return names - {"times.md", "times.tex"}  # they name the processor


def _rows(folder: Path) -> Rows:
    path = folder / REPRODUCTION
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline=""))
        rows: Rows = {tuple(row[name] for name in _PLACE): row for row in reader}
    except FileNotFoundError:
        raise BenchError(
            f"{folder} holds no {REPRODUCTION}: bench paper run {folder.name} writes it"
        ) from None
    except (KeyError, UnicodeDecodeError) as error:
        raise BenchError(f"{path} cannot be read ({error}): write it anew") from error
    missing = [
        name for name in (*_EXACT, *_OF_RUN) if rows and name not in next(iter(rows.values()))
    ]
    if missing:
        raise BenchError(
            f"{path} has no column {missing[0]}: another bench wrote it; write it anew"
        )
    return rows


def _about(folder: Path) -> dict[str, Any]:
    path = folder / ABOUT
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {name: about[name] for name in _ABOUT}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchError(f"{path} cannot be read ({error}): write the tables anew") from error


def _text(value: Any) -> str:
    return "" if value is None else str(value)
