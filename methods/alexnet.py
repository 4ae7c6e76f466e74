"""AlexNet: what a network trained on ImageNet's objects sees in a face."""

from __future__ import annotations

from torchvision.models import AlexNet_Weights, alexnet

from bench.nn.backbone import FullyConnected


class AlexNet(FullyConnected):
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
    seconds_per_1000 = 40.0

    model = staticmethod(alexnet)
    url = AlexNet_Weights.IMAGENET1K_V1.url
    cut = {"fc6": 3, "fc7": 6}
