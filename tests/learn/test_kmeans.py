"""k-means from inner products against the same rounds over the rows themselves."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans

from bench.learn.kmeans import gram_matrix, kmeans, membership


def rows(n: int, d: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, d)) + 5


def test_the_means_of_clusters() -> None:
    X = rows(6, 2)
    means = membership(np.array([1, 0, -1, 1, 1, 0]), 2, X.dtype) @ X
    np.testing.assert_allclose(means, [X[[1, 5]].mean(axis=0), X[[0, 3, 4]].mean(axis=0)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("clusters", [1, 4, 20])
def test_ends_where_lloyds_rounds_over_the_rows_change_nothing(
    dtype: type[np.floating], clusters: int
) -> None:
    X = rows(200, 5).astype(dtype)
    cluster = kmeans(gram_matrix(X), clusters, np.random.default_rng(1))
    assert np.bincount(cluster, minlength=clusters).min() > 0
    centres = np.stack([X[cluster == j].mean(axis=0) for j in range(clusters)])
    nearest = ((X[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal(cluster, nearest)
    ours = ((X - centres[cluster]) ** 2).sum()
    theirs = KMeans(clusters, n_init=1, random_state=0).fit(X).inertia_
    assert ours < 1.15 * theirs


def test_copies_fill_every_cluster() -> None:
    X = np.repeat(rows(2, 3), 4, axis=0)
    for clusters in range(1, 9):
        cluster = kmeans(gram_matrix(X), clusters, np.random.default_rng(clusters))
        assert np.bincount(cluster, minlength=clusters).min() > 0
        if clusters >= 2:
            assert not set(cluster[:4]) & set(cluster[4:])


def test_each_row_is_a_cluster_where_there_are_as_many() -> None:
    cluster = kmeans(gram_matrix(rows(9, 2)), 9, np.random.default_rng(0))
    assert sorted(cluster) == list(range(9))


def test_the_seed_decides() -> None:
    gram = gram_matrix(rows(60, 3))
    first, again, other = (kmeans(gram, 9, np.random.default_rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
