"""A dataset with label distributions, and methods that give or learn them."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np

from bench.api import (
    TEST,
    TRAIN,
    Classifier,
    Dataset,
    FaceInput,
    FaceSet,
    Features,
    Network,
    param,
)


class Blends(Dataset):
    """Three brightnesses, and shares that follow them."""

    name = "blends"
    embedded = True
    single: bool = param(False)
    bare: bool = param(False)

    def load(self, root: Path | None, protocol: str = "") -> FaceSet:
        rng = np.random.default_rng(0)
        shares = rng.dirichlet(np.ones(3), size=50)
        images = np.clip(shares[:, None, :] * 250, 0, 255).astype(np.uint8).repeat(3, axis=1)
        labels = shares >= 1 / 3
        if self.single:
            labels = np.arange(3) == shares.argmax(1)[:, None]
        return FaceSet(
            "blends",
            "single" if self.single else "multi",
            ("a", "b", "c"),
            np.array([f"{i}" for i in range(50)]),
            labels,
            images=images,
            distribution=None if self.bare else shares,
            split=np.where(np.arange(50) % 5 == 0, TEST, TRAIN).astype(np.int8),
            synthetic=True,
        )


class Pixels(Features):
    """Pixels."""

    name = "pixels"
    stateless = True
    kinds = ("multi", "single")

    def transform(self, faces: FaceSet) -> np.ndarray:
        return faces.images.reshape(len(faces), -1).astype(np.float32)


class Shares(Network):
    """Brightnesses as shares; ``wrong`` doubles them, ``own`` gives a distribution beside them."""

    name = "shares"
    kinds = ("multi", "single")
    input = FaceInput()
    wrong: bool = param(False)
    own: bool = param(False)

    def fit(self, faces: FaceSet, rng: np.random.Generator, valid: FaceSet | None = None) -> Self:
        assert faces.distribution is not None
        return self

    def transform(self, faces: FaceSet) -> np.ndarray:
        assert faces.distribution is None
        return faces.images.reshape(len(faces), -1).astype(np.float32)

    def scores(self, faces: FaceSet) -> np.ndarray:
        brightness = faces.images[:, 0].astype(float) + 1
        return brightness / brightness.sum(1, keepdims=True) * (2 if self.wrong else 1)

    def labels(self, faces: FaceSet) -> np.ndarray:
        return self.scores(faces) >= 1 / 3

    def scores_are_distributions(self) -> bool:
        return not self.own

    def distribution(self, faces: FaceSet) -> np.ndarray | None:
        return np.full((len(faces), 3), 1 / 3) if self.own else super().distribution(faces)


class Frequencies(Classifier):
    """Learns labels, gives no distribution."""

    name = "frequencies"
    kinds = ("multi", "single")

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        assert Y.dtype == bool
        self.p_ = Y.mean(0)
        return self

    def scores(self, X: np.ndarray) -> np.ndarray:
        return np.tile(self.p_, (len(X), 1))

    def labels(self, X: np.ndarray) -> np.ndarray:
        return self.scores(X) >= 0.5
