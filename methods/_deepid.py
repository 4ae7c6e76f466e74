"""DeepID and the identity stage, in which it learns who is seen.

``deepid`` and ``tfe-jl`` share both: a stage is trained once for all methods with the same people,
seed and schedule.
"""

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
from bench.methods import _verification as verification
from bench.methods._verification import PeopleSplit, draw_pairs, split_people, verify
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, max_pool2d

from bench.api import BenchError, FaceInput, FaceSet, Setting
from bench.data.files import write_text
from bench.data.prepare import prepare
from bench.nn import faces, standardise, train, updates
from bench.nn.device import device_label, seeded
from bench.nn.faces import Pixels, crops
from bench.nn.output import Batch, Output, Terms
from bench.nn.recipe import SGD, OneCycle, Recipe
from bench.nn.standardise import Standardise
from bench.nn.train import Judgement, TrainingLoop, TrainingSummary
from bench.nn.updates import TrainingData

RECORD = "identity.json"  # the stage's record, in its folder
IDENTITY_WIDTH = 160  # numbers of the DeepID feature
_CONVOLUTIONS = ((4, 20), (3, 40), (3, 60), (2, 80))  # kernel, maps
_AT_ONCE = 512  # images in inference
_INPUT = FaceInput(colour="grey")

# The paper gives DeepID's rate at its start, .01 on CK+, and says neither that nor how it falls: it
# stays as it is here, for all 200 epochs. Weight decay is not mentioned, and there is none.
_PAPER = Recipe(SGD(0.01), batch=128, epochs=200, size=48, flip=True, drop_last=True)
# Ours, for a laptop.
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


