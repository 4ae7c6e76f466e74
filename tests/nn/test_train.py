"""The training loop: the same weights whatever interrupts it, and what it refuses."""

from __future__ import annotations

import errno
import gc
import itertools
import multiprocessing
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import RECIPE, Little, LittleAdam, fit, some_faces, train_and_die, weights
from torch import nn

from bench.api import BenchError, Setting
from bench.data.files import DiskFullError
from bench.nn import checkpoints
from bench.nn import train as module
from bench.nn.checkpoints import CheckpointClock
from bench.nn.losses.softmax import multilabel_softmax
from bench.nn.output import Batch, Output, Terms
from bench.nn.recipe import SGD, Constant, Recipe
from bench.nn.train import TrainingLoop
from bench.nn.updates import TrainingData, Updater

NETWORKS = {"sgd": Little, "adam": LittleAdam}


class Killed(BaseException):
    """Nothing on the way may catch it, as nothing catches a SIGKILL."""


pytestmark = pytest.mark.usefixtures("float32")


@pytest.fixture
def every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after every epoch, however long it took."""
    monkeypatch.setattr(CheckpointClock, "due", lambda self: True)


def told(history: list[dict[str, float]]) -> list[dict[str, float]]:
    """What has to be the same in every run."""
    return [{k: v for k, v in row.items() if "second" not in k} for row in history]


def recipe_of(network: Any, **changed: Any) -> Any:
    """The network with another recipe."""
    network.recipes = {"paper": replace(network.recipes["paper"], **changed)}
    return network


# -- determinism ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_one_seed_gives_the_same_bytes_and_another_other_weights(name: str) -> None:
    first, second = fit(NETWORKS[name]()), fit(NETWORKS[name]())
    assert weights(first) == weights(second)
    assert told(first.history_) == told(second.history_)
    assert first.threshold_ == second.threshold_
    assert weights(fit(NETWORKS[name](), seed=1)) != weights(first)


def test_global_randomness_neither_matters_nor_changes() -> None:
    first = fit(Little())
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert weights(fit(Little())) == weights(first)
    assert torch.equal(torch.get_rng_state(), before)


def plain_loop(network: Little, faces: Any, seed: int) -> tuple[list[float], nn.Module]:
    """An epoch of SGD with momentum, written out."""
    torch.manual_seed(seed)
    model = network.build(3, 1)
    images = torch.from_numpy(faces.images)[:, None] / 255
    labels = torch.from_numpy(faces.labels).float()
    shares = labels / labels.sum(1, keepdim=True).clamp(min=1)
    generator = torch.Generator().manual_seed(module._mixed_seed(seed, 0, 0))
    order = torch.randperm(len(faces), generator=generator)
    velocity = [torch.zeros_like(p) for p in model.parameters()]
    losses = []
    for start in range(0, len(faces), 16):
        rows = order[start : start + 16]
        loss = multilabel_softmax(model(images[rows]).logits, shares[rows])
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for p, v, g in zip(model.parameters(), velocity, gradients, strict=True):
                v.mul_(0.9).add_(g + 1e-3 * p)
                p.sub_(0.05 * v)
        losses.append(loss.item())
    return losses, model


def test_an_epoch_is_that_of_a_plain_loop() -> None:
    network = recipe_of(
        Little(dropout=0.0), size=14, crop_from=None, flip=False, epochs=1, schedule=Constant()
    )
    network.build = lambda labels, channels: nn.Sequential(nn.Flatten(), Linear())  # type: ignore[method-assign]
    faces = some_faces(40)
    network.setting = Setting(selection="last")
    network.fit(faces, np.random.default_rng(0))
    losses, model = plain_loop(network, faces, int(np.random.default_rng(0).integers(2**62)))
    assert len(losses) == 3
    assert network.history_[0]["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    for one, other in zip(network.model_.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


class Linear(nn.Linear):
    def __init__(self) -> None:
        super().__init__(14 * 14, 3)

    def forward(self, x: torch.Tensor) -> Output:  # type: ignore[override]
        return Output(x, super().forward(x))


def test_rates_follow_the_schedule() -> None:
    network = fit(Little())
    total, batches = RECIPE.length(40), RECIPE.batches(40)
    wanted = [0.05 * RECIPE.schedule.factor((e + 1) * batches - 1, e, total) for e in range(4)]
    assert [row["learning_rate"] for row in network.history_] == pytest.approx(wanted)
    assert [row["iterations"] for row in network.history_] == [3, 6, 9, 12]


def test_iterations_end_in_the_middle_of_an_epoch() -> None:
    network = fit(LittleAdam())
    assert [row["iterations"] for row in network.history_] == [3, 6, 9, 12, 14]


# -- killed and resumed ---------------------------------------------------------------------------


def die_in(place: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be killed when a function is called for the ``number``-th time."""
    owner, name = {
        "a step": (Updater, "update"),
        "the judge": (Little, "_forward"),
        "writing": (module.Checkpoints, "_write"),
        "pruning": (module.Checkpoints, "_prune"),
        "logging": (module.Logbook, "add"),
    }[place]
    real, calls = getattr(owner, name), itertools.count(1)

    def dying(self: Any, *arguments: Any, **more: Any) -> Any:
        if next(calls) == number:
            raise Killed
        return real(self, *arguments, **more)

    monkeypatch.setattr(owner, name, dying)


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
    assert told(found.history_) == told(whole[name].history_)
    assert used(found) == used(whole[name])


