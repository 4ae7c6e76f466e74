"""The mark on generated data: found wherever a layout may hide it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.data import marker
from bench.data.marker import is_synthetic, mark


def test_unmarked_and_absent_folders(tmp_path: Path) -> None:
    (tmp_path / "Image").mkdir()
    (tmp_path / "Image" / "a.jpg").write_bytes(b"")
    assert not is_synthetic(tmp_path)
    assert not is_synthetic(tmp_path / "absent")


@pytest.mark.parametrize("marked", [".", "Image", "Image/aligned", "Image/aligned/aligned"])
@pytest.mark.parametrize("asked", [".", "Image", "Image/aligned/aligned"])
def test_found_above_in_and_below(tmp_path: Path, marked: str, asked: str) -> None:
    (tmp_path / "Image" / "aligned" / "aligned").mkdir(parents=True)
    mark(tmp_path / marked)
    assert is_synthetic(tmp_path / asked)


def test_depth_bounds_the_search(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    mark(tmp_path / "a" / "b")
    assert is_synthetic(tmp_path, depth=2)
    assert not is_synthetic(tmp_path, depth=1)


def test_a_link_does_not_hide_it(tmp_path: Path) -> None:
    (tmp_path / "made" / "Image").mkdir(parents=True)
    mark(tmp_path / "made")
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "RAF-ML"
    link.symlink_to(tmp_path / "made" / "Image")
    assert is_synthetic(link)
    assert is_synthetic(tmp_path / "elsewhere")


@pytest.mark.parametrize("content", ["", "{", '{"synthetic": false}', "\0"])
def test_what_the_file_says_does_not_matter(tmp_path: Path, content: str) -> None:
    (tmp_path / marker.FILE_NAME).write_text(content)
    assert is_synthetic(tmp_path)


def test_mark_says_what_was_made(tmp_path: Path) -> None:
    path = mark(tmp_path, seed=3, images=10)
    assert path == tmp_path / "SYNTHETIC.json"
    assert json.loads(path.read_text()) == {"generated_by": "bench", "seed": 3, "images": 10}
