"""Labels mapped by name from one dataset to another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.api import BenchError, FaceSet
from bench.data.mapping import in_columns, onto, shared_labels, unlabelled


def faces(names: str, labels: Any, **more: Any) -> FaceSet:
    labels = np.array(labels, dtype=bool)
    n = len(labels)
    images = np.zeros((n, 4, 4), np.uint8)
    ids = np.array([f"{row}" for row in range(n)])
    kind = more.pop("kind", "multi")
    return FaceSet(
        more.pop("name", "set"), kind, tuple(names.split()), ids, labels, images=images, **more
    )


def test_the_same_labels_in_another_order_come_in_the_order_of_the_source() -> None:
    source = faces("joy anger fear", np.eye(3))
    distribution = np.array([[0.1, 0.2, 0.7], [0.5, 0.5, 0.0]])
    target = faces("Fear Joy anger", [[0, 0, 1], [1, 1, 0]], distribution=distribution)
    found, columns, told = onto(source, target)
    assert found.label_names == ("Joy", "anger", "Fear")
    assert columns == (0, 1, 2)
    assert found.labels.tolist() == [[False, True, False], [True, False, True]]
    assert np.allclose(found.distribution, [[0.2, 0.7, 0.1], [0.5, 0.0, 0.5]])
    assert told == "labels mapped by name: Joy, anger, Fear"


def test_the_same_labels_leave_the_target_as_it_is() -> None:
    target = faces("joy anger", np.eye(2))
    assert onto(faces("joy anger", np.eye(2)), target)[0] is target


def test_labels_of_one_alone_are_told_and_faces_that_show_nothing_else_left_out() -> None:
    source = faces("joy contempt anger", np.eye(3), name="one")
    target = faces(
        "anger calm joy",
        [[1, 0, 0], [0, 1, 0], [0, 1, 1]],
        name="other",
        distribution=np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.0, 0.6, 0.4]]),
        votes=np.ones((3, 3), int),
    )
    found, columns, told = onto(source, target)
    assert found.label_names == ("joy", "anger")
    assert columns == (0, 2)
    assert found.ids.tolist() == ["0", "2"]
    assert found.labels.tolist() == [[False, True], [True, False]]
    assert np.allclose(found.distribution, [[1 / 9, 8 / 9], [1, 0]])
    assert found.votes is None
    assert "contempt (only one)" in told
    assert "calm (only other)" in told
    assert "1 of 3 images of other show nothing else" in told


def test_a_distribution_without_any_share_of_the_labels_is_dropped() -> None:
    target = faces("joy anger calm", [[1, 0, 0]], distribution=np.array([[0.0, 0.0, 1.0]]))
    assert onto(faces("joy anger", np.eye(2)), target)[0].distribution is None


@pytest.mark.parametrize("names", ["calm bored", "joy calm"])
def test_fewer_than_two_labels_in_common_are_refused(names: str) -> None:
    one, other = faces("joy anger", np.eye(2), name="one"), faces(names, np.eye(2), name="other")
    with pytest.raises(BenchError, match=r"one \(joy, anger\) and other .* in common by name"):
        onto(one, other)


def test_pairs_are_columns_of_both() -> None:
    assert shared_labels(faces("a b c", np.eye(3)), faces("C a", np.eye(2))) == [(0, 1), (2, 0)]


def test_back_in_the_columns_of_the_source() -> None:
    target = faces("a c", [[1, 0], [0, 1]], distribution=np.array([[0.75, 0.25], [0.5, 0.5]]))
    found = in_columns(target, ("a", "b", "c"), (0, 2))
    assert found.labels.tolist() == [[True, False, False], [False, False, True]]
    assert found.distribution is not None
    assert found.distribution.tolist() == [[0.75, 0, 0.25], [0.5, 0, 0.5]]


def test_unlabelled_faces_tell_nothing_but_what_is_seen() -> None:
    votes = np.ones((2, 2), int)
    one = faces("a b", np.eye(2), kind="single", distribution=np.eye(2), votes=votes)
    found = unlabelled(one)
    assert found.kind == "multi"
    assert not found.labels.any()
    assert found.distribution is None
    assert found.votes is None
    assert found.images is one.images
