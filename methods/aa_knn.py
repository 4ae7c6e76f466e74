"""AA-kNN: the mean label distribution of the nearest faces."""

from __future__ import annotations

from typing import Self

import numpy as np

from bench.api import BenchError, Classifier, param
from bench.learn.checks import checked_distribution, checked_features, require_fitted
from bench.learn.neighbours import nearest
from bench.learn.scaling import fit_scaling

_ROUNDING = 1e-9  # of a share that is 1/L


class AAkNN(Classifier):
    """X. Geng, "Label distribution learning", IEEE TKDE 28 (2016) 1734–1748.

    Learns from label distributions: the prediction is the mean distribution of the k nearest
    training rows, by Euclidean distance, the lower row first in a tie. Scores are the distribution.

    Labels: a share of at least 1/L, which is RAF-ML's rule (p >= 1/6) for a label set.

    Deviation: k is not ours to quote from the paper; 5 is the default of public code. The paper has
    no label sets.
    """

    name = "aa-knn"
    learns = "distribution"
    kinds = ("multi", "single")
    seconds_per_1000 = 0.5
    k: int = param(5, ge=1, help="neighbours")
    scale: str = param(
        "none",
        choices=("none", "minmax", "zscore"),
        help="of the features, fitted on the training part",
    )

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        """Keep the rows; ``X`` float (n, d) with n >= k, ``Y`` float (n, L), rows summing to 1.

        Raises
        ------
        BenchError
            Where X or Y has a wrong shape or values, or with fewer than k rows.
        """
        X = checked_features(X, self.name)
        self.Y_ = checked_distribution(Y, len(X), self.name)
        if len(X) < self.k:
            raise BenchError(
                f"aa-knn[k={self.k}] needs at least k training rows and got {len(X)}; take a "
                "smaller k"
            )
        self.n_features_in_ = X.shape[1]
        self.scaling_ = fit_scaling(X, self.scale)
        self.X_ = self.scaling_.apply(X)
        return self

    def scores_are_distributions(self) -> bool:
        """The scores are the mean distributions."""
        return True

    def scores(self, X: np.ndarray) -> np.ndarray:
        """The distribution: float (n, L), rows summing to 1."""
        require_fitted(self)
        X = self.scaling_.apply(checked_features(X, self.name, self.n_features_in_))
        return np.asarray(self.Y_[nearest(self.X_, self.k, X)].mean(axis=1))

    def labels(self, X: np.ndarray) -> np.ndarray:
        """Share >= 1/L, bool (n, L)."""
        return self.scores(X) >= 1 / self.Y_.shape[1] - _ROUNDING

    def scores_and_labels(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores and labels, by one search for neighbours."""
        scores = self.scores(X)
        return scores, scores >= 1 / self.Y_.shape[1] - _ROUNDING
