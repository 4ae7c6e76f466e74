"""FER+: both layouts, the rules against loops, bad files by line, the real counts."""

from __future__ import annotations

import io
import shutil
import sys
import zipfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shared
from bench.datasets import _ferplus as ferplus
from bench.datasets._fer2013 import check_order
from bench.datasets._ferplus import CLASSES, COLUMNS, EMOTIONS, processed, read_votes, six_emotions
from builtin import dataset_class
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.api import LEFT_OUT, TEST, TRAIN, VALID, BenchError
from bench.data.duplicates import later_copies
from bench.data.protocols import folds, twins

FERPlus = dataset_class("fer-plus")
FERPlusML = dataset_class("fer-plus-ml")


FOLDERS = {"Training": "FER2013Train", "PublicTest": "FER2013Valid", "PrivateTest": "FER2013Test"}
MODES = ("majority", "probability", "cross-entropy", "multi-target")

# Usage, image name, votes: neutral happiness surprise sadness anger disgust fear contempt
# unknown NF
TOY = [
    ("Training", "fer0000000.png", "0,8,2,0,0,0,0,0,0,0"),
    ("Training", "fer0000001.png", "0,0,0,4,3,3,0,0,0,0"),
    ("Training", "fer0000002.png", "0,0,0,0,5,5,0,0,0,0"),
    ("Training", "fer0000003.png", "0,0,0,0,0,0,0,0,0,10"),
    ("PublicTest", "fer0000004.png", "0,0,6,0,0,0,4,0,0,0"),
    ("PrivateTest", "fer0000005.png", "1,0,0,6,3,0,0,0,0,0"),
    ("PrivateTest", "fer0000006.png", "9,0,0,0,0,0,0,1,0,0"),
]
PIXELS = np.random.default_rng(0).integers(0, 256, (len(TOY), 48, 48), dtype=np.uint8)


def write_folders(root: Path) -> Path:
    for (usage, name, votes), pixels in zip(TOY, PIXELS, strict=True):
        folder = root / FOLDERS[usage]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name)
        with (folder / "label.csv").open("a") as file:
            file.write(f'{name},"(0, 0, 48, 48)",{votes}\n')
    return root


