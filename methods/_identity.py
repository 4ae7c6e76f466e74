"""The identity stage: DeepID learns who is seen, once for all the methods that build on it."""

from __future__ import annotations

import ast
import fcntl
import hashlib
import inspect
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from bench.methods import _deepid as deepid
from bench.methods import _verification as verification
from bench.methods._deepid import IdentityBranch, IdentityNetwork
from bench.methods._verification import draw_pairs, order, verify
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from bench.api import BenchError, FaceInput, FaceSet, Setting
from bench.data.files import write_text
from bench.data.prepare import prepare
from bench.nn import faces, standardise, train
from bench.nn.device import described, seeded
from bench.nn.faces import Pixels, crops
from bench.nn.output import Batch, Output, Terms
from bench.nn.recipe import SGD, OneCycle, Recipe
from bench.nn.train import Data, Training

RECORD = "identity.json"
_HELD_OUT, _FEWEST = 0.1, 4  # share of the persons; persons of whom some are held out
_AT_ONCE = 512  # images in inference
_NAME = "identity stage"
_INPUT = FaceInput(colour="grey")

_PAPER = Recipe(SGD(0.01), batch=128, epochs=200, size=48, flip=True, drop_last=True)
# Of ours, for a laptop.
_QUICK = replace(
    _PAPER,
    optimizer=SGD(0.03),
    batch=64,
    epochs=None,
    iterations=600,
    schedule=OneCycle(),
    size=32,
)
RECIPES = {"paper": _PAPER, "quick": _QUICK, "smoke": replace(_QUICK, batch=16, iterations=4)}


@dataclass(frozen=True, eq=False)
class Parts:
    """What becomes of each picture.

    Attributes
    ----------
    persons : str (p,)
        Those who are learnt.
    train, valid, held : int64
        Rows: of the persons learnt all but one picture of each, that one, and the pictures of the
        persons held out for verification.
    held_out : int
        Persons in ``held``.
    single : int
        Persons of whom there is one picture: left out.
    """

    persons: np.ndarray
    train: np.ndarray
    valid: np.ndarray
    held: np.ndarray
    held_out: int
    single: int


def identity_recipe(budget: str, length: float = 1.0, size: int | None = None) -> Recipe:
    """The schedule of the stage, over ``length`` times its length, on ``size``×``size`` pixels."""
    recipe = RECIPES[budget].stretched(length)
    return recipe if size is None else replace(recipe, size=size)


def divide(people: FaceSet) -> Parts:
    """The parts of the identity stage, the same for every seed.

    Of each person one picture, drawn at random, is for validation (TFE-JL, section 4.3). A tenth of
    the persons, at least two, are not learnt at all, so that verification meets strangers, where
    the paper has LFW; with fewer than four persons nobody is held out.

    Raises
    ------
    BenchError
        No people, or fewer than two persons with two pictures.
    """
    if people.kind != "people" or people.subject is None:
        raise BenchError(
            f"{people.name} does not say who is seen: identities are learnt from a people dataset "
            "(people:DIR, synthetic-people)"
        )
    names, person, pictures = np.unique(people.subject, return_inverse=True, return_counts=True)
    several = np.flatnonzero(pictures > 1)
    if len(several) < 2:
        raise BenchError(
            f"{people.name} has {len(several)} person(s) with two pictures or more, and at least "
            "two are needed to learn to tell persons apart; add persons or pictures"
        )
    count = max(2, round(_HELD_OUT * len(several))) if len(several) >= _FEWEST else 0
    shuffled = several[order(len(several), 10)]
    held, learnt = shuffled[:count], np.sort(shuffled[count:])
    # One picture each: the first of its person in a fixed random order.
    mixed = order(len(people), 11)
    _, first = np.unique(person[mixed], return_index=True)
    valid = np.sort(mixed[first[learnt]])
    train_rows = np.setdiff1d(np.flatnonzero(np.isin(person, learnt)), valid)
    return Parts(
        names[learnt],
        train_rows,
        valid,
        np.flatnonzero(np.isin(person, held)),
        count,
        len(names) - len(several),
    )


