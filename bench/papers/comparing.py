"""The contrasts of a claim as measured, and what they decide together.

How a difference is decided, and why so
---------------------------------------
- **The question.** On the paper's own test set the paper asks whether training anew would change
  what it says, so that seeds alone vary. On any other images (a stand-in, rendered faces, another
  test part) the images vary too, and an interval over seeds alone would call .17 to .82 of the
  differences real that are none. Both by `bench.score.intervals`, each difference seed by seed
  where the two sides have the same seeds, and on the same resampled images.
- **A stochastic method with fewer than three seeds**: undecided. One seed says nothing of the next.
- **Several comparisons** are judged together (`bench.score.jointly`): a claim of 24 would fail at
  one of them in 23 to 46 % of cases if nothing differed. Those that do not count for the verdict,
  further criteria beside the one that was named beforehand, are judged among all of the claim.
- **Budget smoke**: undecided. A handful of iterations is no training.
- **Networks that were cut short**: undecided, unless both have converged
  (`bench.papers.convergence`). Of two that are cut short the one that starts faster is ahead.
- **Another choice of epoch or of parameters on one side**: undecided.
- **Sides on two datasets** (a gain here against a gain there): nothing pairs, and variances add up.
- **Counts** that neither seed nor image changes, and times: their difference as it is.

The claim's direction holds where the joint p is at most .05 and the difference lies on its side,
and fails where it lies on the other; two sides that never differ fail too, since neither is better.
All else is undecided. "Equal" holds where the interval lies within `MARGIN` of the right side's
value, and fails where it lies wholly outside: that an interval contains 0 shows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bench.papers.contrasts import Contrast, Need, Side
from bench.papers.convergence import FindLengths, cut_short
from bench.papers.reading import EXACT, TIME, TRAINING, by_seed, read, replicates
from bench.publish.rows import Drawn, Row, ScoresOf
from bench.publish.samples import gain, in_common, sample_of
from bench.run.record import Record
from bench.score.intervals import FEWEST, LEVEL, Estimate, Sample, difference
from bench.score.jointly import image_noise, joint_p

MARGIN = 0.05
"""Two times are equal where they differ by no more than this share of the right one.

