"""SA-BFGS: a maximum entropy model of the label distribution, fitted by a quasi-Newton method."""

from __future__ import annotations

from typing import Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from bench.api import Classifier, param
from bench.learn.checks import checked_distribution, checked_features, require_fitted
from bench.learn.scaling import fit_scaling, safe_unit

_EXPONENT = 40  # of two, of the features' size beyond which their unit is changed
_STEEP = 1e-3
_PAIRS = 10  # of steps and gradients that L-BFGS keeps
_ROUNDING = 1e-9  # of a share that is 1/L


class SABFGS(Classifier):
    """X. Geng, "Label distribution learning", IEEE TKDE 28 (2016) 1734–1748.

    Learns from label distributions. The model is p(y | x) = exp(θ_y · x) / Σ_j exp(θ_j · x); θ
    minimises the Kullback-Leibler divergence of the training distributions from it, summed over
    rows, that is -Σ_i Σ_y d_iy ln p(y | x_i), without a penalty or an intercept. Scores are the
    distribution.

    Labels: a share of at least 1/L, which is RAF-ML's rule (p >= 1/6) for a label set.

    Deviations: L-BFGS (scipy's L-BFGS-B, without bounds, the last 10 steps) for BFGS, whose matrix
    of (d L)² numbers takes 10 GB at 5,900 features and 6 labels; it starts at θ = 0 and stops after
    ``iterations`` or where the gradient of the mean over rows is below 1e-6; the paper's start and
    end are not ours to quote. With more features than rows only the number of iterations keeps it
    from fitting the training part exactly; θ then lies in the span of the rows, and the same steps
    are taken in an orthonormal basis of it.
    """

    name = "sa-bfgs"
    learns = "distribution"
    kinds = ("multi", "single")
    seconds_per_1000 = 10.0
    iterations: int = param(500, ge=1, help="at most")
    scale: str = param(
        "none",
        choices=("none", "minmax", "zscore"),
        help="of the features, fitted on the training part",
    )

    def memory_needed(self, n: int, d: int, labels: int, itemsize: int = 4) -> int:
        """Bytes: the features in float64 and their basis, and what L-BFGS keeps of the weights."""
        copies = 2 if self.scale == "none" else 3
        basis = 3 * n * d + 2 * n * n if d > n else 0
        return 8 * (copies * n * d + basis + 4 * n * labels + (2 * _PAIRS + 8) * d * labels)

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        """Minimise; ``X`` float (n, d), ``Y`` float (n, L), rows summing to 1.

        Sets ``coef_`` (L, d), θ, and ``n_iter_``. Raises `BenchError` where X or Y has a wrong
        shape or values.
        """
        X = checked_features(X, self.name)
        Y = checked_distribution(Y, len(X), self.name)
        self.n_features_in_ = X.shape[1]
        self.scaling_ = fit_scaling(X, self.scale)
        X = self.scaling_.apply(X).astype(np.float64, copy=False)
        unit = safe_unit(X, _EXPONENT)
        X = X * unit if unit != 1 else X
        basis = None
        if X.shape[1] > len(X):
            basis, triangle = np.linalg.qr(X.T)
            X = np.ascontiguousarray(triangle.T)
        result = minimize(
            objective,
            np.zeros(Y.shape[1] * X.shape[1]),
            args=(X, Y),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": self.iterations, "maxcor": _PAIRS, "gtol": 1e-6, "maxfun": 10**6},
        )
        weights = result.x.reshape(Y.shape[1], X.shape[1])
        self.coef_ = unit * (weights if basis is None else weights @ basis.T)
        self.n_iter_, self.value_ = int(result.nit), float(result.fun)
        # In shares: the mean product of their errors and a feature of the usual spread.
        spread = float(np.sqrt(X.var(axis=0).mean())) or float(np.abs(X).max()) or 1.0
        slope = float(np.abs(result.jac).max()) / spread
        self.end_ = "converged"
        if self.n_iter_ >= self.iterations:
            self.end_ = "the limit"
        elif not result.success or not slope <= _STEEP:
            self.end_ = f"stopped before the minimum, at a gradient of {slope:.2g} per feature"
        return self

    def remarks(self) -> tuple[str, ...]:
        """How many iterations it took, and the cross-entropy that it reached."""
        return (
            f"sa-bfgs: {self.n_iter_} iterations ({self.end_}), cross-entropy {self.value_:.4f}",
        )

    def footnotes(self) -> tuple[str, ...]:
        """That the search did not reach the minimum, where it did not."""
        if self.end_ == "converged":
            return ()
        if self.end_ == "the limit":
            return (f"sa-bfgs: stopped at the limit of {self.iterations} iterations",)
        return ("sa-bfgs: the search stopped before the minimum; scale the features",)

    def scores_are_distributions(self) -> bool:
        """The scores are the distributions of the model."""
        return True

    def scores(self, X: np.ndarray) -> np.ndarray:
        """The distribution: float (n, L), rows summing to 1."""
        require_fitted(self)
        X = self.scaling_.apply(checked_features(X, self.name, self.n_features_in_))
        return np.exp(log_softmax(X @ self.coef_.T, axis=1))

    def labels(self, X: np.ndarray) -> np.ndarray:
        """Share >= 1/L, bool (n, L)."""
        return self.scores(X) >= 1 / len(self.coef_) - _ROUNDING

    def scores_and_labels(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores and labels, from one pass."""
        scores = self.scores(X)
        return scores, scores >= 1 / len(self.coef_) - _ROUNDING


def objective(weights: np.ndarray, X: np.ndarray, D: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean over rows of -Σ_y d_y ln p(y | x), and its gradient.

    Parameters
    ----------
    weights : float (L d,)
        θ, label by label.
    X : float (n, d)
    D : float (n, L)
        Rows summing to 1.
    """
    theta = weights.reshape(D.shape[1], X.shape[1])
    logarithms = log_softmax(X @ theta.T, axis=1)
    value = -float((D * logarithms).sum()) / len(X)
    gradient = (np.exp(logarithms) - D).T @ X / len(X)
    return value, gradient.ravel()
