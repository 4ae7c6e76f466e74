"""The networks of the RAF-ML and MF-JLE papers against their tables, layer by layer.

Layers are found by type and in the order in which they run, never by the name of an attribute.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional
from torch.nn.modules.module import register_module_forward_pre_hook

from bench.api import BenchError, FaceSet, Setting
from bench.nn.output import Output
from bench.plugins import Registry

REGISTRY = Registry()
DCNN = ("base-dcnn", "dbm-cnn")
RESNET = ("resnet18", "mf-jle")
NETWORKS = (*DCNN, *RESNET)
CHANNELS = {"base-dcnn": 1, "dbm-cnn": 1, "resnet18": 3, "mf-jle": 3}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def method(name: str, budget: str | None = None, **params: Any) -> Any:
    network: Any = REGISTRY.find("method", name)[0].load()(**params)
    if budget is not None:
        network.setting = Setting(budget=budget)
    return network


def on_meta(network: Any, labels: int = 6, channels: int = 1) -> nn.Module:
    """The model without its weights: shapes and counts cost nothing."""
    with torch.device("meta"):
        return network.build(labels, channels)


@cache
def paper_model(name: str, labels: int = 6, channels: int | None = None) -> nn.Module:
    """The model of the paper's schedule without its weights; not to be changed."""
    return on_meta(method(name), labels, channels or CHANNELS[name]).eval()


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


class Step(NamedTuple):
    """One convolution or linear layer as it ran."""

    layer: nn.Conv2d | nn.Linear
    given: torch.Tensor
    gave: torch.Tensor


def run(model: nn.Module, images: torch.Tensor) -> tuple[Any, list[Step]]:
    """What a model gives, and its convolutions and linear layers in the order they ran."""
    steps: list[Step] = []

    def note(layer: Any, given: tuple[torch.Tensor], gave: torch.Tensor) -> None:
        # Copies: a ReLU that works in place would change what was seen.
        steps.append(Step(layer, given[0].clone(), gave.clone()))

    hooks = [
        layer.register_forward_hook(note)
        for layer in model.modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    try:
        with torch.no_grad():
            return model(images), steps
    finally:
        for hook in hooks:
            hook.remove()


def images_for(name: str, n: int, size: int, device: str = "cpu") -> torch.Tensor:
    faces = (6,) if name == "mf-jle" else ()
    shape = (n, *faces, CHANNELS[name], size, size)
    return torch.rand(shape, generator=None if device == "meta" else _generator(), device=device)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="module")
def dcnn() -> nn.Module:
    """baseDCNN with its weights, built once: 300 MB."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return method("base-dcnn").build(6, 1)


@pytest.fixture(scope="module")
def joint() -> tuple[nn.Module, float]:
    """MF-JLE with a weight that no default hides, and that weight."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return method("mf-jle", lam=0.25).build(6, 3).eval(), 0.25


# What holds for all four --------------------------------------------------------------------------


@pytest.mark.parametrize("budget", ["smoke", "quick", "paper"])
@pytest.mark.parametrize("name", NETWORKS)
def test_each_budget_has_a_schedule_and_a_model_that_fits_it(name: str, budget: str) -> None:
    network = method(name, budget)
    recipe = network.recipe
    assert (recipe.epochs is None) != (recipe.iterations is None)
    assert (recipe.epochs or recipe.iterations) >= 1
    assert recipe.batch >= 1
    assert recipe.crop_from is None or recipe.crop_from >= recipe.size
    model = on_meta(network, labels=4, channels=CHANNELS[name]).eval()
    found, _ = run(model, images_for(name, 2, recipe.size, "meta"))
    assert isinstance(found, Output)
    assert found.logits.shape == (2, 4)
    assert found.embedding.shape[0] == 2
    assert found.embedding.ndim == 2


@pytest.mark.parametrize("name", NETWORKS)
def test_without_a_word_the_budget_is_the_papers(name: str) -> None:
    def length(budget: str | None) -> tuple[int | None, int | None]:
        recipe = method(name, budget).recipe
        return recipe.epochs, recipe.iterations

    assert length(None) == length("paper")
    assert length("smoke") != length("paper")
    assert length("quick") != length("paper")


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("labels", [1, 8])
def test_the_head_has_one_output_per_label(name: str, labels: int) -> None:
    six = count(paper_model(name))
    embedding, heads = {"base-dcnn": (2000, 1), "dbm-cnn": (2000, 1), "resnet18": (512, 1)}.get(
        name, (512, 6)
    )
    # A label more is a row of weights and a bias more in each head.
    expected = six + heads * (labels - 6) * (embedding + 1)
    assert count(paper_model(name, labels)) == expected


