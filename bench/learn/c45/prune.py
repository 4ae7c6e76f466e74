"""Pruning a C4.5 tree: collapsing, pessimistic errors, subtree raising (compiled)."""

from __future__ import annotations

import math

import numpy as np

from bench.learn.c45.nodes import Nodes
from bench.learn.compiled import compiled

_LEAF, _GONE = -1, -2  # in place of a feature
_COLLAPSE_SLACK = 1e-3
_PRUNE_SLACK = 0.1 + 1e-6  # J48's 0.1, and the 1e-6 below which it takes numbers as equal


@compiled
def _rows_and_wrong(counts: np.ndarray) -> tuple[int, int]:
    """Rows of a leaf, and those not of its most frequent class."""
    rows, most = 0, 0
    for count in counts:
        rows += count
        most = max(most, count)
    return rows, rows - most


@compiled
def _make_leaf(node: int, last: int, feature: np.ndarray) -> None:
    """Cut off what is below ``node``."""
    for below in range(node + 1, last + 1):
        feature[below] = _GONE
    feature[node] = _LEAF


@compiled
def collapse(feature: np.ndarray, last: np.ndarray, counts: np.ndarray) -> None:
    """Make a leaf of every node whose subtree makes no fewer errors on the training rows.

    Nodes are in preorder, the subtree of each ends at its ``last``; those that fall away stay,
    marked as gone.
    """
    for node in range(len(feature)):
        if feature[node] >= 0:
            errors = 0
            for below in range(node, last[node] + 1):
                if feature[below] == _LEAF:
                    errors += _rows_and_wrong(counts[below])[1]
            if errors >= _rows_and_wrong(counts[node])[1] - _COLLAPSE_SLACK:
                _make_leaf(node, last[node], feature)


@compiled
def leaf_errors(rows: int, wrong: int, confidence: float, deviate: float) -> float:
    """Pessimistic number of errors of a leaf with ``rows`` rows, ``wrong`` of them wrong.

    The upper confidence limit of a binomial share, by the normal approximation with continuity
    correction; exact without errors, and never more than all rows.

    Parameters
    ----------
    rows, wrong : int
    confidence : float
        Probability of more errors than the limit; above 1/2 nothing is added.
    deviate : float
        What a standard normal variable exceeds with probability ``confidence``.
    """
    if rows == 0:
        return 0.0
    if confidence > 0.5:
        return float(wrong)
    if wrong == 0:
        return rows * (1 - confidence ** (1 / rows))
    if wrong + 0.5 >= rows:
        return float(rows)
    share = (wrong + 0.5) / rows
    square = deviate * deviate
    spread = math.sqrt(share / rows - share * share / rows + square / (4.0 * rows * rows))
    return rows * (share + square / (2 * rows) + deviate * spread) / (1 + square / rows)


@compiled
def _subtree_errors(
    node: int, last: int, feature: np.ndarray, counts: np.ndarray, confidence: float, deviate: float
) -> float:
    """Pessimistic errors of a subtree."""
    errors = 0.0
    for leaf in range(node, last + 1):
        if feature[leaf] == _LEAF:
            rows, wrong = _rows_and_wrong(counts[leaf])
            errors += leaf_errors(rows, wrong, confidence, deviate)
    return errors


@compiled
def _add(
    rows: np.ndarray, sign: int, node: int, nodes: Nodes, y: np.ndarray, X: np.ndarray
) -> None:
    """Add ``rows`` to the counts of the leaves below ``node``, or take them away again."""
    for row in rows:
        leaf = node
        while nodes.feature[leaf] >= 0:
            goes_left = X[row, nodes.feature[leaf]] <= nodes.threshold[leaf]
            leaf = nodes.left[leaf] if goes_left else nodes.right[leaf]
        nodes.counts[leaf, y[row]] += sign


@compiled
def _redistribute(
    node: int, last: int, nodes: Nodes, rows: np.ndarray, y: np.ndarray, X: np.ndarray
) -> None:
    """Send the rows of ``node`` down its subtree, which has just been put there."""
    for here in range(node, last + 1):
        feature = nodes.feature[here]
        if feature == _GONE:
            continue
        begin, end = nodes.begin[here], nodes.end[here]
        for c in range(nodes.counts.shape[1]):
            nodes.counts[here, c] = 0
        for row in rows[begin:end]:
            nodes.counts[here, y[row]] += 1
        if feature == _LEAF:
            continue
        others = np.empty(end - begin, rows.dtype)
        middle, on_right = begin, 0
        for row in rows[begin:end]:
            if X[row, feature] <= nodes.threshold[here]:
                rows[middle] = row
                middle += 1
            else:
                others[on_right] = row
                on_right += 1
        for i in range(on_right):
            rows[middle + i] = others[i]
        left, right = nodes.left[here], nodes.right[here]
        nodes.begin[left], nodes.end[left] = begin, middle
        nodes.begin[right], nodes.end[right] = middle, end


@compiled
def prune(
    nodes: Nodes,
    last: np.ndarray,
    rows: np.ndarray,
    y: np.ndarray,
    X: np.ndarray,
    confidence: float,
    deviate: float,
) -> None:
    """Prune in place, from the leaves up; nodes that fall away stay, marked as gone.

    Nodes are in preorder, the subtree of each ends at its ``last``; ``rows`` are those of the tree
    by node. A node becomes a leaf, or is replaced by its larger child, where that has about as few
    pessimistic errors; what was put in its place is pruned again. ``confidence`` and ``deviate`` as
    in `leaf_errors`.
    """
    feature, left, right, counts = nodes.feature, nodes.left, nodes.right, nodes.counts
    node = len(feature) - 1
    while node >= 0:
        if feature[node] < 0:
            node -= 1
            continue
        larger, smaller = right[node], left[node]  # of children of one size J48 takes the second
        if nodes.end[smaller] - nodes.begin[smaller] > nodes.end[larger] - nodes.begin[larger]:
            larger, smaller = smaller, larger
        others = rows[nodes.begin[smaller] : nodes.end[smaller]]
        _add(others, 1, larger, nodes, y, X)
        raised = _subtree_errors(larger, last[larger], feature, counts, confidence, deviate)
        _add(others, -1, larger, nodes, y, X)
        kept = _subtree_errors(node, last[node], feature, counts, confidence, deviate)
        size, wrong = _rows_and_wrong(counts[node])
        cut = leaf_errors(size, wrong, confidence, deviate)
        if cut <= min(kept, raised) + _PRUNE_SLACK:
            _make_leaf(node, last[node], feature)
        elif raised <= kept + _PRUNE_SLACK:
            feature[node], nodes.threshold[node] = feature[larger], nodes.threshold[larger]
            left[node], right[node] = left[larger], right[larger]
            _make_leaf(smaller, last[smaller], feature)
            feature[smaller] = feature[larger] = _GONE
            _redistribute(node, last[node], nodes, rows, y, X)
            node = last[node]
            continue
        node -= 1
