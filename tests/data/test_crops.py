"""Crops against loops over pixels, and against Pillow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from bench.api import InputError
from bench.data.crops import local_crops, ten_crop


def slow_crop(image: np.ndarray, centre: np.ndarray, side: float, size: int) -> np.ndarray:
    """One crop of (C, H, W) by its definition, pixel by pixel, in float64."""
    height, width = image.shape[1:]
    out = np.empty((len(image), size, size))
    for row in range(size):
        for column in range(size):
            # Corner coordinates of the sample, then in pixel centres, kept inside the image.
            x = centre[0] + ((column + 0.5) / size - 0.5) * side - 0.5
            y = centre[1] + ((row + 0.5) / size - 0.5) * side - 0.5
            x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
            left, top = int(x), int(y)
            right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
            upper = image[:, top, left] * (1 - x + left) + image[:, top, right] * (x - left)
            lower = image[:, bottom, left] * (1 - x + left) + image[:, bottom, right] * (x - left)
            out[:, row, column] = upper * (1 - y + top) + lower * (y - top)
    return out


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("height", "width", "size"), [(20, 20, 16), (14, 22, 7)])
def test_local_crops_equal_the_slow_computation(
    dtype: torch.dtype, height: int, width: int, size: int
) -> None:
    rng = np.random.default_rng(0)
    images = rng.random((3, 2, height, width))
    # Some points near or beyond the border.
    landmarks = rng.uniform(-2, 1.1 * width, (3, 5, 2))
    found = local_crops(
        torch.tensor(images, dtype=dtype), torch.tensor(landmarks), side=0.5, size=size
    )
    assert found.dtype == dtype
    assert found.shape == (3, 5, 2, size, size)
    side = 0.5 * min(height, width)
    for i in range(3):
        for point in range(5):
            expected = slow_crop(images[i], landmarks[i, point], side, size)
            np.testing.assert_allclose(found[i, point], expected, atol=1e-5)


def test_a_crop_on_the_grid_is_a_cut() -> None:
    images = torch.rand(1, 3, 20, 20, dtype=torch.float64)
    points = torch.tensor([[[10.0, 10], [4, 4], [16, 4], [4, 16], [16, 12]]])
    crops = local_crops(images, points, side=0.4, size=8)
    for crop, (x, y) in zip(crops[0], points[0].long().tolist(), strict=True):
        torch.testing.assert_close(crop, images[0, :, y - 4 : y + 4, x - 4 : x + 4])


def test_the_border_repeats_outside() -> None:
    images = torch.rand(1, 1, 10, 10, dtype=torch.float64)
    crops = local_crops(images, torch.zeros(1, 5, 2), side=0.4, size=4)
    torch.testing.assert_close(crops[0, 0, 0, :2, :2], images[0, 0, :1, :1].expand(2, 2))
    torch.testing.assert_close(crops[0, 0, 0, 2:, 2:], images[0, 0, :2, :2])


def test_gradients_reach_the_image() -> None:
    images = torch.rand(2, 1, 6, 6, dtype=torch.float64, requires_grad=True)
    landmarks = torch.rand(2, 5, 2, dtype=torch.float64) * 6

    def crops(x: torch.Tensor) -> torch.Tensor:
        return local_crops(x, landmarks, 0.5, 3)

    assert torch.autograd.gradcheck(crops, images)


def test_ten_crops_equal_pillows() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 12, 14), dtype=np.uint8)
    found = ten_crop(torch.tensor(images), 8)
    assert found.shape == (2, 10, 3, 8, 8)
    for image, crops in zip(images, found.numpy(), strict=True):
        plain = Image.fromarray(image.transpose(1, 2, 0))
        expected = [
            picture.crop((x, y, x + 8, y + 8))
            for picture in (plain, ImageOps.mirror(plain))
            for x, y in ((0, 0), (6, 0), (0, 4), (6, 4), (3, 2))
        ]
        for crop, picture in zip(crops, expected, strict=True):
            assert np.array_equal(crop.transpose(1, 2, 0), np.asarray(picture))


def test_what_does_not_fit_is_refused() -> None:
    images = torch.zeros(2, 3, 10, 10)
    with pytest.raises(InputError, match="ten-crop of 11×11"):
        ten_crop(images, 11)
    with pytest.raises(InputError, match=r"\(b, 5, 2\)"):
        local_crops(images, torch.zeros(1, 5, 2), 0.4, 8)
