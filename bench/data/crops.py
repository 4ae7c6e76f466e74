"""Crops that networks take from a face: round its landmarks, and the ten of a ten-crop."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import grid_sample
from torchvision.transforms.v2 import functional

from bench.api import InputError


def local_crops(images: Tensor, landmarks: Tensor, side: float = 0.4, size: int = 224) -> Tensor:
    """Square crops round the five landmarks, as MF-JLE's local networks take them.

    The paper (IEEE Access 2021) does not state the crops' side; 0.4 is ours. Bilinear; border
    pixels repeat where a crop reaches beyond the image. Meant to enlarge: where a crop covers more
    than ``size`` pixels of the image, some are skipped.

    Parameters
    ----------
    images : float (b, C, H, W)
    landmarks : float (b, 5, 2)
        x, y in pixels, (0, 0) at the upper left corner and (W, H) at the lower right one.
    side : float
        Side of a crop as a share of the image's shorter side.
    size : int
        Side of the result in pixels.

    Returns
    -------
    float (b, 5, C, size, size)
        On the device of ``images``.

    Raises
    ------
    InputError
        Where the shapes do not fit.
    """
    if images.ndim != 4 or tuple(landmarks.shape) != (len(images), 5, 2):
        raise InputError(
            f"local crops take images (b, C, H, W) with landmarks (b, 5, 2), not "
            f"{tuple(images.shape)} with {tuple(landmarks.shape)}"
        )
    height, width = images.shape[2:]
    scale = images.new_tensor([width, height])
    # Centres of the crop's pixels, as shares of its side from its middle.
    steps = (torch.arange(size, device=images.device, dtype=images.dtype) + 0.5) / size - 0.5
    steps = steps * (side * min(height, width))
    down, across = torch.meshgrid(steps, steps, indexing="ij")
    points = landmarks.to(images)[:, :, None, None] + torch.stack([across, down], dim=-1)
    # The five below one another, so that the image is not repeated; -1 and 1 are its corners.
    grid = (points / scale * 2 - 1).reshape(len(images), 5 * size, size, 2)
    crops = grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return crops.unflatten(2, (5, size)).transpose(1, 2)


def ten_crop(images: Tensor, size: int) -> Tensor:
    """Four corners and the centre, then the same of the mirrored image.

    Parameters
    ----------
    images : (b, C, H, W)
    size : int
        Side of a crop in pixels.

    Returns
    -------
    (b, 10, C, size, size)
        Upper left, upper right, lower left, lower right, centre; then those five of the image
        mirrored left to right (its upper left crop shows what is at the upper right).

    Raises
    ------
    InputError
        Where the crop is larger than the image.
    """
    if size > min(images.shape[-2:]):
        raise InputError(
            f"a ten-crop of {size}×{size} does not fit into {images.shape[-1]}×{images.shape[-2]}"
        )
    return torch.stack(functional.ten_crop(images, [size, size]), dim=1)
