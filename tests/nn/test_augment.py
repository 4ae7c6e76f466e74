"""Mirrored, turned and shifted images against the plain way."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bench.nn.augment import moved

SIDE = 9


def pictures(n: int = 200, channels: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    shape = (n, SIDE, SIDE, channels)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_half_of_the_images_are_mirrored_and_nothing_else_happens() -> None:
    images = pictures(channels=3)
    found = moved(images, seeded())
    plain = images.permute(0, 3, 1, 2).float()
    as_it_was = (found - plain).abs().amax(dim=(1, 2, 3)) < 0.01
    mirrored = (found - plain.flip(3)).abs().amax(dim=(1, 2, 3)) < 0.01
    assert (as_it_was ^ mirrored).all()
    assert 70 < int(mirrored.sum()) < 130
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_without_flip_images_stay() -> None:
    images = pictures()
    found = moved(images, seeded(), flip=False)
    assert (found - images.permute(0, 3, 1, 2)).abs().max() < 0.01


def slow(image: np.ndarray, mirrored: bool, angle: float, dx: float, dy: float) -> np.ndarray:
    """Bilinear, edges repeated; angle in radians, shifts in pixels, of one (H, W) image."""
    if mirrored:
        image = image[:, ::-1]
    centre, out = (SIDE - 1) / 2, np.empty((SIDE, SIDE))
    for row in range(SIDE):
        for column in range(SIDE):
            x, y = column - centre, row - centre
            u = math.cos(angle) * x + math.sin(angle) * y + dx + centre
            v = -math.sin(angle) * x + math.cos(angle) * y + dy + centre
            u, v = min(max(u, 0), SIDE - 1), min(max(v, 0), SIDE - 1)
            left, top = min(int(u), SIDE - 2), min(int(v), SIDE - 2)
            a, b = u - left, v - top
            upper = (1 - a) * image[top, left] + a * image[top, left + 1]
            lower = (1 - a) * image[top + 1, left] + a * image[top + 1, left + 1]
            out[row, column] = (1 - b) * upper + b * lower
    return out


@pytest.mark.parametrize("flip", [False, True])
def test_turns_and_shifts_are_those_of_plain_loops(flip: bool) -> None:
    n, degrees, share = 12, 20.0, 0.15
    images = pictures(n)
    found = moved(images, seeded(), flip, degrees, share)[:, 0].numpy()
    generator = seeded()
    mirrored = (torch.rand(n, generator=generator) < 0.5).numpy() & flip
    angle = (2 * torch.rand(n, generator=generator).numpy() - 1) * math.radians(degrees)
    apart = (2 * torch.rand(n, 2, generator=generator).numpy() - 1) * share * SIDE
    for i in range(n):
        wanted = slow(images[i, :, :, 0].numpy().astype(float), mirrored[i], angle[i], *apart[i])
        np.testing.assert_allclose(found[i], wanted, atol=0.05)


def test_every_image_moves_in_its_own_way_within_bounds() -> None:
    column = torch.zeros(300, SIDE, SIDE, 1, dtype=torch.uint8)
    column[:, :, SIDE // 2] = 255
    found = moved(column, seeded(), flip=False, shift=0.2)[:, 0]
    weights = found / found.sum(dim=2, keepdim=True)
    places = (weights * torch.arange(SIDE)).sum(dim=2).mean(dim=1) - SIDE // 2
    assert places.abs().max() <= 0.2 * SIDE + 0.01
    assert places.min() < -1.5
    assert places.max() > 1.5
