"""The tandem of an identity and an emotion branch, joined in one layer."""

from __future__ import annotations

import torch
from bench.methods._small_resnet import WIDTH, SmallResNet
from torch import Tensor, nn

from bench.nn.output import Output


class Tandem(nn.Module):
    """TFE-JL, section 3.2: both features batch-normalised by themselves, concatenated, fc L.

    The paper gives no size of a hidden layer: there is none here.

    Parameters
    ----------
    identity : nn.Module
        With a method ``embed`` from images to float (n, ``width``).
    width : int
        160 for DeepID, which makes a vector of 224.
    emotion : SmallResNet
    labels : int
    """

    def __init__(self, identity: nn.Module, width: int, emotion: SmallResNet, labels: int) -> None:
        super().__init__()
        self.identity, self.emotion = identity, emotion
        self.identity_norm, self.emotion_norm = nn.BatchNorm1d(width), nn.BatchNorm1d(WIDTH)
        self.output = nn.Linear(width + WIDTH, labels)

    def forward(self, images: Tensor) -> Output:
        """From float (n, C, size, size) in [0, 1]; the embedding is the tandem feature."""
        who: Tensor = self.identity_norm(self.identity.embed(images))  # type: ignore[operator]
        feels = self.emotion_norm(self.emotion.embed(images))
        tandem = torch.cat([who, feels], dim=1)
        return Output(tandem, self.output(tandem))
