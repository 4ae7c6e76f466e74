"""The raf-ml loader on small trees of noise: what it reads, and every way a copy can be broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from builtin import dataset_class
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.api import TEST, TRAIN, BenchError, FaceSet
from bench.data import images, marker
from bench.data.protocols import folds
from bench.plugins import Registry
from bench.run.sources import Sources

RafML = dataset_class("raf-ml")

ROWS = [
    # name, distribution, labels, partition
    ("0001.jpg", "0.080000 0.000000 0.280000 0.000000 0.640000 0.000000", "0 0 1 0 1 0", "0"),
    ("0003.jpg", "0.000000 0.000000 0.285714 0.000000 0.000000 0.714286", "0 0 1 0 0 1", "1"),
    ("0002.jpg", "0.166667 0.166667 0.166667 0.166667 0.166666 0.166666", "1 1 1 1 0 0", "0"),
    ("0004.jpg", "0.500000 0.300000 0.000000 0.200000 0.000000 0.000000", "1 1 0 0 0 0", "1"),
]


def write(
    root: Path, rows: list[tuple[str, str, str, str]], nested: bool = False, end: str = "\n"
) -> Path:
    """The official tree under ``root``, with noise for faces."""
    folder = root / "Image" / "aligned"
    folder = folder / "aligned" if nested else folder
    folder.mkdir(parents=True)
    (root / "EmoLabel").mkdir()
    rng = np.random.default_rng(0)
    for name, *_ in rows:
        pixels = rng.integers(0, 256, (100, 100, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name.replace(".jpg", "_aligned.jpg"))
    for column, file in enumerate(("distribution", "multilabel", "partition_label"), 1):
        text = "".join(f"{row[0]} {row[column]}{end}" for row in rows)
        (root / "EmoLabel" / f"{file}.txt").write_text(text, newline="")
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "RAF-ML", ROWS)


def edit(root: Path, file: str, change: Callable[[str], str]) -> None:
    path = root / "EmoLabel" / file
    path.write_text(change(path.read_text()), newline="")


def test_reads_the_tree_in_the_order_of_the_distribution(root: Path) -> None:
    faces = RafML().load(root)
    assert faces.ids.tolist() == ["0001.jpg", "0003.jpg", "0002.jpg", "0004.jpg"]
    assert faces.label_names == ("surprise", "fear", "disgust", "happiness", "sadness", "anger")
    assert faces.labels.astype(int).tolist() == [[int(b) for b in row[2].split()] for row in ROWS]
    assert faces.split is not None
    assert faces.split.tolist() == [TRAIN, TEST, TRAIN, TEST]
    assert faces.distribution is not None
    assert np.allclose(faces.distribution.sum(axis=1), 1, atol=1e-12)
    assert np.allclose(faces.distribution[1], [0, 0, 0.285714, 0, 0, 0.714286], atol=1e-6)
    assert faces.images is not None
    assert faces.images.shape == (4, 100, 100, 3)
    third = Image.open(root / "Image" / "aligned" / "0002_aligned.jpg")
    assert np.array_equal(faces.images[2], np.asarray(third))
    assert not faces.synthetic
    (fold,) = folds(RafML(), faces, "official")
    assert (fold.train.tolist(), fold.test.tolist()) == ([0, 2], [1, 3])


def test_predominant_labels_for_the_experiment_of_table_1(root: Path) -> None:
    faces, sets = RafML(labels="predominant").load(root), RafML().load(root)
    assert faces.kind == "single"
    names = [faces.label_names[column] for column in faces.labels.argmax(axis=1)]
    assert names == ["sadness", "anger", "surprise", "surprise"]  # the first of four equal shares
    assert faces.notes[-1].endswith("1 of 4 rows tie and have the first label")
    assert np.array_equal(faces.distribution, sets.distribution)
    assert np.array_equal(faces.split, sets.split)
    findings = RafML(labels="predominant").check(faces)
    assert any("predominant labels" in one for one in findings)
    assert not any("multilabel" in one or "0 to 6" in one for one in findings)


def test_notes_count_the_partition_and_list_disagreements(root: Path) -> None:
    counts, threshold = RafML().load(root).notes
    assert counts == "2 train / 2 test by partition_label.txt"
    # 0.166666 is below a sixth, so the third row agrees; the fourth leaves out happiness.
    assert threshold == "1 rows where p >= 1/6 and multilabel.txt disagree: 0004.jpg"


def test_no_disagreement_no_note(tmp_path: Path) -> None:
    assert len(RafML().load(write(tmp_path / "r", ROWS[:3])).notes) == 1


def test_many_disagreements_are_cut_at_ten(tmp_path: Path) -> None:
    rows = [(f"{row:04d}.jpg", "1 0 0 0 0 0", "0 0 0 0 0 1", str(row % 2)) for row in range(12)]
    note = RafML().load(write(tmp_path / "r", rows)).notes[1]
    assert note.startswith("12 rows")
    assert "0009.jpg, …" in note
    assert "0010.jpg" not in note


def test_all_accepted_spellings_are_one_dataset(root: Path, tmp_path: Path) -> None:
    first = RafML().load(root)
    nested = write(tmp_path / "nested", ROWS, nested=True, end="\r\n")
    edit(nested, "multilabel.txt", lambda text: "\ufeff" + text.rstrip())
    edit(nested, "partition_label.txt", lambda text: "".join(sorted(text.splitlines(True))))
    (nested / "Image" / "aligned" / "aligned" / "._0001_aligned.jpg").write_bytes(b"x")
    (nested / "Image" / "aligned" / "aligned" / "Thumbs.db").write_bytes(b"x")
    assert RafML().load(nested).fingerprint == first.fingerprint


def replace(old: str, new: str, count: int = 1) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, count)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("distribution.txt", replace("0.280000 ", ""), r":1: 6 columns where 7 \(NAME p1 p2"),
        ("multilabel.txt", replace("0 0 1 0 0 1", "0 0 1 0 0 1 1"), r":2: 8 columns where 7"),
        ("partition_label.txt", replace("0002.jpg 0", "0002.jpg"), r":3: 1 columns where 2"),
        ("distribution.txt", replace("0.080000", "nan"), r":1: 'nan' is not a number"),
        ("distribution.txt", replace("0.714286", "0,714286"), r":2: '0,714286' is not a number"),
        ("distribution.txt", replace("0.080000", "-0.08"), r":1: '-0.08' is outside 0 to 1"),
        ("distribution.txt", replace("0.080000", "0.180000"), r":1: .* 0001.jpg sums to 1.1, not"),
        ("distribution.txt", replace("0.714286", "0.714086"), r":2: .* sums to 0.9998, not to 1"),
        ("multilabel.txt", replace("0 0 1 0 1 0", "0 0 2 0 1 0"), r":1: '2' is neither 0 nor 1"),
        ("partition_label.txt", replace("jpg 1", "jpg 2"), r":2: '2' is neither 0 nor 1"),
        ("multilabel.txt", lambda text: text + "0001.jpg 0 0 0 0 0 1\n", r":5: '0001.jpg' stands"),
        ("partition_label.txt", replace("0003.jpg 1\n", ""), r"distribution.txt:2: '0003.jpg' has"),
        ("multilabel.txt", replace("0003", "0033"), r"distribution.txt:2: '0003.jpg' has no line"),
        ("multilabel.txt", lambda text: text + "0009.jpg 1 0 0 0 0 1\n", r":5: '0009.jpg' has no"),
        ("distribution.txt", lambda _: "", "has no lines"),
    ],
)
def test_a_broken_label_file_names_file_and_line(
    root: Path, file: str, change: Callable[[str], str], message: str
) -> None:
    edit(root, file, change)
    with pytest.raises(BenchError, match=message) as caught:
        RafML().load(root)
    assert file in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text(root: Path) -> None:
    (root / "EmoLabel" / "multilabel.txt").write_bytes(b"\xff\xfe0\x000\x00")
    with pytest.raises(BenchError, match=r"multilabel.txt:1: this is not UTF-8 text"):
        RafML().load(root)


def test_rounding_at_six_decimals_is_no_error(root: Path) -> None:
    edit(root, "distribution.txt", replace("0.714286", "0.714280"))
    assert len(RafML().load(root)) == 4


@pytest.mark.parametrize("file", ["distribution.txt", "multilabel.txt", "partition_label.txt"])
def test_a_missing_label_file_is_named(root: Path, file: str) -> None:
    (root / "EmoLabel" / file).unlink()
    with pytest.raises(BenchError, match=rf"{file} does not exist"):
        RafML().load(root)


def test_a_line_without_image_and_an_image_without_line(root: Path) -> None:
    image = root / "Image" / "aligned" / "0002_aligned.jpg"
    image.rename(image.with_name("0012_aligned.jpg"))
    with pytest.raises(BenchError, match=r"distribution.txt:3: '0002.jpg' has no image .*0002_al"):
        RafML().load(root)
    image.write_bytes(image.with_name("0012_aligned.jpg").read_bytes())
    with pytest.raises(BenchError, match=r"0012_aligned.jpg has no line in .*distribution.txt"):
        RafML().load(root)


def test_a_name_cannot_leave_the_folder(root: Path) -> None:
    for file in ("distribution.txt", "multilabel.txt", "partition_label.txt"):
        edit(root, file, replace("0001.jpg", "../aligned/0001.jpg"))
    with pytest.raises(BenchError, match=r"distribution.txt:1: '../aligned/0001.jpg' has no image"):
        RafML().load(root)


@pytest.mark.parametrize(("keep", "message"), [(0, "is empty"), (900, "is damaged")])
def test_a_damaged_image_is_named(root: Path, keep: int, message: str) -> None:
    image = root / "Image" / "aligned" / "0004_aligned.jpg"
    image.write_bytes(image.read_bytes()[:keep])
    with pytest.raises(BenchError, match=rf"0004_aligned\.jpg {message}"):
        RafML().load(root)


def test_images_of_two_sizes(root: Path) -> None:
    Image.new("RGB", (99, 100)).save(root / "Image" / "aligned" / "0003_aligned.jpg")
    with pytest.raises(BenchError, match=r"0003_aligned\.jpg is 99×100 pixels"):
        RafML().load(root)


def test_packed_images(root: Path) -> None:
    (root / "Image" / "aligned").rename(root / "Image" / "original")
    with pytest.raises(BenchError, match=r"unpack .*aligned\.zip"):
        RafML().load(root)


@pytest.mark.parametrize("level", ["..", "EmoLabel", "Image", "Image/aligned"])
def test_the_wrong_level_says_which_folder_to_pass(root: Path, level: str) -> None:
    with pytest.raises(BenchError, match=r"pass --root .*RAF-ML$"):
        RafML().load((root / level).resolve())


def test_another_folder_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"lacks EmoLabel and Image \(it holds nothing\)"):
        RafML().load(tmp_path)
    with pytest.raises(BenchError, match="raf-ml needs --root"):
        RafML().load(None)


def render(root: Path) -> None:
    """Make one file of the tree a rendered one, as bench writes it."""
    path = root / "Image" / "aligned" / "0004_aligned.jpg"
    Image.new("RGB", (100, 100)).save(path, comment=images.SYNTHETIC_COMMENT)


def assert_shown_as_synthetic(root: Path) -> None:
    assert RafML().load(root).synthetic


@pytest.mark.parametrize("place", [".", "..", "Image", "Image/aligned"])
def test_a_marked_tree_never_passes_as_real(root: Path, place: str) -> None:
    marker.mark(root / place)
    assert_shown_as_synthetic(root)


def test_a_rendered_image_never_passes_as_real(root: Path) -> None:
    render(root)
    assert_shown_as_synthetic(root)


def test_without_the_two_checks_a_rendered_face_would_pass(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests above fail where a check is missing: each is removed here in turn."""
    marker.mark(root)
    with monkeypatch.context() as removed:
        removed.setattr(marker, "is_synthetic", lambda root: False)
        with pytest.raises(AssertionError):
            assert_shown_as_synthetic(root)
    (root / marker.FILE_NAME).unlink()
    render(root)
    with monkeypatch.context() as removed:
        removed.setattr(images, "SYNTHETIC_COMMENT", "another text")
        with pytest.raises(AssertionError):
            assert_shown_as_synthetic(root)


