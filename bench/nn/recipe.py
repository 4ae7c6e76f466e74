"""Training recipes: optimiser, schedule, length, batch and input size, as papers state them.

Every network of the suite states its training in these words; `bench.nn.train` follows them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch

Groups = Iterable[dict[str, Any]]


class Optimizer(Protocol):
    """An optimiser as a recipe states it, without the weights that it will move."""

    @property
    def lr(self) -> float:
        """The learning rate that the schedule multiplies."""

    def make(self, groups: Groups) -> torch.optim.Optimizer:
        """The torch optimiser of these parameter groups."""

    def times(self, factor: float) -> Optimizer:
        """The same optimiser with ``factor`` times the rate."""


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent; ``weight_decay`` is for parameter groups that state none."""

    lr: float
    momentum: float = 0.9
    weight_decay: float = 0.0

    def make(self, groups: Groups) -> torch.optim.Optimizer:
        """The torch optimiser of these parameter groups."""
        # Fused: one pass over the weights in place of four. With 75 million weights that saves a
        # tenth of the time of an update.
        return torch.optim.SGD(
            groups,
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            fused=True,
        )

    def times(self, factor: float) -> SGD:
        """The same optimiser with ``factor`` times the rate."""
        return replace(self, lr=self.lr * factor)


@dataclass(frozen=True)
class Adam:
    """Adam; ``weight_decay`` (an L2 term) is for parameter groups that state none."""

    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0

    def make(self, groups: Groups) -> torch.optim.Optimizer:
        """The torch optimiser of these parameter groups."""
        return torch.optim.Adam(
            groups, lr=self.lr, betas=self.betas, weight_decay=self.weight_decay, fused=True
        )

    def times(self, factor: float) -> Adam:
        """The same optimiser with ``factor`` times the rate."""
        return replace(self, lr=self.lr * factor)


class Schedule(Protocol):
    """The course of the learning rate during a training."""

    def factor(self, iteration: int, epoch: int, iterations: int) -> float:
        """The multiplier of the optimiser's rate.

        Parameters
        ----------
        iteration, epoch : int
            Where the training is, both counted from 0.
        iterations : int
            The length of the whole training.
        """

    def stretched(self, factor: float) -> Schedule:
        """The same course over ``factor`` times the length."""


@dataclass(frozen=True)
class Constant:
    """A rate that never changes."""

    def factor(self, iteration: int, epoch: int, iterations: int) -> float:
        """The multiplier, which is 1 everywhere."""
        return 1.0

    def stretched(self, factor: float) -> Schedule:
        """This schedule, since a constant rate has no length."""
        return self


@dataclass(frozen=True)
class Steps:
    """A rate that is multiplied by ``gamma`` at each of the iterations ``at``."""

    at: tuple[int, ...]
    gamma: float = 0.1

    def factor(self, iteration: int, epoch: int, iterations: int) -> float:
        """γ to the power of the number of steps that lie behind this iteration."""
        return self.gamma ** sum(iteration >= step for step in self.at)

    def stretched(self, factor: float) -> Schedule:
        """The schedule with each step ``factor`` times as late."""
        return replace(self, at=tuple(round(step * factor) for step in self.at))


@dataclass(frozen=True)
class EveryEpochs:
    """A rate that is multiplied by ``gamma`` after every ``every`` epochs, from ``start`` on.

    ``start`` is an epoch, counted from 0.
    """

    every: int
    gamma: float
    start: int = 0

    def factor(self, iteration: int, epoch: int, iterations: int) -> float:
        """γ to the power of the number of whole periods since the start."""
        return self.gamma ** (max(epoch - self.start, 0) // self.every)

    def stretched(self, factor: float) -> Schedule:
        """The schedule with a longer period and a later start."""
        every = max(1, round(self.every * factor))
        return replace(self, every=every, start=round(self.start * factor))


@dataclass(frozen=True)
class OneCycle:
    """A rate that rises to the optimiser's and falls to 0, along two half cosines.

    L. Smith and N. Topin, 2019. For short budgets: no paper behind the suite uses it.

    Attributes
    ----------
    rise : float
        Share of the iterations in which the rate rises.
    start : float
        Share of the optimiser's rate that the first iteration has.
    """

    rise: float = 0.25
    start: float = 1 / 25

    def factor(self, iteration: int, epoch: int, iterations: int) -> float:
        """The multiplier: ``start`` at first, 1 at the end of the rise, 0 at last."""
        done = iteration / max(iterations - 1, 1)
        if done < self.rise:
            return self.start + (1 - self.start) * (1 - math.cos(math.pi * done / self.rise)) / 2
        return (1 + math.cos(math.pi * (done - self.rise) / (1 - self.rise))) / 2

    def stretched(self, factor: float) -> Schedule:
        """This schedule, since its rise is a share of whatever length."""
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
        Side that images are resized to before a square of ``size`` is cut from them, at random in
        training and from the centre otherwise; None: images are resized to ``size``, uncut.
    epochs, iterations : int or None
        The length of the training: one of the two.
    flip : bool
        Whether half of the training images are mirrored.
    drop_last : bool
        Whether the smaller batch at the end of an epoch is left out.
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
        """How many batches an epoch of so many images has, at least 1."""
        whole, rest = divmod(images, self.batch)
        # One image alone has no variance for batch normalisation.
        return max(whole + (rest > 1 and not self.drop_last), 1)

    def length(self, images: int) -> int:
        """How many iterations the training has with so many images."""
        if self.iterations is not None:
            return self.iterations
        assert self.epochs is not None
        return self.epochs * self.batches(images)

    def stretched(self, factor: float) -> Recipe:
        """The same training over ``factor`` times its length."""
        if factor == 1:
            return self
        schedule = self.schedule.stretched(factor)
        if self.iterations is not None:
            iterations = max(1, round(self.iterations * factor))
            return replace(self, iterations=iterations, schedule=schedule)
        assert self.epochs is not None
        return replace(self, epochs=max(1, round(self.epochs * factor)), schedule=schedule)
