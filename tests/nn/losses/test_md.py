"""The MD loss against loops, its gradient by hand, and what the paper prints instead."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses import gradient

from bench.api import InputError
from bench.nn.losses.centres import ClassCentres
from bench.nn.losses.md import md_loss

DTYPES = [torch.float32, torch.float64]
CLOSE = {torch.float32: 2e-5, torch.float64: 1e-12}


def squared(a: list[float], b: list[float]) -> float:
    return math.fsum((p - q) ** 2 for p, q in zip(a, b, strict=True))


def variance(features: torch.Tensor, centres: torch.Tensor, classes: torch.Tensor) -> float:
    x, c, y = features.tolist(), centres.tolist(), classes.tolist()
    return sum(squared(x[i], c[y[i]]) for i in range(len(x))) / (len(x) - 1)


def margin_of(centres: torch.Tensor) -> float:
    c = centres.tolist()
    zero = [0.0] * len(c[0])
    return sum(
        math.fsum(p * q for p, q in zip(a, b, strict=True))
        / math.sqrt(squared(a, zero) * squared(b, zero))
        for i, a in enumerate(c)
        for j, b in enumerate(c)
        if i != j
    )


def chosen(x: list[float], c: list[list[float]], own: int, nearest: int) -> list[int]:
    """The nearest centres of other classes; Python sorts pairs, so ties go by class."""
    others = sorted((squared(x, c[j]), j) for j in range(len(c)) if j != own)
    return [j for _, j in others[:nearest]]


def slow(
    features: torch.Tensor,
    centres: torch.Tensor,
    classes: torch.Tensor,
    nearest: int = 3,
    margin: bool = True,
) -> float:
    """The facts' clean form, one sample after the other."""
    s2 = variance(features, centres, classes)
    m = margin_of(centres) if margin else 0.0
    x, c, y = features.tolist(), centres.tolist(), classes.tolist()
    total = 0.0
    for i in range(len(x)):
        over = math.exp(-squared(x[i], c[y[i]]) / (2 * s2) - m)
        under = [math.exp(-squared(x[i], c[j]) / (2 * s2)) for j in chosen(x[i], c, y[i], nearest)]
        total -= math.log(over / sum(under))
    return total / len(x)


def slow_gradient(
    features: torch.Tensor, centres: torch.Tensor, classes: torch.Tensor, nearest: int
) -> torch.Tensor:
    """1/(n s^2) (sum_j w_ij c_j - c_y): x_i cancels, since the weights w of a row sum to 1.

    d/dx_i of d_iy/2s^2 + log sum_j exp(-d_ij/2s^2) is [(x_i - c_y) - sum_j w_ij (x_i - c_j)]/s^2,
    where w is the softmax of -d_ij/2s^2 over the nearest other centres.
    """
    s2 = variance(features, centres, classes)
    x, c, y = features.tolist(), centres.tolist(), classes.tolist()
    out = torch.zeros_like(features, dtype=torch.float64)
    for i in range(len(x)):
        rivals = chosen(x[i], c, y[i], nearest)
        weight = [math.exp(-squared(x[i], c[j]) / (2 * s2)) for j in rivals]
        for j, w in zip(rivals, weight, strict=True):
            out[i] += w / sum(weight) * centres[j].double()
        out[i] -= centres[y[i]].double()
    return out / (len(x) * s2)


