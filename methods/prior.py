"""prior: the training part's label frequencies, whatever the face shows."""

from __future__ import annotations

from typing import Self

import numpy as np

from bench.api import Classifier, param
from bench.learn.checks import checked_features, checked_labels, require_fitted


class Prior(Classifier):
    """Label frequencies of the training part: the row that nobody should lose to.

    The scores of every row are the frequencies (labels that are equally frequent tie); a label is
    present in all rows if it is in at least half of the training rows, which is the constant answer
    with the lowest Hamming loss there. ``predicts`` has two more constant answers: no label at all,
    and the most frequent one alone (the first of equally frequent ones).

    Reference: none.
    """

    name = "prior"
    seconds_per_1000 = 0.0
    kinds = ("multi", "single")
    needs_features = False
    trivial = True

    predicts: str = param(
        "half",
        choices=("half", "nothing", "most-frequent"),
        help="labels of at least half of the training rows, none, or the most frequent one",
    )

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        """Average ``Y`` bool (n, L); of ``X`` only the number of rows counts."""
        X = checked_features(X, self.name, least=0)
        self.frequency_ = checked_labels(Y, len(X), self.name).mean(axis=0)
        self.n_features_in_ = X.shape[1]
        return self

    def scores_are_probabilities(self) -> bool:
        """Yes: a frequency is one."""
        return True

    def scores(self, X: np.ndarray) -> np.ndarray:
        """Label frequencies, the same in each row: float (n, L) in [0, 1]."""
        rows = self._rows(X)
        return np.tile(self.frequency_, (rows, 1))

    def labels(self, X: np.ndarray) -> np.ndarray:
        """The constant answer, the same in each row: bool (n, L)."""
        rows = self._rows(X)
        answer = self.frequency_ >= 0.5
        if self.predicts == "nothing":
            answer = np.zeros_like(answer)
        elif self.predicts == "most-frequent":
            answer = np.arange(len(answer)) == self.frequency_.argmax()
        return np.tile(answer, (rows, 1))

    def _rows(self, X: np.ndarray) -> int:
        require_fitted(self)
        return len(checked_features(X, self.name, self.n_features_in_, least=0))
