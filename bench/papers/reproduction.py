"""Published beside measured: a table's entries, each with its verdict and the reason for it.

Reproduced is what is equal within a margin that is fixed beforehand (`bench.score.equivalence`),
not what no test tells apart: the noisier a measurement, the less it would be told apart. The
standard error of measured less published, with s the standard deviation:

- n seeds on one test part: s · √(1 + 1/n), since the paper's is a single run as noisy as ours.
- k folds, of which either value is the mean, and the paper's folds are others: s · √(1/k + 1/m), s
  over our m folds. From three repetitions of the folds on, s is that of the repetitions' means.
- a part that is drawn at random, and the paper's is another: the variance over test images besides,
  for either side.
- a method without chance on a part that its dataset names: none, so that digits are compared.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.papers.margins import Worse
from bench.papers.measured import Finder, Measured
from bench.papers.published import Number
from bench.papers.reading import TIME
from bench.papers.spec import Conditions, PaperColumn, PaperEntry, PaperRow, PaperTable
from bench.papers.test_sets import repetition, unlike_test_set
from bench.publish.rows import Drawn
from bench.score.criteria import BY_NAME
from bench.score.equivalence import LEVEL, place, smallest_margin
from bench.score.intervals import FEWEST, Estimate, over_images

REPRODUCED, NOT_REPRODUCED, NOT_DECIDED = "reproduced", "not reproduced", "not decided"
NOT_COMPARABLE, NO_VERDICT = "not comparable", "no verdict"
_OUTCOMES = {"inside": REPRODUCED, "outside": NOT_REPRODUCED, "open": NOT_DECIDED}

MARGIN, COVERAGE_MARGIN = 0.01, 0.05
_SHARES = ("recall", "confusion")
_COUNTS = ("parameters",)  # as published rows name what chance has no part in

RULE = (
    f"Reproduced: the 90 % interval of measured less published, the noise of the paper's own "
    f"single run included, lies within ± {MARGIN} (criteria from 0 to 1 and accuracies; coverage "
    f"± {COVERAGE_MARGIN}); not reproduced: it lies wholly outside; not decided: neither. A method "
    "without chance, on a part that its dataset names, is held to the printed digits, then to the "
    f"margin. {FEWEST} seeds at least. No verdict from a stand-in, from rendered faces or from a "
    "short budget."
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
    return _decided(number, measured, conditions)


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
    return ""


def margin_of(metric: str) -> float | None:
    """What a difference of a metric is equal within; None where nothing is fixed."""
    criterion = BY_NAME.get(metric)
    if criterion is not None and criterion.range[1] is None:
        return COVERAGE_MARGIN
    return MARGIN if criterion is not None or metric in _SHARES else None


def _decided(number: Number, measured: Measured, conditions: Conditions) -> tuple[str, str]:
    """Whether measured less printed lies within the margin, and what it comes to."""
    value, printed, row = measured.value, number.fraction, measured.row
    assert value is not None
    assert printed is not None
    assert row is not None
    exact = number.metric in _COUNTS
    chance = row.cell.stochastic or len(row.splits) > 1 or _is_drawn(conditions)
    if exact or not chance:
        return _by_digits(value - printed, number)
    margin = margin_of(number.metric)
    if margin is None:
        return NO_VERDICT, f"no margin is fixed for {number.metric}"
    noise = _noise(measured, conditions)
    if isinstance(noise, str):
        return NOT_DECIDED, noise
    off = replace(noise.off, value=value - printed)
    outcome = _OUTCOMES[place(off, margin, number.rounding)]
    low, high = off.interval(LEVEL)
    why = (
        f"{abs(off.value):.3g} {'above' if off.value > 0 else 'below'}, 90 % interval "
        f"{low - number.rounding:+.3g} to {high + number.rounding:+.3g}, margin ± {margin}, "
        f"n = {measured.count}"
    )
    smallest = smallest_margin(noise.single, number.rounding)
    if outcome == NOT_DECIDED and smallest >= margin:
        why += f"; no number of seeds decides: a single run, as printed, reaches {smallest:.3g}"
        why += ", and a margin above that could be decided"
    return outcome, why


def _by_digits(off: float, number: Number) -> tuple[str, str]:
    """The verdict where chance has no part."""
    slack = number.rounding * (1 + 1e-9)
    if abs(off) <= slack:
        return REPRODUCED, "equal to the printed digits, without chance"
    where = f"{abs(off):.3g} {'above' if off > 0 else 'below'}, without chance"
    margin = margin_of(number.metric)
    if margin is not None and abs(off) < margin:
        return REPRODUCED, f"{where}, within ± {margin}"
    return NOT_REPRODUCED, where if margin is None else f"{where}, margin ± {margin}"


def _is_drawn(conditions: Conditions) -> bool:
    """Whether bench draws the parts by itself, so that the paper's are others."""
    protocol = conditions.target_protocol or conditions.protocol
    return protocol.startswith(("holdout", "cv")) and not protocol.endswith("-blocks")


