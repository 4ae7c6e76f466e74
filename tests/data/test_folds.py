"""Folds of label sets: every label has its share in each; repetitions are drawn anew."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bench.api import BenchError, Dataset, FaceSet
from bench.data.folds import Rows, drawn
from bench.data.protocols import folds, inner_folds, stratified


class Bare(Dataset):
    """A data set without a split."""

    name = "bare"
    protocols = ()


class Own(Dataset):
    """A data set with a protocol that is named as general ones are."""

    name = "own"
    protocols = ("cv3",)

    def split(self, faces: FaceSet, protocol: str) -> np.ndarray:
        return np.arange(len(faces)) % 2


def faces(labels: np.ndarray, kind: str = "multi") -> FaceSet:
    n, count = labels.shape
    names = tuple(f"l{i}" for i in range(count))
    ids = np.array([str(row) for row in range(n)])
    return FaceSet("noise", kind, names, ids, labels, features=np.zeros((n, 2)))


def rare(n: int = 213, shares: tuple[float, ...] = (0.03, 0.1, 0.5, 0.7)) -> np.ndarray:
    return np.random.default_rng(0).random((n, len(shares))) < shares


def positives(data: FaceSet, protocol: str) -> np.ndarray:
    """How many rows of each label each fold tests, (folds, L)."""
    return np.array([data.labels[fold.test].sum(axis=0) for fold in folds(Bare(), data, protocol)])


def test_each_fold_has_its_share_of_every_label() -> None:
    labels = rare()
    counts = positives(faces(labels), "cv10")
    expected = labels.sum(axis=0) / 10
    assert (np.abs(counts - expected) < 2).all()
    # Drawn without regard to the labels, a rare one is missing in some folds.
    by_chance = drawn(Rows("noise", len(labels), None), 10)
    chance = np.array([labels[by_chance == fold].sum(axis=0) for fold in range(10)])
    assert np.abs(chance - expected).max() > 3
    assert (counts[:, 0] > 0).sum() > (chance[:, 0] > 0).sum()


@settings(deadline=None, max_examples=60)
@given(st.data(), st.integers(2, 40), st.integers(1, 4))
def test_folds_of_label_sets_part_the_rows_evenly(data: st.DataObject, n: int, count: int) -> None:
    labels = data.draw(arrays.arrays(bool, (n, count)))
    parts = data.draw(st.integers(2, n))
    made = folds(Bare(), faces(labels), f"cv{parts}")
    tested = np.concatenate([fold.test for fold in made])
    assert sorted(tested) == list(range(n))
    sizes = [len(fold.test) for fold in made]
    assert max(sizes) - min(sizes) <= 1
    for fold in made:
        assert sorted([*fold.train, *fold.test]) == list(range(n))


def test_the_folds_are_fixed() -> None:
    labels = np.arange(213)[:, None] % [31, 10, 2] == 0
    first, again = (folds(Bare(), faces(labels), "cv5") for _ in range(2))
    assert [fold.hash for fold in first] == [fold.hash for fold in again]
    assert first[0].hash[:12] == "ad033fa3f91c"


def test_repeated_folds_are_drawn_anew() -> None:
    for kind, labels in (("multi", rare(60)), ("single", np.eye(3, dtype=bool)[np.arange(60) % 3])):
        data = faces(labels, kind)
        made = folds(Bare(), data, "cv3x4")
        assert [fold.name for fold in made[:5]] == [
            *(f"repeat1-fold{i}" for i in range(1, 5)),
            "repeat2-fold1",
        ]
        assert len(made) == 12
        for start in (0, 4, 8):
            tested = [fold.test for fold in made[start : start + 4]]
            assert sorted(np.concatenate(tested)) == list(range(60))
        others = [fold for name in ("cv4", "cv2x4", "cv4x3") for fold in folds(Bare(), data, name)]
        hashes = {fold.hash for fold in (*made, *others)}
        assert len(hashes) == 12 + 4 + 8 + 12  # no cell of one protocol is that of another


def test_repeated_folds_of_label_sets_are_stratified_too() -> None:
    labels = rare()
    counts = positives(faces(labels), "cv3x10")
    assert (np.abs(counts - labels.sum(axis=0) / 10) < 2).all()


def test_inner_folds_are_stratified_by_the_training_rows() -> None:
    data = faces(rare())
    (outer,) = folds(Bare(), data, "holdout-70-0-30")
    counts = np.array(
        [data.labels[fold.test].sum(axis=0) for fold in inner_folds(data, outer, "cv5")]
    )
    assert (np.abs(counts - data.labels[outer.train].sum(axis=0) / 5) < 2).all()


@pytest.mark.parametrize(
    ("dataset", "protocol", "kind", "expected"),
    [
        (Bare(), "cv3", "multi", True),
        (Bare(), "cv3x2", "multi", True),
        (Bare(), "cv3", "single", False),
        (Bare(), "cv3-subject", "multi", False),
        (Bare(), "cv3-blocks", "multi", False),
        (Bare(), "holdout-60-20-20", "multi", False),
        (Own(), "cv3", "multi", False),
    ],
)
def test_which_folds_are_stratified(
    dataset: Dataset, protocol: str, kind: str, expected: bool
) -> None:
    assert stratified(dataset, protocol, kind) == expected


def test_what_cannot_be_drawn_is_one_sentence() -> None:
    data = faces(rare(9))
    with pytest.raises(BenchError, match="cv2x1: cross-validation needs at least 2 folds"):
        folds(Bare(), data, "cv2x1")
    with pytest.raises(BenchError, match="cv10 needs at least 10 rows, and noise has 9"):
        folds(Bare(), data, "cv2x10")
    for protocol in ("cv0x5", "cv5x5-subject", "cvx5"):
        with pytest.raises(BenchError, match="has no protocol"):
            folds(Bare(), data, protocol)
