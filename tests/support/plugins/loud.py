"""A classifier that prints characters which few terminals know."""

import sys

import numpy as np

from bench.api import Classifier


class Loud(Classifier):
    """Label frequencies, and words."""

    name = "loud"

    def fit(self, X: np.ndarray, Y: np.ndarray) -> "Loud":
        print("表情… λ ½", "\udcff", flush=True)
        print("表情… λ ½", "\udcff", file=sys.stderr, flush=True)
        self.shares_ = np.asarray(Y, float).mean(axis=0)
        self.n_features_in_ = X.shape[1]
        return self

    def scores(self, X: np.ndarray) -> np.ndarray:
        return np.tile(self.shares_, (len(X), 1))

    def labels(self, X: np.ndarray) -> np.ndarray:
        return self.scores(X) >= 0.5
