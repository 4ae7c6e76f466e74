"""Platt's probabilities for decision values, as LIBSVM's ``-b 1`` computes them.

J. Platt, Probabilistic outputs for support vector machines, in Advances in Large Margin Classifiers
(2000) 61–74: P(y = 1 | f) = 1 / (1 + exp(A f + B)), fitted to decision values of cross-validation,
by the algorithm of H.-T. Lin, C.-J. Lin and R. Weng, Machine Learning 68 (2007) 267–276.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from bench.api import BenchError
from bench.learn.svm import DecisionFunction, LinearRows, RBFRows

# The values of Lin, Lin and Weng's pseudo-code and of LIBSVM
_ROUNDS = 100
_SHORTEST = 1e-10
_RIDGE = 1e-12
_GRADIENT = 1e-5
FOLDS = 5


@dataclass(frozen=True)
class Probability:
    """P(y = 1 | x) = 1 / (1 + exp(A f(x) + B)), with A = ``slope`` and B = ``offset``."""

    decide: DecisionFunction
    slope: float
    offset: float

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Of the rows of ``X`` (n, d), float (n,) in [0, 1]."""
        return probabilities(self.decide(X), self.slope, self.offset)


def fit_probability(
    rows: LinearRows | RBFRows, present: np.ndarray, cost: float, rng: np.random.Generator
) -> Probability:
    """A machine from all rows, and its sigmoid from five that each leave out some.

    Parameters
    ----------
    rows : LinearRows or RBFRows
        n training rows.
    present : bool (n,)
        Of both classes.
    cost : float
        C > 0.
    rng : numpy.random.Generator
        Draws the folds.
    """
    held_out = cross_validated(
        lambda some: rows.decisions(rows.fit(present, cost, some)), present, rng
    )
    slope, offset = fit_sigmoid(held_out, present)
    return Probability(rows.function(rows.fit(present, cost)), slope, offset)


def probabilities(decisions: np.ndarray, slope: float, offset: float) -> np.ndarray:
    """1 / (1 + exp(A f + B)) with A = ``slope`` and B = ``offset``, in the shape of f."""
    return expit(-(slope * decisions + offset))


def fit_sigmoid(decisions: np.ndarray, present: np.ndarray) -> tuple[float, float]:
    """A and B of greatest likelihood for targets slightly off 0 and 1.

    The targets are (n₊ + 1) / (n₊ + 2) where ``present`` bool (n,), 1 / (n₋ + 2) elsewhere, with
    the counts n₊ and n₋ of both (Platt's Bayesian estimate, which keeps A finite). Newton's method
    with backtracking, from A = 0 and B = log((n₋ + 1) / (n₊ + 1)).

    Raises
    ------
    BenchError
        If 100 rounds do not lead there.
    """
    positive = int(np.count_nonzero(present))
    negative = len(present) - positive
    target = np.where(present, (positive + 1) / (positive + 2), 1 / (negative + 2))

    def loss(slope: float, offset: float) -> float:
        """Minus the log-likelihood."""
        exponent = slope * decisions + offset
        # log(1 + exp(z)) does not overflow this way
        return float((np.logaddexp(0, exponent) - (1 - target) * exponent).sum())

    slope, offset = 0.0, float(np.log((negative + 1) / (positive + 1)))
    current = loss(slope, offset)
    for _ in range(_ROUNDS):
        likely = probabilities(decisions, slope, offset)
        error, weight = target - likely, likely * (1 - likely)
        gradient = np.array([(decisions * error).sum(), error.sum()])
        if np.abs(gradient).max() < _GRADIENT:
            return slope, offset
        mixed = (decisions * weight).sum()
        hessian = np.array([[(decisions**2 * weight).sum(), mixed], [mixed, weight.sum()]])
        direction = -np.linalg.solve(hessian + _RIDGE * np.eye(2), gradient)
        descent = float(gradient @ direction)
        step = 1.0
        while step >= _SHORTEST:
            there = slope + step * direction[0], offset + step * direction[1]
            if (new := loss(*there)) < current + 1e-4 * step * descent:
                break
            step /= 2
        else:
            # No step along a descent direction lowers the sum: this is the minimum, to rounding.
            return slope, offset
        (slope, offset), current = there, new
    raise BenchError(
        "Platt's sigmoid found no solution for these decision values; scale the features"
    )


def cross_validated(
    decide: Callable[[np.ndarray], np.ndarray], present: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Decision values (n,), each from a machine that did not see its row.

    Five folds of a random permutation, as LIBSVM draws them (not stratified). Where all rows
    outside a fold are of one class, those in it get 1 or −1.

    Parameters
    ----------
    decide : callable
        Takes the rows to learn from, bool (n,), and gives the decision values of all, float (n,).
        It is called only with both classes among those rows.
    present : bool (n,)
        Of both classes.
    rng : numpy.random.Generator
        Draws the permutation.

    Returns
    -------
    float64 (n,)
    """
    n = len(present)
    order = rng.permutation(n)
    decisions = np.empty(n)
    for fold in range(FOLDS):
        held_out = order[fold * n // FOLDS : (fold + 1) * n // FOLDS]
        rows = np.ones(n, dtype=bool)
        rows[held_out] = False
        if present[rows].all() or not present[rows].any():
            decisions[held_out] = 1.0 if present[rows].any() else -1.0
        else:
            decisions[held_out] = decide(rows)[held_out]
    return decisions
