"""Exact nearest neighbours: found by float32 matrix products, decided in float64.

With ||a − b||² = ||a||² + ||b||² − 2 a·b one matrix product gives all distances of a block, fast
but rounded. A bound on that rounding sorts the rows of the block into certain neighbours, certain
others and a few undecided ones, and only the undecided ones are computed again, in float64.

The bound is N. J. Higham's (Accuracy and Stability of Numerical Algorithms, 2nd ed., Eq. 3.5): a
dot product of length d errs by at most γ |a|·|b| with γ = d u / (1 − d u), whatever the order of
summation.
"""

from __future__ import annotations

import hashlib
from functools import cached_property

import numpy as np

from bench.api import BenchError
from bench.learn.parallel import in_threads

_UNIT32 = 2.0**-24
_UNIT64 = 2.0**-53
_BLOCK_ELEMENTS = 1 << 21  # distances held at a time: 8 MiB in float32
_CENTRE_ROWS = 256
_PAIR_ELEMENTS = 1 << 17  # features of undecided pairs held at a time: 1 MiB in float64, cached


def nearest(
    rows: np.ndarray,
    k: int,
    queries: np.ndarray | None = None,
    *,
    block_elements: int = _BLOCK_ELEMENTS,
) -> np.ndarray:
    """The k rows nearest to each query, by Euclidean distance; the lower row wins a tie.

    Parameters
    ----------
    rows : float (n, d)
        Finite values, d below 2²³; not written to.
    k : int
        Neighbours per query, 1 to n (to n − 1 without ``queries``).
    queries : float (m, d), optional
        By default the rows themselves, each excluded by its number from its own neighbours, so
        that an exact duplicate of a row is one of them.
    block_elements : int
        Distances that each thread holds at a time; memory is this, never n × m, beside a float32
        copy of ``rows``. There are as many threads as BLAS may use.
        The result does not depend on it.

    Returns
    -------
    int64 (m, k)
        Row numbers, ascending in each line: the first k of a stable sort by the float64 distances
        ``((row - query) ** 2).sum()``, as a set.

    Raises
    ------
    BenchError
        If there are fewer than k rows to choose from.
    """
    exclude_self = queries is None
    points = rows if queries is None else queries
    n = len(rows)
    if not 1 <= k <= n - exclude_self:
        raise BenchError(
            f"{k} neighbours were asked for among {n - exclude_self} rows; take k between 1 and "
            f"{max(n - exclude_self, 1)}"
        )
    search = _Search(rows, points, k, exclude_self)
    step = max(1, block_elements // n)
    blocks = [slice(start, start + step) for start in range(0, len(points), step)]
    if not blocks:
        return np.empty((0, k), dtype=np.int64)
    # Whole blocks side by side rather than products on all cores: the selection after each product
    # would run on one.
    return np.concatenate(in_threads(search.block, blocks))


class _Search:
    """What the blocks of one search share: the centred float32 copy of the rows."""

    def __init__(self, rows: np.ndarray, points: np.ndarray, k: int, exclude_self: bool) -> None:
        self.rows, self.points, self.k, self.exclude_self = rows, points, k, exclude_self
        self.dtype = np.result_type(rows, points)
        # A power of two, so that scaling is exact and squares neither overflow nor vanish.
        _, exponent = np.frexp(max(_largest(rows), _largest(points)))
        most = 120 if self.dtype == np.float32 else 1000
        self.scale = float(np.ldexp(1.0, np.clip(-exponent, -most, most)))
        # Distances do not feel the centre, their rounding does: it grows with the norms. So a
        # centre of some of the rows will do.
        some = rows[:: max(1, len(rows) // _CENTRE_ROWS)].astype(np.float64) * self.scale
        self.centre = some.mean(axis=0).astype(self.dtype)
        self.centred = np.empty(rows.shape, dtype=np.float32)
        step = _step(rows)
        for start in range(0, len(rows), step):
            self.centred[start : start + step] = self._centre(rows[start : start + step])
        self.squares = _squares(self.centred)
        self.squares32 = self.squares.astype(np.float32)

    @cached_property
    def first_equal(self) -> np.ndarray:
        """The first row equal to each row, int (n,)."""
        first: dict[bytes, int] = {}
        digests = (hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in self.rows)
        return np.array([first.setdefault(digest, i) for i, digest in enumerate(digests)])

    def _centre(self, part: np.ndarray) -> np.ndarray:
        scaled = part.astype(self.dtype) * self.scale
        scaled -= self.centre
        return scaled.astype(np.float32, copy=False)

    def block(self, part: slice) -> np.ndarray:
        """Neighbours of the queries in ``part``."""
        queries = self._centre(self.points[part])
        norms = np.sqrt(_squares(queries))
        # ||a − b||² less ||a||², which is the same for all rows and so decides nothing.
        distances = (-2 * queries) @ self.centred.T
        distances += self.squares32
        if self.exclude_self:
            line = np.arange(len(queries))
            distances[line, line + part.start] = np.inf
        n, k = distances.shape[1], self.k
        if k == n:
            return np.tile(np.arange(n), (len(queries), 1))
        smallest = np.partition(distances, k, axis=1)
        last_in = smallest[:, :k].max(axis=1).astype(np.float64)
        first_out = smallest[:, k].astype(np.float64)
        margin = 2 * self._rounding(norms, np.sqrt(self.squares.max()))
        candidate = distances <= _up(last_in + margin)[:, None]
        # A row far from the others (an outlier) widens the margin for all of them: once it is out,
        # the longest of the candidates decides.
        margin = 2 * self._rounding(norms, np.sqrt(self.squares[candidate.any(axis=0)].max()))
        candidate &= distances <= _up(last_in + margin)[:, None]
        certain = distances < _down(first_out - margin)[:, None]
        self._decide(candidate ^ certain, certain, part)
        return (np.flatnonzero(certain) % n).reshape(len(queries), k)

    def _rounding(self, norms: np.ndarray, longest: np.ndarray | float) -> np.ndarray:
        """Bound on the error of one distance between queries and rows of these norms."""
        d = self.rows.shape[1]
        dot = d * _UNIT32 / (1 - d * _UNIT32)
        total = (norms + longest) ** 2
        # In turn: the product; the casts to float32, the squared norm and the sum; the float64
        # distances that decide; what is lost below the smallest normal float32.
        bound = 2 * dot * norms * longest + (6 * _UNIT32 + (d + 4) * _UNIT64) * total
        return 1.01 * bound + d * 2.0**-120

    def _decide(self, undecided: np.ndarray, certain: np.ndarray, part: slice) -> None:
        """Add the nearest undecided rows to ``certain`` until each query has k."""
        line, row = np.divmod(np.flatnonzero(undecided), len(self.rows))
        if len(line) > self.k * len(undecided):
            # So many only where rows repeat: one distance serves all that are equal.
            pairs, serves = np.unique(
                line * len(self.rows) + self.first_equal[row], return_inverse=True
            )
            exact = self._distances(*np.divmod(pairs, len(self.rows)), part)[serves]
        else:
            exact = self._distances(line, row, part)
        order = np.lexsort((exact, line))  # stable: the lower row stays first in a tie
        line, row = line[order], row[order]
        place = np.arange(len(line)) - np.searchsorted(line, line)
        wanted = place < self.k - certain.sum(axis=1)[line]
        certain[line[wanted], row[wanted]] = True

    def _distances(self, line: np.ndarray, row: np.ndarray, part: slice) -> np.ndarray:
        """Squared distances of pairs of a query in ``part`` and a row, in float64."""
        exact = np.empty(len(line))
        queries = self.points[part]
        step = max(1, _PAIR_ELEMENTS // max(1, self.rows.shape[1]))
        for start in range(0, len(line), step):
            pair = slice(start, start + step)
            difference = self.rows[row[pair]].astype(np.float64)
            difference -= queries[line[pair]]
            difference *= self.scale
            exact[pair] = np.square(difference, out=difference).sum(axis=1)
        return exact


def _step(matrix: np.ndarray) -> int:
    return max(1, _BLOCK_ELEMENTS // max(1, matrix.shape[1]))


def _largest(matrix: np.ndarray) -> float:
    return max(float(matrix.max(initial=0)), -float(matrix.min(initial=0)))


def _squares(matrix: np.ndarray) -> np.ndarray:
    """Squared norms, summed in float64."""
    return np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64)


def _up(values: np.ndarray) -> np.ndarray:
    return np.nextafter(values.astype(np.float32), np.float32(np.inf))


def _down(values: np.ndarray) -> np.ndarray:
    return np.nextafter(values.astype(np.float32), np.float32(-np.inf))
