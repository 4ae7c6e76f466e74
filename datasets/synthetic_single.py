"""Rendered faces of seven classes with identities, for methods that know one label per image."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.api import TEST, TRAIN, Dataset, FaceSet, param
from bench.render.action_units import EMOTIONS
from bench.render.annotators import CLASSES, gather
from bench.render.rendering import draw_people, portray
from bench.render.shift import Shift

_STREAM = 2  # of random numbers under one seed


class SyntheticSingle(Dataset):
    """The embedded single-label dataset: six emotions and neutral, many pictures of each identity.

    Drawn and voted on as ``synthetic`` is, but one class dominates each face; an image stays where
    one class has more than half of the votes (the majority rule of E. Barsoum et al., ICMI 2016,
    FER+), and that class is its label. Image i shows identity i mod ``identities``; every fifth
    identity is a test identity, so nobody is in both parts.
    """

    name = "synthetic-single"
    small = {"images": 20}
    kind = "single"
    embedded = True
    protocols = ("official",)
    obtain = "Nothing to obtain: bench renders it."
    images: int = param(1200, ge=20, help="number of images")
    seed: int = param(0, ge=0, help="another seed gives other faces and votes")
    identities: int = param(60, ge=5, help="number of people who are seen")
    lighting: float = param(0.0, ge=0, le=1, help="domain shift: lamp below, dark; 0 none")
    style: float = param(0.0, ge=0, le=1, help="domain shift: share of a pencil drawing; 0 none")
    resolution: int | None = param(
        None, ge=4, le=100, help="domain shift: side in pixels that it was enlarged from"
    )

    def load(self, root: Path | None = None, protocol: str = "") -> FaceSet:
        """Simulate the votes, select, and render what was selected; ``root`` is not used."""
        truth, votes = self.polled()
        identity = np.arange(self.images) % self.identities
        people = draw_people(self.identities, self.seed)[identity]
        shift = Shift(self.lighting, self.style, self.resolution)
        images, landmarks = portray(truth[:, : len(EMOTIONS)], self.seed, people, shift)
        return FaceSet(
            name=self.name,
            kind=self.kind,
            label_names=CLASSES,
            ids=np.array([f"{i + 1:04d}.jpg" for i in range(self.images)]),
            images=images,
            labels=votes == votes.max(axis=1, keepdims=True),
            distribution=votes / votes.sum(axis=1, keepdims=True),
            landmarks=landmarks,
            subject=np.array([f"person-{i + 1:03d}" for i in identity]),
            votes=votes,
            split=np.where(identity % 5 == 2, TEST, TRAIN).astype(np.int8),
            synthetic=True,
            notes=("rendered by bench, not photographs", *shift.notes()),
        )

    def polled(self) -> tuple[np.ndarray, np.ndarray]:
        """What each image shows, float (n, 7), and the votes on it, int (n, 7); renders nothing."""
        return gather(self.images, (self.seed, _STREAM), _mostly_one, _majority)


def _majority(votes: np.ndarray) -> np.ndarray:
    """Bool (n,): one class has more than half of the votes."""
    return np.asarray(2 * votes.max(axis=1) > votes.sum(axis=1))


def _mostly_one(rng: np.random.Generator, n: int) -> np.ndarray:
    """What n candidates show: one class for the larger part, a trace of the others."""
    main = np.eye(len(CLASSES))[rng.integers(len(CLASSES), size=n)]
    trace = rng.uniform(0.0, 0.5, (n, 1))
    return (1 - trace) * main + trace * rng.dirichlet(np.full(len(CLASSES), 0.4), n)
