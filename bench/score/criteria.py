"""The nine criteria of multi-label recognition, two of single-label recognition, and `evaluate`.

Four conventions, because ties and empty rows move numbers more than methods do:

``sklearn``
    scikit-learn's functions; worst rank for tied labels.
``matlab``
    The files that M.-L. Zhang's group publishes with its methods: a tie goes to the later column
    in coverage and average precision, costs a full error in ranking loss and nothing in one-error;
    rows with no or all labels are skipped.
``mulan``
    The Java library MULAN: every tie goes to the later column.
``raf-ml``
    The formulas printed by Li & Deng, IJCV 127 (2019), Sec. 6.3.3: worst rank in coverage and
    average precision, strict order in ranking loss. The formulas are silent about the rest
    (0/0 for rows with no or all labels, tied top labels, absent classes), and RAF-ML holds no such
    row; there ``sklearn`` is followed, so that the two differ in ranking loss alone.

Where a file or paper defines no F1 or AUC, ``sklearn`` is followed. Coverage is rank - 1 under
every convention: the printed formulas differ, the printed tables do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bench.score.deferred import Deferred
from bench.score.predictions import (
    CONVENTIONS,
    Measure,
    Predictions,
    area_under_curve,
    mean_over_rows,
)

if TYPE_CHECKING:
    import numpy as np
else:
    np = Deferred("numpy")

__all__ = [
    "BY_NAME",
    "CONVENTIONS",
    "COVERAGE_ONE_BASED",
    "CRITERIA",
    "SINGLE_CRITERIA",
    "Criterion",
    "Evaluation",
    "alike",
    "evaluate",
    "measures",
]

_SCHAPIRE = "R. E. Schapire and Y. Singer, Machine Learning 39 (2000) 135–168"
_REVIEW = "M.-L. Zhang and Z.-H. Zhou, IEEE TKDE 26 (2014) 1819–1837"


def _rule(text: str, **other: str) -> Mapping[str, str]:
    """``text`` under every convention but those named (``raf_ml`` for ``raf-ml``)."""
    return {name: other.get(name.replace("-", "_"), text) for name in CONVENTIONS}


_NO_TIES = _rule("scores are not used")
_NO_RULE = _rule("counts like any other row")
_NO_CLASSES = _rule("labels are not averaged")


class Criterion:
    """One number about a method on a test part.

    Class attributes
    ----------------
    name, title : str
        As in files and as printed.
    direction : {"lower", "higher"}
        Which is better.
    range : tuple of (float, float or None)
        Smallest and largest value; None where it grows with the number of labels.
    needs : {"scores", "labels"}
    by_label : bool
        Whether it is a mean over labels or classes, to which a rare one adds as much as any other.
    ties, empty_rows, full_rows, absent_classes : mapping of convention to str
        The rule for equal scores, for rows with no and with all labels, and for labels that every
        test row has or none.
    reference : str
    """

    name: ClassVar[str]
    title: ClassVar[str]
    direction: ClassVar[str]
    range: ClassVar[tuple[float, float | None]] = (0.0, 1.0)
    needs: ClassVar[str]
    by_label: ClassVar[bool] = False
    ties: ClassVar[Mapping[str, str]] = _NO_TIES
    empty_rows: ClassVar[Mapping[str, str]] = _NO_RULE
    full_rows: ClassVar[Mapping[str, str]] = _NO_RULE
    absent_classes: ClassVar[Mapping[str, str]] = _NO_CLASSES
    reference: ClassVar[str]

    def measure(self, predictions: Predictions) -> Measure:
        """The function from weights of the rows, float (n, B), to values (B,); NaN = undefined."""
        raise NotImplementedError


class HammingLoss(Criterion):
    """Share of the n * L decisions that are wrong."""

    name, title, direction, needs = "hamming_loss", "Hamming loss", "lower", "labels"
    reference = "R. E. Schapire and Y. Singer, Machine Learning 37 (1999) 297–336"

    def measure(self, predictions: Predictions) -> Measure:
        return mean_over_rows((predictions.labels != predictions.truth).mean(axis=1))


class CoverageOneBased(Criterion):
    """Mean rank of the relevant label ranked last, as the RAF-ML paper prints the formula."""

    name, title, direction, needs = "coverage_one_based", "Coverage (one-based)", "lower", "scores"
    range = (0.0, None)
    ties = _rule(
        "worst rank: all labels with the score count",
        matlab="the later column ranks first",
        mulan="the later column ranks first",
    )
    empty_rows = _rule("0")
    reference = f"{_SCHAPIRE}; S. Li and W. Deng, IJCV 127 (2019) 884–906, Sec. 6.3.3 (2)"

    def rows(self, predictions: Predictions) -> np.ndarray:
        """Rank of the relevant label ranked last, int (n,); 0 without one."""
        order = predictions.ranking
        by_index = predictions.convention in ("matlab", "mulan")
        rank = order.place if by_index else order.last
        return np.asarray((rank * order.relevant).max(axis=1))

    def measure(self, predictions: Predictions) -> Measure:
        return mean_over_rows(self.rows(predictions))


class Coverage(CoverageOneBased):
    """Mean number of steps down the ranked labels to the last relevant one: rank - 1."""

    name, title = "coverage", "Coverage"
    range = (-1.0, None)
    empty_rows = _rule("0", matlab="-1, the smallest value")
    reference = f"{_SCHAPIRE}; {_REVIEW}, Sec. 2.2"

    def measure(self, predictions: Predictions) -> Measure:
        steps = self.rows(predictions) - 1
        return mean_over_rows(steps if predictions.convention == "matlab" else np.maximum(steps, 0))


class OneError(Criterion):
    """Share of rows whose top label is not relevant."""

    name, title, direction, needs = "one_error", "One-error", "lower", "scores"
    ties = _rule(
        "the first column is the top label",
        matlab="right if any top label is relevant",
        mulan="the last column is the top label",
    )
    empty_rows = _rule("1", matlab="skipped")
    full_rows = _rule("0", matlab="skipped")
    reference = _SCHAPIRE

    def measure(self, predictions: Predictions) -> Measure:
        order = predictions.ranking
        top = order.last[:, :1]  # equal scores stand by falling column: the first column is last
        if predictions.convention == "matlab":
            right = order.hits(top)[:, 0] > 0
            return mean_over_rows(_mixed_only(predictions, ~right))
        if predictions.convention == "mulan":
            return mean_over_rows(1.0 - order.relevant[:, 0])
        return mean_over_rows(1.0 - np.take_along_axis(order.relevant, top - 1, axis=1)[:, 0])


class RankingLoss(Criterion):
    """Mean share of (relevant, irrelevant) pairs in the wrong order."""

    name, title, direction, needs = "ranking_loss", "Ranking loss", "lower", "scores"
    ties = _rule(
        "a full error",
        mulan="the later column ranks first",
        raf_ml="no error",
    )
    empty_rows = _rule("0", matlab="skipped")
    full_rows = empty_rows
    reference = _SCHAPIRE

    def measure(self, predictions: Predictions) -> Measure:
        order = predictions.ranking
        depth = {"mulan": order.place, "raf-ml": order.before}.get(
            predictions.convention, order.last
        )
        wrong = ((depth - order.hits(depth)) * order.relevant).sum(axis=1)
        loss = wrong / np.maximum(order.present * order.absent, 1)  # no pairs: none is wrong
        return mean_over_rows(
            _mixed_only(predictions, loss) if predictions.convention == "matlab" else loss
        )


class AveragePrecision(Criterion):
    """Mean, over the relevant labels of a row, of the precision down to their rank."""

    name, title, direction, needs = "average_precision", "Average precision", "higher", "scores"
    ties = CoverageOneBased.ties
    empty_rows = _rule("1", matlab="skipped", mulan="skipped")
    full_rows = _rule("1", matlab="skipped")
    reference = _SCHAPIRE

    def measure(self, predictions: Predictions) -> Measure:
        order = predictions.ranking
        by_index = predictions.convention in ("matlab", "mulan")
        rank = order.place if by_index else order.last
        precision = (order.hits(rank) / rank * order.relevant).sum(axis=1)
        empty = np.nan if predictions.convention == "mulan" else 1.0
        mean = np.where(order.present > 0, precision / np.maximum(order.present, 1), empty)
        return mean_over_rows(
            _mixed_only(predictions, mean) if predictions.convention == "matlab" else mean
        )


def _mixed_only(predictions: Predictions, values: np.ndarray) -> np.ndarray:
    """Values of the rows with both relevant and irrelevant labels; NaN elsewhere."""
    order = predictions.ranking
    return np.where((order.present > 0) & (order.absent > 0), values, np.nan)


class MicroF1(Criterion):
    """F1 of the n * L decisions pooled: 2 TP / (2 TP + FP + FN)."""

    name, title, direction, needs = "micro_f1", "Micro-F1", "higher", "labels"
    absent_classes = _rule("0 where nothing is relevant or predicted", mulan="1 there")
    reference = f"{_REVIEW}, Sec. 2.2"

    def measure(self, predictions: Predictions) -> Measure:
        hits = (predictions.labels & predictions.truth).astype(float)
        marks = predictions.labels.astype(float) + predictions.truth
        undefined = 1.0 if predictions.convention == "mulan" else 0.0

        def measure(weights: np.ndarray) -> np.ndarray:
            return self.average(hits.T @ weights, marks.T @ weights, undefined)

        return measure

    def average(self, hits: np.ndarray, marks: np.ndarray, undefined: float) -> np.ndarray:
        """F1 (B,) from TP and 2 TP + FP + FN of each label, float (L, B)."""
        return _f1(hits.sum(axis=0), marks.sum(axis=0), undefined)


class MacroF1(MicroF1):
    """Mean over labels of their F1."""

    name, title = "macro_f1", "Macro-F1"
    by_label = True
    absent_classes = _rule("0 for a label neither relevant nor predicted", mulan="1 for it")

    def average(self, hits: np.ndarray, marks: np.ndarray, undefined: float) -> np.ndarray:
        return np.asarray(_f1(hits, marks, undefined).mean(axis=0))


def _f1(hits: np.ndarray, marks: np.ndarray, undefined: float) -> np.ndarray:
    return np.where(marks > 0, 2 * hits / np.maximum(marks, 1), undefined)


class MicroAUC(Criterion):
    """Area under the ROC curve of the n * L decisions pooled."""

    name, title, direction, needs = "micro_auc", "Micro-AUC", "higher", "scores"
    ties = _rule("one half")
    absent_classes = _rule("undefined where all decisions are of one class")
    reference = f"{_REVIEW}, Sec. 2.2"

    def measure(self, predictions: Predictions) -> Measure:
        n, count = predictions.truth.shape
        rows = np.repeat(np.arange(n), count)
        return area_under_curve(predictions.truth.ravel(), predictions.scores.ravel(), rows)


class MacroAUC(MicroAUC):
    """Mean over labels of the area under their ROC curve."""

    name, title = "macro_auc", "Macro-AUC"
    by_label = True
    absent_classes = _rule(
        "labels that are never or always present are left out; undefined where none remains"
    )

    def measure(self, predictions: Predictions) -> Measure:
        rows = np.arange(len(predictions.truth))
        columns = zip(predictions.truth.T, predictions.scores.T, strict=True)
        areas = [area_under_curve(truth, scores, rows) for truth, scores in columns]
        return lambda weights: _mean_defined(np.array([area(weights) for area in areas]))


def _mean_defined(values: np.ndarray) -> np.ndarray:
    """Mean over the first axis without NaN; NaN where nothing else is there."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(defined, values, 0.0).sum(axis=0) / defined.sum(axis=0))


