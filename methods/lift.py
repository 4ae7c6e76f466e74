"""LIFT: each label sees a sample through its distances to that label's own cluster centres."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple, Self

import numpy as np
from bench.methods._lift import DecisionFunction, LinearRows, RBFRows
from scipy.special import expit

from bench.api import BenchError, Classifier, param
from bench.learn.checks import checked_features, checked_labels, require_fitted
from bench.learn.distances import squared_distances
from bench.learn.kmeans import gram_matrix, kmeans, membership
from bench.learn.parallel import in_threads, threads
from bench.learn.scaling import fit_scaling, squarable
from bench.learn.svm import gamma_of

_ROWS = 1024  # rows scored at a time
FOLDS = 5  # behind Platt's sigmoid, as in LIBSVM
# The values of Lin, Lin and Weng's pseudo-code and of LIBSVM.
_ROUNDS = 100
_SHORTEST = 1e-10
_RIDGE = 1e-12
_GRADIENT = 1e-5


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
        gamma_of(self.gamma, X[:1], self.name)  # a wrong one is refused before the work
        scaling = fit_scaling(X, self.scale)
        X = squarable(scaling.apply(X), self.name)
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

    def scores_are_probabilities(self) -> bool:
        """Yes: Platt's."""
        return True

    def scores(self, X: np.ndarray) -> np.ndarray:
        """P(label | x), float (n, L) in [0, 1]."""
        require_fitted(self)
        X = self.scaling_.apply(checked_features(X, self.name, self.n_features_in_))
        X = squarable(X, self.name)
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
        """Scores and labels, from one pass."""
        scores = self.scores(X)
        return scores, scores >= 0.5

    def remarks(self) -> tuple[str, ...]:
        """Per label the m and γ used, and the solver."""
        return tuple(
            f"label {label}: {model.remark if isinstance(model, LabelModel) else 'constant'}"
            for label, model in enumerate(self.models_)
        )


# Platt's probabilities for decision values, as LIBSVM's -b 1 computes them: J. Platt, Probabilistic
# outputs for support vector machines, in Advances in Large Margin Classifiers (2000) 61–74:
# P(y = 1 | f) = 1 / (1 + exp(A f + B)), fitted to decision values of cross-validation, by the
# algorithm of H.-T. Lin, C.-J. Lin and R. Weng, Machine Learning 68 (2007) 267–276.


@dataclass(frozen=True)
class Probability:
    """P(y = 1 | x) = 1 / (1 + exp(A f(x) + B)), with A = ``slope`` and B = ``offset``."""

    decide: DecisionFunction
    slope: float
    offset: float

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Of the rows of ``X`` (n, d), float (n,) in [0, 1]."""
        return probabilities(self.decide(X), self.slope, self.offset)


def fit_probability(
    rows: LinearRows | RBFRows, present: np.ndarray, cost: float, rng: np.random.Generator
) -> Probability:
    """A machine from all rows, and its sigmoid from five that each leave out some.

    Parameters
    ----------
    rows : LinearRows or RBFRows
        n training rows.
    present : bool (n,)
        Of both classes.
    cost : float
        C > 0.
    rng : numpy.random.Generator
        Draws the folds.
    """
    held_out = cross_validated(
        lambda some: rows.decisions(rows.fit(present, cost, some)), present, rng
    )
    slope, offset = fit_sigmoid(held_out, present)
    return Probability(rows.function(rows.fit(present, cost)), slope, offset)


def probabilities(decisions: np.ndarray, slope: float, offset: float) -> np.ndarray:
    """1 / (1 + exp(A f + B)) with A = ``slope`` and B = ``offset``, in the shape of f."""
    return expit(-(slope * decisions + offset))


def fit_sigmoid(decisions: np.ndarray, present: np.ndarray) -> tuple[float, float]:
    """A and B of greatest likelihood for targets slightly off 0 and 1.

    The targets are (n₊ + 1) / (n₊ + 2) where ``present`` bool (n,), 1 / (n₋ + 2) elsewhere, with
    the counts n₊ and n₋ of both (Platt's Bayesian estimate, which keeps A finite). Newton's method
    with backtracking, from A = 0 and B = log((n₋ + 1) / (n₊ + 1)).

    Raises
    ------
    BenchError
        If 100 rounds do not lead there.
    """
    positive = int(np.count_nonzero(present))
    negative = len(present) - positive
    target = np.where(present, (positive + 1) / (positive + 2), 1 / (negative + 2))

    def loss(slope: float, offset: float) -> float:
        """Minus the log-likelihood."""
        exponent = slope * decisions + offset
        # log(1 + exp(z)) does not overflow this way
        return float((np.logaddexp(0, exponent) - (1 - target) * exponent).sum())

    slope, offset = 0.0, float(np.log((negative + 1) / (positive + 1)))
    current = loss(slope, offset)
    for _ in range(_ROUNDS):
        likely = probabilities(decisions, slope, offset)
        error, weight = target - likely, likely * (1 - likely)
        gradient = np.array([(decisions * error).sum(), error.sum()])
        if np.abs(gradient).max() < _GRADIENT:
            return slope, offset
        mixed = (decisions * weight).sum()
        hessian = np.array([[(decisions**2 * weight).sum(), mixed], [mixed, weight.sum()]])
        direction = -np.linalg.solve(hessian + _RIDGE * np.eye(2), gradient)
        descent = float(gradient @ direction)
        step = 1.0
        while step >= _SHORTEST:
            there = slope + step * direction[0], offset + step * direction[1]
            if (new := loss(*there)) < current + 1e-4 * step * descent:
                break
            step /= 2
        else:
            # No step along a descent direction lowers the sum: this is the minimum, to rounding.
            return slope, offset
        (slope, offset), current = there, new
    raise BenchError(
        "Platt's sigmoid found no solution for these decision values; scale the features"
    )


def cross_validated(
    decide: Callable[[np.ndarray], np.ndarray], present: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Decision values (n,), each from a machine that did not see its row.

    Five folds of a random permutation, as LIBSVM draws them (not stratified). Where all rows
    outside a fold are of one class, those in it get 1 or −1.

    Parameters
    ----------
    decide : callable
        Takes the rows to learn from, bool (n,), and gives the decision values of all, float (n,).
        It is called only with both classes among those rows.
    present : bool (n,)
        Of both classes.
    rng : numpy.random.Generator
        Draws the permutation.

    Returns
    -------
    float64 (n,)
    """
    n = len(present)
    order = rng.permutation(n)
    decisions = np.empty(n)
    for fold in range(FOLDS):
        held_out = order[fold * n // FOLDS : (fold + 1) * n // FOLDS]
        rows = np.ones(n, dtype=bool)
        rows[held_out] = False
        if present[rows].all() or not present[rows].any():
            decisions[held_out] = 1.0 if present[rows].any() else -1.0
        else:
            decisions[held_out] = decide(rows)[held_out]
    return decisions
