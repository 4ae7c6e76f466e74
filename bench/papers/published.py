"""What the five papers print, number by number, and what they claim: `results/published/`.

The only place that a published number comes from. Columns and names are explained in
`results/published/README.md`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from bench.api import BenchError, near

PAPERS = ("mf-jle", "dbm-cnn", "lban-il", "multi-dataset", "tfe-jl")
KINDS = ("result", "derived", "dataset-statistic", "setting", "claim", "lost")
ORIGINS = ("own", "re-implemented", "copied", "quoted")

_FOLDER = "bench.results.published"
_SCALES = {"%": 0.01, "ms": 0.001}
_BARRED = "not comparable:"
_COLUMNS = (
    *("paper", "table", "part", "dataset", "method", "variant", "metric", "value", "unit", "kind"),
    *("origin", "protocol", "comparable", "notes", "id"),
)
_CLAIM_COLUMNS = (
    *("paper", "id", "section", "dataset", "comparison_left", "comparison_right", "metric"),
    *("direction", "published_left", "published_right", "quote_location", "claim", "testable_on"),
    *("notes", "left_ids", "right_ids"),
)


@dataclass(frozen=True)
class Number:
    """One printed number, or one that follows from printed ones exactly.

    Attributes
    ----------
    value : float or None
        In ``unit``; None where the text that we have lacks it.
    printed : str
        As printed.
    kind : str
        Of `KINDS`.
    origin : str
        Of `ORIGINS`: whose measurement it is.
    comparable : bool
        False where nothing that bench measures can be held against it; `why_not` says why.
    """

    paper: str
    table: str
    part: str
    dataset: str
    method: str
    variant: str
    metric: str
    value: float | None
    printed: str
    unit: str
    kind: str
    origin: str
    protocol: str
    comparable: bool
    notes: str
    id: str

    @property
    def decimals(self) -> int:
        """Digits printed after the point."""
        return len(self.printed.partition(".")[2])

    @property
    def scale(self) -> float:
        """What one of ``unit`` is in bench's unit."""
        return _SCALES.get(self.unit, 1.0)

    @property
    def fraction(self) -> float | None:
        """The value as bench measures it: percentages as fractions, times in seconds."""
        return None if self.value is None else self.value * self.scale

    @property
    def rounding(self) -> float:
        """Half a unit of the last printed digit, as `fraction` counts."""
        return 0.5 * 10.0**-self.decimals * self.scale

    @property
    def why_not(self) -> str:
        """Why it is not comparable; empty where it is."""
        return "" if self.comparable else self.notes.rpartition(_BARRED)[2].strip()


@dataclass(frozen=True)
class Claim:
    """What a paper says of two methods, or of a sweep, as a direction.

    ``datasets``, ``metrics`` and the printed values are aligned cell by cell; one dataset or metric
    holds for all cells. Where a paper compares one method's values on two datasets (TFE-JL's c06
    and c08), there is one cell and ``datasets`` has left's and right's. ``direction``: left better,
    left worse, equal, left higher, rises, rises-then-falls.
    """

    paper: str
    id: str
    section: str
    datasets: tuple[str, ...]
    left: str
    right: str
    metrics: tuple[str, ...]
    direction: str
    published_left: tuple[str, ...]
    published_right: tuple[str, ...]
    quote: str
    claim: str
    testable_on: str
    notes: str
    left_ids: tuple[str, ...]
    right_ids: tuple[str, ...]


@cache
def numbers(paper: str) -> tuple[Number, ...]:
    """Every row of a paper, in its order.

    Raises
    ------
    BenchError
        An unknown paper (near names listed); a damaged row, by file and line.
    """
    check_paper(paper)
    return tuple(_number(*line) for line in _rows(f"{paper}.csv", _COLUMNS))


