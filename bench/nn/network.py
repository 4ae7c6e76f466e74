"""TrainedNetwork: what the engine supplies to every network, so that a plug-in holds its paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.transforms.v2.functional import normalize

from bench.api import BenchError, FaceInput, Network, param
from bench.data.faces import FaceSet
from bench.nn.device import seeded
from bench.nn.faces import Pixels, crops, targets
from bench.nn.losses.softmax import multilabel_softmax
from bench.nn.output import Batch, Output, Terms
from bench.nn.recipe import Recipe
from bench.nn.threshold import best_micro_f1
from bench.nn.train import Data, Trained, Training

HELD_OUT = 0.1  # of the training part, to choose the epoch on where there is no validation part
_FEWEST = 20  # training rows of which some are held out
_AT_ONCE = 128  # images in inference
_SMOKE = 4  # iterations


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
    """

    accelerated = True
    input = FaceInput(colour="grey")
    recipes: ClassVar[Mapping[str, Recipe]] = {}
    sigmoid: ClassVar[bool] = False
    mean: ClassVar[tuple[float, ...]] = (0.0,)
    std: ClassVar[tuple[float, ...]] = (1.0,)
    sums_over_samples: ClassVar[bool] = True
    small = {"length": 1 / _SMOKE}  # one iteration

    length: float = param(1.0, gt=0, le=1000, help="times the schedule's length")
    compile: bool = param(False, help="torch.compile the training steps")

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

    def fitted(self, trained: Trained, valid: FaceSet | None) -> list[str]:
        """More to say in the record after training."""
        return []

    # -- what follows -------------------------------------------------------------------------

    @property
    def recipe(self) -> Recipe:
        """The schedule of the budget, over `length` times its length."""
        if self.setting.budget == "smoke":
            quick = self.recipes["quick"]
            smoke = replace(quick, epochs=None, iterations=_SMOKE, batch=min(quick.batch, 16))
            return smoke.stretched(self.length)
        return self.recipes[self.setting.budget].stretched(self.length)

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
        self.notes_: list[str] = []
        self.kind_, self.labels_ = faces.kind, len(faces.label_names)
        train, valid = self._parts(faces, rng, valid)
        self.check(train)
        chosen_on = None if self.setting.selection == "last" else valid
        device = self.setting.device
        pixels = self.keep(train)
        self.channels_ = pixels.channels
        with seeded(device, seed):
            model = self.build(self.labels_, self.channels_)
        self.model_ = model.to(device, memory_format=torch.channels_last)
        labels, distribution = targets(train, device)
        data = Data(
            labels,
            distribution,
            lambda rows, generator: self.inputs(pixels.take(rows), train, rows, generator),
        )
        judge = None if chosen_on is None else self._judge(chosen_on)
        trained = Training(
            self, self.model_, self.recipe, data, judge, self.setting, seed, self.compile
        ).run()
        self.history_, self.earlier_seconds = trained.history, trained.earlier_seconds
        self.threshold_ = self._threshold(valid)
        self._note(trained, train, valid)
        return self

    def check(self, train: FaceSet) -> None:
        """Raise `BenchError` where the training part cannot be used."""

    def outputs(self, faces: FaceSet) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Embedding float32 (n, d), scores float32 (n, L), labels bool (n, L), by one pass."""
        if not hasattr(self, "threshold_"):
            raise BenchError(f"{self.name} is not trained yet: call fit first")
        out = self._forward(faces)
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

    def _forward(self, faces: FaceSet, pixels: Pixels | None = None) -> Output:
        """In full precision and evaluation mode, on the device; ``pixels`` where they are kept."""
        pixels = self.keep(faces) if pixels is None else pixels
        if pixels.channels != self.channels_:
            raise BenchError(
                f"{self.name} was trained on images of {self.channels_} channel(s) and got "
                f"{pixels.channels}; take the same for both"
            )
        self.model_.eval()
        found = []
        with torch.inference_mode():
            for start in range(0, max(len(faces), 1), _AT_ONCE):
                rows = torch.arange(start, min(start + _AT_ONCE, len(faces)))
                found.append(self.model_(self.inputs(pixels.take(rows), faces, rows, None)))
            columns = zip(*found, strict=True)
            return Output(*(None if one[0] is None else torch.cat(one) for one in columns))

    def _scores(self, logits: Tensor) -> np.ndarray:
        if self.sigmoid and self.kind_ == "multi":
            return logits.sigmoid().cpu().numpy()
        return logits.softmax(dim=1).cpu().numpy()

    def _judge(self, part: FaceSet) -> Any:
        judge, pixels = self.setting.judge, self.keep(part)

        def judged(model: nn.Module) -> float:
            out = self._forward(part, pixels)
            if not bool(out.logits.isfinite().all()):
                return float("nan")
            if judge is not None:
                return judge(part.labels, self._scores(out.logits))
            labels, distribution = targets(part, self.setting.device)
            return -float(self.loss(out, Batch(out.logits, labels, distribution)).loss)

        return judged

    def _threshold(self, valid: FaceSet | None) -> float:
        if self.kind_ == "single":
            return 0.0
        if self.sigmoid:
            return 0.5
        # The test part may choose an epoch, where that was asked for, but never a threshold.
        if valid is None or self.setting.selection == "test":
            return 1 / self.labels_
        return best_micro_f1(valid.labels, self._scores(self._forward(valid).logits))

    def _note(self, trained: Trained, train: FaceSet, valid: FaceSet | None) -> None:
        rows = trained.history
        seconds = sum(row["seconds"] for row in rows)
        speed = float(np.median([row["images_per_second"] for row in rows]))
        test = self.setting.selection == "test"
        chosen = "the last" if valid is None or self.setting.selection == "last" else "the best"
        chosen += " on the test part" if test and valid is not None else ""
        count = sum(parameter.numel() for parameter in self.model_.parameters())
        recipe = self.recipe
        self.notes_ += [
            f"{self.name}: {count:,} parameters, input {self.channels_}×{recipe.size}×{recipe.size}"
            + (f" cut from {recipe.crop_from}" if recipe.crop_from else ""),
            f"{self.name}: trained on {len(train)} images, {len(rows)} epochs of "
            f"{recipe.batches(len(train))} batches of {recipe.batch} in {seconds:.0f} s "
            f"({speed:.0f} images/s, {trained.precision} on {self.setting.device}, "
            f"{torch.get_num_threads()} thread(s)), epoch {trained.epoch} ({chosen}) used",
        ]
        if self.kind_ == "multi":
            rule = "1/L" if valid is None or test else "best micro-F1"
            rule = "of a sigmoid" if self.sigmoid else rule
            self.notes_.append(f"{self.name}: threshold {self.threshold_:.6g} ({rule})")
        shown = np.asarray(train.labels.any(axis=0)).tolist()
        absent = [name for name, seen in zip(train.label_names, shown, strict=True) if not seen]
        if absent:
            self.notes_.append(f"{self.name}: no training image shows {', '.join(absent)}")
        self.notes_ += [*trained.said, *self.fitted(trained, valid)]
