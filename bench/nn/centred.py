"""Networks that give a face one class, trained with the softmax and with class centres.

Methods of several papers are built on them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from bench.api import FaceSet, param
from bench.nn.losses.centres import ClassCentres
from bench.nn.losses.md import md_loss
from bench.nn.one_class import OneClassNetwork, strongest
from bench.nn.output import Batch, Output, Terms
from bench.nn.train import TrainingSummary

_LATE, _LATE_RATE = 0.25, 0.1  # share of a short training that has L_I, and its rate there


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


class CentredNetwork(OneClassNetwork):
    """LBAN-IL, Neurocomputing 2021, Eq. 5: L = L_softmax + λ L_I, on faces of one class each.

    L_I is the center loss, with λ_1 times the cosines between class centres (island) and λ_2 L_p of
    their distances (islets) on top. These two reach the network through the centres alone (Eq. 3),
    which move by Eq. 4 after each batch (`bench.nn.losses.centres`); placebos are ``lam2=0`` and
    ``centres=fixed``, which leaves the centres where they started. ``loss=md`` has the MD loss of
    the multi-dataset network (`bench.nn.losses.md`; Radioengineering 2020, Table 4) in place of
    L_I, and its centres move as those of the center loss. The same seed gives the network the same
    first weights whatever the loss.

    A plug-in states `network` in place of ``build``, and `width`.

    Class attributes
    ----------------
    width : int
        Numbers in the embedding.
    """

    width: ClassVar[int]

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
        """No where centres move (once a batch), nor with the MD loss, which has a batch's variance.

        As in `TrainedNetwork`: whether a batch may be computed in pieces.
        """
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
        """One phase; at budget ``quick`` a second one, which alone has L_I, at a tenth of the rate.

        L_I from the start would pull all features into one point, and the few iterations of that
        budget do not bring them apart again.
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
        parts |= self._centre_terms(features, classes, model.centres)
        centred = parts["md" if self.loss_name == "md" else "center"]
        centred = centred + self.lam1 * parts.get("island", 0) + self.lam2 * parts.get("islets", 0)
        if model.training:
            model.centres.update(features, classes)
        return Terms(cross_entropy + self.lam * centred, parts)

    def measures(self, faces: FaceSet) -> dict[str, float]:
        """`class_distance` of the embedding, where faces have one class."""
        if faces.kind != "single":
            return {}
        labels = torch.from_numpy(np.array(faces.labels))
        distance = class_distance(self.forward(faces).embedding.cpu(), labels)
        return {} if distance is None else {"class_distance": distance}

    def _centre_terms(
        self, features: Tensor, classes: Tensor, centres: ClassCentres
    ) -> dict[str, Tensor]:
        """The terms of the loss that have class centres, without their weights."""
        if self.loss_name == "md":
            if len(features) < 2:  # one face has no variance
                return {"md": 0 * features.sum()}
            return {"md": md_loss(features, centres.centres, classes, self.nearest)}
        between = {"center": (), "island": ("island",), "islets": ("island", "islets")}
        terms = centres.terms()
        own = {name: terms[name] for name in between[self.loss_name]}
        return {"center": centres(features, classes), **own}


def class_distance(embedding: Tensor, labels: Tensor) -> float | None:
    """How far apart classes lie: a figure for what LBAN-IL's Figure 5 shows as pictures.

    The mean distance between the means of two classes, divided by the mean distance of a face to
    the mean of its class. It does not depend on the scale of the embedding, and is higher where
    classes are islands.

    Parameters
    ----------
    embedding : float (n, d)
    labels : bool (n, L)
        One class per row.

    Returns
    -------
    float or None
        None for fewer than two classes, and where every face lies on the mean of its class.
    """
    classes = labels.float().argmax(dim=1)
    present = classes.unique()
    if len(present) < 2:
        return None
    means = torch.stack([embedding[classes == index].mean(dim=0) for index in present])
    own = means[torch.searchsorted(present, classes)]
    within = (embedding - own).norm(dim=1).mean()
    between = torch.pdist(means).mean()
    return float(between / within) if within > 0 else None
