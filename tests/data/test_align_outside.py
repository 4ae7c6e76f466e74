"""``bench data align`` removes and writes nothing outside ``--out``, whatever lies in it."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

import numpy as np
import pytest
import shared
from PIL import Image

from bench.api import BenchError
from bench.data import align_folder as module
from bench.data.align_folder import COLUMNS, align_folder


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    Image.new("RGB", (40, 40), (30, 90, 200)).save(folder / "a.png")
    Image.new("RGB", (40, 40), (90, 90, 200)).save(folder / "sub" / "b.png")
    return folder


@pytest.fixture(autouse=True)
def everywhere_a_face(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.array([[[10, 12], [30, 12], [20, 20], [13, 30], [27, 30]]], np.float32)
    monkeypatch.setattr(module, "detect", lambda images, device: (points, np.ones(1, np.float32)))


def earlier(out: Path, **changes: str) -> None:
    """A table as an earlier run would have left it, of a file that is not there any more."""
    out.mkdir(exist_ok=True)
    row = dict.fromkeys(COLUMNS, "0") | {"found": "1", "reason": ""} | changes
    with (out / "landmarks.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerow(row)


def victims(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "victim" / "precious.png", tmp_path / "precious.png", tmp_path / "out.png"]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"precious")
    return paths


def outside(tmp_path: Path, *apart: str) -> dict[str, bytes]:
    return {
        path.relative_to(tmp_path).as_posix(): path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file() and path.relative_to(tmp_path).parts[0] not in apart
    }


@pytest.mark.parametrize(
    "name",
    [
        *(
            "../victim/precious.jpg",
            "../precious.jpg",
            "sub/../../victim/precious.jpg",
            "..",
            "../",
        ),
        *("", ".", "./", "/", "sub/..", "a\0b.jpg", "../out.jpg", "{}/victim/precious.jpg"),
    ],
)
def test_a_row_that_leads_out_is_refused(photographs: Path, tmp_path: Path, name: str) -> None:
    victims(tmp_path)
    out = tmp_path / "out"
    name = name.replace("{}", str(tmp_path))
    earlier(out, file=name)
    before = outside(tmp_path)
    at = re.escape(f"{out / 'landmarks.csv'}:2: {name!r}")
    with pytest.raises(BenchError, match=at):
        align_folder(photographs, out)
    assert outside(tmp_path) == before


@pytest.mark.parametrize("aligned", ["../victim/precious.png", "/etc/hostname", "sub/b.png", ""])
def test_where_a_face_lies_is_never_read_from_a_row(
    photographs: Path, tmp_path: Path, aligned: str
) -> None:
    victims(tmp_path)
    out = tmp_path / "out"
    align_folder(photographs, out)
    face = (out / "a.png").read_bytes()
    table = out / "landmarks.csv"
    table.write_text(table.read_text().replace(",a.png,", f",{aligned},"))
    (out / "a.png").unlink()
    before = outside(tmp_path, "out")
    report = align_folder(photographs, out)
    assert (report.aligned, report.unchanged) == (2, 1)
    assert (out / "a.png").read_bytes() == face
    assert outside(tmp_path, "out") == before


@pytest.mark.parametrize("where", ["sub", "SYNTHETIC.json", "gone"])
def test_a_link_in_the_folder_is_not_followed(
    photographs: Path, tmp_path: Path, where: str
) -> None:
    victims(tmp_path)
    out = tmp_path / "out"
    earlier(out, file="gone/precious.jpg" if where == "gone" else "x.jpg")
    target = tmp_path / "new.json" if where == "SYNTHETIC.json" else tmp_path / "victim"
    (out / where).symlink_to(target)
    (photographs / "SYNTHETIC.json").write_text("{}")
    before = outside(tmp_path, "out")
    with pytest.raises(BenchError, match=rf"out/{where} is a link"):
        align_folder(photographs, out)
    assert outside(tmp_path, "out") == before


def test_a_face_that_is_a_link_is_replaced_and_the_folder_may_be_one(
    photographs: Path, tmp_path: Path
) -> None:
    precious = victims(tmp_path)[0]
    (tmp_path / "real").mkdir()
    out = tmp_path / "out"
    out.symlink_to(tmp_path / "real")
    earlier(out, file="gone.jpg")
    for name in ("a.png", "gone.png"):
        (out / name).symlink_to(precious)
    assert align_folder(photographs, out).aligned == 2
    assert precious.read_bytes() == b"precious"
    assert not (out / "a.png").is_symlink()
    assert not os.path.lexists(out / "gone.png")
    assert (out / "sub/b.png").is_file()


def test_a_table_that_is_none_is_named(photographs: Path, tmp_path: Path) -> None:
    earlier(tmp_path / "out", file="x" * 200_000)
    with pytest.raises(BenchError, match=r"landmarks\.csv:2: field larger than"):
        align_folder(photographs, tmp_path / "out")


@pytest.mark.shared("cases/fuzz/01-align-deletes-outside")
def test_the_reported_case(tmp_path: Path) -> None:
    case = shared.path("cases/fuzz/01-align-deletes-outside")
    (tmp_path / "out").mkdir()
    (tmp_path / "victim").mkdir()
    for name in ("out/landmarks.csv", "victim/precious.png"):
        (tmp_path / name).write_bytes((case / name).read_bytes())
    with pytest.raises(BenchError) as caught:
        align_folder(case / "in", tmp_path / "out")
    assert str(caught.value).startswith(
        f"{tmp_path}/out/landmarks.csv:2: '../victim/precious.jpg' leads out of the folder"
    )
    assert (tmp_path / "victim/precious.png").is_file()
