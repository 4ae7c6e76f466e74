"""linear-svm: one linear support vector machine per label."""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.svm import SVC

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

    C is chosen for each label alone, out of `COSTS`, as the one with the fewest errors in
    ``folds``-fold cross-validation over the training rows (the smallest in a tie), which minimises
    the Hamming loss; the folds are a fixed shuffle, the same for all labels. The score is the
    decision value, a label is present above 0; on single-label data the class is the highest
    decision value. A label that all training rows have, or none, scores +1, or −1, everywhere (the
    machine with w = 0).

    Deviation: none in the model. All machines are solved in the dual on one Gram matrix, which
    makes 5,900 features cost no more than 59; memory is about 14 n² + 8 n d bytes (0.5 GB at
    n = 4,485, d = 5,900; 10 GB at n = 25,000).
    """

    name = "linear-svm"
    seconds_per_1000 = 15.0
    kinds = ("multi", "single")
    C: float | None = param(
        None, gt=0, help="cost in units of 1 / mean ||x - mean||²; None: by cross-validation"
    )
    folds: int = param(5, ge=2, help="of the cross-validation")

    def memory_needed(self, n: int, d: int, labels: int, itemsize: int = 4) -> int:
        """Bytes: the features and their Gram matrix, its parts of one fold, LIBSVM's cache."""
        parts = 0 if self.C is not None else 8 * n * n * (self.folds - 1) // self.folds
        return 8 * n * (n + d) + parts + min(4 * n * n, _CACHE)

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        """Choose C and solve; ``X`` float (n, d), ``Y`` bool (n, L).

        Sets ``C_`` (L,), the costs as any other program takes them, ``coef_`` (L, d) and
        ``intercept_`` (L,). Raises `BenchError` where X or Y has a wrong shape or values, or with
        fewer rows than folds.
        """
        X = checked_features(X, self.name)
        Y = checked_labels(Y, len(X), self.name)
        if self.C is None and len(X) < self.folds:
            raise BenchError(
                f"linear-svm[folds={self.folds}] needs at least {self.folds} training rows and got "
                f"{len(X)}; give C or fewer folds"
            )
        # The intercept takes up any shift; without the common part the Gram matrix loses no digits.
        mean = X.mean(axis=0, dtype=np.float64)
        constant = X.max(axis=0) == X.min(axis=0)
        mean[constant] = X[0, constant]  # to the last digit, so that no rounding is learned from
        centred = X - mean
        products = gram(centred)
        unit = products.trace() / len(X) or 1.0
        products /= unit
        costs = np.full(Y.shape[1], self.C) if self.C is not None else self._choose(products, Y)
        solved = [_solve(products, y, cost) for y, cost in zip(Y.T, costs, strict=True)]
        self.n_features_in_ = X.shape[1]
        self.C_ = costs / unit
        self.coef_ = np.stack([dual for dual, _ in solved]) @ centred / unit
        self.intercept_ = np.array([intercept for _, intercept in solved]) - self.coef_ @ mean
        return self

    def remarks(self) -> tuple[str, ...]:
        """The costs that cross-validation chose."""
        return (f"linear-svm: C by label {', '.join(f'{cost:.3g}' for cost in self.C_)}",)

    def _choose(self, products: np.ndarray, Y: np.ndarray) -> np.ndarray:
        """The cost of each label with the fewest errors in cross-validation, (L,)."""
        fold = np.random.default_rng(0).permutation(len(Y)) % self.folds
        errors = np.zeros((len(COSTS), Y.shape[1]), dtype=int)
        for part in range(self.folds):
            train = fold != part
            inside, across = products[np.ix_(train, train)], products[np.ix_(~train, train)]
            for label, y in enumerate(Y.T):
                for row, cost in enumerate(COSTS):
                    dual, intercept = _solve(inside, y[train], cost)
                    present = across @ dual + intercept > 0
                    errors[row, label] += np.count_nonzero(present != y[~train])
            del inside, across  # or they stay while the next ones are made
        return COSTS[errors.argmin(axis=0)]

    def scores(self, X: np.ndarray) -> np.ndarray:
        """Decision values w·x + b, float (n, L); 1 and −1 on the margins."""
        require_fitted(self)
        X = checked_features(X, self.name, self.n_features_in_)
        scores = np.empty((len(X), len(self.coef_)))
        for start in range(0, len(X), _ROWS):
            part = slice(start, start + _ROWS)
            scores[part] = X[part] @ self.coef_.T + self.intercept_
        return scores

    def labels(self, X: np.ndarray) -> np.ndarray:
        """Decision value > 0, bool (n, L)."""
        return self.scores(X) > 0


def _solve(products: np.ndarray, y: np.ndarray, cost: float) -> tuple[np.ndarray, float]:
    """Dual coefficients (n,), signed by class, and intercept of one machine."""
    dual = np.zeros(len(y))
    if y.all() or not y.any():
        return dual, 1.0 if y[0] else -1.0
    machine = SVC(C=cost, kernel="precomputed").fit(products, y)
    dual[machine.support_] = machine.dual_coef_[0]
    return dual, float(machine.intercept_[0])
