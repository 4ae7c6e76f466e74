"""VGG-19 and ResNet-18 as LBAN-IL's paper compares them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from builtin import configured
from networks import some_faces
from torch import Tensor, nn

from bench.nn.centred import Centred
from bench.nn.losses.binary import binary_cross_entropy
from bench.nn.losses.softmax import multilabel_softmax
from bench.nn.output import Batch, Output


def method(name: str, budget: str = "smoke", **params: Any) -> Any:
    return configured(name, budget, **params)


def on_meta(made: Any, labels: int = 7, channels: int = 3) -> Any:
    with torch.device("meta"):
        return made.build(labels, channels).eval()


# Configuration E: channels of the sixteen convolutions, a pooling after each group.
GROUPS = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)


def test_vgg19_has_the_20_3_million_weights_of_table_2() -> None:
    widths = [3, *(width for group in GROUPS for width in group)]
    convolutions = sum(9 * a * b + b for a, b in pairwise(widths))
    norms = sum(2 * width for width in widths[1:])
    assert convolutions == 20_024_384
    by_hand = convolutions + norms + (2 * 2 * 512 * 128 + 128) + (128 * 7 + 7)
    assert by_hand == 20_298_567
    model = on_meta(method("vgg19", loss="softmax"))
    assert sum(p.numel() for p in model.parameters()) == by_hand
    assert round(by_hand / 1e6, 1) == 20.3


@pytest.mark.parametrize(("size", "left"), [(80, 2), (40, 1)])
def test_vgg19_layer_by_layer(size: int, left: int) -> None:
    model = on_meta(method("vgg19"))
    seen: list[tuple[int, ...]] = []
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AdaptiveAvgPool2d):
            layer.register_forward_hook(lambda _, __, gave: seen.append(tuple(gave.shape[1:])))
    out = model(torch.zeros(2, 3, size, size, device="meta"))
    expected, side = [], size
    for group in GROUPS:
        expected += [(width, side, side) for width in group]
        side //= 2
        expected.append((group[-1], side, side))
    assert side == left
    assert seen == [*expected, (512, 2, 2)]
    assert (out.embedding.shape, out.logits.shape) == ((2, 128), (2, 7))


def test_vgg19s_convolutions_are_torchvisions() -> None:
    with torch.device("meta"):
        other = torchvision.models.vgg19_bn().features
    model = on_meta(method("vgg19", loss="softmax"))
    shapes = {name: t.shape for name, t in other.state_dict().items()}
    assert {name: t.shape for name, t in model.layers.state_dict().items()} == shapes


@pytest.mark.parametrize("channels", [1, 3])
def test_vgg19_trains_to_the_first_layer(channels: int) -> None:
    model: Any = method("vgg19", loss="softmax").build(4, channels)
    out = model(torch.rand(4, channels, 32, 32))
    (out.logits.square().mean() + out.embedding.square().mean()).backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())
    assert float(model.layers[0].weight.grad.abs().max()) > 1e-6
    assert bool((out.embedding < 0).any())


def test_vgg19_shares_lban_ils_recipe_and_head() -> None:
    mine, lban = method("vgg19", "paper"), method("lban-il", "paper")
    assert mine.recipe == lban.recipe
    assert mine.ten_crop == lban.ten_crop == "softmax"
    model = on_meta(mine)
    assert isinstance(model, Centred)
    assert model.centres.centres.shape == (7, 128)
    assert model.network.head.dropout.p == 0.5


# -- ResNet-18 ------------------------------------------------------------------------------------


def batch() -> tuple[Output, Batch]:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    labels = (draw(6, 4) > 0).float()
    labels[:, 0] = 1
    shares = labels * draw(6, 4).abs()
    return Output(draw(6, 512), draw(6, 4)), Batch(
        torch.zeros(0), labels, shares / shares.sum(dim=1, keepdim=True)
    )


def prepared(kind: str, **params: Any) -> Any:
    made = method("resnet18", **params)
    made.kind_ = kind
    with torch.random.fork_rng([]):
        made.model_ = made.build(4, 3)
    return made


def test_resnet18_learns_label_sets_by_the_binary_cross_entropy_as_before() -> None:
    made, (out, given) = prepared("multi"), batch()
    terms = made.loss(out, given)
    assert torch.equal(terms.loss, binary_cross_entropy(out.logits, given.labels))
    assert made.sigmoid
    assert made.sums_over_samples
    assert made.unsuited("multi") is None
    assert not isinstance(made.model_, Centred)


@pytest.mark.parametrize("loss", ["cross_entropy", "softmax"])
def test_resnet18_learns_classes_by_the_softmax(loss: str) -> None:
    made, (out, given) = prepared("single", loss=loss), batch()
    labels = torch.eye(4)[torch.arange(6) % 4]
    terms = made.loss(out, Batch(given.inputs, labels, labels))
    torch.testing.assert_close(terms.loss, multilabel_softmax(out.logits, labels))


@pytest.mark.parametrize("loss", ["cross_entropy", "softmax"])
def test_resnet18_learns_the_strongest_label_where_asked(loss: str) -> None:
    made, (out, given) = prepared("multi", loss=loss, target="argmax"), batch()
    strongest = torch.eye(4)[given.distribution.argmax(dim=1)]
    terms = made.loss(out, given)
    torch.testing.assert_close(terms.loss, multilabel_softmax(out.logits, strongest))
    assert not made.sigmoid
    assert made.unsuited("multi") is None


@pytest.mark.parametrize("loss", ["softmax", "center", "island", "islets"])
def test_resnet18s_other_losses_are_for_classes(loss: str) -> None:
    made = prepared("single", loss=loss)
    assert made.unsuited("multi") is not None
    assert made.unsuited("single") is None
    centred = isinstance(made.model_, Centred)
    assert centred == (loss != "softmax")
    if centred:
        assert made.model_.centres.centres.shape == (4, 512)


@pytest.mark.parametrize("name", ["vgg19", "resnet18"])
def test_the_islets_loss_trains_at_smoke(name: str) -> None:
    faces = some_faces(24, side=48, kind="single", colour="rgb")
    made = method(name, loss="islets", length=0.5)
    made.fit(faces, np.random.default_rng(0))
    assert set(made.history_[-1]) >= {"cross_entropy", "center", "island", "islets"}
    scores = made.scores(faces)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    assert made.transform(faces).shape == (24, made.width)
