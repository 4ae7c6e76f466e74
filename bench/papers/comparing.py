"""One comparison that a claim makes: two sides, their difference, and whether it can be believed.

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

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from bench.papers.intervals import LEVEL, decide, t_interval, welch_interval
from bench.papers.reading import EXACT, TIME, TRAINING, by_seed
from bench.publish.rows import Row
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
    """The cells of one method in the setting that a paper's table has for a dataset.

    Where the table has no such dataset, its setting with that dataset is meant.
    """

    table: str
    dataset: str
    run: str


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

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
class Asked:
    """A comparison before it is made.

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


@dataclass(frozen=True)
class Comparison:
    """A comparison as it came out.

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


# Difference, interval, n; the interval is None where there is none, with the sentence why.
Found = tuple[float, tuple[float, float] | None, int, str]
Find = Callable[[Need], Row | None]
Timed = Callable[[Need], float | None]


def compare(asked: Asked, find: Find, timed: Timed | None = None) -> Comparison:
    """Make a comparison.

    Parameters
    ----------
    find : callable
        The cells that are asked for; None where they are not measured.
    timed : callable, optional
        Seconds per image of a method, for ``time_per_image``, which no record holds.
    """
    both = (asked.left, asked.right)
    if asked.left.metric == TIME:
        seconds = [timed(side.need) if timed else None for side in both]
        if seconds[0] is None or seconds[1] is None:
            missing = next(str(s) for s, one in zip(both, seconds, strict=True) if one is None)
            return _told(asked, "untested", f"{missing} is not timed")
        gap = seconds[0] - seconds[1]
        return _decided(asked, (gap, (gap, gap), 1, ""), MARGIN * seconds[1])
    rows = [_rows(side, find) for side in both]
    for side, found in zip(both, rows, strict=True):
        if not found:
            return _told(asked, "untested", f"{side} is not measured on {side.need.dataset}")
    every = [row for found in rows for row in found]
    if any(record.cell.budget == "smoke" for row in every for record in row.ok):
        return _told(asked, "undecided", "a smoke budget is no evidence")
    paired = asked.left.need.dataset == asked.right.need.dataset
    data = [{(r.cell.fingerprint, r.cell.split_hash) for r in found[0].ok} for found in rows]
    if paired and any(_splits(row) != data[0] for row in every):
        return _told(asked, "undecided", "the two sides have results on different test images")
    if not paired and data[0] == data[1]:
        return _told(asked, "undecided", "the same data stand in for both datasets")
    devices = {record.provenance.get("device") for row in every for record in row.ok}
    if asked.left.metric == TRAINING and len(devices) > 1:
        return _told(asked, "undecided", "the two sides were trained on different devices")
    values = [_values(side, found) for side, found in zip(both, rows, strict=True)]
    for side, one in zip(both, values, strict=True):
        if not one:
            return _told(asked, "undecided", f"{side} has no {side.metric} here")
    random = [any(row.cell.stochastic for row in found) for found in rows]
    decided = _decided(asked, _found(asked, rows, values, random, paired))
    unlike = _unlike(rows)
    return replace(decided, verdict="undecided", why=unlike) if unlike else decided


def _unlike(rows: list[list[Row]]) -> str:
    """That two networks were cut short at different lengths, which may be all their difference.

    A paper's own schedules may differ; those of a shortened budget are nobody's claim.
    """
    every = [record for found in rows for row in found for record in row.ok]
    epochs = [
        sorted({record.curve.count("\n") - 1 for row in found for record in row.ok if record.curve})
        for found in rows
    ]
    shortened = any(record.cell.budget not in ("paper", "any") for record in every)
    if not shortened or not all(epochs) or epochs[0] == epochs[1]:
        return ""
    left, right = (" to ".join(map(str, dict.fromkeys((one[0], one[-1])))) for one in epochs)
    return f"trained for {left} and {right} epochs, neither as in the paper"


def _told(asked: Asked, verdict: str, why: str) -> Comparison:
    return _comparison(asked, None, None, 0, verdict, why)


def _decided(asked: Asked, found: Found, margin: float = 0.0) -> Comparison:
    difference, interval, n, why = found
    if interval is None:
        return _comparison(asked, difference, None, n, "undecided", why)
    verdict = decide(asked.sign, *interval, margin)
    reason = "the interval contains 0" if asked.sign else "the interval is too wide"
    why = reason if verdict == "undecided" else ""
    return _comparison(asked, difference, interval, n, verdict, why)


def _comparison(
    asked: Asked,
    difference: float | None,
    interval: tuple[float, float] | None,
    n: int,
    verdict: str,
    why: str,
) -> Comparison:
    left, right = asked.left, asked.right
    low, high = interval or (None, None)
    return Comparison(
        str(left),
        str(right),
        _against(left.need.dataset, right.need.dataset),
        _against(left.metric, right.metric),
        *(difference, low, high, n, verdict, why, asked.group),
    )


def _against(left: str, right: str) -> str:
    return left if left == right else f"{left} against {right}"


def _rows(side: Side, find: Find) -> list[Row]:
    """The cells of the side's methods; empty where one is not measured."""
    kept = []
    for row in [find(need) for need in side.needs]:
        records = () if row is None else row.ok
        if side.fold:
            records = tuple(one for one in records if one.cell.split == f"fold{side.fold}")
        if records:
            kept.append(Row(records))
    return kept if len(kept) == len(side.needs) else []


