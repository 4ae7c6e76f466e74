"""LIFT's support vector machines against scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bench.methods._lift import LinearRows, RBFRows, interior_point
from problems import noisy_classes
from sklearn.metrics.pairwise import rbf_kernel as their_rbf_kernel
from sklearn.svm import SVC

from bench.api import BenchError
from bench.learn.svm import classify


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cost", [0.01, 1.0, 50.0])
def test_rbf_machines_equal_libsvm(dtype: Any, cost: float) -> None:
    X, y = noisy_classes(150, 5)
    X, T = X[:100].astype(dtype), X[100:].astype(dtype)
    y = y[:100]
    rows = RBFRows(X, 0.3)
    np.testing.assert_allclose(rows.kernel, their_rbf_kernel(X, gamma=0.3), rtol=1e-5, atol=1e-7)
    theirs = SVC(C=cost, gamma=0.3, tol=1e-6).fit(X, y)
    exact = classify(rows.kernel, y, cost, tolerance=1e-6)
    np.testing.assert_allclose(
        rows.function(exact)(T), theirs.decision_function(T), rtol=0, atol=2e-5
    )
    machine = rows.fit(y, cost)
    assert np.abs(rows.function(machine)(T) - theirs.decision_function(T)).max() < 5e-3
    np.testing.assert_allclose(rows.decisions(machine), rows.function(machine)(X), atol=1e-4)


@pytest.mark.parametrize("kind", ["linear", "rbf"])
def test_rows_left_out_do_not_count(kind: str) -> None:
    X, y = noisy_classes(90, 4)
    some = np.random.default_rng(1).random(90) < 0.7
    make: Any = LinearRows if kind == "linear" else lambda rows: RBFRows(rows, 0.2)
    partly, alone = make(X), make(X[some])
    machine = partly.fit(y, 1.0, some)
    assert (machine.dual[~some] == 0).all()
    expected = alone.function(alone.fit(y[some], 1.0))(X)
    np.testing.assert_allclose(partly.decisions(machine), expected, atol=4e-3)


@pytest.mark.parametrize("present", [True, False])
@pytest.mark.parametrize("kind", ["linear", "rbf"])
def test_one_class_is_decided_everywhere(present: bool, kind: str) -> None:
    X = noisy_classes(20, 3)[0]
    rows: Any = LinearRows(X) if kind == "linear" else RBFRows(X, 1.0)
    decisions = rows.function(rows.fit(np.full(20, present), 1.0))(X)
    assert (decisions == (1 if present else -1)).all()


def objective(X: np.ndarray, y: np.ndarray, w: np.ndarray, b: float, cost: float) -> float:
    hinge = np.maximum(0, 1 - np.where(y, 1, -1) * (X @ w + b)).sum()
    return float(w @ w / 2 + cost * hinge)


@pytest.mark.parametrize(("n", "d"), [(30, 3), (200, 10), (50, 80), (3, 2)])
@pytest.mark.parametrize("cost", [1e-3, 1.0])
def test_the_interior_point_equals_libsvm(n: int, d: int, cost: float) -> None:
    X, y = noisy_classes(n, d, seed=3)
    y[:2] = True, False
    X -= X.mean(axis=0)
    dual, intercept = interior_point(X, y, cost)
    assert (np.abs(dual) <= cost).all()
    assert ((dual > 0) == y).all()
    assert abs(dual.sum()) <= 1e-6 * cost * n
    theirs = SVC(kernel="linear", C=cost, tol=1e-7).fit(X, y)
    best = objective(X, y, theirs.coef_[0], theirs.intercept_[0], cost)
    assert objective(X, y, dual @ X, intercept, cost) == pytest.approx(best, rel=3e-6, abs=3e-6)


@pytest.mark.parametrize("unit", [1e-4, 1e4])
def test_the_interior_point_needs_no_scaling(unit: float) -> None:
    """Features in other units with the cost that belongs to them: the same decisions."""
    X, y = noisy_classes(100, 6)
    X -= X.mean(axis=0)
    dual, intercept = interior_point(X, y, 1.0)
    scaled, offset = interior_point(X * unit, y, 1 / unit**2)
    np.testing.assert_allclose(
        (X * unit) @ (scaled @ (X * unit)) + offset, X @ (dual @ X) + intercept, atol=0.02
    )


def test_linear_rows_take_features_far_from_the_origin() -> None:
    X, y = noisy_classes(100, 4)
    near, far = LinearRows(X), LinearRows(X + 1e6)
    expected = near.function(near.fit(y, 1.0))(X)
    np.testing.assert_allclose(far.function(far.fit(y, 1.0))(X + 1e6), expected, atol=1e-4)
    np.testing.assert_allclose(far.decisions(far.fit(y, 1.0)), expected, atol=1e-4)


def test_an_interior_point_that_does_not_arrive_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X, y = noisy_classes(60, 3)
    monkeypatch.setattr("bench.methods._lift._ROUNDS", 2)
    with pytest.raises(BenchError, match="C = 1 found no solution; scale the features"):
        interior_point(X, y, 1.0)