@dataclass(frozen=True)
class _Noise:
    """Of measured less printed.

    Attributes
    ----------
    off : Estimate
        With the value 0.
    single : float
        Standard deviation of the paper's own value, a single run.
    """

    off: Estimate
    single: float


def _noise(measured: Measured, conditions: Conditions) -> _Noise | str:
    """See the module; or why nothing is known of it."""
    row = measured.row
    assert row is not None
    if len(row.splits) > 1:
        return _noise_of_folds(measured)
    images, clusters = 0.0, Drawn.of(row.ok).clusters
    if _is_drawn(conditions):
        found = _over_images(measured)
        if found is None:
            return "how much it varies over test images is not stored"
        images = found
    count, seeds = len(row.seeds), 0.0
    if row.cell.stochastic:
        if count < FEWEST or measured.sd is None:
            return f"n = {count}, and {FEWEST} seeds are needed"
        seeds = measured.sd**2
    over_images, over_seeds = 2 * images, seeds * (1 + 1 / count)
    squares = over_images**2 / max(clusters - 1, 1) + over_seeds**2 / max(count - 1, 1)
    total = over_images + over_seeds
    df = total**2 / squares if squares > 0 else math.inf
    return _Noise(Estimate(0.0, over_images, over_seeds, total, df), math.sqrt(images + seeds))


def _over_images(measured: Measured) -> float | None:
    """Variance of a value over test images; None where nothing tells it."""
    row = measured.row
    assert row is not None
    found = row.estimate(measured.metric)
    if found is not None and found.sample is not None:
        return over_images(found.sample, found.drawn.clusters, found.drawn.splits).images
    kind, *names = measured.metric.split(":")
    counts = [r.confusion[r.cell.label_names.index(names[0])] for r in row.ok if r.confusion]
    if kind not in _SHARES or not counts or measured.value is None or not sum(counts[0]):
        return None
    return measured.value * (1 - measured.value) / sum(counts[0])


def _noise_of_folds(measured: Measured) -> _Noise | str:
    """Of means over folds: by repetitions from `FEWEST` on, else by the folds themselves."""
    of_folds: dict[str, list[float]] = defaultdict(list)
    for split, value in measured.by_split.items():
        of_folds[repetition(split)].append(value)
    if len(of_folds) >= FEWEST:
        means = np.array([np.mean(values) for values in of_folds.values()])
        variance, count = float(means.var(ddof=1)), len(means)
        of_off = variance * (1 + 1 / count)
        return _Noise(Estimate(0.0, 0.0, of_off, of_off, count - 1), math.sqrt(variance))
    values = np.array([value for of_one in of_folds.values() for value in of_one])
    folds = len(values) // max(len(of_folds), 1)
    if len(values) < 2:
        return "n = 1"
    variance = float(values.var(ddof=1))
    of_off = variance * (1 / folds + 1 / len(values))
    off = Estimate(0.0, 0.0, of_off, of_off, len(values) - 1)
    return _Noise(off, math.sqrt(variance / folds))


def counted(results: Iterable[Reproduction]) -> dict[str, int]:
    """How often each verdict was given."""
    counts: dict[str, int] = {}
    for result in results:
        if result.verdict:
            counts[result.verdict] = counts.get(result.verdict, 0) + 1
    return counts
