"""The results folder: whole files, records, index, lock, versions."""

from __future__ import annotations

import errno
import fcntl
import json
import multiprocessing
import os
import random
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from records import record as measured
from tasks import hold

from bench.api import BenchError
from bench.data.files import build_folder, whole, write_text
from bench.run.job import Cell, Protocol
from bench.run.record import Record, RecordError
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


def test_no_changed_byte_of_the_index_changes_a_record_or_blames_one(store: Store) -> None:
    kept = [measured(key=f"k{number}", quality=1 + number) for number in range(3)]
    for record in kept:
        store.write(record)
    store.rebuild()
    index = store.root / "index.sqlite"
    healthy, rng = index.read_bytes(), random.Random(7)
    for _ in range(100):
        content = bytearray(healthy)
        for _ in range(rng.choice([1, 1, 20])):
            content[rng.randrange(len(content))] = rng.randrange(256)
        index.write_bytes(content)
        assert store.records() == kept
    index.write_bytes(healthy.replace(b'"ok"', b'"no"'))
    assert store.records() == kept


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE record SET body = CAST(replace(CAST(body AS TEXT), '0.', '9.') AS BLOB)",
        "UPDATE record SET body = 'text'",
        "UPDATE record SET body = NULL, sha256 = NULL",
        "UPDATE record SET key = 'k9' WHERE key = 'k1'; UPDATE record SET key = 'k1' "
        "WHERE key = 'k2'; UPDATE record SET key = 'k2' WHERE key = 'k9'",
        "UPDATE record SET sha256 = 7",
        "ALTER TABLE record DROP COLUMN sha256",  # the index of an older version
    ],
)
def test_the_record_has_the_last_word(store: Store, sql: str) -> None:
    kept = [replace(measured(quality=1 + number), key=f"k{number}") for number in (1, 2)]
    for record in kept:
        store.write(record)
    state = (store.runs / "k1" / "record.json").stat()
    os.utime(store.runs / "k2" / "record.json", ns=(state.st_atime_ns, state.st_mtime_ns))
    store.rebuild()
    with sqlite3.connect(store.root / "index.sqlite") as base:
        base.executescript(sql)
    assert store.records() == kept


@pytest.mark.parametrize("name", ["run#2", "what?", "a%41", "caf\udce9", "a b&mode=rw"])
def test_the_index_is_found_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path / name)
    store.open()
    store.write(RECORD)
    store.rebuild()
    path = store.runs / "k1" / "record.json"
    state, size = path.stat(), path.stat().st_size
    path.write_text("x" * size)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert store.records() == [RECORD]  # from the index
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


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
    "content",
    [
        b"",
        b"{}",
        b"[1]",
        b"null",
        b'{"schema": 1}',
        b'{"schema": 2}',
        b'{"schema":1,"cell":{}}',
        b'{"schema":1,"cell":{"protocol":1}}',
        b'{"schema": 99}',
        b"\xff\xfe{}",
        b'{"schema": "\xe9"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\0" * 500,
    ],
    ids=lambda content: str(content[:12]),
)
def test_a_damaged_record_names_its_file(store: Store, content: bytes) -> None:
    path = store.runs / "k1" / "record.json"
    path.parent.mkdir()
    path.write_bytes(content)
    for read in (lambda: store.read("k1"), store.records):
        with pytest.raises(RecordError, match=r"k1/record\.json: not a record of bench"):
            read()
    assert not store.has("k1")


@pytest.fixture
def kept(store: Store) -> Record:
    """A record with criteria, replicates and everything, in the folder."""
    record = measured(key="k1")
    store.write(record)
    return record


def change(store: Store, alter: Callable[[dict[str, Any]], object], hashed: bool = True) -> Path:
    """Change the values in k1's record.json, without its hash if so asked; the file."""
    path = store.runs / "k1" / "record.json"
    values = json.loads(path.read_text("utf-8"))
    alter(values)
    if not hashed:
        del values["sha256"]
    path.write_text(json.dumps(values), "utf-8")
    return path


ALTERED: dict[str, Callable[[dict[str, Any]], object]] = {
    "not a number": lambda r: r["criteria"].update(average_precision=float("nan")),
    "infinite": lambda r: r["seconds"].update(fit=float("inf")),
    "text": lambda r: r["criteria"].update(average_precision="0.9"),
    "rows as text": lambda r: r["cell"].update(n_train="x"),
    "no criteria": lambda r: r.update(criteria={}),
    "a list": lambda r: r.update(criteria=[]),
    "status": lambda r: r.update(status="fine"),
    "status missing": lambda r: r.pop("status"),
    "another field": lambda r: r.update(extra=1),
    "replicates": lambda r: r["bootstrap"]["values"].update(coverage="eJw!"),
    "replicates no text": lambda r: r["bootstrap"]["values"].update(coverage=7),
}
CONSISTENT: dict[str, Callable[[dict[str, Any]], object]] = {
    "a digit": lambda r: r["criteria"].update(average_precision=0.94),
    "seed": lambda r: r["cell"].update(seed=1),
    "tied rows": lambda r: r.update(tied_rows=0.5),
    "method": lambda r: r["cell"].update(classifier="rakel"),
    "note": lambda r: r.update(notes=["nothing"]),
    "scores": lambda r: r.update(scores_sha256="1" * 64),
    "hash": lambda r: r.update(sha256="0" * 64),
    "no hash": lambda r: r.update(sha256=""),
    "hash of none": lambda r: r.update(sha256=None),
    "hash of another type": lambda r: r.update(sha256=0),
}


