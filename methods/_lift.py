"""LIFT's two kinds of support vector machine, each over training rows that all folds share.

With the RBF kernel one kernel matrix serves every fold. The linear machine is found by an interior
point, whose time hardly depends on the data: primal-dual path following with the
predictor-corrector of S. Mehrotra (SIAM J. Optim. 2 (1992) 575–601), where every system has only
d + 1 unknowns (M. Ferris and T. Munson, Interior-point methods for massive support vector machines,
SIAM J. Optim. 13 (2002) 783–804). Only LIFT uses them, and lift.py is long enough without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from bench.api import BenchError
from bench.learn.svm import Machine, classify, constant_machine, rbf_kernel

_GAP = 1e-6  # between primal and dual objective, relative
_ROUNDS = 200
_SHORT_OF_BOUND = 0.99
_RIDGE = 1e-13

Direction = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class DecisionFunction(Protocol):
    """A machine that needs its training rows no more."""

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """f at the rows of ``X`` (n, d), float (n,)."""


@dataclass(frozen=True)
class LinearFunction:
    """f(x) = w·x + b."""

    weights: np.ndarray
    intercept: float

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """f at the rows of ``X`` (n, d), float64 (n,)."""
        return X @ self.weights + self.intercept


@dataclass(frozen=True)
class RBFFunction:
    """f(x) = Σ_i dual_i exp(−γ ||x − x_i||²) + b over the support vectors x_i."""

    support: np.ndarray
    dual: np.ndarray
    intercept: float
    gamma: float

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """f at the rows of ``X`` (n, d), float64 (n,)."""
        return rbf_kernel(X, self.support, self.gamma) @ self.dual + self.intercept


class RBFRows:
    """Training rows under the RBF kernel; holds n × n kernel values in the precision of ``X``."""

    def __init__(self, X: np.ndarray, gamma: float) -> None:
        self.X, self.gamma = X, gamma
        self.kernel = rbf_kernel(X, X, gamma)

    def fit(self, present: np.ndarray, cost: float, rows: np.ndarray | None = None) -> Machine:
        """The machine that tells ``present`` bool (n,), from ``rows`` bool (n,) or all."""
        return classify(self.kernel, present, cost, rows=rows)

    def decisions(self, machine: Machine) -> np.ndarray:
        """f at every training row, float64 (n,)."""
        return self.kernel @ machine.dual.astype(self.kernel.dtype) + machine.intercept

    def function(self, machine: Machine) -> RBFFunction:
        """``machine`` for any rows."""
        used = np.flatnonzero(machine.dual)
        used = used if len(used) else np.array([0])  # a constant machine has no support
        return RBFFunction(self.X[used], machine.dual[used], machine.intercept, self.gamma)


class LinearRows:
    """Training rows under the linear kernel; holds them in float64, and nothing n × n.

    SMO needs millions of steps where features are far from unit scale or classes overlap; the
    interior point does not care, and stops at the same solution.
    """

    def __init__(self, X: np.ndarray) -> None:
        self.mean = X.mean(axis=0, dtype=np.float64)
        # The intercept takes up any shift; without the common part the products lose no digits.
        self.centred = X - self.mean

    def fit(self, present: np.ndarray, cost: float, rows: np.ndarray | None = None) -> Machine:
        """The machine that tells ``present`` bool (n,), from ``rows`` bool (n,) or all.

        Its intercept belongs to centred rows.
        """
        used = np.ones(len(present), dtype=bool) if rows is None else rows
        constant = constant_machine(present, used)
        if constant is not None:
            return constant
        dual = np.zeros(len(present))
        dual[used], intercept = interior_point(self.centred[used], present[used], cost)
        return Machine(dual, intercept)

    def decisions(self, machine: Machine) -> np.ndarray:
        """f at every training row, float64 (n,)."""
        return self.centred @ (machine.dual @ self.centred) + machine.intercept

    def function(self, machine: Machine) -> LinearFunction:
        """``machine`` for any rows, not centred."""
        weights = machine.dual @ self.centred
        return LinearFunction(weights, float(machine.intercept - weights @ self.mean))


def interior_point(X: np.ndarray, present: np.ndarray, cost: float) -> tuple[np.ndarray, float]:
    """Minimise ½ ||w||² + C Σ_i ξ_i, where ξ_i ≥ 0 and y_i (w·x_i + b) ≥ 1 − ξ_i.

    Parameters
    ----------
    X : float64 (n, d)
        Best centred: then the products lose no digits.
    present : bool (n,)
        y = 1 where present and −1 elsewhere; both occur.
    cost : float
        C > 0.

    Returns
    -------
    dual : float64 (n,)
        y_i α_i; w is ``dual @ X``.
    intercept : float
        b.

    Raises
    ------
    BenchError
        If primal and dual objective do not meet.
    """
    path = _Path(X, present, cost)
    for _ in range(_ROUNDS):
        if path.arrived():
            return path.sign * path.alpha, float(path.v[-1])
        path.advance()
    raise BenchError(
        f"the linear support vector machine with C = {cost:g} found no solution; scale the "
        "features or take a smaller C"
    )


class _Path:
    """Where the method is: v = (w, b), α, C − α, the slack ξ and the margin y f − 1 + ξ, all > 0.

    α margin and (C − α) ξ are 0 at the solution; on the way there all of them are kept about equal.
    """

    def __init__(self, X: np.ndarray, present: np.ndarray, cost: float) -> None:
        n, d = X.shape
        self.cost = cost
        self.sign = np.where(present, 1.0, -1.0)
        self.rows = np.hstack([X, np.ones((n, 1))])
        self.weighted = np.empty_like(self.rows)
        self.v = np.zeros(d + 1)
        self.alpha, self.room = np.full(n, cost / 2), np.full(n, cost / 2)
        self.slack, self.margin = np.ones(n), np.ones(n)
        self.decisions = np.zeros(n)  # f
        self.sums = self.rows.T @ (self.sign * self.alpha)  # Σ y α x and Σ y α

    def arrived(self) -> bool:
        """Whether the objectives meet and Σ y α = 0."""
        weights = self.v[:-1]
        losses = np.maximum(0, 1 - self.sign * self.decisions).sum()
        primal = weights @ weights / 2 + self.cost * losses
        dual = self.alpha.sum() - self.sums[:-1] @ self.sums[:-1] / 2
        balanced = abs(self.sums[-1]) <= _GAP * self.cost * len(self.alpha)
        return bool(abs(primal - dual) <= _GAP * (1 + primal) and balanced)

    def advance(self) -> None:
        """One predictor step to see how far it goes, and the step that follows from it."""
        n = len(self.alpha)
        theta = 1 / (self.slack / self.room + self.margin / self.alpha)
        np.multiply(self.rows, np.sqrt(theta)[:, None], out=self.weighted)
        system = self.weighted.T @ self.weighted
        inner = np.arange(len(system) - 1)
        system[inner, inner] += 1  # the penalty on w; b has none
        # Near the solution some θ are so large that rounding would make it indefinite.
        system[np.diag_indices(len(system))] *= 1 + _RIDGE
        factor = cho_factor(system, lower=True, overwrite_a=True, check_finite=False)

        first, second = self.alpha * self.margin, self.room * self.slack
        ahead = self._direction(factor, theta, -first, -second)
        length = self._length(ahead)
        _, _, dalpha, dmargin, dslack = ahead
        after = (self.alpha + length * dalpha) @ (self.margin + length * dmargin)
        after += (self.room - length * dalpha) @ (self.slack + length * dslack)
        now = first.sum() + second.sum()
        goal = (after / now) ** 3 * now / (2 * n)
        step = self._direction(
            factor, theta, goal - first - dalpha * dmargin, goal - second + dalpha * dslack
        )
        length = min(1.0, _SHORT_OF_BOUND * self._length(step))
        dv, ddecisions, dalpha, dmargin, dslack = (length * change for change in step)
        self.v += dv
        self.decisions += ddecisions
        self.alpha += dalpha
        self.room -= dalpha
        self.margin += dmargin
        self.slack += dslack
        # f could go on like this, but these fall from the start by many powers of ten.
        self.sums = self.rows.T @ (self.sign * self.alpha)

    def _lacking(self) -> np.ndarray:
        """What is missing to w = Σ y α x and 0 = Σ y α."""
        return np.append(self.v[:-1], 0.0) - self.sums

    def _direction(
        self,
        factor: tuple[np.ndarray, bool],
        theta: np.ndarray,
        margin_goal: np.ndarray,
        slack_goal: np.ndarray,
    ) -> Direction:
        """Newton's changes of v, f, α, margin and ξ.

        They put the conditions right that are linear, and change α margin and (C − α) ξ by the
        goals, to first order.
        """
        violated = self.sign * self.decisions - 1 + self.slack - self.margin
        target = theta * (margin_goal / self.alpha - slack_goal / self.room - violated)
        right = self.rows.T @ (self.sign * target) - self._lacking()
        dv = cho_solve(factor, right, check_finite=False)
        ddecisions = self.rows @ dv
        dalpha = target - theta * self.sign * ddecisions
        dmargin = (margin_goal - self.margin * dalpha) / self.alpha
        dslack = (slack_goal + self.slack * dalpha) / self.room
        return dv, ddecisions, dalpha, dmargin, dslack

    def _length(self, direction: Direction) -> float:
        """The longest step, up to 1, that leaves all four at 0 or above."""
        _, _, dalpha, dmargin, dslack = direction
        longest = 1.0
        for value, change in (
            (self.alpha, dalpha),
            (self.room, -dalpha),
            (self.margin, dmargin),
            (self.slack, dslack),
        ):
            falling = change < 0
            if falling.any():
                longest = min(longest, float((-value[falling] / change[falling]).min()))
        return longest
