"""Two rows of one dataset compared: each criterion's difference, and what can be said of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.api import BenchError, near
from bench.publish.corrections import IdsOf, Tally, tallies
from bench.publish.ranking import AnyCriterion
from bench.publish.rows import CriterionEstimate, Row, ScoresOf
from bench.run.scoring import under
from bench.score.criteria import CONVENTIONS, CRITERIA, SINGLE_CRITERIA
from bench.score.distribution import DISTRIBUTION_CRITERIA
from bench.score.intervals import FEWEST, Estimate, difference
from bench.score.repeated import repeated_folds

MARGIN, MARGIN_UNBOUNDED = 0.01, 0.05
"""What is practically equal: of criteria in [0, 1], and of those that count further."""

TIED = 0.01
"""Share of test images with tied scores from which other conventions are named."""

LEFT, RIGHT, UNDECIDED, NO_VERDICT = "left", "right", "undecided", "none"
"""Which row is better; that they cannot be told apart; that nothing may be said."""


@dataclass(frozen=True)
class CriterionComparison:
    """One criterion of two rows.

    Attributes
    ----------
    left, right : float or None
        Means over splits of means over seeds.
    difference : Estimate or None
        Left less right with its noise; None where that is not known.
    margin : float
        Differences up to it are practically none.
    over : str
        What the interval is over.
    why : str
        Why there is no interval, or no verdict; empty where there is one.
    """

    criterion: AnyCriterion
    left: float | None
    right: float | None
    difference: Estimate | None
    margin: float
    over: str
    why: str

    @property
    def sign(self) -> int:
        """1 where higher is better, -1 where lower is."""
        return 1 if self.criterion.direction == "higher" else -1

    @property
    def verdict(self) -> str:
        """`LEFT`, `RIGHT`, `UNDECIDED` or `NO_VERDICT`, by the 95 % interval."""
        if self.difference is None or self.why:
            return NO_VERDICT
        low, high = sorted(self.sign * bound for bound in self.difference.interval())
        if low > 0:
            return LEFT
        return RIGHT if high < 0 else UNDECIDED

    @property
    def chances(self) -> tuple[float, float, float] | None:
        """Probabilities: left better by more than the margin, practically equal, right better.

        None where noise is left out of the interval, so that they would be too sure.
        """
        if self.difference is None or self.why:
            return None
        below, within, above = self.difference.chances(self.margin)
        return (above, within, below) if self.sign > 0 else (below, within, above)


@dataclass(frozen=True)
class RowComparison:
    """Two rows as they compare.

    Attributes
    ----------
    names : tuple of str
        Of the left and the right row.
    criteria : tuple of CriterionComparison
        The first one decides; the others are shown.
    tallies : tuple of Tally
        Images that one alone gets right; empty where they cannot be counted.
    no_tallies : str
        Why they cannot.
    elsewhere : mapping of str to CriterionComparison
        The first criterion by other conventions, as far as records hold them, where the verdict is
        another one.
    remarks : tuple of str
        What else a reader has to know before believing a difference.
    """

    names: tuple[str, str]
    rows: tuple[Row, Row]
    criteria: tuple[CriterionComparison, ...]
    tallies: tuple[Tally, ...]
    no_tallies: str
    elsewhere: Mapping[str, CriterionComparison]
    remarks: tuple[str, ...]


def criteria_of(kind: str, names: Sequence[str]) -> list[AnyCriterion]:
    """The criteria of these names, or those that data of a kind have, the deciding one first.

    Raises
    ------
    BenchError
        No such criterion on this kind of data.
    """
    usual: Sequence[AnyCriterion] = SINGLE_CRITERIA if kind == "single" else CRITERIA
    known = {criterion.name: criterion for criterion in (*usual, *DISTRIBUTION_CRITERIA)}
    if not names:
        first = known["accuracy" if kind == "single" else "average_precision"]
        return [first, *(criterion for criterion in usual if criterion is not first)]
    for name in names:
        if name not in known:
            data = "one class per image" if kind == "single" else "label sets"
            raise BenchError(f"--criterion {name}: none on {data}; {near(name, known)}")
    return [known[name] for name in dict.fromkeys(names)]


def compare_rows(
    names: tuple[str, str],
    rows: tuple[Row, Row],
    criteria: Sequence[AnyCriterion],
    scores_of: ScoresOf,
    ids_of: IdsOf,
    *,
    margin: float | None = None,
    labels: bool = False,
    others: Mapping[str, tuple[Row, Row]] | None = None,
) -> RowComparison:
    """Compare two rows of one dataset.

    Parameters
    ----------
    rows : tuple of Row
        With criteria of one convention (`bench.publish.rows.in_convention`).
    margin : float or None
        Of practical equality; None for `MARGIN` and `MARGIN_UNBOUNDED`.
    labels : bool
        Whether images are counted for each label too.
    others : mapping of str to tuple of Row, optional
        The same rows by other conventions (`by_other_conventions`).

    Raises
    ------
    BenchError
        Rows that were not measured on the same images, and people.
    """
    for name, row in zip(names, rows, strict=True):
        if not any(record.bootstrap for record in row.ok):
            raise BenchError(
                f"{name} has no resamples on {row.cell.dataset}: people are judged by half of the "
                "votes, methods by all, and the two are not on one truth"
            )
    _check_same_images(names, *rows)
    counted, why = tallies(*rows, scores_of, ids_of, labels)
    found = tuple(_compared(names, rows, criterion, margin) for criterion in criteria)
    elsewhere = {
        convention: _compared(names, theirs, criteria[0], margin)
        for convention, theirs in (others or {}).items()
    }
    unlike = {name: one for name, one in elsewhere.items() if one.verdict != found[0].verdict}
    remarks = [*_remarks(names, rows), *([] if others else _tied(names, rows))]
    return RowComparison(names, rows, found, tuple(counted), why, unlike, tuple(remarks))


def by_other_conventions(rows: tuple[Row, Row], convention: str) -> dict[str, tuple[Row, Row]]:
    """Two rows by each convention but one, as far as their records hold its criteria."""
    found = {}
    for name in CONVENTIONS:
        held = [[under(record, name) for record in row.ok] for row in rows]
        left, right = (Row(tuple(r for r in of_row if r is not None)) for of_row in held)
        whole = len(left.records) == len(rows[0].ok) and len(right.records) == len(rows[1].ok)
        if whole and name != convention and rows[0].cell.kind == "multi":
            found[name] = (left, right)
    return found


def _check_same_images(names: tuple[str, str], left: Row, right: Row) -> None:
    if left.records[0].key == right.records[0].key:
        raise BenchError(f"{names[0]} and {names[1]} are the same row: name two")
    dataset = left.cell.dataset
    if left.cell.fingerprint != right.cell.fingerprint:
        prints = f"{left.cell.fingerprint[:8]} and {right.cell.fingerprint[:8]}"
        raise BenchError(
            f"{names[0]} and {names[1]} were measured on different data, both named {dataset} "
            f"({prints}): measure one of them again"
        )
    protocols = [str(row.cell.protocol) for row in (left, right)]
    if protocols[0] != protocols[1]:
        raise BenchError(
            f"{names[0]} was measured by protocol {protocols[0]} and {names[1]} by {protocols[1]}, "
            "on different test images: measure both by one, and choose it with --protocol"
        )
    if left.splits != right.splits:
        lacking = names[0] if len(left.splits) < len(right.splits) else names[1]
        raise BenchError(
            f"{names[0]} has results on {len(left.splits)} splits of {dataset} and {names[1]} on "
            f"{len(right.splits)}, not all of them the same: run what {lacking} lacks"
        )


def _compared(
    names: tuple[str, str], rows: tuple[Row, Row], criterion: AnyCriterion, margin: float | None
) -> CriterionComparison:
    estimates = [row.estimate(criterion.name) for row in rows]
    means = [None if found is None else found.mean for found in estimates]
    width = (MARGIN if _bounded(criterion) else MARGIN_UNBOUNDED) if margin is None else margin
    left, right = estimates
    over, why, found = "test images and seeds", "", None
    if left is None or right is None:
        lacking = names[0] if left is None else names[1]
        why = f"{lacking} has no {criterion.title}: it gives no {criterion.needs}, or it is "
        why += "undefined on this test part"
    elif _repeated(rows[0]):
        over = "repeated folds"
        found = _over_folds(rows, criterion)
    elif left.sample is None or right.sample is None or left.drawn != right.drawn:
        why = _no_interval(rows, criterion, left, right)
    elif left.few_seeds or right.few_seeds:
        over = "test images alone"
        fixed = (replace(left.sample, stochastic=False), replace(right.sample, stochastic=False))
        found = difference(*fixed, left.drawn.clusters, left.drawn.splits)
        why = _few_seeds(names, left, right)
    else:
        if not any(row.cell.stochastic for row in rows):
            over = "test images"
        found = left.less(right)
    return CriterionComparison(criterion, means[0], means[1], found, width, over, why)


def _bounded(criterion: AnyCriterion) -> bool:
    """Whether all values lie in [0, 1]."""
    if isinstance(criterion.range, str):
        return criterion.range in ("0 to 1", "1 to 0")
    return criterion.range == (0.0, 1.0)


def _no_interval(
    rows: tuple[Row, Row],
    criterion: AnyCriterion,
    left: CriterionEstimate,
    right: CriterionEstimate,
) -> str:
    rare = rows[0].rare_labels
    if getattr(criterion, "by_label", False) and rare:
        counts = ", ".join(f"{name} {count}" for name, count in rare.items())
        return f"no reliable interval of a mean over labels with so few test images: {counts}"
    if left.sample is None or right.sample is None:
        return "the records hold no resamples of it for every seed and split"
    return "the two rows were resampled otherwise: measure the older one again"


def _few_seeds(names: tuple[str, str], left: CriterionEstimate, right: CriterionEstimate) -> str:
    few = [
        f"{name} has {len(one.sample.seeds)} seed{'s' * (len(one.sample.seeds) > 1)}"
        for name, one in zip(names, (left, right), strict=True)
        if one.few_seeds and one.sample is not None
    ]
    return (
        f"{' and '.join(few)}, and fewer than {FEWEST} do not tell what others would give "
        "(bench run --seeds)"
    )


def _repeated(row: Row) -> bool:
    """Whether the protocol repeats its folds, whose test parts then share images: ``cv5x5``."""
    protocol = row.cell.protocol
    return re.match(r"cv\d+x\d+", protocol.target or protocol.name) is not None


def _over_folds(rows: tuple[Row, Row], criterion: AnyCriterion) -> Estimate:
    """By the corrected resampled t-test; a fold's value is the mean over seeds."""
    by_split = [_by_split(row, criterion.name) for row in rows]
    gaps = [by_split[0][split] - by_split[1][split] for split in sorted(by_split[0])]
    cells = [record.cell for record in rows[0].ok]
    ratio = sum(cell.n_test for cell in cells) / sum(cell.n_train for cell in cells)
    return repeated_folds(np.array(gaps), ratio)


