"""constant: one label set for every face, the best one on the training part."""

from __future__ import annotations

from typing import Self

import numpy as np

from bench.api import Classifier
from bench.learn.checks import checked_features, checked_labels, require_fitted


class Constant(Classifier):
    """The constant label set with the highest micro-F1 on the training part.

    For a set S of labels, n training rows and the count c_l of rows with label l, micro-F1 is
    2 Σ_{l in S} c_l / (n |S| + Σ_l c_l). Of sets of one size the most frequent labels give the
    highest value, so that L sets are compared, and the smallest of equally good ones is taken
    (among equally frequent labels the first). The scores of every row are the label frequencies,
    as those of `prior`.

    Predicting too many labels costs little F1: a method with a lower micro-F1 than this row knows
    less of a face than nothing.

    Reference: the baselines by label frequency of J. Metz, L. F. D. de Abreu, E. A. Cherman and
    M. C. Monard, On the estimation of predictive evaluation measure baselines for multi-label
    learning, IBERAMIA 2012. Deviation: their General_B takes as many labels as a training row has
    on average; here the size, too, is chosen for the criterion.
    """

    name = "constant"
    seconds_per_1000 = 0.0
    needs_features = False
    trivial = True

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        """Choose the set on ``Y`` bool (n, L); of ``X`` only the number of rows counts."""
        X = checked_features(X, self.name, least=0)
        Y = checked_labels(Y, len(X), self.name)
        self.n_features_in_ = X.shape[1]
        counts = Y.sum(axis=0)
        self.frequency_ = Y.mean(axis=0)
        order = np.argsort(-counts, kind="stable")
        sizes = np.arange(1, len(counts) + 1)
        values = 2.0 * np.cumsum(counts[order]) / (len(Y) * sizes + counts.sum())
        self.present_ = np.zeros(len(counts), dtype=bool)
        self.present_[order[: 1 + int(values.argmax())]] = counts.any()
        return self

    def scores_are_probabilities(self) -> bool:
        """Yes: a frequency is one."""
        return True

    def scores(self, X: np.ndarray) -> np.ndarray:
        """Label frequencies, the same in each row: float (n, L) in [0, 1]."""
        rows = self._rows(X)
        return np.tile(self.frequency_, (rows, 1))

    def labels(self, X: np.ndarray) -> np.ndarray:
        """The chosen set, the same in each row: bool (n, L)."""
        rows = self._rows(X)
        return np.tile(self.present_, (rows, 1))

    def _rows(self, X: np.ndarray) -> int:
        require_fitted(self)
        return len(checked_features(X, self.name, self.n_features_in_, least=0))
