"""Support vector machines over shared inputs: one kernel matrix serves every label and every fold.

C.-C. Chang and C.-J. Lin, LIBSVM, ACM TIST 2 (2011) 27: the C-SVM (Eq. 1) and the ε-SVM for
regression (Eq. 8), solved in the dual by sequential minimal optimisation (SMO) with their choice of
the working pair by second order (R.-E. Fan, P.-H. Chen and C.-J. Lin, JMLR 6 (2005) 1889–1918) and
their stopping rule. What LIBSVM spends most of its time on, the kernel, is computed once here, by
matrix products. LIFT and ML-LOC are built on it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bench.api import BenchError
from bench.learn.compiled import compiled
from bench.learn.distances import squared_distances

_TOLERANCE = 1e-3  # LIBSVM's default -e
_STEPS = 10_000_000  # as in LIBSVM; more only where n needs it
_SMALLEST_CURVATURE = 1e-12
_BLOCK_ROWS = 256


class Machine(NamedTuple):
    """f(x) = Σ_i dual_i k(x_i, x) + intercept.

    Attributes
    ----------
    dual : float64 (n,)
        In a classifier α_i for the rows with the label and −α_i for the others, 0 ≤ α_i ≤ C.
    intercept : float
    """

    dual: np.ndarray
    intercept: float


def gamma_of(gamma: str | float, X: np.ndarray, method: str) -> float:
    """The width γ of exp(−γ ||a − b||²): a number as it is, ``scale`` as 1 / (d · var(X)).

    The variance is over all elements of ``X`` (n, d); where it is 0, γ is 1, as in scikit-learn.

    Raises
    ------
    BenchError
        If ``gamma`` is another text.
    """
    if not isinstance(gamma, str):
        return float(gamma)
    if gamma != "scale":
        raise BenchError(
            f"{method}[gamma={gamma}] is not allowed: gamma takes scale or a float > 0"
        )
    variance = X.var(dtype=np.float64)
    return float(1 / (X.shape[1] * variance)) if variance > 0 else 1.0


def rbf_kernel(A: np.ndarray, B: np.ndarray, gamma: float) -> np.ndarray:
    """exp(−γ ||a − b||²) for the rows of ``A`` (n, d) and ``B`` (m, d), in their precision."""
    kernel = squared_distances(A, B)
    kernel *= -gamma
    return np.exp(kernel, out=kernel)


def kernel_product(kernel: np.ndarray, dual: np.ndarray) -> np.ndarray:
    """``kernel @ dual``, (n,) or (n, L), summed in float64 without copying the whole kernel."""
    return np.concatenate(
        [kernel[start : start + _BLOCK_ROWS] @ dual for start in range(0, len(kernel), _BLOCK_ROWS)]
    )


def classify(
    kernel: np.ndarray,
    present: np.ndarray,
    cost: float,
    *,
    rows: np.ndarray | None = None,
    start: np.ndarray | None = None,
    tolerance: float = _TOLERANCE,
) -> Machine:
    """Minimise ½ ||w||² + C Σ_i max(0, 1 − y_i f(x_i)), y = 1 where present and −1 elsewhere.

    Parameters
    ----------
    kernel : float32 or float64 (n, n)
    present : bool (n,)
        With one class only, f is 1 or −1 everywhere: w = 0.
    cost : float
        C > 0.
    rows : bool (n,), optional
        The rows that count; the others get dual 0.
    start : float (n,), optional
        ``dual`` of a machine for the same ``present``, ``cost`` and ``rows`` and another kernel.
    tolerance : float
        Largest violation of the optimality conditions, in units of f.

    Raises
    ------
    BenchError
        If 10 million steps (100 n with more than 100,000 rows) do not reach the tolerance.
    """
    used = np.ones(len(present), dtype=bool) if rows is None else rows
    constant = constant_machine(present, used)
    if constant is not None:
        return constant
    sign = np.where(present, 1.0, -1.0)
    upper = np.where(used, float(cost), 0.0)
    alpha, gradient = np.zeros(len(sign)), np.full(len(sign), -1.0)
    if start is not None:
        alpha = np.clip(sign * start, 0, upper)
        gradient += sign * kernel_product(kernel, sign * alpha)
    intercept = _solve(kernel, sign, upper, alpha, gradient, tolerance)
    return Machine(sign * alpha, intercept)


def constant_machine(present: np.ndarray, used: np.ndarray) -> Machine | None:
    """The machine where all rows used are of one class: w = 0, which no error mars."""
    if present[used].all() or not present[used].any():
        return Machine(np.zeros(len(present)), 1.0 if present[used].any() else -1.0)
    return None


def regress(kernel: np.ndarray, target: np.ndarray, cost: float, epsilon: float = 0.1) -> Machine:
    """Minimise ½ ||w||² + C Σ_i max(0, |f(x_i) − z_i| − ε) for the target z float (n,).

    Parameters and errors as in `classify`; ε = 0.1 is LIBSVM's.
    """
    n = len(target)
    # One variable for errors above and one for errors below, over the same kernel rows.
    sign = np.repeat([1.0, -1.0], n)
    alpha = np.zeros(2 * n)
    gradient = np.concatenate([epsilon - target, epsilon + target])
    upper = np.full(2 * n, float(cost))
    intercept = _solve(kernel, sign, upper, alpha, gradient, _TOLERANCE)
    return Machine(alpha[:n] - alpha[n:], intercept)


def _solve(
    kernel: np.ndarray,
    sign: np.ndarray,
    upper: np.ndarray,
    alpha: np.ndarray,
    gradient: np.ndarray,
    tolerance: float,
) -> float:
    """`_smo` to the tolerance: ``alpha`` is written, the intercept returned."""
    steps = max(_STEPS, 100 * len(kernel))
    intercept, gap = _smo(kernel, sign, upper, alpha, gradient, tolerance, steps)
    if gap > tolerance:
        raise BenchError(
            f"the support vector machine with C = {upper.max():g} found no solution in {steps:,} "
            "steps; scale the features or take a smaller C"
        )
    return intercept


@compiled
def _smo(
    kernel: np.ndarray,
    sign: np.ndarray,
    upper: np.ndarray,
    alpha: np.ndarray,
    gradient: np.ndarray,
    tolerance: float,
    steps: int,
) -> tuple[float, float]:
    """Minimise ½ αᵀQα + pᵀα with signᵀα fixed and 0 ≤ α ≤ upper; intercept and last violation.

    Variable t stands for row t mod n of the kernel, Q_st = sign_s sign_t kernel_st; ``gradient`` is
    Q α + p at the start. ``alpha`` and ``gradient`` are written. −sign_t gradient_t is what
    variable t says about the intercept: at the solution none that can go up says more than one that
    can go down.
    """
    while True:
        i, high = _highest(sign, upper, alpha, gradient)
        j, low = _partner(i, high, kernel, sign, upper, alpha, gradient)
        if high - low <= tolerance or j < 0 or steps == 0:
            return _intercept(sign, upper, alpha, gradient), high - low
        steps -= 1
        _move(i, j, high, kernel, sign, upper, alpha, gradient)


@compiled
def _highest(
    sign: np.ndarray, upper: np.ndarray, alpha: np.ndarray, gradient: np.ndarray
) -> tuple[int, float]:
    """The variable with the largest −sign · gradient among those that can go up, and that value."""
    high, best = -np.inf, 0
    for t in range(len(sign)):
        if alpha[t] < upper[t] if sign[t] > 0 else alpha[t] > 0:
            value = -sign[t] * gradient[t]
            if value > high:
                high, best = value, t
    return best, -sign[best] * gradient[best]


@compiled
def _partner(
    i: int,
    high: float,
    kernel: np.ndarray,
    sign: np.ndarray,
    upper: np.ndarray,
    alpha: np.ndarray,
    gradient: np.ndarray,
) -> tuple[int, float]:
    """The variable to change together with ``i``, and the least that one that can go down says.

    Of all that can go down the objective falls most with this one, to second order; −1 where it
    falls with none.
    """
    n = len(kernel)
    row_i = kernel[i % n]
    low, best, j = np.inf, 0.0, -1
    for first in range(0, len(sign), n):
        for r in range(n):
            t = first + r
            if alpha[t] > 0 if sign[t] > 0 else alpha[t] < upper[t]:
                difference = high + sign[t] * gradient[t]
                low = min(low, high - difference)
                if difference > 0:
                    curvature = row_i[i % n] + kernel[r, r] - 2 * row_i[r]
                    gain = difference * difference / max(curvature, _SMALLEST_CURVATURE)
                    if gain > best:
                        best, j = gain, t
    return j, low


@compiled
def _move(
    i: int,
    j: int,
    high: float,
    kernel: np.ndarray,
    sign: np.ndarray,
    upper: np.ndarray,
    alpha: np.ndarray,
    gradient: np.ndarray,
) -> None:
    """Minimise over variables ``i`` and ``j``, the others held, and carry the gradient along."""
    n = len(kernel)
    row_i, row_j = kernel[i % n], kernel[j % n]
    curvature = row_i[i % n] + row_j[j % n] - 2 * row_i[j % n]
    room_i = upper[i] - alpha[i] if sign[i] > 0 else alpha[i]
    room_j = alpha[j] if sign[j] > 0 else upper[j] - alpha[j]
    step = (high + sign[j] * gradient[j]) / max(curvature, _SMALLEST_CURVATURE)
    step = min(step, room_i, room_j)
    # Bounds are set, not reached by a sum: a rounded one would count as inside.
    alpha[i] += sign[i] * step
    if step == room_i:
        alpha[i] = upper[i] if sign[i] > 0 else 0.0
    alpha[j] -= sign[j] * step
    if step == room_j:
        alpha[j] = 0.0 if sign[j] > 0 else upper[j]
    for first in range(0, len(sign), n):
        for r in range(n):
            gradient[first + r] += sign[first + r] * step * (row_i[r] - row_j[r])


@compiled
def _intercept(
    sign: np.ndarray, upper: np.ndarray, alpha: np.ndarray, gradient: np.ndarray
) -> float:
    """The mean of what the variables between their bounds say; without any, the middle of the rest.

    The middle is that of the most that one which can only go up says, and the least that one which
    can only go down says.
    """
    total, inside = 0.0, 0
    above, below = -np.inf, np.inf
    for t in range(len(sign)):
        value = -sign[t] * gradient[t]
        if 0 < alpha[t] < upper[t]:
            total += value
            inside += 1
        elif upper[t] > 0:
            if (alpha[t] == 0) == (sign[t] > 0):
                above = max(above, value)
            else:
                below = min(below, value)
    return total / inside if inside else (above + below) / 2
