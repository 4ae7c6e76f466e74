"""One contrast of a claim decided: two sides, their difference, and whether it can be believed.

How a difference is decided, and why so
---------------------------------------
- **Three seeds or more on both sides**: the 95 % t interval of the differences seed by seed, each
  the mean over splits. Training is what varies between a published number and another laboratory's;
  the same seed sees the same splits, so that differences are paired. A method that is not
  stochastic gives the same under every seed and is compared with each seed of the other side.
- **Neither side is stochastic**: the 95 % percentile interval of the paired difference on
  resampled test images (`bench.score.bootstrap`), the only thing left that varies.
- **A stochastic method with fewer than three seeds**: undecided. One seed says nothing of the next,
  and a t interval of two is so wide that it only looks like a test.
- **Budget smoke**: undecided. A handful of iterations is no training.
- **Budget quick, and trainings of different length**: undecided. A paper's schedules may differ
  between its methods; of two that were cut short the longer may win for that alone.
- **Sides on two datasets** (a gain here against a gain there): nothing pairs, so Welch's interval,
  or independent resamples.
- **Counts** that neither seed nor image changes, and times: their difference as it is.

The claim's direction holds where the interval lies on its side of 0 and fails where it lies on the
other; an interval of no width at 0, two sides that never differ, fails too, since neither is
better. All else is undecided. "Equal" holds where the interval lies within `MARGIN` of the right
side's value, and fails where it lies wholly outside: that an interval contains 0 shows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bench.papers.intervals import LEVEL, decide, t_interval, welch_interval
from bench.papers.reading import EXACT, TIME, TRAINING, by_seed
from bench.publish.rows import Row
from bench.run.record import Record
from bench.score import bootstrap

FEWEST = 3
"""Seeds that an interval over seeds takes."""

MARGIN = 0.05
"""Two times are equal where they differ by no more than this share of the right one.

