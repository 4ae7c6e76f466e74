"""linear-svm: a linear support vector machine per label, or per pair of classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple, Self

import numpy as np
from sklearn.svm import SVC

from bench.api import BenchError, Classifier, InputError, param
from bench.learn.checks import checked_features, checked_labels, require_fitted
from bench.learn.openblas import gram
from bench.learn.scaling import squarable

# In units of 1 / mean ||x − mean||², so that the same costs suit counts and unit vectors. Below
# them every point is a support vector and nothing changes; above them more cost fits noise.
COSTS = 2.0 ** np.arange(-3, 5)
_CACHE = 200_000_000  # bytes that scikit-learn lets LIBSVM keep
_ROWS = 1024  # rows scored at a time, converted to float64
_MARGIN = 0.2  # below half of what tells two numbers of votes, or the class predicted, apart


class LinearSVM(Classifier):
    """Binary relevance (M. Boutell et al., Pattern Recognition 37 (2004) 1757–1771) with the linear
    SVM of LIBSVM (C.-C. Chang and C.-J. Lin, ACM TIST 2 (2011) 27, Eq. 1): hinge loss, an intercept
    that is not penalised, features as they are given.

    On label sets a machine per label. C is chosen for each label alone, out of `COSTS`, as the one
    with the fewest errors in ``folds``-fold cross-validation over the training rows (the smallest
    in a tie), which minimises the Hamming loss; the folds are a fixed shuffle, the same for all
    labels. The score is the decision value, a label is present above 0. A label that all training
    rows have, or none, scores +1, or −1, everywhere (the machine with w = 0).

    On single-label data (`kind`) a machine per pair of classes, one against one as LIBSVM does it,
    with one C for all, which has the fewest wrong classes in that cross-validation. The class has
    most votes, the first in a tie; scores are votes, ranked by margins within them
    (`ranking_scores`), and the one label is the class.

    Deviation: none in the model. All machines are solved in the dual on one Gram matrix, which
    makes 5,900 features cost no more than 59; memory is about 14 n² + 8 n d bytes (0.5 GB at
    n = 4,485, d = 5,900; 10 GB at n = 25,000), on single-label data at most 16 n² + 8 n d.
    """

    name = "linear-svm"
    seconds_per_1000 = 15.0
    kinds = ("multi", "single")
    C: float | None = param(
        None, gt=0, help="cost in units of 1 / mean ||x - mean||²; None: by cross-validation"
    )
    folds: int = param(5, ge=2, help="of the cross-validation")

    def memory_needed(self, n: int, d: int, labels: int, itemsize: int = 4) -> int:
        """Bytes: the features and their Gram matrix, the part of it in use, LIBSVM's cache."""
        parts = 0 if self.C is not None else 8 * n * n * (self.folds - 1) // self.folds
        if self.kind == "single":
            parts = 8 * n * n  # where two classes have nearly all rows
        return 8 * n * (n + d) + parts + min(4 * n * n, _CACHE)

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        """Choose C and solve; ``X`` float (n, d), ``Y`` bool (n, L), one class per row if single.

        Sets ``coef_`` (M, d) and ``intercept_`` (M,) of the M machines, ``pairs_`` (the classes of
        each; None on label sets) and ``C_``, (L,) or (1,), the costs as any other program takes
        them. Raises `BenchError` where X or Y has a wrong shape or values, or with fewer rows than
        folds.
        """
        X = squarable(checked_features(X, self.name), self.name)
        Y = checked_labels(Y, len(X), self.name)
        if self.C is None and len(X) < self.folds:
            raise InputError(
                f"linear-svm[folds={self.folds}] needs at least {self.folds} training rows and got "
                f"{len(X)} (n_samples={len(X)}); give C or fewer folds"
            )
        if self.kind == "single" and (Y.sum(axis=1) != 1).any():
            raise BenchError(
                "linear-svm on single-label data takes exactly one class per row; set kind to "
                "'multi' for label sets"
            )
        # The intercept takes up any shift; without the common part the Gram matrix loses no digits.
        mean = X.mean(axis=0, dtype=np.float64)
        constant = X.max(axis=0) == X.min(axis=0)
        mean[constant] = X[0, constant]  # to the last digit, so that no rounding is learned from
        centred = X - mean
        products = gram(centred)
        unit = products.trace() / len(X) or 1.0
        products /= unit
        self.present_ = np.asarray(Y.any(axis=0))
        self.pairs_ = pairs_of(self.present_) if self.kind == "single" else None
        problems = self._problems(Y)
        size = Y.shape[1] if self.pairs_ is None else 1
        costs = np.full(size, self.C) if self.C is not None else self._choose(products, Y, problems)
        dual, intercepts = train(products, problems, np.broadcast_to(costs, len(problems)))
        self.n_features_in_ = X.shape[1]
        self.C_ = costs / unit
        self.coef_ = dual @ centred / unit
        self.intercept_ = intercepts - self.coef_ @ mean
        return self

    def remarks(self) -> tuple[str, ...]:
        """The costs that cross-validation chose."""
        costs = ", ".join(f"{cost:.3g}" for cost in self.C_)
        if self.pairs_ is not None:
            return (f"linear-svm: one against one, {len(self.pairs_)} machines, C {costs}",)
        return (f"linear-svm: C by label {costs}",)

    def _problems(self, Y: np.ndarray) -> list[BinaryProblem]:
        """What each machine learns: a label, or a class against another."""
        if self.pairs_ is None:
            return [BinaryProblem(np.ones(len(Y), bool), y) for y in Y.T]
        return [
            BinaryProblem(Y[:, first] | Y[:, second], Y[:, first]) for first, second in self.pairs_
        ]

    def _choose(
        self, products: np.ndarray, Y: np.ndarray, problems: list[BinaryProblem]
    ) -> np.ndarray:
        """The cost with the fewest errors in cross-validation: of each label, or of all pairs."""
        errors = np.zeros((len(COSTS), Y.shape[1] if self.pairs_ is None else 1), dtype=int)
        for out, decisions in held_out(products, problems, COSTS, self.folds):
            for row in range(len(COSTS)):
                errors[row] += self._errors(decisions[row], Y[out], Y[~out].any(axis=0))
        return COSTS[errors.argmin(axis=0)]

    def _errors(self, decisions: np.ndarray, Y: np.ndarray, present: np.ndarray) -> np.ndarray:
        """Wrong decisions of each label, or wrong classes, of rows that were left out."""
        if self.pairs_ is None:
            return np.count_nonzero((decisions > 0) != Y, axis=0)
        wrong = winners(decisions, self.pairs_, present) != Y.argmax(axis=1)
        return np.array([np.count_nonzero(wrong)])

    def scores(self, X: np.ndarray) -> np.ndarray:
        """Decision values w·x + b, 1 and −1 on the margins; votes on single-label data: (n, L)."""
        require_fitted(self)
        X = checked_features(X, self.name, self.n_features_in_)
        decisions = np.empty((len(X), len(self.coef_)))
        for start in range(0, len(X), _ROWS):
            part = slice(start, start + _ROWS)
            decisions[part] = X[part] @ self.coef_.T + self.intercept_
        if self.pairs_ is None:
            return decisions
        return ranking_scores(decisions, self.pairs_, self.present_)

    def labels(self, X: np.ndarray) -> np.ndarray:
        """Decision value > 0; the highest score on single-label data: bool (n, L)."""
        scores = self.scores(X)
        if self.pairs_ is None:
            return scores > 0
        return np.arange(scores.shape[1]) == scores.argmax(axis=1)[:, None]