@pytest.mark.parametrize("name", NETWORKS)
def test_groups_hold_each_parameter_once(name: str) -> None:
    network = method(name)
    model = paper_model(name)
    groups = network.groups(model)
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(held) == len(set(held))
    assert set(held) == {id(parameter) for parameter in model.parameters()}
    assert all(parameter.requires_grad for parameter in model.parameters())
    torch.optim.SGD(network.groups(model), lr=0.1)


# baseDCNN and DBM-CNN: RAF-ML, Table 2 and Section 6.2 --------------------------------------------


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
            bias.normal_(std=0.1, generator=_generator())
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


# ResNet-18 and MF-JLE -----------------------------------------------------------------------------

RESNET18 = (
    (3 * 49 * 64 + 2 * 64)  # 9,536: convolution and batch norm (weight, bias)
    + 4 * (64 * 9 * 64 + 2 * 64)  # 147,968
    + (64 * 9 * 128 + 3 * 128 * 9 * 128 + 64 * 128 + 5 * 2 * 128)  # 525,568
    + (128 * 9 * 256 + 3 * 256 * 9 * 256 + 128 * 256 + 5 * 2 * 256)  # 2,099,712
    + (256 * 9 * 512 + 3 * 512 * 9 * 512 + 256 * 512 + 5 * 2 * 512)  # 8,393,728
    + (512 * 6 + 6)  # 3,078
)


def test_resnet18_has_11_179_590_parameters() -> None:
    assert RESNET18 == 11_179_590
    # With ImageNet's 1000 classes instead of 6 it is the 11,689,512 that torchvision states.
    assert RESNET18 + 994 * 513 == 11_689_512
    assert count(paper_model("resnet18")) == RESNET18


def test_mf_jle_has_six_times_as_many() -> None:
    assert 6 * RESNET18 == 67_077_540
    assert count(paper_model("mf-jle")) == 6 * RESNET18


def shapes(model: nn.Module) -> list[tuple[int, ...]]:
    return sorted(tuple(value.shape) for value in model.state_dict().values())


@pytest.mark.parametrize(("name", "copies"), [("resnet18", 1), ("mf-jle", 6)])
def test_parameters_and_buffers_are_those_of_torchvision(name: str, copies: int) -> None:
    with torch.device("meta"):
        expected = torchvision.models.resnet18(num_classes=6)
    assert shapes(paper_model(name)) == sorted(copies * shapes(expected))


def test_resnet18_shapes_layer_by_layer() -> None:
    model = paper_model("resnet18")
    found, steps = run(model, images_for("resnet18", 2, 224, "meta"))
    convolutions = [step for step in steps if isinstance(step.layer, nn.Conv2d)]
    outside = [step for step in convolutions if step.layer.kernel_size != (1, 1)]
    # "17 convolution layers and 1 full connected layer"; the shortcuts' 1 by 1 are not counted.
    assert [tuple(step.gave.shape[1:]) for step in outside] == [
        (64, 112, 112),
        *[(64, 56, 56)] * 4,
        *[(128, 28, 28)] * 4,
        *[(256, 14, 14)] * 4,
        *[(512, 7, 7)] * 4,
    ]
    shortcuts = [step for step in convolutions if step.layer.kernel_size == (1, 1)]
    assert [tuple(step.gave.shape[1:]) for step in shortcuts] == [
        (128, 28, 28),
        (256, 14, 14),
        (512, 7, 7),
    ]
    assert tuple(steps[-1].given.shape) == (2, 512)
    assert tuple(found.embedding.shape) == (2, 512)


