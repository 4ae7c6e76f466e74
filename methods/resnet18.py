"""ResNet-18, trained on whole faces: MF-JLE's global part alone, and a comparison of LBAN-IL's."""

from __future__ import annotations

from bench.methods._lban import PAPER as LBAN_IL
from bench.methods._lban import crops_of
from bench.methods._resnet18 import IMAGENET_MEAN, IMAGENET_STD, PAPER, ResNet18Layers
from torch import nn

from bench.api import FaceInput, FaceSet, param
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
    as the feature. ``trained_as=lban-il`` trains by that paper's section 4.2 in place of MF-JLE's:
    SGD with rate 1e-3, times 0.9 every 5 epochs from epoch 20, batch 64, weight decay 0.05,
    mirrored crops of 80×80 from 100×100 pixels (40×40 from 48×48), the mean softmax of ten crops in
    tests.

    Labels: sigmoid >= ½; on single-label data the largest softmax. With ``target=argmax`` on
    multi-label data: softmax >= the threshold with the best micro-F1 on the validation part.

    Deviations: the papers do not say where weights start; here from torchvision's random initial
    ones. LBAN-IL's paper gives 11.7 million weights, which are those of torchvision's network for
    1,000 classes; here the last layer has as many outputs as there are classes, and no dropout, for
    which there are no two layers. Its 100 epochs, and ImageNet's mean and deviation, are ours. Grey
    faces are repeated in three channels. Budget ``quick`` (ours): 44×44 pixels cut from 48×48,
    mirrored, 12 epochs of Adam with one cycle of the rate up to 1e-3, whatever ``trained_as``;
    class centres come in for the last quarter.
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

    trained_as: str = param(
        "mf-jle", choices=("mf-jle", "lban-il"), help="whose schedule, crops and tests at paper"
    )

    _native: int | None = None  # side in pixels of the dataset's images

    @property
    def _as_lban_il(self) -> bool:
        return self.trained_as == "lban-il" and self.setting.budget == "paper"

    @property
    def recipe(self) -> Recipe:
        """The schedule of the budget; at ``paper`` that of the paper that is followed."""
        if not self._as_lban_il:
            return super().recipe
        return self.sized(crops_of(LBAN_IL, self._native)).stretched(self.length)

    @property
    def ten_crop(self) -> str:  # type: ignore[override]
        """The softmax of ten crops is averaged where LBAN-IL's paper is followed."""
        return "softmax" if self._as_lban_il else ""

    def check(self, train: FaceSet) -> None:
        """As in `OneClassNetwork`; the size of the training images decides that of the crops."""
        self._native = None if train.images is None else max(train.images.shape[1:3])
        super().check(train)

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