class DeepID(nn.Module):
    """Y. Sun, X. Wang and X. Tang, CVPR 2014 (DeepID), with the input of their "Deep learning face
    representation by joint identification-verification", NIPS 2014.

    conv 4×4, 20 – pool – conv 3×3, 40 – pool – conv 3×3, 60 – pool (A) – conv 2×2, 80 (B) –
    fc 160 on A and B together, ReLU after each; no padding, 2×2 pools. 394,920 parameters for
    55×47×3 pixels.

    Deviation: as in later re-implementations, the weights of the third and fourth convolution are
    shared over the whole map; DeepID2 shares those of the third within regions of 2×2, and those of
    the fourth not at all.

    Parameters
    ----------
    channels, height, width : int
        Of the images, at least 31 pixels high and wide.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        sides, pooled = (height, width), 0
        layers: list[nn.Module] = []
        for number, (kernel, maps) in enumerate(_CONVOLUTIONS):
            layers.append(nn.Conv2d(channels, maps, kernel))
            channels, sides = maps, (sides[0] - kernel + 1, sides[1] - kernel + 1)
            if number < 3:
                sides = sides[0] // 2, sides[1] // 2
            if number == 2:
                pooled = maps * sides[0] * sides[1]
        if min(sides) < 1:
            raise BenchError(
                f"deepid: images of {width}×{height} pixels are too small for its four "
                "convolutions; take at least 31×31"
            )
        self.convolutions = nn.ModuleList(layers)
        self.embedding = nn.Linear(pooled + channels * sides[0] * sides[1], IDENTITY_WIDTH)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                # Open in the papers; without batch normalisation the usual choice is He et al.'s.
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """The feature, float (n, 160), not negative, from float (n, C, H, W)."""
        maps = images
        for convolution in list(self.convolutions)[:3]:
            maps = max_pool2d(torch.relu(convolution(maps)), 2)
        last = torch.relu(self.convolutions[3](maps))
        return torch.relu(self.embedding(torch.cat([maps.flatten(1), last.flatten(1)], dim=1)))


class IdentityBranch(nn.Module):
    """DeepID with the per-pixel statistics of the images that it learns from.

    Parameters
    ----------
    channels, size : int
        Channels of the images, and their side in pixels.
    """

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.standardise = Standardise(channels, size)
        self.body = DeepID(channels, size, size)

    def embed(self, images: Tensor) -> Tensor:
        """The feature, float (n, 160), from float (n, C, size, size) in [0, 1]."""
        feature: Tensor = self.body(self.standardise(images))
        return feature


class IdentityNetwork(nn.Module):
    """The branch under a softmax over persons.

    Parameters
    ----------
    persons, channels, size : int
        The number of persons; the rest as in `IdentityBranch`.
    dropout : float
        Share of the feature dropped in training; TFE-JL has 0.4.
    """

    def __init__(self, persons: int, channels: int, size: int, dropout: float = 0.4) -> None:
        super().__init__()
        self.branch = IdentityBranch(channels, size)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(IDENTITY_WIDTH, persons)

    def forward(self, images: Tensor) -> Output:
        """From float (n, C, size, size) in [0, 1]; the embedding is that before dropout."""
        embedding = self.branch.embed(images)
        return Output(embedding, self.output(self.dropout(embedding)))


# -- the stage --------------------------------------------------------------------------------


def identity_recipe(budget: str, length: float = 1.0, size: int | None = None) -> Recipe:
    """The schedule of the stage, over ``length`` times its length, on ``size``×``size`` pixels."""
    recipe = RECIPES[budget].stretched(length)
    return recipe if size is None else replace(recipe, size=size)


@dataclass(frozen=True, eq=False)
class IdentityStage:
    """The outcome of the identity stage.

    Attributes
    ----------
    branch : IdentityBranch
        The trained branch, on the device, in evaluation mode.
    record : dict
        ``conditions``, ``figures``, ``seconds`` …, as `RECORD` holds them.
    earlier_seconds : float
        Seconds of the stage's training that were spent before this call.
    """

    branch: IdentityBranch
    record: dict[str, Any]
    earlier_seconds: float

    def remarks(self, method: str) -> list[str]:
        """The stage in words, for the records of the methods that use it."""
        conditions, figures = self.record["conditions"], self.record["figures"]
        remark = (
            f"{method}: identity stage on {conditions['people']}"
            f"{' (synthetic)' if conditions['synthetic'] else ''}: "
            f"{conditions['persons_learnt']} persons, "
            f"{conditions['images_trained']} images, {self.record['epochs']} epochs in "
            f"{self.record['seconds']:.0f} s; closed-set accuracy "
            f"{figures['closed_set_accuracy']:.4f} on one image of each"
        )
        if "verification_accuracy" in figures:
            remark += (
                f", verification accuracy {figures['verification_accuracy']:.4f} ± "
                f"{figures['verification_deviation']:.4f} on {conditions['pairs']} pairs of "
                f"{conditions['persons_held_out']} other persons"
            )
        else:
            remark += ", verification not measured (too few pictures of persons held out)"
        return [remark]


def identity_stage(
    people: FaceSet, recipe: Recipe, setting: Setting, seed: int, compiled: bool = False
) -> IdentityStage:
    """Train DeepID on persons, or take what an earlier call trained; measure it.

    In a results folder the stage has a folder of its own beside those of the networks. All that can
    change the stage names that folder, so that every method with the same people, seed, recipe and
    budget shares it. Where two processes want the same stage, one trains and the other waits. The
    stage resumes like every training, and ``identity.json`` there is its record.

    Parameters
    ----------
    people : FaceSet
        Of kind ``people``; images of any size and colour.
    setting : Setting
        The method's own: device, budget, folder, report.
    seed : int
        Seed of initial weights, batches and dropout.

    Raises
    ------
    BenchError
        As `split_people` and `bench.nn.train.TrainingLoop`.
    """
    split = split_people(people)
    people = prepare(people, _INPUT)
    if setting.folder is None:
        return _trained_stage(people, split, recipe, setting, seed, compiled)
    folder = setting.folder.parent / f"identity-{_key(people, recipe, setting.budget, seed)}"
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / "lock", setting):
        own = replace(setting, folder=folder)
        return _trained_stage(people, split, recipe, own, seed, compiled)


def embeddings(branch: IdentityBranch, pixels: Pixels, rows: np.ndarray, size: int) -> np.ndarray:
    """The features of these rows int64 (r,), float32 (r, 160)."""
    branch.eval()
    features = []
    with torch.inference_mode():
        for chunk in torch.from_numpy(rows).split(_AT_ONCE):
            features.append(branch.embed(_scaled(crops(pixels.take(chunk), size))).float().cpu())
    return torch.cat(features).numpy()


def _trained_stage(
    people: FaceSet, split: PeopleSplit, recipe: Recipe, setting: Setting, seed: int, compiled: bool
) -> IdentityStage:
    """The stage of people whose images are prepared, in the folder that the setting names."""
    pictures = _Pictures(people, split, recipe, setting.device)
    with seeded(setting.device, seed):
        network = IdentityNetwork(len(split.persons), pictures.pixels.channels, recipe.size)
    network.branch.standardise.learn(pictures.pixels, pictures.train)
    network = network.to(setting.device, memory_format=torch.channels_last)
    summary = TrainingLoop(
        _PersonLearner(),
        network,
        recipe,
        pictures.training_data(),
        lambda model: Judgement(pictures.accuracy(model)),
        setting,
        seed,
        compiled,
    ).run()
    network.eval()
    record = None if setting.folder is None else _stored_record(setting.folder / RECORD)
    if record is None:
        conditions = _conditions(people, split, recipe, setting, seed)
        record = _record(network, pictures, summary, conditions, setting.device)
        if setting.folder is not None:
            write_text(setting.folder / RECORD, json.dumps(record, indent=1) + "\n")
    return IdentityStage(network.branch, record, summary.earlier_seconds)


class _Pictures:
    """The pictures of the people on the device: batches to learn from, accuracy on the others."""

    def __init__(self, people: FaceSet, split: PeopleSplit, recipe: Recipe, device: str) -> None:
        assert people.subject is not None
        self.subject, self.split, self.recipe = people.subject, split, recipe
        self.pixels = Pixels(people, recipe.side, device)
        self.train = torch.from_numpy(split.train)
        # The number of a person who is not learnt means nothing, and no row of theirs is used.
        person = np.searchsorted(split.persons, people.subject).clip(max=len(split.persons) - 1)
        self.classes = torch.from_numpy(person).to(device)

    def training_data(self) -> TrainingData:
        """The rows that are learnt."""
        # Class numbers, not rows of 0 and 1: with CASIA-WebFace's persons those would take 17 GB.
        classes = self.classes[self.train.to(self.classes.device)]
        return TrainingData(classes, classes, self._inputs)

    def _inputs(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        pixels, recipe = self.pixels.take(self.train[rows]), self.recipe
        return _scaled(crops(pixels, recipe.size, generator, recipe.flip))

    def accuracy(self, model: nn.Module) -> float:
        """The share of validation pictures whose person is recognised; NaN where a logit is."""
        model.eval()
        right = 0
        with torch.inference_mode():
            for rows in torch.from_numpy(self.split.valid).split(_AT_ONCE):
                logits = model(_scaled(crops(self.pixels.take(rows), self.recipe.size))).logits
                if not bool(logits.isfinite().all()):
                    return float("nan")
                right += int((logits.argmax(dim=1) == self.classes[rows.to(logits.device)]).sum())
        return right / len(self.split.valid)

    def verification(self, branch: IdentityBranch) -> tuple[int, dict[str, float]]:
        """How many pairs of strangers there are, and the figures of their verification, if any."""
        pairs = draw_pairs(self.subject[self.split.verification])
        if pairs is None:
            return 0, {}
        features = embeddings(branch, self.pixels, self.split.verification, self.recipe.size)
        result = verify(features, pairs)
        return len(pairs), {
            "verification_accuracy": result.accuracy,
            "verification_deviation": result.deviation,
            "verification_threshold": float(np.mean(result.thresholds)),
        }


class _PersonLearner:
    """The softmax over persons as the training loop sees a method (`bench.nn.train.Trainable`)."""

    name = "identity stage"
    sums_over_samples = True

    def get_params(self) -> dict[str, Any]:
        return {}

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        return [{"params": list(model.parameters())}]

    def loss(self, out: Output, batch: Batch) -> Terms:
        return Terms(cross_entropy(out.logits, batch.labels))


def _scaled(images: Tensor) -> Tensor:
    return images.float().div_(255).contiguous(memory_format=torch.channels_last)


# -- its record and its folder ----------------------------------------------------------------


def _record(
    network: IdentityNetwork,
    pictures: _Pictures,
    summary: TrainingSummary,
    conditions: dict[str, Any],
    device: str,
) -> dict[str, Any]:
    accuracy = pictures.accuracy(network)
    conditions["pairs"], verified = pictures.verification(network.branch)
    return {
        "stage": "identity",
        "conditions": conditions,
        "figures": {"closed_set_accuracy": accuracy, **verified},
        "epochs": len(summary.history),
        "epoch": summary.epoch,
        "seconds": sum(row["seconds"] for row in summary.history),
        "computed": summary.computed,
        "device": device_label(device),
        "notes": summary.notes,
    }


def _conditions(
    people: FaceSet, split: PeopleSplit, recipe: Recipe, setting: Setting, seed: int
) -> dict[str, Any]:
    return {
        "people": people.name,
        "fingerprint": people.fingerprint,
        "synthetic": people.synthetic,
        "persons": len(split.persons) + split.held_out + split.single,
        "images": len(people),
        "persons_learnt": len(split.persons),
        "images_trained": len(split.train),
        "persons_held_out": split.held_out,
        "persons_with_one_image": split.single,
        "pairs": 0,
        "budget": setting.budget,
        "seed": seed,
        "recipe": repr(recipe),
    }


def _key(people: FaceSet, recipe: Recipe, budget: str, seed: int) -> str:
    """A hash of everything that can change the stage."""
    code = [_code(module) for module in (standardise, verification, train, updates, faces)]
    with open(__file__, encoding="utf-8") as own:
        code.append(ast.dump(ast.parse(own.read())))
    parts = [people.fingerprint, repr(recipe), budget, seed, *code]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _code(module: ModuleType) -> str:
    """The syntax tree of a module, which its comments do not change."""
    return ast.dump(ast.parse(inspect.getsource(module)))


def _stored_record(path: Path) -> dict[str, Any] | None:
    """The record of a stage that is finished; None where no record can be read."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return record if {"conditions", "figures"} <= set(record) else None
    except (OSError, ValueError, TypeError):
        return None  # the record is made again


@contextmanager
def _locked(path: Path, setting: Setting) -> Iterator[None]:
    """Hold the stage's folder; the kernel frees it when the process ends, however it ends."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if setting.report is not None:
                setting.report(0, 1, "waits for the identity stage of another cell")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
