"""ResNet-18 with its penultimate layer, and MF-JLE's schedule for it.

``resnet18`` has one such network, ``mf-jle`` six.
"""

from __future__ import annotations

from torch import Tensor
from torchvision.models.resnet import BasicBlock, ResNet

from bench.nn.output import Output
from bench.nn.recipe import Adam, EveryEpochs, Recipe

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# MF-JLE, IEEE Access 9 (2021), section IV-B. The "approximate 8k iterations" that it also names do
# not follow from its epochs and batches.
PAPER = Recipe(
    Adam(1e-4, betas=(0.9, 0.999)),
    batch=128,
    epochs=218,
    schedule=EveryEpochs(50, 0.9),
    size=224,
)


class ResNet18Layers(ResNet):
    """torchvision's ResNet-18 (K. He et al., CVPR 2016), which gives its 512-d pooled layer too.

    Parameters
    ----------
    labels : int
        L; 11,176,512 + 513 L parameters.
    """

    def __init__(self, labels: int) -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2], num_classes=labels)

    def forward(self, x: Tensor) -> Output:  # type: ignore[override]
        """From float (n, 3, H, W)."""
        embedding = self.embed(x)
        return Output(embedding, self.fc(embedding))

    def embed(self, x: Tensor) -> Tensor:
        """The pooled layer, float (n, 512)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean(dim=(2, 3))
