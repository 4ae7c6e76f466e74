"""ML²'s regressor against a literal transcript of its iteration."""

from __future__ import annotations

import numpy as np
import pytest
from bench.methods._amsvr import _Solver, fit_amsvr


def problem(seed: int, n: int = 30, labels: int = 3) -> tuple[np.ndarray, np.ndarray]:
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
    kernel, targets = problem(seed)
    found = fit_amsvr(kernel, targets, C1=C1, C2=C2, eps=eps, tol=1e-5)
    beta, b, objective, iterations = slow_fit(kernel, targets, C1, C2, eps, 1e-5)
    assert found.iterations == iterations
    assert found.objective == pytest.approx(objective, rel=1e-9)
    np.testing.assert_allclose(
        kernel @ found.coefficients + found.intercept, kernel @ beta + b, rtol=0, atol=1e-7
    )


def test_the_cases_cover_cut_steps_and_rows_inside_the_tube() -> None:
    kernel, targets = problem(0)
    loose = fit_amsvr(kernel, targets, C1=20, C2=1, eps=2)
    distance = np.linalg.norm(targets - kernel @ loose.coefficients - loose.intercept, axis=1)
    assert (distance < 2).any()
    assert (
        fit_amsvr(kernel, targets, C2=10).iterations > fit_amsvr(kernel, targets, C2=0).iterations
    )


def test_a_perfect_fit_is_kept() -> None:
    kernel, _ = problem(1)
    found = fit_amsvr(kernel, np.tile([1.0, -2.0], (30, 1)))
    np.testing.assert_allclose(found.intercept, [1, -2], atol=1e-3)
    np.testing.assert_allclose(found.coefficients, 0, atol=1e-3)
    assert found.objective < 1e-3


def test_labels_and_rows_may_come_in_any_order() -> None:
    kernel, targets = problem(2)
    found = fit_amsvr(kernel, targets, C2=10)
    rows, labels = np.random.default_rng(0).permutation(30), [2, 0, 1]
    other = fit_amsvr(kernel[np.ix_(rows, rows)], targets[rows][:, labels], C2=10)
    np.testing.assert_allclose(other.intercept, found.intercept[labels], atol=1e-8)
    np.testing.assert_allclose(
        other.coefficients, found.coefficients[rows][:, labels], rtol=0, atol=1e-7
    )


def test_an_old_factor_gives_the_new_solution() -> None:
    kernel, targets = problem(3, n=60)
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