def _splits(row: Row) -> set[tuple[str, str]]:
    return {(record.cell.fingerprint, record.cell.split_hash) for record in row.ok}


def _values(side: Side, rows: list[Row]) -> dict[int, float]:
    """By seed; a gain is the difference on the seeds that both have."""
    values = [by_seed(row, side.metric) for row in rows]
    if len(values) == 1:
        return values[0]
    spread = [_at(row, one, values) for row, one in zip(rows, values, strict=True)]
    return {seed: spread[0][seed] - spread[1][seed] for seed in sorted({*spread[0]} & {*spread[1]})}


def _at(row: Row, values: dict[int, float], others: list[dict[int, float]]) -> dict[int, float]:
    """What a method gives under the seeds of others too, where it is not stochastic."""
    if row.cell.stochastic or not values:
        return values
    constant = next(iter(values.values()))
    return dict.fromkeys({seed for one in (values, *others) for seed in one}, constant)


def _found(
    asked: Asked,
    rows: list[list[Row]],
    values: list[dict[int, float]],
    random: list[bool],
    paired: bool,
) -> Found:
    means = [float(np.mean(list(one.values()))) for one in values]
    gap = means[0] - means[1]
    if asked.left.metric in EXACT:
        return gap, (gap, gap), 1, ""
    if not any(random):
        return _over_images(asked, rows, gap, paired)
    if not paired:
        arrays = [np.array(list(one.values())) for one in values]
        n = min(len(one) for one, varies in zip(arrays, random, strict=True) if varies)
        return gap, (None if n < FEWEST else welch_interval(*arrays)), n, _few(n)
    both = values
    if not all(random):  # one side gives the same under every seed
        both = [_at(found[0], one, values) for found, one in zip(rows, values, strict=True)]
        seeds = [*values[random.index(True)]]
    else:
        seeds = sorted({*values[0]} & {*values[1]})
    gaps = np.array([both[0][seed] - both[1][seed] for seed in seeds])
    n = len(gaps)
    gap = float(gaps.mean()) if n else gap
    return gap, (None if n < FEWEST else t_interval(gaps)), n, _few(n)


def _few(n: int) -> str:
    return f"n = {n} of a stochastic method, and {FEWEST} seeds are needed" if n < FEWEST else ""


def _over_images(asked: Asked, rows: list[list[Row]], gap: float, paired: bool) -> Found:
    none = (gap, None, 1, f"{asked.left.metric} has no interval over test images")
    if asked.left.over or asked.right.over:
        return none
    left, right = (
        found[0].estimate(side.metric)
        for side, found in zip((asked.left, asked.right), rows, strict=True)
    )
    if left is None or right is None or left.replicates is None or right.replicates is None:
        return none
    if len(left.replicates) != len(right.replicates) or paired != (left.drawn == right.drawn):
        return (*none[:3], "the resamples of the two sides cannot be held against each other")
    interval = bootstrap.interval(left.replicates - right.replicates, LEVEL)
    return none if np.isnan(interval[0]) else (gap, interval, 1, "")
