"""DeepID: the network against its papers, and the features of ``deepid``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from bench.methods._deepid import (
    DeepID,
    IdentityNetwork,
    embeddings,
    identity_recipe,
    identity_stage,
)
from builtin import configured
from identities import some_people
from layers import count
from networks import some_faces
from torch import nn

from bench.api import BenchError, Setting
from bench.nn.faces import Pixels

# -- the network ----------------------------------------------------------------------------------


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


# -- the method -----------------------------------------------------------------------------------


def method(**params: Any) -> Any:
    people = some_people(persons=12, pictures=5)
    return configured("deepid", "smoke", {"people": people}, **params)


def test_vectors_are_those_of_the_stage_with_the_methods_seed() -> None:
    faces = some_faces(12, side=32)
    made = method().fit(faces, np.random.default_rng(3))
    found = made.transform(faces)
    seed = int(np.random.default_rng(3).integers(2**62))
    people = made.setting.others["people"]
    stage = identity_stage(people, identity_recipe("smoke"), Setting("smoke"), seed)
    wanted = embeddings(stage.branch, Pixels(faces, 32, "cpu"), np.arange(12), 32)
    np.testing.assert_array_equal(found, wanted)
    assert found.shape == (12, 160)
    assert found.dtype == np.float32
    assert (found >= 0).all()
    assert made.measures(faces) == stage.record["figures"]
    assert set(made.measures(faces)) == {
        "closed_set_accuracy",
        "verification_accuracy",
        "verification_deviation",
        "verification_threshold",
    }
    assert "deepid: identity stage on people" in made.remarks()[0]


def test_nothing_is_learnt_from_the_faces_asked_about() -> None:
    faces = some_faces(12, side=32)
    first = method().fit(faces, np.random.default_rng(0)).transform(faces)
    other = method().fit(some_faces(20, side=32, seed=9), np.random.default_rng(0))
    np.testing.assert_array_equal(first, other.transform(faces))
    assert (method().fit(faces, np.random.default_rng(1)).transform(faces) != first).any()


def test_larger_faces_are_resized() -> None:
    faces = some_faces(6, side=64)
    assert faces.images is not None
    made = method().fit(faces, np.random.default_rng(0))
    halved = Pixels(faces, 32, "cpu").take(torch.arange(6)).numpy()[..., 0]
    np.testing.assert_array_equal(
        made.transform(faces), made.transform(replace(faces, images=halved))
    )


def test_the_placebo_has_first_weights_and_the_statistics_of_the_training_part() -> None:
    faces = some_faces(12, side=32)
    made = method(identity="untrained").fit(faces, np.random.default_rng(0))
    assert faces.images is not None
    own = faces.images / 255
    np.testing.assert_allclose(made.branch_.standardise.mean[0], own.mean(axis=0), rtol=1e-4)
    assert made.measures(faces) == {}
    assert made.remarks() == ("deepid: untrained weights, a placebo",)
    assert made.transform(faces).shape == (12, 160)


def test_colours_and_early_questions_are_refused() -> None:
    with pytest.raises(BenchError, match="not trained yet"):
        method().transform(some_faces(4, side=32))
    made = method().fit(some_faces(12, side=32), np.random.default_rng(0))
    with pytest.raises(BenchError, match="deepid takes grey images"):
        made.transform(some_faces(4, side=32, colour="rgb"))
