"""The training loop: epochs, mixed precision, choice of the epoch, checkpoints, resumption."""

from __future__ import annotations

import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from bench.api import BenchError, Setting
from bench.nn.checkpoints import Checkpoint, Checkpoints
from bench.nn.device import seeded, trains_in_bfloat16
from bench.nn.logbook import Logbook, Row
from bench.nn.output import Batch, Output, Terms
from bench.nn.recipe import Recipe

CHECKED_EVERY = 50  # iterations between looks at whether the loss is still a number
SAVING_SHARE = 0.1  # of the time that checkpoints may take; the first and the last are always made
_TELL_EVERY = 2.0  # seconds

_Tensors = dict[str, Tensor]


class Trainable(Protocol):
    """What the loop asks of a network."""

    @property
    def name(self) -> str:
        """For sentences."""

    @property
    def sums_over_samples(self) -> bool:
        """Whether a batch may be computed in pieces."""

    def get_params(self) -> dict[str, Any]:
        """Its hyper-parameters."""

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Parameter groups for the optimiser."""

    def loss(self, out: Output, batch: Batch) -> Terms:
        """The loss of a batch."""


@dataclass(frozen=True)
class Data:
    """The training part, and how batches are cut from it.

    Attributes
    ----------
    labels, distribution : float32 (n, L)
        On the device.
    inputs : callable
        From rows int64 (b,) and a generator to the network's inputs, on the device.
    """

    labels: Tensor
    distribution: Tensor
    inputs: Callable[[Tensor, torch.Generator], Tensor]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Trained:
    """What came of a training.

    Attributes
    ----------
    epoch : int
        The one whose weights the model now holds, from 1.
    history : list of Row
    said : list of str
        What the user should know: damaged checkpoints, batches computed in pieces.
    computed : str
        In which precision and where, as ``bfloat16 on cpu, 2 thread(s)``; both, where a training
        went on on another machine.
    earlier_seconds : float
        What sittings before this one took.
    """

    epoch: int
    history: list[Row]
    said: list[str]
    computed: str
    earlier_seconds: float


class Training:
    """Trains one model; the same seed on the same machine gives the same weights.

    Every epoch draws from generators of its own, seeded by its number: a training that was killed
    goes on at its last checkpoint as if nothing had been.

    Parameters
    ----------
    network : Trainable
    model : nn.Module
        On the device; trained in place.
    recipe : Recipe
    data : Data
    judge : callable or None
        How good the model is after an epoch, higher is better; None keeps the last epoch.
    setting : Setting
        Device, folder for checkpoints, progress.
    seed : int
    compiled : bool
        Whether `torch.compile` makes the steps.
    """

    def __init__(
        self,
        network: Trainable,
        model: nn.Module,
        recipe: Recipe,
        data: Data,
        judge: Callable[[nn.Module], float] | None,
        setting: Setting,
        seed: int,
        compiled: bool = False,
    ) -> None:
        self.network, self.model, self.recipe, self.data = network, model, recipe, data
        self.judge, self.setting, self.seed = judge, setting, seed
        self.device = torch.device(setting.device)
        self.step = torch.compile(model) if compiled else model
        # At smoke never: tables that CI compares are not to depend on the processor's units.
        self.mixed = setting.budget != "smoke" and trains_in_bfloat16(setting.device)
        self.optimizer = recipe.optimizer.make(network.groups(model))
        self.base_rates = [group["lr"] for group in self.optimizer.param_groups]
        self.batches = recipe.batches(len(data))
        self.iterations = recipe.length(len(data))
        self.epochs = -(-self.iterations // self.batches)
        self.splits = 1
        self.said: list[str] = []
        self.best: _Tensors = {}
        self.best_epoch, self.best_value = 0, -np.inf
        self._told = 0.0

    def run(self) -> Trained:
        """Train to the end, and give the model the weights of the epoch chosen.

        Raises
        ------
        BenchError
            The loss is no number any more; memory does not suffice, and smaller pieces would make
            another method.
        DiskFullError
            A checkpoint could not be written; the one before is kept.
        """
        store = None
        if self.setting.folder is not None:
            store = Checkpoints(self.setting.folder, self._identity(), self._say)
        history = self._resume(store)
        earlier = sum(row["seconds"] for row in history)
        book = Logbook(self.setting.folder, history)
        saving = Saving()
        try:
            with seeded(self.setting.device, self.seed):
                for epoch in range(len(history), self.epochs):
                    book.add(self._epoch(epoch, store))
                    if store is not None and epoch + 1 < self.epochs and saving.due():
                        with saving.timed():
                            self._save(store, book.history, self._state())
        finally:
            book.close()
        if store is not None and len(history) < self.epochs:
            self._save(store, book.history, {})
        if self.best:
            self.model.load_state_dict(self.best)
        self.optimizer.zero_grad(set_to_none=True)  # as large as the weights
        computed = " and ".join(dict.fromkeys(_computed(row) for row in book.history))
        return Trained(self.best_epoch, book.history, self.said, computed, earlier)

    # -- one epoch --------------------------------------------------------------------------

    def _epoch(self, epoch: int, store: Checkpoints | None) -> Row:
        started = time.perf_counter()
        generator = torch.Generator().manual_seed(_mixed(self.seed, epoch, 0))
        torch.manual_seed(_mixed(self.seed, epoch, 1))  # dropout
        order = torch.randperm(len(self.data), generator=generator)
        sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=self.device))
        self.model.train()
        first, images, rate = epoch * self.batches, 0, 0.0
        done = min(self.batches, self.iterations - first)
        for number in range(done):
            rows = order[number * self.recipe.batch : (number + 1) * self.recipe.batch]
            rate = self._set_rate(first + number, epoch)
            for name, value in self._step(rows, generator).items():
                sums[name] += value
            images += len(rows)
            last = number + 1 == done
            if (last or (number + 1) % CHECKED_EVERY == 0) and not bool(sums["loss"].isfinite()):
                raise BenchError(self._diverged("the loss", epoch, first + number, rate, store))
            self._tell(first + number + 1, epoch)
        # The last update comes after the last loss. A sum is finite where all of it is.
        if not all(bool(p.detach().sum().isfinite()) for p in self.model.parameters()):
            raise BenchError(self._diverged("a weight", epoch, first + done - 1, rate, store))
        row: Row = {"epoch": epoch + 1, "iterations": first + done, "learning_rate": rate}
        row.update({name: float(value) / done for name, value in sums.items()})
        training = time.perf_counter() - started
        if self.judge is not None:
            row["valid"] = self.judge(self.model)
            if not np.isfinite(row["valid"]):
                raise BenchError(self._diverged("a score", epoch, first + done - 1, rate, store))
        self._choose(epoch + 1, row.get("valid"))
        row["images_per_second"] = images / training
        row["bfloat16"] = float(self.mixed)
        on_cpu = self.device.type == "cpu"
        row["cpu_threads"] = float(torch.get_num_threads()) if on_cpu else 0.0
        row["seconds"] = time.perf_counter() - started
        return row

    def _step(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """One update; the loss and its parts."""
        before = generator.get_state()
        while True:
            try:
                found = self._gradients(rows, generator)
                break
            except torch.OutOfMemoryError as error:
                self._halve(len(rows), error)
                generator.set_state(before)
        self.optimizer.step()  # not tried again: it might have moved some of the weights
        return found

    def _gradients(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        self.optimizer.zero_grad(set_to_none=True)
        inputs = self.data.inputs(rows, generator)
        here = rows.to(self.device)
        found: dict[str, Tensor] = {}
        for piece in torch.arange(len(rows)).chunk(self.splits):
            part = slice(int(piece[0]), int(piece[-1]) + 1)
            chosen = here[part]
            batch = Batch(inputs[part], self.data.labels[chosen], self.data.distribution[chosen])
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
                out = self.step(batch.inputs)
            # Losses are computed in full precision: logarithms and distances need it.
            full = Output(*(None if tensor is None else tensor.float() for tensor in out))
            terms = self.network.loss(full, batch)
            share = len(piece) / len(rows)
            (terms.loss * share).backward()
            for name, value in {"loss": terms.loss, **terms.parts}.items():
                found[name] = found.get(name, 0) + value.detach() * share
        return found

    def _halve(self, rows: int, error: Exception) -> None:
        normed = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in self.model.modules())
        if normed or not self.network.sums_over_samples:
            why = "its batch normalisation" if normed else "its loss"
            raise BenchError(
                f"{self.network.name} ran out of memory with a batch of {rows}, and {why} looks at "
                "the whole batch, so that smaller pieces would make another method: use a device "
                "with more memory, or a smaller budget"
            ) from error
        if self.splits >= rows:
            raise BenchError(
                f"{self.network.name} ran out of memory with one image at a time: use a device "
                "with more memory, or a smaller budget"
            ) from error
        self.splits *= 2
        self.optimizer.zero_grad(set_to_none=True)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        self._say(
            f"{self.network.name}: out of memory; batches of {rows} are now computed in "
            f"{self.splits} pieces whose gradients are added"
        )

    def _say(self, sentence: str) -> None:
        self.said.append(sentence)
        warnings.warn(sentence, RuntimeWarning, stacklevel=2)

    def _set_rate(self, iteration: int, epoch: int) -> float:
        factor = self.recipe.schedule.factor(iteration, epoch, self.iterations)
        for group, rate in zip(self.optimizer.param_groups, self.base_rates, strict=True):
            group["lr"] = rate * factor
        return self.base_rates[0] * factor

    def _choose(self, epoch: int, value: float | None) -> None:
        """Keep the weights where they are the best so far; without a judge the last ones count."""
        if value is None:
            self.best_epoch = epoch
        elif value > self.best_value:
            self.best_epoch, self.best_value = epoch, value
            self.best = {name: t.detach().clone() for name, t in self.model.state_dict().items()}

    def _diverged(
        self, what: str, epoch: int, iteration: int, rate: float, store: Checkpoints | None
    ) -> str:
        said = (
            f"{self.network.name}: training diverged: {what} is no finite number in epoch "
            f"{epoch + 1} (iteration {iteration + 1}, learning rate {rate:.3g}); lower the rate, "
            "or look for images or targets that are wrong"
        )
        if store is not None and any(store.folder.glob("epoch-*.json")):
            # Without the way to it: records are published.
            place = f"{store.folder.parent.name}/{store.folder.name}"
            said += f"; the last good checkpoint is in {place}"
        return said

    def _tell(self, iteration: int, epoch: int) -> None:
        now = time.monotonic()
        if self.setting.report is None or now - self._told < _TELL_EVERY:
            return
        self._told = now
        words = f"iterations, epoch {epoch + 1} of {self.epochs}"
        if np.isfinite(self.best_value):
            words += f", best so far {self.best_value:.3f}"
        self.setting.report(iteration, self.iterations, words)

    # -- checkpoints ------------------------------------------------------------------------

    def _identity(self) -> dict[str, Any]:
        return {
            "network": self.network.name,
            "parameters": self.network.get_params(),
            "recipe": repr(self.recipe),
            "seed": self.seed,
            "images": len(self.data),
            "chooses": self.judge is not None,
            "shapes": {name: list(t.shape) for name, t in self.model.state_dict().items()},
        }

    def _state(self) -> _Tensors:
        state = {f"model.{name}": t for name, t in self.model.state_dict().items()}
        for number, values in self.optimizer.state_dict()["state"].items():
            for name, value in values.items():
                if value is not None:
                    state[f"optimizer.{number}.{name}"] = torch.as_tensor(value)
        return state

    def _save(self, store: Checkpoints, history: list[Row], state: _Tensors) -> None:
        about = {
            "history": history,
            "best_epoch": self.best_epoch,
            "best_value": self.best_value if np.isfinite(self.best_value) else None,
            "splits": self.splits,
            "said": self.said,
        }
        best = self.best
        if self.judge is None and not state:
            best = self.model.state_dict()
        store.save(Checkpoint(len(history), state, best, about), self.best_epoch)

    def _resume(self, store: Checkpoints | None) -> list[Row]:
        """Take up the newest checkpoint; the epochs done so far."""
        found = None if store is None else store.latest()
        if found is None:
            return []
        about = found.about
        self.said = [*about["said"], *self.said]
        self.best_epoch, self.splits = about["best_epoch"], about["splits"]
        self.best_value = -np.inf if about["best_value"] is None else about["best_value"]
        self.best = {name: tensor.to(self.device) for name, tensor in found.best.items()}
        if found.state:
            prefix = "model."
            weights = {
                k.removeprefix(prefix): v for k, v in found.state.items() if k.startswith(prefix)
            }
            self.model.load_state_dict(weights)
            groups = self.optimizer.param_groups
            parameters = [parameter for group in groups for parameter in group["params"]]
            state: dict[int, dict[str, Tensor]] = defaultdict(dict)
            for key, tensor in found.state.items():
                if key.startswith("optimizer."):
                    _, number, name = key.split(".", 2)
                    state[int(number)][name] = _laid_out(tensor, parameters[int(number)])
            whole = self.optimizer.state_dict()
            self.optimizer.load_state_dict({**whole, "state": dict(state)})
            self._lay_out()
        return list(about["history"])

    def _lay_out(self) -> None:
        """Order the optimiser's tensors in memory as their weights, as before the interruption."""
        for parameter, values in self.optimizer.state.items():
            for name, value in values.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    values[name] = torch.empty_like(parameter).copy_(value)


