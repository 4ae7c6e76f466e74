"""Training features, sorted once for all the C4.5 trees of a model.

Every feature lists its rows by ascending value. An entry of a list packs a row (the low bits) and a
group (the bits above, from ``shift`` on): values more than 1e-5 apart are in different groups.
Where there are more groups than fit, distant ones share a number.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bench.api import BenchError
from bench.learn.checks import checked_features
from bench.learn.compiled import compiled, read_only

GAP = 1e-5
"""J48 sees no cut between values closer than this."""

_FLOOR_SHARE = 0.25
_BLOCK_ELEMENTS = 1 << 20


class Features(NamedTuple):
    """What the trees of a model share.

    Attributes
    ----------
    X : float (n, d)
    lists : uint32 (d, n)
        Entries of all rows.
    start : int64 (d,)
        Where many rows share a feature's least value (the zeros of a ReLU or of a histogram), its
        floor: their number. Trees need not walk through them. Else 0.
    close : bool (d,)
        Whether entries of one group may have different values.
    shift : int
        Bits for the row.
    """

    X: np.ndarray
    lists: np.ndarray
    start: np.ndarray
    close: np.ndarray
    shift: int


class Presorted:
    """Training features, each sorted once for all the trees of a model.

    Parameters
    ----------
    X : float (n, d)
        Finite, n >= 1.

    Attributes
    ----------
    n, d : int
    features : Features
        With ``X`` itself where it is row by row in memory already.

    Raises
    ------
    BenchError
        If X is not a finite numeric matrix, or has no rows.

    Notes
    -----
    Memory: 4·n·d bytes beside ``X``, and as much again for every tree while it grows.
    """

    def __init__(self, X: np.ndarray) -> None:
        X = read_only(checked_features(X, "c45"))
        self.n, self.d = X.shape
        if self.n == 0:
            raise BenchError("c45 got no training rows; the training part must not be empty")
        self.features = Features(
            X,
            np.empty((self.d, self.n), np.uint32),
            np.empty(self.d, np.int64),
            np.empty(self.d, np.bool_),
            max(1, (self.n - 1).bit_length()),
        )
        step = max(1, _BLOCK_ELEMENTS // self.n)
        for first in range(0, self.d, step):
            block = slice(first, first + step)
            values = np.ascontiguousarray(X[:, block].T)
            order = values.argsort(axis=1, kind="stable")
            lists, start, close = (array[block] for array in self.features[1:4])
            pack(values, order, _FLOOR_SHARE, Features(X, lists, start, close, self.features.shift))


@compiled
def pack(values: np.ndarray, order: np.ndarray, share: float, features: Features) -> None:
    """Fill ``lists``, ``start`` and ``close`` of ``features``.

    Parameters
    ----------
    values : float (d, n)
    order : int (d, n)
        Rows by ascending value of each feature.
    share : float
        From which share of the rows on they count as a floor.
    features : Features
        Of these d features.
    """
    packed, start, close, shift = features.lists, features.start, features.close, features.shift
    d, n = values.shape
    most = (1 << (32 - shift)) - 1
    for f in range(d):
        group, close[f], start[f] = 0, False, 0
        last = values[f, order[f, 0]]
        for i in range(n):
            value = values[f, order[f, i]]
            if value != last:
                if start[f] == 0:
                    start[f] = i
                if np.float64(last) + GAP < value:
                    group += 1
                else:
                    close[f] = True
                last = value
            packed[f, i] = ((group & most) << shift) | order[f, i]
        close[f] |= group > most
        if last == values[f, order[f, 0]]:
            start[f] = n
        if start[f] < share * n:
            start[f] = 0


@compiled
def own_lists(
    features: Features, member: np.ndarray, lists: np.ndarray, lengths: np.ndarray
) -> None:
    """Copy the lists without the floor, with the rows of this tree only.

    ``member`` uint8 (n,) is 1 for these; ``lists`` (d, rows of the tree + 2) is filled from 1 on,
    since `_best_cut` uses the place before a list, and ``lengths`` (d,).
    """
    mask = (1 << features.shift) - 1
    for f in range(len(lengths)):
        filled = 1
        for i in range(features.start[f], features.lists.shape[1]):
            entry = features.lists[f, i]
            lists[f, filled] = entry
            filled += member[entry & mask]
        lengths[f] = filled - 1