def case(
    n: int, count: int, width: int, dtype: torch.dtype, seed: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features about their centres, which are neither far from nor close to each other."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(count, width))
    classes = rng.integers(0, count, n)
    features = centres[classes] + 0.7 * rng.normal(size=(n, width))
    return (
        torch.tensor(features, dtype=dtype),
        torch.tensor(centres, dtype=dtype),
        torch.tensor(classes),
    )


@settings(max_examples=80, deadline=None)
@given(
    n=st.integers(2, 12),
    count=st.integers(2, 7),
    width=st.integers(1, 5),
    nearest=st.integers(1, 8),
    margin=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 9_999),
)
def test_value_and_gradient_equal_the_loops(
    n: int, count: int, width: int, nearest: int, margin: bool, dtype: torch.dtype, seed: int
) -> None:
    features, centres, classes = case(n, count, width, dtype, seed)
    loss = md_loss(features, centres, classes, nearest, margin)
    assert loss.shape == ()
    assert loss.dtype == dtype
    expected = slow(features, centres, classes, nearest, margin)
    assert loss.item() == pytest.approx(expected, rel=10 * CLOSE[dtype], abs=10 * CLOSE[dtype])
    torch.testing.assert_close(
        gradient(md_loss, features, centres, classes, nearest).double(),
        slow_gradient(features, centres, classes, nearest),
        rtol=1e-3 if dtype == torch.float32 else 1e-9,
        atol=CLOSE[dtype],
    )


@pytest.mark.parametrize("nearest", [1, 3, 6])
def test_gradcheck_with_the_variance_held(nearest: int) -> None:
    # Finite differences would move s^2 too, so the loss is taken apart at a fixed one.
    features, centres, classes = case(6, 7, 4, torch.float64, seed=1)
    s2 = variance(features, centres, classes)

    def held(leaf: torch.Tensor) -> torch.Tensor:
        total = torch.zeros((), dtype=leaf.dtype)
        for i, own in enumerate(classes.tolist()):
            rivals = chosen(features[i].tolist(), centres.tolist(), own, nearest)
            d = (leaf[i] - centres).square().sum(1) / (2 * s2)
            total = total + d[own] + d[rivals].neg().exp().sum().log()
        return total / len(leaf)

    leaf = features.clone().requires_grad_()
    assert torch.autograd.gradcheck(held, leaf)
    (expected,) = torch.autograd.grad(held(leaf), leaf)
    torch.testing.assert_close(gradient(md_loss, features, centres, classes, nearest), expected)


def test_centres_variance_and_margin_get_no_gradient() -> None:
    features, centres, classes = case(6, 4, 3, torch.float64, seed=2)
    features.requires_grad_()
    centres.requires_grad_()
    md_loss(features, centres, classes).backward()
    assert centres.grad is None
    # With a live variance the gradient along x_i - c_y would be that of a scale-free loss.
    live = features.detach().clone().requires_grad_()
    d = (live[:, None] - centres.detach()).square().sum(2)
    mine = torch.nn.functional.one_hot(classes, 4).bool()
    s2 = d[mine].sum() / 5
    far = d[~mine].view(6, 3)
    (d[mine] / (2 * s2) + torch.logsumexp(-far / (2 * s2), 1)).mean().backward()
    assert live.grad is not None
    assert features.grad is not None
    assert (live.grad - features.grad).abs().max() > 1e-3


def test_the_margin_is_an_added_constant() -> None:
    features, centres, classes = case(6, 4, 3, torch.float64, seed=3)
    apart = md_loss(features, centres, classes) - md_loss(features, centres, classes, margin=False)
    assert apart.item() == pytest.approx(margin_of(centres), rel=1e-12)
    leaf = features.clone().requires_grad_()
    md_loss(leaf, centres, classes, margin=False).backward()
    torch.testing.assert_close(leaf.grad, gradient(md_loss, features, centres, classes))


# What is printed ----------------------------------------------------------------------------------


def printed(
    features: torch.Tensor, centres: torch.Tensor, classes: torch.Tensor, phi: float, equation: int
) -> torch.Tensor:
    """Eq. 6 or 9 with its signs and indices, but for j, which there is compared with a sample."""
    total = torch.zeros((), dtype=features.dtype)
    for i, own in enumerate(classes.tolist()):
        d = (features[i] - centres).square().sum(1)
        below = [d[own if equation == 9 else j] for j in range(len(centres)) if j != own]
        total = total - (d[own] / phi - margin_of(centres))
        total = total + torch.stack([(-one / phi).exp() for one in below]).sum().log()
    return total


