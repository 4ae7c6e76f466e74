"""baseDCNN and DBM-CNN against RAF-ML's paper, Table 2 and section 6.2, layer by layer."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from bench.methods import _dcnn as module
from bench.methods._dcnn import neighbour_agreement
from layers import count, images_for, method, paper_model, run, seeded_generator
from torch import nn
from torch.nn import functional

from bench.api import BenchError
from bench.nn.output import Output

DCNN = ("base-dcnn", "dbm-cnn")


@pytest.fixture(scope="module")
def dcnn() -> nn.Module:
    """baseDCNN with its weights, built once: 300 MB."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return method("base-dcnn").build(6, 1)


@pytest.mark.parametrize("name", DCNN)
def test_dcnn_has_74_941_590_parameters(name: str) -> None:
    convolutions = (
        (1 * 9 * 64 + 64)  # 640
        + (64 * 9 * 96 + 96)  # 55,392
        + (96 * 9 * 128 + 128)  # 110,720
        + (128 * 9 * 128 + 128)  # 147,584
        + (128 * 9 * 256 + 256)  # 295,168
        + (256 * 9 * 256 + 256)  # 590,080
    )
    assert convolutions == 1_199_584
    # 90 -> 45 -> 23 -> 12 with Caffe's pooling, which rounds up; 11 and 63.17 M without.
    side = math.ceil(math.ceil(90 / 2 / 2) / 2)
    first, second = side * side * 256 * 2000 + 2000, 2000 * 6 + 6
    assert (first, second) == (73_730_000, 12_006)
    assert convolutions + first + second == 74_941_590
    assert count(paper_model(name)) == 74_941_590
    # Colour costs two more input planes in the first convolution.
    assert count(paper_model(name, 6, 3)) == 74_941_590 + 2 * 9 * 64


@pytest.mark.parametrize("name", DCNN)
def test_dcnn_shapes_layer_by_layer(name: str) -> None:
    model = paper_model(name)
    found, steps = run(model, images_for(name, 2, 90, "meta"))
    assert [(tuple(step.given.shape[1:]), tuple(step.gave.shape[1:])) for step in steps] == [
        ((1, 90, 90), (64, 90, 90)),
        ((64, 45, 45), (96, 45, 45)),
        ((96, 23, 23), (128, 23, 23)),
        ((128, 23, 23), (128, 23, 23)),
        ((128, 12, 12), (256, 12, 12)),
        ((256, 12, 12), (256, 12, 12)),
        ((36_864,), (2000,)),
        ((2000,), (6,)),
    ]
    assert tuple(found.embedding.shape) == (2, 2000)
    assert tuple(found.logits.shape) == (2, 6)
    assert not [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]


@pytest.mark.parametrize("name", DCNN)
def test_dcnn_convolutions_are_3_by_3_with_stride_and_padding_1(name: str) -> None:
    layers = [m for m in paper_model(name).modules() if isinstance(m, nn.Conv2d)]
    assert len(layers) == 6
    for layer in layers:
        assert layer.kernel_size == (3, 3)
        assert layer.stride == (1, 1)
        assert layer.padding in ((1, 1), "same")
        assert layer.padding_mode == "zeros"
        assert layer.dilation == (1, 1)
        assert layer.groups == 1
        assert layer.bias is not None


def test_dcnn_computes_what_the_table_says(dcnn: nn.Module) -> None:
    images = images_for("base-dcnn", 2, 90)
    # Biases of zero would hide a missing one, so they are moved for this test and put back.
    biases = [parameter for parameter in dcnn.parameters() if parameter.ndim == 1]
    before = [bias.detach().clone() for bias in biases]
    with torch.no_grad():
        for bias in biases:
            bias.normal_(std=0.1, generator=seeded_generator())
        found, steps = run(dcnn.eval(), images)
        x = images
        for index, step in enumerate(steps[:6]):
            x = functional.conv2d(x, step.layer.weight, step.layer.bias, padding=1).relu()
            if index in (0, 1, 3):
                x = functional.max_pool2d(x, 2, 2, ceil_mode=True)
        first, second = steps[6].layer, steps[7].layer
        embedding = functional.linear(x.flatten(1), first.weight, first.bias).relu()
        logits = functional.linear(embedding, second.weight, second.bias)
        for bias, kept in zip(biases, before, strict=True):
            bias.copy_(kept)
    torch.testing.assert_close(found.embedding, embedding, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.logits, logits, rtol=1e-4, atol=1e-4)
    assert logits.std() > 0.05  # a network that gives nothing would pass the comparison


