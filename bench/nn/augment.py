"""Mirrored, turned and shifted images, each in its own way."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample


def moved(
    images: Tensor,
    generator: torch.Generator,
    flip: bool = True,
    rotation: float = 0.0,
    shift: float = 0.0,
) -> Tensor:
    """Each image mirrored with probability ½, turned about its centre, then shifted.

    Pixels are interpolated bilinearly; what comes in from outside repeats the edge.

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
    apart = (2 * torch.rand(n, 2, generator=generator) - 1) * 2 * shift
    sign = torch.where(mirrored, -1.0, 1.0) if flip else torch.ones(n)
    cosine, sine = angle.cos(), angle.sin()
    # Where each place of the result is taken from: x, y and 1 to the source's x and y.
    source = torch.stack(
        [
            torch.stack([sign * cosine, sign * sine, sign * apart[:, 0]], dim=1),
            torch.stack([-sine, cosine, apart[:, 1]], dim=1),
        ],
        dim=1,
    )
    pixels = images.permute(0, 3, 1, 2).float()
    grid = affine_grid(source.to(images.device), list(pixels.shape), align_corners=False)
    found = grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    return found.contiguous(memory_format=torch.channels_last)
