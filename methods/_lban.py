"""What the networks of LBAN-IL's comparison share: crops, schedule, a head with a feature.

``lban-il`` and ``vgg19`` are built on it; ``resnet18[trained_as=lban-il]`` follows its schedule.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from bench.api import FaceInput, FaceSet, param
from bench.nn.centred import CentredNetwork
from bench.nn.output import Output
from bench.nn.recipe import SGD, EveryEpochs, Recipe

_FEATURE = 128  # numbers of a face that class centres are of
_SMALL_FACE = 64  # pixels: FER2013's faces have 48, aligned ones 100

# LBAN-IL, Neurocomputing 2021, sections 4.1 and 4.2; the number of epochs is ours.
PAPER = Recipe(
    SGD(0.001, momentum=0.9, weight_decay=0.05),
    batch=64,
    epochs=100,
    schedule=EveryEpochs(5, 0.9, start=20),
    size=80,
    crop_from=100,
    flip=True,
)


def crops_of(recipe: Recipe, side: int | None) -> Recipe:
    """The paper's schedule for faces of this side in pixels: small faces have smaller crops."""
    if side is not None and side <= _SMALL_FACE:
        return replace(recipe, size=40, crop_from=48)
    return recipe


class FeatureHead(nn.Module):
    """Dropout, the 128-d feature that class centres are of, dropout, L logits.

    No ReLU follows the feature: LBAN-IL's paper names none, and centres are to spread all round.

    Parameters
    ----------
    inputs, labels : int
    dropout : float
    """

    def __init__(self, inputs: int, labels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(inputs, _FEATURE)
        self.output = nn.Linear(_FEATURE, labels)

    def forward(self, x: Tensor) -> Output:
        """From float (n, inputs)."""
        embedding = self.linear(self.dropout(x))
        return Output(embedding, self.output(self.dropout(embedding)))


class ComparedNetwork(CentredNetwork):
    """Base of the networks that LBAN-IL's paper compares. Their layers end in a `FeatureHead`.

    RGB faces; crops of 80×80 from 100×100 pixels, mirrored, where the dataset's faces have more
    than 64 pixels, else of 40×40 from 48×48, as the paper has them on FER2013. Tests average the
    softmax of ten crops, which the paper calls the "average value of testing results"; a
    probability does not grow with the length of a feature, as a logit does. SGD as the paper states
    it, with its weight decay of .05 (a hundred times the usual one, beside a rate that is a
    hundredth of the usual one).
    """

    width = _FEATURE
    input = FaceInput(colour="rgb")
    mean, std = (0.5,), (0.25,)

    weight_decay: float | None = param(None, ge=0, help="none: the schedule's, in the paper's 0.05")
    dropout: float = param(0.5, ge=0, lt=1, help="before both fully connected layers")

    _native: int | None = None  # side in pixels of the dataset's images

    @property
    def ten_crop(self) -> str:  # type: ignore[override]
        """The softmax of ten crops is averaged at budget ``paper``; they take ten times as long."""
        return "softmax" if self.setting.budget == "paper" else ""

    @property
    def recipe(self) -> Recipe:
        """The schedule of the budget; the paper's smaller crops for faces of at most 64 pixels."""
        recipe = super().recipe
        if self.setting.budget != "paper":
            return recipe
        return self.sized(crops_of(recipe, self._native))

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """One group of parameters: all weights decay alike."""
        decay = {} if self.weight_decay is None else {"weight_decay": self.weight_decay}
        return [{"params": list(model.parameters()), **decay}]

    def check(self, train: FaceSet) -> None:
        """As in `OneClassNetwork`; the size of the training images decides that of the crops."""
        self._native = None if train.images is None else max(train.images.shape[1:3])
        super().check(train)
