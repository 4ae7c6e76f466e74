"""`lbp` against a histogram of scikit-image's codes, with the paper's sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from skimage.feature import local_binary_pattern

from bench.api import BenchError, FaceSet
from bench.plugins import Registry

LBP: Any = Registry().find("method", "lbp")[0].load()


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


def test_defaults_give_the_papers_5900_values() -> None:
    vectors = LBP().fit(faces(images(3)), np.random.default_rng(0)).transform(faces(images(3)))
    assert vectors.shape == (3, 5900)
    assert vectors.dtype == np.float32
    for image, vector in zip(images(3), vectors, strict=True):
        codes = local_binary_pattern(image, 8, 2, method="nri_uniform").astype(int)
        cells = codes.reshape(10, 10, 10, 10).swapaxes(1, 2).reshape(100, 100)
        counts = np.concatenate([np.bincount(cell, minlength=59) for cell in cells])
        np.testing.assert_array_equal(vector, counts)


@pytest.mark.parametrize("cell", LBP.params["cell"].choices)
def test_every_pixel_counts_once_whatever_the_cell(cell: int) -> None:
    vectors = LBP(cell=cell).transform(faces(images(2)))
    counts = vectors.reshape(2, (100 // cell) ** 2, 59)
    np.testing.assert_array_equal(counts.sum(axis=2), cell**2)


def test_a_cell_that_does_not_fit_is_refused() -> None:
    with pytest.raises(BenchError, match=r"lbp\[cell=7\] is not allowed: cell takes 5 \| 10"):
        LBP(cell=7)


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(BenchError, match=r"toy: images must be grey \(n, 100, 100\)"):
        LBP().transform(faces(images(2)[:, :90, :90]))
