"""The results folder: whole files, records, index, lock, versions."""

from __future__ import annotations

import json
import multiprocessing
import os
import sqlite3
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tasks import hold

from bench.api import BenchError
from bench.data.files import build_folder, whole, write_text
from bench.run.job import Cell, Protocol
from bench.run.record import Record
from bench.run.store import Store

CELL = Cell(
    dataset="tiny", kind="multi", fingerprint="f" * 64, synthetic=True, label_names=("a", "b"),
    protocol=Protocol("official"), split="official", split_hash="0" * 64,
    n_train=3, n_valid=0, n_test=2, twins=0, features="lbp", features_params={}, classifier="mlknn",
    classifier_params={"k": 1},
    stochastic=False, seed=0, budget="any", selection="none",
)  # fmt: skip
RECORD = Record("k1", CELL, "ok", criteria={"hamming_loss": 1 / 3, "coverage": None})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "results")
    made.open()
    return made


def test_a_record_is_read_back_as_it_was_written(store: Store) -> None:
    store.write(RECORD)
    assert store.read("k1") == RECORD
    assert store.read("k2") is None


def test_scores_come_back_and_damage_is_noticed(store: Store) -> None:
    truth, scores = np.array([[True, False]]), np.array([[0.25, 0.5]])
    digest = store.write_scores("k1", np.array(["x"]), truth, scores, None)
    record = replace(RECORD, scores_sha256=digest)
    back = store.scores(record)
    assert back is not None
    assert np.array_equal(back[0], truth)
    assert np.array_equal(back[1], scores)
    assert back[2] is None
    path = store.runs / "k1" / "scores.npz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BenchError, match="damaged"):
        store.scores(record)
    path.unlink()
    assert store.scores(record) is None


def test_an_interrupted_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def interrupted() -> None:
        with whole(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_folder_is_not_there(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_folder(tmp_path / "made", fill)
    assert list(tmp_path.iterdir()) == []


def test_the_index_serves_unchanged_records_and_never_stale_ones(store: Store) -> None:
    for number in range(3):
        store.write(replace(RECORD, key=f"k{number}"))
    store.rebuild()
    before = store.records()
    assert [record.key for record in before] == ["k0", "k1", "k2"]
    # served from the index: the file's body is not opened while size and time agree
    path = store.runs / "k0" / "record.json"
    stat, text = path.stat(), path.read_text()
    path.write_text("x" * len(text))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert store.records() == before
    # a changed one is read anew
    store.write(replace(RECORD, key="k0", status="error", reason="changed"))
    assert store.records()[0].reason == "changed"


@pytest.mark.parametrize("damage", ["not a database", ""])
def test_a_damaged_index_costs_nothing(store: Store, damage: str) -> None:
    store.write(RECORD)
    (store.root / "index.sqlite").write_text(damage)
    assert store.records() == [RECORD]
    store.rebuild()
    with sqlite3.connect(store.root / "index.sqlite") as base:
        assert base.execute("SELECT key, status FROM record").fetchall() == [("k1", "ok")]


def test_a_folder_of_another_version_is_refused(store: Store) -> None:
    about = store.root / "bench.json"
    about.write_text(json.dumps({"schema": 99, "made_by": "7.0"}))
    with pytest.raises(BenchError, match=r"bench 7\.0 \(schema 99"):
        store.open()
    about.write_text("{")
    with pytest.raises(BenchError, match="cannot be read"):
        store.open()


@pytest.mark.parametrize(
    "text", ["", "{}", '{"schema": 1}', '{"schema": 2}', "[1]", '{"schema":1,"cell":{}}']
)
def test_a_damaged_record_names_its_file(store: Store, text: str) -> None:
    path = store.runs / "k1" / "record.json"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(BenchError, match=r"record\.json"):
        store.read("k1")


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no results folder"):
        Store(tmp_path).check()


def test_sweep_removes_what_a_killed_process_left(store: Store) -> None:
    left = [
        store.root / ".index.sqlite.1.tmp",
        store.runs / "k1" / ".record.json.1.tmp",
        store.cache / "faces" / ".abc.1.tmp" / "images.npy",
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    store.write(RECORD)
    store.sweep()
    assert not any(path.exists() for path in left)
    assert store.read("k1") == RECORD


def test_a_second_run_waits_for_the_first_and_says_for_whom(store: Store) -> None:
    context = multiprocessing.get_context("spawn")
    holding, release = context.Event(), context.Event()
    other = context.Process(target=hold, args=(store.root, holding, release))
    other.start()
    assert holding.wait(30)
    messages: list[str] = []
    got = threading.Event()

    def want() -> None:
        with store.locked(messages.append):
            got.set()

    thread = threading.Thread(target=want)
    thread.start()
    time.sleep(0.6)
    assert not got.is_set()
    assert messages == [messages[0]]
    assert f"process {other.pid}" in messages[0]
    other.kill()  # the kernel drops a dead process's lock
    other.join()
    thread.join(10)
    assert got.is_set()
