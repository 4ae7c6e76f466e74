"""prior: the training part's label frequencies, whatever the face shows."""

from __future__ import annotations

from typing import Self

import numpy as np

from bench.api import Classifier
from bench.learn.checks import checked_labels, require_fitted


class Prior(Classifier):
    """Label frequencies of the training part: the row that nobody should lose to.

    The scores of every row are the frequencies (labels that are equally frequent tie); a label is
    present in all rows if it is in at least half of the training rows, which is the constant answer
    with the lowest Hamming loss there.

    Reference: none.
    """

    name = "prior"
    seconds_per_1000 = 0.0
    kinds = ("multi", "single")
    needs_features = False

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        """Average ``Y`` bool (n, L); of ``X`` only the number of rows counts."""
        self.frequency_ = checked_labels(Y, len(X), self.name).mean(axis=0)
        return self

    def scores(self, X: np.ndarray) -> np.ndarray:
        """Label frequencies, the same in each row: float (n, L) in [0, 1]."""
        require_fitted(self)
        return np.tile(self.frequency_, (len(X), 1))

    def labels(self, X: np.ndarray) -> np.ndarray:
        """Frequency >= 1/2, the same in each row: bool (n, L)."""
        return self.scores(X) >= 0.5
