"""Training recipes: optimiser, schedule, length, batch and input size, as papers state them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch

Groups = Iterable[dict[str, Any]]


class Optimizer(Protocol):
    """What a recipe says of its optimiser."""

    @property
    def lr(self) -> float:
        """The rate that the schedule multiplies."""

    def make(self, groups: Groups) -> torch.optim.Optimizer:
        """The optimiser of these parameter groups."""

    def times(self, by: float) -> Optimizer:
        """The same with another rate."""


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent; ``weight_decay`` where a group names none."""

    lr: float
    momentum: float = 0.9
    weight_decay: float = 0.0

    def make(self, groups: Groups) -> torch.optim.Optimizer:
        """The optimiser of these parameter groups."""
        # Fused: one pass over the weights in place of four, a tenth of a step of 75 million.
        return torch.optim.SGD(
            groups,
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            fused=True,
        )

    def times(self, by: float) -> SGD:
        """The same with ``by`` times the rate."""
        return replace(self, lr=self.lr * by)


@dataclass(frozen=True)
class Adam:
    """Adam; ``weight_decay`` (as an L2 term) where a group names none."""

    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0

    def make(self, groups: Groups) -> torch.optim.Optimizer:
        """The optimiser of these parameter groups."""
        return torch.optim.Adam(
            groups, lr=self.lr, betas=self.betas, weight_decay=self.weight_decay, fused=True
        )

    def times(self, by: float) -> Adam:
        """The same with ``by`` times the rate."""
        return replace(self, lr=self.lr * by)


class Schedule(Protocol):
    """How the learning rate moves."""

    def factor(self, iteration: int, epoch: int, iterations: int) -> float:
        """Multiplier of the optimiser's rate, at an iteration and epoch (both from 0)."""

    def stretched(self, by: float) -> Schedule:
        """The same course over ``by`` times the length."""


@dataclass(frozen=True)
class Constant:
    """One rate throughout."""

    def factor(self, iteration: int, epoch: int, iterations: int) -> float:
        """1."""
        return 1.0

    def stretched(self, by: float) -> Schedule:
        """Itself."""
        return self


@dataclass(frozen=True)
class Steps:
    """The rate times ``gamma`` at each of the iterations ``at``."""

    at: tuple[int, ...]
    gamma: float = 0.1

    def factor(self, iteration: int, epoch: int, iterations: int) -> float:
        """γ to the number of steps passed."""
        return self.gamma ** sum(iteration >= step for step in self.at)

    def stretched(self, by: float) -> Schedule:
        """Each step ``by`` times as late."""
        return replace(self, at=tuple(round(step * by) for step in self.at))


@dataclass(frozen=True)
class EveryEpochs:
    """The rate times ``gamma`` every ``every`` epochs, counted from epoch ``start`` (from 0)."""

    every: int
    gamma: float
    start: int = 0

    def factor(self, iteration: int, epoch: int, iterations: int) -> float:
        """γ to the number of whole periods passed since the start."""
        return self.gamma ** (max(epoch - self.start, 0) // self.every)

    def stretched(self, by: float) -> Schedule:
        """A longer period, and a later start."""
        every = max(1, round(self.every * by))
        return replace(self, every=every, start=round(self.start * by))


@dataclass(frozen=True)
class OneCycle:
    """Up to the rate over the first ``rise`` of the iterations and down to 0, by half cosines.

    L. Smith and N. Topin, 2019; it starts at 1/25 of the rate. For short budgets: no paper behind
    the suite uses it.
    """

    rise: float = 0.25
    start: float = 1 / 25

    def factor(self, iteration: int, epoch: int, iterations: int) -> float:
        """From ``start`` to 1 to 0."""
        done = iteration / max(iterations - 1, 1)
        if done < self.rise:
            return self.start + (1 - self.start) * (1 - math.cos(math.pi * done / self.rise)) / 2
        return (1 + math.cos(math.pi * (done - self.rise) / (1 - self.rise))) / 2

    def stretched(self, by: float) -> Schedule:
        """Itself: it is relative to the length."""
        return self


@dataclass(frozen=True)
class Recipe:
    """How a network is trained at one budget.

    Attributes
    ----------
    batch : int
        Images in a step.
    size : int
        Side in pixels of the network's input.
    crop_from : int or None
        Side that images are resized to before ``size`` is cut from them, at random in training and
        from the centre otherwise; None resizes to ``size``.
    epochs, iterations : int or None
        The length: one of the two.
    flip : bool
        Mirrors half of the training images.
    drop_last : bool
        Leaves out the smaller batch at the end of an epoch.
    """

    optimizer: Optimizer
    batch: int
    size: int
    crop_from: int | None = None
    epochs: int | None = None
    iterations: int | None = None
    schedule: Schedule = Constant()
    flip: bool = False
    drop_last: bool = False

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.iterations is None):
            raise ValueError("a recipe has either epochs or iterations")
        if self.crop_from is not None and self.crop_from < self.size:
            raise ValueError("a crop cannot be larger than what it is cut from")

    @property
    def side(self) -> int:
        """Side in pixels that images are resized to."""
        return self.crop_from or self.size

    def batches(self, images: int) -> int:
        """Batches in an epoch of so many images, at least 1."""
        whole, rest = divmod(images, self.batch)
        # One image alone has no variance for batch normalisation.
        return max(whole + (rest > 1 and not self.drop_last), 1)

    def length(self, images: int) -> int:
        """Iterations in all."""
        if self.iterations is not None:
            return self.iterations
        assert self.epochs is not None
        return self.epochs * self.batches(images)

    def stretched(self, by: float) -> Recipe:
        """The same over ``by`` times the length."""
        if by == 1:
            return self
        schedule = self.schedule.stretched(by)
        if self.iterations is not None:
            return replace(self, iterations=max(1, round(self.iterations * by)), schedule=schedule)
        assert self.epochs is not None
        return replace(self, epochs=max(1, round(self.epochs * by)), schedule=schedule)
