"""`lbp` against scikit-image's codes and a slow count of them, with the paper's sizes."""

from __future__ import annotations

import numpy as np
import pytest
from bench.methods.lbp import LBP_BINS, lbp_histograms, uniform_table
from builtin import method_class
from faces import faces_of, noise
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pictures import pictures, stack
from skimage.feature import local_binary_pattern

from bench.api import BenchError

LBP = method_class("lbp")


def test_defaults_give_the_papers_5900_values() -> None:
    faces = faces_of(noise(3, 100, 100))
    vectors = LBP().fit(faces, np.random.default_rng(0)).transform(faces)
    assert vectors.shape == (3, 5900)
    assert vectors.dtype == np.float32
    for image, vector in zip(noise(3, 100, 100), vectors, strict=True):
        codes = local_binary_pattern(image, 8, 2, method="nri_uniform").astype(int)
        cells = codes.reshape(10, 10, 10, 10).swapaxes(1, 2).reshape(100, 100)
        counts = np.concatenate([np.bincount(cell, minlength=59) for cell in cells])
        np.testing.assert_array_equal(vector, counts)


@pytest.mark.parametrize("cell", LBP.params["cell"].choices)
def test_every_pixel_counts_once_whatever_the_cell(cell: int) -> None:
    vectors = LBP(cell=cell).transform(faces_of(noise(2, 100, 100)))
    counts = vectors.reshape(2, (100 // cell) ** 2, 59)
    np.testing.assert_array_equal(counts.sum(axis=2), cell**2)


def test_a_cell_that_does_not_fit_is_refused() -> None:
    with pytest.raises(BenchError, match=r"lbp\[cell=7\] is not allowed: cell takes 5 \| 10"):
        LBP(cell=7)


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(BenchError, match=r"toy: images must be grey \(n, 100, 100\)"):
        LBP().transform(faces_of(noise(2, 100, 100)[:, :90, :90]))


# ------------------------------------------------------------------ pixel by pixel


def reference_codes(image: np.ndarray) -> np.ndarray:
    return local_binary_pattern(image, 8, 2, method="nri_uniform")


def codes(image: np.ndarray) -> np.ndarray:
    """The code of each pixel: the one that its own cell of 1 × 1 pixels counts."""
    return lbp_histograms(image[None], 1).reshape(*image.shape, LBP_BINS).argmax(axis=2)


@pytest.mark.parametrize("side", [40, 100])
def test_codes_equal_scikit_image(side: int) -> None:
    for name, image in pictures(side).items():
        image = image.astype(np.uint8)
        np.testing.assert_array_equal(codes(image), reference_codes(image), err_msg=name)


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))))
@settings(max_examples=200, deadline=None)
def test_codes_equal_scikit_image_at_any_size(image: np.ndarray) -> None:
    np.testing.assert_array_equal(codes(image), reference_codes(image))


@pytest.mark.parametrize("value", range(0, 256, 15))
def test_codes_of_flat_images_follow_its_rounding(value: int) -> None:
    image = np.full((100, 100), value, dtype=np.uint8)
    np.testing.assert_array_equal(codes(image), reference_codes(image))


def test_table_has_the_58_uniform_patterns() -> None:
    table = uniform_table()
    circular_changes = [
        sum((p >> i & 1) != (p >> (i + 1) % 8 & 1) for i in range(8)) for p in range(256)
    ]
    uniform = np.array(circular_changes) <= 2
    assert uniform.sum() == 58
    assert sorted(table[uniform]) == list(range(58))
    assert (table[~uniform] == 58).all()


@pytest.mark.parametrize("cell", [5, 10])
def test_histograms_equal_a_slow_count(cell: int) -> None:
    images = stack()[:, :, :30]
    slow = np.zeros((len(images), 40 // cell, 30 // cell, LBP_BINS), dtype=np.float32)
    for i, image in enumerate(images):
        of_pixel = reference_codes(image).astype(int)
        for row in range(40 // cell):
            for column in range(30 // cell):
                part = of_pixel[row * cell :, column * cell :][:cell, :cell]
                for code in range(LBP_BINS):
                    slow[i, row, column, code] = np.sum(part == code)
    np.testing.assert_array_equal(lbp_histograms(images, cell), slow.reshape(len(images), -1))


def test_a_row_does_not_depend_on_its_chunk() -> None:
    images = stack()
    whole = lbp_histograms(images, 10)
    assert whole.dtype == np.float32
    chunks = [lbp_histograms(images[i : i + 4], 10) for i in range(0, len(images), 4)]
    np.testing.assert_array_equal(whole, np.concatenate(chunks))
    assert lbp_histograms(images[:0], 10).shape == (0, whole.shape[1])


def test_any_memory_layout_gives_the_same_and_stays_untouched() -> None:
    images = stack()
    spread = np.zeros((len(images), 80, 41), dtype=np.uint8)
    spread[:, ::2, :40] = images
    frozen = images.copy()
    frozen.flags.writeable = False
    expected = lbp_histograms(images, 10)
    for layout in (frozen, spread[:, ::2, :40], np.asfortranarray(images)):
        np.testing.assert_array_equal(lbp_histograms(layout, 10), expected)
        np.testing.assert_array_equal(layout, images)
    assert images.flags.writeable
