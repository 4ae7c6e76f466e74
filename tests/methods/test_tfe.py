"""TFE-JL's ResNets layer by layer, their parameters counted by hand, and the augmentation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from bench.methods._tfe import LAYERS, ResidualBlock, SmallResNet, augmented
from torch import nn
from torch.nn import functional

# conv and fc; projections have a 1×1 shortcut; each convolution two numbers per map of its norm.
_STEM = 9 * 16 + 32


def identity(maps: int) -> int:
    return 2 * 9 * maps * maps + 4 * maps


def projection(before: int, maps: int) -> int:
    return 9 * before * maps + 9 * maps * maps + before * maps + 6 * maps


def seen(model: nn.Module, images: torch.Tensor) -> list[tuple[int, int, int, int]]:
    """Kernel, stride, maps and side of every convolution, in the order they ran."""
    found: list[tuple[int, int, int, int]] = []

    def note(layer: nn.Conv2d, given: object, out: torch.Tensor) -> None:
        found.append((layer.kernel_size[0], layer.stride[0], out.shape[1], out.shape[2]))

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(note)  # type: ignore[arg-type]
    model(images)
    return found


def test_resnet18_is_the_papers_layer_by_layer() -> None:
    model = SmallResNet("resnet18", 8, 1, 48).eval()
    ran = seen(model, torch.rand(2, 1, 48, 48))
    threes = [one for one in ran if one[0] == 3]
    assert threes == [
        (3, 1, 16, 48),
        *[(3, 1, 16, 48)] * 4,
        *[(3, 2, 16, 24), (3, 1, 16, 24), (3, 1, 16, 24), (3, 1, 16, 24)],
        *[(3, 2, 32, 12), (3, 1, 32, 12), (3, 1, 32, 12), (3, 1, 32, 12)],
        *[(3, 2, 64, 6), (3, 1, 64, 6), (3, 1, 64, 6), (3, 1, 64, 6)],
    ]
    assert len(threes) + 1 == 18
    assert [one for one in ran if one[0] == 1] == [(1, 2, 16, 24), (1, 2, 32, 12), (1, 2, 64, 6)]
    assert not any(isinstance(module, nn.MaxPool2d) for module in model.modules())


def test_resnet12_is_the_papers_layer_by_layer() -> None:
    ran = seen(SmallResNet("resnet12", 8, 1, 48).eval(), torch.rand(2, 1, 48, 48))
    threes = [one for one in ran if one[0] == 3]
    assert threes == [
        (3, 1, 16, 48),
        *[(3, 1, 16, 48)] * 2,
        *[(3, 2, 16, 24), (3, 1, 16, 24)],
        *[(3, 2, 16, 12), (3, 1, 16, 12)],
        *[(3, 2, 32, 6), (3, 1, 32, 6)],
        *[(3, 2, 64, 3), (3, 1, 64, 3)],
    ]
    assert len(threes) + 1 == 12
    assert [one[2:] for one in ran if one[0] == 1] == [(16, 24), (16, 12), (32, 6), (64, 3)]


def test_resnet12_is_resnet18_without_four_identity_blocks_and_one_more_projection() -> None:
    more, fewer = list(LAYERS["resnet18"]), list(LAYERS["resnet12"])
    for maps in (16, 16, 32, 64):
        more.remove((maps, False))
    more.append((16, True))
    assert sorted(more) == sorted(fewer)


@pytest.mark.parametrize("labels", [6, 8])
def test_parameters_counted_by_hand(labels: int) -> None:
    def count(layers: str) -> int:
        return sum(p.numel() for p in SmallResNet(layers, labels, 1, 48).parameters())

    head = 64 * labels + labels
    projections = projection(16, 16) + projection(16, 32) + projection(32, 64)
    stages = 2 * identity(16) + identity(16) + identity(32) + identity(64)
    assert count("resnet18") == _STEM + stages + projections + head
    assert count("resnet12") == _STEM + identity(16) + projection(16, 16) + projections + head


@pytest.mark.parametrize("project", [False, True])
def test_a_block_is_two_convolutions_and_a_shortcut(project: bool) -> None:
    torch.manual_seed(0)
    block = ResidualBlock(6, 6, project).double().eval()
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    x = torch.randn(2, 6, 8, 8, dtype=torch.float64)

    def normed(maps: torch.Tensor, norm: nn.BatchNorm2d) -> torch.Tensor:
        mean, var = norm.running_mean, norm.running_var
        assert mean is not None
        assert var is not None
        scaled = (maps - mean[:, None, None]) / (var[:, None, None] + norm.eps).sqrt()
        return scaled * norm.weight[:, None, None] + norm.bias[:, None, None]

    stride = 2 if project else 1
    inner = normed(functional.conv2d(x, block.first.weight, None, stride, 1), block.first_norm)
    outer = normed(
        functional.conv2d(inner.clamp(min=0), block.second.weight, None, 1, 1), block.second_norm
    )
    short = x
    if project:
        conv, norm = block.shortcut  # type: ignore[misc]
        short = normed(functional.conv2d(x, conv.weight, None, 2, 0), norm)
    torch.testing.assert_close(block(x), (outer + short).clamp(min=0))


def test_the_embedding_is_the_mean_over_places_and_feeds_the_output() -> None:
    model = SmallResNet("resnet12", 5, 1, 32).eval()
    maps: list[torch.Tensor] = []
    model.blocks.register_forward_hook(lambda module, given, out: maps.append(out))
    out = model(torch.rand(3, 1, 32, 32))
    assert out.embedding.shape == (3, 64)
    np.testing.assert_allclose(
        out.embedding.detach(), maps[0].detach().numpy().mean(axis=(2, 3)), rtol=1e-5
    )
    torch.testing.assert_close(out.logits, model.output(out.embedding))


# -- mirrored, turned and shifted -----------------------------------------------------------------

SIDE = 9


def pictures(n: int = 200, channels: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    shape = (n, SIDE, SIDE, channels)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_half_of_the_images_are_mirrored_and_nothing_else_happens() -> None:
    images = pictures(channels=3)
    found = augmented(images, seeded())
    plain = images.permute(0, 3, 1, 2).float()
    as_it_was = (found - plain).abs().amax(dim=(1, 2, 3)) < 0.01
    mirrored = (found - plain.flip(3)).abs().amax(dim=(1, 2, 3)) < 0.01
    assert (as_it_was ^ mirrored).all()
    assert 70 < int(mirrored.sum()) < 130
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_without_flip_images_stay() -> None:
    images = pictures()
    found = augmented(images, seeded(), flip=False)
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
    found = augmented(images, seeded(), flip, degrees, share)[:, 0].numpy()
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
    found = augmented(column, seeded(), flip=False, shift=0.2)[:, 0]
    weights = found / found.sum(dim=2, keepdim=True)
    places = (weights * torch.arange(SIDE)).sum(dim=2).mean(dim=1) - SIDE // 2
    assert places.abs().max() <= 0.2 * SIDE + 0.01
    assert places.min() < -1.5
    assert places.max() > 1.5