@dataclass(frozen=True, eq=False)
class Identity:
    """What the stage gives.

    Attributes
    ----------
    branch : IdentityBranch
        On the device, in evaluation mode.
    record : dict
        ``conditions``, ``figures``, ``seconds`` …, as in its file.
    earlier_seconds : float
        Seconds of the stage's training that were spent before this call.
    """

    branch: IdentityBranch
    record: dict[str, Any]
    earlier_seconds: float

    def remarks(self, method: str) -> list[str]:
        """The stage in words, for the records of the methods that use it."""
        told, figures = self.record["conditions"], self.record["figures"]
        said = (
            f"{method}: identity stage on {told['people']}"
            f"{' (synthetic)' if told['synthetic'] else ''}: {told['persons_learnt']} persons, "
            f"{told['images_trained']} images, {self.record['epochs']} epochs in "
            f"{self.record['seconds']:.0f} s; closed-set accuracy "
            f"{figures['closed_set_accuracy']:.4f} on one image of each"
        )
        if "verification_accuracy" in figures:
            said += (
                f", verification accuracy {figures['verification_accuracy']:.4f} ± "
                f"{figures['verification_deviation']:.4f} on {told['pairs']} pairs of "
                f"{told['persons_held_out']} other persons"
            )
        else:
            said += ", verification not measured (too few pictures of persons held out)"
        return [said]


def identity_stage(
    people: FaceSet, recipe: Recipe, setting: Setting, seed: int, compiled: bool = False
) -> Identity:
    """Train DeepID on persons, or take what an earlier call trained; measure it.

    In a results folder the stage has a folder of its own beside those of the networks, named by all
    that can change it, so that every method with the same people, seed, recipe and budget shares
    it. Of two processes that want it one trains and the other waits. It resumes like every
    training, and ``identity.json`` there is its record.

    Parameters
    ----------
    people : FaceSet
        Of kind ``people``; images of any size and colour.
    setting : Setting
        The method's own: device, budget, folder, report.
    seed : int
        Initial weights, batches, dropout.

    Raises
    ------
    BenchError
        As `divide` and `bench.nn.train.Training`.
    """
    parts = divide(people)
    people = prepare(people, _INPUT)
    if setting.folder is None:
        return _stage(people, parts, recipe, setting, seed, compiled)
    folder = setting.folder.parent / f"identity-{_key(people, recipe, setting.budget, seed)}"
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / "lock", setting):
        return _stage(people, parts, recipe, replace(setting, folder=folder), seed, compiled)


def embeddings(branch: IdentityBranch, pixels: Pixels, rows: np.ndarray, size: int) -> np.ndarray:
    """Features of these rows int64 (r,), float32 (r, 160)."""
    branch.eval()
    found = []
    with torch.inference_mode():
        for some in torch.from_numpy(rows).split(_AT_ONCE):
            found.append(branch.embed(_scaled(crops(pixels.take(some), size))).float().cpu())
    return torch.cat(found).numpy()


# -- the rest ---------------------------------------------------------------------------------


class _Learner:
    """What the training loop asks of a network."""

    name = _NAME
    sums_over_samples = True

    def get_params(self) -> dict[str, Any]:
        return {}

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        return [{"params": list(model.parameters())}]

    def loss(self, out: Output, batch: Batch) -> Terms:
        return Terms(cross_entropy(out.logits, batch.labels))


def _scaled(images: Tensor) -> Tensor:
    return images.float().div_(255).contiguous(memory_format=torch.channels_last)


