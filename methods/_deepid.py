"""The DeepID ConvNet: from a face to 160 numbers that say who it is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.api import BenchError
from bench.nn.output import Output
from bench.nn.standardise import Standardise

WIDTH = 160
_CONVOLUTIONS = ((4, 20), (3, 40), (3, 60), (2, 80))  # kernel, maps


class DeepID(nn.Module):
    """Y. Sun, X. Wang and X. Tang, CVPR 2014 (DeepID), as "Deep learning face representation by
    joint identification-verification", NIPS 2014, feeds it.

    conv 4×4, 20 – pool – conv 3×3, 40 – pool – conv 3×3, 60 – pool (A) – conv 2×2, 80 (B) –
    fc 160 on A and B together, ReLU after each; no padding, 2×2 pools. 394,920 parameters for
    55×47×3 pixels.

    Deviation: as in later re-implementations, the weights of the third and fourth convolution are
    shared over the whole map; DeepID2 shares them within regions of 2×2, and not at all.

    Parameters
    ----------
    channels, height, width : int
        Of the images, at least 31 pixels high and wide.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        maps, sizes = channels, (height, width)
        pooled = 0
        layers: list[nn.Module] = []
        for number, (kernel, width_of) in enumerate(_CONVOLUTIONS):
            layers.append(nn.Conv2d(maps, width_of, kernel))
            maps, sizes = width_of, (sizes[0] - kernel + 1, sizes[1] - kernel + 1)
            if number < 3:
                sizes = sizes[0] // 2, sizes[1] // 2
            if number == 2:
                pooled = maps * sizes[0] * sizes[1]
        if min(sizes) < 1:
            raise BenchError(
                f"deepid: images of {width}×{height} pixels are too small for its four "
                "convolutions; take at least 31×31"
            )
        self.convolutions = nn.ModuleList(layers)
        self.embedding = nn.Linear(pooled + maps * sizes[0] * sizes[1], WIDTH)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                # Open in the papers; without batch normalisation the usual choice is He et al.'s.
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """The feature, float (n, 160), not negative, from float (n, C, H, W)."""
        maps = images
        for convolution in list(self.convolutions)[:3]:
            maps = nn.functional.max_pool2d(torch.relu(convolution(maps)), 2)
        last = torch.relu(self.convolutions[3](maps))
        return torch.relu(self.embedding(torch.cat([maps.flatten(1), last.flatten(1)], dim=1)))


class IdentityBranch(nn.Module):
    """DeepID with the per-pixel statistics of the images that it learns from.

    Parameters
    ----------
    channels, size : int
        Of the images.
    """

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.standardise = Standardise(channels, size)
        self.body = DeepID(channels, size, size)

    def embed(self, images: Tensor) -> Tensor:
        """The feature, float (n, 160), from float (n, C, size, size) in [0, 1]."""
        feature: Tensor = self.body(self.standardise(images))
        return feature


class IdentityNetwork(nn.Module):
    """The branch under a softmax over persons.

    Parameters
    ----------
    persons, channels, size : int
    dropout : float
        Share of the feature dropped in training; TFE-JL has 0.4.
    """

    def __init__(self, persons: int, channels: int, size: int, dropout: float = 0.4) -> None:
        super().__init__()
        self.branch = IdentityBranch(channels, size)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(WIDTH, persons)

    def forward(self, images: Tensor) -> Output:
        """From float (n, C, size, size) in [0, 1]; the embedding is that before dropout."""
        embedding = self.branch.embed(images)
        return Output(embedding, self.output(self.dropout(embedding)))
