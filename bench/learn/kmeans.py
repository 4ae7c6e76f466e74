"""k-means from inner products: one Gram matrix serves every clustering of subsets of its rows.

With centres that are means, ||x − c||² = x·x − 2 mean(x·a) + mean(a·b) over the members a, b of the
cluster (B. Schölkopf, A. Smola and K.-R. Müller, Neural Computation 10 (1998) 1299–1319). A round
then costs n² additions, whatever the number of clusters and of features. LIFT clusters rows,
ML-LOC label vectors.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from bench.learn.openblas import gram

_ROUNDS = 100  # as in Matlab's kmeans


def gram_matrix(X: np.ndarray) -> np.ndarray:
    """Inner products (n, n) of the rows of ``X`` about their mean, in its own precision."""
    centred = X - X.mean(axis=0, dtype=np.float64).astype(X.dtype)
    return gram(centred)


def membership(cluster: np.ndarray, clusters: int, dtype: np.dtype) -> csr_array:
    """Sparse (clusters, n), whose product with rows is the mean of each cluster's rows.

    Parameters
    ----------
    cluster : int (n,)
        Cluster of each row, or −1 for none.
    clusters : int
        None of them is empty.
    """
    order = np.argsort(cluster, kind="stable")
    order = order[np.searchsorted(cluster[order], 0) :]
    sizes = np.bincount(cluster[order], minlength=clusters)
    weights = (1 / np.repeat(sizes, sizes)).astype(dtype)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    return csr_array((weights, order, starts), shape=(clusters, len(cluster)))


def kmeans(gram: np.ndarray, clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Cluster of each row, int (n,); none of the ``clusters`` (1 to n) is empty.

    One run of S. Lloyd's algorithm (IEEE Trans. Inf. Theory 28 (1982) 129–137) until nothing
    changes, or for 100 rounds, from the rows that k-means++ draws (D. Arthur and S. Vassilvitskii,
    SODA 2007). A cluster that loses all its rows takes the row farthest from its own centre, as
    Matlab's ``EmptyAction`` ``singleton`` does.

    Parameters
    ----------
    gram : float (n, n)
        Inner products of the rows.
    """
    squares = gram.diagonal()
    chosen = _seeds(gram, clusters, rng)
    distances = squares[chosen, None] - 2 * gram[chosen]
    cluster = _fill(distances, squares)
    for _ in range(_ROUNDS):
        means = membership(cluster, clusters, gram.dtype)
        distances = means @ gram
        centre_squares = np.add.reduceat(
            distances[cluster[means.indices], means.indices] * means.data, means.indptr[:-1]
        )
        distances *= -2
        distances += centre_squares[:, None]
        before, cluster = cluster, _fill(distances, squares)
        if (cluster == before).all():
            break
    return cluster


def _seeds(gram: np.ndarray, clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Rows drawn with a probability proportional to the squared distance to the nearest drawn."""
    squares = gram.diagonal().astype(np.float64)
    chosen = [int(rng.integers(len(gram)))]
    nearest = np.full(len(gram), np.inf)
    while len(chosen) < clusters:
        last = chosen[-1]
        distances = squares + squares[last] - 2 * gram[last]
        nearest = np.minimum(nearest, np.maximum(distances, 0))
        nearest[last] = 0  # rounding leaves it at a distance that is not quite 0
        total = np.cumsum(nearest)
        if total[-1] > 0:
            draw = int(np.searchsorted(total, rng.random() * total[-1], side="right"))
        else:  # only copies of drawn rows are left
            draw = int(rng.choice(np.setdiff1d(np.arange(len(gram)), chosen)))
        chosen.append(min(draw, len(gram) - 1))
    return np.array(chosen)


def _fill(distances: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Nearest cluster of each row, by ``distances`` (clusters, n) less its own ``squares``."""
    cluster = distances.argmin(axis=0)
    sizes = np.bincount(cluster, minlength=len(distances))
    if sizes.all():
        return cluster
    far = np.argsort(-(distances.min(axis=0) + squares), kind="stable")
    for empty in np.flatnonzero(sizes == 0):
        row = next(row for row in far if sizes[cluster[row]] > 1)
        sizes[cluster[row]] -= 1
        sizes[empty] += 1
        cluster[row] = empty
    return cluster
