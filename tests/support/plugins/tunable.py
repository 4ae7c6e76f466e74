"""Plug-ins with parameters to choose, which derive from those of `tiny`; some values fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
from plugins.tiny import Nearest, Net, Tiny

from bench.api import TRAIN, FaceSet, UnavailableError, param


class Masked(Tiny):
    """Tiny; with ``other`` nothing outside the training part is as it was."""

    name = "masked"
    other: bool = param(False)

    def load(self, root: Path | None, protocol: str = "") -> FaceSet:
        faces = super().load(root, protocol)
        outside = (faces.split != TRAIN) & self.other
        labels = np.where(outside[:, None], ~faces.labels, faces.labels)
        images = np.where(outside[:, None, None], 255 - faces.images, faces.images)
        return replace(faces, labels=labels, images=images)


class OneClass(Tiny):
    """Tiny, one class per image."""

    name = "one-class"
    kind = "single"

    def load(self, root: Path | None, protocol: str = "") -> FaceSet:
        faces = super().load(root, protocol)
        labels = np.eye(3, dtype=bool)[np.where(faces.labels[:, 0], 0, 1)]
        return replace(faces, kind="single", labels=labels)


class Noisy(Nearest):
    """Nearest, with noise on its scores."""

    name = "noisy"
    kinds = ("multi", "single")
    noise: float = param(1.0, ge=0)
    draw: int = param(0)

    def scores(self, X: np.ndarray) -> np.ndarray:
        shape = (len(X), 3)
        noise = np.random.default_rng(self.draw).normal(size=shape)
        return super().scores(X) + self.noise * noise


class Scaled(Noisy):
    """Noisy, with a parameter named like one of `Halves`."""

    name = "scaled"
    scale: float = param(1.0)


class Fitful(Noisy):
    """Fails for two of its values, for one of them until a file lies beside this one."""

    name = "fitful"
    k: int = param(1)

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        if self.k == 2:
            raise RuntimeError("two is too much")
        if self.k == 3 and not Path(__file__).with_name("three").exists():
            raise UnavailableError("three is not here: fetch it")
        return super().fit(X, Y)


class Mute(Nearest):
    """Gives labels only."""

    name = "mute"
    k: int = param(1)

    def scores_and_labels(self, X: np.ndarray) -> tuple[None, np.ndarray]:
        return None, self.labels(X)


class Tall(Net):
    """A network with a parameter that moves its scores."""

    name = "tall"
    height: float = param(0.0)

    def scores(self, faces: FaceSet) -> np.ndarray:
        left = faces.images[:, :, :3].mean((1, 2)) * self.height
        return np.tile(self.p_, (len(faces), 1)) + np.stack([left, 0 * left, 0 * left], 1) / 100