def test_dcnn_embedding_is_the_activation_without_dropout(dcnn: nn.Module) -> None:
    found, steps = run(dcnn.eval(), images_for("base-dcnn", 3, 90))
    assert isinstance(found, Output)
    assert (found.embedding >= 0).all()
    share = (found.embedding == 0).float().mean().item()
    assert 0.2 < share < 0.8  # after the ReLU: of symmetric weights about half
    assert torch.equal(found.embedding, steps[6].gave.relu())
    assert torch.equal(found.embedding, steps[7].given)
    assert torch.equal(found.logits, steps[7].gave)
    again, _ = run(dcnn, images_for("base-dcnn", 3, 90))
    assert torch.equal(again.embedding, found.embedding)
    assert torch.equal(again.logits, found.logits)


def test_dcnn_drops_three_tenths_of_the_activation_in_training_only(dcnn: nn.Module) -> None:
    images = images_for("base-dcnn", 1, 90).repeat(6, 1, 1, 1)
    _, still = run(dcnn.eval(), images)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        try:
            _, moving = run(dcnn.train(), images)
        finally:
            dcnn.eval()
    for before, during in zip(still[:7], moving[:7], strict=True):
        assert torch.equal(before.given, during.given)  # nothing is dropped before fc1
    activation, dropped = still[7].given, moving[7].given
    alive = activation > 0
    gone = alive & (dropped == 0)
    kept = alive & ~gone
    torch.testing.assert_close(dropped[kept], activation[kept] / 0.7, rtol=1e-5, atol=0)
    assert not dropped[~alive].any()
    # 6 rows of some 1000 live values: the share's standard deviation is 0.006.
    assert gone.sum().item() / alive.sum().item() == pytest.approx(0.3, abs=0.03)
    assert (gone[0] != gone[1]).any()  # each sample its own