def test_synthetic_is_part_of_the_identity(root: Path) -> None:
    real = RafML().load(root).fingerprint
    marker.mark(root)
    assert RafML().load(root).fingerprint != real


def released() -> FaceSet:
    """Labels and sizes with the released counts; pixels and rows are made up."""
    n, sizes = 4908, np.repeat([4, 3, 2], [41, 913, 3954])
    left = np.array([2093, 1197, 2607, 1330, 1647, 1937])
    labels = np.zeros((n, 6), bool)
    for row, size in enumerate(sizes):
        # The labels with most images left to go to, so that every count is met.
        chosen = np.argsort(-left, kind="stable")[:size]
        labels[row, chosen] = True
        left[chosen] -= 1
    assert not left.any()
    distribution = labels / labels.sum(axis=1, keepdims=True)
    # The rule gives one row anger that its labels leave out.
    (row,) = np.flatnonzero(~labels[:, 5] & (sizes == 2))[:1]
    distribution[row] = np.where(labels[row] | (np.arange(6) == 5), 1 / 3, 0)
    return FaceSet(
        name="raf-ml",
        kind="multi",
        label_names=tuple("abcdef"),
        ids=np.arange(n).astype(str),
        labels=labels,
        images=np.zeros((n, 100, 100), np.uint8),
        distribution=distribution,
        split=np.where(np.arange(n) < 3926, TRAIN, TEST).astype(np.int8),
    )


