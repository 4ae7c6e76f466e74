"""TrainedNetwork: trains the network that a plug-in states, and asks it about faces.

What plug-ins state and override is in `bench.nn.hooks`; nothing here is for them to override.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from bench.api import BenchError, FaceSet, Setting
from bench.nn.device import seeded
from bench.nn.faces import targets
from bench.nn.hooks import Loss, NetworkHooks
from bench.nn.inference import predict
from bench.nn.output import Batch, Output
from bench.nn.recipe import Recipe
from bench.nn.train import Judgement, TrainingLoop, TrainingSummary
from bench.nn.updates import TrainingData
from bench.score.criteria import evaluate
from bench.score.thresholds import best_micro_f1

HELD_OUT = 0.1  # of the training part, to choose the epoch on where there is no validation part
_FEWEST = 20  # training rows of which some are held out
_TUNING_RATE = 0.1  # of the schedule's rates, where a trained network learns another dataset


class TrainedNetwork(NetworkHooks):
    """A network that the suite trains: what networks by plug-ins derive from.

    The epoch is the one with the best average precision (accuracy on single-label data) on the
    validation part; where there is none, a tenth of the training part is held out for it.

    Scores are the softmax over the labels, or sigmoids where ``sigmoid``. A softmax has no natural
    threshold: labels are those whose score reaches the threshold that maximises micro-F1 on the
    validation (or held-out) part, 1/L without one; a sigmoid's is ½. On single-label data the label
    is the largest score.
    """

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
        train, valid = self.training_parts(faces, rng, valid)
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
        """Train ``model`` by one schedule, and keep its curve and how it went for the record."""
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
        train, valid = self.training_parts(faces, rng, valid)
        self.kind_ = faces.kind
        self.check(train)
        recipe = self.recipe.stretched(self.finetune)
        recipe = replace(recipe, optimizer=recipe.optimizer.times(_TUNING_RATE))
        self.phases_ = []
        self.history_ = self.phase("finetune", self.model_, recipe, train, valid, seed).history
        self.threshold_ = self._threshold(valid)
        self.notes_ += self.phases_
        return self

    def outputs(self, faces: FaceSet) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Embedding float32 (n, d), scores float32 (n, L), labels bool (n, L), by one pass."""
        if not hasattr(self, "threshold_"):
            raise BenchError(f"{self.name} is not trained yet: call fit first")
        out = predict(self, self.model_, faces, self.keep(faces), self.ten_crop)
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

    def training_parts(
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

    def forward(self, faces: FaceSet) -> Output:
        """The trained network's embeddings and logits of the faces, cut at the centre."""
        return predict(self, self.model_, faces, self.keep(faces))

    def _scores(self, logits: Tensor) -> np.ndarray:
        if self.sigmoid and self.kind_ == "multi":
            return logits.sigmoid().cpu().numpy()
        return logits.softmax(dim=1).cpu().numpy()

    def _judge(self, model: nn.Module, part: FaceSet, loss: Loss) -> Any:
        judge, pixels = self.setting.judge, self.keep(part)

        def judged(_: nn.Module) -> Judgement:
            out = predict(self, model, part, pixels)
            if not bool(out.logits.isfinite().all()):
                return Judgement(float("nan"))
            scores = self._scores(out.logits)
            beside = self._beside(part, scores)
            if judge is not None:
                return Judgement(judge(part.labels, scores), beside)
            labels, distribution = targets(part, self.setting.device)
            value = -float(loss(out, Batch(out.logits, labels, distribution)).loss)
            return Judgement(value, beside)

        return judged

    def _beside(self, part: FaceSet, scores: np.ndarray) -> dict[str, float]:
        """What the learning curve tells of a part beside what epochs are chosen by.

        Micro-F1 of label sets: by sigmoids at ½, by a softmax at the threshold that is best here.
        The test part, where it chooses, chooses no threshold.
        """
        if part.kind != "multi" or (not self.sigmoid and self.setting.selection == "test"):
            return {}
        labels = scores >= (0.5 if self.sigmoid else best_micro_f1(part.labels, scores))
        return {"valid_micro_f1": evaluate(part.labels, None, labels).values["micro_f1"] or 0.0}

    def _threshold(self, valid: FaceSet | None) -> float:
        if self.kind_ == "single":
            return 0.0
        if self.sigmoid:
            return 0.5
        # The test part may choose an epoch, where that was asked for, but never a threshold.
        if valid is None or self.setting.selection == "test":
            return 1 / self.labels_
        out = predict(self, self.model_, valid, self.keep(valid), self.ten_crop)
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
