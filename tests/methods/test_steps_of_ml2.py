"""ML²'s manifolds and regression against their definitions and against other solvers."""

from __future__ import annotations

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from bench.methods import _ml2, _ml2_weights
from bench.methods._ml2 import _Solver, fit_amsvr, label_manifold
from bench.methods._ml2_weights import reconstruction_weights
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
    weights = reconstruction_weights(X, k).weights.toarray()
    np.testing.assert_allclose(weights, slow_weights(X.astype(float), k), rtol=0, atol=1e-8)


def test_weights_do_not_depend_on_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.random.default_rng(0).normal(size=(30, 6))
    whole = reconstruction_weights(X, 4).weights.toarray()
    monkeypatch.setattr(_ml2_weights, "_BLOCK_ELEMENTS", 50)
    np.testing.assert_array_equal(reconstruction_weights(X, 4).weights.toarray(), whole)


def with_repeats(noise: float, copies: int = 2) -> np.ndarray:
    """30 rows of 12 columns, ten of them with copies beside."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(30, 12))
    near = [X[:10] + noise * rng.normal(size=(10, 12)) for _ in range(copies)]
    return np.concatenate([X, *near])


def test_rows_that_repeat_get_the_least_squares_weights_of_least_norm() -> None:
    # As the authors' left division falls back to where the system is singular.
    X, k = with_repeats(0), 6
    found = reconstruction_weights(X, k)
    expected = np.zeros((50, 50))
    for i in range(50):
        others = sorted((float(((X[j] - X[i]) ** 2).sum()), j) for j in range(50) if j != i)
        chosen = [j for _, j in others[:k]]
        Z = X[chosen] - X[i]
        solution = np.linalg.lstsq(Z @ Z.T, np.ones(k), rcond=1e-12)[0]
        expected[i, chosen] = solution / solution.sum()
    np.testing.assert_allclose(found.weights.toarray(), expected, rtol=0, atol=1e-9)
    assert (found.copied, found.surrounded, found.spanned) == (30, 0, 0)
    assert found.weights[0, 30] == found.weights[30, 0] == 0


@pytest.mark.parametrize("noise", [1e-12, 1e-7, 1e-5])
def test_near_copies_are_copies(noise: float) -> None:
    exact, near = (reconstruction_weights(with_repeats(a), 6) for a in (0, noise))
    # Which copy of a row is among the k nearest hangs on the noise, how many are does not.
    origin = np.eye(30)[np.r_[:30, :10, :10]]
    difference = near.weights @ origin - exact.weights @ origin
    np.testing.assert_allclose(difference, 0, atol=1e-9 + 10 * noise)
    assert near.copied == exact.copied


@pytest.mark.parametrize("noise", [0, 1e-6, 1e-3])
@pytest.mark.parametrize("copies", [8, 25])
def test_more_copies_than_neighbours_leave_the_nearest_rows_beyond(
    noise: float, copies: int
) -> None:
    X = with_repeats(noise, copies)
    X = X[(np.arange(len(X)) < 30) | ((np.arange(len(X)) - 30) % 10 == 0)]  # of row 0 alone
    found = reconstruction_weights(X, 6)
    weights = found.weights.toarray()
    own = np.r_[0, 30 : 30 + copies]
    assert found.surrounded == len(own) == copies + 1
    assert np.abs(weights[np.ix_(own, own)]).max() == 0
    beyond = np.argsort(((X[1:30] - X[0]) ** 2).sum(axis=1))[:6] + 1
    assert set(np.flatnonzero(weights[0])) == set(beyond)
    np.testing.assert_allclose(weights.sum(axis=1), 1)


def test_directions_within_the_rounding_of_float32_carry_nothing() -> None:
    # 20 columns that are sums of three: rounding spans what the features do not.
    rng = np.random.default_rng(2)
    few = rng.normal(size=(40, 3)).astype(np.float32)
    wide = few @ rng.normal(size=(3, 20)).astype(np.float32)
    found = reconstruction_weights(wide, 7)
    assert found.spanned == 40
    assert np.abs(found.weights.data).max() < 3
    assert reconstruction_weights(few, 7).spanned == 0  # k > d is the authors' own case


def test_a_row_far_off_makes_no_copies_of_the_others() -> None:
    X = np.random.default_rng(3).normal(size=(40, 9))
    alone = reconstruction_weights(X, 5)
    far = np.concatenate([X, np.full((1, 9), 1e12)])
    again = reconstruction_weights(far, 5)
    np.testing.assert_allclose(again.weights.toarray()[:40, :40], alone.weights.toarray())
    assert again.copied == again.surrounded == 0


def test_a_row_between_its_neighbours_and_rows_that_are_all_equal() -> None:
    # Z Zᵀ w = 1 has no solution in either case.
    X = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 0.0], [-1.0, -1.0, 0.0], [9.0, 9.0, 9.0]])
    np.testing.assert_allclose(reconstruction_weights(X, 2).weights.toarray()[0], [0, 0.5, 0.5, 0])
    equal = reconstruction_weights(np.ones((5, 3)), 2).weights.toarray()
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
    weights = reconstruction_weights(X, k).weights
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
    weights = reconstruction_weights(X, 5).weights
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
    weights = reconstruction_weights(rng.standard_cauchy((150, 10)), 7).weights
    monkeypatch.setattr(_ml2, "_STEPS", 60)
    mu = label_manifold(weights, rng.random((150, 2)) < 0.3)
    assert np.abs(mu).max() > 2


def test_numerical_labels_scale_with_their_bound_and_follow_their_columns() -> None:
    rng = np.random.default_rng(5)
    weights = reconstruction_weights(rng.normal(size=(25, 5)), 4).weights
    Y = rng.random((25, 4)) < 0.5
    mu = label_manifold(weights, Y)
    np.testing.assert_allclose(label_manifold(weights, Y, 3.5), 3.5 * mu)
    order = [2, 0, 3, 1]
    np.testing.assert_array_equal(label_manifold(weights, Y[:, order]), mu[:, order])
    np.testing.assert_allclose(label_manifold(weights, ~Y), -mu, rtol=0, atol=1e-9)


def test_a_label_of_all_rows_or_none_stays_as_it_is() -> None:
    weights = reconstruction_weights(np.random.default_rng(6).normal(size=(15, 4)), 3).weights
    mu = label_manifold(weights, np.tile([True, False], (15, 1)))
    np.testing.assert_array_equal(mu, np.tile([1.0, -1.0], (15, 1)))


# ---------------------------------------- the regression, against a literal transcript


def regression(seed: int, n: int = 30, labels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    distances = ((X[:, None] - X[None]) ** 2).sum(axis=2)
    kernel = np.exp(-distances / (2 * np.sqrt(distances).mean() ** 2))
    targets = rng.normal(size=(n, labels))
    return kernel, np.sign(targets) * (1 + np.abs(targets))


def slow_objective(
    K: np.ndarray, mu: np.ndarray, beta: np.ndarray, b: np.ndarray, C1: float, C2: float, eps: float
) -> float:
    total = 0.0
    for label in range(mu.shape[1]):
        total += beta[:, label] @ K @ beta[:, label] / 2
    for i in range(len(mu)):
        p = K[i] @ beta + b
        u = float(np.sqrt(((mu[i] - p) ** 2).sum()))
        if u > eps:
            total += C1 / 2 * (u - eps) ** 2
            total += C2 * sum(max(0.0, -np.sign(m) * q) for m, q in zip(mu[i], p, strict=True))
    return total


def slow_fit(
    K: np.ndarray, mu: np.ndarray, C1: float, C2: float, eps: float, tol: float
) -> tuple[np.ndarray, np.ndarray, float, int]:
    """The iteration as the facts state it: the whole (m + 1)² system, every time."""
    n, labels = mu.shape
    beta, b = np.ones((n, labels)), np.ones(labels)
    objective = slow_objective(K, mu, beta, b, C1, C2, eps)
    iterations = 1
    while True:
        p = K @ beta + b
        u = np.sqrt(((mu - p) ** 2).sum(axis=1))
        rows = np.flatnonzero(u > eps)
        if not len(rows):
            return beta, b, objective, iterations
        iterations += 1
        a = 2 * (u[rows] - eps) / u[rows]
        s = np.where(np.sign(mu) * p < 0, np.sign(mu), 0)[rows]
        Kr = K[np.ix_(rows, rows)]
        M = np.zeros((len(rows) + 1, len(rows) + 1))
        M[:-1, :-1] = C1 * Kr + np.diag(1 / a)
        M[:-1, -1] = C1
        M[-1, :-1] = C1 * (a @ Kr)
        M[-1, -1] = C1 * a.sum()
        right = np.vstack([C1 * mu[rows] + C2 * s / a[:, None], C1 * a @ mu[rows] + C2 * s.sum(0)])
        solution = np.linalg.solve(M, right)
        new, new_b = np.zeros_like(beta), solution[-1]
        new[rows] = solution[:-1]
        eta = 1.0
        while True:
            trial, trial_b = eta * new + (1 - eta) * beta, eta * new_b + (1 - eta) * b
            reached = slow_objective(K, mu, trial, trial_b, C1, C2, eps)
            if reached <= objective or eta < 1e-16:
                break
            eta /= 10
        if reached > objective:
            return beta, b, objective, iterations
        done = objective - reached <= tol * objective
        beta, b, objective = trial, trial_b, reached
        if done:
            return beta, b, objective, iterations


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("C1", "C2", "eps"),
    [(1, 1, 1e-3), (1, 10, 1e-3), (3, 0, 0), (0.2, 2, 0.5), (20, 1, 2)],
)
def test_follows_the_iteration(seed: int, C1: float, C2: float, eps: float) -> None:
    kernel, targets = regression(seed)
    found = fit_amsvr(kernel, targets, C1=C1, C2=C2, eps=eps, tol=1e-5)
    beta, b, objective, iterations = slow_fit(kernel, targets, C1, C2, eps, 1e-5)
    assert found.iterations == iterations
    assert found.objective == pytest.approx(objective, rel=1e-9)
    np.testing.assert_allclose(
        kernel @ found.coefficients + found.intercept, kernel @ beta + b, rtol=0, atol=1e-7
    )


def test_the_cases_cover_cut_steps_and_rows_inside_the_tube() -> None:
    kernel, targets = regression(0)
    loose = fit_amsvr(kernel, targets, C1=20, C2=1, eps=2)
    distance = np.linalg.norm(targets - kernel @ loose.coefficients - loose.intercept, axis=1)
    assert (distance < 2).any()
    assert (
        fit_amsvr(kernel, targets, C2=10).iterations > fit_amsvr(kernel, targets, C2=0).iterations
    )


def test_a_perfect_fit_is_kept() -> None:
    kernel, _ = regression(1)
    found = fit_amsvr(kernel, np.tile([1.0, -2.0], (30, 1)))
    np.testing.assert_allclose(found.intercept, [1, -2], atol=1e-3)
    np.testing.assert_allclose(found.coefficients, 0, atol=1e-3)
    assert found.objective < 1e-3


def test_labels_and_rows_may_come_in_any_order() -> None:
    kernel, targets = regression(2)
    found = fit_amsvr(kernel, targets, C2=10)
    rows, labels = np.random.default_rng(0).permutation(30), [2, 0, 1]
    other = fit_amsvr(kernel[np.ix_(rows, rows)], targets[rows][:, labels], C2=10)
    np.testing.assert_allclose(other.intercept, found.intercept[labels], atol=1e-8)
    np.testing.assert_allclose(
        other.coefficients, found.coefficients[rows][:, labels], rtol=0, atol=1e-7
    )


def test_an_old_factor_gives_the_new_solution() -> None:
    kernel, targets = regression(3, n=60)
    rng = np.random.default_rng(4)
    solver, rows, shift = _Solver(kernel, 2.0), np.ones(60, bool), 0.5 + rng.random(60)
    factors = []
    for change in (0.0, 1e-7, 1e-3, 0.009, 0.3):
        now = shift + change * rng.random(60)
        exact = np.linalg.solve(2 * kernel + np.diag(now), targets)
        np.testing.assert_allclose(solver.solve(rows, now, targets), exact, rtol=0, atol=1e-12)
        factors.append(solver.factor)
    assert factors[0] is factors[3]
    assert factors[3] is not factors[4]
    some = rows.copy()
    some[::3] = False
    exact = np.linalg.solve(2 * kernel[np.ix_(some, some)] + np.diag(now[some]), targets[some])
    np.testing.assert_allclose(solver.solve(some, now[some], targets[some]), exact, atol=1e-12)
