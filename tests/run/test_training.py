"""Networks that the suite trains, from the command line to the record and the table."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from commands import Bench
from csv_files import read_csv
from runs import Listener, plugin_file, run_plan

from bench.data.files import DiskFullError
from bench.nn import checkpoints, updates
from bench.plugins import Registry
from bench.publish import tables
from bench.run.options import RunOptions
from bench.run.plan import make_plan
from bench.run.record import Record
from bench.run.store import Store


@pytest.fixture
def files(tiny: Path, tmp_path: Path) -> list[Path]:
    return [tiny, plugin_file("mini", tmp_path)]


def measured(
    files: list[Path], store: Store, methods: str = "mini", workers: int = 0, **request: Any
) -> tuple[list[Record], Listener]:
    plan = make_plan(
        Registry(files), RunOptions("tiny", methods, device="cpu", **{"budget": "quick", **request})
    )
    outcomes, listener = run_plan(plan, store, workers=workers, timeout=120)
    return outcomes.records, listener


def note_with(record: Record, word: str) -> str:
    (found,) = [note for note in record.notes if word in note]
    return found


def training(store: Store) -> Path:
    (folder,) = store.training.iterdir()
    return folder


def test_the_record_says_how_it_was_trained(files: list[Path], store: Store) -> None:
    (record,), _ = measured(files, store)
    assert record.status == "ok"
    assert (record.cell.budget, record.cell.selection) == ("quick", "valid")
    assert (record.cell.n_train, record.cell.n_valid, record.cell.n_test) == (36, 12, 12)
    assert note_with(record, "parameters") == "mini: 835 parameters, input 1×10×10 cut from 12"
    assert "trained on 36 images, 6 epochs of 5 batches of 8 in" in note_with(record, "trained on")
    assert "(the best) used" in note_with(record, "trained on")
    assert "(best micro-F1)" in note_with(record, "threshold")
    assert "made for a test" in record.notes
    assert record.provenance["device"] == "cpu"
    assert "images/s when its vectors" in note_with(record, "images/s when")
    folder = training(store)
    lines = (folder / "curve.csv").read_text().splitlines()
    assert len(lines) == 7
    assert {"loss", "learning_rate", "valid"} <= set(lines[0].split(","))
    assert list(folder.glob("events.out.*"))
    assert [path.name for path in folder.glob("epoch-*")] == ["epoch-0006.json"]


def test_smoke_is_short(files: list[Path], store: Store) -> None:
    (record,), _ = measured(files, store, budget="smoke")
    assert record.cell.budget == "smoke"
    assert "1 epochs of 5 batches of 8" in note_with(record, "trained on")


def test_smoke_keeps_curves_and_no_weights(files: list[Path], store: Store) -> None:
    records, _ = measured(files, store, "mini,mini+nearest", budget="smoke")
    assert [record.status for record in records] == ["ok", "ok"]
    folder = training(store)
    assert (folder / "curve.csv").exists()
    assert not list(folder.glob("epoch-*"))
    assert not list(folder.rglob("*.safetensors"))


def test_embeddings_serve_classifiers_and_are_trained_once(files: list[Path], store: Store) -> None:
    records, _ = measured(files, store, "mini,mini+nearest")
    assert [(r.status, r.cell.features, r.cell.classifier) for r in records] == [
        ("ok", "mini", None),
        ("ok", "mini", "nearest"),
    ]
    training(store)  # one


def test_selection_and_budget_are_part_of_the_key(files: list[Path], store: Store) -> None:
    keys = set()
    for request in ({}, {"selection": "last"}, {"selection": "test"}, {"budget": "smoke"}):
        (record,), _ = measured(files, store, **request)
        assert record.status == "ok"
        keys.add(record.key)
    assert len(keys) == 4
    assert len(list(store.training.iterdir())) == 4


def test_without_the_cache_nothing_is_trained_again(
    files: list[Path], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,), _ = measured(files, store)
    shutil.rmtree(store.cache)
    shutil.rmtree(store.runs)
    monkeypatch.setattr(updates.Updater, "update", None)
    (again,), heard = measured(files, store)
    assert heard.finished == 0
    assert again.scores_sha256 == first.scores_sha256
    assert again.criteria == first.criteria
    # How long it took and what was said stays.
    assert note_with(again, "trained on") == note_with(first, "trained on")
    trained = sum(float(row["seconds"]) for row in read_csv(training(store) / "curve.csv"))
    assert again.seconds["features"] > trained


def test_choosing_on_the_test_part_shows(files: list[Path], store: Store) -> None:
    (record,), _ = measured(files, store, selection="test")
    assert "(the best on the test part) used" in note_with(record, "trained on")
    assert "(1/L)" in note_with(record, "threshold")
    paths = tables.write([record], store.tables, scores_of=store.scores)
    (text,) = [path.read_text() for path in paths if path.name == "table.md"]
    assert "epoch chosen ON THE TEST PART" in text


def test_progress_reaches_the_listener(files: list[Path], store: Store) -> None:
    _, heard = measured(files, store, "mini[wait=0.1]", workers=1)
    steps = [word for word in heard.words if "mini[wait=0.1] features, official, seed 0: " in word]
    assert steps[0].endswith("1 of 30 iterations, epoch 1 of 6")
    assert len(steps) >= 2


def test_an_interrupted_training_goes_on(
    files: list[Path], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,), _ = measured(files, Store(tmp_path / "whole"))
    monkeypatch.setattr(checkpoints.CheckpointClock, "due", lambda self: True)
    real, calls = updates.Updater.update, itertools.count()

    def step(self: Any, *arguments: Any) -> Any:
        if next(calls) == 17:
            raise KeyboardInterrupt
        return real(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(updates.Updater, "update", step)
        with pytest.raises(KeyboardInterrupt):
            measured(files, store)
    (folder,) = store.training.iterdir()
    assert list(folder.glob("epoch-0003.json"))
    (record,), _ = measured(files, store)
    assert record.scores_sha256 == whole.scores_sha256
    assert not list(store.root.rglob(".*.tmp"))


def test_a_full_disk_stops_the_run_and_nothing_is_lost(
    files: list[Path], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,), _ = measured(files, Store(tmp_path / "whole"))
    monkeypatch.setattr(checkpoints.CheckpointClock, "due", lambda self: True)
    real = Path.write_bytes

    def write(self: Path, content: bytes) -> int:
        if "epoch-0003-state" in self.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", write)
        with pytest.raises(DiskFullError, match="free some space and run the same command again"):
            measured(files, store)
    (record,), _ = measured(files, store)
    assert record.scores_sha256 == whole.scores_sha256


def test_a_diverging_training_is_an_error_that_says_where(files: list[Path], store: Store) -> None:
    records, _ = measured(files, store, "mini[blow_up=1e30],mini")
    assert [record.status for record in records] == ["error", "ok"]
    assert records[0].reason.startswith("mini failed in fit: mini: training diverged: ")
    assert "in epoch 1 (iteration 5, learning rate" in records[0].reason


def test_a_gpu_that_is_not_there_is_one_sentence(files: list[Path], bench: Bench) -> None:
    words = [word for file in files for word in ("--plugins", file)]
    done = bench(
        *("run", "--dataset", "tiny", "--methods", "mini", "--device", "cuda", *words),
        CUDA_VISIBLE_DEVICES="",
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "--device cuda: " in line
    assert line.endswith("use --device cpu")


@pytest.mark.slow
@pytest.mark.parametrize("after", [5.0, 6.5, 8.0])
def test_ctrl_c_during_training_and_the_same_command_again(
    files: list[Path], tmp_path: Path, after: float
) -> None:
    def command(results: str) -> list[str]:
        words = [str(word) for file in files for word in ("--plugins", file)]
        words += ["--dataset", "tiny", "--methods", "mini[wait=0.2]", "--budget", "quick"]
        words += ["--device", "cpu", "--results", str(tmp_path / results)]
        return [sys.executable, "-m", "bench", "run", *words]

    def scores(results: str) -> str:
        (path,) = (tmp_path / results / "runs").glob("*/record.json")
        return str(json.loads(path.read_text())["scores_sha256"])

    running = subprocess.Popen(
        command("one"), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    )
    time.sleep(after)
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait(60) in (130, -signal.SIGINT)  # before or after Python was ready
    for results in ("one", "other"):
        subprocess.run(command(results), check=True, capture_output=True, timeout=120)
    assert scores("one") == scores("other")
