"""Published beside measured: a table's entries, each with its verdict and the reason for it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scipy.stats import t as student

from bench.papers.margins import Worse
from bench.papers.measured import Finder, Measured
from bench.papers.published import Number
from bench.papers.reading import TIME
from bench.papers.spec import Conditions, PaperColumn, PaperEntry, PaperRow, PaperTable
from bench.papers.test_sets import unlike_test_set

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
class Reproduction:
    """One entry of a table: what is printed, what was measured, and whether they agree.

    Attributes
    ----------
    conditions : Conditions
        Those of the specification, with what the run overrode.
    verdict : str
        Empty where nothing is published.
    why : str
        The reason for the verdict, one sentence.
    beside : str
        What else there is to say of the published value: worse than a trivial predictor.
    """

    table: PaperTable
    row: PaperRow
    column: PaperColumn
    entry: PaperEntry
    conditions: Conditions
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
        """Measured less published, in bench's unit."""
        printed = None if self.published is None else self.published.fraction
        value = self.measured.value
        return None if printed is None or value is None else value - printed


def reproductions(
    table: PaperTable, finder: Finder, worse: Sequence[Worse] = ()
) -> list[Reproduction]:
    """Every entry of a table that has a published value or a method to run.

    Parameters
    ----------
    worse : sequence of Worse
        Published values that a trivial predictor beats.
    """
    beaten = {pair.row.id: f"worse than {_named(pair.trivial)}" for pair in worse}
    results = []
    for row in table.rows:
        for column, entry in zip(table.columns, row.entries, strict=True):
            if entry is None:
                continue
            measured = finder.measured(entry)
            conditions = finder.overrides.over(entry.conditions)
            verdict, why = judged(entry.published, measured, conditions)
            beside = "" if entry.published is None else beaten.get(entry.published.id, "")
            results.append(
                Reproduction(table, row, column, entry, conditions, measured, verdict, why, beside)
            )
    return results


def _named(trivial: Number) -> str:
    return f"{trivial.method} ({trivial.printed}, {trivial.id})"


def judged(number: Number | None, measured: Measured, conditions: Conditions) -> tuple[str, str]:
    """Whether a measurement reproduces a printed number (`RULE`), and why it does or cannot."""
    if number is None:
        return "", "nothing is printed"
    if barred := _barred(number):
        return NOT_COMPARABLE, barred
    if measured.value is None:
        return NO_VERDICT, measured.gap
    if unlike := _unlike(number, measured):
        return NOT_COMPARABLE, unlike
    if missing := _missing(measured, conditions):
        return NO_VERDICT, missing
    return _within_reach(number, measured)


def _barred(number: Number) -> str:
    """Why nothing can be held against a printed number; "" where something can."""
    return "the printed value is lost" if number.value is None else number.why_not


def _unlike(number: Number, measured: Measured) -> str:
    """How the measurement is of something else than the printed number; "" where it is not."""
    if measured.stand_ins:
        return f"measured on a stand-in: {', '.join(measured.stand_ins)}"
    if measured.synthetic:
        return "measured on faces that bench rendered"
    if number.metric == TIME:
        return f"timed on {measured.device}, printed for {number.protocol}"
    return unlike_test_set(number, measured)


def _missing(measured: Measured, conditions: Conditions) -> str:
    """What a verdict would need besides; "" where nothing is missing."""
    row = measured.row
    assert row is not None
    if row.cell.budget not in ("any", "paper"):
        return f"budget {row.cell.budget} is shorter than the paper's"
    seeds = conditions.seeds if row.cell.stochastic else 0
    if len(row.ok) < len(row.records) or len(row.seeds) < seeds:
        return "cells are missing"
    if measured.sd is None or measured.count < 2:
        return "n = 1"
    return ""


def _within_reach(number: Number, measured: Measured) -> tuple[str, str]:
    """Whether the printed number lies in the interval for one more run."""
    value, sd, printed, count = measured.value, measured.sd, number.fraction, measured.count
    assert value is not None
    assert sd is not None
    assert printed is not None
    reach = float(student.ppf((1 + _LEVEL) / 2, count - 1)) * sd
    reach = reach * math.sqrt(1 + 1 / count) + number.rounding
    off = value - printed
    why = f"{abs(off):.3g} {'above' if off > 0 else 'below'}, interval ± {reach:.3g}, n = {count}"
    return (REPRODUCED if abs(off) <= reach else NOT_REPRODUCED), why


def counted(results: Iterable[Reproduction]) -> dict[str, int]:
    """How often each verdict was given."""
    counts: dict[str, int] = {}
    for result in results:
        if result.verdict:
            counts[result.verdict] = counts.get(result.verdict, 0) + 1
    return counts
