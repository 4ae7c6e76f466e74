"""`sa-bfgs`: its objective by loops, its gradient by differences, its solution by its meaning."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from builtin import method_class
from scipy.optimize import check_grad, minimize

from bench.api import BenchError

SABFGS = method_class("sa-bfgs")
objective = sys.modules[SABFGS.__module__].objective


def problem(n: int = 200, d: int = 3, labels: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distributions of a known model; X, D and θ."""
    rng = np.random.default_rng(0)
    X, theta = rng.normal(size=(n, d)), rng.normal(size=(labels, d))
    D = np.exp(X @ theta.T)
    return X, D / D.sum(axis=1, keepdims=True), theta


def test_objective_label_by_label() -> None:
    X, D, _ = problem(7)
    weights = np.random.default_rng(1).normal(size=12)
    total = 0.0
    for x, shares in zip(X, D, strict=True):
        energies = [math.exp(float(weights.reshape(4, 3)[y] @ x)) for y in range(4)]
        for y in range(4):
            total -= shares[y] * math.log(energies[y] / sum(energies))
    assert objective(weights, X, D)[0] == pytest.approx(total / 7)


def test_gradient_by_differences() -> None:
    X, D, _ = problem(20)
    rng = np.random.default_rng(2)
    for _ in range(5):
        weights = rng.normal(size=12)
        error = check_grad(
            lambda w: objective(w, X, D)[0], lambda w: objective(w, X, D)[1], weights
        )
        assert error < 1e-6


def test_a_model_of_its_kind_is_found_again() -> None:
    X, D, theta = problem()
    method = SABFGS().fit(X, D)
    np.testing.assert_allclose(method.scores(X), D, atol=1e-4)
    # θ is known up to a vector that all labels share.
    np.testing.assert_allclose(
        method.coef_ - method.coef_.mean(axis=0), theta - theta.mean(axis=0), atol=1e-2
    )
    assert "converged" in method.remarks()[0]


def test_limited_memory_comes_where_full_bfgs_comes() -> None:
    X, _, _ = problem(80)
    D = np.random.default_rng(3).dirichlet(np.ones(4), size=80)  # no model of this kind
    full = minimize(objective, np.zeros(12), args=(X, D), jac=True, method="BFGS")
    method = SABFGS().fit(X, D)
    assert method.value_ == pytest.approx(full.fun, abs=1e-6)
    energies = np.exp(X @ full.x.reshape(4, 3).T)
    np.testing.assert_allclose(
        method.scores(X), energies / energies.sum(axis=1, keepdims=True), atol=1e-3
    )
    # At the optimum the model's mean of shares times features is the data's.
    np.testing.assert_allclose(method.scores(X).T @ X / 80, D.T @ X / 80, atol=1e-4)


def test_more_features_than_rows_take_the_same_steps() -> None:
    rng = np.random.default_rng(4)
    X, D = rng.normal(size=(15, 40)), rng.dirichlet(np.ones(4), size=15)
    X[14] = X[3]  # of lower rank than it has rows
    new = rng.normal(size=(9, 40))
    for steps in (3, 10):
        options = {"maxiter": steps, "maxcor": 10, "gtol": 1e-6}
        plain = minimize(
            objective, np.zeros(160), args=(X, D), jac=True, method="L-BFGS-B", options=options
        )
        theta = plain.x.reshape(4, 40)
        method = SABFGS(iterations=steps).fit(X, D)
        assert method.coef_.shape == (4, 40)
        np.testing.assert_allclose(method.coef_, theta, atol=1e-6)
        energies = np.exp(new @ theta.T)
        expected = energies / energies.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(method.scores(new), expected, atol=1e-6)


def test_iterations_are_a_limit_and_told() -> None:
    X, D, _ = problem()
    method = SABFGS(iterations=2).fit(X, D)
    assert method.n_iter_ == 2
    assert "2 iterations (the limit)" in method.remarks()[0]
    assert method.value_ > SABFGS().fit(X, D).value_


def test_large_features_do_not_overflow_and_labels_have_a_fair_share() -> None:
    X, D, _ = problem()
    scores, labels = SABFGS(iterations=5).fit(X * 1e5, D).scores_and_labels(X * 1e5)
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    assert (labels == (scores >= 0.25 - 1e-9)).all()
    assert labels.any(axis=1).all()  # one share at least is 1/L


def test_bad_input_and_memory() -> None:
    X, D, _ = problem()
    with pytest.raises(BenchError, match="learns from label distributions"):
        SABFGS().fit(X, D > 0.25)
    with pytest.raises(BenchError, match="not finite"):
        SABFGS().fit(np.full_like(X, np.inf), D)
    assert SABFGS().memory_needed(1000, 5900, 6) > 8 * 1000 * 5900 + 8 * 20 * 5900 * 6