The only claim of equality is about times. Medians of one method scatter by a per cent or two on an
idle machine; a method that needs a twentieth more can be called as fast.
"""


@dataclass(frozen=True)
class Need:
    """The cells of one method under the conditions that a paper's table has for a dataset.

    Where the table has no such dataset, its conditions with that dataset are meant.
    """

    table: str
    dataset: str
    run: str


@dataclass(frozen=True)
class Side:
    """One side of a contrast.

    Attributes
    ----------
    metric : str
        As `bench.papers.reading.read` takes it.
    fold : int
        0: the mean over splits.
    over : str
        A method whose value is subtracted: the side is a gain.
    """

    need: Need
    metric: str
    fold: int = 0
    over: str = ""

    @property
    def needs(self) -> tuple[Need, ...]:
        """The method, and the one that it is a gain over."""
        runs = (self.need.run, self.over) if self.over else (self.need.run,)
        return tuple(Need(self.need.table, self.need.dataset, run) for run in runs)

    def __str__(self) -> str:
        fold = f" (fold {self.fold})" if self.fold else ""
        return self.need.run + (f" over {self.over}" if self.over else "") + fold


@dataclass(frozen=True)
class Contrast:
    """Two sides that a claim sets against one another.

    Attributes
    ----------
    sign : int
        1: the left value should be larger; -1: smaller; 0: equal.
    group : str
        What it counts for together with others, such as a class; "": for itself.
    """

    left: Side
    right: Side
    sign: int
    group: str = ""

    @property
    def sides(self) -> tuple[Side, Side]:
        """Left and right."""
        return self.left, self.right

    @property
    def paired(self) -> bool:
        """Whether both sides are measured on the same images."""
        return self.left.need.dataset == self.right.need.dataset


@dataclass(frozen=True)
class Comparison:
    """A contrast as it came out.

    Attributes
    ----------
    difference, low, high : float or None
        Left less right with its 95 % interval, in the metric's unit.
    n : int
        Seeds; 1 where nothing is stochastic, 0 where a side is not measured.
    verdict : str
        ``holds``, ``fails``, ``undecided`` or ``untested``.
    why : str
        Why it is undecided or untested.
    """

    left: str
    right: str
    dataset: str
    metric: str
    difference: float | None
    low: float | None
    high: float | None
    n: int
    verdict: str
    why: str = ""
    group: str = ""


@dataclass(frozen=True)
class _Difference:
    """Left less right, None where a side is not measured; ``why``: why there is no interval."""

    value: float | None
    interval: tuple[float, float] | None
    n: int
    why: str = ""


@dataclass(frozen=True)
class _Measured:
    """A side as measured: the rows of its methods, and its value under each seed."""

    side: Side
    rows: tuple[Row, ...]

    @property
    def records(self) -> list[Record]:
        return [record for row in self.rows for record in row.ok]

    @property
    def stochastic(self) -> bool:
        return any(row.cell.stochastic for row in self.rows)

    @property
    def images(self) -> set[tuple[str, str]]:
        """Data and splits that it is measured on."""
        return _images(self.rows[0])

    @cached_property
    def values(self) -> dict[int, float]:
        """By seed; a gain is the difference on the seeds that both of its methods have."""
        values = [by_seed(row, self.side.metric) for row in self.rows]
        if len(values) == 1:
            return values[0]
        gained, base = (
            _under_seeds(of_row, values, row.cell.stochastic)
            for row, of_row in zip(self.rows, values, strict=True)
        )
        return {seed: gained[seed] - base[seed] for seed in sorted({*gained} & {*base})}


FindRow = Callable[[Need], Row | None]
FindSeconds = Callable[[Need], float | None]


def compare(
    contrast: Contrast, find: FindRow, find_seconds: FindSeconds | None = None
) -> Comparison:
    """Decide a contrast by what is measured.

    Parameters
    ----------
    find : callable
        The cells of a `Need`; None where they are not measured.
    find_seconds : callable, optional
        Seconds per image of a method, for ``time_per_image``, which no record holds.
    """
    if contrast.left.metric == TIME:
        return _compare_times(contrast, find_seconds)
    sides = []
    for side in contrast.sides:
        rows = _rows(side, find)
        if not rows:
            why = f"{side} is not measured on {side.need.dataset}"
            return _comparison(contrast, "untested", why)
        sides.append(_Measured(side, rows))
    left, right = sides
    obstacle = _obstacle(contrast, left, right)
    if obstacle:
        return _comparison(contrast, "undecided", obstacle)
    decided = _decided(contrast, _difference(contrast, left, right))
    unlike = _cut_short(left, right)
    return replace(decided, verdict="undecided", why=unlike) if unlike else decided


def _compare_times(contrast: Contrast, find_seconds: FindSeconds | None) -> Comparison:
    seconds = []
    for side in contrast.sides:
        value = find_seconds(side.need) if find_seconds else None
        if value is None:
            return _comparison(contrast, "untested", f"{side} is not timed")
        seconds.append(value)
    gap = seconds[0] - seconds[1]
    return _decided(contrast, _Difference(gap, (gap, gap), 1), MARGIN * seconds[1])


def _rows(side: Side, find: FindRow) -> tuple[Row, ...]:
    """The cells of the side's methods; empty where one is not measured."""
    rows = []
    for need in side.needs:
        row = find(need)
        records = () if row is None else row.ok
        if side.fold:
            records = tuple(r for r in records if r.cell.split == f"fold{side.fold}")
        if not records:
            return ()
        rows.append(Row(records))
    return tuple(rows)


def _obstacle(contrast: Contrast, left: _Measured, right: _Measured) -> str:
    """Why what is measured decides nothing, whatever the difference; "" where it may."""
    records = [*left.records, *right.records]
    if any(record.cell.budget == "smoke" for record in records):
        return "a smoke budget is no evidence"
    unlike = _unlike_images(contrast, left, right)
    if unlike:
        return unlike
    devices = {record.provenance.get("device") for record in records}
    if contrast.left.metric == TRAINING and len(devices) > 1:
        return "the two sides were trained on different devices"
    for measured in (left, right):
        if not measured.values:
            return f"{measured.side} has no {measured.side.metric} here"
    return ""


def _unlike_images(contrast: Contrast, left: _Measured, right: _Measured) -> str:
    """That the sides share images, or do not, other than the contrast wants; "" where they fit."""
    if not contrast.paired:
        same = left.images == right.images
        return "the same data stand in for both datasets" if same else ""
    same = all(_images(row) == left.images for row in (*left.rows, *right.rows))
    return "" if same else "the two sides have results on different test images"


def _images(row: Row) -> set[tuple[str, str]]:
    return {(record.cell.fingerprint, record.cell.split_hash) for record in row.ok}


def _cut_short(left: _Measured, right: _Measured) -> str:
    """That two networks were cut short at different lengths, which may be all their difference.

    A paper's own schedules may differ; those of a shortened budget are nobody's claim.
    """
    records = [*left.records, *right.records]
    epochs = [_epochs(measured.records) for measured in (left, right)]
    shortened = any(record.cell.budget not in ("paper", "any") for record in records)
    if not shortened or not all(epochs) or epochs[0] == epochs[1]:
        return ""
    lengths = [" to ".join(map(str, dict.fromkeys((counts[0], counts[-1])))) for counts in epochs]
    return f"trained for {' and '.join(lengths)} epochs, neither as in the paper"


