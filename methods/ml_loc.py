"""ML-LOC: samples that carry similar label sets share a code, and the code joins the features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import block_diag, csr_array, hstack, identity

from bench.api import BenchError, Classifier, param
from bench.learn.checks import checked_features, checked_labels, require_fitted
from bench.learn.kmeans import kmeans
from bench.learn.parallel import in_threads
from bench.learn.scaling import fit_scaling, squarable
from bench.learn.svm import Machine, classify, gamma_of, kernel_product, rbf_kernel, regress

_ROUNDS = 100
_LEAST_GAIN = 1e-3  # relative; another round for less is not worth its time
_ROWS = 1024  # rows scored at a time
_TOLERANCE = 1e-5  # of the machines: their objectives are compared
_BLOCK_ROWS = 128  # in one linear programme: its time grows faster than its size
_ROUNDING = 1e-9


class MLLOC(Classifier):
    """S.-J. Huang and Z.-H. Zhou, Multi-label learning by exploiting label correlations locally,
    AAAI 2012.

    f_l(x, c) = ⟨w_l, [φ(x), c]⟩ + b_l with a code c ≥ 0, Σ_j c_j = 1, for each sample. Minimised is
    Σ_il max(0, 1 − y_il f_l(x_i, c_i)) + λ1 Σ_l ||w_l||² + λ2 Σ_ij c_ij ||y_i − p_j||², y = ±1,
    from k-means over the label vectors, in turns: the codes (one linear programme per row), the
    prototypes p_j = Σ_i c_ij y_i / Σ_i c_ij, and per label a support vector machine with the kernel
    k(x, x') + c·c' and cost 1 / (2 λ1). Each turn solves its part, so the objective never rises.
    New samples get their codes from m regressors x → c_j; the score is f_l, a label is present
    from 0.

    With m = 1 the code is the same for all and this is one SVM per label with C = 1 / (2 λ1). Where
    the label vectors differ in fewer than m ways there are as many codes as ways. With λ2 = 100 the
    codes hardly leave the corners, each row that of the nearest prototype.

    Deviation: the authors' code is not public and the paper leaves open what follows. The kernel is
    the RBF kernel, as in S. Li and W. Deng, IJCV 127 (2019) 884–906, with γ = 1 / (d var X), which
    they leave open as well; features are scaled to [0, 1]; the machines have intercepts that are
    not penalised; the regressors are ε-SVMs with the same kernel, cost ``C`` and ε = 0.1, their
    codes not clipped; it stops where a round gains less than 0.1 %.

    Memory: two n × n kernels; see `memory_needed` (0.3 GB at n = 4,090 in float64, 14 GB at
    n = 30,000).
    """

    name = "ml-loc"
    seconds_per_1000 = 4.0
    stochastic = True
    random_state: int
    m: int = param(15, ge=1, help="codes, that is groups of label vectors")
    lam1: float = param(1.0, gt=0, help="λ1, weight of ||w||²; the SVM's cost is 1 / (2 λ1)")
    lam2: float = param(100.0, ge=0, help="λ2, weight of the distances to the prototypes")
    gamma: str | float = param("scale", gt=0, help="of the RBF kernel; scale is 1 / (d var X)")
    C: float = param(1.0, gt=0, help="cost of an error in the codes' regressors")
    scale: str = param(
        "minmax",
        choices=("none", "minmax", "zscore"),
        help="of the features, fitted on the training part",
    )

    def memory_needed(self, n: int, d: int, labels: int, itemsize: int = 4) -> int:
        """Bytes of two kernels and of the scaled features."""
        return itemsize * (2 * n * n + 2 * n * d)

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        """Codes, prototypes and machines in turns; ``X`` float (n, d), ``Y`` bool (n, L).

        Sets ``codes_`` (n, m), ``prototypes_`` (m, L) and ``objective_``, its value after the start
        and after each round. Raises `BenchError` where X, Y or gamma has a wrong shape or values,
        or a machine finds no solution.
        """
        X = checked_features(X, self.name)
        Y = checked_labels(Y, len(X), self.name)
        scaling = fit_scaling(X, self.scale)
        X = squarable(scaling.apply(X), self.name)
        self.gamma_ = gamma_of(self.gamma, X, self.name)
        sign = np.where(Y, 1.0, -1.0)
        kernel = rbf_kernel(X, X, self.gamma_)
        codes = self._start(sign)
        prototypes = codes.T @ sign / codes.sum(axis=0)[:, None]
        machines = best_machines(kernel, codes, sign, self.lam1)

        def objective() -> float:
            costs = machines.costs(codes, sign, self.lam1).sum()
            return float(costs + self.lam2 * (codes * _distances(sign, prototypes)).sum())

        values = [objective()]
        for _ in range(_ROUNDS):
            weighted = self.lam2 * _distances(sign, prototypes)
            before, codes = codes, best_codes(codes, machines.g, machines.v, sign, weighted)
            if (codes == before).all():
                break
            total = codes.sum(axis=0)[:, None]
            # A code that no row uses any more keeps its prototype.
            means = codes.T @ sign / np.where(total > 0, total, 1)
            prototypes = np.where(total > 0, means, prototypes)
            machines = best_machines(kernel, codes, sign, self.lam1, machines)
            values.append(objective())
            if values[-2] - values[-1] < _LEAST_GAIN * values[-2]:
                break
        regressors = in_threads(lambda code: regress(kernel, code, self.C), list(codes.T))
        self.codes_, self.prototypes_, self.objective_ = codes, prototypes, values
        self.scaling_, self.X_, self.n_features_in_ = scaling, X, X.shape[1]
        self.dual_, self.intercept_ = machines.dual, machines.intercept
        self.weights_ = machines.v
        self.code_dual_ = np.stack([part.dual for part in regressors], axis=1)
        self.code_intercept_ = np.array([part.intercept for part in regressors])
        return self

    def _start(self, sign: np.ndarray) -> np.ndarray:
        """One-hot codes from k-means over the label vectors, float (n, m)."""
        groups = min(self.m, len(np.unique(sign, axis=0)))
        # Products of ±1 are whole numbers: no rounding, so no order of labels makes a difference.
        gram = sign.astype(np.float32) @ sign.T.astype(np.float32)
        rng = np.random.default_rng(self.random_state)
        return np.eye(groups)[kmeans(gram, groups, rng)]

    def scores(self, X: np.ndarray) -> np.ndarray:
        """f_l(x, c) with the regressors' codes, float (n, L)."""
        require_fitted(self)
        X = self.scaling_.apply(checked_features(X, self.name, self.n_features_in_))
        X = squarable(X, self.name)
        scores = np.empty((len(X), len(self.weights_)))
        for start in range(0, len(X), _ROWS):
            part = slice(start, start + _ROWS)
            kernel = rbf_kernel(X[part], self.X_, self.gamma_)
            codes = kernel @ self.code_dual_ + self.code_intercept_
            scores[part] = kernel @ self.dual_ + self.intercept_ + codes @ self.weights_.T
        return scores

    def labels(self, X: np.ndarray) -> np.ndarray:
        """f_l of 0 or more, bool (n, L)."""
        return self.scores(X) >= 0

    def scores_and_labels(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores and labels, from one pass."""
        scores = self.scores(X)
        return scores, scores >= 0

    def remarks(self) -> tuple[str, ...]:
        """γ, the number of codes, and how the rounds went."""
        soft = 1 - np.isclose(self.codes_.max(axis=1), 1).mean()
        return (
            f"gamma = {self.gamma_:.3g}, {len(self.prototypes_)} codes, C = 1 / (2 lam1) = "
            f"{1 / (2 * self.lam1):g} for the labels and {self.C:g} for the codes",
            f"{len(self.objective_) - 1} rounds, objective {self.objective_[0]:.6g} to "
            f"{self.objective_[-1]:.6g}, {soft:.1%} of the codes between corners",
        )


def _distances(sign: np.ndarray, prototypes: np.ndarray) -> np.ndarray:
    """||y_i − p_j||², float (n, m)."""
    return ((sign[:, None] - prototypes) ** 2).sum(axis=2)


# ------------------------------------- the two steps: the best machines, the best codes


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
