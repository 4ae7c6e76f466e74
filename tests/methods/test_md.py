"""The component CNN layer by layer, the integration of two, Eq. 11: all by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from bench.methods._md import (
    ABSENT,
    Component,
    ComponentCNN,
    CReLU,
    Inception,
    Integrated,
    integrated,
)
from bench.methods._md_landmarks import landmark_loss, normalised_errors, pack_landmarks
from bench.methods.md_cnn import Lesson, binary_accuracy
from torch import nn

from bench.nn.losses.center import center
from bench.nn.losses.md import md_loss
from bench.nn.output import Batch

SHAPE = np.array([[0.2, 0.3], [0.8, 0.3], [0.5, 0.55], [0.3, 0.75], [0.7, 0.75]], np.float32)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# Blocks by hand -----------------------------------------------------------------------------------


def test_crelu_keeps_both_signs_in_channels_of_their_own() -> None:
    x = normal(2, 3, 4, 5).requires_grad_()
    found = CReLU()(x)
    assert found.shape == (2, 6, 4, 5)
    for n, c, i, j in np.ndindex(2, 3, 4, 5):
        value, after = float(x[n, c, i, j].detach()), found.detach()
        assert float(after[n, c, i, j]) == max(value, 0.0)
        assert float(after[n, 3 + c, i, j]) == max(-value, 0.0)
    assert torch.autograd.gradcheck(CReLU(), (x,))


def by_hand(x: np.ndarray, layer: nn.Conv2d) -> np.ndarray:
    """A convolution with zeros round the image and a ReLU, one number after the other."""
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()  # type: ignore[union-attr]
    wide, kernel = weight.shape[0], weight.shape[2]
    half = kernel // 2
    _, height, width = x.shape
    out = np.zeros((wide, height, width))
    for o, i, j in np.ndindex(wide, height, width):
        total = bias[o]
        for di in range(kernel):
            for dj in range(kernel):
                y, z = i + di - half, j + dj - half
                if 0 <= y < height and 0 <= z < width:
                    total += float(weight[o, :, di, dj] @ x[:, y, z])
        out[o, i, j] = max(total, 0.0)
    return out


def pooled_by_hand(x: np.ndarray) -> np.ndarray:
    """The largest of the 3×3 numbers round each place."""
    out = np.empty_like(x)
    for c, i, j in np.ndindex(*x.shape):
        out[c, i, j] = x[c, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2].max()
    return out


def test_inception_is_four_branches_side_by_side() -> None:
    torch.manual_seed(0)
    module = Inception(3).double()
    convolutions = [m for m in module.modules() if isinstance(m, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.kernel_size[0]) for c in convolutions] == [
        (3, 64, 1), (3, 96, 1), (96, 128, 3), (3, 16, 1), (16, 32, 5), (3, 32, 1)
    ]  # fmt: skip
    x = normal(3, 4, 3).numpy()
    one, reduce3, three, reduce5, five, project = convolutions
    expected = np.concatenate(
        [
            by_hand(x, one),
            by_hand(by_hand(x, reduce3), three),
            by_hand(by_hand(x, reduce5), five),
            by_hand(pooled_by_hand(x), project),
        ]
    )
    found = module(torch.from_numpy(x)[None])[0].detach().numpy()
    assert found.shape == (256, 4, 3)
    assert np.allclose(found, expected, rtol=1e-10, atol=1e-12)
    assert torch.autograd.gradcheck(
        lambda x: module(x)[:, ::16], (normal(1, 3, 3, 3).requires_grad_(),)
    )


# The component ------------------------------------------------------------------------------------


def on_meta(**more: Any) -> ComponentCNN:
    with torch.device("meta"):
        told = {"labels": 7, "channels": 1, "size": 48, "shape": SHAPE, **more}
        return ComponentCNN(**told).eval()


def test_shapes_follow_the_table_of_48_pixels() -> None:
    model = on_meta()
    shapes = []
    hooks = [
        module.register_forward_hook(lambda m, x, y: shapes.append((type(m).__name__, y.shape[1:])))
        for module in model.modules()
        if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.Linear | CReLU | Inception)
    ]
    out = model(torch.empty(2, 1, 48, 48, device="meta"))
    for hook in hooks:
        hook.remove()
    assert [(name, tuple(shape)) for name, shape in shapes] == [
        ("Conv2d", (32, 48, 48)),
        ("CReLU", (64, 48, 48)),
        ("MaxPool2d", (64, 24, 24)),
        ("Conv2d", (64, 24, 24)),
        ("CReLU", (128, 24, 24)),
        ("MaxPool2d", (128, 12, 12)),
        ("Conv2d", (64, 12, 12)),
        ("Conv2d", (96, 12, 12)),
        ("Conv2d", (128, 12, 12)),
        ("Conv2d", (16, 12, 12)),
        ("Conv2d", (32, 12, 12)),
        ("MaxPool2d", (128, 12, 12)),
        ("Conv2d", (32, 12, 12)),
        ("Inception", (256, 12, 12)),
        ("Conv2d", (256, 12, 12)),
        ("MaxPool2d", (256, 6, 6)),
        ("Conv2d", (256, 6, 6)),
        ("Conv2d", (256, 6, 6)),
        ("MaxPool2d", (256, 3, 3)),
        ("Linear", (2048,)),
        ("Linear", (2048,)),
        ("Linear", (7,)),
        ("Linear", (10,)),
    ]
    assert out.embedding.shape == (2, 2048)
    assert out.logits.shape == (2, 7)
    assert out.other is not None
    assert out.other.shape == (2, 5, 2)


def test_the_number_of_parameters_is_that_of_the_table() -> None:
    first = 1 * 25 * 32 + 32
    second = 64 * 9 * 64 + 64
    inception = (
        (128 * 64 + 64)
        + (128 * 96 + 96) + (96 * 9 * 128 + 128)
        + (128 * 16 + 16) + (16 * 25 * 32 + 32)
        + (128 * 32 + 32)
    )  # fmt: skip
    last = 3 * (256 * 9 * 256 + 256)
    layers = (3 * 3 * 256 * 2048 + 2048) + (2048 * 2048 + 2048) + (2048 * 7 + 7)
    total = first + second + inception + last + layers
    assert total == 10_889_719
    assert count(on_meta(shape=None)) == total
    assert count(on_meta()) == total + 3 * 3 * 256 * 10 + 10


@pytest.mark.parametrize(("size", "side"), [(16, 1), (32, 2), (44, 2), (48, 3), (64, 4)])
def test_other_sizes_fit_their_first_layer(size: int, side: int) -> None:
    model = on_meta(size=size)
    assert model.first.in_features == 256 * side * side
    assert model(torch.empty(1, 1, size, size, device="meta")).logits.shape == (1, 7)


@torch.no_grad()
def test_points_start_at_the_mean_shape_and_what_the_head_says_is_added() -> None:
    model = ComponentCNN(4, 1, 16, shape=SHAPE).eval()
    assert model.points is not None
    images = torch.rand(3, 1, 16, 16)
    model.points.weight.zero_()
    model.points.bias.copy_(torch.arange(10.0) / 100)
    expected = torch.from_numpy(SHAPE) + (torch.arange(10.0) / 100).view(5, 2)
    assert torch.allclose(model(images).other, expected.expand(3, 5, 2))
    assert "shape" in model.state_dict()  # whoever takes the network over needs it


def test_dropout_acts_on_both_layers_and_not_on_what_is_handed_on() -> None:
    torch.manual_seed(0)
    model = ComponentCNN(7, 1, 16, keep=0.65).train()
    assert model.dropout.p == pytest.approx(0.35)
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    model.dropout.register_forward_hook(lambda m, x, y: seen.append((x[0], y)))
    out = model(torch.rand(40, 1, 16, 16))
    (before_first, after_first), (before_second, after_second) = seen
    for before, after in seen:
        alive = before > 0
        kept = (after[alive] > 0).float().mean()
        assert abs(float(kept) - 0.65) < 0.02
        assert torch.allclose(after[after > 0], before[after > 0] / 0.65)
    assert torch.equal(out.embedding, before_second)
    assert torch.equal(before_second, torch.relu(model.second(after_first)))
    assert torch.allclose(out.logits, model.output(after_second))
    assert before_first.shape == (40, 2048)


# Two components as one ----------------------------------------------------------------------------


def test_the_sum_over_common_labels_is_the_paper_s() -> None:
    logits, weights = normal(4, 2, 5) * 3, [0.3, 0.7]
    found = integrated(logits, range(5), weights, 0).exp()
    for n in range(4):
        for i in range(5):
            total = 0.0
            for j in range(2):
                exponentials = [math.exp(float(z)) for z in logits[n, j]]
                total += weights[j] * exponentials[i] / sum(exponentials)
            assert float(found[n, i]) == pytest.approx(total, rel=1e-10)


@pytest.mark.parametrize("whole", [0, 1])
def test_labels_that_one_dataset_has_are_left_to_one_component(whole: int) -> None:
    logits, weights, common = normal(6, 2, 5) * 2, [0.25, 0.75], [0, 2, 3]
    found = integrated(logits, common, weights, whole).exp()
    assert torch.allclose(found.sum(dim=1), torch.ones(6, dtype=torch.float64))
    for n in range(6):
        z = [[math.exp(float(v)) for v in row] for row in logits[n]]
        alone = [v / sum(z[whole]) for v in z[whole]]
        left = sum(alone[i] for i in common)
        for i in range(5):
            expected = alone[i]
            if i in common:
                shares = [
                    w * row[i] / sum(row[k] for k in common)
                    for w, row in zip(weights, z, strict=True)
                ]
                expected = left * sum(shares)
            assert float(found[n, i]) == pytest.approx(expected, rel=1e-10)


def test_a_component_without_weight_says_nothing() -> None:
    logits = normal(3, 2, 4)
    found = integrated(logits, range(4), [1.0, 0.0], 0)
    assert torch.allclose(found, logits[:, 0].log_softmax(dim=1))
    assert torch.isfinite(found).all()


def components(shape: np.ndarray | None = SHAPE) -> list[Component]:
    torch.manual_seed(0)
    return [Component(ComponentCNN(4, 1, 16, shape=shape)).eval() for _ in range(2)]


def packed_images(n: int = 3) -> torch.Tensor:
    torch.manual_seed(1)
    known = torch.tensor([True, False, True])[:n]
    return pack_landmarks(torch.rand(n, 1, 16, 16), torch.rand(n, 5, 2), known)


@torch.no_grad()
def test_the_whole_network_is_both_side_by_side() -> None:
    first, second = components()
    model = Integrated([first, second], [0, 1, 3], [0.4, 0.6], 1, [0.25, 0.75])
    images = packed_images()
    found, a, b = model(images), first(images), second(images)
    assert torch.equal(found.embedding, torch.cat([a.embedding, b.embedding], dim=1))
    assert found.embedding.shape == (3, 4096)
    assert found.parts is not None
    assert torch.equal(found.parts[:, 1], b.logits)
    assert torch.equal(found.logits, integrated(found.parts, [0, 1, 3], [0.4, 0.6], 1))
    assert torch.allclose(found.other, 0.25 * a.other + 0.75 * b.other)
    bare = Integrated(components(None), [0, 1], [0.5, 0.5], 0, [])
    assert bare(images).other is None


def test_a_lesson_hides_labels_that_its_dataset_lacks() -> None:
    component = components()[0]
    lesson = Lesson(component, 1, [0, 2]).eval()
    assert lesson.centres is component.centres[1]
    images = packed_images()
    out, plain = lesson(images), component(images)
    assert torch.equal(out.logits[:, [0, 2]], plain.logits[:, [0, 2]])
    assert (out.logits[:, [1, 3]] == ABSENT).all()
    assert torch.equal(out.other[:, :10].unflatten(1, (5, 2)), plain.other)
    assert torch.equal(out.other[:, 20], torch.tensor([1.0, 0.0, 1.0]))
    out.logits.log_softmax(dim=1)[:, 0].sum().backward()
    weight = component.network.output.weight.grad
    assert weight is not None
    # No face of the dataset moves the weights of a label that it lacks.
    assert (weight[[1, 3]] == 0).all()
    assert (weight[[0, 2]] != 0).any()


def batch_of(classes: list[int]) -> Batch:
    labels = torch.eye(4)[classes]
    return Batch(torch.zeros(0), labels, labels)


def test_a_lesson_loses_its_terms_over_the_labels_of_its_dataset() -> None:
    component = components()[0]
    lesson = Lesson(component, 1, [0, 2, 3]).eval()
    batch, out = batch_of([3, 0, 2]), lesson(packed_images())
    terms = lesson.loss(out, batch, weight=0.3, nearest=1, landmark=0.5)
    assert list(terms.parts) == ["cross_entropy", "md", "landmarks"]
    own = out.logits[:, [0, 2, 3]].log_softmax(dim=1)
    expected = -(own[0, 2] + own[1, 0] + own[2, 1]) / 3
    assert torch.allclose(terms.parts["cross_entropy"], expected)
    # Class 1 has no centre here: the others are the first, second and third.
    three = lesson.centres.centres[[0, 2, 3]]
    places = torch.tensor([2, 0, 1])
    assert torch.allclose(terms.parts["md"], md_loss(out.embedding, three, places, 1))
    points = packed_images()[:, 1].flatten(1)[:, :10].unflatten(1, (5, 2))
    known = torch.tensor([True, False, True])
    found = component(packed_images()).other
    assert torch.allclose(terms.parts["landmarks"], landmark_loss(found, points, known))
    total = sum(w * v for w, v in zip((1, 0.3, 0.5), terms.parts.values(), strict=True))
    assert torch.allclose(terms.loss, total)
    other = lesson.loss(out, batch, "center", 0.3, landmark=0)
    assert torch.allclose(other.parts["center"], center(out.embedding, three, places))
    assert torch.allclose(other.loss, expected + 0.3 * other.parts["center"])
    plain = lesson.loss(out, batch, "softmax", landmark=0)
    assert list(plain.parts) == ["cross_entropy", "landmarks"]
    assert torch.allclose(plain.loss, expected)


def test_centres_move_in_training_and_those_of_one_dataset_alone() -> None:
    component = components()[0]
    lesson = Lesson(component, 1, [0, 2, 3])
    start = [centres.centres.clone() for centres in component.centres]
    out = lesson.eval()(packed_images())
    lesson.loss(out, batch_of([3, 0, 3]))
    assert torch.equal(component.centres[1].centres, start[1])
    lesson.train().loss(out, batch_of([3, 0, 3]))
    assert torch.equal(component.centres[0].centres, start[0])
    moved = (component.centres[1].centres != start[1]).any(dim=1)
    assert moved.tolist() == [True, False, False, True]
    # Half of the way (α = ½) to the sum over one more face than there are.
    x = out.embedding.detach()
    towards = (x[0] + x[2] - 2 * start[1][3]) / 3
    assert torch.allclose(component.centres[1].centres[3], start[1][3] + 0.5 * towards)


def test_eq_11_counts_true_negatives_of_each_class() -> None:
    truth = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 0]], dtype=bool)
    found = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 1], [0, 1, 0]], dtype=bool)
    # Class 0: 1 + 3 right; class 1: 1 + 2, one missed; class 2: 1 + 2, one too many.
    assert binary_accuracy(truth, found).tolist() == [1.0, 0.75, 0.75]
    rng = np.random.default_rng(0)
    truth, found = rng.random((2, 30, 4)) < 0.4
    for i in range(4):
        positives = sum(t and f for t, f in zip(truth[:, i], found[:, i], strict=True))
        negatives = sum(not t and not f for t, f in zip(truth[:, i], found[:, i], strict=True))
        assert binary_accuracy(truth, found)[i] == pytest.approx((positives + negatives) / 30)


def test_the_head_learns_where_points_lie_and_not_their_mean_alone() -> None:
    rng = np.random.default_rng(0)
    shifts = rng.integers(-3, 4, (256, 2))
    images = np.zeros((256, 1, 16, 16), np.float32)
    for image, (x, y) in zip(images, shifts, strict=True):
        image[0, 7 + y : 10 + y, 7 + x : 10 + x] = 3.0
    points = SHAPE + (shifts[:, None] / 16).astype(np.float32)
    torch.manual_seed(0)
    model = ComponentCNN(2, 1, 16, shape=points[:192].mean(axis=0)).train()
    learned = [*model.trunk.parameters(), *model.points.parameters()]
    optimizer = torch.optim.Adam(learned, 5e-4)
    pixels, truth = torch.from_numpy(images), torch.from_numpy(points)
    for step in range(40):
        rows = torch.arange(16) + 16 * (step % 12)
        loss = landmark_loss(model(pixels[rows]).other, truth[rows], torch.ones(16, dtype=bool))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = model.eval()(pixels[192:]).other.numpy()
    errors = normalised_errors(found, points[192:])
    same = normalised_errors(np.broadcast_to(model.shape.numpy(), found.shape), points[192:])
    assert errors.mean() < 0.5 * same.mean()
