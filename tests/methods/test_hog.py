"""`hog` against scikit-image's blocks and the definition, with the paper's sizes."""

from __future__ import annotations

import numpy as np
import pytest
from bench.methods.hog import hog_blocks
from builtin import method_class
from faces import faces_of, noise
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pictures import pictures, stack
from skimage.feature import hog

from bench.api import BenchError

HOG = method_class("hog")


def test_defaults_give_the_papers_4000_values() -> None:
    faces = faces_of(noise(3, 100, 100))
    vectors = HOG().fit(faces, np.random.default_rng(0)).transform(faces)
    assert vectors.shape == (3, 4000)
    assert vectors.dtype == np.float32


@pytest.mark.parametrize("cell", HOG.params["cell"].choices)
@pytest.mark.parametrize("orientations", [1, 9, 10])
def test_blocks_are_every_second_of_scikit_image(cell: int, orientations: int) -> None:
    vectors = HOG(cell=cell, orientations=orientations).transform(faces_of(noise(2, 100, 100)))
    for image, vector in zip(noise(2, 100, 100), vectors, strict=True):
        blocks = hog(
            image, orientations, (cell, cell), (2, 2), block_norm="L2-Hys", feature_vector=False
        )
        expected = blocks[::2, ::2].ravel().astype(np.float32)
        np.testing.assert_allclose(vector, expected, rtol=2e-7, atol=0)


def test_a_flat_face_has_no_gradients() -> None:
    flat = np.full((1, 100, 100), 80, dtype=np.uint8)
    assert not HOG().transform(faces_of(flat)).any()


def test_a_cell_that_does_not_fit_is_refused() -> None:
    with pytest.raises(BenchError, match=r"hog\[cell=20\] is not allowed: cell takes 5 \| 10"):
        HOG(cell=20)


def test_colour_images_are_refused() -> None:
    colour = np.zeros((1, 100, 100, 3), dtype=np.uint8)
    with pytest.raises(BenchError, match=r"toy: images must be grey \(n, 100, 100\)"):
        HOG().transform(faces_of(colour))


# ------------------------------------------------------------------ block by block


def reference_blocks(image: np.ndarray, cell: int, orientations: int) -> np.ndarray:
    blocks = hog(
        image,
        orientations,
        (cell, cell),
        (2, 2),
        block_norm="L2-Hys",
        feature_vector=False,
    )
    return blocks[::2, ::2].ravel().astype(np.float32)


@pytest.mark.parametrize(
    ("cell", "orientations"), [(5, 10), (10, 9), (4, 8), (2, 4), (1, 18), (10, 162)]
)
def test_blocks_equal_scikit_image(cell: int, orientations: int) -> None:
    """With 162 orientations gradients lie on an edge to the last bit of double precision."""
    ours = hog_blocks(stack(), cell, orientations)
    for name, image, row in zip(pictures(), stack(), ours, strict=True):
        theirs = reference_blocks(image, cell, orientations)
        worst = np.abs(row.view(np.int32) - theirs.view(np.int32)).max()  # both are >= 0
        assert worst <= 1, f"{name}: {worst} units in the last place"


@given(hnp.arrays(np.uint8, st.tuples(st.sampled_from([8, 12]), st.sampled_from([4, 8, 16]))))
@settings(max_examples=100, deadline=None)
def test_blocks_equal_scikit_image_on_any_pixels(image: np.ndarray) -> None:
    np.testing.assert_allclose(
        hog_blocks(image[None], 2, 10)[0], reference_blocks(image, 2, 10), rtol=2e-7, atol=0
    )


def test_blocks_equal_the_definition() -> None:
    """Gradient by gradient and vote by vote, in double precision throughout."""
    image = pictures(20)["random"].astype(np.uint8)
    pixels = image.astype(float)
    cells = np.zeros((4, 4, 10))
    for r in range(20):
        for c in range(20):
            down = pixels[r + 1, c] - pixels[r - 1, c] if 0 < r < 19 else 0.0
            across = pixels[r, c + 1] - pixels[r, c - 1] if 0 < c < 19 else 0.0
            angle = np.degrees(np.arctan2(down, across)) % 180
            cells[r // 5, c // 5, int(angle // 18)] += np.sqrt(down**2 + across**2) / 25
    expected = []
    for row in (0, 2):
        for column in (0, 2):
            block = cells[row : row + 2, column : column + 2].ravel()
            block = np.minimum(block / np.sqrt((block**2).sum() + 1e-10), 0.2)
            expected.append(block / np.sqrt((block**2).sum() + 1e-10))
    np.testing.assert_allclose(hog_blocks(image[None], 5, 10)[0], np.concatenate(expected), 1e-5)


def test_a_row_does_not_depend_on_its_chunk() -> None:
    images = stack()
    whole = hog_blocks(images, 5, 10)
    assert whole.dtype == np.float32
    chunks = [hog_blocks(images[i : i + 4], 5, 10) for i in range(0, len(images), 4)]
    np.testing.assert_array_equal(whole, np.concatenate(chunks))
    assert hog_blocks(images[:0], 5, 10).shape == (0, whole.shape[1])


def test_any_memory_layout_gives_the_same_and_stays_untouched() -> None:
    images = stack()
    spread = np.zeros((len(images), 80, 41), dtype=np.uint8)
    spread[:, ::2, :40] = images
    frozen = images.copy()
    frozen.flags.writeable = False
    expected = hog_blocks(images, 5, 10)
    for layout in (frozen, spread[:, ::2, :40], np.asfortranarray(images)):
        np.testing.assert_array_equal(hog_blocks(layout, 5, 10), expected)
        np.testing.assert_array_equal(layout, images)
    assert images.flags.writeable