def _by_split(row: Row, criterion: str) -> dict[str, float]:
    means = {}
    for split in row.splits:
        found = Row(tuple(r for r in row.ok if r.cell.split_hash == split)).estimate(criterion)
        if found is not None:
            means[split] = found.mean
    return means


def _remarks(names: tuple[str, str], rows: tuple[Row, Row]) -> list[str]:
    """Sentences on unequal conditions, which may be all of a difference."""
    cells = [row.cell for row in rows]
    remarks = []
    budgets = [cell.budget for cell in cells]
    if "smoke" in budgets:
        remarks.append("A smoke budget is a handful of iterations, no training to be judged.")
    trained = [budget for budget in budgets if budget != "any"]
    if len(set(trained)) > 1:
        remarks.append(f"The budgets differ, {_each(names, budgets)}: so do the trainings.")
    epochs = [_epochs(row) for row in rows]
    if set(trained) - {"paper"} and all(epochs) and epochs[0] != epochs[1]:
        remarks.append(
            f"The trainings were cut short at different lengths ({_each(names, epochs)} epochs): "
            "the longer one may be better for that alone."
        )
    selections = [cell.selection for cell in cells]
    if len(set(selections) - {"none"}) > 1:
        remarks.append(f"The epoch was chosen in different ways, {_each(names, selections)}.")
    if "test" in selections:
        remarks.append("An epoch chosen on the test part makes its row look better than it is.")
    rules = [f"{cell.threshold} {cell.fitted_on}".strip() for cell in cells]
    if rules[0] != rules[1]:
        remarks.append(
            f"Scores became label sets by different rules ({_each(names, rules)}): Hamming loss, "
            "F1 and the images counted compare the rules too (--threshold)."
        )
    if bool(cells[0].tuned) != bool(cells[1].tuned):
        tuned = names[0] if cells[0].tuned else names[1]
        remarks.append(f"Parameters of {tuned} were tuned, and none of the other.")
    if any(record.cell.weights == "random" for row in rows for record in row.ok):
        remarks.append("Random weights: untrained features are compared.")
    if all(cell.stochastic for cell in cells) and rows[0].seeds != rows[1].seeds:
        remarks.append("The two rows have different seeds, and are not compared seed by seed.")
    if len({record.criteria_code for row in rows for record in row.ok}) > 1:
        remarks.append(
            "Criteria of some records are of an earlier version, and no scores are stored to "
            "compute them again."
        )
    return remarks


def _tied(names: tuple[str, str], rows: tuple[Row, Row]) -> list[str]:
    """Where nobody knows what other conventions say: that they may say something else."""
    tied = [row.tied_rows or 0.0 for row in rows]
    if max(tied) < TIED:
        return []
    shares = _each(names, [f"{100 * share:.0f} %" for share in tied])
    return [
        f"Test images with tied scores, {shares}: conventions order ties differently, look at "
        "--convention matlab, mulan and raf-ml too."
    ]


def _epochs(row: Row) -> str:
    """How many epochs trainings had; empty where none is known."""
    lengths = sorted({record.curve.count("\n") - 1 for record in row.ok if record.curve})
    return " to ".join(map(str, dict.fromkeys((lengths[0], lengths[-1])))) if lengths else ""


def _each(names: tuple[str, str], values: Sequence[str]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in zip(names, values, strict=True))
