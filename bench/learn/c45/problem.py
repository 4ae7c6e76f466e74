"""What one C4.5 tree learns, in the form that the compiled code takes it.

A model's trees share their sorted features (`bench.learn.c45.presort`); what is here belongs to one
tree alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from bench.learn.c45.presort import SortedFeatures
from bench.learn.compiled import compiled


class TreeProblem(NamedTuple):
    """What one tree learns: the classes of its rows.

    Attributes
    ----------
    y : unsigned (n,)
        Class of each row, also of rows that are not the tree's.
    classes, min_leaf : int
    member : uint8 (n,)
        1 for the rows of the tree.
    xlogx : int64 (rows of the tree + 1,)
        x log2 x in units of 1 / ``scale``.
    scale : float
    """

    y: np.ndarray
    classes: int
    min_leaf: int
    member: np.ndarray
    xlogx: np.ndarray
    scale: float


def pose(
    features: SortedFeatures, y: np.ndarray, classes: int, min_leaf: int, rows: np.ndarray
) -> tuple[TreeProblem, np.ndarray, np.ndarray]:
    """The problem of one tree over ``rows`` uint32 (m,), and its own lists of the features.

    Returns
    -------
    problem : TreeProblem
    lists : uint32 (d, m + 2)
    lengths : int32 (d,)
        As `_own_lists` fills both.
    """
    n, d = features.X.shape
    member = np.zeros(n, np.uint8)
    member[rows] = 1
    lists = np.empty((d, len(rows) + 2), np.uint32)
    lengths = np.empty(d, np.int32)
    _own_lists(features, member, lists, lengths)
    x = np.arange(len(rows) + 1, dtype=np.float64)
    xlogx = x * np.log2(np.maximum(x, 1))
    # The largest power of two with which the sums of some entries fit into 63 bits.
    scale = 2.0 ** (59 - math.ceil(math.log2(max(xlogx[-1], 1))))
    whole = np.rint(xlogx * scale).astype(np.int64)
    return TreeProblem(y, classes, min_leaf, member, whole, scale), lists, lengths


@compiled
def _own_lists(
    features: SortedFeatures, member: np.ndarray, lists: np.ndarray, lengths: np.ndarray
) -> None:
    """Copy the lists without the floor, with the rows of this tree only.

    ``member`` uint8 (n,) is 1 for these rows. ``lists`` (d, rows of the tree + 2) is filled from 1
    on, since scoring a cut uses the place before a list; ``lengths`` (d,) is filled too.
    """
    for f in range(len(lengths)):
        filled = 1
        for i in range(features.start[f], features.lists.shape[1]):
            entry = features.lists[f, i]
            lists[f, filled] = entry
            filled += member[entry & features.mask]
        lengths[f] = filled - 1
