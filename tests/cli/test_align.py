"""``bench data align``: every photograph ends as a face or is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import Bench
from csv_files import read_csv
from PIL import Image
from skimage.data import astronaut

from bench.api import BenchError
from bench.cli.main import main
from bench.data import align_folder as module
from bench.data.align_folder import Report, align_folder
from bench.data.images import read_image
from bench.data.landmarks import detect
from bench.render.rendering import portray


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A face, the same turned with an EXIF tag, a landscape, a broken file and a text."""
    folder = tmp_path / "photographs"
    (folder / "sub").mkdir(parents=True)
    face = Image.fromarray(astronaut()).crop((100, 0, 356, 256))
    face.save(folder / "face.jpg", quality=95)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° clockwise
    face.rotate(90, expand=True).save(folder / "sub" / "turned.jpg", quality=95, exif=exif)
    Image.new("RGB", (120, 90), (30, 90, 200)).save(folder / "sky.png")
    (folder / "broken.jpg").write_bytes(b"no image")
    (folder / "notes.txt").write_text("mine")
    return folder


def table(out: Path) -> dict[str, dict[str, str]]:
    return {row["file"]: row for row in read_csv(out / "landmarks.csv")}


def points(row: dict[str, str]) -> np.ndarray:
    return np.array([float(row[column]) for column in module.COLUMNS[3:13]]).reshape(5, 2)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_command_names_what_it_does_not_find(
    bench: Bench, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "faces"
    done = bench("data", "align", "--in", photographs, "--out", out, "--size", 80)
    assert done.returncode == 1, done.stderr
    assert done.stdout.strip() == str(out / "landmarks.csv")
    assert "no face found in sky.png" in done.stderr
    assert "broken.jpg" in done.stderr
    assert "2 faces aligned, 1 without a face, 1 unreadable" in done.stderr
    assert files(out) == {"face.png", "sub/turned.png", "landmarks.csv"}
    rows = table(out)
    assert [rows[name]["found"] for name in sorted(rows)] == ["0", "1", "0", "1"]
    assert rows["face.jpg"]["transform"] == "affine"
    assert str(photographs) not in (out / "landmarks.csv").read_text()
    # Both in pixels of the upright photograph.
    np.testing.assert_allclose(points(rows["face.jpg"]), points(rows["sub/turned.jpg"]), atol=2)
    # Looked for once more in the aligned face, the eyes lie on the template.
    face, _ = read_image(out / "face.png", "RGB")
    assert face.shape == (80, 80, 3)
    eyes = detect(face[np.newaxis])[0][0, :2]
    np.testing.assert_allclose(eyes, [[16, 24], [64, 24]], atol=6)
    for broken in ("broken.jpg", "sky.png"):
        (photographs / broken).unlink()
    assert main(["data", "align", "--in", f"{photographs}", "--out", f"{out}", "--size", "80"]) == 0
    assert "2 were done before" in capsys.readouterr().err
    assert set(table(out)) == {"face.jpg", "sub/turned.jpg"}


def test_only_what_changed_is_done_again(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, searched = tmp_path / "faces", []

    def counted(images: np.ndarray, device: str) -> tuple[np.ndarray, np.ndarray]:
        searched.append(images.shape)
        return detect(images, device)

    monkeypatch.setattr(module, "detect", counted)
    first = align_folder(photographs, out)
    assert (first.aligned, first.faceless, first.unchanged) == (2, ["sky.png"], 0)
    assert len(searched) == 3
    before = (out / "landmarks.csv").read_bytes()
    second = align_folder(photographs, out)
    assert len(searched) == 3
    assert (second.aligned, second.faceless, second.unchanged) == (2, ["sky.png"], 3)
    assert second.unreadable == first.unreadable
    assert (out / "landmarks.csv").read_bytes() == before
    (out / "face.png").unlink()
    shutil.copy(photographs / "face.jpg", photographs / "sky.png")  # other content
    assert align_folder(photographs, out).aligned == 3
    assert len(searched) == 5
    assert align_folder(photographs, out, transform="similarity").unchanged == 0
    assert {row["transform"] for row in table(out).values()} == {"similarity"}


def test_an_interruption_costs_the_file_in_work(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole_run = tmp_path / "faces", tmp_path / "whole"
    align_folder(photographs, whole_run)

    def interrupted(images: np.ndarray, device: str) -> tuple[np.ndarray, np.ndarray]:
        if images.shape[1:3] == (90, 120):
            raise KeyboardInterrupt
        return detect(images, device)

    with monkeypatch.context() as patch:
        patch.setattr(module, "detect", interrupted)
        with pytest.raises(KeyboardInterrupt):
            align_folder(photographs, out)
    assert table(out)["face.jpg"]["found"] == "1"
    with (out / "landmarks.csv").open("a") as file:
        file.write("sky.png,1,0.9")  # a line cut short
    assert align_folder(photographs, out).unchanged == 1
    assert (out / "landmarks.csv").read_bytes() == (whole_run / "landmarks.csv").read_bytes()
    assert files(out) == files(whole_run)


def test_faces_that_are_gone_go(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "faces"
    align_folder(photographs, out)
    (out / "mine.png").write_bytes(b"not from bench")
    (photographs / "face.jpg").unlink()
    shutil.copy(photographs / "broken.jpg", photographs / "sub" / "turned.jpg")
    report = align_folder(photographs, out)
    assert report.aligned == 0
    assert len(report.unreadable) == 2
    assert files(out) == {"landmarks.csv", "mine.png"}


def test_rendered_faces_stay_marked(tmp_path: Path) -> None:
    source, out = tmp_path / "twin", tmp_path / "faces"
    images, _ = portray(np.eye(6)[:2], seed=1)
    (source / "a").mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(source / "a" / f"{number}.png")
    (source / "SYNTHETIC.json").write_text("{}")
    assert align_folder(source, out) == Report(aligned=2)
    assert json.loads((out / "SYNTHETIC.json").read_text())["generated_by"] == "bench"
    # And each face without its folder, whose own faces then mark what is made of them.
    assert read_image(out / "a" / "0.png", "RGB")[1]
    shutil.copy(out / "a" / "0.png", tmp_path / "0.png")
    (tmp_path / "alone").mkdir()
    shutil.move(tmp_path / "0.png", tmp_path / "alone" / "0.png")
    align_folder(tmp_path / "alone", tmp_path / "again")
    assert (tmp_path / "again" / "SYNTHETIC.json").is_file()


def test_what_cannot_be_done_is_one_sentence(photographs: Path, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "landmarks.csv").write_text("file,x\n")
    for source, out, message in (
        (photographs, full, "neither new nor empty"),
        (photographs, full / "file", "neither new nor empty"),
        (photographs, photographs / "out", "lie in one another"),
        (photographs, tmp_path, "lie in one another"),
        (photographs, foreign, "is not from this command"),
        (tmp_path / "absent", tmp_path / "out", "is no folder"),
        (tmp_path / "empty", tmp_path / "out", "no image"),
    ):
        with pytest.raises(BenchError, match=message):
            align_folder(source, out)
    with pytest.raises(BenchError, match="larger --size"):
        align_folder(photographs, tmp_path / "out", size=0)
    assert not (tmp_path / "out").exists()
    assert files(full) == {"file"}


def test_what_systems_leave_is_left_alone(photographs: Path, tmp_path: Path) -> None:
    (photographs / "broken.jpg").unlink()
    (photographs / "sky.png").unlink()
    fork = b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(64)
    litter = ("._face.jpg", "sub/._turned.jpg", "__MACOSX/._face.jpg", "__MACOSX/sub/face.jpg")
    litter += (".DS_Store", "sub/Thumbs.db", "desktop.ini", ".thumbnails/face.png")
    for name in litter:
        (photographs / name).parent.mkdir(exist_ok=True)
        (photographs / name).write_bytes(fork)
    said: list[str] = []
    report = align_folder(photographs, tmp_path / "out", notify=said.append)
    assert (report.aligned, report.faceless, report.unreadable) == (2, [], [])
    assert report.others == 1 + len(litter)  # and notes.txt
    assert said == []


def test_every_kind_of_photograph_is_aligned_or_named(photographs: Path, tmp_path: Path) -> None:
    for name in ("sky.png", "broken.jpg"):
        (photographs / name).unlink()
    (photographs / "face.jpg").rename(photographs / "face.JFIF")
    (photographs / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    # 16 bits a pixel, and values up to 255: black.
    grey = np.asarray(Image.fromarray(astronaut()).convert("L"), np.uint16)
    Image.fromarray(grey).save(photographs / "unscaled.png")
    report = align_folder(photographs, tmp_path / "out")
    assert report.aligned == 2
    assert (tmp_path / "out" / "face.png").is_file()
    assert len(report.unreadable) == 2
    assert "phone.HEIC is in a format that bench does not read (.heic)" in report.unreadable[0]
    assert "unscaled.png is black" in report.unreadable[1]


def test_photographs_of_one_name_are_all_named_and_stop_nothing(
    photographs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (photographs / "broken.jpg").unlink()
    for name in ("face.bmp", "face.png", "sub/turned.png"):
        Image.open(photographs / "face.jpg").save(photographs / name)
    (photographs / "face.heic").write_bytes(b"a phone's")  # has no face that could be in the way
    report = align_folder(photographs, out)
    assert report.aligned == 2
    assert [sentence for sentence in report.unreadable if "rename one" in sentence] == [
        "face.bmp and face.jpg would both become face.png: rename one",
        "face.bmp and face.png would both become face.png: rename one",
        "sub/turned.jpg and sub/turned.png would both become sub/turned.png: rename one",
    ]
    assert table(out)["face.bmp"]["aligned"] == "face.png"
    # The face stays when another file takes its name.
    for name in ("face.bmp", "face.png", "face.heic", "sub/turned.png"):
        (photographs / name).unlink()
    assert align_folder(photographs, out).unreadable == []
    assert files(out) == {"face.png", "sub/turned.png", "landmarks.csv"}
    assert align_folder(photographs, out).unchanged == 3