def test_check_agrees_with_the_release_and_with_the_printed_split() -> None:
    faces = released()
    assert RafML().check(faces) == []
    assert faces.split is not None
    faces.split[:] = np.where(np.arange(4908) < 4090, TRAIN, TEST)
    assert RafML().check(faces) == []
    faces.split[0] = TEST
    assert RafML().check(faces) == ["train and test: 4089 819, published 3926 982"]
    faces.labels[0] = ~faces.labels[0]
    assert len(RafML().check(faces)) == 3


def test_check_lists_every_count_of_another_set(root: Path) -> None:
    findings = RafML().check(RafML().load(root))
    assert "images: 4, published 4908" in findings
    assert len(findings) == 5


@settings(max_examples=40, deadline=None)
@given(
    votes=st.lists(
        st.lists(st.integers(0, 9), min_size=6, max_size=6).filter(any), min_size=1, max_size=5
    ),
    data=st.data(),
)
def test_whatever_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, votes: list[list[int]], data: st.DataObject
) -> None:
    rows, p = [], np.array(votes) / np.sum(votes, axis=1, keepdims=True)
    for row, values in enumerate(p):
        labels = data.draw(st.lists(st.sampled_from("01"), min_size=6, max_size=6))
        part = data.draw(st.sampled_from("01"))
        text = " ".join(f"{value:.6f}" for value in values)
        rows.append((f"{row:04d}.jpg", text, " ".join(labels), part))
    faces = RafML().load(write(tmp_path_factory.mktemp("raf") / "r", rows))
    assert np.allclose(faces.distribution, p, atol=1e-6)
    assert faces.labels.astype(int).tolist() == [[int(b) for b in row[2].split()] for row in rows]
    assert faces.split is not None
    assert faces.split.tolist() == [TEST if row[3] == "1" else TRAIN for row in rows]


