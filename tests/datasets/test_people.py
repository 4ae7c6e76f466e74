"""Folders of persons: read as they lie, refused in a sentence that names the path."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builtin import dataset_class
from PIL import Image

from bench.api import BenchError, FaceSet, InputError
from bench.data import marker
from bench.kit.examine import CHECKS, subjects, verdict
from bench.plugins import Registry
from bench.render.layouts import LAYOUTS, write_people
from bench.render.rendering import draw_people
from bench.run.options import RunOptions
from bench.run.plan import make_plan

People = dataset_class("people")
SyntheticPeople = dataset_class("synthetic-people")


def picture(
    path: Path, side: tuple[int, int] = (250, 250), value: int = 0, mode: str = "RGB"
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(value).integers(0, 256, (side[1], side[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two persons; pictures of several sizes, modes and formats, and what lies about."""
    root = tmp_path / "CASIA-WebFace"
    picture(root / "0000099" / "002.jpg", value=1)
    picture(root / "0000099" / "001.jpg", (112, 96), value=2)
    picture(root / "0000045" / "001.png", (30, 40), value=3, mode="L")
    picture(root / "0000045" / ".hidden.jpg")
    (root / "0000045" / "Thumbs.db").write_bytes(b"x")
    (root / "landmarks.csv").write_text("file\n")
    return root


def test_persons_and_pictures_in_the_order_of_their_names(root: Path) -> None:
    faces = People().load(root)
    assert faces.ids.tolist() == ["0000045/001.png", "0000099/001.jpg", "0000099/002.jpg"]
    assert faces.subject.tolist() == ["0000045", "0000099", "0000099"]
    assert (faces.kind, faces.label_names, faces.labels.shape) == ("people", (), (3, 0))
    assert faces.notes == ("3 images of 2 persons, 1 to 2 each",)
    assert not faces.synthetic
    assert len(faces.fingerprint) == 64
    assert faces.take(np.array([2, 0])).subject.tolist() == ["0000099", "0000045"]