def used(network: Any) -> str:
    return network.remarks()[1].rpartition("epoch ")[2]


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
    assert told(found.history_) == told(wanted.history_)


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
    assert told(found.history_) == told(whole["sgd"].history_)
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


def test_another_seed_s_folder_is_refused(tmp_path: Path) -> None:
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
    assert told(found.history_) == told(whole["sgd"].history_)


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


# -- which epoch ----------------------------------------------------------------------------------


class Judge:
    """Says what it was told to say, epoch by epoch."""

    def __init__(self, *values: float) -> None:
        self.values = iter(values)

    def __call__(self, truth: np.ndarray, scores: np.ndarray) -> float:
        return next(self.values)


def after(epochs: int) -> dict[str, bytes]:
    """The weights of the run below after so many epochs, by another way."""
    return weights(fit(recipe_of(Little(), schedule=Constant(), epochs=epochs), selection="last"))


@pytest.mark.parametrize(
    ("values", "epoch"),
    [((4, 3, 2, 1), 1), ((1, 3, 3, 2), 2), ((1, 2, 3, 4), 4), ((-4, -3, -5, -6), 2)],
)
@pytest.mark.parametrize("selection", ["valid", "test"])
def test_the_best_epoch_is_used(values: tuple[float, ...], epoch: int, selection: str) -> None:
    network = recipe_of(Little(), schedule=Constant())
    found = fit(network, selection=selection, judge=Judge(*values))
    assert [row["valid"] for row in found.history_] == list(values)
    assert weights(found) == after(epoch)
    assert used(found).startswith(f"{epoch} (the best")
    assert ("on the test part" in used(found)) == (selection == "test")


def test_last_asks_no_judge() -> None:
    network = recipe_of(Little(), schedule=Constant())
    found = fit(network, selection="last", judge=Judge())
    assert "valid" not in found.history_[0]
    assert weights(found) == after(4)
    assert used(found) == "4 (the last) used"


def test_without_a_judge_the_validation_loss_decides() -> None:
    found = fit(Little())
    assert [row["valid"] < 0 for row in found.history_] == [True] * 4


# -- out of memory --------------------------------------------------------------------------------


class Narrow(Little):
    """Has room for five images at once."""

    name = "narrow"
    room = 5

    def build(self, labels: int, channels: int) -> nn.Module:
        model = super().build(labels, channels)
        forward = model.forward

        def within(x: torch.Tensor) -> Output:
            if model.training and len(x) > self.room:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return forward(x)

        model.forward = within  # type: ignore[method-assign]
        return model


