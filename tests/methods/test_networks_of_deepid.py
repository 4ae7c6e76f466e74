"""The DeepID ConvNet against the sizes and parameter counts of its papers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bench.methods._deepid import DeepID, IdentityNetwork
from torch import nn

from bench.api import BenchError, FaceSet
from bench.nn.faces import Pixels
from bench.nn.standardise import Standardise


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def shapes(model: DeepID, channels: int, height: int, width: int) -> list[tuple[int, ...]]:
    """Maps of the four convolutions before pooling."""
    seen: list[tuple[int, ...]] = []
    for layer in model.convolutions:
        layer.register_forward_hook(lambda module, given, out: seen.append(tuple(out.shape[1:])))
    model(torch.rand(2, channels, height, width))
    return seen


@pytest.mark.parametrize(
    ("channels", "height", "width", "sizes", "joined"),
    [
        (3, 55, 47, [(52, 44), (24, 20), (10, 8), (4, 3)], 1200 + 960),
        (1, 39, 31, [(36, 28), (16, 12), (6, 4), (2, 1)], 360 + 160),
        (1, 48, 48, [(45, 45), (20, 20), (8, 8), (3, 3)], 960 + 720),
    ],
)
def test_layers_are_the_papers(
    channels: int, height: int, width: int, sizes: list[tuple[int, int]], joined: int
) -> None:
    model = DeepID(channels, height, width)
    maps = (20, 40, 60, 80)
    assert shapes(model, channels, height, width) == [
        (n, *size) for n, size in zip(maps, sizes, strict=True)
    ]
    assert (model.embedding.in_features, model.embedding.out_features) == (joined, 160)


def test_parameters_are_the_papers() -> None:
    # 4·4·3·20+20, 3·3·20·40+40, 3·3·40·60+60, 2·2·60·80+80, (1200+960)·160+160
    model = DeepID(3, 55, 47)
    assert count(model) == 980 + 7_240 + 21_660 + 19_280 + 345_760 == 394_920
    assert count(model) + count(nn.Linear(160, 10_575)) == 2_097_495
    small = count(IdentityNetwork(10, 1, 48))
    assert small == (16 * 20 + 20) + 7_240 + 21_660 + 19_280 + (1680 * 160 + 160) + 1_610


def slow(model: DeepID, image: np.ndarray) -> np.ndarray:
    """One image by explicit loops, float64 (C, H, W) to (160,)."""

    def convolved(maps: np.ndarray, layer: nn.Conv2d) -> np.ndarray:
        kernel, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()  # type: ignore[union-attr]
        k = kernel.shape[-1]
        height, width = maps.shape[1] - k + 1, maps.shape[2] - k + 1
        out = np.empty((len(kernel), height, width))
        for y in range(height):
            for x in range(width):
                patch = maps[:, y : y + k, x : x + k]
                out[:, y, x] = (kernel * patch).sum(axis=(1, 2, 3)) + bias
        return np.maximum(out, 0)

    def pooled(maps: np.ndarray) -> np.ndarray:
        height, width = maps.shape[1] // 2, maps.shape[2] // 2
        out = np.empty((len(maps), height, width))
        for y in range(height):
            for x in range(width):
                out[:, y, x] = maps[:, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].max(axis=(1, 2))
        return out

    layers: list = list(model.convolutions)
    third = image
    for layer in layers[:3]:
        third = pooled(convolved(third, layer))
    fourth = convolved(third, layers[3])
    joined = np.concatenate([third.ravel(), fourth.ravel()])
    weight, bias = model.embedding.weight.detach().numpy(), model.embedding.bias.detach().numpy()
    return np.maximum(weight @ joined + bias, 0)


def test_forward_is_that_of_plain_loops() -> None:
    torch.manual_seed(0)
    model = DeepID(1, 33, 31).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1)  # biases too
    images = torch.randn(2, 1, 33, 31, dtype=torch.float64)
    with torch.no_grad():
        found = model(images).numpy()
    for row, image in zip(found, images.numpy(), strict=True):
        np.testing.assert_allclose(row, slow(model, image), rtol=1e-10, atol=1e-12)
    assert (found > 0).any()
    assert (found == 0).any()


def test_gradients_are_numerical_ones() -> None:
    torch.manual_seed(1)
    model = DeepID(1, 31, 31).double()
    images = torch.randn(1, 1, 31, 31, dtype=torch.float64)
    bias = model.convolutions[2].bias
    assert isinstance(bias, torch.Tensor)

    def summed() -> torch.Tensor:
        return model(images).square().sum()

    (gradient,) = torch.autograd.grad(summed(), [bias])
    for i in (0, 17, 59):
        with torch.no_grad():
            bias[i] += 1e-6
            above = summed()
            bias[i] -= 2e-6
            below = summed()
            bias[i] += 1e-6
        assert float(gradient[i]) == pytest.approx(
            float((above - below) / 2e-6), rel=1e-4, abs=1e-8
        )


def test_images_too_small_are_refused() -> None:
    DeepID(1, 31, 31)(torch.zeros(1, 1, 31, 31))
    with pytest.raises(BenchError, match="30×31 pixels are too small"):
        DeepID(1, 31, 30)


def test_dropout_acts_on_the_output_and_not_on_the_embedding() -> None:
    torch.manual_seed(0)
    model = IdentityNetwork(3, 1, 32)
    images = torch.rand(4, 1, 32, 32)
    assert model.dropout.p == 0.4
    model.train()
    one, other = model(images), model(images)
    assert torch.equal(one.embedding, other.embedding)
    assert not torch.equal(one.logits, other.logits)
    model.eval()
    assert torch.equal(model(images).logits, model(images).logits)


def pixels(images: np.ndarray) -> Pixels:
    ids = np.arange(len(images)).astype(str)
    faces = FaceSet("a", "multi", ("x",), ids, np.zeros((len(ids), 1), bool), images=images)
    return Pixels(faces, None, "cpu")


def test_standardised_pixels_have_mean_0_and_deviation_1() -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 8, 8), dtype=np.uint8)
    images[:, 0, 0] = 200
    layer = Standardise(1, 8)
    as_they_are = torch.from_numpy(images)[:, None] / 255
    assert torch.equal(layer(as_they_are), as_they_are)
    layer.learn(pixels(images))
    found = layer(as_they_are)[:, 0].numpy()
    varying = np.ones((8, 8), bool)
    varying[0, 0] = False
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(axis=0)[varying], 1, rtol=1e-4)
    assert set(layer.state_dict()) == {"mean", "std"}


def test_only_the_rows_named_count_and_larger_images_are_cut() -> None:
    images = np.random.default_rng(0).integers(0, 256, (30, 12, 12), dtype=np.uint8)
    layer = Standardise(1, 8)
    layer.learn(pixels(images), torch.arange(5, 25))
    cut = images[5:25, 2:10, 2:10] / 255
    np.testing.assert_allclose(layer.mean[0], cut.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(layer.std[0], cut.std(axis=0), rtol=1e-5)
