"""Rendered faces that blend emotions, labelled by a simulated crowd after RAF-ML's rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.api import TEST, TRAIN, Dataset, FaceSet, param
from bench.data.predominant import predominant
from bench.render.action_units import EMOTIONS
from bench.render.annotators import CLASSES, gather, select
from bench.render.rendering import portray
from bench.render.shift import Shift

# How often each emotion (and a third, a fourth one) takes part in a blend: fitted so that what the
# selection keeps has RAF-ML's published label counts and cardinalities (S. Li and W. Deng, IJCV
# 127 (2019) 884-906).
_RATES = np.array([0.196, 0.100, 0.266, 0.113, 0.146, 0.179])
_PARTS = np.array([0.100, 0.645, 0.235, 0.020])  # one, two, three, four emotions
_STREAM = 1  # of random numbers under one seed


class Synthetic(Dataset):
    """The embedded multi-label dataset: 100×100 rendered faces in RAF-ML's geometry and protocol.

    Faces are drawn by facial action units (`bench.render.rendering`); the six emotions follow their
    action-unit prototypes, blends mix them with continuous weights. 315 simulated annotators, 30
    of them spammers whose votes are left out, vote on every candidate; RAF-ML's rule selects the
    images and their labels (`bench.render.annotators.select`). Classes, cardinalities, label counts
    and the shares of train and test are close to RAF-ML's (S. Li and W. Deng, IJCV 127 (2019)
    884–906). Everyone is seen once.

    Image i depends on the seed and on i alone: ``synthetic[images=1200]`` begins
    ``synthetic[images=4908]``. Every fifth image is a test image, which gives round(0.8 n) training
    images for every n. ``labels=predominant`` gives one class per image instead
    (`bench.data.predominant`).
    """

    name = "synthetic"
    small = {"images": 20}
    kind = "multi"
    embedded = True
    protocols = ("official",)
    obtain = "Nothing to obtain: bench renders it."
    images: int = param(1200, ge=20, help="number of images; RAF-ML has 4908")
    seed: int = param(0, ge=0, help="another seed gives other faces and votes")
    labels: str = param(
        "set",
        choices=("set", "predominant"),
        help="predominant: one class per image, the largest share of its distribution",
    )
    lighting: float = param(0.0, ge=0, le=1, help="domain shift: lamp below, dark; 0 none")
    style: float = param(0.0, ge=0, le=1, help="domain shift: share of a pencil drawing; 0 none")
    resolution: int | None = param(
        None, ge=4, le=100, help="domain shift: side in pixels that it was enlarged from"
    )

    def load(self, root: Path | None = None, protocol: str = "") -> FaceSet:
        """Simulate the votes, select, and render what was selected; ``root`` is not used."""
        truth, votes = self.polled()
        _, distribution, labels = select(votes)
        shift = Shift(self.lighting, self.style, self.resolution)
        images, landmarks = portray(truth[:, : len(EMOTIONS)], self.seed, shift=shift)
        number = np.arange(self.images)
        faces = FaceSet(
            name=self.name,
            kind=self.kind,
            label_names=EMOTIONS,
            ids=np.array([f"{i + 1:04d}.jpg" for i in number]),
            images=images,
            labels=labels,
            distribution=distribution,
            landmarks=landmarks,
            votes=votes,
            split=np.where(number % 5 == 2, TEST, TRAIN).astype(np.int8),
            synthetic=True,
            notes=("rendered by bench, not photographs", *shift.notes()),
        )
        return predominant(faces) if self.labels == "predominant" else faces

    def polled(self) -> tuple[np.ndarray, np.ndarray]:
        """What each image shows, float (n, 7), and the votes on it, int (n, 7); renders nothing."""
        return gather(self.images, (self.seed, _STREAM), _blends, lambda votes: select(votes)[0])


def _blends(rng: np.random.Generator, n: int) -> np.ndarray:
    """What n candidates show: weights of `CLASSES`, rows summing to 1."""
    # the largest keys are a weighted draw without replacement (Gumbel's trick)
    keys = np.log(_RATES) + rng.gumbel(size=(n, len(_RATES)))
    rank = np.argsort(np.argsort(-keys, axis=1), axis=1)
    parts = 1 + rng.choice(len(_PARTS), size=n, p=_PARTS)
    weights = rng.gamma(5.0, size=keys.shape) * (rank < parts[:, None])
    weights /= weights.sum(axis=1, keepdims=True)
    trace = 0.15 * rng.random((n, 1))
    weights = (1 - trace) * weights + trace * rng.dirichlet(np.full(len(_RATES), 0.5), n)
    neutral = 0.25 * rng.random((n, len(CLASSES) - len(_RATES)))
    return np.concatenate([(1 - neutral) * weights, neutral], axis=1)
