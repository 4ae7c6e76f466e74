"""Copies across the parts of a split, against NumPy's correlation over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from faces import noise
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bench.api import LEFT_OUT, TEST, TRAIN, VALID, BenchError, FaceSet
from bench.data import duplicates
from bench.data.duplicates import (
    correlation,
    groups_of_copies,
    in_order,
    later_copies,
    same_images,
    without_copies,
)

# correlates exactly .5 with HALF_LIKE, straight; less when mirrored
HALF = np.array([[1, 1, 0, 1], [1, 0, 0, 0]], dtype=np.uint8)
HALF_LIKE = np.array([[1, 1, 1, 0], [1, 0, 0, 0]], dtype=np.uint8)


def pearson(first: np.ndarray, second: np.ndarray) -> float:
    if first.min() == first.max() or second.min() == second.max():
        return 0.0
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def by_loops(images: np.ndarray, split: np.ndarray, threshold: float) -> tuple[np.ndarray, float]:
    """The rule over all pairs, and how near any pair comes to the threshold."""
    copies, nearest = np.zeros(len(images), dtype=bool), np.inf
    for i, first in enumerate(images):
        for j, second in enumerate(images):
            if split[i] in (TRAIN, VALID) and split[j] > split[i]:
                r = max(pearson(first, second), pearson(first, second[:, ::-1]))
                copies[i] |= r > threshold
                nearest = min(nearest, abs(r - threshold))
    return copies, nearest


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 12),
    st.sampled_from([(3, 4), (4, 5), (2, 1), (2, 5, 3), (3, 2, 3)]),
    st.integers(2, 256),
    st.sampled_from([0.02, 0.3, 0.6, 0.9]),
)
def test_equals_all_pairs(
    seed: int, n: int, shape: tuple[int, ...], greys: int, threshold: float
) -> None:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, greys, (n, *shape), dtype=np.uint8)
    split = rng.integers(-1, 3, n).astype(np.int8)
    expected, nearest = by_loops(images, split, threshold)
    assume(nearest > 1e-12)
    np.testing.assert_array_equal(later_copies(images, split, threshold), expected)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    images = noise(40, 3, 4)
    split = np.random.default_rng(1).integers(0, 3, 40).astype(np.int8)
    whole = later_copies(images, split, 0.6)
    assert 0 < whole.sum() < 40
    monkeypatch.setattr(duplicates, "_EARLIER_ROWS", 7)
    monkeypatch.setattr(duplicates, "_LATER_ROWS", 3)
    monkeypatch.setattr(duplicates, "_EXACT_PAIRS", 1)
    monkeypatch.setattr(duplicates, "_MARGIN", 0.3)  # hundreds of pairs decided exactly
    np.testing.assert_array_equal(later_copies(images, split, 0.6), whole)


def test_only_a_later_part_counts() -> None:
    photo = noise(1, 8, 8)[0]
    split = np.array([TRAIN, TRAIN, VALID, TEST, LEFT_OUT, TEST], dtype=np.int8)
    images = noise(6, 8, 8, seed=1)
    images[[0, 1]] = photo  # twins within train
    images[[4]] = images[5]  # left out already
    assert not later_copies(images, split).any()
    images[2] = photo[:, ::-1]  # mirrored in valid
    np.testing.assert_array_equal(np.flatnonzero(later_copies(images, split)), [0, 1])
    images[3] = photo // 2  # darker in test: the valid image goes too
    np.testing.assert_array_equal(np.flatnonzero(later_copies(images, split)), [0, 1, 2])


def test_the_threshold_itself_is_no_copy() -> None:
    images = np.stack([HALF, HALF_LIKE])
    split = np.array([TRAIN, TEST], dtype=np.int8)
    assert correlation(images[:1], images[1:]) == [0.5]
    assert not later_copies(images, split, 0.5).any()
    assert later_copies(images, split, np.nextafter(0.5, 0))[0]


@pytest.mark.filterwarnings("error")
def test_constant_images_are_nobodys_copies() -> None:
    images = np.full((4, 5, 5), 77, dtype=np.uint8)
    images[3, 2, 2] = 0
    split = np.array([TRAIN, VALID, TEST, TEST], dtype=np.int8)
    assert not later_copies(images, split, 0.01).any()
    assert correlation(images[:1], images[1:2]) == [0]


def test_a_nearly_constant_image_is_compared() -> None:
    images = np.full((2, 48, 48), 255, dtype=np.uint8)
    images[:, 7, 9] = 254
    assert later_copies(images, np.array([TRAIN, TEST], dtype=np.int8))[0]


@pytest.mark.parametrize("threshold", [0.0, 1.1, float("nan")])
def test_threshold_out_of_range(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        later_copies(noise(2, 4, 4), np.zeros(2, dtype=np.int8), threshold)


def test_without_copies_leaves_rows_out_and_needs_images() -> None:
    images = noise(3, 6, 6)
    images[0] = images[2]
    split = np.array([TRAIN, VALID, TEST], dtype=np.int8)
    labels = np.ones((3, 1), dtype=bool)
    ids = np.array(["a", "b", "c"])
    faces = FaceSet("toy", "multi", ("joy",), ids, labels, images=images)
    result = without_copies(faces, split)
    np.testing.assert_array_equal(result, [LEFT_OUT, VALID, TEST])
    assert result.dtype == np.int8
    vectors = FaceSet("toy", "multi", ("joy",), ids, labels, features=np.zeros((3, 2)))
    with pytest.raises(BenchError, match="toy has no images"):
        without_copies(vectors, split)


def test_the_same_pixels_are_found_whatever_the_row() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 5), dtype=np.uint8)
    others = np.stack([images[4], images[1], images[2]])
    others[2, 0, 0] ^= 1  # one pixel differs by one
    assert same_images(images, others).tolist() == [False, True, False, False, True, False]
    assert not same_images(images, others[:, :, :4]).any()
    assert not same_images(images, others[:0]).any()
    # The same bytes in other places are another image; one grey value is nobody's copy.
    assert not same_images(images, others.transpose(0, 2, 1).reshape(3, 4, 5)).any()
    even = np.full((2, 4, 5), 7, dtype=np.uint8)
    assert not same_images(even, even).any()
    rgb = np.random.default_rng(1).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)
    assert same_images(rgb, rgb[[2, 0]]).tolist() == [True, False, True]


def groups_by_loops(images: np.ndarray, threshold: float) -> list[int]:
    """Numbers of the groups, pairs joined until nothing changes."""
    groups = list(range(len(images)))
    for i, first in enumerate(images):
        for j, second in enumerate(images[:i]):
            r = max(pearson(first, second), pearson(first, second[:, ::-1]))
            if r > threshold:
                groups = [groups[j] if g == groups[i] else g for g in groups]
    return [list(dict.fromkeys(groups)).index(g) for g in groups]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 12),
    st.sampled_from([(3, 4), (2, 1), (2, 5, 3)]),
    st.sampled_from([0.3, 0.6, 0.9]),
)
def test_groups_are_those_of_all_pairs(
    seed: int, n: int, shape: tuple[int, ...], threshold: float
) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)
    _, nearest = by_loops(images, np.arange(n) % 2, threshold)
    assume(nearest > 1e-12)
    assert groups_of_copies(images, threshold).tolist() == groups_by_loops(images, threshold)


def test_a_copy_of_a_copy_is_in_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three = noise(3, 8, 8).astype(int)
    # the middle one is like both others, which are not like each other
    images = np.stack([2 * one + two, two, two[:, ::-1], one, three]).clip(0, 255).astype(np.uint8)
    assert groups_of_copies(images, 0.4).tolist() == groups_by_loops(images, 0.4)
    whole = groups_of_copies(noise(40, 3, 4), 0.5)
    monkeypatch.setattr(duplicates, "_EARLIER_ROWS", 7)
    monkeypatch.setattr(duplicates, "_EXACT_PAIRS", 3)
    np.testing.assert_array_equal(groups_of_copies(noise(40, 3, 4), 0.5), whole)
    assert len(np.unique(whole)) < 40


def test_the_threshold_itself_is_no_copy_in_a_group() -> None:
    images = np.stack([HALF, HALF_LIKE])
    assert groups_of_copies(images, 0.5).tolist() == [0, 1]
    assert groups_of_copies(images, np.nextafter(0.5, 0)).tolist() == [0, 0]
    grey = np.full((3, 4, 4), 7, dtype=np.uint8)
    assert groups_of_copies(grey, 0.5).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="threshold"):
        groups_of_copies(images, 0)


def test_groups_are_numbered_as_they_come() -> None:
    assert in_order(np.array(["b", "a", "b", "c"])).tolist() == [0, 1, 0, 2]
