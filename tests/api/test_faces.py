"""FaceSet: what it refuses, which rows it takes, and what its fingerprint depends on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import TEST, TRAIN, BenchError, FaceSet


def faces(**fields: Any) -> FaceSet:
    """Four faces with everything that a dataset may give."""
    rng = np.random.default_rng(0)
    whole: dict[str, Any] = {
        "name": "toy",
        "kind": "multi",
        "label_names": ("joy", "fear"),
        "ids": np.array(["a", "b", "c", "d"]),
        "labels": np.array([[1, 0], [0, 1], [1, 1], [0, 0]], bool),
        "images": rng.integers(0, 256, (4, 3, 3), dtype=np.uint8),
        "distribution": np.full((4, 2), 0.5),
        "landmarks": rng.random((4, 5, 2)),
        "landmarks_found": np.array([True, True, False, True]),
        "subject": np.array(["s", "s", "t", "t"]),
        "votes": rng.integers(0, 9, (4, 3)),
        "split": np.array([TRAIN, TRAIN, TEST, TEST], np.int8),
        "notes": ("four faces",),
    }
    return FaceSet(**{**whole, **fields})


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"images": None}, "toy: a FaceSet holds either images or features"),
        ({"features": np.zeros((4, 2))}, "toy: a FaceSet holds either images or features"),
        ({"votes": np.zeros((3, 2), int)}, "toy: 3 rows of votes for 4 ids"),
        ({"landmarks_found": np.ones(5, bool)}, "toy: 5 rows of landmarks_found for 4 ids"),
        ({"labels": np.ones((4, 2))}, r"toy: labels must be bool \(4, 2\), not float64 \(4, 2\)"),
        ({"label_names": ("joy",)}, r"toy: labels must be bool \(4, 1\), not bool \(4, 2\)"),
        ({"images": np.zeros((4, 3, 3))}, r"images must be uint8 .*, not float64 \(4, 3, 3\)"),
        ({"images": np.zeros((4, 3, 3, 4), np.uint8)}, r"images must be .* \(4, 3, 3, 4\)"),
        ({"images": np.zeros((4, 9), np.uint8)}, r"images must be uint8 .*, not uint8 \(4, 9\)"),
        ({"kind": "people"}, "toy: people have no labels, and a subject for each row"),
        ({"kind": "single"}, "toy: a single-label row has not exactly one class"),
    ],
)
def test_what_does_not_fit_together_is_one_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BenchError, match=sentence):
        faces(**fields)


@pytest.mark.parametrize("rows", [np.array([2, 0]), slice(1, 3), np.array([], int)])
def test_rows_are_taken_from_every_array(rows: np.ndarray | slice) -> None:
    whole = faces()
    part = whole.take(rows)
    assert len(part) == len(whole.ids[rows])
    for name in ("ids", "images", "labels", "distribution", "landmarks", "landmarks_found"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[rows])
    for name in ("subject", "votes", "split"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[rows])
    assert (part.features, part.notes) == (None, whole.notes)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "single", "labels": np.eye(2, dtype=bool)[[0, 1, 0, 1]]},
        {"label_names": ("joy", "anger")},
        {"synthetic": True},
        {"ids": np.array(["a", "b", "c", "e"])},
        {"images": np.zeros((4, 3, 3), np.uint8)},
        {"labels": np.zeros((4, 2), bool)},
        {"distribution": None},
        {"landmarks": np.zeros((4, 5, 2))},
        {"subject": np.array(["s", "s", "t", "u"])},
        {"votes": np.zeros((4, 3), int)},
        {"split": np.zeros(4, np.int8)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_all_that_can_change_a_result_changes_the_fingerprint(changes: dict[str, Any]) -> None:
    assert faces(**changes).fingerprint != faces().fingerprint


def test_names_notes_and_how_landmarks_came_do_not_change_the_fingerprint() -> None:
    whole = faces()
    others = (replace(whole, name="other"), whole.noted("nothing"), faces(landmarks_found=None))
    assert {other.fingerprint for other in others} == {whole.fingerprint}
    assert whole.noted("nothing").notes == ("nothing",)


def test_a_given_fingerprint_is_trusted_and_lost_with_the_content() -> None:
    trusted = faces().identified("0" * 64)
    assert trusted.fingerprint == trusted.noted("nothing").fingerprint == "0" * 64
    assert trusted.take(slice(0, 4)).fingerprint == faces().fingerprint


def test_a_mapped_file_has_the_fingerprint_of_its_content(tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 256, (4, 700, 700), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)  # more than one block of the hash
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert faces(images=mapped).fingerprint == faces(images=images).fingerprint
    part = faces(images=mapped).take(slice(1, 3))
    assert part.fingerprint == faces(images=images).take(slice(1, 3)).fingerprint
    assert np.array_equal(part.images, images[1:3])
