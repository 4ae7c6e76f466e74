"""What TFE-JL and its two baselines share: narrow ResNets, input, augmentation, schedules.

``tfe-jl``, ``resnet18-tfe`` and ``resnet12-tfe`` are built of them.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample

from bench.api import FaceInput, FaceSet, param
from bench.nn.faces import crops
from bench.nn.one_class import OneClassNetwork
from bench.nn.output import Output
from bench.nn.recipe import SGD, EveryEpochs, OneCycle, Recipe
from bench.nn.standardise import Standardise
from bench.nn.train import TrainingSummary

EMOTION_WIDTH = 64  # numbers of the pooled layer

# The residual blocks in their order: maps, and whether it is a projection block.
LAYERS: dict[str, tuple[tuple[int, bool], ...]] = {
    "resnet18": (
        *((16, False), (16, False)),
        *((16, True), (16, False)),
        *((32, True), (32, False)),
        *((64, True), (64, False)),
    ),
    # An identity block fewer per stage, and one more projection block of 16 maps: 12 layers.
    "resnet12": ((16, False), (16, True), (16, True), (32, True), (64, True)),
}


def paper_recipe(rate: float) -> Recipe:
    """TFE-JL's training of a ResNet, section 4.2, from a rate of 0.1 (FER+) or 0.16 (CK+)."""
    return Recipe(
        # The paper gives the first rate and not its course; weight decay as in K. He et al., CVPR
        # 2016.
        SGD(rate, momentum=0.9, weight_decay=1e-4),
        batch=128,
        epochs=200,
        schedule=EveryEpochs(70, 0.1),
        size=48,
        flip=True,
        drop_last=True,
    )


# Ours, for a laptop: 32 pixels take less than half as long as 48.
QUICK = Recipe(
    SGD(0.1, momentum=0.9, weight_decay=1e-4),
    batch=64,
    iterations=600,
    schedule=OneCycle(),
    size=32,
    flip=True,
    drop_last=True,
)


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut; batch normalisation after each convolution.

    Parameters
    ----------
    channels, maps : int
        Channels of the block's input and of its output.
    project : bool
        Whether it is a projection block, whose first convolution and 1×1 shortcut have stride 2.
        Where the paper says "the stride for each convolution operation is 2", the second
        convolution cannot have it: the shortcut would not fit.
    """

    def __init__(self, channels: int, maps: int, project: bool) -> None:
        super().__init__()
        stride = 2 if project else 1
        self.first = nn.Conv2d(channels, maps, 3, stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(maps)
        self.second = nn.Conv2d(maps, maps, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(maps)
        self.shortcut: nn.Module = nn.Identity()
        if project:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, maps, 1, stride, bias=False), nn.BatchNorm2d(maps)
            )

    def forward(self, x: Tensor) -> Tensor:
        """From float (n, channels, H, W) to (n, maps, H or H/2, W or W/2)."""
        inner = torch.relu(self.first_norm(self.first(x)))
        return torch.relu(self.second_norm(self.second(inner)) + self.shortcut(x))


class SmallResNet(nn.Module):
    """M. Li et al., "Facial expression recognition with identity and emotion joint learning", IEEE
    TAFFC, manuscript of 2017, section 3.1.

    Conv 3×3, 16 – blocks of 16, 16, 32 and 64 maps – global average pooling – fc L. No max pooling.

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
        blocks, width = [], 16
        for maps, project in LAYERS[layers]:
            blocks.append(ResidualBlock(width, maps, project))
            width = maps
        self.blocks = nn.Sequential(*blocks)
        self.output = nn.Linear(EMOTION_WIDTH, labels)
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


class TFENetwork(OneClassNetwork):
    """Base of the methods of TFE-JL's paper: grey faces, mirrored, turned and shifted in training.

    Section 4.3. The network itself standardises its input pixel by pixel (`Standardise`).
    """

    input = FaceInput(colour="grey")

    rotation: float = param(10.0, ge=0, le=180, help="degrees that training faces are turned by")
    shift: float = param(0.1, ge=0, lt=1, help="share of the side that they are shifted by")

    def inputs(
        self, pixels: Tensor, faces: FaceSet, rows: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        """Float (b, C, size, size) in [0, 1]; `augmented` where there is a generator."""
        if generator is None:
            return self.normalised(crops(pixels, self.recipe.size))
        flip = self.recipe.flip
        return self.normalised(augmented(pixels, generator, flip, self.rotation, self.shift))


class ResNetTFE(TFENetwork):
    """Base of the methods that are a ResNet of the paper alone, without identity.

    Class attributes
    ----------------
    layers : {"resnet18", "resnet12"}
        Which of `LAYERS` a plug-in takes.
    """

    layers: ClassVar[str]

    def build(self, labels: int, channels: int) -> nn.Module:
        """Residual blocks, global average pooling, one fully connected layer."""
        return SmallResNet(self.layers, labels, channels, self.recipe.size)

    def learn(
        self, model: nn.Module, train: FaceSet, valid: FaceSet | None, seed: int
    ) -> TrainingSummary:
        """First the pixels' statistics over the training part, then the one training phase."""
        assert isinstance(model, SmallResNet)
        model.standardise.learn(self.keep(train))
        return super().learn(model, train, valid, seed)


def augmented(
    images: Tensor,
    generator: torch.Generator,
    flip: bool = True,
    rotation: float = 0.0,
    shift: float = 0.0,
) -> Tensor:
    """Each image mirrored with probability ½, turned about its centre, then shifted.

    Each image draws for itself. Pixels are interpolated bilinearly; places outside the image repeat
    its edge.

    Parameters
    ----------
    images : uint8 (n, H, W, C)
        Square.
    generator : torch.Generator
        On the CPU.
    flip : bool
        Whether images are mirrored at all.
    rotation : float
        Degrees at most, either way, uniformly.
    shift : float
        Share of the side at most, in each direction, uniformly.

    Returns
    -------
    float (n, C, H, W), 0 to 255
        Channels last in memory.
    """
    n = len(images)
    mirrored = torch.rand(n, generator=generator) < 0.5
    angle = (2 * torch.rand(n, generator=generator) - 1) * math.radians(rotation)
    # The grid runs from -1 to 1: a whole side is 2.
    offset = (2 * torch.rand(n, 2, generator=generator) - 1) * 2 * shift
    sign = torch.where(mirrored, -1.0, 1.0) if flip else torch.ones(n)
    cosine, sine = angle.cos(), angle.sin()
    # A matrix for each image: from (x, y, 1) in the result to the place (x, y) in the source.
    source = torch.stack(
        [
            torch.stack([sign * cosine, sign * sine, sign * offset[:, 0]], dim=1),
            torch.stack([-sine, cosine, offset[:, 1]], dim=1),
        ],
        dim=1,
    )
    pixels = images.permute(0, 3, 1, 2).float()
    grid = affine_grid(source.to(images.device), list(pixels.shape), align_corners=False)
    sampled = grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    return sampled.contiguous(memory_format=torch.channels_last)
