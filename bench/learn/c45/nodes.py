"""The nodes of a C4.5 tree while it grows and is pruned, and the order that they stand in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bench.learn.compiled import compiled


class Nodes(NamedTuple):
    """Nodes of a tree, the root first.

    Attributes
    ----------
    feature, left, right : int32 (nodes,)
        -1 in a leaf.
    threshold : float64 (nodes,)
        A value up to it goes left.
    begin, end : int32 (nodes,)
        ``rows[begin:end]`` are the node's.
    counts : int32 (nodes, classes)
        Its rows of each class.
    """

    feature: np.ndarray
    left: np.ndarray
    right: np.ndarray
    threshold: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    counts: np.ndarray


@compiled
def preorder(feature: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The nodes in the order parent, left subtree, right subtree, int64; only those of the tree."""
    order = np.empty(len(feature), np.int64)
    stack = np.empty(len(feature), np.int64)
    stack[0], top, nodes = 0, 0, 0
    while top >= 0:
        node = stack[top]
        top -= 1
        order[nodes] = node
        nodes += 1
        if feature[node] >= 0:
            stack[top + 1], stack[top + 2] = right[node], left[node]
            top += 2
    return order[:nodes]


@compiled
def last_nodes(feature: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The last node of each node's subtree, nodes being in preorder."""
    last = np.arange(len(feature))
    for node in range(len(feature) - 1, -1, -1):
        if feature[node] >= 0:
            last[node] = last[right[node]]
    return last
