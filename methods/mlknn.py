"""ML-kNN: how many neighbours of a sample have a label decides on it, label by label."""

from __future__ import annotations

from typing import Self

import numpy as np

from bench.api import Classifier, InputError, param
from bench.learn.checks import checked_features, checked_labels, require_fitted
from bench.learn.neighbours import nearest
from bench.learn.scaling import fit_scaling


class MLkNN(Classifier):
    """M.-L. Zhang and Z.-H. Zhou, ML-KNN: a lazy learning approach to multi-label learning,
    Pattern Recognition 40 (2007) 2038–2048.

    Euclidean distance, the lower row first in a tie. In training a row is not its own neighbour
    (excluded by its number, so that a duplicate of it is one); in prediction nothing is excluded.
    The score is the posterior of Eq. 6, the label the MAP decision of Eq. 5, present in a tie, as
    in the authors' Matlab code. Where both joint probabilities are 0 (only with s = 0) the score is
    the prior and the label is present from 1/2.

    scikit-multilearn counts a training row as its own neighbour; its ``ignore_first_neighbours``
    drops the nearest rows in training and, unlike the authors, in prediction too. The parameter of
    this name gives its results to those who must match papers that used it (its default is 0).

    Deviation: none. The default k = 100 is that of S. Li and W. Deng, IJCV 127 (2019) 884–906
    (10 in the original); ``scale=minmax`` is MULAN's default, the authors scale nothing.
    """

    name = "mlknn"
    seconds_per_1000 = 1.0
    small = {"k": 5}
    k: int = param(100, ge=1, help="neighbours; 10 in the original paper, 100 in Li and Deng 2019")
    s: float = param(1.0, ge=0, help="smoothing; 1 is Laplace's")
    scale: str = param(
        "none",
        choices=("none", "minmax", "zscore"),
        help="of the features, fitted on the training part",
    )
    ignore_first_neighbours: int | None = param(
        None,
        ge=0,
        help="None: as the authors; 0, 1 …: as scikit-multilearn's parameter, with its fault",
    )

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        """Count neighbours; ``X`` float (n, d) with n > k, ``Y`` bool (n, L).

        Raises
        ------
        BenchError
            Where X or Y has a wrong shape or values, or with no more than k rows.
        """
        X = checked_features(X, self.name)
        Y = checked_labels(Y, len(X), self.name)
        n = len(X)
        ignored = self.ignore_first_neighbours or 0
        if n <= self.k + ignored:
            raise InputError(
                f"mlknn[k={self.k}] needs more than k training rows and got {n} "
                f"(n_samples={n}); take k below {n - ignored}"
            )
        self.n_features_in_ = X.shape[1]
        self.scaling_ = fit_scaling(X, self.scale)
        self.X_ = self.scaling_.apply(X)
        self.Y_ = Y
        self.prior_ = (self.s + Y.sum(axis=0)) / (2 * self.s + n)  # Eq. 7
        counts = self._count(self._neighbours())
        self.present_ = self._likelihood(counts, Y)
        self.absent_ = self._likelihood(counts, ~Y)
        return self

    def _neighbours(self, X: np.ndarray | None = None) -> np.ndarray:
        """Row numbers (m, k): neighbours of ``X``, or of the training rows."""
        ignored = self.ignore_first_neighbours
        if ignored is None:
            return nearest(self.X_, self.k, X)
        queries = self.X_ if X is None else X
        wide = nearest(self.X_, self.k + ignored, queries)
        if not ignored:
            return wide
        first = nearest(self.X_, ignored, queries)
        kept = ~(wide[:, :, None] == first[:, None, :]).any(axis=2)
        return wide[kept].reshape(len(wide), self.k)

    def _count(self, neighbours: np.ndarray) -> np.ndarray:
        """C_x(l), Eq. 1: how many neighbours (n, k) have each label, int (n, L)."""
        return np.stack(
            [np.count_nonzero(label[neighbours], axis=1) for label in self.Y_.T], axis=1
        )

    def _likelihood(self, counts: np.ndarray, holds: np.ndarray) -> np.ndarray:
        """P(count = r | holds), Eq. 8, for r = 0 to k: float (k + 1, L)."""
        table = np.stack(
            [
                np.bincount(count[rows], minlength=self.k + 1)
                for count, rows in zip(counts.T, holds.T, strict=True)
            ],
            axis=1,
        )
        total = self.s * (self.k + 1) + table.sum(axis=0)
        # A total of 0 (s = 0, no such row) leaves the likelihood at 0.
        return (self.s + table) / np.where(total > 0, total, 1)

    def scores_are_probabilities(self) -> bool:
        """Yes: posteriors."""
        return True

    def scores_and_labels(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Posteriors float (n, L) in [0, 1] and labels bool (n, L), by one search."""
        require_fitted(self)
        X = self.scaling_.apply(checked_features(X, self.name, self.n_features_in_))
        counts = self._count(self._neighbours(X))
        label = np.arange(self.Y_.shape[1])
        present = self.prior_ * self.present_[counts, label]
        absent = (1 - self.prior_) * self.absent_[counts, label]
        total = present + absent
        known = total > 0
        scores = np.where(known, present / np.where(known, total, 1), self.prior_)  # Eq. 6
        return scores, np.where(known, present >= absent, self.prior_ >= 0.5)  # Eq. 5

    def scores(self, X: np.ndarray) -> np.ndarray:
        """Posterior P(label | neighbour count), Eq. 6, float (n, L) in [0, 1]."""
        return self.scores_and_labels(X)[0]

    def labels(self, X: np.ndarray) -> np.ndarray:
        """The more probable of present and absent, Eq. 5, bool (n, L)."""
        return self.scores_and_labels(X)[1]
