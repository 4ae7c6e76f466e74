"""Identity: vectors that a dataset ships, handed on as they are."""

from __future__ import annotations

import numpy as np

from bench.api import BenchError, FaceSet, Features


class Identity(Features):
    """The precomputed features of a dataset (`mulan:NAME`), unchanged, for any classifier.

    Reference: none; it computes nothing.

    Deviation: the vectors keep the dataset's float64, where other features give float32, so that
    classifiers see exactly what the files say.
    """

    name = "identity"
    by_name_only = True  # on images it has nothing to hand on
    stateless = True
    needs_images = False

    def transform(self, faces: FaceSet) -> np.ndarray:
        """The dataset's own features, float64 (n, d); `BenchError` where it has images instead."""
        if faces.features is None:
            raise BenchError(
                f"{faces.name} has images, no precomputed features: identity is for datasets that "
                "ship vectors (mulan:NAME); use lbp or hog here"
            )
        return faces.features
