"""Networks that give a face one class, trained with the softmax and with class centres."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from bench.api import FaceInput, FaceSet, param
from bench.nn.embedding import class_distance
from bench.nn.losses.centres import ClassCentres
from bench.nn.losses.md import md_loss
from bench.nn.one_class import OneClassNetwork, strongest
from bench.nn.output import Batch, Output, Terms
from bench.nn.recipe import SGD, EveryEpochs, Recipe
from bench.nn.train import TrainingSummary

_FEATURE = 128  # numbers of a face that centres are of
_LATE, _LATE_RATE = 0.25, 0.1  # share of a short training that has L_I, and its rate there
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


class Centred(nn.Module):
    """A network beside the class centres that it is trained with, so that checkpoints hold both.

    Parameters
    ----------
    network : nn.Module
        Its `forward` returns `Output`.
    centres : ClassCentres
        As wide as its embedding.
    """

    def __init__(self, network: nn.Module, centres: ClassCentres) -> None:
        super().__init__()
        self.network, self.centres = network, centres

    def forward(self, images: Tensor) -> Output:
        """What the network gives."""
        out: Output = self.network(images)
        return out


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


class CentredNetwork(OneClassNetwork):
    """LBAN-IL, Neurocomputing 2021, Eq. 5: L = L_softmax + λ L_I, on faces of one class each.

    L_I is the center loss, with λ_1 times the cosines between class centres (island) and λ_2 L_p of
    their distances (islets) on top. These two reach the network through the centres alone (Eq. 3),
    which move by Eq. 4 after each batch (`bench.nn.losses.centres`); placebos are ``lam2=0`` and
    ``centres=fixed``, which leaves the centres where they started. ``loss=md`` has the MD loss of
    the multi-dataset network (`bench.nn.losses.md`; Radioengineering 2020, Table 4) in place of
    L_I, its centres moving as those of the center loss. One seed gives the network the same first
    weights whatever the loss.

    A plug-in states `network` in place of ``build``, and `width`.

    Class attributes
    ----------------
    width : int
        Of the embedding.
    """

    width: ClassVar[int] = _FEATURE

    loss_name: str = param(
        "islets",
        choices=("softmax", "center", "island", "islets", "md"),
        help="beside the softmax; md is that of md-cnn, whose λ is 0.01",
        spelling="loss",
    )
    lam: float = param(0.6, ge=0, help="λ, weight of the loss with class centres")
    lam1: float = param(0.2, ge=0, help="λ_1, weight of the cosines between centres")
    lam2: float = param(0.9, ge=0, help="λ_2, weight of the distances between centres; 0: placebo")
    nearest: int = param(3, ge=1, help="P, other centres that the MD loss looks at")
    alpha: float = param(0.5, ge=0, le=1, help="α, the centres' rate; not in the paper")
    centres: str = param("moving", choices=("moving", "fixed"), help="fixed is a placebo")

    def network(self, labels: int, channels: int) -> nn.Module:
        """The untrained network without centres; parameters as in ``build``."""
        raise NotImplementedError

    @property
    def centred(self) -> bool:
        """Whether the loss has class centres."""
        return self.loss_name in ("center", "island", "islets", "md")

    @property
    def sums_over_samples(self) -> bool:  # type: ignore[override]
        """Not where centres move, once a batch, nor with the MD loss: it has a batch's variance."""
        return not self.centred or (self.centres == "fixed" and self.loss_name != "md")

    def build(self, labels: int, channels: int) -> nn.Module:
        """The network, beside its class centres where the loss has any."""
        network = self.network(labels, channels)
        if not self.centred:
            return network
        return Centred(
            network,
            ClassCentres(
                labels,
                self.width,
                lam1=self.lam1 if self.loss_name in ("island", "islets") else 0.0,
                lam2=self.lam2 if self.loss_name == "islets" else 0.0,
                alpha=self.alpha,
                moving=self.centres == "moving",
            ),
        )

    def learn(
        self, model: nn.Module, train: FaceSet, valid: FaceSet | None, seed: int
    ) -> TrainingSummary:
        """One phase; at budget ``quick`` L_I comes in at the end, at a tenth of the rate.

        From the start it pulls all features into one point, and so few iterations do not bring them
        apart again.
        """
        if self.setting.budget != "quick" or not self.centred:
            return super().learn(model, train, valid, seed)
        alone, late = self.recipe.stretched(1 - _LATE), self.recipe.stretched(_LATE)
        late = replace(late, optimizer=late.optimizer.times(_LATE_RATE))
        self.phase("softmax", model, alone, train, valid, seed, super().loss)
        return self.phase("joint", model, late, train, valid, seed + 1)

    def loss(self, out: Output, batch: Batch) -> Terms:
        """L_softmax + λ L_I, each term logged without its weight; in training the centres move."""
        cross_entropy = super().loss(out, batch).loss
        parts = {"cross_entropy": cross_entropy}
        model, features = self.model_, out.embedding
        classes, known = strongest(batch.distribution)
        if self.kind_ == "multi":
            features, classes = features[known], classes[known]
        if not isinstance(model, Centred) or not len(features):
            return Terms(cross_entropy, parts)
        parts |= self._apart(features, classes, model.centres)
        apart = parts["md" if self.loss_name == "md" else "center"]
        apart = apart + self.lam1 * parts.get("island", 0) + self.lam2 * parts.get("islets", 0)
        if model.training:
            model.centres.update(features, classes)
        return Terms(cross_entropy + self.lam * apart, parts)

    def measures(self, faces: FaceSet) -> dict[str, float]:
        """``class_distance`` where faces have one class (`bench.nn.embedding`)."""
        if faces.kind != "single":
            return {}
        labels = torch.from_numpy(np.array(faces.labels))
        found = class_distance(self._forward(faces).embedding.cpu(), labels)
        return {} if found is None else {"class_distance": found}

    def _apart(self, features: Tensor, classes: Tensor, centres: ClassCentres) -> dict[str, Tensor]:
        """The terms beside the softmax."""
        if self.loss_name == "md":
            if len(features) < 2:  # one face has no variance
                return {"md": 0 * features.sum()}
            return {"md": md_loss(features, centres.centres, classes, self.nearest)}
        between = centres.terms()
        names = {"center": (), "island": ("island",), "islets": ("island", "islets")}[
            self.loss_name
        ]
        found = {name: between[name] for name in names}
        return {"center": centres(features, classes), **found}