class Accuracy(Criterion):
    """Share of rows whose class has the highest score (single-label data)."""

    name, title, direction, needs = "accuracy", "Accuracy", "higher", "scores"
    ties = _rule("the first column is the class")
    empty_rows = full_rows = _rule("refused: every row has one class")
    reference = "S. Li and W. Deng, IEEE TIP 28 (2019) 356–370"

    def measure(self, predictions: Predictions) -> Measure:
        return mean_over_rows(_right(predictions))


class MeanRecall(Accuracy):
    """Mean over classes of the share of their rows that are recognised (single-label data)."""

    name, title = "mean_recall", "Mean recall"
    by_label = True
    absent_classes = _rule("classes without a row are left out")

    def measure(self, predictions: Predictions) -> Measure:
        rows = np.where(predictions.truth.T, _right(predictions), np.nan)
        recalls = [mean_over_rows(of_class) for of_class in rows]
        return lambda weights: _mean_defined(np.array([recall(weights) for recall in recalls]))


def _right(predictions: Predictions) -> np.ndarray:
    """Whether the class with the highest score is the true one, float (n,)."""
    return np.where(predictions.scores.argmax(axis=1) == predictions.truth.argmax(axis=1), 1.0, 0.0)


CRITERIA: tuple[Criterion, ...] = (
    HammingLoss(),
    Coverage(),
    OneError(),
    RankingLoss(),
    AveragePrecision(),
    MicroF1(),
    MacroF1(),
    MicroAUC(),
    MacroAUC(),
)
COVERAGE_ONE_BASED: Criterion = CoverageOneBased()
SINGLE_CRITERIA: tuple[Criterion, ...] = (Accuracy(), MeanRecall())
BY_NAME: Mapping[str, Criterion] = {
    criterion.name: criterion for criterion in (*CRITERIA, COVERAGE_ONE_BASED, *SINGLE_CRITERIA)
}