def test_dcnn_starts_from_msra_and_zero_biases(dcnn: nn.Module) -> None:
    """He et al. (2015), Caffe's filler: normal, variance 2 / fan-in, in every layer."""
    layers = [layer for layer in dcnn.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert len(layers) == 8
    for layer in layers:
        weight = layer.weight.detach()
        fan_in = weight[0].numel()
        expected = math.sqrt(2 / fan_in)
        weight = weight.flatten()[:: max(1, weight.numel() // 1_000_000)]  # a million are enough
        n = weight.numel()
        # Five standard errors of a standard deviation, of a mean, of a mean absolute value.
        assert weight.std().item() == pytest.approx(expected, rel=5 / math.sqrt(2 * n))
        assert abs(weight.double().mean().item()) < 5 * expected / math.sqrt(n)
        if n >= 10_000:  # 0.798 of the deviation if normal, 0.866 if uniform
            absolute = weight.abs().double().mean().item() / expected
            assert absolute == pytest.approx(math.sqrt(2 / math.pi), abs=4 / math.sqrt(n))
        assert layer.bias is not None
        assert not layer.bias.any()


@pytest.mark.parametrize("name", DCNN)
def test_dcnn_decays_the_last_layer_five_times_as_fast(name: str) -> None:
    network = method(name)
    model = paper_model(name)
    decay = {
        id(parameter): group["weight_decay"]
        for group in network.groups(model)
        for parameter in group["params"]
    }
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    for layer in layers:
        last = isinstance(layer, nn.Linear) and layer.out_features == 6
        # Caffe's plain setting: a bias decays like the weights of its layer.
        assert decay[id(layer.weight)] == pytest.approx(0.0025 if last else 0.0005)
        assert decay[id(layer.bias)] == pytest.approx(0.0025 if last else 0.0005)


@pytest.mark.parametrize("name", DCNN)
def test_dcnn_schedule(name: str) -> None:
    network = method(name)
    recipe = network.recipe
    assert type(recipe.optimizer).__name__ == "SGD"
    assert recipe.optimizer.lr == pytest.approx(0.01)
    assert recipe.optimizer.momentum == pytest.approx(0.9)
    assert (recipe.batch, recipe.iterations, recipe.epochs) == (64, 20_000, None)
    assert (recipe.size, recipe.crop_from) == (90, 100)
    assert network.input.colour == "grey"
    # 3926 training images are 62 batches of 64, the last one short.
    for iteration, factor in (
        (0, 1),
        (1, 1),
        (4_999, 1),
        (5_000, 0.1),
        (5_001, 0.1),
        (17_999, 0.1),
        (18_000, 0.01),
        (19_999, 0.01),
    ):
        assert recipe.schedule.factor(iteration, iteration // 62, 20_000) == pytest.approx(factor)


def test_dbm_cnn_defaults_and_choices() -> None:
    network = method("dbm-cnn")
    assert (network.k, network.lam) == (10, pytest.approx(0.01))
    assert (network.manifold, network.target) == ("both", "distribution")
    assert set(network.params["manifold"].choices) == {
        "feature",
        "label",
        "both",
        "none",
        "concatenated",
        "random",
    }
    assert set(network.params["target"].choices) == {"distribution", "normalised", "khot"}
    for lam in (0, 0.001, 0.005, 0.01, 0.05):  # Figure 7
        assert method("dbm-cnn", lam=lam).lam == lam
    for k in (5, 10, 20, 40):
        assert method("dbm-cnn", k=k).k == k
    for wrong in ({"k": 0}, {"lam": -0.01}, {"manifold": "neither"}, {"target": "argmax"}):
        with pytest.raises(BenchError):
            method("dbm-cnn", **wrong)


def test_dbm_cnn_offers_the_papers_gradient() -> None:
    # Eq. 7 is half the derivative of Eq. 6: a switch says which of the two is followed.
    known = {"k", "lam", "manifold", "target"}
    switches = [
        f"{name} {declared.help} {declared.choices}".lower()
        for name, declared in method("dbm-cnn").params.items()
        if name not in known
    ]
    assert [text for text in switches if "gradient" in text or "backward" in text]


# Figures of the embedding -------------------------------------------------------------------------


@pytest.mark.parametrize("faces", [2, 7, 40])
def test_agreement_by_loops(monkeypatch: pytest.MonkeyPatch, faces: int) -> None:
    monkeypatch.setattr(module, "_ROWS", 9)
    draw = np.random.default_rng(faces)
    X, Y = draw.normal(size=(faces, 3)), draw.random((faces, 4)) < 0.4
    found = []
    for i in range(faces):
        order = sorted((float(np.linalg.norm(X[i] - X[j])), j) for j in range(faces) if j != i)
        for _, j in order[:10]:
            either = np.count_nonzero(Y[i] | Y[j])
            found.append(np.count_nonzero(Y[i] & Y[j]) / either if either else 1.0)
    expected = np.mean(found)
    value = neighbour_agreement(torch.from_numpy(X), torch.from_numpy(Y))
    assert value == pytest.approx(expected, rel=1e-6)


def test_agreement_is_one_where_neighbours_share_their_labels() -> None:
    X = torch.cat([torch.randn(12, 2), torch.randn(12, 2) + 100])
    Y = torch.tensor([[True, False]] * 12 + [[False, True]] * 12)
    assert neighbour_agreement(X, Y) == 1.0
    assert neighbour_agreement(X[:1], Y[:1]) is None