class ComparedNetwork(CentredNetwork):
    """What the networks share that LBAN-IL's paper compares: crops, schedule, a `FeatureHead`.

    A plug-in's network has that as its ``head``.

    RGB faces; crops of 80×80 from 100×100 pixels, mirrored, where the dataset's faces have more
    than 64 pixels, else of 40×40 from 48×48, as the paper has them on FER2013. Tests average the
    softmax of ten crops: the paper's "average value of testing results"; a probability does not
    grow with the length of a feature, as a logit does. SGD as the paper states it, with its weight
    decay of .05 (a hundred times the usual one, beside a rate that is a hundredth of it).
    """

    input = FaceInput(colour="rgb")
    mean, std = (0.5,), (0.25,)

    weight_decay: float | None = param(None, ge=0, help="none: the schedule's, in the paper's 0.05")
    dropout: float = param(0.5, ge=0, lt=1, help="before both fully connected layers")

    _native: int | None = None  # side in pixels of the dataset's images

    @property
    def ten_crop(self) -> str:  # type: ignore[override]
        """Ten crops cost ten times as much, which a budget of minutes does not have."""
        return "softmax" if self.setting.budget == "paper" else ""

    @property
    def recipe(self) -> Recipe:
        """The schedule of the budget; the paper's smaller crops for faces of at most 64 pixels."""
        recipe = super().recipe
        small = self._native is not None and self._native <= _SMALL_FACE
        if self.setting.budget == "paper" and small:
            return self.sized(replace(recipe, size=40, crop_from=48))
        return recipe

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """All weights decay alike."""
        decay = {} if self.weight_decay is None else {"weight_decay": self.weight_decay}
        return [{"params": list(model.parameters()), **decay}]

    def check(self, train: FaceSet) -> None:
        """As in `OneClassNetwork`; the size of the training images decides on that of the crops."""
        self._native = None if train.images is None else max(train.images.shape[1:3])
        super().check(train)
