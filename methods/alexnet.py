"""AlexNet: what a network trained on ImageNet's objects sees in a face."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torchvision.models import AlexNet_Weights, alexnet

from bench.api import param
from bench.nn.backbone import Backbone, Pixels
from bench.nn.weights import hub_file, load_weights, random_weights

CUT = {"fc6": 3, "fc7": 6}  # layers of torchvision's `classifier` up to the ReLU behind each


class AlexNet(Backbone):
    """Activations of a frozen AlexNet, 4096-d.

    A. Krizhevsky, I. Sutskever and G. Hinton, NIPS 2012, 1097–1105; as a feature: J. Donahue et
    al., ICML 2014, 647–655 (DeCAF). S. Li and W. Deng, IJCV 127 (2019) 884–906, compare such
    features with their own in Table 3 and leave the layer and the weights open: here fc7 after its
    ReLU, in evaluation mode (no dropout); fc6 can be chosen.

    Deviations: torchvision's network is that of A. Krizhevsky, arXiv:1404.5997 (2014), one column
    without local response normalisation, since its weights are the ones that can be had, and it
    takes 224 × 224 pixels, not 227. The whole face is resized to that, where ImageNet's pictures
    were cropped, because faces come cropped already; grey ones are repeated three times.
    """

    name = "alexnet"
    small = {"weights": "random", "side": 64}
    seconds_per_1000 = 40.0

    layer: str = param("fc7", choices=("fc7", "fc6"), help="fully connected layer, after its ReLU")
    side: int = param(224, ge=64, help="pixels that a face is resized to; 224 as in training")

    def published(self) -> Path:
        """torchvision's file in torch.hub's folder."""
        return hub_file(AlexNet_Weights.IMAGENET1K_V1.url, self.name)

    def network(self, path: Path | None) -> nn.Module:
        """torchvision's AlexNet up to the layer; the 1000-way head may be missing or another."""
        with torch.device("meta"):
            made = alexnet()
        made.classifier = made.classifier[:-1]
        if path is None:
            random_weights(made)
        else:
            load_weights(path, made, self.name, unused=("classifier.6.",))
        made.classifier = made.classifier[: CUT[self.layer]]
        return made

    def pixels(self, network: nn.Module) -> Pixels:
        """Square, with ImageNet's mean and deviation, bilinear as torchvision's own transform."""
        return Pixels((self.side, self.side))

    def layer_taken(self) -> str:
        """``fc7 after ReLU``."""
        return f"{self.layer} after ReLU"
