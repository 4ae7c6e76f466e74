"""Updates of a network's weights, batch by batch: mixed precision, and batches in pieces.

The innermost part of the training loop (`bench.nn.train`), which every network shares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from bench.api import BenchError
from bench.nn.output import Batch, Output, Terms
from bench.nn.recipe import Recipe


class Trainable(Protocol):
    """A method as the training loop sees it."""

    @property
    def name(self) -> str:
        """The method's name, for messages."""

    @property
    def sums_over_samples(self) -> bool:
        """Whether the loss of a batch is a mean over its images, so that pieces of it will do."""

    def get_params(self) -> dict[str, Any]:
        """The method's hyper-parameters."""

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Parameter groups for the optimiser."""

    def loss(self, out: Output, batch: Batch) -> Terms:
        """The loss of a batch."""


@dataclass(frozen=True)
class TrainingData:
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


class Updater:
    """Moves the weights of a model by the gradients of one batch after another.

    Parameters
    ----------
    method : Trainable
        States the loss and the parameter groups.
    model : nn.Module
        On the device.
    recipe : Recipe
        Its optimiser and schedule.
    data : TrainingData
    iterations : int
        The length of the whole training, which schedules are relative to.
    device : torch.device
    mixed : bool
        Whether the model computes in bfloat16; losses are always in full precision.
    compiled : bool
        Whether `torch.compile` makes the model's forward pass.
    warn : callable
        Takes the sentence that tells of batches in pieces.

    Attributes
    ----------
    pieces : int
        Pieces that a batch is computed in, each of which needs less memory.
    """

    def __init__(
        self,
        method: Trainable,
        model: nn.Module,
        recipe: Recipe,
        data: TrainingData,
        iterations: int,
        device: torch.device,
        mixed: bool,
        compiled: bool,
        warn: Callable[[str], None],
    ) -> None:
        self.method, self.model, self.recipe, self.data = method, model, recipe, data
        self.iterations, self.device, self.mixed, self.warn = iterations, device, mixed, warn
        self.network = torch.compile(model) if compiled else model
        self.optimizer = recipe.optimizer.make(method.groups(model))
        self.base_rates = [group["lr"] for group in self.optimizer.param_groups]
        self.pieces = 1

    def set_rate(self, iteration: int, epoch: int) -> float:
        """Follow the schedule; the rate of the first parameter group."""
        factor = self.recipe.schedule.factor(iteration, epoch, self.iterations)
        for group, rate in zip(self.optimizer.param_groups, self.base_rates, strict=True):
            group["lr"] = rate * factor
        return self.base_rates[0] * factor

    def update(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Move the weights by the batch of these rows int64 (b,).

        Where memory does not suffice, the batch is computed anew in twice as many pieces.

        Returns
        -------
        dict of str to float ()
            ``loss`` and its terms.

        Raises
        ------
        BenchError
            Memory does not suffice, and smaller pieces would make another method.
        """
        state = generator.get_state()
        while True:
            try:
                terms = self._gradients(rows, generator)
                break
            except torch.OutOfMemoryError as error:
                self._double_pieces(len(rows), error)
                generator.set_state(state)
        self.optimizer.step()  # never repeated: a failed step may have moved some of the weights
        return terms

    def _gradients(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Compute the gradients of a batch; its loss and terms."""
        self.optimizer.zero_grad(set_to_none=True)
        inputs = self.data.inputs(rows, generator)
        on_device = rows.to(self.device)
        sums: dict[str, Tensor] = {}
        for piece in torch.arange(len(rows)).chunk(self.pieces):
            part = slice(int(piece[0]), int(piece[-1]) + 1)
            own = on_device[part]
            batch = Batch(inputs[part], self.data.labels[own], self.data.distribution[own])
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
                out = self.network(batch.inputs)
            # Losses are computed in full precision: logarithms and distances need it.
            full = Output(*(None if tensor is None else tensor.float() for tensor in out))
            terms = self.method.loss(full, batch)
            share = len(piece) / len(rows)
            (terms.loss * share).backward()
            for name, value in {"loss": terms.loss, **terms.parts}.items():
                sums[name] = sums.get(name, 0) + value.detach() * share
        return sums

    def _double_pieces(self, rows: int, error: Exception) -> None:
        """Halve the pieces of a batch, where that leaves the method what it is."""
        normed = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in self.model.modules())
        if normed or not self.method.sums_over_samples:
            why = "its batch normalisation" if normed else "its loss"
            raise BenchError(
                f"{self.method.name} ran out of memory with a batch of {rows}, and {why} looks at "
                "the whole batch, so that smaller pieces would make another method: use a device "
                "with more memory, or a smaller budget"
            ) from error
        if self.pieces >= rows:
            raise BenchError(
                f"{self.method.name} ran out of memory with one image at a time: use a device "
                "with more memory, or a smaller budget"
            ) from error
        self.pieces *= 2
        self.optimizer.zero_grad(set_to_none=True)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        self.warn(
            f"{self.method.name}: out of memory; batches of {rows} are now computed in "
            f"{self.pieces} pieces whose gradients are added"
        )
