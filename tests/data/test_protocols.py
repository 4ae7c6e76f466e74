"""Protocols: folds are disjoint, complete, fixed, and say what a reader should know."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.api import LEFT_OUT, TEST, TRAIN, VALID, BenchError, Dataset, FaceSet
from bench.data.protocols import (
    Fold,
    default_protocol,
    folds,
    inner_folds,
    inner_protocol,
    twins,
)


class Official(Dataset):
    """A data set with its own split."""

    name = "with-split"


class Bare(Dataset):
    """A data set without one."""

    name = "bare"
    protocols = ()


def faces(
    n: int, subject: list[str] | None = None, split: list[int] | None = None, images: bool = True
) -> FaceSet:
    rng = np.random.default_rng(n)
    return FaceSet(
        name="noise",
        kind="multi",
        label_names=("a",),
        ids=np.array([str(row) for row in range(n)], dtype=str),
        labels=np.ones((n, 1), bool),
        images=rng.integers(0, 256, (n, 3, 3), dtype=np.uint8) if images else None,
        features=None if images else np.zeros((n, 2)),
        subject=None if subject is None else np.array(subject),
        split=None if split is None else np.array(split, np.int8),
    )


def assert_partition(fold: Fold, n: int) -> None:
    for part in (fold.train, fold.valid, fold.test):
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()
    rows = np.concatenate([fold.train, fold.valid, fold.test])
    assert sorted(rows) == list(range(n))


@settings(deadline=None)
@given(n=st.integers(2, 80), count=st.integers(2, 12))
def test_cross_validation_tests_every_row_once(n: int, count: int) -> None:
    if count > n:
        with pytest.raises(BenchError, match=rf"cv{count} needs at least {count} rows"):
            folds(Bare(), faces(n), f"cv{count}")
        return
    made = folds(Bare(), faces(n), f"cv{count}")
    assert [fold.name for fold in made] == [f"fold{k}" for k in range(1, count + 1)]
    for fold in made:
        assert_partition(fold, n)
    assert sorted(np.concatenate([fold.test for fold in made])) == list(range(n))
    sizes = [len(fold.test) for fold in made]
    assert max(sizes) - min(sizes) <= 1


def test_folds_are_shuffled_and_never_change() -> None:
    first = folds(Bare(), faces(20), "cv5")[0]
    # Written down once: other rows here would change every number measured on them.
    assert first.test.tolist() == [5, 9, 11, 18]
    assert first.hash == folds(Bare(), faces(20), "cv5")[0].hash
    holdout = folds(Bare(), faces(20), "holdout-60-20-20")[0]
    assert holdout.test.tolist() == [3, 6, 7, 12]


@settings(deadline=None)
@given(
    subjects=st.lists(st.sampled_from("ABCDEFGH"), min_size=2, max_size=60),
    count=st.integers(2, 9),
)
def test_subjects_stay_together(subjects: list[str], count: int) -> None:
    data, known = faces(len(subjects), subjects), len(set(subjects))
    if count > known:
        with pytest.raises(BenchError, match=f"at least {count} subjects, and noise has {known}"):
            folds(Bare(), data, f"cv{count}-subject")
        return
    made = folds(Bare(), data, f"cv{count}-subject")
    assert len(made) == count
    largest = max(map(subjects.count, set(subjects)))
    for fold in made:
        assert_partition(fold, len(subjects))
        assert not {subjects[row] for row in fold.train} & {subjects[row] for row in fold.test}
        assert fold.note == ""
    assert sorted(np.concatenate([fold.test for fold in made])) == list(range(len(subjects)))
    sizes = [len(fold.test) for fold in made]
    assert max(sizes) - min(sizes) <= largest


@settings(deadline=None)
@given(n=st.integers(2, 80), count=st.integers(2, 12))
def test_blocks_are_consecutive_rows_in_order(n: int, count: int) -> None:
    if count > n:
        with pytest.raises(BenchError, match=rf"cv{count} needs at least {count} rows"):
            folds(Bare(), faces(n), f"cv{count}-blocks")
        return
    made = folds(Bare(), faces(n), f"cv{count}-blocks")
    for fold in made:
        assert_partition(fold, n)
        assert (np.diff(fold.test) == 1).all()
    assert np.concatenate([fold.test for fold in made]).tolist() == list(range(n))
    sizes = [len(fold.test) for fold in made]
    assert max(sizes) - min(sizes) <= 1


def test_blocks_by_hand_and_their_note() -> None:
    made = folds(Bare(), faces(7, list("AABBBCC")), "cv3-blocks")
    assert [fold.test.tolist() for fold in made] == [[0, 1, 2], [3, 4], [5, 6]]
    assert [fold.note.partition(";")[0] for fold in made] == [
        "1 of the 2 subjects in test are in train too",
        "1 of the 1 subjects in test are in train too",
        "",
    ]
    (outer, *_) = folds(Bare(), faces(9), "cv3-blocks")
    inner = inner_folds(faces(9), outer, "cv2-blocks")
    assert [fold.test.tolist() for fold in inner] == [[3, 4, 5], [6, 7, 8]]


def test_subjects_are_balanced_by_rows() -> None:
    made = folds(Bare(), faces(12, list("AAAAABBBCCCD")), "cv2-subject")
    assert [len(fold.test) for fold in made] == [6, 6]


def test_subjects_unknown() -> None:
    with pytest.raises(BenchError, match=r"does not say who is in its images.*--protocol cv5"):
        folds(Bare(), faces(9), "cv5-subject")


def test_a_note_where_a_subject_is_on_both_sides() -> None:
    (*_, last) = folds(Bare(), faces(20, ["A", "B"] * 10), "cv5")
    assert last.note.startswith("2 of the 2 subjects in test are in train too")
    assert folds(Bare(), faces(20, [str(row) for row in range(20)]), "cv5")[0].note == ""
    assert folds(Bare(), faces(20), "cv5")[0].note == ""


@settings(deadline=None)
@given(n=st.integers(1, 200), train=st.integers(0, 100), valid=st.integers(0, 100))
def test_holdout_shares(n: int, train: int, valid: int) -> None:
    test = 100 - train - valid
    protocol = f"holdout-{train}-{valid}-{test}"
    if test < 0:
        with pytest.raises(BenchError, match="has no protocol"):
            folds(Bare(), faces(n), protocol)
        return
    try:
        (fold,) = folds(Bare(), faces(n), protocol)
    except BenchError as error:
        assert protocol in str(error)  # noqa: PT017
        assert not train or not test or n * min(train, test) < 100
        return
    assert_partition(fold, n)
    assert fold.name == protocol
    for part, share in ((fold.train, train), (fold.valid, valid), (fold.test, test)):
        assert abs(len(part) - n * share / 100) <= 1


@pytest.mark.parametrize("protocol", ["holdout-60-20-30", "holdout-0-50-50", "holdout-80-20-0"])
def test_holdout_shares_that_make_no_sense(protocol: str) -> None:
    with pytest.raises(BenchError, match="must sum to 100"):
        folds(Bare(), faces(50), protocol)


def test_the_official_split_leaves_rows_out() -> None:
    data = faces(6, split=[TEST, TRAIN, LEFT_OUT, VALID, TRAIN, TEST])
    (fold,) = folds(Official(), data, "official")
    assert fold.name == "official"
    assert fold.train.tolist() == [1, 4]
    assert fold.valid.tolist() == [3]
    assert fold.test.tolist() == [0, 5]
    # A general protocol makes its own parts and uses every row.
    assert sum(len(fold.test) for fold in folds(Official(), data, "cv3")) == 6


@pytest.mark.parametrize(("split", "missing"), [([TRAIN] * 3, "test"), ([TEST] * 3, "train")])
def test_an_empty_part(split: list[int], missing: str) -> None:
    with pytest.raises(BenchError, match=f"without any {missing} rows"):
        folds(Official(), faces(3, split=split), "official")


def test_a_split_of_the_wrong_shape_or_value() -> None:
    class Wrong(Official):
        def split(self, faces: FaceSet, protocol: str) -> np.ndarray:
            return self.given

        given = np.zeros(2)

    for given_split in (np.zeros(2), np.array([0, 2, 7])):
        wrong = Wrong()
        wrong.given = given_split
        with pytest.raises(BenchError, match="correct the dataset plug-in"):
            folds(wrong, faces(3), "official")


@pytest.mark.parametrize(
    "protocol", ["cv", "cv05", "cv-5", "CV5", "holdout-60-40", "", "cv5-subj", "cv5-block"]
)
def test_unknown_protocols(protocol: str) -> None:
    with pytest.raises(
        BenchError, match=r"with-split has no protocol .*its own: official"
    ) as error:
        folds(Official(), faces(9), protocol)
    assert "cvK-subject" in str(error.value)


def test_near_names_are_offered() -> None:
    with pytest.raises(BenchError, match="did you mean official"):
        folds(Official(), faces(9), "oficial")
    with pytest.raises(BenchError, match="did you mean cv5-subject"):
        folds(Bare(), faces(9), "cv5-subjects")
    with pytest.raises(BenchError, match="did you mean cv5-blocks"):
        folds(Bare(), faces(9), "cv5-block")
    with pytest.raises(BenchError, match="its own: none"):
        folds(Bare(), faces(9), "official")


def test_one_fold_is_no_cross_validation() -> None:
    with pytest.raises(BenchError, match="at least 2 folds"):
        folds(Bare(), faces(9), "cv1")


@settings(deadline=None)
@given(n=st.integers(20, 60), count=st.integers(2, 5))
def test_inner_folds_part_the_training_rows(n: int, count: int) -> None:
    data = faces(n)
    outer = folds(Bare(), data, "holdout-50-20-30")[0]
    made = inner_folds(data, outer, f"cv{count}")
    # those of a dataset that holds the training rows alone
    alone = folds(Bare(), data.take(outer.train), f"cv{count}")
    for fold, same in zip(made, alone, strict=True):
        assert np.array_equal(fold.train, outer.train[same.train])
        assert np.array_equal(fold.test, outer.train[same.test])
        assert not len(fold.valid)


def test_inner_folds_keep_subjects_together() -> None:
    data = faces(30, [f"s{row % 10}" for row in range(30)])
    outer = folds(Bare(), data, "cv2-subject")[0]
    made = inner_folds(data, outer, "cv3-subject")
    assert sorted(np.concatenate([fold.test for fold in made])) == list(outer.train)
    assert data.subject is not None
    for fold in made:
        assert not set(data.subject[fold.train]) & set(data.subject[fold.test])
    with pytest.raises(BenchError, match="cv9-subject needs at least 9 subjects, and the training"):
        inner_folds(data, outer, "cv9-subject")


@pytest.mark.parametrize(
    ("outer", "subjects", "inner"),
    [
        ("official", 10, "cv5"),
        ("cv10", 10, "cv5"),
        ("holdout-60-20-20", 10, "cv5"),
        ("cv3-blocks", 10, "cv5-blocks"),
        ("cv2-subject", 10, "cv5-subject"),
        ("cv2-subject", 7, "cv3-subject"),  # three subjects are left to train on in one of two
        ("cv5-subject", 5, "cv4-subject"),
    ],
)
def test_inner_folds_follow_the_outer_ones(outer: str, subjects: int, inner: str) -> None:
    names = [f"s{row % subjects}" for row in range(70)]
    data = faces(70, names, split=[TRAIN, TEST] * 35)
    parts = folds(Official(), data, outer)
    assert inner_protocol(outer, data, parts) == inner
    for fold in parts:
        for part in inner_folds(data, fold, inner):
            apart = not set(data.subject[part.train]) & set(data.subject[part.test])
            assert apart == inner.endswith("-subject")


def test_an_inner_holdout_has_two_shares() -> None:
    outer = folds(Bare(), faces(40), "holdout-50-0-50")[0]
    (fold,) = inner_folds(faces(40), outer, "holdout-75-25")
    assert (len(fold.train), len(fold.valid), len(fold.test)) == (15, 0, 5)
    assert fold.name == "holdout-50-0-50 inner holdout-75-25"
    for wrong in ("holdout-75-30", "holdout-60-20-20", "official", "cv0"):
        with pytest.raises(BenchError, match=wrong):
            inner_folds(faces(40), outer, wrong)
    with pytest.raises(BenchError, match="an empty part"):
        inner_folds(faces(40), outer, "holdout-99-1")


def test_default_protocol() -> None:
    assert default_protocol(Official()) == "official"
    assert default_protocol(Bare()) == "cv5"


def test_the_hash_tells_every_split_apart() -> None:
    def fold(*parts: list[int]) -> Fold:
        train, valid, test = (np.array(part, np.int64) for part in parts)
        return Fold("x", train, valid, test)

    splits = [
        fold([0, 1], [2], [3]),
        fold([0, 1], [], [2, 3]),
        fold([0], [1, 2], [3]),
        fold([0, 1], [3], [2]),
    ]
    assert len({split.hash for split in splits}) == 4
    renamed = Fold("y", splits[0].train, splits[0].valid, splits[0].test, note="other")
    assert renamed.hash == splits[0].hash


def test_twins_counts_test_images_with_a_copy_in_train() -> None:
    data = faces(8)
    assert data.images is not None
    data.images[[5, 6]] = data.images[0]
    data.images[7] = data.images[4]
    data.images[1] = data.images[2]
    fold = Fold("x", np.arange(3), np.array([4]), np.array([3, 5, 6, 7]))
    assert twins(data, fold) == 2
    assert twins(faces(8, images=False), fold) is None
