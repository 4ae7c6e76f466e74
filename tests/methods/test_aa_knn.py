"""`aa-knn` against neighbours found one by one."""

from __future__ import annotations

import numpy as np
import pytest
from builtin import method_class

from bench.api import BenchError

AAkNN = method_class("aa-knn")


def problem(n: int = 60, m: int = 25) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    votes = rng.multinomial(8, rng.dirichlet(np.full(4, 0.5)), size=n)
    return rng.normal(size=(n, 5)), votes / 8, rng.normal(size=(m, 5))


@pytest.mark.parametrize("k", [1, 5, 60])
def test_mean_distribution_of_the_nearest_rows(k: int) -> None:
    X, D, new = problem()
    found = AAkNN(k=k).fit(X, D).scores(new)
    for row, query in zip(found, new, strict=True):
        distances = [(float(((x - query) ** 2).sum()), i) for i, x in enumerate(X)]
        nearest = [i for _, i in sorted(distances)[:k]]
        np.testing.assert_allclose(row, sum(D[i] for i in nearest) / k, atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_a_training_row_is_its_own_neighbour_when_asked_about() -> None:
    X, D, _ = problem()
    np.testing.assert_array_equal(AAkNN(k=1).fit(X, D).scores(X), D)


def test_labels_have_a_sixth_or_more() -> None:
    D = np.array([[1 / 6, 1 / 6, 4 / 6, 0, 0, 0], [0.0, 0.16, 0.84, 0, 0, 0]])
    method = AAkNN(k=1).fit(np.array([[0.0], [9.0]]), D)
    assert method.labels(np.array([[0.0], [9.0]])).astype(int).tolist() == [
        [1, 1, 1, 0, 0, 0],
        [0, 0, 1, 0, 0, 0],
    ]
    assert method.scores_are_distributions()
    np.testing.assert_array_equal(method.distribution(np.array([[1.0]])), D[:1])


def test_scaling_is_that_of_the_training_part() -> None:
    X, D, new = problem()
    X[:, 0] *= 1000
    scaled = (new - X.mean(axis=0)) / X.std(axis=0)
    other = AAkNN().fit((X - X.mean(axis=0)) / X.std(axis=0), D).scores(scaled)
    np.testing.assert_allclose(AAkNN(scale="zscore").fit(X, D).scores(new), other)
    assert (AAkNN().fit(X, D).scores(new) != other).any()


def test_bad_input_is_one_sentence() -> None:
    X, D, _ = problem()
    with pytest.raises(BenchError, match="needs at least k training rows and got 3"):
        AAkNN().fit(X[:3], D[:3])
    with pytest.raises(BenchError, match=r"learns from label distributions.*row 0 is none"):
        AAkNN().fit(X, np.ones_like(D, dtype=bool))
    with pytest.raises(BenchError, match="row 2 is none"):
        AAkNN().fit(X, np.where(np.arange(60)[:, None] == 2, np.array([1.5, -0.5, 0, 0]), D))
    with pytest.raises(BenchError, match="60 rows of features but 59 rows of label distr"):
        AAkNN().fit(X, D[:-1])
    with pytest.raises(BenchError, match="only after fit"):
        AAkNN().scores(X)