def write_pair(root: Path, swapped: bool = False) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    text = ["Usage,Image name," + ",".join(COLUMNS)]
    text += [",".join(row) for row in TOY]
    (root / "fer2013new.csv").write_text("\n".join(text) + "\n")
    blobs = [" ".join(map(str, pixels.ravel())) for pixels in PIXELS]
    if swapped:
        lines = ["emotion, Usage, pixels"]
        lines += [f"0,{row[0]},{blob}" for row, blob in zip(TOY, blobs, strict=True)]
        (root / "icml_face_data.csv").write_text("\n".join(lines) + "\n")
    else:
        lines = ["emotion,pixels,Usage"]
        lines += [f"0,{blob},{row[0]}" for row, blob in zip(TOY, blobs, strict=True)]
        (root / "fer2013.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    return write_folders(tmp_path / "ferplus")


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    return write_pair(tmp_path / "kaggle")


# --- the rules against loops ---------------------------------------------------------------


def official(votes: list[int], mode: str) -> list[Fraction] | None:
    """FER+'s processing of one image, step by step; None where it is left out."""
    left = [0 if vote == 1 else vote for vote in votes]
    total = sum(left)
    taken = [0] * 10
    count = 0
    if mode == "majority":
        if 2 * max(left) > total:
            taken[left.index(max(left))] = max(left)
    elif mode == "multi-target":
        taken = [vote if Fraction(vote) >= Fraction(3, 10) * total else 0 for vote in left]
    else:
        reached, go_on = 0, True
        while go_on and count < 3 and reached < Fraction(3, 4) * total:
            top = max(left)
            for i in range(10):
                if left[i] != top:
                    continue
                taken[i], left[i] = top, 0
                reached += top
                count += 1
                if i >= 8:
                    go_on = False
                    if sum(taken) > top:
                        taken[i] = 0
                        count -= 1
                    break
    if 2 * sum(taken) <= total or count > 3 or taken.index(max(taken)) >= 8:
        return None
    return [Fraction(share, sum(taken[:8])) for share in taken[:8]]


def blend(votes: list[int]) -> tuple[list[Fraction], set[str]] | None:
    """RAF-ML's rule on one image, in the words of the paper; None where it is left out."""
    count = {name: 0 if vote == 1 else vote for name, vote in zip(COLUMNS, votes, strict=True)}
    if count["unknown"] + count["NF"] >= max(count[name] for name in CLASSES):
        return None
    seven = [count[name] for name in CLASSES if name != "contempt"]
    if sum(Fraction(vote) > Fraction(sum(seven), 7) for vote in seven) < 2:
        return None
    total = sum(count[name] for name in EMOTIONS)
    if total == 0:
        return None
    shares = [Fraction(count[name], total) for name in EMOTIONS]
    labels = {name for name, p in zip(EMOTIONS, shares, strict=True) if p >= Fraction(1, 6)}
    return (shares, labels) if len(labels) >= 2 else None


ballots = st.one_of(
    st.lists(st.integers(0, 9), min_size=10, max_size=10).map(
        lambda choices: [choices.count(column) for column in range(10)]
    ),
    st.lists(st.integers(0, 10), min_size=10, max_size=10),
    st.lists(st.sampled_from([0, 0, 1, 2, 3]), min_size=10, max_size=10),
)


@settings(max_examples=300, deadline=None)
@given(ballots, st.sampled_from(MODES))
def test_processing_equals_the_loops(votes: list[int], mode: str) -> None:
    expected = official(votes, mode)
    distribution, keep = processed(np.array([votes]), mode)
    assert keep[0] == (expected is not None)
    np.testing.assert_allclose(
        distribution[0], [float(share) for share in expected or [Fraction(0)] * 8], atol=1e-15
    )


@settings(max_examples=300, deadline=None)
@given(ballots)
def test_selection_equals_the_loops(votes: list[int]) -> None:
    expected = blend(votes)
    distribution, labels, keep = six_emotions(np.array([votes]))
    assert keep[0] == (expected is not None)
    if expected is not None:
        shares, names = expected
        np.testing.assert_allclose(distribution[0], [float(share) for share in shares])
        assert {name for name, on in zip(EMOTIONS, labels[0], strict=True) if on} == names
        np.testing.assert_array_equal(labels[0], distribution[0] >= 1 / 6 - 1e-9)


@pytest.mark.parametrize(
    ("votes", "mode", "expected"),
    [
        # all that tie are taken in one step: four classes are too many
        ([4, 2, 2, 2, 0, 0, 0, 0, 0, 0], "probability", None),
        ([4, 2, 2, 0, 0, 0, 0, 0, 2, 0], "probability", [0.5, 0.25, 0.25]),
        # unknown ties with the second class and is discarded
        ([5, 2, 0, 0, 0, 0, 0, 0, 3, 0], "probability", None),
        ([6, 2, 0, 0, 0, 0, 0, 0, 2, 0], "cross-entropy", [0.75, 0.25]),
        ([5, 5, 0, 0, 0, 0, 0, 0, 0, 0], "majority", None),
        ([6, 0, 0, 0, 0, 0, 0, 0, 1, 3], "majority", [1]),
        ([3, 3, 0, 0, 0, 0, 0, 0, 4, 0], "multi-target", None),
        ([4, 3, 0, 0, 0, 0, 0, 0, 3, 0], "multi-target", [4 / 7, 3 / 7]),
        ([1] * 10, "multi-target", None),
    ],
)
def test_processing_by_hand(votes: list[int], mode: str, expected: list[float] | None) -> None:
    distribution, keep = processed(np.array([votes]), mode)
    assert keep[0] == (expected is not None)
    np.testing.assert_allclose(distribution[0], (expected or []) + [0] * (8 - len(expected or [])))


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ([0, 8, 2, 0, 0, 0, 0, 0, 0, 0], {"happiness", "surprise"}),
        ([0, 9, 1, 0, 0, 0, 0, 0, 0, 0], None),  # a vote of one is an outlier
        ([6, 4, 0, 0, 0, 0, 0, 0, 0, 0], None),  # neutral and one emotion
        ([4, 0, 0, 3, 0, 0, 3, 0, 0, 0], {"sadness", "fear"}),
        ([0, 0, 4, 2, 0, 0, 0, 0, 2, 2], None),  # unknown and NF reach the largest
        ([0, 0, 5, 2, 0, 0, 0, 0, 3, 0], {"surprise", "sadness"}),
        ([0, 0, 3, 3, 0, 0, 0, 4, 0, 0], {"surprise", "sadness"}),  # contempt is no part of it
        ([2, 8, 2, 2, 0, 0, 0, 0, 0, 0], None),  # the mean itself does not exceed the mean
        ([0, 10, 2, 0, 0, 0, 0, 0, 0, 0], {"happiness", "surprise"}),  # exactly 1/6
    ],
)
def test_selection_by_hand(votes: list[int], expected: set[str] | None) -> None:
    _, labels, keep = six_emotions(np.array([votes]))
    assert keep[0] == (expected is not None)
    if expected is not None:
        assert {name for name, on in zip(EMOTIONS, labels[0], strict=True) if on} == expected


