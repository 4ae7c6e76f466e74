"""C4.5 decision trees that behave as Weka's J48, quick where many trees share their features.

J. R. Quinlan, C4.5: programs for machine learning, Morgan Kaufmann, 1993; Improved use of
continuous attributes in C4.5, JAIR 4 (1996) 77–90. Where implementations differ, this is J48 of
Weka 3.9 with numeric features and nothing missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from bench.api import BenchError
from bench.learn.c45.grow import grow_nodes
from bench.learn.c45.nodes import Nodes, last_nodes, preorder
from bench.learn.c45.presort import Presorted
from bench.learn.c45.problem import pose
from bench.learn.c45.prune import collapse, prune
from bench.learn.compiled import compiled, read_only

_LEAST_CONFIDENCE = 1e-6  # in single precision 0 and 1 must not be near


@dataclass(frozen=True)
class Tree:
    """A grown tree; nodes are numbered parent, left subtree, right subtree.

    Attributes
    ----------
    feature : int32 (nodes,)
        What a node asks for, -1 in a leaf.
    threshold : float64 (nodes,)
        Values up to it go to the next node, others to ``right``.
    right : int32 (nodes,)
    counts : int32 (nodes, classes)
        Training rows.
    unpruned_leaves, unpruned_size : int
        Leaves and nodes before pruning (after collapsing, which J48 counts as growing).
    """

    feature: np.ndarray
    threshold: np.ndarray
    right: np.ndarray
    counts: np.ndarray
    unpruned_leaves: int
    unpruned_size: int

    @property
    def size(self) -> int:
        """Number of nodes."""
        return len(self.feature)

    @property
    def leaves(self) -> int:
        """Number of leaves."""
        return (self.size + 1) // 2

    def apply(self, X: np.ndarray) -> np.ndarray:
        """The leaf that each row of ``X`` float (m, d) ends in, int32 (m,)."""
        return _leaves(read_only(X), self.feature, self.threshold, self.right)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The most frequent class of the leaf, the first of equals, int64 (m,)."""
        return self.counts.argmax(axis=1)[self.apply(X)]

    def probabilities(self, X: np.ndarray) -> np.ndarray:
        """Share of each class among the training rows of the leaf, float64 (m, classes)."""
        return (self.counts / self.counts.sum(axis=1, keepdims=True))[self.apply(X)]


