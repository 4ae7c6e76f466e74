"""One class per image from a distribution: the largest share, the first in a tie."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builtin import dataset_class

from bench.api import BenchError, FaceSet
from bench.data.predominant import predominant, tied
from bench.data.protocols import folds
from bench.render import layouts

SHARES = np.array([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0]])


def blends() -> FaceSet:
    return FaceSet(
        "blends",
        "multi",
        ("a", "b", "c"),
        np.array(list("wxyz")),
        SHARES > 0.25,
        images=np.zeros((4, 2, 2), np.uint8),
        distribution=SHARES,
        votes=(10 * SHARES).astype(int),
        split=np.zeros(4, np.int8),
        notes=("before",),
    )


def test_largest_share_and_first_in_a_tie() -> None:
    faces = predominant(blends())
    assert faces.kind == "single"
    assert faces.labels.dtype == bool
    assert faces.labels.argmax(axis=1).tolist() == [1, 0, 1, 0]
    assert faces.labels.sum(axis=1).tolist() == [1, 1, 1, 1]
    assert tied(SHARES).tolist() == [False, True, True, False]
    assert faces.notes[0] == "before"
    assert "2 of 4 rows tie and have the first label" in faces.notes[1]


def test_all_else_stays() -> None:
    faces, before = predominant(blends()), blends()
    for part in ("ids", "images", "distribution", "votes", "split"):
        assert np.array_equal(getattr(faces, part), getattr(before, part))
    assert faces.fingerprint != before.fingerprint


def test_without_distribution_it_is_refused() -> None:
    with pytest.raises(BenchError, match="blends has no label distribution"):
        predominant(replace(blends(), distribution=None))


def test_synthetic_has_both_kinds(tmp_path: Path) -> None:
    Synthetic = dataset_class("synthetic")
    sets = Synthetic(images=40).load()
    dataset = Synthetic(images=40, labels="predominant")
    single = dataset.load()
    assert (sets.kind, single.kind) == ("multi", "single")
    largest = single.distribution.argmax(axis=1)
    assert (single.labels.argmax(axis=1) == largest).all()
    assert sets.labels[np.arange(40), largest].all()  # the rule never leaves the largest out
    ours, theirs = (folds(one, f, "official")[0] for one, f in ((dataset, single), (dataset, sets)))
    assert ours.hash == theirs.hash
    with pytest.raises(BenchError, match="one class per image, and raf-ml holds label sets"):
        layouts.write_raf_ml(single, tmp_path / "out")
