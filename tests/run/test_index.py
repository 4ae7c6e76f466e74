"""The index of the data: what a second plan reads, and what a job verifies before its record."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from runs import plugin_file, records_of, run_plan

from bench.api import FaceSet
from bench.plugins import Registry
from bench.run import sealed
from bench.run.cache import faces_folder, open_faces, save_faces
from bench.run.index import FaceIndex, files_hash
from bench.run.options import RunOptions
from bench.run.plan import Plan, make_plan
from bench.run.store import Store

METHODS = "prior"


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    folder = tmp_path / "plugins"
    folder.mkdir()
    return plugin_file("ondisk", folder)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "faces" / "below"
    folder.mkdir(parents=True)
    for number in range(30):
        (folder / f"{number:02d}.txt").write_text(str(60 + 3 * number))
    return folder.parent


def plan_of(
    plugin: Path, root: Path, store: Store, said: Callable[[str], None] = lambda sentence: None
) -> Plan:
    options = RunOptions("ondisk", METHODS, root)
    return make_plan(Registry([plugin]), options, FaceIndex(store.cache, said))


def forget() -> None:
    """Let this process look at kept files as a new one does."""
    sealed._seen.clear()


def reads(plugin: Path) -> int:
    log = plugin.with_name("reads.log")
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_a_second_plan_reads_no_image(plugin: Path, root: Path, store: Store) -> None:
    first = plan_of(plugin, root, store)
    second = plan_of(plugin, root, store)
    assert reads(plugin) == 1
    assert [job.key for job in first.jobs] == [job.key for job in second.jobs]
    assert second.faces.fingerprint == first.faces.fingerprint
    assert np.array_equal(second.faces.images, first.faces.images)  # type: ignore[arg-type]
    assert second.findings == first.findings == ("30 images",)
    assert second.jobs[0].cell == first.jobs[0].cell
    assert second.jobs[0].cell.twins == 0


def test_without_a_folder_every_plan_reads(plugin: Path, root: Path) -> None:
    for _ in range(2):
        make_plan(Registry([plugin]), RunOptions("ondisk", METHODS, root))
    assert reads(plugin) == 2


@pytest.mark.parametrize("change", ["size", "time", "name", "new", "gone", "linked"])
def test_a_changed_file_is_read_again(
    plugin: Path, root: Path, store: Store, tmp_path: Path, change: str
) -> None:
    plan_of(plugin, root, store)
    file = root / "below" / "07.txt"
    if change == "size":
        file.write_text("8")
    elif change == "time":
        state = file.stat()
        file.write_text("82")  # as many bytes as before
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    elif change == "name":
        file.rename(file.with_name("77.txt"))
    elif change == "new":
        (root / "99.txt").write_text("99")
    elif change == "gone":
        file.unlink()
    else:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "98.txt").write_text("98")
        (root / "link").symlink_to(elsewhere)
    changed = plan_of(plugin, root, store)
    assert reads(plugin) == 2
    assert (
        changed.faces.fingerprint
        == make_plan(Registry([plugin]), RunOptions("ondisk", METHODS, root)).faces.fingerprint
    )


def test_changed_code_reads_again(plugin: Path, root: Path, store: Store) -> None:
    plan_of(plugin, root, store)
    plugin.with_name("helper.py").write_text("LIMIT = 3\n")  # it might be imported
    plan_of(plugin, root, store)
    assert reads(plugin) == 2
    plugin.write_text(plugin.read_text().replace("values > 99", "values > 98"))
    plan_of(plugin, root, store)
    assert reads(plugin) == 3


def test_kept_faces_may_be_deleted(plugin: Path, root: Path, store: Store) -> None:
    plan = plan_of(plugin, root, store)
    for file in faces_folder(store.cache, plan.faces.fingerprint).iterdir():
        file.unlink()
    faces_folder(store.cache, plan.faces.fingerprint).rmdir()
    assert plan_of(plugin, root, store).faces.fingerprint == plan.faces.fingerprint
    assert reads(plugin) == 2


@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "faces.json"])
@pytest.mark.parametrize("damage", ["empty", "short", "gone"])
def test_damaged_faces_are_read_anew(
    plugin: Path, root: Path, store: Store, name: str, damage: str
) -> None:
    plan = plan_of(plugin, root, store)
    file = faces_folder(store.cache, plan.faces.fingerprint) / name
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(b"" if damage == "empty" else file.read_bytes()[:-20])
    assert plan_of(plugin, root, store).faces.fingerprint == plan.faces.fingerprint
    assert reads(plugin) == 2
    (record,) = records_of(plan_of(plugin, root, store), store)
    assert record.status == "ok"


@pytest.mark.parametrize("kept_time", [False, True])
@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "ids.npy", "faces.json"])
def test_no_record_is_made_from_faces_that_are_not_the_planned_ones(
    plugin: Path, root: Path, store: Store, name: str, kept_time: bool
) -> None:
    whole = plan_of(plugin, root, store)
    (expected,) = records_of(whole, store)
    shutil.rmtree(store.runs)
    path = faces_folder(store.cache, whole.faces.fingerprint) / name
    state, content = path.stat(), bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    if kept_time:
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
        forget()  # this process has seen the file in order
    said: list[str] = []
    plan = plan_of(plugin, root, store, said.append)
    outcomes, heard = run_plan(plan, store)
    (record,) = outcomes.records
    (sentence,) = said + heard.words
    assert sentence == (
        f"{path.parent} is not what was kept ({name} has another content than when it was kept) "
        "and is made anew"
    )
    assert (record.cell, record.criteria) == (expected.cell, expected.criteria)
    assert record.scores_sha256 == expected.scores_sha256
    assert plan.findings == whole.findings
    said.clear()
    assert plan_of(plugin, root, store, said.append).jobs[0].key == record.key
    assert said == []


@pytest.mark.parametrize("damage", ["empty", "cut", "deep", "text", "other", "list", "flipped"])
def test_a_damaged_finding_is_found_out_anew(
    plugin: Path, root: Path, store: Store, damage: str
) -> None:
    whole = plan_of(plugin, root, store)
    files = sorted((store.cache / "index").iterdir())
    healthy = [file.read_bytes() for file in files]
    for number, file in enumerate(files):
        file.write_bytes(
            {
                "empty": b"",
                "cut": healthy[number][:-4],
                "deep": b"[" * 100_000,
                "text": b"\xff\xfe",
                "other": healthy[number - 1],
                "list": b"[1, 2]",
                "flipped": healthy[number].replace(b'"value": ', b'"value": 1', 1),
            }[damage]
        )
    said: list[str] = []
    plan = plan_of(plugin, root, store, said.append)
    assert len(files) == len(said) == 3  # the faces, the findings, the twins
    assert all("is made anew" in sentence for sentence in said)
    assert (plan.findings, plan.jobs[0].cell) == (whole.findings, whole.jobs[0].cell)
    assert [file.read_bytes() for file in files] == healthy


def test_a_plan_hashes_no_pixel_and_a_run_hashes_them_once(
    plugin: Path, root: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    records_of(plan_of(plugin, root, store), store)
    forget()
    hashed: list[str] = []
    real = sealed.sha256

    def counted(file: Path) -> str:
        hashed.append(file.name)
        return real(file)

    monkeypatch.setattr(sealed, "sha256", counted)
    records_of(plan_of(plugin, root, store), store)  # all there
    assert "labels.npy" in hashed
    assert "images.npy" not in hashed
    shutil.rmtree(store.runs)
    records_of(plan_of(plugin, root, store), store)
    assert hashed.count("images.npy") == 1


def test_links_that_lead_back_end(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.txt").write_text("1")
    before = files_hash(tmp_path)
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert files_hash(tmp_path) == before


def test_a_mapped_file_has_the_fingerprint_of_its_array(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    faces = FaceSet(
        "noise",
        "multi",
        ("a", "b"),
        np.array(["x", "y", "é"]),
        rng.random((3, 2)) < 0.5,
        images=rng.integers(0, 255, (3, 700, 701), np.uint8),  # more than one block
        landmarks=np.asfortranarray(rng.random((3, 5, 2))),
    )
    save_faces(tmp_path, faces)
    mapped = open_faces(tmp_path, faces.fingerprint)
    assert isinstance(mapped.images, np.memmap)
    assert mapped.fingerprint == faces.fingerprint
    assert mapped.take(slice(1, 3)).fingerprint == faces.take(slice(1, 3)).fingerprint
    assert faces.noted("seen").fingerprint == faces.fingerprint