@cache
def claims(paper: str | None = None) -> tuple[Claim, ...]:
    """The claims of a paper, or of all."""
    if paper is not None:
        check_paper(paper)
    found = (_claim(row) for _, row in _rows("claims.csv", _CLAIM_COLUMNS))
    return tuple(claim for claim in found if paper in (None, claim.paper))


@cache
def by_id(paper: str) -> dict[str, Number]:
    """The rows of a paper by their id."""
    return {number.id: number for number in numbers(paper)}


@cache
def _by_key(paper: str) -> dict[tuple[str, ...], list[Number]]:
    found: dict[tuple[str, ...], list[Number]] = {}
    for one in numbers(paper):
        found.setdefault((one.table, one.method, one.variant, one.metric), []).append(one)
    return found


def find(
    paper: str,
    table: str,
    method: str,
    variant: str,
    metric: str,
    part: str | None = None,
    dataset: str | None = None,
) -> Number:
    """The one row that these name; ``part`` and ``dataset`` where the others do not suffice.

    Raises
    ------
    BenchError
        None, or more than one.
    """
    found = [
        one
        for one in _by_key(paper).get((table, method, variant, metric), [])
        if part in (None, one.part) and dataset in (None, one.dataset)
    ]
    if len(found) == 1:
        return found[0]
    wanted = ", ".join(filter(None, (table, part, dataset, method, variant, metric)))
    raise BenchError(
        f"results/published/{paper}.csv holds {len(found) or 'no'} rows of {wanted}: exactly one "
        "is wanted"
    )


def check_paper(paper: str) -> None:
    """Raise `BenchError` unless bench knows the paper."""
    if paper not in PAPERS:
        raise BenchError(f"no paper {paper!r}: {near(paper, PAPERS)}")


def text(name: str) -> str:
    """A file of `results/published/`."""
    try:
        return files(_FOLDER).joinpath(name).read_text(encoding="utf-8")
    except (OSError, ModuleNotFoundError) as error:
        raise BenchError(
            f"results/published/{name} is missing from this installation ({error}): install bench "
            "again"
        ) from error


def _rows(name: str, columns: tuple[str, ...]) -> Iterable[tuple[str, dict[str, str]]]:
    """Each row with where it stands."""
    reader = csv.reader(io.StringIO(text(name), newline=""))
    header = next(reader, [])
    if tuple(header) != columns:
        raise BenchError(f"results/published/{name}:1: the columns must be {', '.join(columns)}")
    for row in reader:
        where = f"results/published/{name}:{reader.line_num}"
        if len(row) != len(columns):
            raise BenchError(f"{where}: {len(row)} cells, not {len(columns)}")
        yield where, dict(zip(columns, row, strict=True))


def _number(where: str, row: dict[str, str]) -> Number:
    printed = row.pop("value")
    try:
        value = float(printed) if printed else None
    except ValueError:
        value = None if row["kind"] != "result" else float("nan")
    if value is not None and value != value:
        raise BenchError(f"{where}: value {printed!r} is no number")
    for column, known in (("kind", KINDS), ("origin", ORIGINS)):
        if row[column] and row[column] not in known:
            raise BenchError(f"{where}: {column} {row[column]!r}: {near(row[column], known)}")
    barred = row.pop("comparable") == "no"
    if barred != (_BARRED in row["notes"]):
        raise BenchError(f"{where}: comparable=no and a note {_BARRED!r} go together")
    return Number(value=value, printed=printed, comparable=not barred, **row)


def _claim(row: dict[str, str]) -> Claim:
    def split(column: str, separator: str | None = ";") -> tuple[str, ...]:
        return tuple(one.strip() for one in row[column].split(separator) if one.strip())

    return Claim(
        row["paper"],
        row["id"],
        row["section"],
        split("dataset"),
        row["comparison_left"],
        row["comparison_right"],
        split("metric"),
        row["direction"],
        split("published_left"),
        split("published_right"),
        row["quote_location"],
        row["claim"],
        row["testable_on"],
        row["notes"],
        split("left_ids", None),
        split("right_ids", None),
    )
