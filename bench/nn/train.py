"""The training loop: epochs, the choice among them, checkpoints, resumption.

Every network of the suite is trained by it; `bench.nn.updates` holds what one batch does.
"""

from __future__ import annotations

import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.api import BenchError, Setting
from bench.nn.checkpoints import (
    Checkpoint,
    CheckpointClock,
    Checkpoints,
    Tensors,
    restore,
    training_state,
)
from bench.nn.device import seeded, trains_in_bfloat16
from bench.nn.logbook import Logbook, Row
from bench.nn.recipe import Recipe
from bench.nn.updates import Trainable, TrainingData, Updater

CHECKED_EVERY = 50  # iterations between looks at whether the loss is still a number
_REPORTED_EVERY = 2.0  # seconds between two reports of the progress


@dataclass(frozen=True)
class Judgement:
    """How good a model is after an epoch.

    Attributes
    ----------
    value : float
        Epochs are chosen by it; higher is better, NaN where a score is no number.
    beside : dict of str to float
        Further columns of the learning curve.
    """

    value: float
    beside: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingSummary:
    """How a training went.

    Attributes
    ----------
    epoch : int
        The epoch whose weights the model now holds, from 1.
    history : list of Row
        One row for each epoch.
    notes : list of str
        Sentences for the user: damaged checkpoints, batches computed in pieces.
    computed : str
        The precision and the device, as ``bfloat16 on cpu, 2 thread(s)``; both descriptions, where
        a training was resumed on another machine.
    earlier_seconds : float
        Seconds of the epochs that were trained before an interruption.
    """

    epoch: int
    history: list[Row]
    notes: list[str]
    computed: str
    earlier_seconds: float


