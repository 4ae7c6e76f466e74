"""`hog` against scikit-image's blocks, with the paper's sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from skimage.feature import hog

from bench.api import BenchError, FaceSet
from bench.plugins import Registry

HOG: Any = Registry().find("method", "hog")[0].load()


def faces(images: np.ndarray) -> FaceSet:
    n = len(images)
    return FaceSet(
        name="toy",
        kind="multi",
        label_names=("joy",),
        ids=np.arange(n).astype(str),
        labels=np.ones((n, 1), dtype=bool),
        images=images,
    )


def images(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 100, 100), dtype=np.uint8)


def test_defaults_give_the_papers_4000_values() -> None:
    vectors = HOG().fit(faces(images(3)), np.random.default_rng(0)).transform(faces(images(3)))
    assert vectors.shape == (3, 4000)
    assert vectors.dtype == np.float32


@pytest.mark.parametrize("cell", HOG.params["cell"].choices)
@pytest.mark.parametrize("orientations", [1, 9, 10])
def test_blocks_are_every_second_of_scikit_image(cell: int, orientations: int) -> None:
    vectors = HOG(cell=cell, orientations=orientations).transform(faces(images(2)))
    for image, vector in zip(images(2), vectors, strict=True):
        blocks = hog(
            image, orientations, (cell, cell), (2, 2), block_norm="L2-Hys", feature_vector=False
        )
        expected = blocks[::2, ::2].ravel().astype(np.float32)
        np.testing.assert_allclose(vector, expected, rtol=2e-7, atol=0)


def test_a_flat_face_has_no_gradients() -> None:
    flat = np.full((1, 100, 100), 80, dtype=np.uint8)
    assert not HOG().transform(faces(flat)).any()


def test_a_cell_that_does_not_fit_is_refused() -> None:
    with pytest.raises(BenchError, match=r"hog\[cell=20\] is not allowed: cell takes 5 \| 10"):
        HOG(cell=20)


def test_colour_images_are_refused() -> None:
    colour = np.zeros((1, 100, 100, 3), dtype=np.uint8)
    with pytest.raises(BenchError, match=r"toy: images must be grey \(n, 100, 100\)"):
        HOG().transform(faces(colour))
