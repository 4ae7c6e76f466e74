"""Plug-ins of each kind that cost nothing, so that a test can run them by the dozen."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Self

import numpy as np

from bench.api import (
    TEST,
    TRAIN,
    VALID,
    Classifier,
    Dataset,
    FaceInput,
    FaceSet,
    Features,
    Network,
    param,
)


class Tiny(Dataset):
    """Noise whose halves show two of three labels."""

    name = "tiny"
    embedded = True
    images: int = param(60, ge=10)

    def load(self, root: Path | None, protocol: str = "") -> FaceSet:
        rng = np.random.default_rng(0)
        labels = rng.random((self.images, 3)) < 0.5
        images = rng.integers(0, 100, size=(self.images, 12, 12), dtype=np.uint8)
        images[labels[:, 0], :, :6] += 60
        images[labels[:, 1], :, 6:] += 60
        part = np.array([TRAIN, TRAIN, TRAIN, VALID, TEST])[np.arange(self.images) % 5]
        return FaceSet(
            "tiny",
            "multi",
            ("left", "right", "noise"),
            np.array([f"{i:04d}" for i in range(self.images)]),
            labels,
            images=images,
            split=part.astype(np.int8),
            synthetic=True,
            notes=("made for a test",),
        )


class Halves(Features):
    """Mean of each half."""

    name = "halves"
    stateless = True
    scale: float = param(1.0, gt=0)

    def transform(self, faces: FaceSet) -> np.ndarray:
        x = faces.images.astype(np.float32)
        return np.stack([x[:, :, :6].mean((1, 2)), x[:, :, 6:].mean((1, 2))], 1) * self.scale


class Centred(Features):
    """Mean of each half, centred on the training part."""

    name = "centred"
    stochastic = True

    def fit(self, faces: FaceSet, rng: np.random.Generator) -> Self:
        self.mean_ = faces.images.mean()
        self.noise_ = rng.normal()
        return self

    def transform(self, faces: FaceSet) -> np.ndarray:
        x = faces.images.astype(np.float32) - np.float32(self.mean_)
        right = x[:, :, 6:].mean((1, 2)) + self.noise_
        return np.stack([x[:, :, :6].mean((1, 2)), right], 1).astype(np.float32)


class Nearest(Classifier):
    """Labels of the nearest training rows."""

    name = "nearest"
    wait: float = param(0.0, ge=0, help="seconds that fit sleeps")

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        time.sleep(self.wait)
        self.X_, self.Y_ = X, Y
        return self

    def scores(self, X: np.ndarray) -> np.ndarray:
        d = ((X[:, None] - self.X_[None]) ** 2).sum(2)
        order = d.argsort(1, kind="stable")[:, :5]
        return self.Y_[order].mean(1)

    def labels(self, X: np.ndarray) -> np.ndarray:
        return self.scores(X) >= 0.5


class Dice(Classifier):
    """Random scores."""

    name = "dice"
    stochastic = True

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        self.n_labels_ = Y.shape[1]
        return self

    def scores(self, X: np.ndarray) -> np.ndarray:
        return np.random.default_rng(self.random_state).random((len(X), self.n_labels_))

    def labels(self, X: np.ndarray) -> np.ndarray:
        return self.scores(X) >= 0.5


class Alone(Classifier):
    """Label frequencies; takes no features."""

    name = "alone"
    needs_features = False

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        self.p_ = Y.mean(0)
        return self

    def scores(self, X: np.ndarray) -> np.ndarray:
        return np.tile(self.p_, (len(X), 1))

    def labels(self, X: np.ndarray) -> np.ndarray:
        return self.scores(X) >= 0.5


class Net(Network):
    """Label frequencies as a network; its remarks say its training rows and its budget."""

    name = "net"
    input = FaceInput(size=6)
    seconds_per_1000 = {"smoke": 1.0, "paper": 600_000.0}

    def fit(self, faces: FaceSet, rng: np.random.Generator, valid: FaceSet | None = None) -> Self:
        self.p_ = faces.labels.mean(0) + rng.normal(size=3) / 100
        self.seen_ = (len(faces), 0 if valid is None else len(valid), self.setting.budget)
        return self

    def remarks(self) -> tuple[str, ...]:
        return (f"saw {self.seen_}",)

    def transform(self, faces: FaceSet) -> np.ndarray:
        assert faces.images.shape[1:] == (6, 6)
        assert not faces.labels.any()
        return faces.images.reshape(len(faces), -1).astype(np.float32)

    def scores(self, faces: FaceSet) -> np.ndarray:
        return np.tile(self.p_, (len(faces), 1))

    def labels(self, faces: FaceSet) -> np.ndarray:
        return self.scores(faces) >= 0.5
