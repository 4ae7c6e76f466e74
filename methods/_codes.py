"""The two steps of ML-LOC: the best machines for given codes, the best codes for given machines.

S.-J. Huang and Z.-H. Zhou, Multi-label learning by exploiting label correlations locally, AAAI
2012.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import block_diag, csr_array, hstack, identity

from bench.api import BenchError
from bench.learn.parallel import in_threads
from bench.learn.svm import Machine, classify, kernel_product

_TOLERANCE = 1e-5  # of the machines: their objectives are compared
_BLOCK_ROWS = 128  # in one linear programme: its time grows faster than its size
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Machines:
    """f_l(x_i, c) = g_il + v_l·c at the training rows, one machine for each label.

    Attributes
    ----------
    dual : float (n, L)
        y_il α_il.
    intercept : float (L,)
    g : float (n, L)
        The part of f that does not depend on the code, with the intercept.
    v : float (L, m)
    norms : float (L,)
        ||w_l||².
    """

    dual: np.ndarray
    intercept: np.ndarray
    g: np.ndarray
    v: np.ndarray
    norms: np.ndarray

    def costs(self, codes: np.ndarray, sign: np.ndarray, lam1: float) -> np.ndarray:
        """Σ_i max(0, 1 − y_il f_l(x_i, c_i)) + λ1 ||w_l||², float (L,)."""
        hinge = np.maximum(0, 1 - sign * (self.g + codes @ self.v.T))
        return hinge.sum(axis=0) + lam1 * self.norms


def best_machines(
    kernel: np.ndarray,
    codes: np.ndarray,
    sign: np.ndarray,
    lam1: float,
    before: Machines | None = None,
) -> Machines:
    """Minimise `Machines.costs` of each label: a support vector machine with k(x, x') + c·c'.

    Parameters
    ----------
    kernel : float (n, n)
        k of the training rows.
    codes : float (n, m)
    sign : float (n, L)
        y, 1 or −1.
    lam1 : float
        λ1 > 0; the machine's C is 1 / (2 λ1).
    before : Machines, optional
        Where to start. A label keeps its machine where the new one is not better (both are
        solutions to a tolerance only).
    """
    factor = codes.astype(kernel.dtype)
    joined = factor @ factor.T
    joined += kernel
    cost = 1 / (2 * lam1)

    def solve(label: int) -> Machine:
        start = None if before is None else before.dual[:, label]
        return classify(joined, sign[:, label] > 0, cost, start=start, tolerance=_TOLERANCE)

    solved = in_threads(solve, range(sign.shape[1]))
    dual = np.stack([machine.dual for machine in solved], axis=1)
    intercept = np.array([machine.intercept for machine in solved])
    product = kernel_product(kernel, dual)
    v = dual.T @ codes
    norms = (dual * product).sum(axis=0) + (v**2).sum(axis=1)
    new = Machines(dual, intercept, product + intercept, v, norms)
    if before is None:
        return new
    better = new.costs(codes, sign, lam1) < before.costs(codes, sign, lam1)
    return Machines(
        np.where(better, new.dual, before.dual),
        np.where(better, new.intercept, before.intercept),
        np.where(better, new.g, before.g),
        np.where(better[:, None], new.v, before.v),
        np.where(better, new.norms, before.norms),
    )


def best_codes(
    codes: np.ndarray, g: np.ndarray, v: np.ndarray, sign: np.ndarray, distances: np.ndarray
) -> np.ndarray:
    """Minimise Σ_l max(0, 1 − y_il (g_il + v_l·c)) + d_i·c over the simplex, for every row i.

    Exact. The best corner is certified by a subgradient: where none of the corners lies below its
    tangent, it is the minimum. Only rows that fail this go through a linear programme; they stay
    where they are if it finds nothing better.

    Parameters
    ----------
    codes : float (n, m)
        Where the rows are now: c ≥ 0, Σ_j c_j = 1.
    g : float (n, L)
    v : float (L, m)
    sign : float (n, L)
        y, 1 or −1.
    distances : float (n, m)
        d.

    Returns
    -------
    float64 (n, m)
        No row costs more than before.
    """
    n, m = codes.shape
    # The cost of every corner: (n, m)
    corners = distances + np.stack(
        [np.maximum(0, 1 - sign * (g + v[:, j])).sum(axis=1) for j in range(m)], axis=1
    )
    best = corners.argmin(axis=1)
    inside = sign * (g + v[:, best].T) < 1
    slope = distances - (inside * sign) @ v
    rise = slope - np.take_along_axis(slope, best[:, None], axis=1)
    tolerance = _ROUNDING * (1 + np.abs(slope).max(axis=1, keepdims=True))
    certain = (rise >= -tolerance).all(axis=1)
    new = np.zeros_like(codes, dtype=np.float64)
    new[np.arange(n), best] = 1
    open_rows = np.flatnonzero(~certain)
    for start in range(0, len(open_rows), _BLOCK_ROWS):
        part = open_rows[start : start + _BLOCK_ROWS]
        new[part] = _programme(g[part], v, sign[part], distances[part])
    worse = _row_costs(new, g, v, sign, distances) >= _row_costs(codes, g, v, sign, distances)
    new[worse] = codes[worse]
    return new


def _row_costs(
    codes: np.ndarray, g: np.ndarray, v: np.ndarray, sign: np.ndarray, distances: np.ndarray
) -> np.ndarray:
    hinge = np.maximum(0, 1 - sign * (g + codes @ v.T)).sum(axis=1)
    return hinge + (distances * codes).sum(axis=1)


def _programme(g: np.ndarray, v: np.ndarray, sign: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """The codes of several rows at once: min d·c + Σ ξ, ξ_l ≥ 1 − y_l (g_l + v_l·c), ξ ≥ 0."""
    n, labels = g.shape
    m = distances.shape[1]
    # Variables: c of all rows, then ξ of all rows
    scores = block_diag([-y[:, None] * v for y in sign], format="csr")
    solution = linprog(
        np.concatenate([distances.ravel(), np.ones(n * labels)]),
        A_ub=hstack([scores, -identity(n * labels)], format="csr"),
        b_ub=(sign * g - 1).ravel(),
        A_eq=hstack([block_diag([np.ones((1, m))] * n), csr_array((n, n * labels))], format="csr"),
        b_eq=np.ones(n),
        method="highs",
    )
    if solution.x is None:
        raise BenchError(f"the linear programme of ML-LOC's codes failed: {solution.message}")
    codes = np.maximum(solution.x[: n * m].reshape(n, m), 0)
    return codes / codes.sum(axis=1, keepdims=True)
