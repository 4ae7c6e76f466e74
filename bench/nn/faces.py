"""Faces on the device: pixels as one uint8 tensor, crops cut in batches, targets as tensors.

The input side of training and inference, which every trained network shares.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional
from torchvision.transforms.v2.functional import resize

from bench.api import BenchError, FaceSet, InputError

_CHUNK = 512  # images resized at once
_SHARE = 0.5  # of the free memory that the pixels may take


class Pixels:
    """The images of some faces, ready to be cut into batches.

    Where they take at most half of the device's free memory, they are resized once and kept there
    as one tensor. Otherwise each batch is read from the (memory-mapped) array and resized by
    itself, which gives the same bytes.

    Parameters
    ----------
    faces : FaceSet
        Images uint8 (n, H, W) or (n, H, W, 3).
    side : int or None
        Side in pixels that images are resized to (bilinear, anti-aliased); None leaves their size.
    device : str
    """

    def __init__(self, faces: FaceSet, side: int | None, device: str) -> None:
        if faces.images is None:
            raise BenchError(f"{faces.name} holds precomputed features; a network needs images")
        height, width = faces.images.shape[1:3]
        if 0 in (height, width):
            raise BenchError(f"{faces.name}: images of {width}×{height} pixels cannot be used")
        self.images, self.device = faces.images, torch.device(device)
        self.size = (height, width) if side is None else (side, side)
        self.channels = faces.images.shape[3] if faces.images.ndim == 4 else 1
        self.whole: Tensor | None = None
        bytes_needed = len(faces) * self.size[0] * self.size[1] * self.channels
        if bytes_needed <= _SHARE * _free_memory(self.device):
            # Filled in place: pieces that are joined later would take the memory twice.
            shape = (len(faces), *self.size, self.channels)
            self.whole = torch.empty(shape, dtype=torch.uint8, device=self.device)
            for part in _chunks(len(faces)):
                self.whole[part] = self._read(part)

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: Tensor) -> Tensor:
        """The images of these rows int64 (b,), uint8 (b, H, W, C), on the device."""
        if self.whole is not None:
            return self.whole[rows.to(self.device)]
        return self._read(rows.cpu().numpy())

    def _read(self, rows: np.ndarray | slice) -> Tensor:
        """The images of these rows from the array, resized, on the device."""
        # A copy: nothing stops torch from writing into a memory map that is read-only.
        images = torch.from_numpy(np.array(self.images[rows])).to(self.device)
        images = images.reshape(len(images), *images.shape[1:3], self.channels)
        if images.shape[1:3] == self.size:
            return images
        resized = resize(images.permute(0, 3, 1, 2), list(self.size), antialias=True)
        return resized.permute(0, 2, 3, 1).contiguous()


def _chunks(rows: int) -> Iterator[slice]:
    for start in range(0, rows, _CHUNK):
        yield slice(start, start + _CHUNK)


def _free_memory(device: torch.device) -> int:
    """The device's free memory in bytes; 0 where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def crops(
    images: Tensor, size: int, generator: torch.Generator | None = None, flip: bool = False
) -> Tensor:
    """Cut a square from each image, another place for each.

    Parameters
    ----------
    images : uint8 (n, H, W, C)
    size : int
        Side in pixels, at most H and W.
    generator : torch.Generator or None
        A generator on the CPU, which draws the place, uniformly, and whether an image is mirrored;
        None: the centre is cut.
    flip : bool
        Whether each image is mirrored with probability ½ (only with a generator).

    Returns
    -------
    uint8 (n, C, size, size)
        Channels last in memory.
    """
    n, height, width, _ = images.shape
    if size > min(height, width):
        raise BenchError(f"a crop of {size} pixels cannot be cut from {width}×{height}")
    if generator is None:
        top, left = (height - size) // 2, (width - size) // 2
        return images[:, top : top + size, left : left + size].permute(0, 3, 1, 2)
    # torchvision's RandomCrop and RandomHorizontalFlip draw once for a whole batch.
    top = torch.randint(height - size + 1, (n, 1), generator=generator)
    left = torch.randint(width - size + 1, (n, 1), generator=generator)
    rows, columns = top + torch.arange(size), left + torch.arange(size)
    if flip:
        mirrored = torch.rand(n, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    which = torch.arange(n).view(n, 1, 1)
    where = (which, rows[:, :, None], columns[:, None, :])
    cut: Tensor = images[tuple(index.to(images.device) for index in where)]
    return cut.permute(0, 3, 1, 2)


def mirrored(images: Tensor, points: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
    """Mirror the images (b, C, H, W) whose draw is below ½, with their landmarks (b, 5, 2)."""
    chosen = (draws < 0.5).to(images.device)
    turned = points[:, [1, 0, 2, 4, 3]] * points.new_tensor([-1, 1])
    turned[..., 0] += images.shape[-1]
    images = torch.where(chosen[:, None, None, None], images.flip(3), images)
    return images, torch.where(chosen[:, None, None], turned, points)


def targets(faces: FaceSet, device: str) -> tuple[Tensor, Tensor]:
    """Labels as float 0 or 1, and label distributions: float32 (n, L) each, on the device.

    Where the dataset has no distributions, a label set becomes equal shares of its labels; a face
    without labels has 0 everywhere. On single-label data the distribution is the class alone: to
    learn the votes behind a class is another task.
    """
    labels = torch.from_numpy(faces.labels.astype(np.float32))
    if faces.distribution is None or faces.kind == "single":
        distribution = labels / labels.sum(dim=1, keepdim=True).clamp(min=1)
    else:
        distribution = torch.from_numpy(faces.distribution.astype(np.float32))
    return labels.to(device), distribution.to(device)


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
