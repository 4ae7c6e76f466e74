"""What a method predicted for each image, and the quantities per image that criteria average."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from bench.api import BenchError, near
from bench.score.deferred import Deferred

if TYPE_CHECKING:
    import numpy as np
else:
    np = Deferred("numpy")

CONVENTIONS = ("sklearn", "matlab", "mulan", "raf-ml")
KINDS = ("multi", "single")

Measure: TypeAlias = "Callable[[np.ndarray], np.ndarray]"
"""Gives a criterion's values (B,) from B sets of weights of the rows, (n, B); NaN = undefined."""


class Predictions:
    """Truth of a test part beside a method's scores and labels, checked.

    Parameters
    ----------
    truth : bool (n, L)
    scores : float (n, L), finite, or None
        Higher means more likely present.
    labels : bool (n, L), or None
    convention : str
        One of `CONVENTIONS`.
    kind : {"multi", "single"}
        Label sets, or exactly one class per row.

    Raises
    ------
    BenchError
        For an unknown name, no rows or labels, wrong shapes, scores that are not finite floats,
        truth or labels that are not bool.
    """

    def __init__(
        self,
        truth: np.ndarray,
        scores: np.ndarray | None,
        labels: np.ndarray | None,
        convention: str,
        kind: str,
    ) -> None:
        if convention not in CONVENTIONS:
            raise BenchError(f"no convention {convention!r}: {near(convention, CONVENTIONS)}")
        if kind not in KINDS:
            raise BenchError(f"no kind of data {kind!r}: {near(kind, KINDS)}")
        _check_truth(truth, kind)
        if scores is not None:
            _check_scores(scores, truth.shape)
        if labels is not None:
            _check_labels(labels, truth.shape)
        self.truth, self.convention, self.kind = truth, convention, kind
        self._scores, self._labels = scores, labels

    def has(self, needs: str) -> bool:
        """Whether the method gave ``needs``: ``scores`` or ``labels``."""
        return (self._scores if needs == "scores" else self._labels) is not None

    @property
    def scores(self) -> np.ndarray:
        """Float (n, L); ask `has` first."""
        assert self._scores is not None
        return self._scores

    @property
    def labels(self) -> np.ndarray:
        """Bool (n, L); ask `has` first."""
        assert self._labels is not None
        return self._labels

    @cached_property
    def ranking(self) -> Ranking:
        """The labels of each row in descending order of score."""
        return Ranking(self.truth, self.scores)


def _check_truth(truth: np.ndarray, kind: str) -> None:
    if truth.dtype != bool or truth.ndim != 2 or 0 in truth.shape:
        raise BenchError(
            f"truth is {truth.dtype} {truth.shape}; criteria need bool (n, L) with at least "
            "one row and one label"
        )
    if kind == "single" and not (truth.sum(axis=1) == 1).all():
        raise BenchError(
            "single-label criteria need exactly one class per row of truth; evaluate label "
            "sets as kind 'multi'"
        )


def _check_scores(scores: np.ndarray, shape: tuple[int, ...]) -> None:
    if not np.issubdtype(scores.dtype, np.floating) or scores.shape != shape:
        raise BenchError(
            f"scores are {scores.dtype} {scores.shape}; they must be float {shape} "
            "(label sets go in as labels, not as scores)"
        )
    if not np.isfinite(scores).all():
        row = int(np.flatnonzero(~np.isfinite(scores).all(axis=1))[0])
        raise BenchError(
            f"scores of row {row} are not finite; the method must score every label of every row"
        )


def _check_labels(labels: np.ndarray, shape: tuple[int, ...]) -> None:
    if labels.dtype != bool or labels.shape != shape:
        raise BenchError(
            f"labels are {labels.dtype} {labels.shape}; they must be bool {shape} "
            "(scores go in as scores, a threshold is the method's to choose)"
        )


class Ranking:
    """The labels of each row in descending order of score, equal scores by falling column.

    Attributes
    ----------
    relevant : bool (n, L)
        Truth in that order.
    place, last, before : int (n, L)
        For the label at each place: its place from 1; the last place of the labels with its score
        (its worst rank, the number of labels scored no lower); the number of labels scored higher.
    present, absent : int (n,)
        Relevant and irrelevant labels of the row.
    tied : bool (n,)
        Whether two labels of the row have the same score.
    """

    def __init__(self, truth: np.ndarray, scores: np.ndarray) -> None:
        count = truth.shape[1]
        order = np.argsort(scores, axis=1, kind="stable")[:, ::-1]
        ordered = np.take_along_axis(scores, order, axis=1)
        self.relevant = np.take_along_axis(truth, order, axis=1)
        self.present = truth.sum(axis=1)
        self.absent = count - self.present
        places = np.arange(1, count + 1)
        self.place = np.broadcast_to(places, truth.shape)
        step = ordered[:, 1:] != ordered[:, :-1]
        self.tied = ~step.all(axis=1)
        edge = np.ones((len(truth), 1), dtype=bool)
        ends = np.where(np.hstack([step, edge]), places, count)
        self.last = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
        starts = np.where(np.hstack([edge, step]), places - 1, 0)
        self.before = np.maximum.accumulate(starts, axis=1)
        self._hits = np.pad(np.cumsum(self.relevant, axis=1), ((0, 0), (1, 0)))

    def hits(self, depth: np.ndarray) -> np.ndarray:
        """Relevant labels among the first ``depth`` places: int (n, m) in, int (n, m) out."""
        return np.take_along_axis(self._hits, depth, axis=1)


def mean_over_rows(values: np.ndarray) -> Measure:
    """The weighted mean of ``values`` float (n,); rows that are NaN do not count."""
    counted = ~np.isnan(values)
    parts = np.vstack([np.where(counted, values, 0.0), counted])

    def measure(weights: np.ndarray) -> np.ndarray:
        # Not `@`: BLAS adds in an order that depends on its threads, so last digits would too.
        total, rows = np.einsum("kn,nb->kb", parts, weights)
        with np.errstate(invalid="ignore"):
            return np.asarray(total / rows)

    return measure


def area_under_curve(positive: np.ndarray, scores: np.ndarray, rows: np.ndarray) -> Measure:
    """The probability that a positive is scored above a negative, equal scores counting one half.

    Sorting and searching are done once; each set of weights then costs one running sum.

    Parameters
    ----------
    positive : bool (m,)
    scores : float (m,)
    rows : int (m,)
        The row whose weight each of the m decisions carries.
    """
    order = np.argsort(scores)
    positive, scores, rows = positive[order], scores[order], rows[order]
    negative_scores, negative_rows = scores[~positive], rows[~positive]
    positive_rows = rows[positive]
    lower = np.searchsorted(negative_scores, scores[positive], side="left")
    no_higher = np.searchsorted(negative_scores, scores[positive], side="right")

    def measure(weights: np.ndarray) -> np.ndarray:
        mass = np.zeros((len(negative_rows) + 1, weights.shape[1]))
        np.cumsum(weights[negative_rows], axis=0, out=mass[1:])
        positives = weights[positive_rows]
        # Twice the area: whole numbers for whole weights, so that no order of adding matters.
        won = np.einsum("ib,ib->b", positives, mass[lower])
        won += np.einsum("ib,ib->b", positives, mass[no_higher])
        with np.errstate(invalid="ignore"):
            return np.asarray(won / (2 * positives.sum(axis=0) * mass[-1]))

    return measure
