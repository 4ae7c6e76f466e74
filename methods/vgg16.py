"""VGG-16: what a deep network trained on ImageNet's objects sees in a face."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torchvision.models import VGG16_Weights, vgg16

from bench.api import param
from bench.nn.backbone import Backbone, Pixels
from bench.nn.weights import hub_file, load_weights, random_weights

CUT = {"fc6": 2, "fc7": 5}  # layers of torchvision's `classifier` up to the ReLU behind each


class VGG16(Backbone):
    """Activations of a frozen VGG-16, 4096-d.

    K. Simonyan and A. Zisserman, ICLR 2015, configuration D; as a feature: A. S. Razavian et al.,
    CVPR Workshops 2014, 512–519. S. Li and W. Deng, IJCV 127 (2019) 884–906, compare "VGG" with
    their own features in Table 3 and leave depth, layer and weights open: here 16 layers, fc7 after
    its ReLU, in evaluation mode (no dropout); fc6 can be chosen.

    Deviations: torchvision's weights were trained by torchvision, not by the 2015 paper's authors.
    The whole face is resized to 224 × 224 pixels, where ImageNet's pictures were cropped, because
    faces come cropped already; grey ones are repeated three times.
    """

    name = "vgg16"
    small = {"weights": "random", "side": 64}
    seconds_per_1000 = 500.0

    layer: str = param("fc7", choices=("fc7", "fc6"), help="fully connected layer, after its ReLU")
    side: int = param(224, ge=64, help="pixels that a face is resized to; 224 as in training")

    def published(self) -> Path:
        """torchvision's file in torch.hub's folder."""
        return hub_file(VGG16_Weights.IMAGENET1K_V1.url, self.name)

    def network(self, path: Path | None) -> nn.Module:
        """torchvision's VGG-16 up to the layer; the 1000-way head may be missing or another."""
        with torch.device("meta"):
            made = vgg16()
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