def test_resnet18_computes_what_torchvision_computes() -> None:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = method("resnet18").build(6, 3)
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):  # statistics as after training, not 0 and 1
                layer.running_mean.normal_(std=0.1)
                layer.running_var.uniform_(0.5, 1.5)
    images = images_for("resnet18", 2, 224)
    found, steps = run(model.eval(), images)
    other = torchvision.models.resnet18(num_classes=6)
    names, values = list(other.state_dict()), list(model.state_dict().values())
    other.load_state_dict(dict(zip(names, values, strict=True)))
    # What reaches the first convolution, so that it does not matter who normalises.
    _, expected = run(other.eval(), steps[0].given)
    torch.testing.assert_close(found.logits, expected[-1].gave, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.embedding, expected[-1].given, rtol=1e-4, atol=1e-5)
    assert isinstance(found, Output)
    assert (found.embedding >= 0).all()
    assert torch.equal(found.embedding, steps[-1].given)


def heads(steps: list[Step]) -> list[Step]:
    return [step for step in steps if isinstance(step.layer, nn.Linear)]


def test_mf_jle_adds_the_local_logits_to_the_global_ones(joint: tuple[nn.Module, float]) -> None:
    model, lam = joint
    # Image 0, and six copies in each of which one face is another one.
    # Half the paper's side is enough to tell the networks apart, at a quarter of the time.
    images = images_for("mf-jle", 1, 112).repeat(7, 1, 1, 1, 1)
    for face in range(6):
        images[face + 1, face] = images[face + 1, face].flip(-1)
    found, steps = run(model, images)
    last = heads(steps)
    assert len(last) == 6
    assert len({id(step.layer) for step in last}) == 6
    sees: dict[int, Step] = {}
    for step in last:
        assert step.gave.shape == (7, 6)
        moved = (step.gave - step.gave[0]).abs().amax(1) > 1e-4
        (row,) = moved.nonzero().flatten().tolist()  # each network sees one face and no other
        sees[row - 1] = step
    assert sorted(sees) == list(range(6))
    expected = sees[0].gave + lam * sum(sees[face].gave for face in range(1, 6))
    torch.testing.assert_close(found.logits, expected, rtol=1e-4, atol=1e-5)
    assert isinstance(found, Output)
    # The global network's 512 values, or all six networks' with the global ones first.
    assert found.embedding.shape[1] in (512, 6 * 512)
    assert (found.embedding >= 0).all()
    assert torch.equal(found.embedding[:, :512], sees[0].given)
    if found.embedding.shape[1] > 512:
        local = torch.cat([sees[face].given for face in range(1, 6)], 1)
        assert torch.equal(found.embedding[:, 512:], local)


def test_mf_jle_networks_share_no_weights(joint: tuple[nn.Module, float]) -> None:
    model, _ = joint
    pointers = [parameter.data_ptr() for parameter in model.parameters()]
    assert len(pointers) == len(set(pointers)) == 6 * 62
    # Nor do they start as copies of each other: whatever the bodies read, heads are drawn.
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    assert len(layers) == 6
    for layer in layers[1:]:
        assert not torch.equal(layer.weight, layers[0].weight)


def test_mf_jle_weight() -> None:
    assert method("mf-jle").lam == pytest.approx(0.01)
    for lam in (0, 0.001, 0.005, 0.01, 0.015):  # Figure 6
        assert method("mf-jle", lam=lam).lam == lam
    with pytest.raises(BenchError):
        method("mf-jle", lam=-0.01)
    assert method("mf-jle").needs_landmarks
    assert not method("resnet18").needs_landmarks


@pytest.mark.parametrize("name", RESNET)
def test_resnet_schedule(name: str) -> None:
    network = method(name)
    recipe = network.recipe
    assert type(recipe.optimizer).__name__ == "Adam"
    assert recipe.optimizer.lr == pytest.approx(1e-4)
    assert tuple(recipe.optimizer.betas) == pytest.approx((0.9, 0.999))
    assert (recipe.batch, recipe.epochs, recipe.iterations) == (128, 218, None)
    assert recipe.size == 224
    assert recipe.crop_from in (None, 224)  # the paper names no random crop
    assert network.input.colour == "rgb"
    # 2945 training images are 24 batches of 128, the last one short.
    for epoch, power in (
        (0, 0),
        (49, 0),
        (50, 1),
        (99, 1),
        (100, 2),
        (149, 2),
        (150, 3),
        (199, 3),
        (200, 4),
        (217, 4),
    ):
        for iteration in (24 * epoch, 24 * epoch + 23):
            factor = recipe.schedule.factor(iteration, epoch, 218 * 24)
            assert factor == pytest.approx(0.9**power)


