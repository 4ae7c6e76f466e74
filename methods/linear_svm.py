"""linear-svm: a linear support vector machine per label, or per pair of classes."""

from __future__ import annotations

from typing import Self

import numpy as np
from bench.methods._linear_machines import Task, held_out, train
from bench.methods._one_against_one import pairs_of, ranking_scores, winners

from bench.api import BenchError, Classifier, param
from bench.learn.checks import checked_features, checked_labels, require_fitted
from bench.learn.openblas import gram

# In units of 1 / mean ||x − mean||², so that the same costs suit counts and unit vectors. Below
# them every point is a support vector and nothing changes; above them more cost fits noise.
COSTS = 2.0 ** np.arange(-3, 5)
_CACHE = 200_000_000  # bytes that scikit-learn lets LIBSVM keep
_ROWS = 1024  # rows scored at a time, converted to float64


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
    (`_one_against_one.ranking_scores`), and the one label is the class.

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
        X = checked_features(X, self.name)
        Y = checked_labels(Y, len(X), self.name)
        if self.C is None and len(X) < self.folds:
            raise BenchError(
                f"linear-svm[folds={self.folds}] needs at least {self.folds} training rows and got "
                f"{len(X)}; give C or fewer folds"
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
        tasks = self._tasks(Y)
        size = Y.shape[1] if self.pairs_ is None else 1
        costs = np.full(size, self.C) if self.C is not None else self._choose(products, Y, tasks)
        dual, intercepts = train(products, tasks, np.broadcast_to(costs, len(tasks)))
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

    def _tasks(self, Y: np.ndarray) -> list[Task]:
        """What each machine learns: a label, or a class against another."""
        if self.pairs_ is None:
            return [Task(np.ones(len(Y), bool), y) for y in Y.T]
        return [Task(Y[:, first] | Y[:, second], Y[:, first]) for first, second in self.pairs_]

    def _choose(self, products: np.ndarray, Y: np.ndarray, tasks: list[Task]) -> np.ndarray:
        """The cost with the fewest errors in cross-validation: of each label, or of all pairs."""
        errors = np.zeros((len(COSTS), Y.shape[1] if self.pairs_ is None else 1), dtype=int)
        for out, decisions in held_out(products, tasks, COSTS, self.folds):
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