@pytest.mark.parametrize(("size", "colour"), [(64, "grey"), (48, "rgb")])
def test_pictures_are_resized_as_pillow_does(root: Path, size: int, colour: str) -> None:
    faces = People(size=size, colour=colour).load(root)
    assert faces.images.shape == (3, size, size) + ((3,) if colour == "rgb" else ())
    for name, pixels in zip(faces.ids, faces.images, strict=True):
        with Image.open(root / name) as image:
            mode = "L" if colour == "grey" else "RGB"
            wanted = image.convert(mode).resize((size, size), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(pixels, np.asarray(wanted))


def test_size_and_colour_are_part_of_the_fingerprint(root: Path) -> None:
    prints = {
        People(**params).load(root).fingerprint
        for params in ({}, {"size": 48}, {"colour": "rgb"}, {"size": 48})
    }
    assert len(prints) == 3


def refusal(root: Path | None) -> str:
    with pytest.raises(BenchError) as caught:
        People().load(root)
    return str(caught.value)


def test_what_is_no_folder_of_persons_is_one_sentence(root: Path, tmp_path: Path) -> None:
    assert "--root DIR" in refusal(None)
    assert f"{tmp_path / 'gone'} does not exist" in refusal(tmp_path / "gone")
    assert "landmarks.csv is a file" in refusal(root / "landmarks.csv")
    (tmp_path / "nothing" / "below" / "much").mkdir(parents=True)
    assert f"{tmp_path / 'nothing'} holds no images in a folder per person" in refusal(
        tmp_path / "nothing"
    )
    (tmp_path / "bare").mkdir()
    assert "bare holds no images" in refusal(tmp_path / "bare")
    assert "0000099 holds images, but none in a folder per person" in refusal(root / "0000099")
    assert f"one folder too high: pass {root}," in refusal(tmp_path)


def test_one_person_an_empty_folder_and_strays_are_named(root: Path) -> None:
    (root / "0000100").mkdir()
    assert f"{root / '0000100'} holds no images (1 such folder(s)" in refusal(root)
    (root / "0000100").rmdir()
    picture(root / "stray.jpg")
    assert f"{root / 'stray.jpg'} does not lie where PERSON/IMAGE" in refusal(root)
    (root / "stray.jpg").unlink()
    (root / "0000045" / "more").mkdir()
    assert f"{root / '0000045' / 'more'} does not lie where" in refusal(root)
    (root / "0000045" / "more").rmdir()
    for path in (root / "0000045").iterdir():
        path.unlink()
    (root / "0000045").rmdir()
    message = refusal(root)
    assert f"{root} holds one person only ('0000099')" in message


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_an_unreadable_file_is_named(root: Path, content: bytes) -> None:
    (root / "0000099" / "003.jpg").write_bytes(content)
    assert str(root / "0000099" / "003.jpg") in refusal(root)


def test_a_cut_file_is_named(root: Path) -> None:
    path = root / "0000099" / "002.jpg"
    path.write_bytes(path.read_bytes()[:2000])
    assert str(path) in refusal(root)


def test_nothing_can_be_measured_on_people(root: Path) -> None:
    for dataset, where in (("people", root), ("synthetic-people", None)):
        with pytest.raises(BenchError, match="has no expression labels, so that nothing can be"):
            make_plan(Registry(), RunOptions(dataset, "prior", where))


def test_a_people_set_has_subjects_and_no_labels() -> None:
    faces = FaceSet(
        "a",
        "people",
        (),
        np.array(["1"]),
        np.zeros((1, 0), bool),
        images=np.zeros((1, 8, 8), np.uint8),
        subject=np.array(["x"]),
    )
    with pytest.raises(BenchError, match="people have no labels, and a subject"):
        replace(faces, subject=None)
    with pytest.raises(BenchError, match="people have no labels, and a subject"):
        replace(faces, label_names=("joy",), labels=np.zeros((1, 1), bool))


# -- the rendered ones ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rendered() -> FaceSet:
    faces: FaceSet = SyntheticPeople(images=24, identities=4).load()
    return faces


def test_every_person_has_as_many_pictures_and_all_differ(rendered: FaceSet) -> None:
    assert rendered.subject is not None
    assert rendered.images is not None
    names, counts = np.unique(rendered.subject, return_counts=True)
    assert counts.tolist() == [6] * 4
    assert (np.sort(rendered.subject) == rendered.subject).all()
    assert len(np.unique(rendered.images.reshape(24, -1), axis=0)) == 24
    assert all(name.split("/")[0] in names for name in rendered.ids)
    assert len(set(rendered.ids)) == 24
    assert rendered.synthetic


def test_pictures_of_one_person_are_more_alike(rendered: FaceSet) -> None:
    assert rendered.images is not None
    assert rendered.subject is not None
    skin = rendered.images[:, 30:70, 30:70].mean(axis=(1, 2))
    apart = np.linalg.norm(skin[:, None] - skin[None], axis=2)
    same = rendered.subject[:, None] == rendered.subject[None]
    others = ~np.eye(len(skin), dtype=bool)
    assert apart[same & others].mean() < 0.8 * apart[~same].mean()


def test_nobody_is_in_the_expression_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    module = __import__(SyntheticPeople.__module__, fromlist=["draw_people"])
    monkeypatch.setattr(
        module, "draw_people", lambda count, seed: asked.append(seed) or draw_people(count, seed)
    )
    SyntheticPeople(images=8, identities=2, seed=5).load()
    (seed,) = asked
    assert draw_people(3, seed).tolist() != draw_people(3, 5).tolist()
    assert seed > 999_999


def test_a_person_with_one_picture_is_refused() -> None:
    with pytest.raises(InputError, match="fewer than two pictures"):
        SyntheticPeople(images=11, identities=6).load()


def test_the_folder_written_is_read_back(rendered: FaceSet, tmp_path: Path) -> None:
    out = tmp_path / "rendered"
    LAYOUTS["people"](rendered, out, {"seed": 0})
    assert json.loads((out / marker.FILE_NAME).read_text())["params"] == {"seed": 0}
    read = People(size=100, colour="rgb").load(out)
    assert read.synthetic
    assert read.ids.tolist() == rendered.ids.tolist()
    assert read.subject.tolist() == rendered.subject.tolist()  # type: ignore[union-attr]
    assert np.abs(read.images.astype(int) - rendered.images.astype(int)).mean() < 4  # type: ignore[union-attr]
    (out / marker.FILE_NAME).unlink()
    assert People().load(out).synthetic  # the images say so too


def test_only_rendered_people_are_written(rendered: FaceSet, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="is real data"):
        write_people(replace(rendered, synthetic=False), tmp_path / "a")
    other = dataset_class("synthetic-single")(images=20).load(None)
    with pytest.raises(BenchError, match="cannot be written as people"):
        write_people(other, tmp_path / "a")
    with pytest.raises(BenchError, match="cannot be written as raf-ml"):
        LAYOUTS["raf-ml"](rendered, tmp_path / "a")
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BenchError, match="not empty"):
        write_people(rendered, tmp_path)


@pytest.mark.parametrize("name", ["people", "synthetic-people"])
def test_both_pass_the_kit(name: str) -> None:
    entry, _ = Registry().find("dataset", name)
    for subject in subjects(entry):
        findings = [verdict(subject, "Dataset", check) for check in CHECKS["Dataset"]]
        assert [one for one in findings if one.status == "failed"] == []


def test_what_systems_leave_is_nobody(root: Path) -> None:
    expected = People().load(root)
    litter = ("__MACOSX/0000045/._001.png", "0000045/._001.png", ".DS_Store", "desktop.ini")
    litter += ("0000099/Thumbs.db", "@eaDir/0000045/001.png", "0000045/__MACOSX/001.png")
    for name in litter:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    assert People().load(root).fingerprint == expected.fingerprint


def test_photographs_as_browsers_and_telephones_save_them(root: Path) -> None:
    (root / "0000099" / "001.jpg").rename(root / "0000099" / "001.jfif")
    assert People().load(root).ids.tolist()[1] == "0000099/001.jfif"
    (root / "0000099" / "003.heic").write_bytes(b"x")
    with pytest.raises(BenchError, match=r"003\.heic is in a format that bench does not read"):
        People().load(root)
