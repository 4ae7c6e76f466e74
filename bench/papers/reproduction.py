"""Published beside measured: one outcome per number, with its verdict and the reason for it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scipy.stats import t as student

from bench.papers.margins import Worse
from bench.papers.measured import Finder, Measured
from bench.papers.published import Number
from bench.papers.spec import Entry, Line, Table, Where

REPRODUCED, NOT_REPRODUCED = "reproduced", "not reproduced"
NOT_COMPARABLE, NO_VERDICT = "not comparable", "no verdict"
_LEVEL = 0.95

RULE = (
    "Reproduced: the published value lies within the 95 % interval for one more run, mean ± "
    "t · s · √(1 + 1/n) with s the standard deviation over n seeds or folds, widened by half a "
    "unit of its last printed digit. No verdict from one seed, from a stand-in, from rendered "
    "faces or from a short budget."
)


@dataclass(frozen=True)
class Outcome:
    """One entry of a table: what is printed, what was measured, and whether they agree.

    Attributes
    ----------
    where : Where
        The setting as specified, with what the run overrode.
    published : Number or None
    verdict : str
        Empty where nothing is published.
    why : str
        The reason for the verdict, one sentence.
    beside : str
        What else there is to say of the published value: worse than a trivial predictor.
    """

    table: Table
    line: Line
    column: str
    entry: Entry
    where: Where
    measured: Measured
    verdict: str
    why: str
    beside: str = ""

    @property
    def published(self) -> Number | None:
        """What the paper prints."""
        return self.entry.published

    @property
    def difference(self) -> float | None:
        """Measured less published, as bench measures."""
        printed = None if self.published is None else self.published.fraction
        value = self.measured.value
        return None if printed is None or value is None else value - printed

    @property
    def place(self) -> str:
        """Table, block, line and column, for people."""
        parts = (self.table.name, self.line.block, self.line.label, self.column)
        return ", ".join(filter(None, parts))


def outcomes(table: Table, finder: Finder, worse: Sequence[Worse] = ()) -> list[Outcome]:
    """Every entry of a table that has a published value or a method to run.

    Parameters
    ----------
    worse : sequence of Worse
        Published values that a trivial predictor beats.
    """
    beaten = {one.row.id: f"worse than {_said(one.trivial)}" for one in worse}
    found = []
    for line in table.lines:
        for column, entry in zip(table.columns, line.entries, strict=True):
            if entry is None:
                continue
            measured = finder.measured(entry)
            where = finder.setting.over(entry.where)
            verdict, why = judged(entry.published, measured, where)
            beside = "" if entry.published is None else beaten.get(entry.published.id, "")
            found.append(
                Outcome(table, line, column.title, entry, where, measured, verdict, why, beside)
            )
    return found


def _said(trivial: Number) -> str:
    return f"{trivial.method} ({trivial.printed}, {trivial.id})"


def judged(number: Number | None, measured: Measured, where: Where) -> tuple[str, str]:
    """Whether a measurement reproduces a printed number (`RULE`), and why it is or is not said."""
    if number is None:
        return "", "nothing is printed"
    if number.value is None:
        return NOT_COMPARABLE, "the printed value is lost"
    if not number.comparable:
        return NOT_COMPARABLE, number.why_not
    if measured.value is None:
        return NO_VERDICT, measured.gap
    if measured.stand_ins:
        return NOT_COMPARABLE, f"measured on a stand-in: {', '.join(measured.stand_ins)}"
    if measured.synthetic:
        return NOT_COMPARABLE, "measured on faces that bench rendered"
    if number.metric == "time_per_image":
        return NOT_COMPARABLE, f"timed on {measured.device}, printed for {number.protocol}"
    row = measured.row
    assert row is not None
    if row.cell.budget not in ("any", "paper"):
        return NO_VERDICT, f"budget {row.cell.budget} is shorter than the paper's"
    if len(row.ok) < len(row.records) or (row.cell.stochastic and len(row.seeds) < where.seeds):
        return NO_VERDICT, "cells are missing"
    count = len(row.splits) if len(row.splits) > 1 else len(row.seeds)
    if measured.sd is None or count < 2:
        return NO_VERDICT, "n = 1"
    reach = float(student.ppf((1 + _LEVEL) / 2, count - 1)) * measured.sd
    reach = reach * math.sqrt(1 + 1 / count) + number.rounding
    printed = number.fraction
    assert printed is not None
    off = measured.value - printed
    said = f"{abs(off):.3g} {'above' if off > 0 else 'below'}, interval ± {reach:.3g}, n = {count}"
    return (REPRODUCED if abs(off) <= reach else NOT_REPRODUCED), said


def counted(found: Iterable[Outcome]) -> dict[str, int]:
    """How often each verdict was given."""
    counts: dict[str, int] = {}
    for one in found:
        if one.verdict:
            counts[one.verdict] = counts.get(one.verdict, 0) + 1
    return counts