class NarrowPairs(Narrow):
    """Its loss looks at pairs."""

    name = "narrow-pairs"
    sums_over_samples = False


@pytest.mark.filterwarnings("ignore:narrow:RuntimeWarning")
def test_gradients_in_pieces_are_those_of_the_whole(tmp_path: Path) -> None:
    plain = fit(Little(dropout=0.0))
    found = fit(Narrow(dropout=0.0), tmp_path)
    for one, other in zip(found.model_.parameters(), plain.model_.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    losses = [[row["loss"] for row in network.history_] for network in (found, plain)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    said = [remark for remark in found.remarks() if "out of memory" in remark]
    assert said == [
        f"narrow: out of memory; batches of 16 are now computed in {pieces} pieces whose "
        "gradients are added"
        for pieces in (2, 4)
    ]
    # It is said again in the record of a training that was taken up.
    again = fit(Narrow(dropout=0.0), tmp_path)
    assert [remark for remark in again.remarks() if "out of memory" in remark] == said


@pytest.mark.filterwarnings("ignore:narrow:RuntimeWarning")
def test_augmentation_does_not_hang_on_memory() -> None:
    """The batch that is tried again is cut from the same places."""
    seen: list[list[bytes]] = [[], []]
    for drawn, kind in zip(seen, (Narrow, Little), strict=True):
        network = kind(dropout=0.0)
        normalised = network.normalised

        def noted(
            images: torch.Tensor, drawn: list[bytes] = drawn, normalised: Any = normalised
        ) -> torch.Tensor:
            if len(images) in (16, 8):
                drawn.append(images.numpy().tobytes())
            return normalised(images)

        network.normalised = noted  # type: ignore[method-assign]
        fit(network)
    assert list(dict.fromkeys(seen[0])) == list(dict.fromkeys(seen[1]))


@pytest.mark.parametrize(
    ("network", "why"),
    [
        (Narrow(norm=True), "its batch normalisation looks at the whole batch"),
        (NarrowPairs(), "its loss looks at the whole batch"),
    ],
)
def test_where_pieces_would_be_another_method_it_stops(network: Any, why: str) -> None:
    with pytest.raises(BenchError) as caught:
        fit(network)
    said = str(caught.value)
    assert said.startswith(f"{network.name} ran out of memory with a batch of 16, and {why}")
    assert said.endswith("use a device with more memory, or a smaller budget")


@pytest.mark.filterwarnings("ignore:narrow:RuntimeWarning")
def test_no_room_for_one_image_stops_it() -> None:
    network = Narrow()
    network.room = 0
    with pytest.raises(BenchError, match="narrow ran out of memory with one image at a time"):
        fit(network)


def test_a_step_that_found_no_memory_is_not_taken_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = itertools.count()

    def step(self: Any, closure: Any = None) -> None:
        next(calls)
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    with pytest.raises(torch.OutOfMemoryError):
        fit(Little())
    assert next(calls) == 1


# -- no numbers -----------------------------------------------------------------------------------


class Failing(Little):
    """Its loss is no number after some steps."""

    name = "failing"
    after = 0

    def loss(self, out: Output, batch: Batch) -> Terms:
        self.after -= 1
        terms = super().loss(out, batch)
        return Terms(terms.loss * float("nan")) if self.after == 0 else terms


@pytest.mark.usefixtures("every_epoch")
def test_a_loss_that_is_no_number_stops_it(tmp_path: Path) -> None:
    network = recipe_of(Failing(), schedule=Constant())
    network.after = 7  # steps: the judge's losses count too, below
    with pytest.raises(BenchError) as caught:
        fit(network, tmp_path, judge=lambda truth, scores: 0.5)
    said = str(caught.value)
    assert said.startswith(
        "failing: training diverged: the loss is no finite number in epoch 3 (iteration 9, "
        "learning rate 0.05); lower the rate"
    )
    assert said.endswith(f"; the last good checkpoint is in {tmp_path.parent.name}/{tmp_path.name}")
    assert max(tmp_path.glob("epoch-*.json")).name == "epoch-0002.json"


def test_in_the_first_epoch_there_is_no_checkpoint_to_name(tmp_path: Path) -> None:
    network = Failing()
    network.after = 1
    with pytest.raises(BenchError, match=r"in epoch 1 \(iteration 3, .* that are wrong$"):
        fit(network, tmp_path)


class Steep(Little):
    """One step leads to infinity."""

    name = "steep"

    def loss(self, out: Output, batch: Batch) -> Terms:
        return Terms(1e4 * super().loss(out, batch).loss)


@pytest.mark.parametrize("selection", ["valid", "last"])
def test_weights_that_the_last_update_ruined_are_not_kept(tmp_path: Path, selection: str) -> None:
    network = recipe_of(Steep(), optimizer=SGD(1e38), epochs=1, batch=40, schedule=Constant())
    with pytest.raises(BenchError, match="diverged: a weight is no finite number in epoch 1 "):
        fit(network, tmp_path, selection=selection)
    assert not list(tmp_path.glob("epoch-*"))


def test_a_value_that_is_no_number_is_never_the_best() -> None:
    with pytest.raises(BenchError, match="diverged: a score is no finite number in epoch 2"):
        fit(Little(), judge=Judge(0.5, float("nan"), 0.1, 0.1))


# -- precision, compilation -----------------------------------------------------------------------


@pytest.mark.parametrize("mixed", [False, True])
def test_bfloat16_where_it_pays(monkeypatch: pytest.MonkeyPatch, mixed: bool) -> None:
    monkeypatch.setattr(module, "trains_in_bfloat16", lambda device: mixed)
    kinds = set()

    class Watching(Little):
        name = "watching"

        def loss(self, out: Output, batch: Batch) -> Terms:
            kinds.add(out.logits.dtype)
            return super().loss(out, batch)

    network = Watching()
    first = fit(network)
    assert kinds == {torch.float32}
    assert {p.dtype for p in first.model_.parameters()} == {torch.float32}
    assert any(("bfloat16 on cpu" if mixed else "float32 on cpu") in r for r in first.remarks())
    assert weights(fit(Watching())) == weights(first)
    monkeypatch.setattr(module, "trains_in_bfloat16", lambda device: not mixed)
    assert weights(fit(Watching())) != weights(first)


def test_a_training_that_went_on_in_another_precision_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        die_in("a step", 6, patch)
        with pytest.raises(Killed):
            fit(Little(), tmp_path)
    monkeypatch.setattr(module, "trains_in_bfloat16", lambda device: True)
    found = fit(Little(), tmp_path)
    assert {row["bfloat16"] for row in found.history_} == {0.0, 1.0}
    threads = f"cpu, {torch.get_num_threads()} thread(s)"
    told = f"images/s, float32 on {threads} and bfloat16 on {threads})"
    assert any(told in remark for remark in found.remarks())


def test_a_finished_training_says_how_many_threads_it_had_then(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)
        fit(Little(), tmp_path)
    finally:
        torch.set_num_threads(before)
    again = fit(Little(), tmp_path)
    assert any(f"on cpu, {before + 1} thread(s))" in remark for remark in again.remarks())


@pytest.mark.slow  # a compiler starts
def test_compiled_steps_give_nearly_the_same_weights() -> None:
    plain, compiled = fit(Little(dropout=0.0)), fit(Little(dropout=0.0, compile=True))
    for one, other in zip(compiled.model_.parameters(), plain.model_.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


# -- what is told ---------------------------------------------------------------------------------


class TwoTerms(Little):
    """A loss with named terms."""

    name = "two-terms"

    def loss(self, out: Output, batch: Batch) -> Terms:
        first = super().loss(out, batch).loss
        second = out.embedding.square().mean()
        return Terms(first + second, {"first": first, "second": second})


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder)).Reload()
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


@pytest.mark.usefixtures("every_epoch")
@pytest.mark.parametrize("killed", [False, True])
def test_learning_curves_are_written(tmp_path: Path, killed: bool) -> None:
    if killed:  # the third epoch is in the events, but in no checkpoint
        with pytest.MonkeyPatch.context() as patch:
            die_in("writing", 5, patch)
            with pytest.raises(Killed):
                fit(TwoTerms(), tmp_path, judge=Judge(1, 2, 3))
        assert len(events(tmp_path)["loss"]) == 3
    network = fit(TwoTerms(), tmp_path, judge=Judge(*((3, 4) if killed else (1, 2, 3, 4))))
    found = events(tmp_path)
    history = network.history_
    assert {"loss", "first", "second", "learning_rate", "valid"} <= set(found)
    for name in ("loss", "first", "second", "learning_rate", "valid", "iterations"):
        assert [step for step, _ in found[name]] == [1, 2, 3, 4]
        assert [value for _, value in found[name]] == pytest.approx([row[name] for row in history])
    lines = (tmp_path / "curve.csv").read_text().splitlines()
    assert lines[0].startswith("epoch,iterations,learning_rate,loss,first,second,valid,")
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2", "3", "4"]
    assert [float(line.split(",")[3]) for line in lines[1:]] == [row["loss"] for row in history]
    for row in history:
        assert row["loss"] == pytest.approx(row["first"] + row["second"], rel=1e-5)


def test_progress_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[int, int, str]] = []
    monkeypatch.setattr(module, "_REPORTED_EVERY", 0.0)
    fit(Little(), report=lambda *said: heard.append(said), judge=Judge(0.25, 0.5, 0.1, 0.1))
    assert [done for done, _, _ in heard] == list(range(1, 13))
    assert {steps for _, steps, _ in heard} == {12}
    assert heard[0][2] == "iterations, epoch 1 of 4"
    assert heard[-1][2] == "iterations, epoch 4 of 4, best so far 0.500"


