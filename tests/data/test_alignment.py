"""Alignment: exact by construction, and against scikit-image and Pillow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import transform as skimage_transform

from bench.api import InputError
from bench.data.alignment import TARGET, align, transform_to_template

ON_TEMPLATE = np.array([[20, 30], [80, 30], [50, 52], [30, 75], [70, 75]], dtype=float)


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:, :2].T + matrix[:, 2]


def face(seed: int) -> np.ndarray:
    """Landmarks of some face: turned, scaled and shifted, then each point moved a little."""
    rng = np.random.default_rng(seed)
    angle, scale = rng.uniform(-0.7, 0.7), rng.uniform(0.2, 5)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (ON_TEMPLATE + rng.normal(0, 4, (5, 2))) @ turn.T * scale + rng.uniform(0, 300, 2)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.sampled_from([48, 100, 224]))
def test_affine_moves_the_three_points_exactly(seed: int, size: int) -> None:
    landmarks = face(seed)
    matrix = transform_to_template(landmarks, size)
    three = np.stack([landmarks[0], landmarks[1], (landmarks[3] + landmarks[4]) / 2])
    np.testing.assert_allclose(apply(matrix, three), TARGET * size / 100, atol=1e-8)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.sampled_from([48, 100, 224]))
def test_similarity_is_umeyamas(seed: int, size: int) -> None:
    landmarks = face(seed)
    three = np.stack([landmarks[0], landmarks[1], (landmarks[3] + landmarks[4]) / 2])
    expected = umeyama(three, TARGET * size / 100)
    np.testing.assert_allclose(transform_to_template(landmarks, size, "similarity"), expected)


def umeyama(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """S. Umeyama, IEEE TPAMI 13 (1991) 376–380, Eqs. 40–43, by singular values."""
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    u, d, vt = np.linalg.svd(b.T @ a / 3)
    sign = np.diag([1, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    turn = u @ sign @ vt
    scale = np.trace(np.diag(d) @ sign) / (a**2).sum(axis=1).mean()
    shift = target.mean(axis=0) - scale * turn @ source.mean(axis=0)
    return np.column_stack([scale * turn, shift])


def test_many_faces_at_once_equal_each_alone() -> None:
    faces = np.stack([face(seed) for seed in range(7)])
    for kind in ("affine", "similarity"):
        together = transform_to_template(faces, 60, kind)
        assert together.shape == (7, 2, 3)
        alone = np.stack([transform_to_template(one, 60, kind) for one in faces])
        np.testing.assert_allclose(together, alone)


def test_a_similarity_keeps_proportions_where_an_affine_stretches() -> None:
    wide = ON_TEMPLATE * [2, 1]
    np.testing.assert_allclose(transform_to_template(wide)[:, :2], [[0.5, 0], [0, 1]], atol=1e-12)
    (a, b), (c, d) = transform_to_template(wide, kind="similarity")[:, :2]
    assert a == pytest.approx(d)
    assert b == pytest.approx(-c)


@pytest.mark.parametrize("kind", ["affine", "similarity"])
@pytest.mark.parametrize("shape", [(100, 100), (100, 100, 3)])
def test_a_face_on_the_template_stays_as_it_is(kind: str, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(align(image, ON_TEMPLATE, 100, kind), image)


def test_shifted_by_whole_pixels_it_is_a_cut_with_black_outside() -> None:
    image = np.random.default_rng(0).integers(1, 256, (130, 150), dtype=np.uint8)
    aligned = align(image, ON_TEMPLATE + np.array([60, -10]), 100)
    expected = np.zeros((100, 100), np.uint8)
    expected[10:, :90] = image[:90, 60:]
    assert np.array_equal(aligned, expected)


@pytest.mark.parametrize("shrink", [2, 3, 7])
def test_shrinking_averages_as_pillow_does(shrink: int) -> None:
    shape = (100 * shrink, 100 * shrink, 3)
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    expected = Image.fromarray(image).resize((100, 100), Image.Resampling.BILINEAR)
    assert np.array_equal(align(image, ON_TEMPLATE * shrink), np.asarray(expected))


@pytest.mark.parametrize("kind", ["affine", "similarity"])
@pytest.mark.parametrize("seed", range(4))
def test_each_pixel_comes_from_where_the_matrix_says(kind: str, seed: int) -> None:
    """A smooth picture, moved by scikit-image in float64 without any shrinking first."""
    rows, columns = np.mgrid[:300, :400] + 0.5
    smooth = 127 + 60 * np.sin(columns / 55) + 60 * np.cos(rows / 47)
    landmarks = (face(seed) - face(seed).mean(axis=0)) / np.ptp(face(seed)) * 120 + [200, 150]
    # scikit-image counts from pixel centres.
    to_corner, to_centre = np.eye(3), np.eye(3)
    to_corner[:2, 2], to_centre[:2, 2] = 0.5, -0.5
    moved = np.vstack([transform_to_template(landmarks, 100, kind), [0, 0, 1]])
    inverse = to_centre @ np.linalg.inv(moved) @ to_corner
    expected = skimage_transform.warp(smooth, inverse, output_shape=(100, 100), order=1)
    aligned = align(np.round(smooth).astype(np.uint8), landmarks, 100, kind)
    difference = np.abs(aligned - expected)[2:-2, 2:-2]
    inside = expected[2:-2, 2:-2] > 0
    assert inside.mean() > 0.9
    assert difference[inside].max() < 2


@pytest.mark.parametrize("kind", ["affine", "similarity"])
@pytest.mark.parametrize(
    "flat",
    [
        np.zeros((5, 2)),
        np.array([[0, 0], [10, 0], [5, 0], [4, 0], [6, 0]]),
        np.full((5, 2), np.nan),
        ON_TEMPLATE * [1, np.inf],
    ],
)
def test_landmarks_that_no_face_has_are_refused(kind: str, flat: np.ndarray) -> None:
    with pytest.raises(InputError, match="cannot be aligned"):
        transform_to_template(flat, kind=kind)
    with pytest.raises(InputError, match="cannot be aligned"):
        transform_to_template(np.stack([ON_TEMPLATE, flat]), kind=kind)


def test_wrong_kind_and_wrong_shape_are_refused() -> None:
    with pytest.raises(InputError, match="affine and similarity"):
        transform_to_template(ON_TEMPLATE, kind="projective")
    with pytest.raises(InputError, match=r"\(5, 2\)"):
        transform_to_template(np.zeros((68, 2)))