def _epochs(records: Sequence[Record]) -> list[int]:
    """How many epochs trainings had, each number once, in order."""
    return sorted({record.curve.count("\n") - 1 for record in records if record.curve})


def _decided(contrast: Contrast, difference: _Difference, margin: float = 0.0) -> Comparison:
    if difference.interval is None:
        return _comparison(contrast, "undecided", difference.why, difference)
    verdict = decide(contrast.sign, *difference.interval, margin)
    reason = "the interval contains 0" if contrast.sign else "the interval is too wide"
    why = reason if verdict == "undecided" else ""
    return _comparison(contrast, verdict, why, difference)


def _comparison(
    contrast: Contrast, verdict: str, why: str, difference: _Difference | None = None
) -> Comparison:
    left, right = contrast.sides
    difference = difference or _Difference(None, None, 0)
    low, high = difference.interval or (None, None)
    return Comparison(
        str(left),
        str(right),
        _against(left.need.dataset, right.need.dataset),
        _against(left.metric, right.metric),
        difference.value,
        low,
        high,
        difference.n,
        verdict,
        why,
        contrast.group,
    )


def _against(left: str, right: str) -> str:
    return left if left == right else f"{left} against {right}"


def _under_seeds(
    values: dict[int, float], others: Sequence[dict[int, float]], stochastic: bool
) -> dict[int, float]:
    """What a method gives under the seeds of others too, where it is not stochastic."""
    if stochastic or not values:
        return values
    constant = next(iter(values.values()))
    return dict.fromkeys({seed for of_method in (values, *others) for seed in of_method}, constant)


def _difference(contrast: Contrast, left: _Measured, right: _Measured) -> _Difference:
    """Left less right with its interval, by what varies between runs of the two sides."""
    values = (left.values, right.values)
    means = [float(np.mean(list(of_side.values()))) for of_side in values]
    gap = means[0] - means[1]
    if contrast.left.metric in EXACT:
        return _Difference(gap, (gap, gap), 1)
    if not (left.stochastic or right.stochastic):
        return _over_images(contrast, left, right, gap)
    if not contrast.paired:
        return _unpaired_seeds(left, right, gap)
    return _paired_seeds(left, right, gap)


def _unpaired_seeds(left: _Measured, right: _Measured, gap: float) -> _Difference:
    """By Welch's interval of the values under each seed."""
    arrays = [np.array(list(measured.values.values())) for measured in (left, right)]
    n = min(
        len(of_side)
        for of_side, measured in zip(arrays, (left, right), strict=True)
        if measured.stochastic
    )
    interval = None if n < FEWEST else welch_interval(*arrays)
    return _Difference(gap, interval, n, _few(n))


def _paired_seeds(left: _Measured, right: _Measured, gap: float) -> _Difference:
    """By the t interval of the differences seed by seed."""
    values = (left.values, right.values)
    if left.stochastic and right.stochastic:
        seeds = sorted({*values[0]} & {*values[1]})
    else:  # one side gives the same under every seed
        seeds = [*(values[0] if left.stochastic else values[1])]
        values = (
            _under_seeds(values[0], values, left.stochastic),
            _under_seeds(values[1], values, right.stochastic),
        )
    gaps = np.array([values[0][seed] - values[1][seed] for seed in seeds])
    n = len(gaps)
    gap = float(gaps.mean()) if n else gap
    return _Difference(gap, None if n < FEWEST else t_interval(gaps), n, _few(n))


def _few(n: int) -> str:
    return f"n = {n} of a stochastic method, and {FEWEST} seeds are needed" if n < FEWEST else ""


def _over_images(contrast: Contrast, left: _Measured, right: _Measured, gap: float) -> _Difference:
    """By the percentile interval on resampled test images."""
    metric = contrast.left.metric
    none = _Difference(gap, None, 1, f"{metric} has no interval over test images")
    if contrast.left.over or contrast.right.over:
        return none
    replicates, drawn = [], []
    for measured in (left, right):
        estimate = measured.rows[0].estimate(measured.side.metric)
        if estimate is None or estimate.replicates is None:
            return none
        replicates.append(estimate.replicates)
        drawn.append(estimate.drawn)
    if len(replicates[0]) != len(replicates[1]) or contrast.paired != (drawn[0] == drawn[1]):
        why = "the resamples of the two sides cannot be held against each other"
        return replace(none, why=why)
    interval = bootstrap.interval(replicates[0] - replicates[1], LEVEL)
    return none if np.isnan(interval[0]) else _Difference(gap, interval, 1)
