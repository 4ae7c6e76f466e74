"""`identity` hands on what a dataset ships."""

from __future__ import annotations

import numpy as np
import pytest
from builtin import method_class

from bench.api import BenchError, FaceSet

Identity = method_class("identity")


def test_vectors_come_out_unchanged() -> None:
    vectors = np.random.default_rng(0).normal(size=(4, 3))
    faces = FaceSet(
        name="toy",
        kind="multi",
        label_names=("joy",),
        ids=np.arange(4).astype(str),
        labels=np.ones((4, 1), dtype=bool),
        features=vectors,
    )
    method = Identity().fit(faces, np.random.default_rng(0))
    result = method.transform(faces)
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, vectors)
    np.testing.assert_array_equal(method.transform(faces.take(slice(1, 3))), vectors[1:3])


def test_images_are_refused() -> None:
    faces = FaceSet(
        name="toy",
        kind="multi",
        label_names=("joy",),
        ids=np.array(["a"]),
        labels=np.ones((1, 1), dtype=bool),
        images=np.zeros((1, 4, 4), dtype=np.uint8),
    )
    with pytest.raises(BenchError, match="toy has images, no precomputed features"):
        Identity().transform(faces)
