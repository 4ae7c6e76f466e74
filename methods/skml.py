"""skml:NAME: the classifiers of scikit-multilearn, as they are."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice, permutations
from typing import Any, Self

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier
from skmultilearn import adapt, ensemble, problem_transform, tree

from bench.api import BenchError, Classifier, near, param
from bench.learn.checks import checked_features, checked_labels, require_fitted

_DENSE = [True, True]


class SkMultilearn(Classifier):
    """P. Szymański and T. Kajdanowicz, scikit-multilearn, JMLR 20 (2019) 6:1–22, in the maintained
    fork scikit-multilearn-ng: 14 classifiers with the library's defaults, and its faults.

    Scores are the library's ``predict_proba`` for BinaryRelevance, ClassifierChain,
    ClassificationHeterogeneousFeature, InstanceBasedLogisticRegression, LabelPowerset, MLARAM,
    MLkNN and RakelD; for RakelO the share of votes; BRkNNaClassifier, BRkNNbClassifier, MLTSVM,
    PredictiveClusteringTree and ProbabilisticClassifierChain have none. Labels are the library's
    ``predict``. Known faults, left as they are:

    - MLkNN and InstanceBasedLogisticRegression count a training row as its own neighbour. `mlknn`
      is the method as published.
    - RakelO draws sequences of labels, not sets: one set comes several times; it trains one model
      more than it is set to; a label with just half of its votes is absent.
    - MLTSVM takes the rows without the second label for the negatives of every label.
    - MLARAM scales test features by the range of the test part, so that a row's answer depends on
      the rows beside it; its scores are no probabilities and grow beyond 1.
    - BRkNNaClassifier: a label that just half of the neighbours have is absent, unlike what its
      documentation says. BRkNNbClassifier gives all labels to a row whose neighbours have less
      than half a label on average, and relies on an order that NumPy does not promise.
    - ProbabilisticClassifierChain tries all 2^L label sets for each row, and
      PredictiveClusteringTree each value of each feature, in Python: too slow for many labels or
      features. The probabilities of the former are those of the answer, present or absent.

    SMiLE, StructuredGridSearchCV, EmbeddingClassifier, OpenNetworkEmbedder, Keras and Meka are left
    out (they fail or need other software), and so are the ensembles over clustered labels.

    Deviation: a label that all training rows have, or none, is kept from those that fail on it
    (BinaryRelevance, chains, ClassificationHeterogeneousFeature, InstanceBasedLogisticRegression)
    and predicted as in training, with score 1 or 0.
    """

    name = "skml:"
    by_name_only = True
    stochastic = True  # RakelD and RakelO draw label sets
    base: str | None = param(
        None,
        choices=(None, "naive-bayes", "logistic", "tree"),
        help="inside transformations, chains and RAkEL; None: naive-bayes, as in the user guide",
    )
    k: int | None = param(None, ge=1, help="neighbours of MLkNN and BRkNN; None: the library's 10")
    random_state: int

    def __init__(self, *, member: str | None = None, **params: Any) -> None:
        if member is not None and member not in MEMBERS:
            raise BenchError(f"skml:{member}: no such classifier; {near(member, MEMBERS)}")
        super().__init__(member=member, **params)

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        """Fit the library's object, ``fitted_``, on copies of X float (n, d) and Y bool (n, L).

        Raises
        ------
        BenchError
            Where X or Y has a wrong shape or values, and for a parameter that the member lacks.
        """
        member, name = self._member()
        X = checked_features(X, name)
        Y = checked_labels(Y, len(X), name)
        if Y.shape[1] < member.labels:
            raise BenchError(f"{name} cannot learn fewer than {member.labels} labels")
        neighbours = self.k or 10
        if member.takes == "k" and len(X) < neighbours:
            raise BenchError(f"{name}[k={neighbours}] got {len(X)} training rows; take a smaller k")
        self.n_features_in_ = X.shape[1]
        self.first_ = Y[0]
        self.learned_ = (Y[0] != Y).any(axis=0) | member.constant
        self.fitted_ = None
        if self.learned_.any():
            target = Y[:, self.learned_].astype(int)
            self.fitted_ = member.make(self, target.shape[1])
            state = random.getstate()
            random.seed(self.random_state)  # the one source of chance in the library
            try:
                # Copies: MLARAM writes into its labels.
                self.fitted_.fit(
                    np.array(X), sparse.lil_matrix(target) if member.sparse else target
                )
            finally:
                random.setstate(state)
        return self

    def _member(self) -> tuple[_Member, str]:
        """The class of the library, and the name of the method; refuses what it does not take."""
        if self.member is None:
            raise BenchError(f"skml: needs a name after the colon; {near('', MEMBERS)}")
        member, name = MEMBERS[self.member], self.name + self.member
        for field in ("base", "k"):
            if getattr(self, field) is not None and field != member.takes:
                raise BenchError(f"{name} has no parameter {field!r}; leave it out")
        return member, name

    def _complete(self, learned: Any, rows: int) -> np.ndarray:
        """``learned`` (n, labels learned), beside the labels that are constant: float (n, L)."""
        full = np.tile(self.first_.astype(float), (rows, 1))
        if learned is not None:
            dense = learned.toarray() if sparse.issparse(learned) else np.asarray(learned)
            full[:, self.learned_] = dense.reshape(rows, -1)
        return full

    def _prepared(self, X: np.ndarray) -> np.ndarray:
        """Rows to predict: checked, and a copy, since the library may write into them."""
        require_fitted(self)
        return np.array(checked_features(X, f"skml:{self.member}", self.n_features_in_))

    def scores(self, X: np.ndarray) -> np.ndarray | None:  # type: ignore[override]
        """Float (n, L), or None where the member has no scores."""
        X = self._prepared(X)
        scored = MEMBERS[str(self.member)].scored
        if scored == "":
            return None
        if not len(X) or self.fitted_ is None:
            return self._complete(None, len(X))
        if scored == "probability":
            return self._complete(self.fitted_.predict_proba(X), len(X))
        voting = self.fitted_.classifier
        votes, models = np.zeros((len(X), len(self.learned_))), np.zeros(len(self.learned_))
        for model, labels in zip(voting.classifiers_, voting.partition_, strict=True):
            votes[:, list(labels)] += model.predict(X).toarray()
            models[list(labels)] += 1
        return votes / models

    def labels(self, X: np.ndarray) -> np.ndarray:
        """The library's ``predict``, bool (n, L)."""
        X = self._prepared(X)
        labels = self.fitted_.predict(X) if len(X) and self.fitted_ is not None else None
        return self._complete(labels, len(X)) > 0.5

    def exempt(self) -> Mapping[str, str]:
        """Checks of the contract that the library does not pass, and why."""
        return EXEMPT.get(str(self.member), {})

    def remarks(self) -> tuple[str, ...]:
        """The value that the library's object took, where the parameter was left out."""
        used = {"k": self.k or 10, "base": self.base or "naive-bayes"}
        takes = MEMBERS[str(self.member)].takes
        return (f"skml:{self.member}: {takes}={used[takes]}",) if takes else ()


