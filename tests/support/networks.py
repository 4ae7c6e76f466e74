"""A tiny trained network and faces for it; other processes import it too."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.api import FaceSet, Setting, param
from bench.nn import network as network_module
from bench.nn import train
from bench.nn.checkpoints import Checkpoints
from bench.nn.logbook import Logbook
from bench.nn.network import TrainedNetwork
from bench.nn.output import Batch, Output, Terms
from bench.nn.recipe import SGD, Adam, OneCycle, Recipe
from bench.nn.updates import Updater

RECIPE = Recipe(
    SGD(0.05, momentum=0.9, weight_decay=1e-3),
    batch=16,
    epochs=4,
    schedule=OneCycle(),
    size=10,
    crop_from=12,
    flip=True,
)


class Killed(BaseException):
    """Nothing on the way may catch it, as nothing catches a SIGKILL."""


class Layers(nn.Module):
    """Two convolutions, dropout, optionally batch normalisation."""

    def __init__(self, labels: int, channels: int, dropout: float, norm: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6) if norm else nn.Identity()
        self.second = nn.Conv2d(6, 5, 3, stride=2, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(5 * 5 * 5, labels)

    def forward(self, x: Tensor) -> Output:
        x = torch.relu(self.norm(self.first(x)))
        x = torch.relu(self.second(x)).flatten(1)
        return Output(x, self.output(self.dropout(x)))


class Little(TrainedNetwork):
    """Reference: none."""

    name = "little"
    recipes: ClassVar[dict[str, Recipe]] = {"paper": RECIPE, "quick": RECIPE}

    dropout: float = param(0.2, ge=0, lt=1, help="share dropped")
    norm: bool = param(False, help="batch normalisation")

    def build(self, labels: int, channels: int) -> nn.Module:
        return Layers(labels, channels, self.dropout, self.norm)


class LittleAdam(Little):
    """Reference: none."""

    name = "little-adam"
    recipes: ClassVar[dict[str, Recipe]] = {
        "paper": Recipe(Adam(0.01, weight_decay=1e-3), batch=16, iterations=14, size=10)
    }


def some_faces(n: int = 60, side: int = 14, **more: Any) -> FaceSet:
    """Noise whose halves show two of three labels."""
    rng = np.random.default_rng(more.pop("seed", 0))
    colour = more.pop("colour", "grey")
    kind = more.pop("kind", "multi")
    labels = rng.random((n, 3)) < 0.5
    if kind == "single":
        labels = np.eye(3, dtype=bool)[rng.integers(3, size=n)]
    shape = (n, side, side) + ((3,) if colour == "rgb" else ())
    images = rng.integers(0, 100, shape, dtype=np.uint8)
    images[labels[:, 0], :, : side // 2] += 60
    images[labels[:, 1], :, side // 2 :] += 60
    ids = np.array([f"{row:04d}" for row in range(n)])
    return FaceSet("noise", kind, ("left", "right", "none"), ids, labels, images=images, **more)


def fit(network: Any, folder: Path | None = None, seed: int = 0, **setting: Any) -> Any:
    """Train on 40 faces with 20 to choose on."""
    faces = some_faces()
    network.setting = Setting(folder=folder, **setting)
    valid = faces.take(slice(40, 60))
    return network.fit(faces.take(slice(0, 40)), np.random.default_rng(seed), valid)


def weights(network: Any) -> dict[str, bytes]:
    """The trained weights as bytes."""
    return {name: t.numpy().tobytes() for name, t in network.model_.state_dict().items()}


def without_times(history: list[dict[str, float]]) -> list[dict[str, float]]:
    """What of a learning curve has to be the same in every run."""
    return [{k: v for k, v in row.items() if "second" not in k} for row in history]


def recipe_of(network: Any, **changed: Any) -> Any:
    """The network with another recipe."""
    network.recipes = {"paper": replace(network.recipes["paper"], **changed)}
    return network


def die_in(place: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be killed when a function is called for the ``number``-th time."""
    owner, name = {
        "a step": (Updater, "update"),
        "the judge": (network_module, "predict"),
        "writing": (Checkpoints, "_write"),
        "pruning": (Checkpoints, "_prune"),
        "logging": (Logbook, "add"),
    }[place]
    real, calls = getattr(owner, name), itertools.count(1)

    def dying(self: Any, *arguments: Any, **more: Any) -> Any:
        if next(calls) == number:
            raise Killed
        return real(self, *arguments, **more)

    monkeypatch.setattr(owner, name, dying)


def epoch_used(network: Any) -> str:
    """The epoch whose weights were taken, and how it was chosen, in the record's words."""
    return network.remarks()[1].rpartition("epoch ")[2]


def train_and_die(folder: Path, after: float) -> None:
    """Train slowly, and be killed after so many seconds at the latest."""

    class Slow(LittleAdam):
        def loss(self, out: Output, batch: Batch) -> Terms:
            time.sleep(0.05)
            return super().loss(out, batch)

    def kill() -> None:
        time.sleep(after)
        os.kill(os.getpid(), signal.SIGKILL)

    train.trains_in_bfloat16 = lambda device: False
    threading.Thread(target=kill, daemon=True).start()
    fit(Slow(), folder)
    time.sleep(after)
