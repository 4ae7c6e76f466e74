"""The narrow ResNet-18 and ResNet-12 of TFE-JL, for faces of 48 pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.nn.output import Output
from bench.nn.standardise import Standardise

WIDTH = 64

# Blocks as (maps, whether it is a projection block).
LAYERS: dict[str, tuple[tuple[int, bool], ...]] = {
    "resnet18": (
        *((16, False), (16, False)),
        *((16, True), (16, False)),
        *((32, True), (32, False)),
        *((64, True), (64, False)),
    ),
    # An identity block less per stage, and one more projection block of 16 maps: 12 layers.
    "resnet12": ((16, False), (16, True), (16, True), (32, True), (64, True)),
}


class Block(nn.Module):
    """Two 3×3 convolutions and a shortcut; batch normalisation after each convolution.

    Parameters
    ----------
    before, maps : int
        Channels of what comes in and goes out.
    project : bool
        A projection block: the first convolution and the 1×1 shortcut have stride 2. Where the
        paper says "the stride for each convolution operation is 2", the second one cannot have it:
        the shortcut would not fit.
    """

    def __init__(self, before: int, maps: int, project: bool) -> None:
        super().__init__()
        stride = 2 if project else 1
        self.first = nn.Conv2d(before, maps, 3, stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(maps)
        self.second = nn.Conv2d(maps, maps, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(maps)
        self.shortcut: nn.Module = nn.Identity()
        if project:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, maps, 1, stride, bias=False), nn.BatchNorm2d(maps)
            )

    def forward(self, x: Tensor) -> Tensor:
        """From float (n, before, H, W) to (n, maps, H or H/2, W or W/2)."""
        inner = torch.relu(self.first_norm(self.first(x)))
        return torch.relu(self.second_norm(self.second(inner)) + self.shortcut(x))


class SmallResNet(nn.Module):
    """M. Li et al., "Facial expression recognition with identity and emotion joint learning", IEEE
    TAFFC, manuscript of 2017, section 3.1.

    conv 3×3, 16 – blocks of 16, 16, 32 and 64 maps – global average pooling – fc L. No max pooling.

    Parameters
    ----------
    layers : {"resnet18", "resnet12"}
    labels, channels, size : int
        L, channels of the images, and their side in pixels.
    """

    def __init__(self, layers: str, labels: int, channels: int, size: int) -> None:
        super().__init__()
        self.standardise = Standardise(channels, size)
        self.first = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        blocks, before = [], 16
        for maps, project in LAYERS[layers]:
            blocks.append(Block(before, maps, project))
            before = maps
        self.blocks = nn.Sequential(*blocks)
        self.output = nn.Linear(WIDTH, labels)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, images: Tensor) -> Output:
        """From float (n, C, size, size) in [0, 1]."""
        embedding = self.embed(images)
        return Output(embedding, self.output(embedding))

    def embed(self, images: Tensor) -> Tensor:
        """The pooled layer, float (n, 64)."""
        maps = torch.relu(self.norm(self.first(self.standardise(images))))
        pooled: Tensor = self.blocks(maps).mean(dim=(2, 3))
        return pooled