# --- the two layouts -----------------------------------------------------------------------


def test_single_label_from_folders(folders: Path) -> None:
    dataset = FERPlus()
    faces = dataset.load(folders)
    assert (faces.name, faces.kind, faces.label_names) == ("fer-plus", "single", CLASSES)
    assert faces.ids.tolist() == [TOY[row][1] for row in (0, 4, 5, 6)]
    classes = [CLASSES[column] for column in faces.labels.argmax(axis=1)]
    assert classes == ["happiness", "surprise", "sadness", "neutral"]
    np.testing.assert_array_equal(faces.images, PIXELS[[0, 4, 5, 6]])
    np.testing.assert_array_equal(dataset.split(faces, "official"), [TRAIN, VALID, TEST, TEST])
    np.testing.assert_array_equal(faces.votes[2], [1, 0, 0, 6, 3, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(faces.distribution, faces.labels)
    assert "label.csv" in faces.notes[0]
    assert not faces.synthetic
    assert dataset.check(faces)[0].startswith("1/1/2 images in train/valid/test")


def test_other_labels_change_train_only(folders: Path) -> None:
    faces = FERPlus(labels="probability").load(folders)
    assert faces.ids.tolist() == [TOY[row][1] for row in (0, 1, 2, 4, 5, 6)]
    np.testing.assert_allclose(faces.distribution[1, 3:6], [0.4, 0.3, 0.3])
    np.testing.assert_allclose(faces.distribution[2, 4:6], [0.5, 0.5])
    np.testing.assert_allclose(faces.distribution[3], np.eye(8)[2])  # valid: majority
    assert CLASSES[faces.labels[2].argmax()] == "anger"  # the first where shares tie
    official_part = FERPlus().load(folders)
    np.testing.assert_array_equal(faces.labels[3:], official_part.labels[1:])


def test_the_rule_of_valid_and_test_is_a_choice_of_its_own(folders: Path) -> None:
    dataset = FERPlus(test="probability")
    faces, official = dataset.load(folders), FERPlus().load(folders)
    split = dataset.split(faces, "official")
    train = faces.ids[split == TRAIN].tolist()
    assert train == official.ids[dataset.split(official, "official") == TRAIN].tolist()
    votes = read_votes(folders)
    shares, keep = processed(votes.votes, "probability")
    others = votes.split != TRAIN
    assert faces.ids[split != TRAIN].tolist() == votes.ids[keep & others].tolist()
    np.testing.assert_allclose(faces.distribution[split != TRAIN], shares[keep & others])
    assert faces.notes[-1].endswith("(majority, test probability)")
    assert "labels=majority, test=probability" in dataset.check(faces)[0]


def test_multi_label_from_folders(folders: Path) -> None:
    dataset = FERPlusML()
    faces = dataset.load(folders)
    assert (faces.name, faces.kind, faces.label_names) == ("fer-plus-ml", "multi", EMOTIONS)
    assert faces.ids.tolist() == [TOY[row][1] for row in (0, 1, 2, 4, 5)]
    np.testing.assert_allclose(faces.distribution[0], [0.2, 0, 0, 0.8, 0, 0])
    np.testing.assert_array_equal(faces.labels[4], [0, 0, 0, 0, 1, 1])
    split = dataset.split(faces, "official")
    np.testing.assert_array_equal(split, [TRAIN, TRAIN, TRAIN, VALID, TEST])
    assert "per label" in dataset.check(faces)[0]


def test_predominant_labels_of_the_multi_label_set(folders: Path) -> None:
    dataset = FERPlusML(labels="predominant")
    faces, sets = dataset.load(folders), FERPlusML().load(folders)
    assert faces.kind == "single"
    np.testing.assert_array_equal(faces.ids, sets.ids)
    np.testing.assert_array_equal(faces.labels.argmax(axis=1), sets.distribution.argmax(axis=1))
    split = dataset.split(faces, "official")
    np.testing.assert_array_equal(split, FERPlusML().split(sets, "official"))
    assert "per label" not in dataset.check(faces)[0]


@pytest.mark.parametrize("swapped", [False, True])
def test_the_csv_pair_equals_the_folders(folders: Path, tmp_path: Path, swapped: bool) -> None:
    root = write_pair(tmp_path / "csv", swapped)
    for dataset in (FERPlus(), FERPlusML()):
        one, other = dataset.load(folders), dataset.load(root)
        assert one.fingerprint == other.fingerprint
        name = "icml_face_data.csv" if swapped else "fer2013.csv"
        assert other.notes[0] == f"votes from fer2013new.csv, joined to {name} by row order"


@pytest.mark.parametrize("layout", [write_folders, write_pair])
def test_bom_and_crlf_are_accepted(tmp_path: Path, layout: Callable[[Path], Path]) -> None:
    root = layout(tmp_path / "plain")
    other = tmp_path / "windows"
    shutil.copytree(root, other)
    for path in other.rglob("*.csv"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert FERPlus().load(other).fingerprint == FERPlus().load(root).fingerprint


def test_repeated_and_empty_names_of_the_pair_get_their_line(pair: Path) -> None:
    path = pair / "fer2013new.csv"
    text = path.read_text().replace("fer0000001.png", "fer0000000.png")
    path.write_text(text.replace("fer0000006.png", ""))
    ids = read_votes(pair).ids.tolist()
    assert ids[:2] == ["fer0000000.png", "fer0000000.png#3"]
    assert ids[6] == "#8"


def test_lines_without_face_box_and_the_four_overwritten_images(folders: Path) -> None:
    """What FER+'s newer generate_training_data.py leaves behind."""
    path = folders / "FER2013Train" / "label.csv"
    text = path.read_text().replace('"(0, 0, 48, 48)",', "")
    path.write_text(
        "fer0006953.png,0,0,10,0,0,0,0,0,0,0\n" + text + "fer0006953.png,0,0,0,0,0,10,0,0,0,0\n"
    )
    Image.fromarray(PIXELS[0]).save(path.parent / "fer0006953.png")
    faces = FERPlus().load(folders)
    row = faces.ids.tolist().index("fer0006953.png")
    assert CLASSES[faces.labels[row].argmax()] == "disgust"
    assert any("fer0006953.png has two lines" in note for note in faces.notes)


@pytest.mark.parametrize("layout", [write_folders, write_pair])
@pytest.mark.parametrize("dataset", [FERPlus(), FERPlusML()])
def test_a_marked_folder_is_synthetic(
    tmp_path: Path, layout: Callable[[Path], Path], dataset: Any
) -> None:
    root = layout(tmp_path / "rendered")
    (root / "SYNTHETIC.json").write_text("{}")
    assert dataset.load(root).synthetic


def test_duplicates_leave_train_and_valid(folders: Path) -> None:
    Image.fromarray(PIXELS[5][:, ::-1]).save(folders / "FER2013Train" / "fer0000000.png")
    Image.fromarray(PIXELS[5]).save(folders / "FER2013Valid" / "fer0000004.png")
    for dataset, with_copies, free in (
        (FERPlus(), "official", "no-duplicates"),
        (FERPlusML(), "with-duplicates", "official"),
    ):
        faces = dataset.load(folders)
        assert LEFT_OUT not in dataset.split(faces, with_copies)
        split = dict(zip(faces.ids, dataset.split(faces, free), strict=True))
        assert split["fer0000000.png"] == split["fer0000004.png"] == LEFT_OUT
        assert split["fer0000005.png"] == TEST


# --- bad input -----------------------------------------------------------------------------


def replace(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        text = (root / name).read_text()
        assert old in text
        (root / name).write_text(text.replace(old, new, 1))

    return change


LABELS = "FER2013Train/label.csv"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replace(LABELS, "0,8,2", "0,8"), r"label.csv:1: 9 votes instead of 10"),
        (replace(LABELS, "0,8,2,", "0,8,2,0,"), r"label.csv:1: 11 votes instead of 10; a line has"),
        (replace(LABELS, "0,8,2", "0,8.5,2"), r"label.csv:1: the votes are not whole numbers"),
        (replace(LABELS, "0,8,2", "0,-8,2"), r"label.csv:1: the votes are not whole numbers"),
        (replace(LABELS, "0,8,2", "0,nan,2"), r"label.csv:1: the votes are not whole numbers"),
        (replace(LABELS, "(0, 0, 48, 48)", "(0, 0, 40, 48)"), r"label.csv:1: the face box is"),
        (replace(LABELS, "0001.png", "0000.png"), r"label.csv:2: .*has a line already \(line 1\)"),
        (replace(LABELS, "fer0000001", "fer1"), r"label.csv:2: there is no image fer1.png"),
        (replace(LABELS, "fer0000001", "../fer1"), r"label.csv:2: '../fer1.png' is not the name"),
        (
            lambda root: Image.fromarray(PIXELS[0]).save(root / "FER2013Test" / "extra.png"),
            r"FER2013Test/extra.png has no line in label.csv",
        ),
        (lambda root: (root / LABELS).unlink(), r"FER2013Train/label.csv is missing"),
        (lambda root: (root / LABELS).write_bytes(b"\xff\xfe"), r"cannot be read as a csv file"),
        (
            lambda root: [path.unlink() for path in (root / "FER2013Test").glob("*.png")],
            r"FER2013Test holds no images",
        ),
        (
            lambda root: (root / "FER2013Test" / "fer0000005.png").write_bytes(b""),
            r"fer0000005.png is empty \(0 bytes\)",
        ),
        (
            lambda root: (root / "FER2013Test" / "fer0000005.png").write_bytes(
                (root / "FER2013Test" / "fer0000005.png").read_bytes()[:900]
            ),
            r"fer0000005.png is damaged",
        ),
        (
            lambda root: [
                Image.fromarray(PIXELS[0][:40]).save(path) for path in root.rglob("*.png")
            ],
            r"the images are 48×40 pixels, FER\+ has 48×48",
        ),
        (lambda root: shutil.rmtree(root / "FER2013Valid"), r"it lacks FER2013Valid"),
    ],
)
def test_bad_folders(folders: Path, change: Callable[[Path], None], message: str) -> None:
    change(folders)
    with pytest.raises(BenchError, match=message):
        FERPlus().load(folders)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replace("fer2013new.csv", "unknown,NF", "NF,unknown"), r"new.csv:1: the header is not"),
        (replace("fer2013new.csv", "0,8,2", "0,8"), r"fer2013new.csv:2: 11 fields for 12 columns"),
        (replace("fer2013new.csv", "0,8,2", "0,x,2"), r"fer2013new.csv:2: the votes are not"),
        (replace("fer2013new.csv", "Training", "Tranining"), r"new.csv:2: Usage 'Tranining' is"),
        (replace("fer2013.csv", "pixels", "pixel"), r"fer2013.csv:1: the header has no columns"),
        (replace("fer2013.csv", ",Training", ",PublicTest"), r"fer2013.csv:2: 'PublicTest' here"),
        (replace("fer2013.csv", "0,", "0,256 "), r"fer2013.csv:2: a pixel is not a whole number"),
        (replace("fer2013.csv", "0,", "0,1.5 "), r"fer2013.csv:2: a pixel is not a whole number"),
        (replace("fer2013.csv", "0,", "0,7 "), r"fer2013.csv:2: 2305 pixels instead of 2304"),
        (replace("fer2013.csv", "0,", "0,7,"), r"fer2013.csv:2: 4 fields for 3 columns"),
        (
            lambda root: (root / "fer2013.csv").write_text(
                "".join((root / "fer2013.csv").read_text().splitlines(keepends=True)[:-1])
            ),
            r"fer2013.csv has 6 rows and fer2013new.csv has 7",
        ),
        (
            lambda root: (root / "fer2013new.csv").write_text(
                "".join((root / "fer2013new.csv").read_text().splitlines(keepends=True)[:-1])
            ),
            r"fer2013.csv has 7 rows and fer2013new.csv has 6",
        ),
        (lambda root: (root / "fer2013.csv").write_text("pixels,Usage"), r"has 0 rows"),
        (lambda root: (root / "fer2013new.csv").unlink(), r"but not fer2013new.csv, FER\+'s votes"),
        (lambda root: (root / "fer2013new.csv").write_text(""), r"new.csv:1: the header is not"),
        (
            lambda root: (root / "fer2013.csv").write_text("pixels,Usage\n" + "1 " * 200_000),
            r"cannot be read as a csv file: field larger",
        ),
    ],
)
def test_bad_pairs(pair: Path, change: Callable[[Path], None], message: str) -> None:
    change(pair)
    with pytest.raises(BenchError, match=message):
        FERPlusML().load(pair)


