"""Support vector machines against scikit-learn's and against their own optimality conditions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from problems import noisy_classes
from sklearn.svm import SVC, SVR

from bench.api import BenchError
from bench.learn.distances import squared_distances
from bench.learn.svm import (
    classify,
    gamma_of,
    kernel_product,
    rbf_kernel,
    regress,
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distances_keep_their_digits_where_products_lose_them(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    points = (rng.normal(size=(40, 7)) + 1000).astype(dtype)
    points[1] = points[0]
    points[2] = points[0]
    points[2, 3] += dtype(0.001)
    expected = ((points[:, None].astype(np.float64) - points[None].astype(np.float64)) ** 2).sum(-1)
    found = squared_distances(points, points)
    assert found.dtype == dtype
    assert found[0, 1] == 0
    assert (np.diagonal(found) == 0).all()
    np.testing.assert_allclose(found, expected, rtol=2e-5 if dtype == np.float32 else 1e-9)


def test_gamma() -> None:
    X = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    assert gamma_of("scale", X, "lift") == pytest.approx(SVC().fit(X, X[:, 0] > 0)._gamma, rel=1e-6)
    assert gamma_of("scale", np.ones((4, 2)), "lift") == 1
    assert gamma_of(2, X, "lift") == 2
    with pytest.raises(BenchError, match=r"lift\[gamma=auto\].*scale or a float > 0"):
        gamma_of("auto", X, "lift")


def test_a_start_changes_nothing_but_the_time() -> None:
    X, y = noisy_classes(120, 4)
    kernel = rbf_kernel(X, X, 0.2)
    first = classify(kernel, y, 1.0, tolerance=1e-7)
    other = classify(kernel + 0.3, y, 1.0, start=first.dual, tolerance=1e-7)
    cold = classify(kernel + 0.3, y, 1.0, tolerance=1e-7)
    np.testing.assert_allclose(
        kernel_product(kernel, other.dual) + other.intercept,
        kernel_product(kernel, cold.dual) + cold.intercept,
        atol=1e-6,
    )


def test_regression_equals_libsvm() -> None:
    X, _ = noisy_classes(80, 3)
    target = np.sin(X[:, 0]) + 0.1 * X[:, 1]
    kernel = rbf_kernel(X, X, 0.5)
    machine = regress(kernel, target, 1.0)
    theirs = SVR(C=1.0, gamma=0.5, tol=1e-6).fit(X, target).predict(X)
    np.testing.assert_allclose(kernel @ machine.dual + machine.intercept, theirs, atol=3e-3)
    flat = regress(kernel, np.full(80, 0.7), 1.0)
    assert not flat.dual.any()
    assert flat.intercept == pytest.approx(0.7)


def test_an_endless_problem_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = noisy_classes(60, 3)
    monkeypatch.setattr("bench.learn.svm._STEPS", 0)
    with pytest.raises(BenchError, match=r"C = 1e\+09 found no solution in 6,000 steps"):
        classify(np.eye(60) * 1e-9 + X @ X.T, y, 1e9, tolerance=1e-14)
