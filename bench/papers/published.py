"""What papers print, number by number, and what they claim: the CSV files of `results/published/`.

The only place that a published number comes from. Columns and names are explained in
`results/published/README.md`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from bench.api import BenchError, near
from bench.data.typed import checked
from bench.papers import files
from bench.papers.files import FOLDER

Kind = Literal["result", "derived", "dataset-statistic", "setting", "claim", "lost"]
Origin = Literal["own", "re-implemented", "copied", "quoted"]
Claimed = Literal["left better", "left worse", "equal", "left higher", "rises", "rises-then-falls"]

_SCALES = {"%": 0.01, "ms": 0.001}
_COLUMNS = (
    *("paper", "table", "part", "dataset", "method", "variant", "metric", "value", "unit", "kind"),
    *("origin", "protocol", "comparable", "notes", "id", "why_not"),
)
_CLAIM_COLUMNS = (
    *("paper", "id", "section", "dataset", "comparison_left", "comparison_right", "metric"),
    *("direction", "published_left", "published_right", "quote_location", "claim", "testable_on"),
    *("notes", "left_ids", "right_ids", "own", "stand_ins"),
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
        ``result``, ``derived`` …, as the README explains them.
    origin : str
        Whose measurement it is.
    protocol : str
        How it was measured, of `results/published/protocols.toml`; empty for statistics and
        settings.
    comparable : bool
        False where nothing that bench measures can be held against it; ``why_not`` says why, and is
        empty elsewhere.
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
    kind: Kind
    origin: Origin
    protocol: str
    comparable: bool
    notes: str
    id: str
    why_not: str = ""

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


@dataclass(frozen=True)
class Claim:
    """What a paper says of two methods, or of a sweep, as a direction.

    ``datasets``, ``metrics`` and the printed values are aligned cell by cell; one dataset or metric
    holds for all cells. Where a paper compares one method's values on two datasets, there is one
    cell and ``datasets`` has left's and right's.

    Attributes
    ----------
    direction : str
        Better or worse in the metric's own sense; higher where there is no good or bad; along
        ``a < b < c``, or in training.
    own : tuple of str
        The datasets that the claim is about, and those that its methods learn from besides.
    stand_ins : tuple of str
        The open datasets that it may fairly be tested on in their place.
    testable_on : str
        Both in words, for people.
    """

    paper: str
    id: str
    section: str
    datasets: tuple[str, ...]
    left: str
    right: str
    metrics: tuple[str, ...]
    direction: Claimed
    published_left: tuple[str, ...]
    published_right: tuple[str, ...]
    quote: str
    claim: str
    testable_on: str
    notes: str
    left_ids: tuple[str, ...]
    right_ids: tuple[str, ...]
    own: tuple[str, ...]
    stand_ins: tuple[str, ...]


@cache
def numbers(paper: str) -> tuple[Number, ...]:
    """Every row of a paper, in its order.

    Raises
    ------
    BenchError
        An unknown paper (near names listed); a damaged row, by file and line.
    """
    files.check_paper(paper)
    return tuple(_number(*row) for row in _rows(f"{paper}.csv", _COLUMNS))


@cache
def claims(paper: str | None = None) -> tuple[Claim, ...]:
    """The claims of a paper, or of all."""
    if paper is not None:
        files.check_paper(paper)
    every = (_claim(*row) for row in _rows("claims.csv", _CLAIM_COLUMNS))
    return tuple(claim for claim in every if paper in (None, claim.paper))


@cache
def by_id(paper: str) -> dict[str, Number]:
    """The rows of a paper by their id."""
    return {number.id: number for number in numbers(paper)}


def _rows(name: str, columns: tuple[str, ...]) -> Iterable[tuple[str, dict[str, str]]]:
    """Each row with where it stands."""
    reader = csv.reader(io.StringIO(files.text(name), newline=""))
    header = next(reader, [])
    if tuple(header) != columns:
        raise BenchError(f"{FOLDER}/{name}:1: the columns must be {', '.join(columns)}")
    for row in reader:
        where = f"{FOLDER}/{name}:{reader.line_num}"
        if len(row) != len(columns):
            raise BenchError(f"{where}: {len(row)} cells, not {len(columns)}")
        yield where, dict(zip(columns, row, strict=True))


def _number(where: str, row: dict[str, str]) -> Number:
    printed = row["value"]
    try:
        value = float(printed) if printed else None
    except ValueError:
        value = None if row["kind"] != "result" else float("nan")
    if value is not None and value != value:
        raise BenchError(f"{where}: value {printed!r} is no number")
    if row["protocol"] and row["protocol"] not in files.protocols():
        known = near(row["protocol"], files.protocols())
        raise BenchError(f"{where}: protocol {row['protocol']!r}: {known}")
    comparable = row["comparable"] == "yes"
    if comparable == bool(row["why_not"]):
        raise BenchError(f"{where}: comparable=no and a reason in why_not go together")
    values = {**row, "value": value, "printed": printed, "comparable": comparable}
    return checked(values, Number, where)


def _claim(where: str, row: dict[str, str]) -> Claim:
    def split(column: str, separator: str | None = ";") -> list[str]:
        return [part.strip() for part in row[column].split(separator) if part.strip()]

    values = {
        **row,
        "datasets": split("dataset"),
        "left": row["comparison_left"],
        "right": row["comparison_right"],
        "metrics": split("metric"),
        "quote": row["quote_location"],
        "left_ids": split("left_ids", None),
        "right_ids": split("right_ids", None),
        **{name: split(name) for name in ("published_left", "published_right", "own", "stand_ins")},
    }
    return checked(values, Claim, where)
