"""ResNet-18, trained on whole faces: MF-JLE's global part alone, and its comparison."""

from __future__ import annotations

from torch import nn

from bench.api import FaceInput
from bench.nn.losses.binary import binary_cross_entropy
from bench.nn.losses.softmax import multilabel_softmax
from bench.nn.network import TrainedNetwork
from bench.nn.output import Batch, Output, Terms
from bench.nn.resnet import IMAGENET_MEAN, IMAGENET_STD, PAPER, QUICK, ResNet18


class ResNet18Method(TrainedNetwork):
    """K. He et al., CVPR 2016, trained as MF-JLE's modules are (IEEE Access 9 (2021), Table 1).

    Binary cross-entropy on label sets (Eq. 2), softmax cross-entropy on single-label data; RGB
    faces of 224×224 pixels with ImageNet's mean and standard deviation; Adam with rate 1e-4, times
    0.9 every 50 of 218 epochs, batch 128; the embedding is 512-d.

    Labels: sigmoid >= ½; on single-label data the largest softmax.

    Deviations: the paper does not say where its weights start; here from torchvision's random
    initial ones. Grey faces are repeated in three channels. Budget ``quick`` (ours): 44×44 pixels
    cut from 48×48, mirrored, 12 epochs of Adam with one cycle of the rate up to 1e-3.
    """

    name = "resnet18"
    kinds = ("multi", "single")
    input = FaceInput(colour="rgb")
    recipes = {"paper": PAPER, "quick": QUICK}
    sigmoid = True
    mean, std = IMAGENET_MEAN, IMAGENET_STD
    seconds_per_1000 = {"smoke": 3.0, "quick": 75.0, "paper": 16_000.0}

    def build(self, labels: int, channels: int) -> nn.Module:
        """torchvision's network."""
        return ResNet18(labels)

    def loss(self, out: Output, batch: Batch) -> Terms:
        """Binary cross-entropy; softmax cross-entropy where a face has one class."""
        if self.kind_ == "single":
            return Terms(multilabel_softmax(out.logits, batch.labels))
        return Terms(binary_cross_entropy(out.logits, batch.labels))
