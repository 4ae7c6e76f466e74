"""The last two steps of ML²: numerical labels, and their regression.

P. Hou, X. Geng and M.-L. Zhang, Multi-label manifold learning, AAAI 2016. Each training row is
written as a weighted sum of its neighbours (`_ml2_weights`); the labels then become real numbers
that obey the same sums as well as their signs allow; a multi-output support vector machine that
also minds the signs predicts these numbers. Only ML² takes these steps, and ml2.py would be too
long with them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.linalg import cho_solve

from bench.api import BenchError
from bench.learn.openblas import factor_in_place

_TOLERANCE = 1e-12  # of the gradient, in units of the terms that it is summed from
_SUFFICIENT = 1e-4
_STEPS = 500
_SHORTEST = 1e-16
# A factor serves while its system and the current one differ by less than this; ten steps of
# refinement then reach rounding.
_DRIFT = 0.02


# ------------------------------------------------------------ the label manifold


def label_manifold(weights: sparse.csr_array, Y: np.ndarray, lam: float = 1.0) -> np.ndarray:
    """Numerical labels μ: for each label min μᵀ M μ subject to y_i μ_i >= λ, M = (I−W)ᵀ(I−W).

    Solved to rounding by projected Newton steps (D. Bertsekas, SIAM J. Control Optim. 20 (1982)
    221–246) from μ = λ y. M is singular: where the minimum is attained at more than one point (a
    label that all rows have, say), this is the one reached from there.

    Parameters
    ----------
    weights : sparse float (n, n)
        Of `_ml2_weights.reconstruction_weights`.
    Y : bool (n, L)
        False stands for y = −1.
    lam : float
        λ > 0.

    Returns
    -------
    float64 (n, L)

    Memory: 8 f² bytes, f the number of rows whose μ is not at its bound, at most n.
    """
    residual = sparse.csr_array(sparse.eye_array(len(Y)) - weights)
    curvature = sparse.csr_array(residual.T @ residual)
    signs = np.where(Y, 1.0, -1.0)
    # The minimum is proportional to λ.
    return lam * np.stack([_minimum(residual, curvature, y) for y in signs.T], axis=1)


def _minimum(residual: sparse.csr_array, curvature: sparse.csr_array, y: np.ndarray) -> np.ndarray:
    """min ½ vᵀ D M D v over v >= 1, D = diag(y); returns μ = y v."""
    transposed = sparse.csr_array(residual.T)
    size, size_transposed = abs(residual), abs(transposed)

    def gradient(v: np.ndarray) -> np.ndarray:
        # From the residuals, not from M: the error is that of one factor, not of its square.
        return y * (transposed @ (residual @ (y * v)))

    v = np.ones(len(y))
    g = gradient(v)
    free = g < 0
    for _ in range(_STEPS):
        scale = (size_transposed @ (size @ v)).max()
        if np.abs(v - np.maximum(v - g, 1)).max() <= _TOLERANCE * scale:
            # M magnifies what is left of the gradient by its condition: one more step.
            return y * np.maximum(v + _newton(curvature, y, g, v > 1), 1)
        step = _newton(curvature, y, g, free)
        reach = np.full(len(y), np.inf)  # of the step, before the bound
        reach[step < 0] = (1 - v[step < 0]) / step[step < 0]
        nearest_bound = min(reach.min(), 1.0)
        # Along the bounds: the first length of 1, ½, ¼ … that decreases the objective enough; at
        # the latest where the first bound is met, as it decreases all the way there.
        length = 1.0
        while True:
            moved = np.where(reach > length, v + length * step, 1)
            g_moved = gradient(moved)
            # Of a quadratic this is the exact difference, without the rounding of its values.
            gain = (v - moved) @ (g + g_moved) / 2
            if length <= nearest_bound or gain >= -_SUFFICIENT * length * (g @ step):
                break
            length = max(length / 2, nearest_bound)
        v, g = moved, g_moved
        # Bounds met in a short step hold until the rest has come to its minimum, lest the next step
        # runs into them again.
        free = v > 1
        if length == 1 or not free.any():
            free |= g < 0
    raise BenchError(
        f"the numerical labels did not converge in {_STEPS} steps: the neighbours' differences are "
        "too ill-conditioned; scale the features or take a smaller k"
    )


def _newton(
    curvature: sparse.csr_array, y: np.ndarray, g: np.ndarray, free: np.ndarray
) -> np.ndarray:
    """The step (n,) to the minimum over the ``free`` values, the others held."""
    step = np.zeros(len(y))
    if free.any():
        part = curvature[free][:, free]
        # Rows without a neighbour outside `free` leave M singular. The gradient has no part there,
        # and what the ridge changes elsewhere the next step repairs.
        ridge = len(g) * np.finfo(np.float64).eps * abs(part).sum(axis=0).max()
        matrix = part.toarray(order="F")
        matrix[np.diag_indices(len(matrix))] += ridge
        factor = factor_in_place(matrix)
        solved = cho_solve((factor, True), y[free] * g[free], check_finite=False)
        step[free] = -y[free] * solved
    return step


# ------------------------------------------------------------------ the regression


@dataclass(frozen=True)
class Regressor:
    """f(x) = Σ_i K(x, x_i) β_i + b.

    Attributes
    ----------
    coefficients : float64 (n, L)
        β.
    intercept : float64 (L,)
        b.
    objective : float
        What was minimised, at the end.
    iterations : int
        As the authors count them: the start is the first.
    converged : bool
        False where the search stopped because no step however short decreased the objective.
    """

    coefficients: np.ndarray
    intercept: np.ndarray
    objective: float
    iterations: int
    converged: bool


def fit_amsvr(
    kernel: np.ndarray,
    targets: np.ndarray,
    *,
    C1: float = 1.0,
    C2: float = 1.0,
    eps: float = 1e-3,
    tol: float = 1e-5,
) -> Regressor:
    """Minimise ½ Σ_l β_lᵀ K β_l + C1/2 Σ_i (u_i − ε)₊² + C2 Σ_il (−sign(μ_il) p_il)₊.

    p = K β + b are the predictions, u_i = ||μ_i − p_i|| the distance of a row; the last sum, over
    rows with u_i > ε, is the price of signs that disagree. From β = 1 and b = 1, each step weights
    the rows with u_i > ε by a_i = 2 (u_i − ε) / u_i and solves::

        [C1 K + diag(1/a)   C1      ] [β]   [C1 μ + C2 s / a    ]
        [C1 aᵀ K            C1 Σ a_i] [b] = [C1 aᵀ μ + C2 Σ_i s_i]

    s being sign(μ) where it disagrees, else 0. The second line less aᵀ times the first is Σ β = 0,
    so that one Cholesky factor of C1 K + diag(1/a) suffices. The step is cut to a tenth while it
    raises the objective; the end is a relative decrease of at most ``tol``, or a step below 1e-16.

    Deviation from the authors' code: they add 1e-11 to the diagonal, take the signs by position
    among the rows with u > ε (not by row, which differs only once some row has u <= ε), and set β
    and b to 0 if no row is left outside ε, which is a perfect fit and is kept here.

    Parameters
    ----------
    kernel : float64 (n, n)
        Symmetric, positive semi-definite; not written to.
    targets : float64 (n, L)
        μ.
    C1, C2, eps, tol : float
        C1 > 0, the others >= 0.

    Memory: 8 n² bytes for the factor, beside ``kernel``.
    """
    signs = np.sign(targets)
    rows, labels = targets.shape

    def state(coefficients: np.ndarray, intercept: np.ndarray, product: np.ndarray) -> _State:
        predictions = product + intercept
        distance = np.linalg.norm(targets - predictions, axis=1)
        outside = distance > eps
        agreement = np.where(outside[:, None], signs * predictions, 0)
        objective = (
            (coefficients * product).sum() / 2
            + C1 / 2 * (np.maximum(distance - eps, 0) ** 2).sum()
            - C2 * np.minimum(agreement, 0).sum()
        )
        values = (coefficients, intercept, product)
        return _State(values, distance, outside, agreement < 0, float(objective))

    ones = np.ones((rows, labels))
    now = state(ones, np.ones(labels), kernel @ ones)
    solver = _Solver(kernel, C1)
    iterations, converged = 1, True
    while now.outside.any():
        iterations += 1
        inverse = now.distance[now.outside] / (2 * (now.distance[now.outside] - eps))  # 1 / a
        penalty = np.where(now.disagrees, signs, 0)[now.outside]
        right = C1 * targets[now.outside] + C2 * penalty * inverse[:, None]
        solved = solver.solve(now.outside, inverse, np.column_stack([right, np.ones(len(right))]))
        intercept = solved[:, :-1].sum(axis=0) / (C1 * solved[:, -1].sum())
        coefficients = np.zeros_like(targets)
        coefficients[now.outside] = solved[:, :-1] - C1 * intercept * solved[:, -1:]
        full = (coefficients, intercept, kernel @ coefficients)
        following, length = state(*full), 1.0
        while following.objective > now.objective and length >= _SHORTEST:
            length /= 10
            mixed = [
                length * new + (1 - length) * old for new, old in zip(full, now.values, strict=True)
            ]
            following = state(*mixed)
        if not following.objective <= now.objective:
            converged = False
            break
        decrease, before = now.objective - following.objective, now.objective
        now = following
        if decrease <= tol * before:
            break
    return Regressor(now.values[0], now.values[1], now.objective, iterations, converged)


@dataclass(frozen=True)
class _State:
    """A point of the search: (β, b, K β) and what follows from them."""

    values: tuple[np.ndarray, np.ndarray, np.ndarray]
    distance: np.ndarray
    outside: np.ndarray
    disagrees: np.ndarray
    objective: float


class _Solver:
    """Solves (C1 K + diag(e)) x = r for a series of diagonals e.

    The weights settle within a few steps, so an old factor A₀ with e₀ is nearly the right one:
    x ← A₀⁻¹ (r − (e − e₀) x) errs by a factor of at most max|e − e₀| / min e₀ less each time.
    """

    def __init__(self, kernel: np.ndarray, C1: float) -> None:
        self.kernel, self.C1 = kernel, C1
        self.factor: np.ndarray | None = None
        self.rows = np.zeros(0, bool)
        self.shift = np.zeros(0)

    def solve(self, rows: np.ndarray, shift: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Solution (r, columns) on the ``rows`` (n,) of K that are True, r of them."""
        drift = np.inf
        if self.factor is not None and np.array_equal(rows, self.rows):
            drift = np.abs(shift - self.shift).max() / self.shift.min()
        if drift > _DRIFT:
            self._factorise(rows, shift)
            drift = 0.0
        solution = first = self._back(right)
        if drift > 0:
            change = (shift - self.shift)[:, None]
            for _ in range(int(np.ceil(np.log(np.finfo(np.float64).eps) / np.log(drift)))):
                solution = first - self._back(change * solution)
        return solution

    def _factorise(self, rows: np.ndarray, shift: np.ndarray) -> None:
        """Factorise the system of these rows with the diagonal ``shift``."""
        self.factor = None  # frees it before the next is made
        chosen = self.kernel if rows.all() else self.kernel[np.ix_(rows, rows)]
        matrix = np.multiply(chosen, self.C1, order="F")
        matrix[np.diag_indices(len(matrix))] += shift
        self.factor = factor_in_place(matrix)
        self.rows, self.shift = rows, shift

    def _back(self, right: np.ndarray) -> np.ndarray:
        """A₀⁻¹ ``right``, by the factor at hand."""
        return cho_solve((self.factor, True), right, check_finite=False)
