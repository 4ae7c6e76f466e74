"""ResNet-18 and MF-JLE's six of them against the MF-JLE paper and torchvision, layer by layer."""

from __future__ import annotations

import pytest
import torch
import torchvision
from bench.methods._resnet18 import ResNet18Layers
from layers import Step, count, images_for, method, paper_model, run
from torch import nn

from bench.api import BenchError
from bench.nn.output import Output

RESNET = ("resnet18", "mf-jle")
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


@pytest.fixture(scope="module")
def joint() -> tuple[nn.Module, float]:
    """MF-JLE with a weight that no default hides, and that weight."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return method("mf-jle", lam=0.25).build(6, 3).eval(), 0.25


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


def test_the_embedding_is_the_mean_over_places() -> None:
    network = ResNet18Layers(2).eval()
    seen: list[torch.Tensor] = []
    network.layer4.register_forward_hook(lambda module, given, out: seen.append(out))
    out = network(torch.rand(2, 3, 70, 70))
    assert torch.allclose(out.embedding, nn.functional.adaptive_avg_pool2d(seen[0], 1).flatten(1))