def _stage(
    people: FaceSet, parts: Parts, recipe: Recipe, setting: Setting, seed: int, compiled: bool
) -> Identity:
    pixels = Pixels(people, recipe.side, setting.device)
    assert people.subject is not None
    # Where someone is not learnt the number means nothing, and is not used.
    person = np.searchsorted(parts.persons, people.subject).clip(max=len(parts.persons) - 1)
    classes = torch.from_numpy(person).to(setting.device)
    trained_rows = torch.from_numpy(parts.train)
    with seeded(setting.device, seed):
        network = IdentityNetwork(len(parts.persons), pixels.channels, recipe.size)
    network.branch.standardise.learn(pixels, trained_rows)
    network = network.to(setting.device, memory_format=torch.channels_last)

    def inputs(rows: Tensor, generator: torch.Generator) -> Tensor:
        cut = crops(pixels.take(trained_rows[rows]), recipe.size, generator, recipe.flip)
        return _scaled(cut)

    def accuracy(model: nn.Module) -> float:
        model.eval()
        right = 0
        with torch.inference_mode():
            for some in torch.from_numpy(parts.valid).split(_AT_ONCE):
                logits = model(_scaled(crops(pixels.take(some), recipe.size))).logits
                if not bool(logits.isfinite().all()):
                    return float("nan")
                right += int((logits.argmax(dim=1) == classes[some.to(classes.device)]).sum())
        return right / len(parts.valid)

    own = classes[trained_rows.to(classes.device)]
    trained = Training(
        _Learner(),
        network,
        recipe,
        # Numbers, not rows of 0 and 1: with CASIA-WebFace's persons those would take 17 GB.
        Data(own, own, inputs),
        accuracy,
        setting,
        seed,
        compiled,
    ).run()
    network.eval()
    seconds = sum(row["seconds"] for row in trained.history)
    record = None if setting.folder is None else _read(setting.folder / RECORD)
    if record is None:
        record = {
            "stage": "identity",
            "conditions": _conditions(people, parts, recipe, setting, seed),
            "figures": {"closed_set_accuracy": accuracy(network)},
            "epochs": len(trained.history),
            "epoch": trained.epoch,
            "seconds": seconds,
            "computed": trained.computed,
            "device": described(setting.device),
            "notes": trained.said,
        }
        pairs = draw_pairs(people.subject[parts.held])
        if pairs is not None:
            found = verify(embeddings(network.branch, pixels, parts.held, recipe.size), pairs)
            record["conditions"]["pairs"] = len(pairs)
            record["figures"] |= {
                "verification_accuracy": found.accuracy,
                "verification_deviation": found.deviation,
                "verification_threshold": float(np.mean(found.thresholds)),
            }
        if setting.folder is not None:
            write_text(setting.folder / RECORD, json.dumps(record, indent=1) + "\n")
    return Identity(network.branch, record, trained.earlier_seconds)


def _conditions(
    people: FaceSet, parts: Parts, recipe: Recipe, setting: Setting, seed: int
) -> dict[str, Any]:
    return {
        "people": people.name,
        "fingerprint": people.fingerprint,
        "synthetic": people.synthetic,
        "persons": len(parts.persons) + parts.held_out + parts.single,
        "images": len(people),
        "persons_learnt": len(parts.persons),
        "images_trained": len(parts.train),
        "persons_held_out": parts.held_out,
        "persons_with_one_image": parts.single,
        "pairs": 0,
        "budget": setting.budget,
        "seed": seed,
        "recipe": repr(recipe),
    }


def _key(people: FaceSet, recipe: Recipe, budget: str, seed: int) -> str:
    """Names everything that can change the stage."""
    code = [_code(one) for one in (deepid, standardise, verification, train, faces)]
    with open(__file__, encoding="utf-8") as own:
        code.append(ast.dump(ast.parse(own.read())))
    parts = [people.fingerprint, repr(recipe), budget, seed, *code]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _code(module: ModuleType) -> str:
    """What a module does, without its comments."""
    return ast.dump(ast.parse(inspect.getsource(module)))


def _read(path: Path) -> dict[str, Any] | None:
    """The record of the stage; None where there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if {"conditions", "figures"} <= set(found) else None
    except (OSError, ValueError, TypeError):
        return None  # it is computed again


@contextmanager
def _alone(path: Path, setting: Setting) -> Iterator[None]:
    """Hold the stage's folder; the kernel frees it when the process ends, however it ends."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if setting.report is not None:
                setting.report(0, 1, "waits for the identity stage of another cell")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