@pytest.mark.parametrize("equation", [6, 9])
def test_the_printed_loss_drives_features_from_their_centres(equation: int) -> None:
    features, centres, classes = case(8, 4, 3, torch.float64, seed=4)
    phi = 2 * variance(features, centres, classes)
    leaf = features.clone().requires_grad_()
    (wrong,) = torch.autograd.grad(printed(leaf, centres, classes, phi, equation), leaf)
    right = gradient(md_loss, features, centres, classes)
    outward = features - centres[classes]
    if equation == 9:
        # Both its distances are that to the own centre: nothing else is left.
        expected = -4 / phi * outward
    else:
        # -log exp(+d/phi) gives -2/phi (x - c_y); the rest of the clean gradient is right.
        expected = 8 * right - 4 / phi * outward
    torch.testing.assert_close(wrong, expected)
    # A step downhill must lead towards the own centres, over the batch: theirs leads away.
    assert (-wrong * outward).sum() > 0 > (-right * outward).sum()


def test_eq_9_does_not_know_the_other_centres() -> None:
    features, centres, classes = case(8, 4, 3, torch.float64, seed=4)
    classes = classes % 2
    moved = centres.clone()
    moved[2:] += 0.3
    one, two = (printed(features, c, classes, 2.0, 9) + 8 * -margin_of(c) for c in (centres, moved))
    assert one.item() == pytest.approx(two.item(), rel=1e-12)
    assert md_loss(features, centres, classes, margin=False) != md_loss(
        features, moved, classes, margin=False
    )


def test_eq_8_grows_with_the_batch() -> None:
    features, centres, classes = case(64, 4, 3, torch.float64, seed=5)
    twice = features.repeat(2, 1), centres, classes.repeat(2)
    phi = 63 / 2 * variance(features, centres, classes)  # half the sum over the batch
    assert 127 / 2 * variance(*twice) == pytest.approx(2 * phi, rel=1e-12)
    # Ours is that of a sample: the batch twice is the same loss up to n - 1 for n.
    once = md_loss(features, centres, classes, margin=False).item()
    assert md_loss(*twice, margin=False).item() == pytest.approx(once, abs=0.02)


def test_the_printed_step_of_centres_leads_away() -> None:
    features, centres, classes = case(40, 4, 3, torch.float64, seed=6)
    holder = ClassCentres(4, 3).double()
    holder.centres.copy_(centres + 1)
    away = torch.zeros_like(centres)
    for j in range(4):
        rows = features[classes == j]
        away[j] = (rows - holder.centres[j]).sum(0) / (1 + len(rows))  # Eq. 4
    wrong = holder.centres - 0.5 * away
    before = holder(features, classes)
    assert ClassCentres.forward(_with(wrong), features, classes) > before
    holder.update(features, classes)
    assert holder(features, classes) < before


def _with(centres: torch.Tensor) -> ClassCentres:
    holder = ClassCentres(*centres.shape).double()
    holder.centres.copy_(centres)
    return holder


