"""LIFT: each label sees a sample through its distances to that label's own cluster centres."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple, Self

import numpy as np
from bench.methods._platt import Probability, fit_probability

from bench.api import Classifier, param
from bench.learn.checks import checked_features, checked_labels, require_fitted
from bench.learn.distances import squared_distances
from bench.learn.kmeans import gram_matrix, kmeans, membership
from bench.learn.parallel import in_threads, threads
from bench.learn.scaling import fit_scaling
from bench.learn.svm import LinearRows, RBFRows, gamma_of

_ROWS = 1024  # rows scored at a time


class LabelModel(NamedTuple):
    """One label: m centres of P and m of N, (2m, d), and P(label | φ)."""

    centres: np.ndarray
    probability: Probability
    remark: str


def label_specific(X: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """φ: the Euclidean distances of the rows of ``X`` to the centres, (n, 2m)."""
    return np.sqrt(squared_distances(X, centres))


class LIFT(Classifier):
    """M.-L. Zhang and L. Wu, LIFT: multi-label learning with label-specific features, TPAMI 37
    (2015) 107–120.

    Per label: P and N are the training rows with and without it, m = ⌈r min(|P|, |N|)⌉; k-means
    gives m centres in P and m in N (one run, from k-means++); a row becomes its 2m Euclidean
    distances to them (φ, unscaled), and one support vector machine tells P from N by φ. The
    score is Platt's probability from the decision values of 5-fold cross-validation, as LIBSVM's
    ``-b 1`` gives it, the label is present from 1/2 (which is not the sign of the decision value).
    A label that no training row has is given 1 / (n + 2) everywhere, one that all have
    (n + 1) / (n + 2): what Platt's formula makes of them.

    Deviation: the default kernel is the RBF kernel, as in S. Li and W. Deng, IJCV 127 (2019)
    884–906, with γ = 1 / (2m var φ), which they leave open; ``kernel=linear`` is the authors'
    code. Matlab's k-means of that time starts from random rows; k-means++ is what the reference
    results were made with.

    Memory: n × n inner products, and with the RBF kernel n × n values more in each thread, in the
    precision of X; see `memory_needed`.
    """

    name = "lift"
    seconds_per_1000 = 5.0
    stochastic = True
    random_state: int
    r: float = param(0.1, gt=0, le=1, help="clusters per row of the smaller class")
    kernel: str = param("rbf", choices=("rbf", "linear"), help="linear in the original paper")
    C: float = param(1.0, gt=0, help="cost of an error")
    gamma: str | float = param("scale", gt=0, help="of the RBF kernel; scale is 1 / (2m var φ)")
    scale: str = param(
        "none",
        choices=("none", "minmax", "zscore"),
        help="of the features, fitted on the training part",
    )

    def memory_needed(self, n: int, d: int, labels: int, itemsize: int = 4) -> int:
        """Bytes: Gram matrix and features; per thread a kernel and three copies of φ."""
        distances = ceil(self.r * n)  # no more than n / 2 rows are in the smaller class
        label = n * (itemsize * n + 24 * distances)
        return itemsize * n * (n + 2 * d) + min(threads(), labels) * label

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        """Cluster and solve, label by label; ``X`` float (n, d), ``Y`` bool (n, L).

        Raises
        ------
        BenchError
            Where X, Y or gamma has a wrong shape or values, or a machine finds no solution.
        """
        X = checked_features(X, self.name)
        Y = checked_labels(Y, len(X), self.name)
        gamma_of(self.gamma, X[:1], self.name)  # a wrong one is told before the work
        scaling = fit_scaling(X, self.scale)
        X = scaling.apply(X)
        gram = gram_matrix(X)
        seeds = np.random.SeedSequence(self.random_state).spawn(Y.shape[1])

        def learn(label: int) -> LabelModel | float:
            return self._learn(X, gram, Y[:, label], np.random.default_rng(seeds[label]))

        self.models_ = in_threads(learn, range(Y.shape[1]))
        self.scaling_ = scaling
        self.n_features_in_ = X.shape[1]
        return self

    def _learn(
        self, X: np.ndarray, gram: np.ndarray, present: np.ndarray, rng: np.random.Generator
    ) -> LabelModel | float:
        """The model of one label, or its score where all rows agree."""
        n, positive = len(present), int(np.count_nonzero(present))
        m = min(ceil(self.r * positive), ceil(self.r * (n - positive)))
        if m == 0:
            return (positive + 1 if positive else 1) / (n + 2)
        centres = []
        for part in (present, ~present):
            cluster = kmeans(gram[np.ix_(part, part)], m, rng)
            centres.append(membership(cluster, m, X.dtype) @ X[part])
        phi = label_specific(X, np.concatenate(centres))
        rows: LinearRows | RBFRows
        if self.kernel == "linear":
            rows, remark = LinearRows(phi), f"m = {m}, interior point"
        else:
            gamma = gamma_of(self.gamma, phi, self.name)
            rows, remark = RBFRows(phi, gamma), f"m = {m}, gamma = {gamma:.3g}, SMO"
        probability = fit_probability(rows, present, self.C, rng)
        return LabelModel(np.concatenate(centres), probability, remark)

    def scores(self, X: np.ndarray) -> np.ndarray:
        """P(label | x), float (n, L) in [0, 1]."""
        require_fitted(self)
        X = self.scaling_.apply(checked_features(X, self.name, self.n_features_in_))
        scores = np.empty((len(X), len(self.models_)))
        for start in range(0, len(X), _ROWS):
            part = slice(start, start + _ROWS)
            for label, model in enumerate(self.models_):
                if isinstance(model, LabelModel):
                    phi = label_specific(X[part], model.centres)
                    scores[part, label] = model.probability(phi)
                else:
                    scores[part, label] = model
        return scores

    def labels(self, X: np.ndarray) -> np.ndarray:
        """P(label | x) of 1/2 or more, bool (n, L)."""
        return self.scores(X) >= 0.5

    def scores_and_labels(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both from one pass."""
        scores = self.scores(X)
        return scores, scores >= 0.5

    def remarks(self) -> tuple[str, ...]:
        """Per label the m and γ used, and the solver."""
        return tuple(
            f"label {label}: {model.remark if isinstance(model, LabelModel) else 'constant'}"
            for label, model in enumerate(self.models_)
        )
