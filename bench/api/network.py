"""Network: an end-to-end method, features that also score and decide labels themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from bench.api.features import Features

if TYPE_CHECKING:
    import numpy as np

    from bench.api.faces import FaceSet


class Network(Features):
    """An end-to-end method: features that also score and decide labels themselves.

    ``threshold`` as in `Classifier`.

    Attributes
    ----------
    earlier_seconds : float
        After `fit`, the seconds that earlier runs of an interrupted training took; the engine adds
        them to those that it measured.
    """

    earlier_seconds: float = 0.0
    threshold: ClassVar[str] = "label"
    trains: ClassVar[bool] = True
    stochastic: ClassVar[bool] = True

    def fit(self, faces: FaceSet, rng: np.random.Generator, valid: FaceSet | None = None) -> Self:
        """Learn from the training part; epochs and thresholds are chosen on ``valid``."""
        raise NotImplementedError

    def scores(self, faces: FaceSet) -> np.ndarray:
        """Float (n, L); higher means more likely present."""
        raise NotImplementedError

    def labels(self, faces: FaceSet) -> np.ndarray:
        """Bool (n, L), by the rule that the docstring names."""
        raise NotImplementedError

    def outputs(self, faces: FaceSet) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`transform`, `scores` and `labels`; overridden where one pass gives all."""
        return self.transform(faces), self.scores(faces), self.labels(faces)

    def scores_are_distributions(self) -> bool:
        """Whether, after `fit`, the scores of a face are its label distribution, too."""
        return False

    def distribution(self, faces: FaceSet) -> np.ndarray | None:
        """Label distributions, float (n, L), rows summing to 1; None where the method has none."""
        return self.scores(faces) if self.scores_are_distributions() else None

    def tunes(self) -> bool:
        """Whether the engine calls `tune` after `fit` where it tests on another dataset."""
        return False

    def tune(self, faces: FaceSet, rng: np.random.Generator, valid: FaceSet | None = None) -> Self:
        """Go on from `fit` with the training part of the dataset that the network is tested on.

        Parameters
        ----------
        faces : FaceSet
            Column j of its labels is the label that column j was in `fit`: the engine matches the
            labels of the two datasets by name.
        """
        raise NotImplementedError
