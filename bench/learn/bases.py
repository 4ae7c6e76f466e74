"""Base learners: many single-label problems over one X, as `rakel`, `clr` and `br` pose them.

What the problems have in common is done once: the sorting of the features for C4.5, the search of
the neighbours. Trees are grown on as many threads as the process has cores, or as OMP_NUM_THREADS
allows; the result does not depend on their number. The second half is the class that the three
methods derive from.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.validation import has_fit_parameter

from bench.api import BenchError, Classifier, InputError
from bench.learn.c45 import C45, Presorted, grow
from bench.learn.checks import checked_features, checked_labels, require_fitted
from bench.learn.neighbours import nearest
from bench.learn.parallel import in_threads
from bench.learn.scaling import fit_scaling

NEIGHBOURS = {"nn": 1, "5nn": 5}
NAMES = ("c45", "cart", *NEIGHBOURS)
"""C4.5 (J48's behaviour), scikit-learn's entropy tree, and two nearest-neighbour rules."""

_CANDIDATES = 10  # neighbours searched per one wanted, where a problem has some of the rows only
_BLOCK_ELEMENTS = 1 << 20

TrainingSet = tuple[np.ndarray, np.ndarray, np.ndarray | None]  # rows, their classes and weights


class Problem(NamedTuple):
    """One single-label problem over some rows of X.

    Attributes
    ----------
    y : int (n,)
        Class of each row of X, 0 to ``classes`` − 1.
    classes : int
    rows : int (m,), m >= 1, optional
        The rows that the problem consists of, ascending; all without it.
    favoured : int
        The class that wins a tie, and the one that `Models.scored` scores. In a tie of other
        classes the first one wins.
    """

    y: np.ndarray
    classes: int
    rows: np.ndarray | None = None
    favoured: int = 0


class Models(ABC):
    """The fitted models of some problems. Both methods yield in the order of the problems."""

    @abstractmethod
    def decisions(self, X: np.ndarray) -> Iterator[np.ndarray]:
        """For each problem the class of each row of ``X`` float (n, d), int (n,)."""

    @abstractmethod
    def scored(self, X: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """For each problem of two classes the score of its favoured class, and its decision.

        Float (n,) and int (n,), from one pass over ``X``.
        """


def fit_base(
    base: Any,
    X: np.ndarray,
    problems: Sequence[Problem],
    rng: np.random.Generator,
    sample_weight: np.ndarray | None = None,
) -> Models:
    """One model per problem.

    Parameters
    ----------
    base : one of `NAMES`, a `C45` (for other settings), or a scikit-learn classifier
        The last is cloned for each problem and decides its own ties; where it leaves a
        ``random_state`` at None, it gets one from ``rng``, so that the same seed gives the same
        result. ``nn`` is the nearest neighbour, ``5nn`` Weka's ``IBk -K 5 -I`` on features that are
        not normalised (see `_Neighbours`).
    X : float (n, d)
        Finite, not written to; the neighbour rules keep it.
    rng : np.random.Generator
        Seeds what has a ``random_state``.
    sample_weight : float (n,), optional
        See `takes_weights`.
    """
    if base == "c45":
        base = C45()
    if type(base) is C45:
        return _C45(X, problems, base)
    if isinstance(base, str) and base in NEIGHBOURS:
        return _Neighbours(X, problems, NEIGHBOURS[base])
    if base == "cart":
        return _Cart(X, problems, rng, sample_weight)
    return _Estimators(base, X, problems, rng, sample_weight)


def takes_weights(base: Any) -> bool:
    """Whether ``sample_weight`` means something to ``base``, one that `fit_base` takes."""
    if isinstance(base, str):
        return base == "cart"
    return bool(has_fit_parameter(base, "sample_weight"))


class _Probable(Models):
    """Models that give each class a probability: the most probable one is the decision."""

    problems: Sequence[Problem]

    @abstractmethod
    def probabilities(self, X: np.ndarray) -> Iterator[np.ndarray]:
        """For each problem float (n, classes)."""

    def decisions(self, X: np.ndarray) -> Iterator[np.ndarray]:
        for problem, probability in zip(self.problems, self.probabilities(X), strict=True):
            yield _most_probable(probability, problem.favoured)

    def scored(self, X: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for problem, probability in zip(self.problems, self.probabilities(X), strict=True):
            favoured = problem.favoured
            yield probability[:, favoured], _most_probable(probability, favoured)


def _most_probable(probability: np.ndarray, favoured: int) -> np.ndarray:
    decision = probability.argmax(axis=1)
    decision[probability[:, favoured] == probability.max(axis=1)] = favoured
    return decision


class _C45(_Probable):
    def __init__(self, X: np.ndarray, problems: Sequence[Problem], settings: C45) -> None:
        self.problems = problems
        presorted, params = Presorted(X), settings.get_params()
        self.trees = in_threads(
            lambda problem: grow(presorted, problem.y, problem.classes, problem.rows, **params),
            problems,
        )

    def probabilities(self, X: np.ndarray) -> Iterator[np.ndarray]:
        return (tree.probabilities(X) for tree in self.trees)


class _Cart(_Probable):
    """`sklearn.tree.DecisionTreeClassifier` with the entropy criterion, grown to the end."""

    def __init__(
        self,
        X: np.ndarray,
        problems: Sequence[Problem],
        rng: np.random.Generator,
        sample_weight: np.ndarray | None,
    ) -> None:
        self.problems = problems
        X = X.astype(np.float32, copy=False)  # what the trees compute in, so converted once
        seeds = rng.integers(2**31, size=len(problems))

        def fit(number: int) -> DecisionTreeClassifier:
            problem = problems[number]
            tree = DecisionTreeClassifier(criterion="entropy", random_state=int(seeds[number]))
            return tree.fit(*_training_set(X, problem, sample_weight))

        self.trees = in_threads(fit, range(len(problems)))

    def probabilities(self, X: np.ndarray) -> Iterator[np.ndarray]:
        X = X.astype(np.float32, copy=False)
        for problem, tree in zip(self.problems, self.trees, strict=True):
            probability = np.zeros((len(X), problem.classes))
            probability[:, tree.classes_] = tree.predict_proba(X)
            yield probability


def _training_set(X: np.ndarray, problem: Problem, sample_weight: np.ndarray | None) -> TrainingSet:
    """Rows, classes and weights of ``problem``, as a scikit-learn classifier is fitted to them."""
    rows = problem.rows
    if rows is None:
        return X, problem.y, sample_weight
    return X[rows], problem.y[rows], None if sample_weight is None else sample_weight[rows]


class _Neighbours(_Probable):
    """The k nearest rows of each problem vote; Euclidean distance, the lower row first in a tie.

    As Weka's ``IBk``: of several neighbours each votes with 1 / (distance / √d + .001), and every
    class starts with 1/m of a vote, m being the rows of the problem (so that no class has
    probability 0). With fewer than k rows all vote.
    """

    def __init__(self, X: np.ndarray, problems: Sequence[Problem], k: int) -> None:
        self.X, self.problems, self.k = X, problems, k
        whole = all(problem.rows is None for problem in problems)
        self.searched = min(len(X), k if whole else k * _CANDIDATES)

    def probabilities(self, X: np.ndarray) -> Iterator[np.ndarray]:
        # The neighbours among some of the rows are the first ones of that kind in the list of
        # neighbours among all, where that is long enough.
        rows, squares = self._ordered(nearest(self.X, self.searched, X), X)
        line = np.arange(len(X))
        for problem in self.problems:
            near, distance = self._within(problem, rows, squares, X)
            m = len(self.X) if problem.rows is None else len(problem.rows)
            votes = np.full((len(X), problem.classes), 1 / m)
            weight = 1 / (np.sqrt(distance / self.X.shape[1]) + 0.001)
            for place in range(near.shape[1]):
                votes[line, problem.y[near[:, place]]] += 1 if self.k == 1 else weight[:, place]
            yield votes / votes.sum(axis=1, keepdims=True)

    def _within(
        self, problem: Problem, rows: np.ndarray, squares: np.ndarray, X: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The problem's own k nearest rows (n, k), nearest first, and their squared distances."""
        if problem.rows is None:
            return rows[:, : self.k], squares[:, : self.k]
        k = min(self.k, len(problem.rows))
        member = np.zeros(len(self.X), dtype=bool)
        member[problem.rows] = True
        inside = member[rows]
        first = np.argsort(~inside, axis=1, kind="stable")[:, :k]
        near = np.take_along_axis(rows, first, axis=1)
        distance = np.take_along_axis(squares, first, axis=1)
        short = np.flatnonzero(inside.sum(axis=1) < k)
        if len(short):
            own = problem.rows[nearest(self.X[problem.rows], k, X[short])]
            near[short], distance[short] = self._ordered(own, X[short])
        return near, distance

    def _ordered(self, rows: np.ndarray, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Row numbers (n, k), ascending, now nearest first, and squared distances in float64."""
        squares = np.empty(rows.shape)
        step = max(1, _BLOCK_ELEMENTS // (rows.shape[1] * X.shape[1]))
        for start in range(0, len(X), step):
            part = slice(start, start + step)
            difference = self.X[rows[part]].astype(np.float64) - X[part, None]
            squares[part] = np.square(difference, out=difference).sum(axis=2)
        order = np.argsort(squares, axis=1, kind="stable")
        return np.take_along_axis(rows, order, axis=1), np.take_along_axis(squares, order, axis=1)


class _Estimators(Models):
    """Clones of one estimator; for a problem with one class in its rows that class.

    The score is the probability of the favoured class, else the decision value (±1 where there is
    one class only), else 1 where the favoured class is the decision.
    """

    def __init__(
        self,
        estimator: Any,
        X: np.ndarray,
        problems: Sequence[Problem],
        rng: np.random.Generator,
        sample_weight: np.ndarray | None,
    ) -> None:
        self.problems = problems
        self.models = [
            self._fit(clone(estimator), _training_set(X, problem, sample_weight), rng)
            for problem in problems
        ]
        # A fitted estimator knows which of the two it has; some do not know before they are fitted.
        fitted = next((model for model in self.models if not isinstance(model, int)), estimator)
        self.probable = hasattr(fitted, "predict_proba")
        self.graded = hasattr(fitted, "decision_function") and not self.probable

    @staticmethod
    def _fit(model: Any, training: TrainingSet, rng: np.random.Generator) -> Any:
        X, y, weights = training
        if (y == y[0]).all():
            return int(y[0])
        for name, value in sorted(model.get_params().items()):
            if value is None and (name == "random_state" or name.endswith("__random_state")):
                model.set_params(**{name: int(rng.integers(2**31))})
        return model.fit(X, y) if weights is None else model.fit(X, y, sample_weight=weights)

    def decisions(self, X: np.ndarray) -> Iterator[np.ndarray]:
        for model in self.models:
            yield np.full(len(X), model) if isinstance(model, int) else model.predict(X)

    def scored(self, X: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        every = zip(self.problems, self.models, self.decisions(X), strict=True)
        for problem, model, decision in every:
            if self.probable and not isinstance(model, int):
                yield model.predict_proba(X)[:, problem.favoured], decision
            elif self.graded and not isinstance(model, int):
                yield model.decision_function(X) * (1 if problem.favoured else -1), decision
            else:
                present = (decision == problem.favoured).astype(float)
                yield 2 * present - 1 if self.graded else present, decision


# ------------------------------------------------------------------ methods over a base


class OverBase(Classifier):
    """A method over a base learner; the methods themselves declare ``base`` and ``scale``.

    ``base`` is one of `NAMES` or a scikit-learn classifier, whose own parameters are then reached
    as ``base__NAME``. With ``by_path`` it may also be the path of such a class, as text.
    """

    by_path: ClassVar[bool] = False
    base: Any
    scale: str

    def set_params(self, **params: Any) -> Self:
        """Set hyper-parameters, also ``base__NAME``; raises `BenchError` as for any method."""
        if "base" in params:
            self._check(params["base"])
        inner = {name: params.pop(name) for name in list(params) if name.startswith("base__")}
        super().set_params(**params)
        if inner:
            if isinstance(self.base, str):
                raise BenchError(
                    f"{self.name}[base={self.base}] has no {next(iter(inner))}; hand over the "
                    "estimator itself, in Python, to set its parameters"
                )
            self.base.set_params(**{name[len("base__") :]: value for name, value in inner.items()})
        return self

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The hyper-parameters as set; with ``deep`` also those of a base that is an estimator."""
        params = super().get_params(deep)
        if deep and not isinstance(self.base, str):
            inner = self.base.get_params()
            params.update({f"base__{name}": value for name, value in inner.items()})
        return params

    def _check(self, base: Any) -> None:
        if isinstance(base, str):
            if base in NAMES:
                return
            if self.by_path and base.startswith("sklearn."):
                estimator_at(base, self.name)
                return
        elif isinstance(base, BaseEstimator) and is_classifier(base):
            return
        path = ", the path of a scikit-learn classifier (sklearn....)" if self.by_path else ""
        raise InputError(
            f"{self.name}[base={base}] is not allowed: base takes {' | '.join(NAMES)}{path} or, in "
            "Python, a scikit-learn classifier"
        )

    def _checked(
        self, X: ArrayLike, Y: ArrayLike, sample_weight: ArrayLike | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Scaled features, labels and weights as the models take them; the scaling is fitted."""
        X = checked_features(X, self.name)
        Y = checked_labels(Y, len(X), self.name)
        weights = None
        if sample_weight is not None:
            weights = _checked_weights(sample_weight, len(X), self.name)
            if not takes_weights(self._resolved()):
                raise BenchError(
                    f"{self.name}[base={self.base}] takes no sample_weight; leave it out, or take "
                    "cart or an estimator whose fit takes it as base"
                )
        self.n_features_in_ = X.shape[1]
        self.scaling_ = fit_scaling(X, self.scale)
        return self.scaling_.apply(X), Y, weights

    def _resolved(self) -> Any:
        """The base as `fit_base` takes it."""
        named = isinstance(self.base, str) and self.base not in NAMES
        return estimator_at(self.base, self.name) if named else self.base

    def _scaled(self, X: ArrayLike) -> np.ndarray:
        """Rows to predict as the models take them."""
        require_fitted(self)
        return self.scaling_.apply(checked_features(X, self.name, self.n_features_in_))

    def scores(self, X: np.ndarray) -> np.ndarray:
        """Scores float (n, L) alone."""
        return self.scores_and_labels(X)[0]

    def labels(self, X: np.ndarray) -> np.ndarray:
        """Labels bool (n, L) alone."""
        return self.scores_and_labels(X)[1]


def _checked_weights(sample_weight: ArrayLike, rows: int, method: str) -> np.ndarray:
    weights = np.asarray(sample_weight)
    if weights.shape == (rows,) and weights.dtype.kind in "fiub":
        weights = weights.astype(np.float64)
        if np.isfinite(weights).all() and (weights >= 0).all() and weights.any():
            return weights
    raise InputError(
        f"{method} takes sample_weight as {rows} finite numbers >= 0, one per training row and not "
        "all zero"
    )


def estimator_at(path: str, method: str) -> BaseEstimator:
    """The scikit-learn classifier ``sklearn.MODULE.CLASS`` with its default parameters.

    Raises
    ------
    BenchError
        If ``path`` is none, leaves ``sklearn`` or its public part, or cannot be made without
        parameters.
    """
    estimator, problem = None, "there is no such class"
    cls = _public_class(path)
    if isinstance(cls, type) and issubclass(cls, BaseEstimator):
        try:
            estimator = cls()
        except TypeError:
            problem = "it needs parameters, so hand it over as an object, in Python"
        else:
            problem = "that is no classifier"
    if estimator is not None and is_classifier(estimator):
        return estimator
    raise BenchError(
        f"{method}[base={path}]: {problem}; base takes {' | '.join(NAMES)} or the path of a public "
        "scikit-learn classifier such as sklearn.linear_model.LogisticRegression"
    )


def _public_class(path: str) -> Any:
    """What ``sklearn.MODULE.NAME`` names; None where that is nothing, or no public part of it."""
    module, _, name = path.rpartition(".")
    parts = path.split(".")
    if parts[0] != "sklearn" or not all(p.isidentifier() and p[0] != "_" for p in parts):
        return None
    try:
        return getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None
