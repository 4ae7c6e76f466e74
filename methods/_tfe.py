"""What TFE-JL and its baselines share: grey faces, augmentation, statistics, schedules."""

from __future__ import annotations

from typing import ClassVar

import torch
from bench.methods._small_resnet import SmallResNet
from torch import Tensor, nn

from bench.api import FaceInput, FaceSet, param
from bench.nn.augment import moved
from bench.nn.faces import crops
from bench.nn.one_class import OneClassNetwork
from bench.nn.recipe import SGD, EveryEpochs, OneCycle, Recipe
from bench.nn.train import Trained


def paper(rate: float) -> Recipe:
    """TFE-JL's training of a ResNet, section 4.2, from a rate of 0.1 (FER+) or 0.16 (CK+)."""
    return Recipe(
        # The paper says where the rate starts and not how it goes on; weight decay as in K. He et
        # al., CVPR 2016.
        SGD(rate, momentum=0.9, weight_decay=1e-4),
        batch=128,
        epochs=200,
        schedule=EveryEpochs(70, 0.1),
        size=48,
        flip=True,
        drop_last=True,
    )


# Of ours, for a laptop: 32 pixels take less than half as long as 48.
QUICK = Recipe(
    SGD(0.1, momentum=0.9, weight_decay=1e-4),
    batch=64,
    iterations=600,
    schedule=OneCycle(),
    size=32,
    flip=True,
    drop_last=True,
)


class TFENetwork(OneClassNetwork):
    """Base of the networks on whole grey faces, standardised pixel by pixel inside the network.

    In training faces are mirrored, turned and shifted (section 4.3).
    """

    threshold = "row"
    input = FaceInput(colour="grey")

    rotation: float = param(10.0, ge=0, le=180, help="degrees that training faces are turned by")
    shift: float = param(0.1, ge=0, lt=1, help="share of the side that they are shifted by")

    def inputs(
        self, pixels: Tensor, faces: FaceSet, rows: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        """Float (b, C, size, size) in [0, 1]; moved where there is a generator."""
        if generator is None:
            return self.normalised(crops(pixels, self.recipe.size))
        flip = self.recipe.flip
        return self.normalised(moved(pixels, generator, flip, self.rotation, self.shift))


class ResNetTFE(TFENetwork):
    """Base of the paper's ResNets alone; a plug-in names its layers."""

    layers: ClassVar[str]

    def build(self, labels: int, channels: int) -> nn.Module:
        """Residual blocks, global average pooling, one fully connected layer."""
        return SmallResNet(self.layers, labels, channels, self.recipe.size)

    def learn(self, model: nn.Module, train: FaceSet, valid: FaceSet | None, seed: int) -> Trained:
        """The statistics of the training part, then one phase."""
        assert isinstance(model, SmallResNet)
        model.standardise.learn(self.keep(train))
        return super().learn(model, train, valid, seed)
