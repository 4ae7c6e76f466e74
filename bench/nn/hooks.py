"""What a network plug-in states: its schedules, its layers, its loss, and further hooks.

`bench.nn.network.TrainedNetwork` derives from this class and calls the hooks: it trains, chooses
epochs and thresholds, and asks the network about faces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchvision.transforms.v2.functional import normalize

from bench.api import FaceInput, FaceSet, Network, param
from bench.nn.faces import Pixels, crops
from bench.nn.losses.softmax import multilabel_softmax
from bench.nn.output import Batch, Output, Terms
from bench.nn.recipe import Recipe
from bench.nn.train import TrainingSummary

_SMOKE = 4  # iterations

Loss = Callable[[Output, Batch], Terms]


class NetworkHooks(Network):
    """All that a plug-in may override of a network that the suite trains.

    A plug-in derives from `bench.nn.network.TrainedNetwork`. It states ``recipes`` (by budget;
    ``smoke`` is made from ``quick``), ``build`` and, where its loss is not the softmax
    cross-entropy, ``loss``. The other hooks have defaults that most networks keep.

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

    Attributes
    ----------
    kind_ : {"multi", "single"}
        After training has begun, the kind of the training data.
    labels_, channels_ : int
        L, and the channels of the training images.
    model_ : nn.Module
        What `build` gave, on the device.
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

    kind_: str
    labels_: int
    channels_: int
    model_: Any

    # -- layers, loss, inputs, training: a plug-in overrides what differs ---------------------

    def build(self, labels: int, channels: int) -> nn.Module:
        """The untrained layers: their `forward` takes what `inputs` gives and returns `Output`."""
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

    def check(self, train: FaceSet) -> None:
        """Raise `BenchError` where the training part cannot be used."""

    def learn(
        self, model: nn.Module, train: FaceSet, valid: FaceSet | None, seed: int
    ) -> TrainingSummary:
        """The whole training, of one `phase` or of several; returns the summary of the last."""
        return self.phase("", model, self.recipe, train, valid, seed)

    def fitted(self, summary: TrainingSummary, valid: FaceSet | None) -> list[str]:
        """Further remarks for the record, after training."""
        return []

    # -- the schedule, and pixels as numbers: overridden now and then ---------------------------

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

    # -- what hooks may call, given by `bench.nn.network.TrainedNetwork` ------------------------

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
            The phase's name, which its folder (checkpoints, curve) and remarks have, too; "" where
            a training has no other phase.
        valid : FaceSet or None
            The faces that the epoch is chosen on; None, or ``--selection last``, keeps the last.
        loss : callable or None
            The loss of this phase; None: the network's `loss`.
        """
        raise NotImplementedError

    def forward(self, faces: FaceSet) -> Output:
        """The trained network's embeddings and logits of the faces, cut at the centre."""
        raise NotImplementedError
