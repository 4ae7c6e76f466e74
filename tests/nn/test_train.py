"""The training loop: the same weights whatever interrupts it, and what it refuses."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import (
    RECIPE,
    Killed,
    Little,
    LittleAdam,
    die_in,
    epoch_used,
    fit,
    recipe_of,
    some_faces,
    weights,
    without_times,
)
from sklearn.metrics import f1_score
from torch import nn

from bench.api import BenchError, Setting
from bench.nn import train as module
from bench.nn.losses.softmax import multilabel_softmax
from bench.nn.output import Batch, Output, Terms
from bench.nn.recipe import SGD, Constant, Recipe
from bench.nn.train import TrainingLoop
from bench.nn.updates import TrainingData

NETWORKS = {"sgd": Little, "adam": LittleAdam}


pytestmark = pytest.mark.usefixtures("float32")


# -- determinism ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_one_seed_gives_the_same_bytes_and_another_other_weights(name: str) -> None:
    first, second = fit(NETWORKS[name]()), fit(NETWORKS[name]())
    assert weights(first) == weights(second)
    assert without_times(first.history_) == without_times(second.history_)
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
    assert epoch_used(found).startswith(f"{epoch} (the best")
    assert ("on the test part" in epoch_used(found)) == (selection == "test")


def test_last_asks_no_judge() -> None:
    network = recipe_of(Little(), schedule=Constant())
    found = fit(network, selection="last", judge=Judge())
    assert "valid" not in found.history_[0]
    assert weights(found) == after(4)
    assert epoch_used(found) == "4 (the last) used"


def test_without_a_judge_the_validation_loss_decides() -> None:
    found = fit(Little())
    assert [row["valid"] < 0 for row in found.history_] == [True] * 4


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
    message = str(caught.value)
    assert message.startswith(
        "failing: training diverged: the loss is no finite number in epoch 3 (iteration 9, "
        "learning rate 0.05); lower the rate"
    )
    assert message.endswith(
        f"; the last good checkpoint is in {tmp_path.parent.name}/{tmp_path.name}"
    )
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
    fit(Little(), report=lambda *message: heard.append(message), judge=Judge(0.25, 0.5, 0.1, 0.1))
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


def test_the_curve_of_label_sets_tells_micro_f1_by_epoch() -> None:
    """MF-JLE's Figure 5; the last epoch's labels are those of the trained network."""
    network = recipe_of(Little(), epochs=3)
    found = fit(network, selection="valid", judge=Judge(0.1, 0.2, 0.3))
    told = [row["valid_micro_f1"] for row in found.learning_curve()]
    assert len(told) == 3
    part = some_faces().take(slice(40, 60))  # as `fit` has it
    assert told[-1] == pytest.approx(
        f1_score(part.labels, found.labels(part), average="micro", zero_division=0)
    )


def test_no_curve_of_micro_f1_where_nothing_is_held_out_or_the_test_part_chooses() -> None:
    last = fit(recipe_of(Little(), epochs=2), selection="last", judge=Judge())
    assert "valid_micro_f1" not in last.learning_curve()[0]
    chosen = fit(recipe_of(Little(), epochs=2), selection="test", judge=Judge(0.1, 0.2))
    assert ("valid_micro_f1" in chosen.learning_curve()[0]) == chosen.sigmoid