# ------------------------------- machines on one Gram matrix, each on rows of its own


class BinaryProblem(NamedTuple):
    """What one machine learns.

    Attributes
    ----------
    rows : bool (n,)
        The training rows that the machine sees.
    positive : bool (n,)
        Those of them whose decision value should be above 0.
    """

    rows: np.ndarray
    positive: np.ndarray


def solve(products: np.ndarray, positive: np.ndarray, cost: float) -> tuple[np.ndarray, float]:
    """Dual coefficients (n,), signed by class, and intercept of one machine.

    ``products`` float64 (n, n) is the Gram matrix. With one class only, or none, w = 0 and the
    intercept is 1 or −1.
    """
    dual = np.zeros(len(positive))
    if positive.all() or not positive.any():
        return dual, 1.0 if positive.any() else -1.0
    machine = SVC(C=cost, kernel="precomputed").fit(products, positive)
    dual[machine.support_] = machine.dual_coef_[0]
    return dual, float(machine.intercept_[0])


def train(
    products: np.ndarray, problems: Sequence[BinaryProblem], costs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Dual coefficients (M, n) and intercepts (M,) of M machines, each with its cost."""
    dual, intercepts = np.zeros((len(problems), len(products))), np.zeros(len(problems))
    for number, (rows, positive) in enumerate(problems):
        inside = products if rows.all() else products[np.ix_(rows, rows)]
        dual[number, rows], intercepts[number] = solve(inside, positive[rows], costs[number])
    return dual, intercepts


def held_out(
    products: np.ndarray, problems: Sequence[BinaryProblem], costs: np.ndarray, folds: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each fold the rows left out, bool (n,), and their decisions, float (K, m, M).

    The folds are a fixed shuffle. K machines, one for each cost, are trained on the other rows of
    each task.
    """
    fold = np.random.default_rng(0).permutation(len(products)) % folds
    for part in range(folds):
        out = fold == part
        decisions = np.empty((len(costs), np.count_nonzero(out), len(problems)))
        used, inside, across = out, products[:0], products[:0]
        for number, (rows, positive) in enumerate(problems):
            if ((rows & ~out) != used).any():  # many problems share their rows
                used = rows & ~out
                del inside, across  # or they stay while the next ones are made
                inside, across = products[np.ix_(used, used)], products[np.ix_(out, used)]
            for row, cost in enumerate(costs):
                dual, intercept = solve(inside, positive[used], cost)
                decisions[row, :, number] = across @ dual + intercept
        del inside, across
        yield out, decisions


# One machine for each pair of classes (C.-C. Chang and C.-J. Lin, LIBSVM, ACM TIST 2 (2011) 27,
# Sec. 7): each is trained on the rows of its two classes and votes for one of them; the class with
# most votes wins, in a tie the first.


def pairs_of(present: np.ndarray) -> list[tuple[int, int]]:
    """The pairs i < j of the classes that are ``present`` bool (L,), in order."""
    return list(combinations(np.flatnonzero(present).tolist(), 2))


def winners(decisions: np.ndarray, pairs: list[tuple[int, int]], present: np.ndarray) -> np.ndarray:
    """The class of each row: most votes, the first in a tie; int (n,).

    Parameters
    ----------
    decisions : float (n, P)
        Of the machine of each pair: above 0 for its first class, else for its second.
    pairs : list of (int, int)
        As `pairs_of` gives them.
    present : bool (L,)
        Classes with training rows; the others are never predicted.
    """
    return np.asarray(_votes(decisions, pairs, present)[0].argmax(axis=1))


def ranking_scores(
    decisions: np.ndarray, pairs: list[tuple[int, int]], present: np.ndarray
) -> np.ndarray:
    """Scores that rank all classes and have the predicted one (`winners`) on top, float (n, L).

    The number of votes; within it the sum m of a class's signed decision values, squeezed into
    0.2 m / (|m| + 1), so that it never outweighs a vote; and 1/2 more for the class predicted, so
    that the margin never outweighs the rule for ties. Classes without training rows have -1, the
    lowest.
    """
    votes, margins = _votes(decisions, pairs, present)
    scores = votes + _MARGIN * margins / (np.abs(margins) + 1)
    scores[np.arange(len(scores)), votes.argmax(axis=1)] += 0.5
    return scores


def _votes(
    decisions: np.ndarray, pairs: list[tuple[int, int]], present: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Votes (-1 for absent classes) and sums of signed decision values, float (n, L) both."""
    votes = np.tile(np.where(present, 0.0, -1.0), (len(decisions), 1))
    margins = np.zeros_like(votes)
    for (first, second), decision in zip(pairs, decisions.T, strict=True):
        votes[:, first] += decision > 0
        votes[:, second] += decision <= 0
        margins[:, first] += decision
        margins[:, second] -= decision
    return votes, margins