@pytest.mark.parametrize("alter", (ALTERED | CONSISTENT).values(), ids=[*ALTERED, *CONSISTENT])
def test_a_record_is_tied_to_its_hash(store: Store, kept: Record, alter: Any) -> None:
    path = change(store, alter)
    with pytest.raises(RecordError) as caught:
        store.read("k1")
    assert caught.value.where == path
    assert "\n" not in str(caught.value)
    told: list[RecordError] = []
    store.write(replace(kept, key="k2"))
    assert [record.key for record in store.records(told.append)] == ["k2"]
    assert [error.where for error in told] == [path]
    store.rebuild()  # what is damaged is in no index, and stops none


@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
def test_what_a_record_without_hash_says_is_looked_at(
    store: Store, kept: Record, alter: Any
) -> None:
    change(store, alter, hashed=False)
    with pytest.raises(RecordError, match=r"k1/record\.json"):
        store.read("k1")


def test_a_record_written_before_there_were_hashes_is_read(store: Store, kept: Record) -> None:
    change(store, lambda values: None, hashed=False)
    assert store.read("k1") == kept


def test_a_record_laid_out_in_another_way_is_the_same(store: Store, kept: Record) -> None:
    change(store, lambda values: None)
    assert store.read("k1") == kept


def test_a_record_of_another_cell_is_refused(store: Store, kept: Record) -> None:
    path = store.runs / "k2" / "record.json"
    write_text(path, (store.runs / "k1" / "record.json").read_text("utf-8"))
    for read in (lambda: store.read("k2"), store.records):
        with pytest.raises(RecordError, match="it is the record of another cell, k1"):
            read()


def test_no_changed_byte_of_a_record_gives_another_number(store: Store, kept: Record) -> None:
    path = store.runs / "k1" / "record.json"
    healthy, rng = path.read_bytes(), random.Random(5)
    refused = []
    for _ in range(300):
        content = bytearray(healthy)
        content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(content)
        try:
            assert store.read("k1") == kept  # a blank for a line break, say
        except RecordError as error:
            refused.append(error.where)
    assert len(refused) > 250
    assert set(refused) == {path}


@pytest.mark.parametrize("text", ["caf\udce9", "\ud83d", "\udcff.png"])
def test_a_record_may_speak_of_names_that_are_not_utf8(store: Store, text: str) -> None:
    cell = replace(CELL, dataset=text, features_params={"weights": text})
    store.write(Record("k1", cell, "error", reason=text, traceback=text, notes=(text,)))
    back = store.read("k1")
    assert back is not None
    assert back.reason.isascii()
    assert back.cell.features_params["weights"].startswith(("caf\\xe9", "\\ud83d", "\\xff.png"))


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


# -- where it lies, and who holds it ------------------------------------------------------------


def test_a_folder_stays_where_it_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store(Path("results"))
    store.open()
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    store.write(RECORD)
    assert (tmp_path / "results/runs/k1/record.json").is_file()
    assert not list((tmp_path / "else").iterdir())
    assert store.tuning.root == tmp_path / "results/tuning"


def test_the_lock_takes_arguments_of_any_bytes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "run", "--root", "/data/caf\udce9"])
    with store.locked(lambda who: None):
        assert b"--root /data/caf\\xe9)" in (store.root / "lock").read_bytes()


def test_who_waits_reads_a_lock_of_any_bytes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    (store.root / "lock").write_bytes(b"process 1 (bench --root caf\xe9)\n")
    real, calls = fcntl.flock, []

    def busy(file: int, how: int) -> None:
        calls.append(how)
        if len(calls) < 2:
            raise BlockingIOError
        real(file, how)

    monkeypatch.setattr(fcntl, "flock", busy)
    said: list[str] = []
    with store.locked(said.append):
        assert said == [r"process 1 (bench --root caf\xe9)"]


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO, errno.ENOSYS])
def test_a_file_system_without_locks_is_told(
    store: Store, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refused(file: int, how: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.raises(BenchError) as caught, store.locked(lambda who: None):
        pass
    assert str(caught.value) == (
        f"{store.root}/lock cannot be locked ({os.strerror(code)}): {store.root} lies on a file "
        "system without locks; name a local folder with --results"
    )
