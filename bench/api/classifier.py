"""Classifier: learns label sets from vectors; a scikit-learn estimator outside the suite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from bench.api.parameters import Param
from bench.api.plugin import Plugin

if TYPE_CHECKING:
    import numpy as np


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
    """

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

    # scikit-learn's names for the same things
    def predict(self, X: np.ndarray) -> np.ndarray:
        """Labels as 0/1 integers (n, L)."""
        return self.labels(X).astype(int)

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        """Scores (n, L)."""
        return self.scores(X)

    def score(self, X: np.ndarray, Y: np.ndarray) -> float:
        """Share of rows whose whole label set is right (scikit-learn's multi-label accuracy)."""
        return float((self.labels(X) == (Y > 0)).all(axis=1).mean())

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
