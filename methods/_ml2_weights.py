"""ML²'s first step: each training row as a weighted sum of its neighbours, copies apart.

The step is that of locally linear embedding. Only ML² takes it, and `_ml2.py` would be too long
with it. What it does where rows repeat, or nearly do, decides whether the numerical labels stay of
the usual size, so that it is written out here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial.distance import cdist

from bench.learn.neighbours import nearest

_RIDGE = 1e-3  # of the trace; the authors' value
# Rows this much nearer to one another than to the rest are one row. Well above what float32 makes
# of a copy, and below any two rows of the data sets that the authors' results are known for
# (the nearest: .022, two rows of emotions as seen from a third).
_COPY = 0.02
_BLOCK_ELEMENTS = 1 << 22  # differences to neighbours held at a time: 32 MiB in float64
_SAMPLE = 256


@dataclass(frozen=True)
class Reconstruction:
    """How the training rows are made of one another.

    Attributes
    ----------
    weights : sparse float64 (n, n)
        k entries in each row, of sum 1; they may be negative, and are 0 for copies of the row.
    copied : int
        Rows with a copy, exact or near, among their neighbours.
    surrounded : int
        Those of them whose k neighbours were all copies, so that farther rows took their places.
    spanned : int
        Rows that a ridge served because fewer directions than neighbours carry a difference.
    """

    weights: sparse.csr_array
    copied: int
    surrounded: int
    spanned: int


def reconstruction_weights(X: np.ndarray, k: int) -> Reconstruction:
    """Weights that best reconstruct each row from its k nearest others.

    Row i minimises ||x_i − Σ_j w_ij x_j||² with Σ_j w_ij = 1: with the differences Z = x_j − x_i it
    solves Z Zᵀ w = 1 and divides by the sum. For k > d, 1e-3 times the trace of Z Zᵀ is added to
    its diagonal.

    Where rows repeat, Z Zᵀ is singular. The authors leave that to the left division of their
    language, which falls back to the least-squares solution of least norm: a copy of row i gets the
    weight 0, and neighbours that are copies of one another share one weight equally. This is done
    here, and also for near copies: rows whose distance is at most a fiftieth of that to the
    farthest neighbour. A plain solution would tie two near copies to each other and to nothing
    else, and would take the tiny difference between two neighbours for a direction.

    Deviation from the authors' code, in cases in which it divides by zero or follows rounding
    errors: where all k neighbours are copies, the nearest rows that are none take their places;
    where the remaining neighbours span fewer directions than they are (collinear features), the
    ridge of k > d is added.

    Parameters
    ----------
    X : float (n, d)
        Finite values, of a size whose squares neither overflow nor vanish.
    k : int
        Neighbours, 1 to n − 1, each row's own number excluded.
    """
    n, d = X.shape
    neighbours = nearest(X, k)
    surrounded = _look_beyond_copies(X, neighbours)
    noise = _rounding(X, neighbours)
    weights = np.empty((n, k))
    copied, spanned = np.zeros(n, bool), np.zeros(n, bool)
    copied[surrounded] = True
    step = max(1, _BLOCK_ELEMENTS // (k * d))
    for start in range(0, n, step):
        part = slice(start, start + step)
        differences = X[neighbours[part]].astype(np.float64)
        differences -= X[part, None]
        gram = differences @ differences.transpose(0, 2, 1)
        groups = np.zeros(len(gram), bool) if k > d else _with_copies(gram)
        weights[part], spanned[part] = _solved(gram, k > d, noise[part])
        for i in np.flatnonzero(groups):
            weights[start + i], spanned[start + i], own = _of_groups(gram[i], noise[start + i])
            copied[start + i] |= own
    weights /= weights.sum(axis=1, keepdims=True)
    entries = (weights.ravel(), neighbours.ravel(), np.arange(0, n * k + 1, k))
    return Reconstruction(
        sparse.csr_array(entries, shape=(n, n)),
        int(copied.sum()),
        len(surrounded),
        int(spanned.sum()),
    )


def _rounding(X: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Squared lengths (n,) up to which the differences to neighbours are rounding of the rows."""
    varies = X.max(axis=0) > X.min(axis=0)  # a constant column has no part in any difference
    step = max(1, _BLOCK_ELEMENTS // X.shape[1])
    blocks = [X[start : start + step, varies] for start in range(0, len(X), step)]
    squares = np.concatenate([np.einsum("ij,ij->i", b, b, dtype=np.float64) for b in blocks])
    together = squares[neighbours].sum(axis=1) + neighbours.shape[1] * squares
    return np.asarray(float(np.finfo(X.dtype).eps) ** 2 / 2 * together)


def _solved(
    gram: np.ndarray, always: bool, noise: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Solutions (m, k) of Z Zᵀ w = 1, and for which a ridge was needed, bool (m,)."""
    k = gram.shape[1]
    trace = np.trace(gram, axis1=1, axis2=2)
    eigenvalues = np.linalg.eigvalsh(gram)
    rounding = 10 * k * np.finfo(np.float64).eps
    singular = eigenvalues[:, 0] <= np.maximum(rounding * eigenvalues[:, -1], noise)
    ridge = np.where(singular | always, _RIDGE * trace, 0.0)
    ridge[trace == 0] = 1.0  # all rows are equal, and any weights will do
    regular = gram + ridge[:, None, None] * np.eye(k)
    solved = np.linalg.solve(regular, np.ones((len(gram), k, 1)))[..., 0]
    return solved, singular & (not always)


def _with_copies(gram: np.ndarray) -> np.ndarray:
    """Which rows have near copies among their neighbours, of themselves or of one another."""
    squares = np.einsum("ikk->ik", gram)
    limit = _COPY**2 * squares.max(axis=1)
    pairs = squares[:, :, None] + squares[:, None] - 2 * gram
    np.einsum("ikk->ik", pairs)[...] = np.inf
    return (squares.min(axis=1) <= limit) | (pairs.min(axis=(1, 2)) <= limit)


def _of_groups(gram: np.ndarray, noise: float) -> tuple[np.ndarray, bool, bool]:
    """Weights (k,) of one row's neighbours, near copies taken together; with two findings.

    The findings are whether a ridge was needed, and whether a neighbour is a copy of the row.
    """
    squares = gram.diagonal()
    limit = _COPY**2 * squares.max()
    apart = squares > limit
    if not apart.any():
        return np.ones(len(gram)), False, True  # all rows are equal
    near = squares[:, None] + squares - 2 * gram <= limit
    left, members = apart.copy(), []
    while left.any():
        leader = int(left.argmax())
        group = near[leader] & left
        group[leader] = True
        members.append(group / group.sum())
        left &= ~group
    means = np.array(members)
    solved, ridge = _solved((means @ gram @ means.T)[None], False, noise)
    return solved[0] @ means, bool(ridge[0]), not apart.all()


def _look_beyond_copies(X: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Replace neighbours, in place, of rows that have none but copies; the numbers of these rows.

    A row has m >= k copies where its m-th distance is at most a fiftieth of the next. Near copies
    have to be fewer than half of all rows, lest a few rows far off make copies of all the others.
    """
    n, k = neighbours.shape
    suspects = np.flatnonzero(_near(X, neighbours))
    if not len(suspects):
        return suspects
    # One copy in float64 serves all of them, centred so that distances keep their digits.
    rows = X - X.mean(axis=0, dtype=np.float64)
    found = []
    for i in suspects:
        distances = _distances(rows[i], rows)
        distances[i] = 0
        order = np.argsort(distances, kind="stable")
        ordered = distances[order]
        gaps = (ordered[k:-1] <= _COPY * ordered[k + 1 :]) & (ordered[k + 1 :] > 0)
        gaps &= (ordered[k:-1] == 0) | (np.arange(k + 1, n) <= n / 2)
        if gaps.any():
            beyond = order[k + 1 + int(gaps.argmax()) :][:k]
            neighbours[i, : len(beyond)] = beyond
            found.append(i)
    return np.array(found, dtype=np.int64)


def _near(X: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Rows (n,) all of whose neighbours are so near that they may be copies.

    The distance after those of fewer than half of the rows is at most the median one, of which a
    sample gives a notion.
    """
    n, k = neighbours.shape
    sample = X[:: max(1, n // _SAMPLE)].astype(np.float64)
    near = np.empty(n, bool)
    step = max(1, _BLOCK_ELEMENTS // (X.shape[1] * k))
    for start in range(0, n, step):
        part = slice(start, start + step)
        differences = X[neighbours[part]].astype(np.float64)
        differences -= X[part, None]
        reach = np.sqrt(np.square(differences, out=differences).sum(axis=2).max(axis=1))
        usual = np.median(cdist(X[part].astype(np.float64), sample), axis=1)
        near[part] = (reach <= 4 * _COPY * usual) | (reach == 0)
    return near


def _distances(row: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Euclidean distances (n,) of one row; exactly 0 to its copies."""
    squared = np.einsum("ij,ij->i", others, others) + row @ row - 2 * (others @ row)
    # What cancellation may have left is taken from the differences themselves.
    near = squared <= 1e-9 * (row @ row)
    squared[near] = ((others[near] - row) ** 2).sum(axis=1)
    return np.asarray(np.sqrt(squared))
