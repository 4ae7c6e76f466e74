"""Sets of faces for tests to which only the images matter."""

from __future__ import annotations

import numpy as np

from bench.api import FaceSet


def faces_of(images: np.ndarray) -> FaceSet:
    """Faces with these ``images`` uint8 (n, H, W) or (n, H, W, 3), and one label that all have."""
    n = len(images)
    return FaceSet(
        name="toy",
        kind="multi",
        label_names=("joy",),
        ids=np.arange(n).astype(str),
        labels=np.ones((n, 1), dtype=bool),
        images=images,
    )


def noise(n: int, *shape: int, seed: int = 0) -> np.ndarray:
    """Images of noise, uint8 (n, *shape)."""
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)
