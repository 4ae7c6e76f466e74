"""TrainedNetwork: what the engine supplies to every network, so that a plug-in holds its paper."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.transforms.v2.functional import normalize

from bench.api import BenchError, FaceInput, FaceSet, Network, Setting, param
from bench.nn.device import seeded
from bench.nn.faces import Pixels, crops, targets, ten_crop
from bench.nn.losses.softmax import multilabel_softmax
from bench.nn.output import Batch, Output, Terms
from bench.nn.recipe import Recipe
from bench.nn.threshold import best_micro_f1
from bench.nn.train import TrainingLoop, TrainingSummary
from bench.nn.updates import TrainingData

HELD_OUT = 0.1  # of the training part, to choose the epoch on where there is no validation part
_FEWEST = 20  # training rows of which some are held out
_AT_ONCE = 128  # images in inference
_SMOKE = 4  # iterations
_VIEWS = 10  # of a ten-crop
_TUNING_RATE = 0.1  # of the schedule's rates, where a trained network learns another dataset

Loss = Callable[[Output, Batch], Terms]


class TrainedNetwork(Network):
    """A network that the suite trains.

    A plug-in states ``recipes`` (by budget; ``smoke`` is made from ``quick``), ``build`` and, where
    it is not the softmax cross-entropy, ``loss``; more hooks follow below. The epoch is the one
    with the best average precision (accuracy on single-label data) on the validation part; where
    there is none, a tenth of the training part is held out for it.

    Scores are the softmax over the labels, or sigmoids where ``sigmoid``. A softmax has no natural
    threshold: labels are those whose score reaches the threshold that maximises micro-F1 on the
    validation (or held-out) part, 1/L without one; a sigmoid's is ½. On single-label data the label
    is the largest score.

    Class attributes
    ----------------
    recipes : mapping of str to Recipe
        For ``paper`` and ``quick``.
    sigmoid : bool
        Whether each label has a probability of its own (on multi-label data).
    mean, std : tuple of float
        What pixels in [0, 1] are normalised with, one for each channel or one for all.
    sums_over_samples : bool
        Whether the loss of a batch is the mean of losses of its images, so that a batch may be
        computed in pieces.
    ten_crop : {"", "logits", "softmax"}
        What is averaged, with the embeddings, over the ten crops of ``recipe.size`` that are cut
        from ``recipe.crop_from`` when faces are asked about; "": the centre alone is cut. Epochs
        are compared by the centre alone.
    """

    accelerated = True
    input = FaceInput(colour="grey")
    recipes: ClassVar[Mapping[str, Recipe]] = {}
    sigmoid: ClassVar[bool] = False
    mean: ClassVar[tuple[float, ...]] = (0.0,)
    std: ClassVar[tuple[float, ...]] = (1.0,)
    sums_over_samples: ClassVar[bool] = True
    ten_crop: ClassVar[str] = ""
    small = {"length": 1 / _SMOKE}  # one iteration

    length: float = param(1.0, gt=0, le=1000, help="times the schedule's length")
    size: int | None = param(
        None, ge=8, le=1024, help="side of the input in pixels, in place of the schedule's"
    )
    compile: bool = param(False, help="torch.compile the training steps")
    finetune: float = param(
        0.0,
        ge=0,
        le=1000,
        help="protocol cross: times the schedule's length, at a tenth of its rates, on the "
        "target's training part",
    )

    # -- what a plug-in states ----------------------------------------------------------------

    def build(self, labels: int, channels: int) -> nn.Module:
        """The untrained network: its `forward` takes what `inputs` gives and returns `Output`."""
        raise NotImplementedError

    def loss(self, out: Output, batch: Batch) -> Terms:
        """The loss of a batch; by default the multi-label softmax cross-entropy."""
        return Terms(multilabel_softmax(out.logits, batch.distribution))

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Parameter groups for the optimiser."""
        return [{"params": list(model.parameters())}]

    def keep(self, faces: FaceSet) -> Pixels:
        """The pixels that batches are cut from."""
        return Pixels(faces, self.recipe.side, self.setting.device)

    def inputs(
        self, pixels: Tensor, faces: FaceSet, rows: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        """What `forward` takes, from uint8 (b, H, W, C): crops, normalised.

        Parameters
        ----------
        faces : FaceSet
            The whole part that ``rows`` int64 (b,) are of, for more than pixels.
        generator : torch.Generator or None
            Draws crops and mirrors in training; None cuts the centre.
        """
        cut = crops(pixels, self.recipe.size, generator, self.recipe.flip)
        return self.normalised(cut)

    def learn(
        self, model: nn.Module, train: FaceSet, valid: FaceSet | None, seed: int
    ) -> TrainingSummary:
        """The whole training, of one `phase` or of several; tells of the last."""
        return self.phase("", model, self.recipe, train, valid, seed)

    def fitted(self, summary: TrainingSummary, valid: FaceSet | None) -> list[str]:
        """More to say in the record after training."""
        return []

    # -- what follows -------------------------------------------------------------------------

    @property
    def recipe(self) -> Recipe:
        """The schedule of the budget, over `length` times its length."""
        return self.budgeted(self.recipes)

    def budgeted(self, recipes: Mapping[str, Recipe]) -> Recipe:
        """The one of ``recipes`` that the budget asks for, over `length` times its length."""
        if self.setting.budget == "smoke":
            quick = recipes["quick"]
            recipe = replace(quick, epochs=None, iterations=_SMOKE, batch=min(quick.batch, 16))
        else:
            recipe = recipes[self.setting.budget]
        return self.sized(recipe).stretched(self.length)

    def sized(self, recipe: Recipe) -> Recipe:
        """With inputs of `size` pixels, where it is given, cut from as much more as before."""
        if self.size is None:
            return recipe
        side = recipe.crop_from and round(recipe.crop_from * self.size / recipe.size)
        return replace(recipe, size=self.size, crop_from=side)

    def normalised(self, images: Tensor) -> Tensor:
        """Float from uint8 (n, C, H, W), channels last in memory, less the mean, by the std."""
        scaled = images.float().div_(255)
        if self.mean != (0.0,) or self.std != (1.0,):
            scaled = normalize(scaled, list(self.mean), list(self.std))
        return scaled.contiguous(memory_format=torch.channels_last)

    def fit(self, faces: FaceSet, rng: np.random.Generator, valid: FaceSet | None = None) -> Self:
        """Train; choose the epoch and the threshold on ``valid``.

        Raises
        ------
        BenchError
            No images, a batch that the method cannot use, a loss that is no number, too little
            memory.
        """
        if not len(faces):
            raise BenchError(f"{self.name}: the training part of {faces.name} is empty")
        seed = int(rng.integers(2**62))
        self._begin(faces)
        train, valid = self._parts(faces, rng, valid)
        self._make(train, seed)
        trained = self.learn(self.model_, train, valid, seed)
        self.history_ = trained.history
        self.threshold_ = self._threshold(valid)
        self._note(trained, train, valid)
        return self

    def untrained(self, faces: FaceSet, seed: int = 0) -> Self:
        """Ready to be asked with its first weights, as for the time that an answer takes."""
        self._begin(faces)
        self._make(faces, seed)
        self.threshold_ = 0.5
        return self

    def _begin(self, faces: FaceSet) -> None:
        self.notes_: list[str] = []
        self.curve_: list[dict[str, float | str]] = []
        self.phases_: list[str] = []
        self.earlier_seconds = 0.0
        self.kind_, self.labels_ = faces.kind, len(faces.label_names)

    def _make(self, train: FaceSet, seed: int) -> None:
        """The network with its first weights, on the device."""
        self.check(train)
        device = self.setting.device
        self.channels_ = self.keep(train.take(slice(0, 1))).channels
        with seeded(device, seed):
            model = self.build(self.labels_, self.channels_)
        self.model_ = model.to(device, memory_format=torch.channels_last)

    def phase(
        self,
        name: str,
        model: nn.Module,
        recipe: Recipe,
        train: FaceSet,
        valid: FaceSet | None,
        seed: int,
        loss: Loss | None = None,
    ) -> TrainingSummary:
        """Train ``model``, the network or a part that gives `Output` too, by one schedule.

        Parameters
        ----------
        name : str
            Of the folder with its checkpoints and its curve, and for people; "": the only phase.
        valid : FaceSet or None
            What its epoch is chosen on; None, or ``--selection last``, keeps the last.
        loss : callable or None
            Instead of the network's own.
        """
        pixels = self.keep(train)
        labels, distribution = targets(train, self.setting.device)
        data = TrainingData(
            labels,
            distribution,
            lambda rows, generator: self.inputs(pixels.take(rows), train, rows, generator),
        )
        loss = self.loss if loss is None else loss
        chosen_on = None if self.setting.selection == "last" else valid
        judge = None if chosen_on is None else self._judge(model, chosen_on, loss)
        setting = self._within(name)
        trained = TrainingLoop(
            _Phase(self, loss), model, recipe, data, judge, setting, seed, self.compile
        ).run()
        self.earlier_seconds += trained.earlier_seconds
        told: dict[str, float | str] = {"phase": name} if name else {}
        self.curve_ += [{**told, **row} for row in trained.history]
        self.phases_.append(self._told(name, recipe, trained, train, chosen_on))
        self.phases_ += trained.notes
        return trained

    def tunes(self) -> bool:
        """Whether `finetune` asks for it."""
        return self.finetune > 0

    def tune(self, faces: FaceSet, rng: np.random.Generator, valid: FaceSet | None = None) -> Self:
        """Train on at a tenth of the rates, `finetune` times the schedule's length."""
        seed = int(rng.integers(2**62))
        train, valid = self._parts(faces, rng, valid)
        self.kind_ = faces.kind
        self.check(train)
        recipe = self.recipe.stretched(self.finetune)
        recipe = replace(recipe, optimizer=recipe.optimizer.times(_TUNING_RATE))
        self.phases_ = []
        self.history_ = self.phase("finetune", self.model_, recipe, train, valid, seed).history
        self.threshold_ = self._threshold(valid)
        self.notes_ += self.phases_
        return self

    def check(self, train: FaceSet) -> None:
        """Raise `BenchError` where the training part cannot be used."""

    def outputs(self, faces: FaceSet) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Embedding float32 (n, d), scores float32 (n, L), labels bool (n, L), by one pass."""
        if not hasattr(self, "threshold_"):
            raise BenchError(f"{self.name} is not trained yet: call fit first")
        out = self._forward(faces, ten_crop=self.ten_crop)
        scores = self._scores(out.logits)
        if self.kind_ == "single":
            labels = np.arange(self.labels_) == scores.argmax(axis=1)[:, None]
        else:
            labels = scores >= self.threshold_
        return out.embedding.cpu().numpy(), scores, labels

    def transform(self, faces: FaceSet) -> np.ndarray:
        """The penultimate layer, float32 (n, d)."""
        return self.outputs(faces)[0]

    def scores(self, faces: FaceSet) -> np.ndarray:
        """Float32 (n, L) in [0, 1]."""
        return self.outputs(faces)[1]

    def labels(self, faces: FaceSet) -> np.ndarray:
        """Bool (n, L): score >= the threshold; on single-label data the largest score."""
        return self.outputs(faces)[2]

    def scores_are_distributions(self) -> bool:
        """A softmax is one, sigmoids are none."""
        return not self.sigmoid or self.kind_ == "single"

    def learned_weights(self) -> int:
        """Parameters of the network."""
        return sum(parameter.numel() for parameter in self.model_.parameters())

    def learning_curve(self) -> list[dict[str, float | str]]:
        """Loss terms, rates and what epochs are chosen by."""
        return self.curve_

    def remarks(self) -> tuple[str, ...]:
        """How it was trained."""
        return tuple(self.notes_)

    # -- the rest -----------------------------------------------------------------------------

    def _parts(
        self, faces: FaceSet, rng: np.random.Generator, valid: FaceSet | None
    ) -> tuple[FaceSet, FaceSet | None]:
        """Training and validation part; a tenth is held out where there is none of the latter."""
        if valid is not None or self.setting.selection == "last":
            return faces, valid
        if len(faces) < _FEWEST:
            self.notes_.append(f"{self.name}: too few images to choose an epoch; the last is taken")
            return faces, None
        order = rng.permutation(len(faces))
        held = np.sort(order[: max(1, round(HELD_OUT * len(faces)))])
        kept = np.sort(order[len(held) :])
        self.notes_.append(
            f"{self.name}: {len(held)} of the {len(faces)} training images held out of training, "
            "for the choice of the epoch and the threshold"
        )
        return faces.take(kept), faces.take(held)

    def _within(self, name: str) -> Setting:
        """The setting of a phase: a folder of its own, progress under its name."""
        told, folder = self.setting.report, self.setting.folder
        if not name:
            return self.setting

        def report(done: int, steps: int, words: str) -> None:
            if told is not None:
                told(done, steps, f"{name}: {words}")

        return replace(
            self.setting, folder=None if folder is None else folder / name, report=report
        )

    def _forward(
        self,
        faces: FaceSet,
        pixels: Pixels | None = None,
        model: nn.Module | None = None,
        ten_crop: str = "",
    ) -> Output:
        """In full precision and evaluation mode, on the device; ``pixels`` where they are kept."""
        model = self.model_ if model is None else model
        pixels = self.keep(faces) if pixels is None else pixels
        if pixels.channels != self.channels_:
            raise BenchError(
                f"{self.name} was trained on images of {self.channels_} channel(s) and got "
                f"{pixels.channels}; take the same for both"
            )
        model.eval()
        found = []
        step = _AT_ONCE // _VIEWS if ten_crop else _AT_ONCE
        with torch.inference_mode():
            for start in range(0, max(len(faces), 1), step):
                rows = torch.arange(start, min(start + step, len(faces)))
                taken = pixels.take(rows)
                if ten_crop:
                    found.append(self._ten(model, taken, ten_crop))
                else:
                    found.append(model(self.inputs(taken, faces, rows, None)))
            columns = zip(*found, strict=True)
            return Output(*(None if one[0] is None else torch.cat(one) for one in columns))

    def _ten(self, model: nn.Module, pixels: Tensor, averaged: str) -> Output:
        """Means over the ten crops of uint8 (b, H, W, C)."""
        views = ten_crop(pixels.permute(0, 3, 1, 2), self.recipe.size)
        out: Output = model(self.normalised(views.flatten(0, 1)))
        logits = out.logits.unflatten(0, (len(pixels), _VIEWS))
        if averaged == "softmax":
            # What softmax takes back to the mean.
            logits = logits.log_softmax(dim=2).logsumexp(dim=1)
        else:
            logits = logits.mean(dim=1)
        return Output(out.embedding.unflatten(0, (len(pixels), _VIEWS)).mean(dim=1), logits)

    def _scores(self, logits: Tensor) -> np.ndarray:
        if self.sigmoid and self.kind_ == "multi":
            return logits.sigmoid().cpu().numpy()
        return logits.softmax(dim=1).cpu().numpy()

    def _judge(self, model: nn.Module, part: FaceSet, loss: Loss) -> Any:
        judge, pixels = self.setting.judge, self.keep(part)

        def judged(_: nn.Module) -> float:
            out = self._forward(part, pixels, model)
            if not bool(out.logits.isfinite().all()):
                return float("nan")
            if judge is not None:
                return judge(part.labels, self._scores(out.logits))
            labels, distribution = targets(part, self.setting.device)
            return -float(loss(out, Batch(out.logits, labels, distribution)).loss)

        return judged

    def _threshold(self, valid: FaceSet | None) -> float:
        if self.kind_ == "single":
            return 0.0
        if self.sigmoid:
            return 0.5
        # The test part may choose an epoch, where that was asked for, but never a threshold.
        if valid is None or self.setting.selection == "test":
            return 1 / self.labels_
        out = self._forward(valid, ten_crop=self.ten_crop)
        return best_micro_f1(valid.labels, self._scores(out.logits))

    def _told(
        self,
        name: str,
        recipe: Recipe,
        trained: TrainingSummary,
        train: FaceSet,
        chosen_on: FaceSet | None,
    ) -> str:
        """How a phase went."""
        rows = trained.history
        seconds = sum(row["seconds"] for row in rows)
        speed = float(np.median([row["images_per_second"] for row in rows]))
        chosen = "the last" if chosen_on is None else "the best"
        chosen += " on the test part" if self._test_chooses(chosen_on) else ""
        return (
            f"{self.name}: {name + ': ' if name else ''}trained on {len(train)} images, "
            f"{len(rows)} epochs of {recipe.batches(len(train))} batches of {recipe.batch} in "
            f"{seconds:.0f} s ({speed:.0f} images/s, {trained.computed}), epoch {trained.epoch} "
            f"({chosen}) used"
        )

    def _test_chooses(self, chosen_on: FaceSet | None) -> bool:
        return self.setting.selection == "test" and chosen_on is not None

    def _note(self, trained: TrainingSummary, train: FaceSet, valid: FaceSet | None) -> None:
        recipe, count = self.recipe, self.learned_weights()
        self.notes_ += [
            f"{self.name}: {count:,} parameters, input {self.channels_}×{recipe.size}×{recipe.size}"
            + (f" cut from {recipe.crop_from}" if recipe.crop_from else "")
            + (f", ten-crop ({self.ten_crop} averaged)" if self.ten_crop else ""),
            *self.phases_,
        ]
        if self.kind_ == "multi":
            rule = "1/L" if valid is None or self._test_chooses(valid) else "best micro-F1"
            rule = "of a sigmoid" if self.sigmoid else rule
            self.notes_.append(f"{self.name}: threshold {self.threshold_:.6g} ({rule})")
        shown = np.asarray(train.labels.any(axis=0)).tolist()
        absent = [name for name, seen in zip(train.label_names, shown, strict=True) if not seen]
        if absent:
            self.notes_.append(f"{self.name}: no training image shows {', '.join(absent)}")
        self.notes_ += self.fitted(trained, valid)


@dataclass(frozen=True)
class _Phase:
    """A network with the loss of one of its phases, as the training loop asks for it."""

    network: TrainedNetwork
    loss: Loss

    @property
    def name(self) -> str:
        return self.network.name

    @property
    def sums_over_samples(self) -> bool:
        return self.network.sums_over_samples

    def get_params(self) -> dict[str, Any]:
        """Without the folders of other datasets: what lies there is part of the engine's key."""
        params = self.network.get_params()
        return {name: v for name, v in params.items() if name not in self.network.companions}

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        return self.network.groups(model)