def test_progress_is_reported_now_and_then() -> None:
    heard: list[int] = []
    fit(Little(), report=lambda done, steps, words: heard.append(done))
    assert heard[:1] == [1]
    assert len(heard) < 12


# -- memory and time ------------------------------------------------------------------------------


def tensors() -> int:
    gc.collect()
    return sum(issubclass(type(one), torch.Tensor) for one in gc.get_objects())


@pytest.mark.usefixtures("every_epoch")
def test_nothing_is_left_of_a_training(tmp_path: Path) -> None:
    fit(LittleAdam(), tmp_path / "warm")
    before = tensors()
    for number in range(3):
        fit(LittleAdam(), tmp_path / str(number))
    assert tensors() == before


def test_a_trained_network_holds_no_gradients() -> None:
    assert all(p.grad is None for p in fit(Little()).model_.parameters())


@pytest.mark.usefixtures("every_epoch")
def test_tensors_do_not_grow_with_the_epochs(tmp_path: Path) -> None:
    counts: list[int] = []

    def judge(truth: np.ndarray, scores: np.ndarray) -> float:
        counts.append(tensors())
        return float(len(counts))

    fit(recipe_of(Little(), epochs=6), tmp_path, judge=judge)
    assert len(counts) == 6
    assert max(counts[2:]) == min(counts[2:])


def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[float]:
    """A clock that stands still until it is set forward."""
    now = [1000.0]
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])
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


# -- on a GPU -------------------------------------------------------------------------------------


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


# -- the loop by itself ---------------------------------------------------------------------------


def test_rows_of_an_epoch_are_each_taken_once() -> None:
    seen: list[int] = []

    def inputs(rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        seen.extend(rows.tolist())
        return torch.zeros(len(rows), 1, 10, 10)

    network = Little()
    labels = torch.zeros(35, 3)
    recipe = Recipe(SGD(0.1), batch=16, size=10, epochs=2)
    model = network.build(3, 1)
    data = TrainingData(labels, labels, inputs)
    TrainingLoop(network, model, recipe, data, None, Setting(), 0).run()
    first, second = seen[:35], seen[35:]
    assert sorted(first) == sorted(second) == list(range(35))
    assert first != second
