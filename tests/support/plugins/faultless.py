"""A classifier without a fault; `tests/kit` puts one after another into it."""

from __future__ import annotations

from typing import Self

import numpy as np

from bench.api import Classifier, param
from bench.learn.checks import checked_features, checked_labels, require_fitted


class Good(Classifier):
    """Ridge regression. Reference: none."""

    name = "good"
    kinds = ("multi", "single")
    ridge: float = param(1.0, gt=0, help="weight")

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        X = checked_features(X, self.name)
        Y = checked_labels(Y, len(X), self.name)
        self.n_features_in_ = X.shape[1]
        self.mean_ = Y.mean(axis=0)
        self.centre_, self.size_ = X.mean(axis=0, dtype=float), X.std(dtype=float) or 1.0
        Z = (X - self.centre_) / self.size_
        gram = Z.T @ Z + self.ridge * np.eye(X.shape[1])
        self.coef_ = np.linalg.solve(gram, Z.T @ (Y - self.mean_))
        return self

    def scores(self, X: np.ndarray) -> np.ndarray:
        require_fitted(self)
        X = checked_features(X, self.name, self.n_features_in_)
        return np.einsum("nd,dl->nl", (X - self.centre_) / self.size_, self.coef_) + self.mean_

    def labels(self, X: np.ndarray) -> np.ndarray:
        return self.scores(X) >= 0.5