def grow(
    presorted: Presorted,
    y: np.ndarray,
    classes: int,
    rows: np.ndarray | None = None,
    *,
    min_leaf: int = 2,
    confidence: float = 0.25,
    pruned: bool = True,
) -> Tree:
    """Grow one tree; several may grow at once in threads.

    Parameters
    ----------
    presorted : Presorted
        The features, shared by the trees of a model.
    y : int (n,)
        Class of each row, 0 to classes - 1.
    classes : int
        How many there are, also where some have no row: J48's least number of rows on each side
        of a cut depends on it (a tenth of the node's rows per class, but no less than ``min_leaf``
        and, unless that is more, no more than 25).
    rows : int, optional
        Different rows to grow from, all by default. The tree is the one that these rows alone give.
    min_leaf : int
        At least 1; J48's -M.
    confidence : float
        Of the pessimistic errors in pruning, above 0 and below 1; J48's -C. Smaller prunes more.
    pruned : bool
        False is J48's -U.

    Raises
    ------
    BenchError
        If a parameter is out of its range, or y does not fit.
    """
    _check_settings(classes, min_leaf, confidence)
    rows = _checked_rows(rows, presorted.n)
    y = _checked_classes(y, presorted.n, classes, rows)
    features = presorted.features
    problem, lists, lengths = pose(features, y, classes, min_leaf, rows)
    nodes = _in_preorder(grow_nodes(features, problem, lists, lengths, rows))
    last = last_nodes(nodes.feature, nodes.right)
    collapse(nodes.feature, last, nodes.counts)
    size = int(np.count_nonzero(nodes.feature >= -1))
    if pruned:
        single = np.float32(confidence)  # J48 keeps it in single precision
        deviate = NormalDist().inv_cdf(float(1 - single))
        prune(nodes, last, rows, y, features.X, float(single), deviate)
    nodes = _in_preorder(nodes)
    return Tree(nodes.feature, nodes.threshold, nodes.right, nodes.counts, (size + 1) // 2, size)


def _in_preorder(nodes: Nodes) -> Nodes:
    """The nodes numbered parent, left subtree, right subtree; those cut off are left out."""
    order = preorder(nodes.feature, nodes.left, nodes.right)
    number = np.full(len(nodes.feature) + 1, -1, np.int32)  # its end: a leaf's children are -1
    number[order] = np.arange(len(order))
    kept = Nodes(*(array[order] for array in nodes))
    return kept._replace(left=number[kept.left], right=number[kept.right])


def _check_settings(classes: int, min_leaf: int, confidence: float) -> None:
    """Raise `BenchError` where a setting of `grow` is out of its range."""
    if min_leaf < 1:
        raise BenchError(f"c45[min_leaf={min_leaf}] is out of range; min_leaf must be 1 or more")
    if not _LEAST_CONFIDENCE <= confidence <= 1 - _LEAST_CONFIDENCE:
        raise BenchError(
            f"c45[confidence={confidence}] is out of range; take it between 0 and 1, both excluded"
        )
    if not 1 <= classes <= 1 << 16:
        raise BenchError(f"c45 got {classes} classes; it takes 1 to 65536")


def _checked_rows(rows: np.ndarray | None, n: int) -> np.ndarray:
    """The rows of a tree as the compiled code takes them, uint32."""
    rows = np.arange(n) if rows is None else np.asarray(rows)
    if rows.ndim != 1 or len(rows) == 0 or rows.min() < 0 or rows.max() >= n:
        raise BenchError(f"c45 takes at least one row, numbered 0 to {n - 1}")
    if len(np.unique(rows)) < len(rows):
        raise BenchError("c45 takes every row once; some row numbers occur several times")
    return rows.astype(np.uint32)


def _checked_classes(y: np.ndarray, n: int, classes: int, rows: np.ndarray) -> np.ndarray:
    """The classes of all n rows as the compiled code takes them, uint8 or uint16 (n,)."""
    y = np.asarray(y)
    if y.shape != (n,) or y.dtype.kind not in "iub":
        raise BenchError(
            f"c45 takes a whole number for each of the {n} rows as class, not {y.dtype} {y.shape}"
        )
    if y[rows].min() < 0 or y[rows].max() >= classes:
        raise BenchError(f"c45 takes classes from 0 to {classes - 1} and got others")
    return y.astype(np.uint8 if classes <= 1 << 8 else np.uint16)


class C45(ClassifierMixin, BaseEstimator):
    """C4.5 as a scikit-learn classifier; see `grow` for the parameters.

    Attributes
    ----------
    classes_ : (classes,)
    n_features_in_ : int
    tree_ : Tree
    """

    def __init__(self, min_leaf: int = 2, confidence: float = 0.25, pruned: bool = True) -> None:
        self.min_leaf = min_leaf
        self.confidence = confidence
        self.pruned = pruned

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Grow the tree from ``X`` float (n, d) and the classes ``y`` (n,)."""
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32])
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        self.tree_ = grow(
            Presorted(X),
            codes,
            len(self.classes_),
            min_leaf=self.min_leaf,
            confidence=self.confidence,
            pruned=self.pruned,
        )
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The class of each row, (m,)."""
        X = self._checked(X)
        return self.classes_[self.tree_.predict(X)]

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Probabilities float64 (m, classes), without smoothing."""
        X = self._checked(X)
        return self.tree_.probabilities(X)

    def _checked(self, X: np.ndarray) -> np.ndarray:
        check_is_fitted(self)
        return validate_data(self, X, dtype=[np.float64, np.float32], reset=False)


@compiled
def _leaves(
    X: np.ndarray, feature: np.ndarray, threshold: np.ndarray, right: np.ndarray
) -> np.ndarray:
    """The leaf of each row."""
    leaves = np.empty(len(X), np.int32)
    for i in range(len(X)):
        node = 0
        while feature[node] >= 0:
            node = node + 1 if X[i, feature[node]] <= threshold[node] else right[node]
        leaves[i] = node
    return leaves
