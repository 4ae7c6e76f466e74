"""Official layouts that bench writes: read back by the dataset's own loader, always marked."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builtin import dataset_class
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bench.api import BenchError, FaceSet
from bench.data import marker
from bench.data.images import SYNTHETIC_COMMENT
from bench.render import layouts
from bench.render.layouts import LAYOUTS, write_raf_ml

Synthetic = dataset_class("synthetic")
RafML = dataset_class("raf-ml")


@pytest.fixture(scope="module")
def faces() -> FaceSet:
    loaded: FaceSet = Synthetic(images=25).load(None)
    return loaded


def test_the_raf_ml_loader_reads_it_back(faces: FaceSet, tmp_path: Path) -> None:
    out = tmp_path / "made" / "here"
    LAYOUTS["raf-ml"](faces, out, {"images": 25, "seed": 0})
    read: FaceSet = RafML().load(out)
    assert read.synthetic
    assert read.ids.tolist() == faces.ids.tolist()
    np.testing.assert_array_equal(read.labels, faces.labels)
    np.testing.assert_array_equal(read.split, faces.split)
    assert read.distribution is not None
    assert faces.distribution is not None
    np.testing.assert_allclose(read.distribution, faces.distribution, atol=2.1e-6)
    assert read.images is not None
    assert faces.images is not None
    difference = np.abs(read.images.astype(int) - faces.images.astype(int))
    assert difference.mean() < 4  # JPEG


def test_text_files_are_in_the_official_format(faces: FaceSet, tmp_path: Path) -> None:
    write_raf_ml(faces, tmp_path)
    texts = {path.name: path.read_text() for path in (tmp_path / "EmoLabel").iterdir()}
    assert set(texts) == {"distribution.txt", "multilabel.txt", "partition_label.txt"}
    assert faces.split is not None
    for i, line in enumerate(texts["distribution.txt"].splitlines()):
        name, *shares = line.split(" ")
        assert name == f"{i + 1:04d}.jpg"
        assert all(len(share) == 8 and share[1] == "." for share in shares)
        assert abs(sum(map(float, shares)) - 1) <= 1e-6
        chosen = [int(float(share) >= 1 / 6 - 1e-9) for share in shares]
        assert texts["multilabel.txt"].splitlines()[i] == f"{name} {' '.join(map(str, chosen))}"
        assert chosen == faces.labels[i].astype(int).tolist()
        flag = int(faces.split[i] == 2)
        assert texts["partition_label.txt"].splitlines()[i] == f"{name} {flag}"


def test_the_folder_and_every_image_say_that_bench_made_them(
    faces: FaceSet, tmp_path: Path
) -> None:
    write_raf_ml(faces, tmp_path, {"seed": 7})
    mark = json.loads((tmp_path / marker.FILE_NAME).read_text())
    assert mark["dataset"] == "synthetic"
    assert mark["images"] == 25
    assert mark["params"] == {"seed": 7}
    assert mark["version"]
    files = sorted((tmp_path / "Image" / "aligned").iterdir())
    assert [file.name for file in files] == [f"{i:04d}_aligned.jpg" for i in range(1, 26)]
    for file in files:
        with Image.open(file) as image:
            assert image.info["comment"] == SYNTHETIC_COMMENT.encode()
            assert image.size == (100, 100)
    # the comment alone gives it away where the marker is lost
    (tmp_path / marker.FILE_NAME).unlink()
    assert RafML().load(tmp_path).synthetic


@pytest.mark.parametrize("at", ["0003_aligned.jpg", "multilabel.txt", "partition_label.txt"])
def test_what_an_interruption_leaves_is_marked_and_refused(
    faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    save, write = Image.Image.save, layouts._write

    def full(path: Path) -> None:
        if path.name == at:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

    def save_until(self: Image.Image, path: Path, **options: Any) -> None:
        full(path)
        save(self, path, **options)

    def write_until(path: Path, *rest: Any) -> None:
        full(path)
        write(path, *rest)

    monkeypatch.setattr(Image.Image, "save", save_until)
    monkeypatch.setattr(layouts, "_write", write_until)
    with pytest.raises(BenchError, match=f"{at} cannot be written .No space left"):
        write_raf_ml(faces, tmp_path)
    assert marker.is_synthetic(tmp_path)
    with pytest.raises(BenchError):
        RafML().load(tmp_path)


def test_refuses_a_folder_with_something_in_it(faces: FaceSet, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(BenchError, match="not empty"):
        write_raf_ml(faces, tmp_path)
    with pytest.raises(BenchError, match="is a file"):
        write_raf_ml(faces, tmp_path / "mine.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"synthetic": False}, "is real data"),
        ({"distribution": None}, "cannot be written as raf-ml"),
        ({"split": None}, "cannot be written as raf-ml"),
        ({"split": np.ones(25, np.int8)}, "only train and test"),
    ],
)
def test_refuses_other_data(
    faces: FaceSet, tmp_path: Path, change: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(BenchError, match=complaint):
        write_raf_ml(replace(faces, **change), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@given(st.lists(st.integers(0, 12), min_size=6, max_size=6).filter(any))
def test_six_decimals_keep_sum_and_labels(votes: list[int]) -> None:
    share = np.array([votes]) / sum(votes)
    parts = layouts._six_decimals(share)
    sixths = 6 * np.array(votes) == sum(votes)
    assert parts.sum() == (1_000_002 if sixths.all() else 1_000_000)
    np.testing.assert_array_equal(parts[0] / 1e6 >= 1 / 6 - 1e-9, share[0] >= 1 / 6 - 1e-9)
    assert np.abs(parts / 1e6 - share).max() < 2.1e-6