@pytest.mark.parametrize("suffix", [".JPG", ".Jpeg", ".jfif"])
def test_suffixes_in_any_case(root: Path, suffix: str) -> None:
    expected = RafML().load(root).images
    for path in sorted((root / "Image" / "aligned").iterdir()):
        path.rename(path.with_suffix(suffix))
    (root / "Image" / "aligned" / "Thumbs.db").write_bytes(b"x")
    (root / "Image" / "aligned" / "._0001_aligned.JPG").write_bytes(b"x")
    np.testing.assert_array_equal(RafML().load(root).images, expected)
    for file in ("distribution.txt", "multilabel.txt", "partition_label.txt"):
        edit(root, file, lambda text: text.replace(".jpg", ".JPG"))
    np.testing.assert_array_equal(RafML().load(root).images, expected)


def test_two_images_of_one_name(root: Path) -> None:
    folder = root / "Image" / "aligned"
    (folder / "0001_aligned.JPG").write_bytes((folder / "0001_aligned.jpg").read_bytes())
    with pytest.raises(BenchError, match="images of one name; remove one"):
        RafML().load(root)


def test_black_images_are_told(root: Path) -> None:
    """Every loader's images pass here; 16-bit JPEGs do not exist, so they are black themselves."""
    folder = root / "Image" / "aligned"
    Image.fromarray(np.zeros((100, 100, 3), np.uint8)).save(folder / "0003_aligned.jpg")
    source = Sources(Registry()).named("raf-ml", root)
    assert "1 of 4 images are black" in source.faces.notes[-1]
    assert "0003.jpg the first" in source.faces.notes[-1]
