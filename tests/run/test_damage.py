"""Damage in the cache: what a cell is made from is made anew, and the numbers are the same."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from runs import run_plan

from bench.api import FaceSet
from bench.data.files import DiskFullError
from bench.plugins import Registry
from bench.run import cache, sealed
from bench.run.options import RunOptions
from bench.run.plan import Plan, make_plan
from bench.run.record import Record
from bench.run.sealed import DamagedError, check, keep, open_array, write_array
from bench.run.store import Store

METHODS = "halves+nearest,net,net+nearest,alone"


def plan_of(tiny: Path) -> Plan:
    return make_plan(Registry([tiny]), RunOptions("tiny", METHODS))


def numbers(records: list[Record]) -> list[tuple[object, ...]]:
    return [(r.status, r.key, r.criteria, r.scores_sha256, r.notes) for r in records]


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def _reverse(path: Path) -> None:
    array = np.load(path)
    np.save(path, array[::-1])


def _more_rows(path: Path) -> None:
    array = np.load(path)
    np.save(path, np.concatenate([array[:3], array]))


def _as_float64(path: Path) -> None:
    np.save(path, np.load(path).astype(np.float64))


def _a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "flipped": _flip,
    "gone": Path.unlink,
    "a folder": _a_folder,
}
ARRAYS = {"reversed": _reverse, "more rows": _more_rows, "another type": _as_float64}
FACES = ("labels.npy", "images.npy", "ids.npy", "split.npy", "faces.json", "seal.json")
FEATURES = ("matrix.npy", "scores.npy", "labels.npy", "about.json", "seal.json")
CASES = [
    *(("faces", name, how) for name in FACES for how in DAMAGE),
    *(("features", name, how) for name in FEATURES for how in DAMAGE),
    *(("faces", name, how) for name in ("labels.npy", "images.npy", "split.npy") for how in ARRAYS),
    *(("features", "matrix.npy", how) for how in ARRAYS),
    ("features", "scores.npy", "more rows"),
]


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[Record]]:
    from runs import plugin_file

    folder = tmp_path_factory.mktemp("untouched")
    tiny = plugin_file("tiny", folder)
    store = Store(folder / "results")
    records = run_plan(plan_of(tiny), store)[0].records
    shutil.rmtree(store.runs)
    return tiny, store.root, records


@pytest.mark.parametrize(("what", "name", "how"), CASES)
def test_damage_is_a_miss_that_heals(
    untouched: tuple[Path, Path, list[Record]], tmp_path: Path, what: str, name: str, how: str
) -> None:
    tiny, root, expected = untouched
    store = Store(tmp_path / "results")
    shutil.copytree(root, store.root)
    damaged = sorted(store.cache.glob(f"{what}/*/{name}"))
    assert damaged
    for path in damaged:
        (DAMAGE | ARRAYS)[how](path)
    sealed._seen.clear()
    outcomes, heard = run_plan(plan_of(tiny), store)
    assert numbers(outcomes.records) == numbers(expected)
    told = [sentence for sentence in heard.words if sentence.endswith("and is made anew")]
    assert {sentence.split(" is not what was kept (")[0] for sentence in told} == {
        str(path.parent) for path in damaged
    }
    assert all(sum(str(path.parent) in one for one in told) == 1 for path in damaged)
    shutil.rmtree(store.runs)
    sealed._seen.clear()
    again, quiet = run_plan(plan_of(tiny), store)
    assert numbers(again.records) == numbers(expected)
    assert quiet.words == []


@pytest.mark.parametrize("what", ["faces", "features"])
@pytest.mark.parametrize("how", ["swapped", "a copy", "a stray file", "a file", "a link"])
def test_a_folder_is_tied_to_its_name(
    untouched: tuple[Path, Path, list[Record]], tmp_path: Path, what: str, how: str
) -> None:
    tiny, root, expected = untouched
    store = Store(tmp_path / "results")
    shutil.copytree(root, store.root)
    folders = sorted((store.cache / what).iterdir())
    if how == "a stray file":
        write_array(folders[0] / "distribution.npy", np.full((60, 3), 1 / 3))
    elif how == "a file":
        shutil.rmtree(folders[0])
        folders[0].write_text("x")
    elif how == "a link":
        folders[0].rename(tmp_path / "elsewhere")
        folders[0].symlink_to(tmp_path / "gone")
    elif what == "faces":  # of another dataset, under this one's name
        other = Store(tmp_path / "other")
        run_plan(make_plan(Registry([tiny]), RunOptions("tiny[images=20]", "alone")), other)
        shutil.rmtree(folders[0])
        shutil.copytree(next((other.cache / "faces").iterdir()), folders[0])
    else:
        shutil.copytree(folders[0], tmp_path / "first")
        shutil.rmtree(folders[0])
        shutil.copytree(folders[1], folders[0])
        if how == "swapped":
            shutil.rmtree(folders[1])
            shutil.copytree(tmp_path / "first", folders[1])
    sealed._seen.clear()
    outcomes, _ = run_plan(plan_of(tiny), store)
    assert numbers(outcomes.records) == numbers(expected)


def test_workers_heal_what_they_find(
    untouched: tuple[Path, Path, list[Record]], tmp_path: Path
) -> None:
    tiny, root, expected = untouched
    store = Store(tmp_path / "results")
    shutil.copytree(root, store.root)
    for path in store.cache.glob("features/*/matrix.npy"):
        _flip(path)
    outcomes, heard = run_plan(plan_of(tiny), store, workers=2)
    assert numbers(outcomes.records) == numbers(expected)
    assert len(heard.words) == len(set(heard.words)) == 2


def test_what_cannot_be_healed_is_one_failed_cell(
    untouched: tuple[Path, Path, list[Record]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that loses what is written to it."""
    tiny, root, expected = untouched
    store = Store(tmp_path / "results")
    shutil.copytree(root, store.root)

    def lost(folder: Path) -> None:
        raise DamagedError(folder, "lost")

    monkeypatch.setattr("bench.run.measure.open_features", lost)
    outcomes, _ = run_plan(plan_of(tiny), store)
    *failed, good = outcomes.records
    assert all("in vain: is the disk in order?" in record.reason for record in failed)
    assert good.criteria == expected[-1].criteria


