"""A training that was killed or stopped ends with the weights of one that was not."""

from __future__ import annotations

import errno
import itertools
import multiprocessing
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import (
    Killed,
    Little,
    LittleAdam,
    die_in,
    epoch_used,
    fit,
    train_and_die,
    weights,
    without_times,
)

from bench.api import BenchError
from bench.data.files import DiskFullError
from bench.nn import train as module
from bench.nn.checkpoints import CheckpointClock
from bench.nn.updates import Updater

NETWORKS = {"sgd": Little, "adam": LittleAdam}

pytestmark = pytest.mark.usefixtures("float32")


PLACES = [
    *(("a step", n) for n in (1, 2, 4, 6, 9, 12)),
    *(("the judge", n) for n in (1, 2, 4)),
    *(("writing", n) for n in (1, 2, 3, 4)),
    *(("pruning", n) for n in (1, 2, 4)),
    ("logging", 3),
]


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    """Trainings that nothing interrupted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "trains_in_bfloat16", lambda device: False)
        return {name: fit(network()) for name, network in NETWORKS.items()}


@pytest.mark.usefixtures("every_epoch")
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("place", "number"), PLACES)
def test_killed_anywhere_it_goes_on_to_the_same_weights(
    tmp_path: Path, name: str, place: str, number: int, whole: dict[str, Any]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        die_in(place, number, patch)
        with pytest.raises(Killed):
            fit(NETWORKS[name](), tmp_path)
    found = fit(NETWORKS[name](), tmp_path)
    assert weights(found) == weights(whole[name])
    assert without_times(found.history_) == without_times(whole[name].history_)
    assert epoch_used(found) == epoch_used(whole[name])


@pytest.mark.usefixtures("every_epoch")
@pytest.mark.parametrize("selection", ["valid", "last"])
def test_killed_again_and_again(tmp_path: Path, selection: str) -> None:
    wanted = fit(Little(), selection=selection)
    deaths = 0
    while True:
        with pytest.MonkeyPatch.context() as patch:
            die_in("a step", 5, patch)  # an epoch has three
            try:
                found = fit(Little(), tmp_path, selection=selection)
                break
            except Killed:
                deaths += 1
    assert deaths >= 3
    assert weights(found) == weights(wanted)
    assert without_times(found.history_) == without_times(wanted.history_)


@pytest.mark.usefixtures("every_epoch")
def test_what_is_done_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fit(Little(), tmp_path)
    monkeypatch.setattr(Updater, "update", None)
    again = fit(Little(), tmp_path)
    assert weights(again) == weights(first)
    assert again.threshold_ == first.threshold_
    assert again.earlier_seconds == sum(row["seconds"] for row in first.history_)
    assert len(list(tmp_path.glob("events*"))) == 1


@pytest.mark.usefixtures("every_epoch")
def test_after_a_damaged_checkpoint_it_goes_on_from_the_one_before(
    tmp_path: Path, whole: dict[str, Any]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        die_in("a step", 10, patch)
        with pytest.raises(Killed):
            fit(Little(), tmp_path)
    path = tmp_path / "epoch-0003-state.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.warns(RuntimeWarning, match="epoch-0003.json is damaged"):
        found = fit(Little(), tmp_path)
    assert weights(found) == weights(whole["sgd"])
    assert without_times(found.history_) == without_times(whole["sgd"].history_)
    assert any("epoch-0003.json is damaged" in remark for remark in found.remarks())


@pytest.mark.usefixtures("every_epoch")
def test_the_optimiser_s_tensors_lie_in_memory_as_before(tmp_path: Path) -> None:
    seen: list[set[tuple[int, ...]]] = []

    def watched(self: Any, *arguments: Any) -> Any:
        states = self.optimizer.state.values()
        seen.append({s["momentum_buffer"].stride() for s in states if "momentum_buffer" in s})
        if len(seen) == 5:
            raise Killed
        return real(self, *arguments)

    real = Updater.update
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Updater, "update", watched)
        with pytest.raises(Killed):
            fit(Little(), tmp_path)
        fit(Little(), tmp_path)
    channels_last = (54, 1, 18, 6)
    assert channels_last in seen[4]
    assert channels_last in seen[5]


def test_another_seed_s_folder_is_refepoch_used(tmp_path: Path) -> None:
    fit(Little(), tmp_path)
    with pytest.raises(BenchError, match="another training"):
        fit(Little(), tmp_path, seed=1)


@pytest.mark.usefixtures("every_epoch")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("where", ["checkpoint", "events", "curve"])
def test_a_full_disk_stops_it_and_it_goes_on_once_there_is_room(
    tmp_path: Path, where: str, whole: dict[str, Any]
) -> None:
    from tensorboard.summary.writer.record_writer import RecordWriter

    calls = itertools.count()
    owner, name = {
        "checkpoint": (module.Checkpoints, "_write"),
        "events": (RecordWriter, "write"),
        "curve": (Path, "write_text"),
    }[where]
    real = getattr(owner, name)

    def full(self: Any, *arguments: Any, **more: Any) -> Any:
        if next(calls) >= 3:
            error = OSError(errno.ENOSPC, "No space left on device")
            if where == "checkpoint":
                from bench.data.files import explained

                raise explained(error, self.folder)
            raise error
        return real(self, *arguments, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, full)
        with pytest.raises(DiskFullError, match="disk full while writing"):
            fit(Little(), tmp_path)
    found = fit(Little(), tmp_path)
    assert weights(found) == weights(whole["sgd"])
    assert without_times(found.history_) == without_times(whole["sgd"].history_)


@pytest.mark.slow
def test_killed_for_good_at_random_times(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    rng = random.Random(0)
    wanted, taken_up = weights(fit(LittleAdam())), 0
    for number in range(6):
        folder = tmp_path / str(number)
        for _ in range(2):
            process = context.Process(target=train_and_die, args=(folder, rng.uniform(0, 1.2)))
            process.start()
            process.join(60)
            assert process.exitcode == -9
        taken_up += any(folder.glob("epoch-*.json"))
        assert weights(fit(LittleAdam(), folder)) == wanted, number
    assert taken_up >= 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
@pytest.mark.parametrize("name", NETWORKS)
def test_on_a_gpu_one_seed_gives_the_same_bytes_and_resumes(tmp_path: Path, name: str) -> None:
    def trained(folder: Path | None = None) -> Any:
        found = fit(NETWORKS[name](), folder, device="cuda")
        found.model_.cpu()
        return found

    first = trained()
    assert weights(trained()) == weights(first)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CheckpointClock, "due", lambda self: True)
        die_in("a step", 8, patch)
        with pytest.raises(Killed):
            trained(tmp_path)
    assert weights(trained(tmp_path)) == weights(first)
