"""Classifiers that say what they cost; none of them costs anything."""

import numpy as np

from bench.api import Classifier


class _Frequencies(Classifier):
    """Label frequencies."""

    def fit(self, X: np.ndarray, Y: np.ndarray) -> "_Frequencies":
        self.shares_ = np.asarray(Y, float).mean(axis=0)
        self.n_features_in_ = X.shape[1]
        return self

    def scores(self, X: np.ndarray) -> np.ndarray:
        return np.tile(self.shares_, (len(X), 1))

    def labels(self, X: np.ndarray) -> np.ndarray:
        return self.scores(X) >= 0.5


class Quick(_Frequencies):
    """Says that it takes a millisecond a row."""

    name = "quick"
    seconds_per_1000 = 1.0


class Slow(_Frequencies):
    """Says that it takes two minutes a row."""

    name = "slow"
    seconds_per_1000 = 120_000.0