@pytest.mark.parametrize("name", RESNET)
def test_resnet_has_no_weight_decay(name: str) -> None:
    # The paper states the betas of Adam and no decay; torch's default is none.
    network = method(name)
    groups = network.groups(paper_model(name))
    decay = network.recipe.optimizer.weight_decay
    assert [group.get("weight_decay", decay) for group in groups] == [0] * len(groups)


# What a fitted network hands on -------------------------------------------------------------------


def faces(n: int, side: int, rgb: bool) -> FaceSet:
    rng = np.random.default_rng(n)
    labels = rng.random((n, 6)) < 0.4
    labels[np.arange(n), np.arange(n) % 6] = True
    template = np.array([[20, 30], [80, 30], [50, 52], [32, 75], [68, 75]], dtype=float)
    return FaceSet(
        name="noise",
        kind="multi",
        label_names=tuple("abcdef"),
        ids=np.array([f"{row:02d}" for row in range(n)], dtype=str),
        labels=labels,
        images=rng.integers(0, 256, (n, side, side, *((3,) if rgb else ())), dtype=np.uint8),
        distribution=labels / labels.sum(1, keepdims=True),
        landmarks=np.tile(template * side / 100, (n, 1, 1)),
        synthetic=True,
    )


@contextmanager
def watched() -> Iterator[dict[int, tuple[nn.Module, list[torch.Tensor]]]]:
    """What goes into each convolution and each linear layer of any model, in order."""
    seen: dict[int, tuple[nn.Module, list[torch.Tensor]]] = {}

    def note(layer: nn.Module, given: tuple[Any, ...]) -> None:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            seen.setdefault(id(layer), (layer, []))[1].append(given[0].detach().float().cpu())

    hook = register_module_forward_pre_hook(note)
    try:
        yield seen
    finally:
        hook.remove()


@cache
def fitted(name: str) -> tuple[Any, FaceSet]:
    """A network trained as `--budget smoke` does, and four faces that it did not learn from."""
    network = method(name, "smoke")
    # Images of the side that the schedule crops from: nothing has to be resized.
    side = network.recipe.crop_from or network.recipe.size
    train, valid = (faces(n, side, CHANNELS[name] == 3) for n in (8, 4))
    return network.fit(train, np.random.default_rng(0), valid), valid


@pytest.mark.parametrize("name", ["base-dcnn", "resnet18", "mf-jle"])
def test_transform_gives_the_embedding_that_the_head_reads(name: str) -> None:
    network, valid = fitted(name)
    with watched() as seen:
        vectors, scores, labels = network.outputs(valid)
    assert vectors.dtype == np.float32
    assert scores.shape == labels.shape == (4, 6)
    assert (vectors >= 0).all()
    np.testing.assert_allclose(network.transform(valid), vectors, rtol=1e-5, atol=1e-6)
    read = [
        torch.cat(given).numpy()
        for layer, given in seen.values()
        if isinstance(layer, nn.Linear) and layer.out_features == 6
    ]
    assert len(read) == (6 if name == "mf-jle" else 1)
    width = read[0].shape[1]
    parts = [vectors[:, start : start + width] for start in range(0, vectors.shape[1], width)]
    assert len(parts) in (1, len(read))
    for part in parts:
        assert any(np.allclose(part, given, rtol=1e-5, atol=1e-6) for given in read)


@pytest.mark.parametrize("name", ["base-dcnn", "resnet18"])
def test_test_images_are_scaled_and_cut_from_the_centre(name: str) -> None:
    network, valid = fitted(name)
    with watched() as seen:
        network.transform(valid)
    first = next(given for layer, given in seen.values() if isinstance(layer, nn.Conv2d))
    assert valid.images is not None
    size = network.recipe.size
    edge = (valid.images.shape[1] - size) // 2
    centre = valid.images[:, edge : edge + size, edge : edge + size].astype(np.float64) / 255
    if CHANNELS[name] == 3:
        expected = ((centre - MEAN) / STD).transpose(0, 3, 1, 2)
    else:
        expected = centre[:, np.newaxis]  # divided by 255 and nothing else (Section 6.2)
    np.testing.assert_allclose(torch.cat(first).numpy(), expected, rtol=0, atol=2e-6)
