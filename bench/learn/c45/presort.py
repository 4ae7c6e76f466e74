"""Training features, sorted once for all the C4.5 trees of a model.

Every feature lists its rows by ascending value. An entry of a list packs a row (the low bits, those
of ``mask``) and a group (the bits above): values more than 1e-5 apart are in different groups.
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


class SortedFeatures(NamedTuple):
    """The features of a model, in the form that the compiled code takes them.

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
    mask : uint32
        The bits of an entry that are the row.
    """

    X: np.ndarray
    lists: np.ndarray
    start: np.ndarray
    close: np.ndarray
    mask: np.uint32


class Presorted:
    """Training features, each sorted once for all the trees of a model.

    Parameters
    ----------
    X : float (n, d)
        Finite, n >= 1.

    Attributes
    ----------
    n, d : int
    features : SortedFeatures
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
        shift = max(1, (self.n - 1).bit_length())
        self.features = SortedFeatures(
            X,
            np.empty((self.d, self.n), np.uint32),
            np.empty(self.d, np.int64),
            np.empty(self.d, np.bool_),
            np.uint32((1 << shift) - 1),
        )
        step = max(1, _BLOCK_ELEMENTS // self.n)
        for first in range(0, self.d, step):
            block = slice(first, first + step)
            values = np.ascontiguousarray(X[:, block].T)
            order = values.argsort(axis=1, kind="stable")
            lists, start, close = (array[block] for array in self.features[1:4])
            pack(values, order, _FLOOR_SHARE, shift, lists, start, close)


@compiled
def pack(
    values: np.ndarray,
    order: np.ndarray,
    share: float,
    shift: int,
    lists: np.ndarray,
    start: np.ndarray,
    close: np.ndarray,
) -> None:
    """Fill ``lists``, ``start`` and ``close`` of some features, as `SortedFeatures` has them.

    Parameters
    ----------
    values : float (d, n)
    order : int (d, n)
        Rows by ascending value of each feature.
    share : float
        From which share of the rows on they count as a floor.
    shift : int
        Bits of an entry for the row.
    lists : uint32 (d, n)
    start : int64 (d,)
    close : bool (d,)
    """
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
            lists[f, i] = ((group & most) << shift) | order[f, i]
        close[f] |= group > most
        if last == values[f, order[f, 0]]:
            start[f] = n
        if start[f] < share * n:
            start[f] = 0
