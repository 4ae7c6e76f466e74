"""ML²: labels made numerical on the manifold of the features, then learned by regression."""

from __future__ import annotations

from typing import Self

import numpy as np
from bench.methods._ml2 import fit_amsvr, label_manifold
from bench.methods._ml2_weights import reconstruction_weights

from bench.api import Classifier, InputError, param
from bench.learn.checks import checked_features, checked_labels, require_fitted
from bench.learn.openblas import gram
from bench.learn.scaling import fit_scaling, safe_unit

# The authors' data sets have numerical labels up to 23 λ, four features up to 90 λ.
_USUAL_SIZE = 100
_USUAL_WIDTH = 30  # median distances; the kernel is next to constant on rows within 1 of them
_SAMPLE = 64
_BLOCK_ELEMENTS = 1 << 20  # kernel values computed at a time: 8 MiB, cached


class ML2(Classifier):
    """P. Hou, X. Geng and M.-L. Zhang, Multi-label manifold learning, AAAI 2016, 1680–1686.

    Each training row is reconstructed from its k neighbours; the labels become real numbers μ that
    obey the same reconstruction as well as y μ >= λ allows (`_ml2.label_manifold`); a support
    vector regression on an RBF kernel, its width the mean distance of the training rows, predicts μ
    and pays extra for wrong signs (`_ml2.fit_amsvr`). The score is its prediction f(x), the label
    is present from f(x) >= 0.

    The defaults are those of S. Li and W. Deng, IJCV 127 (2019) 884–906: k = 7, C1 = C2 = λ = 1;
    the authors' scripts take k = L + 1 and C2 = 10.

    Deviation: none in the model. What is done where rows repeat or nearly do, and where the
    authors' code divides by zero or gives up, stands in `_ml2_weights` and `_ml2`. A training row
    is excluded from its own neighbours by its number (the authors drop the nearest, which is a
    copy where there is one; copies have the weight 0, so that the sums are the same). Features
    whose squares would overflow or vanish are first multiplied by a power of two.

    A row of a table says where numerical labels exceed 100 λ, where a few rows far off make the
    kernel too wide to tell the others apart, and where the regression stopped before it converged.

    Memory: 16 n² + 16 n d bytes (0.7 GB at n = 4,772, d = 4,000; 10 GB at n = 25,000), time n³.
    """

    name = "ml2"
    seconds_per_1000 = 4.0
    k: int = param(7, ge=1, help="neighbours; L + 1 in the original")
    lam: float = param(1.0, gt=0, help="λ, least size of a numerical label")
    C1: float = param(1.0, gt=0, help="price of distance from the numerical labels")
    C2: float = param(1.0, ge=0, help="price of a wrong sign; 10 in the original")
    eps: float = param(1e-3, ge=0, help="ε, distance that costs nothing")
    tol: float = param(1e-5, ge=0, help="relative decrease of the objective at which to stop")
    scale: str = param(
        "none",
        choices=("none", "minmax", "zscore"),
        help="of the features, fitted on the training part",
    )

    def memory_needed(self, n: int, d: int, labels: int, itemsize: int = 4) -> int:
        """Bytes: the kernel and a factor of its size, features and labels, all in float64."""
        return 16 * n * n + 8 * n * (2 * d + 10 * labels)

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        """Learn from ``X`` float (n, d) with n > k and ``Y`` bool (n, L).

        Raises
        ------
        BenchError
            Where X or Y has a wrong shape or values, or with no more than k rows.
        """
        X = checked_features(X, self.name)
        Y = checked_labels(Y, len(X), self.name)
        if len(X) <= self.k:
            raise InputError(
                f"ml2[k={self.k}] needs more than k training rows and got {len(X)} "
                f"(n_samples={len(X)}); take k below {len(X)}"
            )
        self.n_features_in_ = X.shape[1]
        self.scaling_ = fit_scaling(X, self.scale)
        X = self.scaling_.apply(X)
        self.unit_ = safe_unit(X)
        X = X * self.unit_ if self.unit_ != 1 else X
        self.reconstruction_ = reconstruction_weights(X, self.k)
        self.numerical_labels_ = label_manifold(self.reconstruction_.weights, Y, self.lam)
        self.centre_ = X.mean(axis=0, dtype=np.float64)
        self.rows_ = X - self.centre_  # distances lose fewest digits there
        kernel = self._kernel()
        self.regressor_ = fit_amsvr(
            kernel, self.numerical_labels_, C1=self.C1, C2=self.C2, eps=self.eps, tol=self.tol
        )
        return self

    def _kernel(self) -> np.ndarray:
        """K of the training rows, float64 (n, n); sets ``sigma_``, their mean distance."""
        n = len(self.rows_)
        kernel = gram(self.rows_)
        self.squares_ = kernel.diagonal().copy()
        total, step = 0.0, max(1, _BLOCK_ELEMENTS // n)
        blocks = [slice(start, start + step) for start in range(0, n, step)]
        for part in blocks:
            self._to_distances(kernel[part], self.squares_[part])
            total += np.sqrt(kernel[part]).sum()
        self.sigma_ = total / (n * (n - 1)) or 1.0  # all rows equal: any width gives K = 1
        typical = float(np.median(np.sqrt(kernel[:: max(1, n // _SAMPLE)])))
        self.flat_ = bool(total > 0 and self.sigma_ > _USUAL_WIDTH * typical)
        for part in blocks:
            self._to_kernel(kernel[part])
        return kernel

    def _to_distances(self, products: np.ndarray, squares: np.ndarray) -> None:
        """Turn products with the training rows into squared distances, in place."""
        products *= -2
        products += squares[:, None]
        products += self.squares_
        np.maximum(products, 0, out=products)

    def _to_kernel(self, distances: np.ndarray) -> None:
        """Turn squared distances into kernel values, in place."""
        distances /= -2 * self.sigma_**2
        np.exp(distances, out=distances)

    def scores(self, X: np.ndarray) -> np.ndarray:
        """Predicted numerical labels f(x) = K(x, X) β + b, float (n, L)."""
        require_fitted(self)
        X = self.scaling_.apply(checked_features(X, self.name, self.n_features_in_))
        scores = np.empty((len(X), self.numerical_labels_.shape[1]))
        step = max(1, _BLOCK_ELEMENTS // len(self.rows_))
        for start in range(0, len(X), step):
            part = slice(start, start + step)
            rows = X[part] * self.unit_ - self.centre_
            kernel = rows @ self.rows_.T
            self._to_distances(kernel, np.einsum("ij,ij->i", rows, rows))
            self._to_kernel(kernel)
            scores[part] = kernel @ self.regressor_.coefficients + self.regressor_.intercept
        return scores

    def labels(self, X: np.ndarray) -> np.ndarray:
        """f(x) >= 0, bool (n, L)."""
        return self.scores(X) >= 0

    def scores_and_labels(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores and labels, from one pass."""
        scores = self.scores(X)
        return scores, scores >= 0

    def remarks(self) -> tuple[str, ...]:
        """How the three steps ended."""
        found, regressor = self.reconstruction_, self.regressor_
        largest = np.abs(self.numerical_labels_).max()
        said = [
            f"ml2: kernel width {self.sigma_ / self.unit_:.6g}, {regressor.iterations} iterations, "
            f"objective {regressor.objective:.6g}, largest numerical label {largest:.4g}"
        ]
        if found.copied:
            said.append(
                f"ml2: {found.copied} training rows have copies, exact or near, among their "
                f"{self.k} neighbours, which get the weight 0"
                + (
                    f"; {found.surrounded} had no other neighbours and got the nearest rows beyond"
                    if found.surrounded
                    else ""
                )
            )
        if found.spanned:
            said.append(
                f"ml2: {found.spanned} training rows have neighbours that span fewer than "
                f"{self.k} directions, and got a ridge"
            )
        return tuple(said)

    def footnotes(self) -> tuple[str, ...]:
        """That the solution is not what ML² usually comes to, where it is not."""
        said = []
        if np.abs(self.numerical_labels_).max() > _USUAL_SIZE * self.lam:
            said.append(f"ml2: numerical labels beyond {_USUAL_SIZE} λ, far from the usual")
        if self.flat_:
            said.append(
                f"ml2: a few rows far off; kernel width over {_USUAL_WIDTH} median distances"
            )
        if not self.regressor_.converged:
            said.append("ml2: the regression stopped before it converged")
        return tuple(said)
