"""ML-LOC: samples that carry similar label sets share a code, and the code joins the features."""

from __future__ import annotations

from typing import Self

import numpy as np
from bench.methods._codes import best_codes, best_machines

from bench.api import Classifier, param
from bench.learn.checks import checked_features, checked_labels, require_fitted
from bench.learn.kmeans import kmeans
from bench.learn.parallel import in_threads
from bench.learn.scaling import fit_scaling
from bench.learn.svm import gamma_of, rbf_kernel, regress

_ROUNDS = 100
_LEAST_GAIN = 1e-3  # relative; another round for less is not worth its time
_ROWS = 1024  # rows scored at a time


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
        X = scaling.apply(X)
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
        """Both from one pass."""
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
