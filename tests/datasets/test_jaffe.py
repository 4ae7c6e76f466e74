"""The jaffe loader on small trees of noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builtin import dataset_class
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.data import astronaut

from bench.api import BenchError, FaceSet
from bench.data import marker
from bench.data.align_folder import align_folder
from bench.data.alignment import TARGET
from bench.data.images import SYNTHETIC_COMMENT
from bench.data.landmarks import detect
from bench.data.protocols import default_protocol, folds

Jaffe = dataset_class("jaffe")

README = """\
This is the README of a test.
1 line of prose before the table starts with a number.

Semantic Ratings Data
#    HAP  SAD  SUR  ANG  DIS  FEA  PIC
-----------------------------------------
###
1    2.87 2.52 2.10 1.97 1.97 2.06 KM-NE1
2    4.50 3.00 1.58 1.84 3.01 1.77 KM-HA1
3    2.50 2.10 1.70 3.50 1.73 4.53 KM-AN1
4    1.00 5.00 1.00 1.00 1.00 1.00 KA-SA1

Semantic Ratings Data (Fear Excluded)
#    HAP  SAD  SUR  ANG  DIS  PIC
1    9.99 9.99 9.99 9.99 9.99 KM-NE1
"""
# Index 4 is called SA2 in the file and SA1 in the table: the index joins them.
FILES = ("KM.NE1.1.tiff", "KM.HA1.2.tiff", "KM.AN1.3.tiff", "KA.SA2.4.tiff")


def write(root: Path, readme: str = README, files: tuple[str, ...] = FILES) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "README_FIRST.txt").write_bytes(readme.encode("latin-1"))
    for row, name in enumerate(files):
        pixels = np.random.default_rng(row).integers(0, 256, (256, 256), dtype=np.uint8)
        Image.fromarray(pixels).save(root / name)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "jaffe-data")


def test_joins_images_and_ratings_by_index(root: Path) -> None:
    faces = Jaffe().load(root)
    assert faces.ids.tolist() == ["KM.HA1.2.tiff", "KM.AN1.3.tiff", "KA.SA2.4.tiff"]
    assert faces.label_names == ("surprise", "fear", "disgust", "happiness", "sadness", "anger")
    # Sadness of image 2 is rated 3.00: not above 3.
    expected = [[0, 0, 1, 1, 0, 0], [0, 1, 0, 0, 0, 1], [0, 0, 0, 0, 1, 0]]
    assert faces.labels.astype(int).tolist() == expected
    assert faces.distribution is not None
    ratings = np.array([1.58, 1.77, 3.01, 4.50, 3.00, 1.84])
    assert np.allclose(faces.distribution[0], ratings / 15.7, atol=1e-12)
    assert faces.subject is not None
    assert faces.subject.tolist() == ["KM", "KM", "KA"]
    assert faces.images is not None
    assert faces.images.shape == (3, 256, 256)
    assert np.array_equal(faces.images[2], np.asarray(Image.open(root / "KA.SA2.4.tiff")))
    assert faces.notes == (
        "3 of 4 images have a rating above 3, 1 are left out; 0 rated stimuli have no image",
    )
    assert not faces.synthetic


def test_a_rated_stimulus_without_image_is_counted(root: Path) -> None:
    (root / "KM.NE1.1.tiff").unlink()
    assert "0 are left out; 1 rated stimuli have no image" in Jaffe().load(root).notes[0]


def test_threshold(root: Path) -> None:
    assert len(Jaffe(threshold=2.8).load(root)) == 4
    assert len(Jaffe(threshold=4.9).load(root)) == 1
    with pytest.raises(BenchError, match="threshold takes float >= 1 and < 5"):
        Jaffe(threshold=5.0)
    (root / "KA.SA2.4.tiff").unlink()
    with pytest.raises(BenchError, match=r"jaffe\[threshold=4.9\] keeps no image"):
        Jaffe(threshold=4.9).load(root)


def test_predominant_labels_are_those_of_the_highest_rating(root: Path) -> None:
    faces = Jaffe(labels="predominant").load(root)
    assert faces.kind == "single"
    names = [faces.label_names[column] for column in faces.labels.argmax(axis=1)]
    assert names == ["happiness", "fear", "sadness"]
    assert not any("labels" in one for one in Jaffe(labels="predominant").check(faces))


def test_there_is_no_official_split(root: Path) -> None:
    faces = Jaffe().load(root)
    assert default_protocol(Jaffe()) == "cv5"
    assert len(folds(Jaffe(), faces, "cv2-subject")) == 2
    with pytest.raises(BenchError, match="jaffe has no protocol 'official'"):
        folds(Jaffe(), faces, "official")


def test_all_accepted_spellings_are_one_dataset(root: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other", README.replace("\n", "\r\n").rstrip() + "\r\n\xe9")
    (other / "README_FIRST.txt").rename(other / "A_README_FIRST.txt")
    (other / "jaffe").mkdir()
    for name in FILES:
        (other / name).rename(other / "jaffe" / name)
    (other / "jaffe" / "._KM.NE1.1.tiff").write_bytes(b"x")
    assert Jaffe().load(other).fingerprint == Jaffe().load(root).fingerprint


def test_paletted_and_colour_images_become_grey(root: Path) -> None:
    path = root / "KM.HA1.2.tiff"
    before = Jaffe().load(root).fingerprint
    # A copy, because Pillow maps the file that is overwritten below.
    image = Image.open(path).copy()
    for mode in ("RGB", "P"):
        image.convert(mode).save(path)
        assert Image.open(path).mode == mode
        assert Jaffe().load(root).fingerprint == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("4.50 3.00 ", "4.50 ", r"README_FIRST.txt:9: 7 columns where 8 \(# HAP SAD SUR"),
        ("4.50", "nan", r"README_FIRST.txt:9: 'nan' is not a number"),
        ("4.50", "5.50", r"README_FIRST.txt:9: '5.50' is outside 1 to 5"),
        ("2.87 2.52", "0.00 2.52", r"README_FIRST.txt:8: '0.00' is outside 1 to 5"),
        ("\n3  ", "\n2  ", r"README_FIRST.txt:10: index 2 stands twice"),
        ("\n4  ", "\n9  ", r"KA.SA2.4.tiff has no row 4 in .*README_FIRST.txt"),
        ("HAP  SAD", "HAPPY  SAD", r"holds no rating table"),
    ],
)
def test_a_broken_table_names_file_and_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(BenchError, match=message):
        Jaffe().load(write(tmp_path / "j", README.replace(old, new, 1)))


def test_names_that_are_not_jaffe_s(root: Path) -> None:
    Image.new("L", (256, 256)).save(root / "KM.NE1.tiff")
    with pytest.raises(BenchError, match=r"KM.NE1.tiff is not named SUBJECT.POSE.INDEX.tiff"):
        Jaffe().load(root)
    (root / "KM.NE1.tiff").rename(root / "KM.NE2.1.tiff")
    with pytest.raises(BenchError, match=r"KM.NE2.1.tiff and KM.NE1.1.tiff have one index"):
        Jaffe().load(root)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize(("keep", "message"), [(0, "is empty"), (90, "is damaged")])
def test_a_damaged_image_is_named(root: Path, keep: int, message: str) -> None:
    image = root / "KM.AN1.3.tiff"
    image.write_bytes(image.read_bytes()[:keep])
    with pytest.raises(BenchError, match=rf"KM\.AN1\.3\.tiff {message}"):
        Jaffe().load(root)


def test_the_wrong_folder(root: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"pass --root .*jaffe-data$"):
        Jaffe().load(tmp_path)
    with pytest.raises(BenchError, match="jaffe needs --root"):
        Jaffe().load(None)
    for name in FILES:
        (root / name).unlink()
    with pytest.raises(BenchError, match=r"holds no \.tiff images"):
        Jaffe().load(root)


def assert_shown_as_synthetic(root: Path) -> None:
    assert Jaffe().load(root).synthetic


def test_a_rendered_face_never_passes_as_real(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker.mark(root)
    assert_shown_as_synthetic(root)
    # The line above fails where the check is missing.
    monkeypatch.setattr(marker, "is_synthetic", lambda root: False)
    with pytest.raises(AssertionError):
        assert_shown_as_synthetic(root)
    # A rendered file under a name of JAFFE's shows by its comment.
    face = Image.new("L", (256, 256))
    face.save(root / "KM.AN1.3.tiff", format="JPEG", comment=SYNTHETIC_COMMENT)
    assert_shown_as_synthetic(root)


def test_check_compares_only_the_paper_s_threshold(root: Path) -> None:
    faces = Jaffe().load(root)
    assert "images: 3, published 188" in Jaffe().check(faces)
    assert Jaffe(threshold=2.0).check(faces) == []


def test_check_agrees_with_the_published_counts() -> None:
    sizes = np.repeat([5, 4, 3, 2, 1], [2, 14, 32, 56, 84])
    left = np.array([58, 44, 96, 40, 65, 55])
    labels = np.zeros((188, 6), bool)
    for row, size in enumerate(sizes):
        chosen = np.argsort(-left, kind="stable")[:size]
        labels[row, chosen] = True
        left[chosen] -= 1
    faces = FaceSet(
        name="jaffe",
        kind="multi",
        label_names=tuple("abcdef"),
        ids=np.arange(188).astype(str),
        labels=labels,
        images=np.zeros((188, 2, 2), np.uint8),
        subject=(np.arange(188) % 10).astype(str),
    )
    assert Jaffe().check(faces) == []
    faces.labels[0, 0] = ~faces.labels[0, 0]
    assert len(Jaffe().check(faces)) == 2


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(100, 500), min_size=6, max_size=6), min_size=1, max_size=5))
def test_whatever_is_rated_is_read(
    tmp_path_factory: pytest.TempPathFactory, hundredths: list[list[int]]
) -> None:
    hundredths = [*hundredths, [400] * 6]
    rows = "".join(
        f"{row} {' '.join(f'{value / 100:.2f}' for value in values)} KM-NE1\n"
        for row, values in enumerate(hundredths, 1)
    )
    readme = f"# HAP SAD SUR ANG DIS FEA PIC\n{rows}"
    files = tuple(f"KM.NE1.{row}.tiff" for row in range(1, len(hundredths) + 1))
    faces = Jaffe().load(write(tmp_path_factory.mktemp("jaffe"), readme, files))
    table = np.array(hundredths)[:, [2, 5, 4, 0, 1, 3]]
    kept = (table > 300).any(axis=1)
    assert np.array_equal(faces.labels, table[kept] > 300)
    expected = table[kept] / table[kept].sum(axis=1, keepdims=True)
    assert np.allclose(faces.distribution, expected, atol=1e-12)


# -- alignment ------------------------------------------------------------------------------------


@pytest.fixture
def women(tmp_path: Path) -> Path:
    """Photographs of one face: upright, turned by 10°, moved by 20 pixels, turned the other way."""
    root = write(tmp_path / "jaffe-faces")
    whole = Image.fromarray(astronaut()).convert("L")
    boxes = {"KM.NE1.1": (100, 0), "KM.HA1.2": (100, 0), "KM.AN1.3": (120, 0), "KA.SA2.4": (100, 0)}
    for (name, (x, y)), degrees in zip(boxes.items(), (0, 10, 0, -10), strict=True):
        face = whole.rotate(degrees, center=(x + 128, y + 128)).crop((x, y, x + 256, y + 256))
        face.save(root / f"{name}.tiff")
    return root


def assert_on_the_template(images: np.ndarray) -> None:
    """Eyes and mouth lie where RAF-ML has them, in 100×100: looked for once more."""
    points, probability = detect(images)
    assert not np.isnan(probability).any()
    corners = np.stack([points[:, 0], points[:, 1], points[:, 3:].mean(axis=1)], axis=1)
    side = images.shape[1]
    np.testing.assert_allclose(corners / side * 100, np.broadcast_to(TARGET, (3, 3, 2)), atol=10)


def test_faces_are_aligned_as_raf_mls_are_when_they_are_read(women: Path) -> None:
    faces = Jaffe(align="mtcnn").load(women)
    assert faces.images is not None
    assert faces.images.shape == (3, 100, 100)
    assert_on_the_template(faces.images)
    assert "aligned to RAF-ML's template by MTCNN's landmarks (affine, 100×100" in faces.notes[-1]
    whole = Jaffe().load(women)
    assert whole.images is not None
    assert whole.images.shape == (3, 256, 256)
    assert not any("aligned" in note for note in whole.notes)
    assert whole.ids.tolist() == faces.ids.tolist()
    assert (whole.labels == faces.labels).all()


@pytest.mark.parametrize("nested", [False, True])
def test_faces_that_the_command_aligned_are_taken(women: Path, nested: bool) -> None:
    """Beside the root where photographs lie in it, else in it."""
    source, out = women, women.with_name("jaffe-faces-aligned")
    if nested:
        source, out = women / "jaffe", women / "aligned"
        source.mkdir()
        for path in women.glob("*.tiff"):
            path.rename(source / path.name)
    with pytest.raises(BenchError) as missing:
        Jaffe(align="given").load(women)
    assert str(missing.value) == (
        f"{out} holds no landmarks.csv, no aligned faces: run bench data align --in {source} "
        f"--out {out}"
    )
    align_folder(source, out)
    given = Jaffe(align="given").load(women)
    assert given.images is not None
    np.testing.assert_array_equal(given.images, Jaffe(align="mtcnn").load(women).images)
    assert "aligned by bench data align (affine, 100×100 pixels; detector " in given.notes[-1]
    picture = source / FILES[1]
    picture.write_bytes((source / FILES[2]).read_bytes() + b"\0")
    with pytest.raises(BenchError, match=r"has no row of .*HA1.2.tiff as it is now: run"):
        Jaffe(align="given").load(women)


def test_a_photograph_without_a_face_is_named(root: Path) -> None:
    with pytest.raises(BenchError, match=r"^MTCNN sees no face in .*HA1.2.tiff, .* take align="):
        Jaffe(align="mtcnn").load(root)  # noise
    align_folder(root, root.with_name("jaffe-data-aligned"))
    with pytest.raises(BenchError, match=r"^MTCNN sees no face in .*HA1.2.tiff"):
        Jaffe(align="given").load(root)