# Bounds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_batch_of_one_class_is_compared_with_the_other_centres(dtype: torch.dtype) -> None:
    features, centres, _ = case(6, 4, 3, dtype, seed=7)
    classes = torch.full((6,), 2)
    loss = md_loss(features, centres, classes)
    assert loss.item() == pytest.approx(slow(features, centres, classes), rel=1e-4)
    assert gradient(md_loss, features, centres, classes).isfinite().all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_features_on_their_centres_are_finite(dtype: torch.dtype) -> None:
    centres = torch.tensor([[0.0, 0], [3, 4], [10, 0]], dtype=dtype)
    classes = torch.tensor([0, 1, 2, 0])
    loss = md_loss(centres[classes], centres, classes, nearest=1, margin=False)
    # Distances to the nearest other centre are 25, 25, 65 and 25; s^2 is taken as 1e-8.
    assert loss.item() == pytest.approx(-(25 + 25 + 65 + 25) / 4 / 2e-8, rel=1e-5)
    assert gradient(md_loss, centres[classes], centres, classes).isfinite().all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_far_features_do_not_overflow(dtype: torch.dtype) -> None:
    # exp(-d/2s^2) of the far row underflows even in float64: 1 - 1/n of the variance is the
    # others', so n must be large.
    n = 4000
    features = torch.zeros(n, 2, dtype=dtype)
    features[:, 0] = 1
    features[0, 0] = 500
    centres = torch.tensor([[0.0, 0], [0, 10], [0, -10]], dtype=dtype)
    classes = torch.zeros(n, dtype=torch.int64)
    s2 = (500**2 + n - 1) / (n - 1)
    # Each row: d/2s^2 - log 2 - (d + 100)/2s^2 + 2 log 2.
    expected = math.log(2) - 100 / (2 * s2)
    loss = md_loss(features, centres, classes, nearest=2, margin=False)
    assert 500**2 / (2 * s2) > 1900
    assert loss.item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_centres_that_coincide_cost_the_logarithm_of_their_number(dtype: torch.dtype) -> None:
    # As at the start of training, where centres are near the origin and features are not.
    features = torch.tensor(np.random.default_rng(8).normal(size=(16, 5)), dtype=dtype)
    centres = torch.zeros(7, 5, dtype=dtype)
    for nearest in (1, 3, 6):
        loss = md_loss(features, centres, torch.arange(16) % 7, nearest)
        assert loss.item() == pytest.approx(math.log(nearest), abs=1e-6)


def test_of_equal_distances_the_lower_class_counts() -> None:
    centres = torch.tensor([[0.0, 0], [1, 0], [0, 1], [-1, 0]], dtype=torch.float64)
    features = torch.tensor([[0.0, 0], [0.0, 0]], dtype=torch.float64)
    features[1] = torch.tensor([0.0, -0.5])  # equally far from 1 and 3, farther from 2
    found = gradient(md_loss, features, centres, torch.tensor([0, 0]), nearest=1)
    s2 = 0.25
    torch.testing.assert_close(found[0], centres[1] / (2 * s2))
    torch.testing.assert_close(found[1], centres[1] / (2 * s2))


@pytest.mark.parametrize(("n", "count", "nearest"), [(1, 4, 3), (6, 1, 3), (6, 4, 0), (6, 4, -1)])
def test_too_few_rows_centres_or_neighbours(n: int, count: int, nearest: int) -> None:
    classes = torch.zeros(n, dtype=torch.int64)
    with pytest.raises(InputError, match=r"the MD loss got \d+ row\(s\).*; give two rows"):
        md_loss(torch.ones(n, 3), torch.ones(count, 3), classes, nearest)


def test_wrong_shapes_and_half_precision() -> None:
    rows = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(InputError, match="class centres of 4 numbers"):
        md_loss(torch.zeros(2, 3), torch.zeros(2, 4), rows)
    with pytest.raises(InputError, match="full precision"):
        md_loss(torch.zeros(2, 4, dtype=torch.bfloat16), torch.zeros(2, 4), rows)


def test_descent_separates_classes() -> None:
    # Features near the middle of two centres; the loss pulls each to its own and past the middle.
    centres = torch.tensor([[1.0, 0], [-1, 0], [0, 30]], dtype=torch.float64)
    features = torch.tensor(np.random.default_rng(9).normal(size=(20, 2)) * 0.3)
    classes = torch.arange(20) % 2
    before = md_loss(features, centres, classes).item()
    for _ in range(20):
        features = features - 0.5 * gradient(md_loss, features, centres, classes)
    assert md_loss(features, centres, classes).item() < before
    nearer = (features[:, None] - centres).norm(dim=2).argmin(1)
    assert (nearer == classes).all()