The only claim of equality is about times. Medians of one method scatter by a per cent or two on an
idle machine; a method that needs a twentieth more can be called as fast.
"""

THIS_TEST_SET = "on this very test set"
OTHER_IMAGES = "on other images too"

_NOTHING = np.zeros(2)  # replicates of what no test image changes


@dataclass(frozen=True)
class Comparison:
    """A contrast as it came out.

    Attributes
    ----------
    difference, low, high : float or None
        Left less right with its own 95 % interval, in the metric's unit.
    p : float or None
        Of no difference, among the claim's comparisons together.
    smallest : float or None
        The smallest true difference that this comparison alone would find with probability .8.
    n : int
        Seeds; 1 where nothing is stochastic, 0 where a side is not measured.
    question : str
        `THIS_TEST_SET` or `OTHER_IMAGES`; "" where nothing was asked.
    verdict : str
        ``holds``, ``fails``, ``undecided`` or ``untested``.
    why : str
        Why it is undecided or untested.
    conventions : str
        What further conventions of the criteria say of it; "" where they give the same.
    tie_neutral : float or None
        The difference expected where tied labels stand in random order (`bench.score.neutral`).
    """

    left: str
    right: str
    dataset: str
    metric: str
    counted: bool
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    smallest: float | None
    n: int
    question: str
    verdict: str
    why: str = ""
    group: str = ""
    conventions: str = ""
    tie_neutral: float | None = None


FindRow = Callable[[Need], Row | None]
FindSeconds = Callable[[Need], float | None]


@dataclass(frozen=True)
class Evidence:
    """Where the numbers come from.

    Attributes
    ----------
    find : callable
        The cells of a `Need`; None where they are not measured.
    is_own : callable
        Whether the cells of a `Need` are of the paper's own test set.
    seconds : callable, optional
        Seconds per image of a method, for ``time_per_image``, which no record holds.
    scores_of : callable, optional
        The stored scores of a record.
    lengths : callable, optional
        Every record of the network of a row, trained however long.
    """

    find: FindRow
    is_own: Callable[[Need, Row], bool] = lambda need, row: True
    seconds: FindSeconds | None = None
    scores_of: ScoresOf | None = None
    lengths: FindLengths | None = None


@dataclass(frozen=True)
class _Found:
    """A contrast as measured.

    Attributes
    ----------
    value : float or None
        Left less right; None where a side is not measured.
    estimate : Estimate or None
        The same with its noise; None where ``why`` says why that is not known.
    why : str
        Why it decides nothing, whatever the numbers; "" where it may.
    untested : bool
        Whether a side is not measured.
    margin : float
        Of a contrast of equality.
    """

    contrast: Contrast
    value: float | None = None
    estimate: Estimate | None = None
    noise: np.ndarray = field(default_factory=lambda: _NOTHING)
    n: int = 0
    question: str = ""
    why: str = ""
    untested: bool = False
    margin: float = 0.0


def compare(contrasts: Sequence[Contrast], evidence: Evidence) -> list[Comparison]:
    """Decide contrasts together: those that count among themselves, the others among all."""
    found = [_measured(contrast, evidence) for contrast in contrasts]
    known = [one for one in found if one.estimate is not None]
    of_all = _joint(known)
    of_counted = _joint([one for one in known if one.contrast.counted])
    together = {**of_all, **of_counted}
    return [_comparison(one, together.get(id(one))) for one in found]


def _joint(found: Sequence[_Found]) -> dict[int, float]:
    estimates = [one.estimate for one in found if one.estimate is not None]
    p_values = joint_p(estimates, [one.noise for one in found])
    return {id(one): p for one, p in zip(found, p_values, strict=True)}


def _comparison(found: _Found, p: float | None) -> Comparison:
    contrast, estimate = found.contrast, found.estimate
    left, right = contrast.sides
    low, high = (None, None) if estimate is None else estimate.interval(LEVEL)
    verdict, why = _verdict(found, p)
    return Comparison(
        str(left),
        str(right),
        _against(left.need.dataset, right.need.dataset),
        _against(left.metric, right.metric),
        contrast.counted,
        found.value,
        low,
        high,
        p,
        None if estimate is None else estimate.detectable(),
        found.n,
        found.question,
        verdict,
        why,
        contrast.group,
    )


def _verdict(found: _Found, p: float | None) -> tuple[str, str]:
    estimate, sign = found.estimate, found.contrast.sign
    if found.untested:
        return "untested", found.why
    if estimate is None or p is None or found.why:
        return "undecided", found.why
    if sign == 0:
        low, high = estimate.interval(LEVEL)
        if -found.margin <= low and high <= found.margin:
            return "holds", ""
        outside = low > found.margin or high < -found.margin
        return ("fails", "") if outside else ("undecided", "the interval is too wide")
    if estimate.variance == 0 and estimate.value == 0:
        return "fails", ""
    if p > 1 - LEVEL:
        return "undecided", "chance alone may give as much"
    return ("holds" if estimate.value * sign > 0 else "fails"), ""


def _against(left: str, right: str) -> str:
    return left if left == right else f"{left} against {right}"


# -- a contrast as measured -----------------------------------------------------------------------


@dataclass(frozen=True)
class _Measured:
    """A side as measured: the rows of its methods, and what is read in them."""

    side: Side
    rows: tuple[Row, ...]

    @property
    def records(self) -> list[Record]:
        return [record for row in self.rows for record in row.ok]

    @property
    def images(self) -> set[tuple[str, str]]:
        """Data and splits that it is measured on."""
        return _images(self.rows[0])

    @property
    def drawn(self) -> Drawn:
        """What its resamples drew."""
        return Drawn.of(self.rows[0].ok)

    def sample(self, question: str, scores_of: ScoresOf | None) -> Sample | None:
        """By seed; a gain is the difference of its two methods. None without replicates."""

        def value(record: Record) -> float | None:
            return read(record, self.side.metric)

        def drawn(record: Record) -> np.ndarray | None:
            if question == THIS_TEST_SET:
                return _NOTHING
            return replicates(record, self.side.metric, scores_of)

        samples = []
        for row in self.rows:
            known = None if question == THIS_TEST_SET else row.estimate(self.side.metric)
            samples.append(known.sample if known else sample_of(row, value, drawn))
        if any(one is None for one in samples):
            return None
        first, *base = [one for one in samples if one is not None]
        return gain(first, base[0]) if base else first


def _measured(contrast: Contrast, evidence: Evidence) -> _Found:
    if contrast.left.metric == TIME:
        return _timed(contrast, evidence.seconds)
    sides = []
    for side in contrast.sides:
        rows = _rows(side, evidence.find)
        if not rows:
            why = f"{side} is not measured on {side.need.dataset}"
            return _Found(contrast, why=why, untested=True)
        sides.append(_Measured(side, rows))
    left, right = sides
    obstacle = _obstacle(contrast, left, right)
    if obstacle:
        return _Found(contrast, why=obstacle)
    own = all(
        evidence.is_own(need, row)
        for measured in sides
        for need, row in zip(measured.side.needs, measured.rows, strict=True)
    )
    question = THIS_TEST_SET if own else OTHER_IMAGES
    found = _difference(contrast, left, right, question, evidence.scores_of)
    unlike = _unlike_choices(left, right) or _unlike_lengths(contrast, left, right, evidence)
    return replace(found, why=unlike) if unlike else found


def _timed(contrast: Contrast, find_seconds: FindSeconds | None) -> _Found:
    seconds = []
    for side in contrast.sides:
        value = find_seconds(side.need) if find_seconds else None
        if value is None:
            return _Found(contrast, why=f"{side} is not timed", untested=True)
        seconds.append(value)
    exact = _exactly(seconds[0] - seconds[1])
    return _Found(contrast, exact.value, exact, n=1, margin=MARGIN * seconds[1])


def _exactly(value: float) -> Estimate:
    return Estimate(value, 0.0, 0.0, 0.0, float("inf"))


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


def _difference(
    contrast: Contrast,
    left: _Measured,
    right: _Measured,
    question: str,
    scores_of: ScoresOf | None,
) -> _Found:
    """Left less right, with the noise that its question asks for."""
    metric = contrast.left.metric
    if metric in EXACT:
        gaps = [np.mean(list(by_seed(side.rows[0], metric).values())) for side in (left, right)]
        exact = _exactly(float(gaps[0] - gaps[1]))
        return _Found(contrast, exact.value, exact, n=1, question=question)
    samples = [side.sample(question, scores_of) for side in (left, right)]
    ours, theirs = samples
    if ours is None or theirs is None:
        value = _plain_gap(left, right)
        why = _no_interval(left, right)
        return _Found(contrast, value, question=question, n=1, why=why)
    if contrast.paired:
        ours, theirs = in_common(ours, theirs)
        if question == OTHER_IMAGES and left.drawn != right.drawn:
            why = "the resamples of the two sides cannot be held against each other"
            return _Found(contrast, _plain_gap(left, right), question=question, n=1, why=why)
    else:  # the same numbers of seeds are no pairs on other data
        theirs = replace(theirs, seeds=tuple(-1 - seed for seed in theirs.seeds))
    counts = [len(one.seeds) for one in (ours, theirs) if one.stochastic]
    n = min(counts, default=1)
    if counts and n < FEWEST:
        value = float(ours.values.mean() - theirs.values.mean()) if n else None
        why = f"n = {n} of a stochastic method, and {FEWEST} seeds are needed"
        return _Found(contrast, value, question=question, n=n, why=why)
    drawn = min(left.drawn, right.drawn, key=lambda one: one.clusters)
    found = difference(ours, theirs, drawn.clusters, drawn.splits)
    return _Found(contrast, found.value, found, image_noise(ours, theirs), n, question)


def _plain_gap(left: _Measured, right: _Measured) -> float | None:
    """Left less right without noise; None of gains."""
    if len(left.rows) + len(right.rows) > 2:
        return None
    values = [list(by_seed(m.rows[0], m.side.metric).values()) for m in (left, right)]
    return float(np.mean(values[0]) - np.mean(values[1])) if all(values) else None


def _no_interval(left: _Measured, right: _Measured) -> str:
    """Why a difference has no interval over test images."""
    metric = left.side.metric
    rare = {
        name: n
        for side in (left, right)
        for row in side.rows
        for name, n in row.rare_labels.items()
    }
    if metric.startswith("macro_") and rare:
        counts = ", ".join(f"{name} {n}" for name, n in rare.items())
        return f"no interval: {metric} is a mean over labels, some with few test images ({counts})"
    return f"{metric} has no interval over test images: scores are not stored"


# -- what decides nothing -------------------------------------------------------------------------


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
        if not all(by_seed(row, measured.side.metric) for row in measured.rows):
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


def _unlike_choices(left: _Measured, right: _Measured) -> str:
    """That epochs or parameters were chosen in another way on one side; "" where alike."""
    cells = [record.cell for record in (*left.records, *right.records)]
    selections = sorted({cell.selection for cell in cells} - {"none"})
    if len(selections) > 1:
        return f"epochs were chosen by {' and by '.join(selections)}"
    if len({bool(cell.tuned) for cell in cells}) > 1:
        return "parameters were chosen on one side alone"
    return ""


def _unlike_lengths(
    contrast: Contrast, left: _Measured, right: _Measured, evidence: Evidence
) -> str:
    """That a network was cut short and has not converged; with the gap against length."""
    rows = [row for side in (left, right) for row in side.rows]
    return cut_short(rows, evidence.lengths, contrast.left.metric)