def alike(name: str, one: str, other: str) -> bool:
    """Whether two conventions state the same rules for a criterion, so that its values are equal.

    Also of what is no criterion of label sets, which no convention is about.
    """
    criterion = BY_NAME.get(name)
    if criterion is None:
        return True
    rules = (criterion.ties, criterion.empty_rows, criterion.full_rows, criterion.absent_classes)
    return all(rule[one] == rule[other] for rule in rules)


@dataclass(frozen=True)
class Evaluation:
    """The criteria of one method on one test part.

    Attributes
    ----------
    values : dict of str to float or None
        By name: the nine and ``coverage_one_based`` on label sets, `SINGLE_CRITERIA` on single
        labels. None where the method does not give what the criterion needs, or it is undefined.
    left_out : int
        Labels left out of macro-AUC (of mean recall on single labels).
    tied_rows : float or None
        Share of rows in which two labels have the same score; None without scores.
    """

    values: dict[str, float | None]
    left_out: int
    tied_rows: float | None


def measures(predictions: Predictions) -> dict[str, Measure | None]:
    """How to compute each criterion of this kind of data; None where its input is missing."""
    multi = (*CRITERIA, COVERAGE_ONE_BASED)
    return {
        criterion.name: criterion.measure(predictions) if predictions.has(criterion.needs) else None
        for criterion in (SINGLE_CRITERIA if predictions.kind == "single" else multi)
    }


def evaluate(
    truth: np.ndarray,
    scores: np.ndarray | None,
    labels: np.ndarray | None,
    convention: str = "sklearn",
    kind: str = "multi",
) -> Evaluation:
    """Every criterion of one method.

    Parameters
    ----------
    truth : bool (n, L)
    scores : float (n, L), finite, or None
        What ranking criteria, AUC and the single-label criteria take.
    labels : bool (n, L), or None
        What Hamming loss and F1 take; single-label criteria have no use for them.
    convention : str
        One of `CONVENTIONS`; single-label criteria are the same under all.
    kind : {"multi", "single"}

    Raises
    ------
    BenchError
        See `bench.score.predictions.Predictions`.
    """
    predictions = Predictions(truth, scores, labels, convention, kind)
    once = np.ones((len(truth), 1))
    values: dict[str, float | None] = {}
    for name, measure in measures(predictions).items():
        value = np.nan if measure is None else float(measure(once)[0])
        values[name] = None if np.isnan(value) else value
    missing = ~truth.any(axis=0)
    one_sided = missing if kind == "single" else missing | truth.all(axis=0)
    tied = float(predictions.ranking.tied.mean()) if predictions.has("scores") else None
    return Evaluation(values, int(one_sided.sum()), tied)
