"""Made-up persons and a short identity stage on them; other processes import it too."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import Any

import numpy as np
from bench.methods._deepid import IdentityStage, identity_stage

from bench.api import FaceSet, Setting
from bench.nn import train
from bench.nn.checkpoints import CheckpointClock
from bench.nn.recipe import SGD, Recipe
from bench.nn.updates import Updater

RECIPE = Recipe(SGD(0.02), batch=12, iterations=20, size=32, flip=True, drop_last=True)


def some_people(persons: int = 6, pictures: int = 5, side: int = 32) -> FaceSet:
    """Every person a pattern of stripes of their own, every picture with noise on it."""
    rng = np.random.default_rng(0)
    # Coarse, so that mirrors do not matter much: the pattern is the same from both sides.
    half = np.kron(rng.integers(40, 216, (persons, side // 4, side // 8)), np.ones((1, 4, 4)))
    faces = np.concatenate([half, half[:, :, ::-1]], axis=2)
    person = np.repeat(np.arange(persons), pictures)
    noise = rng.normal(0, 25, (len(person), side, side))
    return FaceSet(
        "people",
        "people",
        (),
        np.array([f"{who:03d}/{row:04d}.jpg" for row, who in enumerate(person)]),
        np.zeros((len(person), 0), bool),
        images=(faces[person] + noise).clip(0, 255).astype(np.uint8),
        subject=np.array([f"{who:03d}" for who in person]),
        synthetic=True,
    )


def stage(
    people: FaceSet,
    root: Path | None = None,
    name: str = "cell",
    seed: int = 0,
    budget: str = "smoke",
    recipe: Recipe = RECIPE,
    report: Any = None,
) -> IdentityStage:
    """The stage as the engine asks for it."""
    folder = None if root is None else root / name
    return identity_stage(people, recipe, Setting(budget, folder=folder, report=report), seed)


def weights(found: IdentityStage) -> dict[str, bytes]:
    """The branch's weights and statistics as bytes."""
    return {name: t.numpy().tobytes() for name, t in found.branch.state_dict().items()}


def try_lock(path: Path) -> None:
    """Raise `BlockingIOError` where another process holds the file."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _counted(wait: float) -> list[int]:
    """Steps of all trainings from now on, each of which takes ``wait`` seconds longer."""
    steps: list[int] = []
    step = Updater.update

    def counted(self: Updater, *rest: Any) -> Any:
        steps.append(1)
        time.sleep(wait)
        return step(self, *rest)

    Updater.update = counted  # type: ignore[method-assign]
    train.trains_in_bfloat16 = lambda device: False
    return steps


def train_in_turn(root: Path, name: str, results: Any) -> None:
    """The stage in a process of its own, slow enough for another to come and find it."""
    steps, heard = _counted(0.3), []
    found = stage(
        some_people(persons=6, pictures=5),
        root,
        name,
        report=lambda done, steps, words: heard.append(words),
    )
    results.put({"steps": len(steps), "weights": weights(found), "heard": heard})


def hang_in_training(root: Path) -> None:
    """Begin the stage, and stay in its second epoch."""
    steps = _counted(0.0)
    CheckpointClock.due = lambda self: True  # type: ignore[method-assign]
    counted = Updater.update

    def hang(self: Updater, *rest: Any) -> Any:
        if len(steps) == 3:
            (folder,) = root.glob("identity-*")
            (folder / "begun").touch()
            time.sleep(600)
        return counted(self, *rest)

    Updater.update = hang  # type: ignore[method-assign]
    stage(some_people(persons=6, pictures=5), root)