@dataclass(frozen=True)
class _Member:
    """One class of the library: how to make it for so many labels, and what it can do.

    ``takes`` is the parameter that it uses, ``scored`` where its scores come from, ``constant``
    whether it learns labels that do not vary, ``labels`` the fewest that it learns, ``sparse``
    whether it has to get them as a sparse matrix (it misreads a dense one).
    """

    make: Callable[[SkMultilearn, int], Any]
    takes: str = ""
    scored: str = "probability"
    constant: bool = True
    labels: int = 1
    sparse: bool = False


def _base(method: SkMultilearn) -> Any:
    """The single-label classifier inside transformations, chains and RAkEL."""
    if method.base == "logistic":
        return LogisticRegression(max_iter=1000)
    if method.base == "tree":
        return DecisionTreeClassifier(random_state=method.random_state)
    return GaussianNB()


def _transformation(kind: Callable[..., Any], **more: Any) -> _Member:
    """A member that is made of a base classifier alone."""
    return _Member(lambda method, _: kind(_base(method), _DENSE), "base", sparse=True, **more)


def _rakel_o(method: SkMultilearn, labels: int) -> Any:
    """RakelO with as many models as there may be."""
    size = min(3, max(1, labels - 1))
    # The library looks for model_count + 1 different sequences, for ever where there are fewer.
    exist = sum(1 for _ in islice(permutations(range(labels), size), 2 * labels + 1))
    return ensemble.RakelO(_base(method), exist - 1, size, _DENSE)


MEMBERS = {
    "BRkNNaClassifier": _Member(
        lambda method, _: adapt.BRkNNaClassifier(method.k or 10), "k", scored=""
    ),
    "BRkNNbClassifier": _Member(
        lambda method, _: adapt.BRkNNbClassifier(method.k or 10), "k", scored="", labels=2
    ),
    "BinaryRelevance": _transformation(problem_transform.BinaryRelevance, constant=False),
    "ClassificationHeterogeneousFeature": _transformation(
        problem_transform.ClassificationHeterogeneousFeature, constant=False
    ),
    "ClassifierChain": _transformation(problem_transform.ClassifierChain, constant=False),
    "InstanceBasedLogisticRegression": _Member(
        lambda *_: problem_transform.InstanceBasedLogisticRegression(
            LogisticRegression(max_iter=1000), _DENSE
        ),
        constant=False,
        sparse=True,
    ),
    "LabelPowerset": _transformation(problem_transform.LabelPowerset),
    "MLARAM": _Member(lambda *_: adapt.MLARAM(), labels=2),
    "MLTSVM": _Member(lambda *_: adapt.MLTSVM(c_k=0.5), scored="", labels=2),
    "MLkNN": _Member(lambda method, _: adapt.MLkNN(method.k or 10), "k", sparse=True),
    "PredictiveClusteringTree": _Member(
        lambda method, _: tree.PredictiveClusteringTree(
            DecisionTreeClassifier(random_state=method.random_state), tree.GiniCriterion()
        ),
        scored="",
    ),
    "ProbabilisticClassifierChain": _transformation(
        problem_transform.ProbabilisticClassifierChain, scored="", constant=False
    ),
    "RakelD": _Member(
        lambda method, _: ensemble.RakelD(_base(method), 3, _DENSE), "base", sparse=True
    ),
    "RakelO": _Member(_rakel_o, "base", scored="votes", sparse=True),
}
SkMultilearn.members = tuple(MEMBERS)

_FEW = "few training rows"
_NAN = {_FEW: "naive Bayes gives NaN where a class has one row"}
EXEMPT = {
    "InstanceBasedLogisticRegression": {_FEW: "the library's own error below 10 rows"},
    "LabelPowerset": _NAN,
    "MLARAM": {
        _FEW: "the library's own error with one row",
        "rows do not depend on the batch": "it scales test features by the range of the test part",
    },
    "RakelD": _NAN,
}
