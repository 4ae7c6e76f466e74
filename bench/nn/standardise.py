"""A layer that standardises images pixel by pixel, by statistics that are kept with the weights.

DeepID and the ResNets of TFE-JL begin with it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.nn.faces import Pixels, crops

_AT_ONCE = 1024  # images
_LEAST = 1 / 255  # the least deviation: a pixel that never varies is only centred


class Standardise(nn.Module):
    """(x − mean) / std, pixel by pixel: Y. Tang, ICML Workshop 2013, and TFE-JL after it.

    Mean and std are buffers, so that checkpoints hold them, and a network that takes the weights
    over has them, too. Before `learn` the layer leaves images as they are.

    Parameters
    ----------
    channels, size : int
        Channels of the images, and their side in pixels.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels, size, size))
        self.register_buffer("std", torch.ones(channels, size, size))

    def learn(self, pixels: Pixels, rows: Tensor | None = None) -> None:
        """Take the mean and the deviation of each pixel over images.

        Images count without augmentation, cut from the centre. The deviation is at least 1/255 of
        the range of a pixel.

        Parameters
        ----------
        pixels : Pixels
        rows : int64 (r,), optional
            The rows that count; by default all.
        """
        rows = torch.arange(len(pixels)) if rows is None else rows
        total = torch.zeros(self.mean.shape, dtype=torch.float64)
        squares = torch.zeros_like(total)
        for chunk in rows.split(_AT_ONCE):
            images = crops(pixels.take(chunk), self.mean.shape[-1]).cpu().double() / 255
            total += images.sum(dim=0)
            squares += images.square().sum(dim=0)
        mean = total / len(rows)
        variance = (squares / len(rows) - mean.square()).clamp(min=0)
        self.mean.copy_(mean)
        self.std.copy_(variance.sqrt().clamp(min=_LEAST))

    def forward(self, images: Tensor) -> Tensor:
        """From float (n, C, size, size), in [0, 1]."""
        return (images - self.mean) / self.std
