"""`mulan:NAME`: which files a protocol reads, and the real datasets' counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shared
from builtin import dataset_class

from bench.api import TEST, TRAIN, BenchError

Mulan = dataset_class("mulan:t")

HEADER = "@relation t\n@attribute a numeric\n@attribute y2 {0,1}\n@attribute y1 {0,1}\n@data\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "t.xml").write_text('<labels><label name="y1"/><label name="y2"/></labels>')
    (tmp_path / "t-train.arff").write_text(HEADER + "1,1,0\n2,0,1\n")
    (tmp_path / "t-test.arff").write_text(HEADER + "3,1,1\n")
    return tmp_path


def test_fixed_files(root: Path) -> None:
    dataset = Mulan(member="t")
    faces = dataset.load(root)
    assert (faces.name, faces.kind, faces.label_names) == ("mulan:t", "multi", ("y2", "y1"))
    assert faces.ids.tolist() == ["train-1", "train-2", "test-1"]
    assert faces.features is not None
    assert faces.features[:, 0].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(faces.labels, [[1, 0], [0, 1], [1, 1]])
    np.testing.assert_array_equal(dataset.split(faces, "official"), [TRAIN, TRAIN, TEST])
    assert faces.notes == ("rows from t-train.arff then t-test.arff",)
    assert not faces.synthetic


def test_other_protocols_read_the_whole_file_where_there_is_one(root: Path) -> None:
    joined = Mulan(member="t").load(root, "cv2")
    assert joined.ids.tolist() == ["train-1", "train-2", "test-1"]
    (root / "t.arff").write_text(HEADER + "3,1,1\n1,1,0\n2,0,1\n9,0,0\n")
    whole = Mulan(member="t").load(root, "cv2")
    assert whole.features is not None
    assert whole.features[:, 0].tolist() == [3, 1, 2, 9]
    assert whole.ids[0] == "whole-1"
    assert whole.split is None
    assert len(Mulan(member="t").load(root, "official")) == 3


def test_only_a_whole_file_has_no_official_split(root: Path) -> None:
    (root / "t-test.arff").rename(root / "t.arff")
    dataset = Mulan(member="t")
    faces = dataset.load(root, "official")
    with pytest.raises(BenchError, match="cv5"):
        dataset.split(faces, "official")


def test_a_marked_folder_is_synthetic(root: Path) -> None:
    (root / "SYNTHETIC.json").write_text("{}")
    assert Mulan(member="t").load(root).synthetic


@pytest.mark.parametrize("member", ["", "../t", "a/t", "/etc/t", ".", "a\\t", "t\0"])
def test_a_name_leads_nowhere_else(root: Path, member: str) -> None:
    with pytest.raises(BenchError, match="write mulan:NAME"):
        Mulan(member=member).load(root)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("t-test.arff", None, "holds neither t-train.arff with t-test.arff nor t.arff"),
        ("t.xml", None, "t.xml does not exist: .* write -C n into @relation of t-train.arff"),
        ("t-test.arff", "@attribute a real\n@data\n1\n", "has 1 attributes, t-train.arff has 3"),
        ("t-test.arff", HEADER.replace(" a ", " b ") + "1,1,1\n", "'b' is 'a' or of another type"),
        ("t-test.arff", HEADER + "1,1,?\n", "t-test.arff:6: .*missing value"),
    ],
)
def test_bad_folders(root: Path, file: str, content: str | None, message: str) -> None:
    if content is None:
        (root / file).unlink()
    else:
        (root / file).write_text(content)
    with pytest.raises(BenchError, match=message):
        Mulan(member="t").load(root)


@pytest.mark.parametrize("root", [None, Path("nowhere")])
def test_no_root(root: Path | None) -> None:
    with pytest.raises(BenchError, match="there is no folder"):
        Mulan(member="t").load(root)


@shared.needs_mulan
@pytest.mark.parametrize(
    ("name", "train", "test", "features", "labels", "first"),
    [
        ("emotions", 391, 202, 72, 6, "amazed-suprised"),
        ("yeast", 1500, 917, 103, 14, "Class1"),
        ("flags", 129, 65, 43, 7, "red"),
    ],
)
def test_real_datasets(
    name: str, train: int, test: int, features: int, labels: int, first: str
) -> None:
    faces = Mulan(member=name).load(shared.path(shared.MULAN))
    assert faces.split is not None
    assert faces.features is not None
    assert [(faces.split == part).sum() for part in (TRAIN, TEST)] == [train, test]
    assert faces.features.shape == (train + test, features)
    assert faces.labels.shape[1] == labels
    assert faces.label_names[0] == first
    whole = Mulan(member=name).load(shared.path(shared.MULAN), "cv10")
    assert whole.features is not None
    # the same rows, in whatever order
    for one, other in ((faces.features, whole.features), (faces.labels, whole.labels)):
        np.testing.assert_array_equal(np.sort(one, axis=0), np.sort(other, axis=0))


@shared.needs_mulan
def test_yeast_labels_stand_in_arff_order() -> None:
    faces = Mulan(member="yeast").load(shared.path(shared.MULAN))
    assert faces.label_names == tuple(f"Class{i}" for i in range(1, 15))
    counts = [762, 1038, 983, 862, 722, 597, 428, 480, 178, 253, 289, 1816, 1799, 34]
    assert faces.labels.sum(axis=0).tolist() == counts


@pytest.mark.parametrize(
    ("relation", "labels"),
    [
        ("'t: -C 2 -split-number 100'", ("y2", "y1")),
        ('"-C 1"', ("y2",)),
        ("t:-C -2", ("b", "c")),
        ("'a set: -V 3 -C -1'", ("c",)),
    ],
)
def test_labels_by_mekas_count(tmp_path: Path, relation: str, labels: tuple[str, ...]) -> None:
    head = f"@relation {relation}\n"
    names = "".join(f"@attribute {name} {{0,1}}\n" for name in ("y2", "y1", "b", "c"))
    (tmp_path / "m.arff").write_text(f"{head}{names}@data\n1,0,1,0\n0,1,1,1\n")
    faces = Mulan(member="m").load(tmp_path, "cv2")
    assert faces.label_names == labels
    assert faces.notes[1] == f"{len(labels)} labels by -C in @relation of m.arff"
    # A list of labels says more than a number.
    (tmp_path / "m.xml").write_text('<labels><label name="b"/></labels>')
    assert Mulan(member="m").load(tmp_path, "cv2").label_names == ("b",)


@pytest.mark.parametrize("count", ["0", "3", "-3", "six", "1.5"])
def test_counts_of_labels_that_leave_nothing(tmp_path: Path, count: str) -> None:
    head = f"@relation 't: -C {count}'\n@attribute a {{0,1}}\n@attribute b {{0,1}}\n"
    (tmp_path / "m.arff").write_text(f"{head}@attribute c real\n@data\n1,0,1\n")
    with pytest.raises(BenchError, match=rf"m.arff: @relation says -C '{count}'"):
        Mulan(member="m").load(tmp_path, "cv2")
