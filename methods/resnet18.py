"""ResNet-18, trained on whole faces: MF-JLE's global part alone, and a comparison of LBAN-IL's."""

from __future__ import annotations

from bench.methods._resnet18 import IMAGENET_MEAN, IMAGENET_STD, PAPER, ResNet18Layers
from torch import nn

from bench.api import FaceInput, param
from bench.nn.centred import CentredNetwork
from bench.nn.losses.binary import binary_cross_entropy
from bench.nn.output import Batch, Output, Terms
from bench.nn.recipe import Adam, OneCycle, Recipe

# Ours, for a laptop: FER2013's own 48 pixels, one cycle of the rate.
QUICK = Recipe(
    Adam(1e-3),
    batch=64,
    epochs=12,
    schedule=OneCycle(),
    size=44,
    crop_from=48,
    flip=True,
    drop_last=True,
)


class ResNet18(CentredNetwork):
    """K. He et al., CVPR 2016, trained as MF-JLE's modules are (IEEE Access 9 (2021), Table 1).

    Binary cross-entropy on label sets (Eq. 2), softmax cross-entropy on single-label data; RGB
    faces of 224×224 pixels with ImageNet's mean and standard deviation; Adam with rate 1e-4, times
    0.9 every 50 of 218 epochs, batch 128; the embedding is 512-d. The other losses are for faces of
    one class, as LBAN-IL's paper compares them (Neurocomputing 2021, Table 2), with the embedding
    as the feature; its own crops and schedule are not taken over.

    Labels: sigmoid >= ½; on single-label data the largest softmax. With ``target=argmax`` on
    multi-label data: softmax >= the threshold with the best micro-F1 on the validation part.

    Deviations: the paper does not say where its weights start; here from torchvision's random
    initial ones. Grey faces are repeated in three channels. Budget ``quick`` (ours): 44×44 pixels
    cut from 48×48, mirrored, 12 epochs of Adam with one cycle of the rate up to 1e-3; class centres
    come in for the last quarter.
    """

    name = "resnet18"
    kinds = ("multi", "single")
    width = 512
    input = FaceInput(colour="rgb")
    recipes = {"paper": PAPER, "quick": QUICK}
    mean, std = IMAGENET_MEAN, IMAGENET_STD
    seconds_per_1000 = {"smoke": 3.0, "quick": 75.0, "paper": 16_000.0}

    loss_name: str = param(
        "cross_entropy",
        choices=("cross_entropy", "softmax", "center", "island", "islets", "md"),
        help="cross_entropy: binary on label sets, softmax where a face has one class",
        spelling="loss",
    )

    @property
    def sigmoid(self) -> bool:  # type: ignore[override]
        """Whether labels have probabilities of their own."""
        return self.target == "none"

    def takes_sets(self) -> bool:
        """By the binary cross-entropy."""
        return self.loss_name == "cross_entropy"

    def network(self, labels: int, channels: int) -> nn.Module:
        """torchvision's network."""
        return ResNet18Layers(labels)

    def loss(self, out: Output, batch: Batch) -> Terms:
        """Binary cross-entropy on label sets; else as the loss says."""
        if self.kind_ == "multi" and self.target == "none":
            return Terms(binary_cross_entropy(out.logits, batch.labels))
        return super().loss(out, batch)
