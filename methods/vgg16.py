"""VGG-16: what a deep network trained on ImageNet's objects sees in a face."""

from __future__ import annotations

from torchvision.models import VGG16_Weights, vgg16

from bench.nn.backbone import FullyConnected


class VGG16(FullyConnected):
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
    seconds_per_1000 = 500.0

    model = staticmethod(vgg16)
    url = VGG16_Weights.IMAGENET1K_V1.url
    cut = {"fc6": 2, "fc7": 5}
