"""ML²'s manifolds against their definitions, row by row, and against a general solver."""

from __future__ import annotations

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from bench.methods import _manifold as manifold
from bench.methods._manifold import label_manifold, reconstruction_weights
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear


def slow_weights(X: np.ndarray, k: int) -> np.ndarray:
    """The constrained least squares of each row, by Lagrange multipliers."""
    n, d = X.shape
    weights = np.zeros((n, n))
    for i in range(n):
        others = sorted((float(((X[j] - X[i]) ** 2).sum()), j) for j in range(n) if j != i)
        chosen = [j for _, j in others[:k]]
        gram = np.array([[(X[a] - X[i]) @ (X[b] - X[i]) for b in chosen] for a in chosen])
        if k > d:
            gram += 1e-3 * np.trace(gram) * np.eye(k)
        system = np.block([[gram, np.ones((k, 1))], [np.ones((1, k)), np.zeros((1, 1))]])
        weights[i, chosen] = np.linalg.solve(system, np.r_[np.zeros(k), 1.0])[:k]
    return weights


@pytest.mark.parametrize(
    ("n", "d", "k"), [(12, 5, 4), (12, 5, 5), (12, 2, 4), (9, 1, 8), (3, 4, 1)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_are_the_constrained_least_squares(n: int, d: int, k: int, dtype: type) -> None:
    X: np.ndarray = np.random.default_rng(n + d + k).normal(size=(n, d)).astype(dtype)
    weights = reconstruction_weights(X, k).toarray()
    np.testing.assert_allclose(weights, slow_weights(X.astype(float), k), rtol=0, atol=1e-8)


def test_weights_do_not_depend_on_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.random.default_rng(0).normal(size=(30, 6))
    whole = reconstruction_weights(X, 4).toarray()
    monkeypatch.setattr(manifold, "_BLOCK_ELEMENTS", 50)
    np.testing.assert_array_equal(reconstruction_weights(X, 4).toarray(), whole)


def test_a_duplicate_stands_for_its_row() -> None:
    X = np.random.default_rng(1).normal(size=(10, 6))
    X[7] = X[2]
    weights = reconstruction_weights(X, 3).toarray()
    assert weights[2, 7] > 0.9
    assert weights[7, 2] > 0.9
    np.testing.assert_allclose(weights.sum(axis=1), 1)


def test_a_row_between_its_neighbours_and_rows_that_are_all_equal() -> None:
    # Z Zᵀ w = 1 has no solution in either case.
    X = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 0.0], [-1.0, -1.0, 0.0], [9.0, 9.0, 9.0]])
    np.testing.assert_allclose(reconstruction_weights(X, 2).toarray()[0], [0, 0.5, 0.5, 0])
    equal = reconstruction_weights(np.ones((5, 3)), 2).toarray()
    np.testing.assert_allclose(equal[equal != 0], 0.5)
    assert (np.count_nonzero(equal, axis=1) == 2).all()


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    """Few values, hence duplicates, singular systems and rows without a unique answer."""
    n, d = draw(st.integers(3, 14)), draw(st.integers(1, 4))
    values = st.one_of(st.integers(-2, 2), st.floats(-2, 2, width=16))
    X = draw(arrays.arrays(np.float64, (n, d), elements=values))
    Y = draw(arrays.arrays(bool, (n, draw(st.integers(1, 3)))))
    return X, Y, draw(st.integers(1, min(5, n - 1)))


@given(problems())
@settings(deadline=None, max_examples=150)
def test_numerical_labels_are_the_minimum(problem: tuple[np.ndarray, np.ndarray, int]) -> None:
    X, Y, k = problem
    weights = reconstruction_weights(X, k)
    mu = label_manifold(weights, Y)
    residual = np.eye(len(X)) - weights.toarray()
    size = np.abs(residual).T @ np.abs(residual)
    for label, y in enumerate(np.where(Y, 1.0, -1.0).T):
        v = y * mu[:, label]
        assert (v >= 1).all()
        gradient = y * (residual.T @ (residual @ mu[:, label]))
        allowed = 1e-11 * (size @ v).max()
        # Karush, Kuhn and Tucker: no slope where free, none downhill at the bound.
        assert np.abs(v - np.maximum(v - gradient, 1)).max() <= allowed


@pytest.mark.parametrize("seed", range(4))
def test_numerical_labels_equal_a_general_solver(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40, 8))
    Y = rng.random((40, 3)) < 0.4
    weights = reconstruction_weights(X, 5)
    mu = label_manifold(weights, Y)
    residual = np.eye(40) - weights.toarray()
    for label, y in enumerate(np.where(Y, 1.0, -1.0).T):
        bounds = (np.ones(40), np.full(40, np.inf))
        found = lsq_linear(residual * y, np.zeros(40), bounds, method="bvls", tol=1e-15)
        np.testing.assert_allclose(y * mu[:, label], found.x, rtol=0, atol=1e-7)
    assert (np.abs(mu) > 1.01).any()


@pytest.mark.parametrize("seed", range(10))
def test_numerical_labels_of_wild_features(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Weights in the hundreds: steps that release every bound at once run into them for ever.
    rng = np.random.default_rng(seed)
    weights = reconstruction_weights(rng.standard_cauchy((150, 10)), 7)
    monkeypatch.setattr(manifold, "_STEPS", 60)
    mu = label_manifold(weights, rng.random((150, 2)) < 0.3)
    assert np.abs(mu).max() > 2


def test_numerical_labels_scale_with_their_bound_and_follow_their_columns() -> None:
    rng = np.random.default_rng(5)
    weights = reconstruction_weights(rng.normal(size=(25, 5)), 4)
    Y = rng.random((25, 4)) < 0.5
    mu = label_manifold(weights, Y)
    np.testing.assert_allclose(label_manifold(weights, Y, 3.5), 3.5 * mu)
    order = [2, 0, 3, 1]
    np.testing.assert_array_equal(label_manifold(weights, Y[:, order]), mu[:, order])
    np.testing.assert_allclose(label_manifold(weights, ~Y), -mu, rtol=0, atol=1e-9)


def test_a_label_of_all_rows_or_none_stays_as_it_is() -> None:
    weights = reconstruction_weights(np.random.default_rng(6).normal(size=(15, 4)), 3)
    mu = label_manifold(weights, np.tile([True, False], (15, 1)))
    np.testing.assert_array_equal(mu, np.tile([1.0, -1.0], (15, 1)))
