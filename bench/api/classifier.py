"""Classifier: learns label sets from vectors; a scikit-learn estimator outside the suite."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, Self

from bench.api.errors import InputError
from bench.api.parameters import Param
from bench.api.plugin import Plugin

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike


class _WhereProbabilities:
    """A method that a classifier has only where its scores are probabilities.

    scikit-learn chooses between ``decision_function`` and ``predict_proba`` by which is there.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__doc__ = function.__doc__

    def __get__(self, classifier: Classifier | None, owner: type) -> Any:
        if classifier is None:
            return self.function
        if not classifier.scores_are_probabilities():
            raise AttributeError(
                f"{classifier.name} has no predict_proba: its scores are no probabilities; take "
                "decision_function"
            )
        return self.function.__get__(classifier, owner)


class Classifier(Plugin):
    """Learns label sets from vectors; a scikit-learn estimator outside the suite.

    Class attributes
    ----------------
    learns : {"labels", "distribution"}
        What `fit` gets as ``Y``: label sets, or label distributions, float (n, L), rows summing to
        1. A classifier that learns distributions runs only on datasets that have them.
    stochastic : bool
        True where the result depends on ``random_state``; the engine sets it from the seed.
    needs_features : bool
        False where only the labels matter (`prior`); such a method runs alone, without ``+``.
    kinds : tuple of str
        Kinds of dataset that the classifier is meant for. On ``single`` the class of a row is the
        label with the highest score.
    threshold : {"label", "row"}
        What a label's score is compared with: one value for all rows, which may differ from label
        to label, or one for all labels of a row.

    Attributes
    ----------
    kind : {"multi", "single"}
        The kind of the dataset. The engine sets it before `fit`, for methods that learn one class
        per row in another way. It is no hyper-parameter: scikit-learn's ``clone`` does not copy it.
    classes_ : list of int array ([0, 1])
        One for each label, after `fit`: what scikit-learn's scorers and searches ask for.
    """

    classes_: list[np.ndarray]
    n_features_in_: int
    kind: str = "multi"
    learns: ClassVar[str] = "labels"
    stochastic: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("multi",)
    needs_features: ClassVar[bool] = True
    threshold: ClassVar[str] = "label"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if cls.stochastic and "random_state" not in cls.params:
            cls.random_state = Param(0, "set from --seeds", ge=0, type="int")  # type: ignore[attr-defined]
        super().__init_subclass__(**kwargs)
        if "fit" in vars(cls):
            cls.fit = _as_scikit_learn_fits(vars(cls)["fit"])  # type: ignore[method-assign]

    def memory_needed(self, n: int, d: int, labels: int, itemsize: int = 4) -> int:
        """Bytes that `fit` allocates for ``X`` (n, d) of ``itemsize`` bytes each; 0: few.

        A classifier whose memory grows faster than the data overrides this. The engine calls it
        before `fit` and does not start the classifier where ``--max-memory`` allows less.
        """
        return 0

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        """Learn from ``X`` float (n, d) and ``Y`` bool (n, L); returns self."""
        raise NotImplementedError

    def scores(self, X: np.ndarray) -> np.ndarray:
        """Float (n, L); higher means more likely present. Ranking criteria take these."""
        raise NotImplementedError

    def labels(self, X: np.ndarray) -> np.ndarray:
        """Bool (n, L), by the rule that the docstring names. Set criteria take these."""
        raise NotImplementedError

    def scores_and_labels(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both of the above; overridden where one pass gives both."""
        return self.scores(X), self.labels(X)

    def scores_are_distributions(self) -> bool:
        """Whether, after `fit`, the scores of a row are its label distribution, too."""
        return False

    def distribution(self, X: np.ndarray) -> np.ndarray | None:
        """Label distributions, float (n, L), rows summing to 1; None where the method has none."""
        return self.scores(X) if self.scores_are_distributions() else None

    def scores_are_probabilities(self) -> bool:
        """Whether a score is the estimated probability that its label is present."""
        return False

    # scikit-learn's names for the same things
    def predict(self, X: np.ndarray) -> np.ndarray:
        """Labels as 0/1 integers (n, L)."""
        return self.labels(_dense_features(X, self.name)).astype(int)

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        """Scores (n, L)."""
        return self.scores(_dense_features(X, self.name))

    @_WhereProbabilities
    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Scores (n, L), where they are probabilities; elsewhere there is no such attribute."""
        return self.scores(_dense_features(X, self.name))

    def score(
        self,
        X: np.ndarray,
        Y: np.ndarray | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        y: np.ndarray | None = None,
    ) -> float:
        """Share of rows whose whole label set is right (scikit-learn's multi-label accuracy).

        ``sample_weight`` float (n,) weights the rows; ``y`` is scikit-learn's name for ``Y``.
        """
        import numpy as np  # here: `bench.api` is imported by commands that compute nothing

        predicted, known = self.predict(X), np.asarray(_dense(y if Y is None else Y))
        if known.shape != predicted.shape:
            raise InputError(
                f"{self.name} is scored against labels (n, L) = {predicted.shape} and got "
                f"{known.shape}"
            )
        weights = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        return float(np.average((predicted == (known > 0)).all(axis=1), weights=weights))

    def __sklearn_is_fitted__(self) -> bool:
        return any(name.endswith("_") and not name.startswith("_") for name in vars(self))

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True, multi_output=True, single_output=False),
            classifier_tags=ClassifierTags(multi_class=False, multi_label=True),
            input_tags=InputTags(),
        )


class LabelClasses(list["np.ndarray"]):
    """``classes_``: [0, 1] for each label, a list as scikit-learn's multi-label estimators have it.

    Its `cross_val_predict` wants the shape of an array where scores are one.
    """

    @property
    def shape(self) -> tuple[int, int]:
        """(L, 2)."""
        return len(self), 2


def _as_scikit_learn_fits(fit: Callable[..., Any]) -> Callable[..., Any]:
    """A `fit` with what scikit-learn expects of it, whatever class wrote it.

    The labels may be called ``y``, as scikit-learn does, and be sparse; afterwards there are
    ``classes_`` and ``n_features_in_``.
    """

    @wraps(fit)
    def fitted(self: Classifier, X: Any, Y: Any = None, *more: Any, **named: Any) -> Any:
        Y = named.pop("y", Y)
        if Y is None:
            raise InputError(f"{self.name} requires y to be passed, but the target y is None")
        X, Y = _dense_features(X, self.name), _dense(Y)
        vars(self).pop("n_features_in_", None)  # of an earlier fit
        answer = fit(self, X, Y, *more, **named)
        import numpy as np

        if not hasattr(type(self), "classes_"):
            self.classes_ = LabelClasses(np.array([0, 1]) for _ in range(np.shape(Y)[1]))
        if "n_features_in_" not in vars(self):
            self.n_features_in_ = np.shape(X)[1]
        return answer

    return fitted


def _dense(matrix: Any) -> Any:
    """A sparse matrix with all its values; anything else as it is."""
    return matrix.toarray() if hasattr(matrix, "toarray") else matrix


def _dense_features(X: Any, name: str) -> Any:
    """``X``, unless it is sparse: filled, it may be larger than memory, as the user may know."""
    if hasattr(X, "toarray"):
        raise InputError(f"{name} takes no sparse features; hand over X.toarray()")
    return X
