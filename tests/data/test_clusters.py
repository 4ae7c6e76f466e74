"""Test images that hang together: by subject, by photograph, by both."""

from __future__ import annotations

import numpy as np
import pytest
from faces import noise

from bench.api import FaceSet
from bench.data.clusters import clusters_of
from bench.data.protocols import Fold


def faces(images: np.ndarray, subject: list[str] | None = None) -> FaceSet:
    n = len(images)
    return FaceSet(
        name="toy",
        kind="multi",
        label_names=("a",),
        ids=np.array([f"{i}" for i in range(n)]),
        labels=np.ones((n, 1), dtype=bool),
        images=images,
        subject=None if subject is None else np.array(subject),
    )


def fold(train: list[int], test: list[int]) -> Fold:
    rows = (np.array(part, dtype=np.int64) for part in (train, [], test))
    return Fold("fold1", *rows)


def twice(n: int, *pairs: tuple[int, int]) -> np.ndarray:
    """Images of noise, the second of each pair like the first."""
    images = noise(n, 9, 9)
    for first, second in pairs:
        images[second] = images[first]
    return images


def test_images_for_themselves_are_no_clusters() -> None:
    part = fold([0], [1, 2, 3])
    assert clusters_of(faces(noise(4, 9, 9)), part, 0.9, one_of_many=False) is None
    assert clusters_of(faces(twice(4, (1, 3))), part, None, one_of_many=False) is None
    alone = faces(noise(4, 9, 9), ["a", "b", "c", "d"])
    assert clusters_of(alone, part, None, one_of_many=True) is None


def test_copies_of_a_photograph_are_one_cluster() -> None:
    found = clusters_of(faces(twice(6, (1, 4))), fold([0], [1, 2, 4, 5]), 0.9, one_of_many=True)
    assert found is not None
    assert found.of_rows.tolist() == [0, 1, 0, 2]
    assert (found.count, found.kind, found.shared) == (3, "photographs", False)


def test_images_of_a_subject_are_one_cluster() -> None:
    people = faces(noise(6, 9, 9), ["x", "b", "a", "b", "c", "a"])
    found = clusters_of(people, fold([0], [1, 2, 3, 4, 5]), None, one_of_many=True)
    assert found is not None
    assert found.of_rows.tolist() == [0, 1, 0, 2, 1]
    assert (found.count, found.kind, found.shared) == (3, "subjects", False)


def test_a_photograph_of_two_names_joins_them() -> None:
    people = faces(twice(5, (1, 4)), ["x", "a", "a", "b", "c"])
    found = clusters_of(people, fold([0], [1, 2, 3, 4]), 0.9, one_of_many=False)
    assert found is not None
    assert found.of_rows.tolist() == [0, 0, 1, 0]
    assert (found.count, found.kind) == (2, "subjects and photographs")


@pytest.mark.parametrize("one_of_many", [True, False])
def test_folds_that_share_subjects_draw_those_of_the_dataset(one_of_many: bool) -> None:
    people = faces(noise(6, 9, 9), ["a", "b", "a", "c", "c", "b"])
    found = clusters_of(people, fold([0, 1], [2, 3, 4, 5]), None, one_of_many)
    assert found is not None
    assert found.shared == one_of_many
    assert found.of_rows.tolist() == ([0, 2, 2, 1] if one_of_many else [0, 1, 1, 2])
    assert found.count == 3