class TrainingLoop:
    """Trains one model; the same seed on the same machine gives the same weights.

    Every epoch draws from generators of its own, seeded by its number: a training that was killed
    goes on from its last checkpoint and ends with the weights of one that was not.

    Parameters
    ----------
    method : Trainable
    model : nn.Module
        On the device; trained in place.
    recipe : Recipe
    data : TrainingData
    judge : callable or None
        How good the model is after an epoch; None keeps the last epoch.
    setting : Setting
        Device, folder for checkpoints, progress.
    seed : int
    compiled : bool
        Whether `torch.compile` makes the updates.
    """

    def __init__(
        self,
        method: Trainable,
        model: nn.Module,
        recipe: Recipe,
        data: TrainingData,
        judge: Callable[[nn.Module], Judgement] | None,
        setting: Setting,
        seed: int,
        compiled: bool = False,
    ) -> None:
        self.method, self.model, self.recipe, self.data = method, model, recipe, data
        self.judge, self.setting, self.seed = judge, setting, seed
        self.device = torch.device(setting.device)
        # At smoke never: tables that CI compares are not to depend on the processor's units.
        self.mixed = setting.budget != "smoke" and trains_in_bfloat16(setting.device)
        self.batches = recipe.batches(len(data))
        self.iterations = recipe.length(len(data))
        self.epochs = -(-self.iterations // self.batches)
        self.updater = Updater(
            method,
            model,
            recipe,
            data,
            self.iterations,
            self.device,
            self.mixed,
            compiled,
            self._warn,
        )
        self.store: Checkpoints | None = None
        self.notes: list[str] = []
        self.best: Tensors = {}
        self.best_epoch, self.best_value = 0, -np.inf
        self._last_report = 0.0

    def run(self) -> TrainingSummary:
        """Train to the end, and give the model the weights of the epoch chosen.

        Raises
        ------
        BenchError
            The loss, a weight or a score is no finite number; memory does not suffice, and smaller
            pieces of a batch would make another method.
        DiskFullError
            A checkpoint could not be written; the one before is kept.
        """
        if self.setting.folder is not None:
            self.store = Checkpoints(self.setting.folder, self._identity(), self._warn)
        history = self._resume()
        earlier = sum(row["seconds"] for row in history)
        book = Logbook(self.setting.folder, history)
        try:
            with seeded(self.setting.device, self.seed):
                self._train(book)
        finally:
            book.close()
        if self.store is not None and len(history) < self.epochs:
            self._save(self.store, book.history, {})
        if self.best:
            self.model.load_state_dict(self.best)
        self.updater.optimizer.zero_grad(set_to_none=True)  # gradients are as large as the weights
        computed = " and ".join(dict.fromkeys(_computed(row) for row in book.history))
        return TrainingSummary(self.best_epoch, book.history, self.notes, computed, earlier)

    def _train(self, book: Logbook) -> None:
        """The epochs that the book does not have yet, with a checkpoint now and then."""
        clock = CheckpointClock()
        for epoch in range(len(book.history), self.epochs):
            book.add(self._epoch(epoch))
            if self.store is not None and epoch + 1 < self.epochs and clock.due():
                with clock:
                    state = training_state(self.model, self.updater.optimizer)
                    self._save(self.store, book.history, state)

    # -- one epoch --------------------------------------------------------------------------

    def _epoch(self, epoch: int) -> Row:
        """Train for an epoch, judge the model, and keep its weights if they are the best."""
        started = time.perf_counter()
        row, images = self._pass(epoch)
        training = time.perf_counter() - started
        if self.judge is not None:
            judged = self.judge(self.model)
            row |= {"valid": judged.value, **judged.beside}
            if not np.isfinite(row["valid"]):
                raise self._diverged("a score", epoch, int(row["iterations"]), row["learning_rate"])
        self._choose(epoch + 1, row.get("valid"))
        row["images_per_second"] = images / training
        row["bfloat16"] = float(self.mixed)
        on_cpu = self.device.type == "cpu"
        row["cpu_threads"] = float(torch.get_num_threads()) if on_cpu else 0.0
        row["seconds"] = time.perf_counter() - started
        return row

    def _pass(self, epoch: int) -> tuple[Row, int]:
        """Update the weights by each batch of an epoch; the epoch's means, and its images."""
        generator = torch.Generator().manual_seed(_mixed_seed(self.seed, epoch, 0))
        torch.manual_seed(_mixed_seed(self.seed, epoch, 1))  # dropout
        order = torch.randperm(len(self.data), generator=generator)
        sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=self.device))
        self.model.train()
        first, images, rate = epoch * self.batches, 0, 0.0
        count = min(self.batches, self.iterations - first)
        for number, rows in enumerate(order.split(self.recipe.batch)[:count], start=1):
            rate = self.updater.set_rate(first + number - 1, epoch)
            for name, value in self.updater.update(rows, generator).items():
                sums[name] += value
            images += len(rows)
            looked_at = number == count or number % CHECKED_EVERY == 0
            if looked_at and not bool(sums["loss"].isfinite()):
                raise self._diverged("the loss", epoch, first + number, rate)
            self._report(first + number, epoch)
        # The last update is made after the last loss was computed, so that the weights are looked
        # at, too. The sum of a tensor is no finite number where one of its numbers is none.
        if not all(bool(p.detach().sum().isfinite()) for p in self.model.parameters()):
            raise self._diverged("a weight", epoch, first + count, rate)
        row: Row = {"epoch": epoch + 1, "iterations": first + count, "learning_rate": rate}
        row.update({name: float(value) / count for name, value in sums.items()})
        return row, images

    def _choose(self, epoch: int, value: float | None) -> None:
        """Keep the weights where they are the best so far; without a judge the last ones count."""
        if value is None:
            self.best_epoch = epoch
        elif value > self.best_value:
            self.best_epoch, self.best_value = epoch, value
            self.best = {name: t.detach().clone() for name, t in self.model.state_dict().items()}

    def _diverged(self, what: str, epoch: int, iteration: int, rate: float) -> BenchError:
        """The error of a training in which ``what`` is no finite number after an iteration."""
        message = (
            f"{self.method.name}: training diverged: {what} is no finite number in epoch "
            f"{epoch + 1} (iteration {iteration}, learning rate {rate:.3g}); lower the rate, "
            "or look for images or targets that are wrong"
        )
        if self.store is not None and any(self.store.folder.glob("epoch-*.json")):
            # The folder's place alone, not the whole path: records are published.
            place = f"{self.store.folder.parent.name}/{self.store.folder.name}"
            message += f"; the last good checkpoint is in {place}"
        return BenchError(message)

    def _warn(self, sentence: str) -> None:
        self.notes.append(sentence)
        warnings.warn(sentence, RuntimeWarning, stacklevel=2)

    def _report(self, iteration: int, epoch: int) -> None:
        """Report the progress, at most every two seconds."""
        now = time.monotonic()
        if self.setting.report is None or now - self._last_report < _REPORTED_EVERY:
            return
        self._last_report = now
        words = f"iterations, epoch {epoch + 1} of {self.epochs}"
        if np.isfinite(self.best_value):
            words += f", best so far {self.best_value:.3f}"
        self.setting.report(iteration, self.iterations, words)

    # -- checkpoints ------------------------------------------------------------------------

    def _identity(self) -> dict[str, Any]:
        """What tells this training from others, whose checkpoints are refused."""
        return {
            "network": self.method.name,
            "parameters": self.method.get_params(),
            "recipe": repr(self.recipe),
            "seed": self.seed,
            "images": len(self.data),
            "chooses": self.judge is not None,
            "shapes": {name: list(t.shape) for name, t in self.model.state_dict().items()},
        }

    def _save(self, store: Checkpoints, history: list[Row], state: Tensors) -> None:
        """Write a checkpoint; an empty state says that training is over."""
        about = {
            "history": history,
            "best_epoch": self.best_epoch,
            "best_value": self.best_value if np.isfinite(self.best_value) else None,
            "splits": self.updater.pieces,
            "said": self.notes,
        }
        best = self.best
        if self.judge is None and not state:
            best = self.model.state_dict()
        store.save(Checkpoint(len(history), state, best, about), self.best_epoch)

    def _resume(self) -> list[Row]:
        """Take up the newest checkpoint, if there is any; the rows of the epochs before it."""
        checkpoint = None if self.store is None else self.store.latest()
        if checkpoint is None:
            return []
        about = checkpoint.about
        self.notes = [*about["said"], *self.notes]
        self.best_epoch, self.updater.pieces = about["best_epoch"], about["splits"]
        self.best_value = -np.inf if about["best_value"] is None else about["best_value"]
        self.best = {name: tensor.to(self.device) for name, tensor in checkpoint.best.items()}
        if checkpoint.state:
            restore(checkpoint.state, self.model, self.updater.optimizer)
        return list(about["history"])


def _computed(row: Row) -> str:
    """The precision and the device of an epoch in words."""
    precision = "bfloat16" if row["bfloat16"] else "float32"
    threads = row["cpu_threads"]
    return f"{precision} on {f'cpu, {threads:.0f} thread(s)' if threads else 'cuda'}"


def _mixed_seed(*numbers: int) -> int:
    """A seed made from several numbers, different wherever one of them is."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