# -- seals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4),
        np.arange(12.0).reshape(3, 4)[:, ::2],
        np.asfortranarray(np.arange(12).reshape(3, 4)),
        np.array(["é", "x", ""]),
        np.zeros((0, 5), np.float32),
        np.zeros((4, 0)),
        np.array(3),
        np.random.default_rng(0).integers(0, 255, (3000, 50, 50), np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_an_array_comes_back_as_it_was(tmp_path: Path, array: np.ndarray) -> None:
    keep(tmp_path / "kept", lambda folder: write_array(folder / "a.npy", array))
    back = open_array(tmp_path / "kept", "a.npy", check(tmp_path / "kept"))
    assert back is not None
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)
    reference = tmp_path / "reference.npy"
    np.save(reference, np.ascontiguousarray(array) if array.ndim else array)
    assert (tmp_path / "kept/a.npy").read_bytes() == reference.read_bytes()


def test_a_seal_says_what_is_kept(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    keep(tmp_path / "kept", lambda folder: write_array(folder / "a.npy", array))
    seal = json.loads((tmp_path / "kept/seal.json").read_text())
    assert seal["folder"] == "kept"
    about = seal["files"]["a.npy"]
    assert (about["dtype"], about["shape"], about["bytes"]) == ("<i2", [2, 3], 140)


@pytest.mark.parametrize("field", ["dtype", "shape", "bytes", "sha256"])
def test_a_changed_seal_is_damage(tmp_path: Path, field: str) -> None:
    keep(tmp_path / "kept", lambda folder: write_array(folder / "a.npy", np.arange(3)))
    path = tmp_path / "kept/seal.json"
    seal = json.loads(path.read_text())
    seal["files"]["a.npy"][field] = {"dtype": "<f8", "shape": [4], "bytes": 1, "sha256": "0"}[field]
    path.write_text(json.dumps(seal))
    with pytest.raises(DamagedError, match="its seal is damaged"):
        check(tmp_path / "kept")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="asks for /dev/full")
def test_a_full_disk_is_told_while_faces_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = FaceSet(
        "noise", "multi", ("a", "b"), np.array(["x", "y"]), np.eye(2, dtype=bool),
        images=np.zeros((2, 300, 300), np.uint8),
    )  # fmt: skip
    monkeypatch.setattr(
        cache, "write_array", lambda file, array: write_array(Path("/dev/full"), array)
    )
    with pytest.raises(DiskFullError, match="free some space and run the same command again"):
        cache.save_faces(tmp_path, faces)
    assert not list(tmp_path.rglob("*.npy"))