def _laid_out(saved: Tensor, parameter: Tensor) -> Tensor:
    """A parameter's saved state in the order in memory that the parameter has.

    Fused optimisers on the CPU go through memory, and files hold tensors in plain order: with
    channels last, momenta would be added to other weights than their own.
    """
    if saved.shape != parameter.shape:
        return saved  # a count of steps
    return torch.empty_like(parameter, dtype=saved.dtype).copy_(saved)


class Saving:
    """When the next checkpoint is due: so that they take at most `SAVING_SHARE` of the time."""

    def __init__(self) -> None:
        self.next = 0.0

    def due(self) -> bool:
        """Whether it is time."""
        return time.monotonic() >= self.next

    def timed(self) -> Any:
        """A context manager around the writing of one."""
        return self

    def __enter__(self) -> None:
        self.started = time.monotonic()

    def __exit__(self, *_: object) -> None:
        ended = time.monotonic()
        self.next = ended + (ended - self.started) / SAVING_SHARE


def _computed(row: Row) -> str:
    precision = "bfloat16" if row["bfloat16"] else "float32"
    threads = row["cpu_threads"]
    return f"{precision} on {f'cpu, {threads:.0f} thread(s)' if threads else 'cuda'}"


def _mixed(*numbers: int) -> int:
    """A seed that no other numbers give."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
