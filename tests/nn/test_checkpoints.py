"""Checkpoints: whole or not there, and the one before where one is damaged."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.api import BenchError
from bench.data.files import DiskFullError
from bench.nn import checkpoints as module
from bench.nn.checkpoints import Checkpoint, CheckpointClock, Checkpoints

IDENTITY = {"network": "little", "seed": 2**61 + 1, "shapes": {"a": [2, 3]}}


def checkpoint(epoch: int, **more: Any) -> Checkpoint:
    weights = torch.full((2, 3), float(epoch))
    parts: dict[str, Any] = {
        "state": {"a": weights, "step": torch.tensor(1.5), "half": weights.bfloat16()},
        "best": {"a": weights + 1},
        "about": {"history": [{"loss": 0.1 + epoch}], "value": None},
    }
    return Checkpoint(epoch, **{**parts, **more})


def store(folder: Path, **identity: Any) -> Checkpoints:
    return Checkpoints(folder, {**IDENTITY, **identity}, [].append)


def filled(folder: Path, best: tuple[int, ...] = (1, 2, 3)) -> Path:
    checkpoints = store(folder)
    for epoch, best_epoch in enumerate(best, start=1):
        checkpoints.save(checkpoint(epoch), best_epoch)
    return folder


def same(found: Checkpoint | None, wanted: Checkpoint) -> None:
    assert found is not None
    assert (found.epoch, found.about) == (wanted.epoch, wanted.about)
    for one, other in ((found.state, wanted.state), (found.best, wanted.best)):
        assert one.keys() == other.keys()
        for name, tensor in other.items():
            assert one[name].dtype == tensor.dtype
            assert torch.equal(one[name], tensor)


def test_what_is_saved_is_found(tmp_path: Path) -> None:
    assert store(tmp_path).latest() is None
    assert store(tmp_path / "nowhere").latest() is None
    for epoch in (1, 2):
        store(tmp_path).save(checkpoint(epoch), epoch)
        same(store(tmp_path).latest(), checkpoint(epoch))


def test_layouts_and_shared_tensors_are_taken(tmp_path: Path) -> None:
    last = torch.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last)
    state = {"a": last, "transposed": last[0, 0].T, "again": last}
    store(tmp_path).save(checkpoint(1, state=state), 1)
    same(store(tmp_path).latest(), checkpoint(1, state=state))


def test_two_generations_are_kept(tmp_path: Path) -> None:
    filled(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best-0002.safetensors",
        "best-0003.safetensors",
        "epoch-0002-state.safetensors",
        "epoch-0002.json",
        "epoch-0003-state.safetensors",
        "epoch-0003.json",
    ]


def test_the_best_weights_are_written_once(tmp_path: Path) -> None:
    filled(tmp_path, (1, 2, 2, 2))
    assert [path.name for path in tmp_path.glob("best-*")] == ["best-0002.safetensors"]
    found = store(tmp_path).latest()
    assert found is not None
    assert torch.equal(found.best["a"], checkpoint(2).best["a"])
    again = store(tmp_path)
    again.latest()
    before = (tmp_path / "best-0002.safetensors").stat().st_mtime_ns
    again.save(checkpoint(5), 2)
    assert (tmp_path / "best-0002.safetensors").stat().st_mtime_ns == before


def test_at_the_end_one_checkpoint_without_state_is_left(tmp_path: Path) -> None:
    filled(tmp_path)
    store(tmp_path).save(checkpoint(4, state={}), 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best-0003.safetensors",
        "epoch-0004.json",
    ]
    same(store(tmp_path).latest(), checkpoint(4, state={}))


def test_where_no_epoch_is_chosen_weights_are_written_once(tmp_path: Path) -> None:
    store(tmp_path).save(checkpoint(1, best={}), 1)
    assert not list(tmp_path.glob("best-*"))
    same(store(tmp_path).latest(), checkpoint(1, best={}))


def test_epochs_are_numbers_not_words(tmp_path: Path) -> None:
    checkpoints = store(tmp_path)
    for epoch in (9998, 9999, 10000, 10001):
        checkpoints.save(checkpoint(epoch), epoch)
    assert len(list(tmp_path.glob("epoch-*.json"))) == 2
    same(store(tmp_path).latest(), checkpoint(10001))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def other_loss(path: Path) -> None:
    text = path.read_text()
    assert "3.1" in text
    path.write_text(text.replace("3.1", "3.2"))


DAMAGES: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "state cut": ("epoch-0003-state.safetensors", cut),
    "state flipped": ("epoch-0003-state.safetensors", flip),
    "state lost": ("epoch-0003-state.safetensors", Path.unlink),
    "best flipped": ("best-0003.safetensors", flip),
    "best lost": ("best-0003.safetensors", Path.unlink),
    "entry cut": ("epoch-0003.json", lambda path: path.write_text(path.read_text()[:40])),
    "entry empty": ("epoch-0003.json", lambda path: path.write_text("")),
    "entry a list": ("epoch-0003.json", lambda path: path.write_text("[1]")),
    "entry without files": ("epoch-0003.json", lambda path: path.write_text("{}")),
    "entry of bytes": ("epoch-0003.json", lambda path: path.write_bytes(b"\xff\xfe\x00")),
    "entry with another loss": ("epoch-0003.json", other_loss),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_the_one_before_a_damaged_one_is_used(tmp_path: Path, name: str) -> None:
    filled(tmp_path)
    file, damage = DAMAGES[name]
    damage(tmp_path / file)
    messages: list[str] = []
    checkpoints = Checkpoints(tmp_path, IDENTITY, messages.append)
    same(checkpoints.latest(), checkpoint(2))
    assert len(messages) == 1
    assert "checkpoint epoch-0003.json is damaged (" in messages[0]
    assert "training goes on from the one before it" in messages[0]
    checkpoints.save(checkpoint(3), 3)
    same(store(tmp_path).latest(), checkpoint(3))


def test_both_damaged_starts_anew_and_keeps_what_is_new(tmp_path: Path) -> None:
    filled(tmp_path)
    for epoch in (2, 3):
        flip(tmp_path / f"epoch-000{epoch}-state.safetensors")
    messages: list[str] = []
    checkpoints = Checkpoints(tmp_path, IDENTITY, messages.append)
    assert checkpoints.latest() is None
    assert len(messages) == 2
    checkpoints.save(checkpoint(1), 1)
    same(store(tmp_path).latest(), checkpoint(1))
    assert len(list(tmp_path.glob("epoch-*.json"))) == 1


def test_another_training_s_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    filled(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(BenchError, match="holds the checkpoints of another training; name another"):
        store(tmp_path, seed=1).latest()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("failing", ["epoch-0004-state", "best-0004", "epoch-0004.json"])
def test_a_full_disk_loses_nothing_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    filled(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def full(kind: str) -> None:
        write: Any = getattr(Path, kind)

        def write_some(self: Path, content: Any, **more: Any) -> Any:
            if failing not in self.name:
                return write(self, content, **more)
            write(self, content[:10], **more)
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, kind, write_some)

    full("write_bytes")
    full("write_text")
    with pytest.raises(DiskFullError, match=r"disk full while writing .*what is finished"):
        store(tmp_path).save(checkpoint(4), 4)
    monkeypatch.undo()
    assert {path: path.read_bytes() for path in before} == before
    assert not list(tmp_path.glob(".*.tmp"))
    same(store(tmp_path).latest(), checkpoint(3))
    store(tmp_path).save(checkpoint(4), 4)
    same(store(tmp_path).latest(), checkpoint(4))


def test_leftovers_of_a_killed_process_do_no_harm(tmp_path: Path) -> None:
    filled(tmp_path)
    for name in ("epoch-0009.json", "best-0009.safetensors"):
        (tmp_path / f".{name}.123.tmp").write_text("{")
    (tmp_path / "epoch-0004-state.safetensors").write_bytes(b"killed before the entry was there")
    (tmp_path / "curve.csv").write_text("epoch\n")
    same(store(tmp_path).latest(), checkpoint(3))
    store(tmp_path).save(checkpoint(4), 4)
    same(store(tmp_path).latest(), checkpoint(4))


def test_nothing_outside_json_and_safetensors_is_read_back(tmp_path: Path) -> None:
    filled(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    entry = json.loads((tmp_path / "epoch-0003.json").read_text())
    assert set(entry) == {"epoch", "identity", "files", "about", "sha256"}


def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[float]:
    """A clock that stands still until it is set forward."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    while True:
        now[0] += yield now[0]


def test_checkpoints_take_a_tenth_of_the_time_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock(monkeypatch)
    next(now)
    saving = CheckpointClock()
    assert saving.due()  # the first at once
    with saving:
        now.send(3)
    assert not saving.due()
    now.send(29)
    assert not saving.due()
    now.send(1)
    assert saving.due()