def test_nothing_selected(pair: Path) -> None:
    path = pair / "fer2013new.csv"
    header, *rows = path.read_text().splitlines()
    rows = [",".join([*row.split(",")[:2], *"0000000009"]) for row in rows]
    path.write_text("\n".join([header, *rows]))
    with pytest.raises(BenchError, match="the rules leave none of the 7 images"):
        FERPlusML().load(pair)


def test_wrong_roots(folders: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="needs --root"):
        FERPlus().load(None)
    with pytest.raises(BenchError, match="absent does not exist"):
        FERPlus().load(tmp_path / "absent")
    for wrong in (folders.parent, folders / "FER2013Train"):
        with pytest.raises(BenchError, match=rf"pass --root {folders}"):
            FERPlus().load(wrong)


# --- the real files ------------------------------------------------------------------------


def real_votes(which: str, folder: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Votes, split and names from the archive, without decoding an image."""
    with zipfile.ZipFile(shared.path(shared.FER_PLUS)) as archive:
        if which == "fer2013new.csv":
            archive.extract("ferplus/fer2013new.csv", folder)
            votes = ferplus._read_pair(folder / "ferplus", Path("unused"))
            return votes.votes, votes.split, votes.ids.tolist()
        rows = []
        for part, name in enumerate(FOLDERS.values()):
            text = archive.read(f"ferplus/{name}/label.csv").decode()
            for line in text.splitlines():
                first, _, votes_text = line.split('"')
                rows.append((part, f"{name}/{first.strip(',')}", votes_text.strip(",").split(",")))
    votes_array = np.array([votes for _, _, votes in rows], dtype=np.int64)
    return votes_array, np.array([part for part, _, _ in rows]), [name for _, name, _ in rows]


def per_part(split: np.ndarray, rows: np.ndarray) -> list[int]:
    return [int((rows & (split == part)).sum()) for part in (TRAIN, VALID, TEST)]


@shared.needs_fer_plus
@pytest.mark.parametrize(
    ("which", "mode", "parts"),
    [
        ("label.csv", "majority", [25045, 3191, 3137]),
        ("label.csv", "probability", [27947, 3508, 3507]),
        ("label.csv", "cross-entropy", [27947, 3508, 3507]),
        ("label.csv", "multi-target", [27667, 3472, 3466]),
        ("fer2013new.csv", "majority", [25060, 3199, 3153]),
        ("fer2013new.csv", "probability", [27956, 3505, 3505]),
        ("fer2013new.csv", "multi-target", [27671, 3472, 3472]),
    ],
)
def test_real_counts(which: str, mode: str, parts: list[int], tmp_path: Path) -> None:
    votes, split, _ = real_votes(which, tmp_path)
    distribution, keep = processed(votes, mode)
    assert per_part(split, keep) == parts
    assert tuple(parts) in sys.modules[FERPlus.__module__]._COUNTS[mode]
    if (which, mode) == ("label.csv", "majority"):
        classes = distribution.argmax(axis=1)
        assert [np.bincount(classes[keep & (split == part)]).tolist() for part in range(3)] == [
            [8733, 7284, 3136, 3022, 2098, 116, 536, 120],
            [1180, 862, 411, 348, 289, 25, 60, 16],
            [1083, 892, 394, 382, 269, 16, 86, 15],
        ]
    if (which, mode) in (("label.csv", "probability"), ("label.csv", "multi-target")):
        sizes = np.count_nonzero(distribution, axis=1)
        expected = [19021, 7878, 1048] if mode == "probability" else [20543, 6985, 139]
        assert np.bincount(sizes[keep & (split == TRAIN)])[1:].tolist() == expected


@shared.needs_fer_plus
@pytest.mark.parametrize(
    ("which", "parts", "cardinality", "counts"),
    [
        ("label.csv", [4772, 586, 607], [5280, 659, 26], [3513, 2289, 764, 1682, 1904, 2489]),
        ("fer2013new.csv", [4767, 582, 605], [5291, 637, 26], [3518, 2269, 765, 1681, 1889, 2475]),
    ],
)
def test_real_selection(
    which: str, parts: list[int], cardinality: list[int], counts: list[int], tmp_path: Path
) -> None:
    votes, split, _ = real_votes(which, tmp_path)
    distribution, labels, keep = six_emotions(votes)
    assert per_part(split, keep) == parts
    assert np.bincount(labels[keep].sum(axis=1))[2:].tolist() == cardinality
    assert labels[keep].sum(axis=0).tolist() == counts
    np.testing.assert_allclose(distribution[keep].sum(axis=1), 1)


@shared.needs_fer_plus
def test_real_multi_label_without_duplicates(tmp_path: Path) -> None:
    votes, split, names = real_votes("label.csv", tmp_path)
    _, labels, keep = six_emotions(votes)
    rows = np.flatnonzero(keep)
    with zipfile.ZipFile(shared.path(shared.FER_PLUS)) as archive:
        images = np.stack(
            [
                np.asarray(Image.open(io.BytesIO(archive.read(f"ferplus/{names[row]}"))))
                for row in rows
            ]
        )
    left = ~later_copies(images, split[rows])
    assert per_part(split[rows], left) == [4485, 572, 607]
    assert labels[rows][left].sum(axis=0).tolist() == [3332, 2119, 717, 1627, 1795, 2397]
    assert np.bincount(labels[rows][left].sum(axis=1))[2:].tolist() == [5028, 613, 23]


@shared.needs_fer_plus
@pytest.mark.slow
def test_real_archive_through_the_loaders(tmp_path: Path) -> None:
    root = shared.unpacked_fer_plus(tmp_path)
    dataset = FERPlusML()
    faces = dataset.load(root)
    assert dataset.check(faces) == []
    assert faces.images.shape == (5965, 48, 48)
    (fold,) = folds(dataset, faces, "official")
    assert [len(fold.train), len(fold.valid), len(fold.test)] == [4485, 572, 607]
    assert twins(faces, fold) == 0
    (fold,) = folds(dataset, faces, "with-duplicates")
    assert [len(fold.train), len(fold.valid), len(fold.test)] == [4772, 586, 607]
    assert twins(faces, fold) == 61

    dataset = FERPlus()
    faces = dataset.load(root)
    assert dataset.check(faces) == []
    (fold,) = folds(dataset, faces, "official")
    assert [len(fold.train), len(fold.valid), len(fold.test)] == [25045, 3191, 3137]
    assert twins(faces, fold) == 232
    (fold,) = folds(dataset, faces, "no-duplicates")
    assert [faces.labels[rows].sum(axis=0).tolist() for rows in (fold.train, fold.valid)] == [
        [8558, 7171, 2711, 2859, 1935, 99, 464, 109],
        [1166, 853, 376, 338, 279, 24, 54, 16],
    ]
    assert len(fold.test) == 3137
    assert twins(faces, fold) == 0
    for mode in MODES[1:]:
        _, keep = processed(read_votes(root).votes, mode)
        assert keep.sum() > 34_000


# --- whether votes belong to the images ------------------------------------------------------


def ordered_votes(n: int, share: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Votes, emotions that agree with them in this share of the rows, parts."""
    rng = np.random.default_rng(7)
    emotions = rng.choice(7, n, p=[0.14, 0.015, 0.14, 0.25, 0.17, 0.115, 0.17]).astype(np.int8)
    judged = np.where(rng.random(n) < share, emotions, rng.integers(0, 7, n))
    votes = np.zeros((n, 10), dtype=np.int64)
    votes[np.arange(n), np.array([4, 5, 6, 1, 3, 2, 0])[judged]] = 8
    votes[:, 8] = rng.integers(0, 3, n)
    return votes, emotions, np.repeat([TRAIN, VALID, TEST], [n - n // 5 * 2, n // 5, n // 5])


@pytest.mark.parametrize(("n", "share"), [(100, 1.0), (2_200, 1.0), (2_200, 0.6), (35_887, 0.6)])
def test_votes_in_the_order_of_the_images(n: int, share: float) -> None:
    votes, emotions, split = ordered_votes(n, share)
    percent = 100 * (np.array([4, 5, 6, 1, 3, 2, 0])[emotions] == votes.argmax(axis=1)).mean()
    said = check_order(Path("fer2013.csv"), emotions, votes, split)
    assert f"emotion in {percent:.1f} % of {n} rows" in said


def shifted(order: np.ndarray, length: int) -> np.ndarray:
    """A row is dropped here and another there, of one part: between them all are off by one."""
    start = len(order) // 4
    return np.concatenate([np.delete(order[: start + length], start), [0], order[start + length :]])


@pytest.mark.parametrize(
    "change",
    [
        lambda order, emotions: order[np.lexsort([emotions])],
        lambda order, emotions: np.random.default_rng(0).permutation(order),
        lambda order, emotions: np.roll(order, 1),
        lambda order, emotions: order[::-1],
        lambda order, emotions: shifted(order, len(order) // 2),
        lambda order, emotions: shifted(order, 150),
    ],
    ids=["sorted", "shuffled", "rolled", "turned", "half shifted", "150 shifted"],
)
@pytest.mark.parametrize(("n", "share"), [(2_200, 1.0), (2_200, 0.6), (35_887, 0.6)])
def test_votes_of_other_images_are_refused(n: int, share: float, change: Any) -> None:
    votes, emotions, split = ordered_votes(n, share)
    train = split == TRAIN
    order = np.arange(n)
    order[train] = change(order[train], emotions[train])
    with pytest.raises(BenchError, match=r"fer2013.csv: .* in \d+ % of .* take the original files"):
        check_order(Path("fer2013.csv"), emotions[order], votes, split)


def test_the_share_is_said(pair: Path, folders: Path) -> None:
    said = "the class of most votes is fer2013.csv's emotion in 16.7 % of 6 rows"
    assert said in FERPlus().load(pair).notes
    (pair / "fer2013.csv").write_text((pair / "fer2013.csv").read_text().replace("emotion", "e"))
    assert "fer2013.csv has no column 'emotion'" in FERPlus().load(pair).notes[1]
    assert not any("emotion" in note for note in FERPlus().load(folders).notes)


def test_an_emotion_that_kaggle_does_not_have(pair: Path) -> None:
    path = pair / "fer2013.csv"
    path.write_text(path.read_text().replace("\n0,", "\n7,", 1))
    with pytest.raises(BenchError, match=r"fer2013.csv:2: the emotion '7' is no whole number"):
        FERPlus().load(pair)


def test_suffixes_and_litter(folders: Path) -> None:
    expected = FERPlus().load(folders)
    train = folders / "FER2013Train"
    for path in train.glob("*.png"):
        path.rename(path.with_suffix(".PNG"))
    for name in ("._fer0000001.PNG", "Thumbs.db", ".DS_Store", "desktop.ini"):
        (train / name).write_bytes(b"x")
    assert FERPlus().load(folders).fingerprint == expected.fingerprint
    (train / "label.csv").write_text((train / "label.csv").read_text().replace(".png", ".PNG"))
    assert FERPlus().load(folders).fingerprint == expected.fingerprint
