"""MK-MMD against loops over pairs, its gradient by hand, and Eqs. 13 and 14 as printed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.api import InputError
from bench.nn.losses.mmd import mk_mmd

DTYPES = [torch.float32, torch.float64]
CLOSE = {torch.float32: 2e-6, torch.float64: 1e-13}
FACTORS = {1: [1.0], 2: [0.5, 1.0], 3: [0.5, 1.0, 2.0], 5: [0.25, 0.5, 1.0, 2.0, 4.0]}


def squared(a: list[float], b: list[float]) -> float:
    return math.fsum((p - q) ** 2 for p, q in zip(a, b, strict=True))


def bandwidth(source: torch.Tensor, target: torch.Tensor) -> float:
    """The mean squared distance of two different rows of both batches together."""
    z = source.tolist() + target.tolist()
    pairs = [(i, j) for i in range(len(z)) for j in range(len(z)) if i != j]
    return math.fsum(squared(z[i], z[j]) for i, j in pairs) / len(pairs)


def kernel(d2: float, mean: float, kernels: int = 5) -> float:
    """The mean of the Gaussians exp(-d2 / 2 sigma_l^2), sigma_l^2 = the mean times a factor."""
    return sum(math.exp(-d2 / (2 * mean * f)) for f in FACTORS[kernels]) / kernels


def slow(source: torch.Tensor, target: torch.Tensor, kernels: int = 5) -> float:
    """RAF-ML, Eq. 12."""
    s, t = source.tolist(), target.tolist()
    mean = bandwidth(source, target)

    def k(a: list[float], b: list[float]) -> float:
        return kernel(squared(a, b), mean, kernels)

    total = 0.0
    for side in (s, t):
        n = len(side)
        total += sum(k(side[i], side[j]) for i in range(n) for j in range(n) if i != j) / (
            n * (n - 1)
        )
    return total - 2 * sum(k(a, b) for a in s for b in t) / (len(s) * len(t))


def slow_linear(source: torch.Tensor, target: torch.Tensor, kernels: int = 5) -> float:
    """Gretton et al. 2012, section 6: quadruples of two rows of each side, each row once."""
    s, t = source.tolist(), target.tolist()
    mean = bandwidth(source, target)
    terms = []
    for i in range(0, min(len(s), len(t)) - 1, 2):
        within = [(s[i], s[i + 1]), (t[i], t[i + 1])]
        between = [(s[i], t[i + 1]), (s[i + 1], t[i])]
        terms.append(sum(kernel(squared(a, b), mean, kernels) for a, b in within))
        terms[-1] -= sum(kernel(squared(a, b), mean, kernels) for a, b in between)
    return sum(terms) / len(terms)


def slow_gradient(source: torch.Tensor, target: torch.Tensor, within: float = 2.0) -> torch.Tensor:
    """By Eq. 13 with Eq. 15 for the source; ``within`` is 2 in truth and 1 in print."""
    mean = bandwidth(source, target)
    s, t = source.double(), target.double()
    n, m = len(s), len(t)

    def slope(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        d2 = squared(a.tolist(), b.tolist())
        return -sum(math.exp(-d2 / (2 * mean * f)) / (mean * f) / 5 for f in FACTORS[5]) * (a - b)

    out = torch.zeros_like(s)
    for i in range(n):
        for j in range(n):
            if j != i:
                out[i] += within / (n * (n - 1)) * slope(s[i], s[j])
        for j in range(m):
            out[i] -= 2 / (n * m) * slope(s[i], t[j])
    return out


def gradients(
    source: torch.Tensor, target: torch.Tensor, linear: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    leaves = source.clone().requires_grad_(), target.clone().requires_grad_()
    mk_mmd(*leaves, linear=linear).backward()
    assert leaves[0].grad is not None
    assert leaves[1].grad is not None
    return leaves[0].grad, leaves[1].grad


def case(
    n: int, m: int, width: int, dtype: torch.dtype, seed: int, shift: float = 0.5
) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    return (
        torch.tensor(rng.normal(size=(n, width)), dtype=dtype),
        torch.tensor(rng.normal(size=(m, width)) * 1.3 + shift, dtype=dtype),
    )


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(2, 8),
    m=st.integers(2, 8),
    width=st.integers(1, 5),
    kernels=st.sampled_from(list(FACTORS)),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 9_999),
)
def test_equals_the_loops(
    n: int, m: int, width: int, kernels: int, dtype: torch.dtype, seed: int
) -> None:
    source, target = case(n, m, width, dtype, seed)
    for linear, expected in ((False, slow), (True, slow_linear)):
        found = mk_mmd(source, target, kernels, linear)
        assert found.shape == ()
        assert found.dtype == dtype
        assert found.item() == pytest.approx(
            expected(source, target, kernels), abs=5 * CLOSE[dtype]
        )


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_gradient_is_twice_the_printed_one_within_a_domain(dtype: torch.dtype) -> None:
    source, target = case(7, 5, 4, dtype, seed=1)
    found = gradients(source, target)
    # Eq. 14 is Eq. 13 with the sides exchanged, and so is the estimate.
    for own, other, grad in ((source, target, found[0]), (target, source, found[1])):
        torch.testing.assert_close(
            grad.double(), slow_gradient(own, other), rtol=1e-4, atol=CLOSE[dtype]
        )
        printed = slow_gradient(own, other, within=1.0)
        assert (grad.double() - printed).norm() > 0.2 * grad.double().norm()


def test_the_printed_gradient_moves_domains_that_are_alike() -> None:
    # Both sides hold the same rows: for a large batch nothing should pull, yet with half of the
    # repulsion within a domain the attraction between them is left over, and features shrink.
    source, _ = case(40, 2, 3, torch.float64, seed=2)
    true = slow_gradient(source, source)
    printed = slow_gradient(source, source, within=1.0)
    torch.testing.assert_close(true, gradients(source, source)[0])
    assert printed.norm() > 10 * true.norm()
    inward = source.mean(0) - source
    assert (-printed * inward).sum() > 0


def test_gradcheck_with_the_bandwidth_held() -> None:
    # Finite differences would move the bandwidth too, so the loss is written out at a fixed one.
    source, target = case(4, 5, 3, torch.float64, seed=3)
    mean = bandwidth(source, target)

    def held(s: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        def k(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            d2 = (a[:, None] - b).square().sum(2)
            return torch.stack([(-d2 / (2 * mean * f)).exp() for f in FACTORS[5]]).mean(0)

        off = [(k(a, a).sum() - len(a)) / (len(a) * (len(a) - 1)) for a in (s, t)]
        return off[0] + off[1] - 2 * k(s, t).mean()

    leaves = source.clone().requires_grad_(), target.clone().requires_grad_()
    assert torch.autograd.gradcheck(held, leaves)
    for found, expected in zip(
        gradients(source, target), torch.autograd.grad(held(*leaves), leaves), strict=True
    ):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("linear", [False, True])
def test_the_estimate_is_unbiased(linear: bool) -> None:
    # Over many small batches of one distribution the mean is 0 within its standard error, although
    # a biased estimate (with the diagonal) would be 2 (1 - E k) / n = 0.2 and more.
    rng = np.random.default_rng(4)
    draws = torch.tensor(rng.normal(size=(1500, 2, 4, 6)))
    found = torch.stack([mk_mmd(one, two, linear=linear) for one, two in draws])
    error = found.std() / len(found) ** 0.5
    assert found.mean().abs() < 4 * error
    assert error < 0.01
    assert (found < 0).any()


def test_it_grows_with_the_shift_and_descent_lowers_it() -> None:
    values = [mk_mmd(*case(64, 64, 5, torch.float64, 5, shift)).item() for shift in (0, 0.5, 1, 2)]
    assert values == sorted(values)
    source, target = case(64, 64, 5, torch.float64, seed=6, shift=2.0)
    first = mk_mmd(source, target).item()
    for _ in range(40):
        step, back = gradients(source, target)
        source, target = source - 20 * step, target - 20 * back
    assert mk_mmd(source, target).item() < first / 3


@pytest.mark.parametrize("linear", [False, True])
def test_scale_and_origin_do_not_matter(linear: bool) -> None:
    # The bandwidth goes with the features.
    source, target = case(6, 8, 4, torch.float64, seed=7)
    value = mk_mmd(source, target, linear=linear).item()
    for scale, shift in ((1e-6, 0.0), (1e4, 3.0), (1.0, -50.0)):
        moved = mk_mmd(source * scale + shift, target * scale + shift, linear=linear).item()
        assert moved == pytest.approx(value, rel=1e-7)


def test_the_sides_may_be_exchanged() -> None:
    source, target = case(6, 9, 4, torch.float64, seed=8)
    assert mk_mmd(source, target).item() == pytest.approx(mk_mmd(target, source).item(), rel=1e-12)


def test_the_linear_estimate_leaves_out_rows_without_a_partner() -> None:
    source, target = case(9, 7, 4, torch.float64, seed=9)
    source_step, target_step = gradients(source, target, linear=True)
    assert source_step[:6].any(dim=1).all()
    assert not source_step[6:].any()
    assert not target_step[6:].any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e-20, 1e4])
def test_rows_that_are_all_equal(value: float, linear: bool, dtype: torch.dtype) -> None:
    same = torch.full((4, 3), value, dtype=dtype)
    assert mk_mmd(same, same, linear=linear).item() == pytest.approx(0, abs=1e-6)
    for step in gradients(same, same, linear):
        assert step.isfinite().all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_known_value(dtype: torch.dtype) -> None:
    # Two points, each twice in its own domain: of the 12 ordered pairs 8 are 1 apart.
    source = torch.zeros(2, 1, dtype=dtype)
    target = torch.ones(2, 1, dtype=dtype)
    apart = kernel(1.0, 8 / 12)
    for linear in (False, True):
        found = mk_mmd(source, target, linear=linear).item()
        assert found == pytest.approx(2 - 2 * apart, rel=1e-6)


@pytest.mark.parametrize(
    ("source", "target", "kernels"),
    [
        ((1, 3), (4, 3), 5),
        ((4, 3), (1, 3), 5),
        ((0, 3), (4, 3), 5),
        ((4, 3), (4, 2), 5),
        ((4, 3), (4, 3), 0),
        ((4,), (4,), 5),
    ],
)
@pytest.mark.parametrize("linear", [False, True])
def test_wrong_shapes_are_refused(
    source: tuple[int, ...], target: tuple[int, ...], kernels: int, linear: bool
) -> None:
    with pytest.raises(InputError, match=r"^MK-MMD got source features .*; give two rows or more"):
        mk_mmd(torch.zeros(source), torch.zeros(target), kernels, linear)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_half_and_mixed_precision_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(InputError, match="full precision"):
        mk_mmd(torch.zeros(2, 3, dtype=dtype), torch.zeros(2, 3))
    if dtype != torch.float64:
        with pytest.raises(InputError, match="full precision"):
            mk_mmd(torch.zeros(2, 3, dtype=dtype), torch.zeros(2, 3, dtype=dtype))


# -- bandwidths that the gradient passes through ---------------------------------------------------


@pytest.mark.parametrize("linear", [False, True])
def test_through_the_bandwidths_the_gradient_is_that_of_the_whole_expression(linear: bool) -> None:
    source, target = apart(5, 4, 3, seed=3)
    kept = float(mk_mmd(source, target, linear=linear))
    assert float(mk_mmd(source, target, linear=linear, constant=False)) == kept

    def moving(s: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return mk_mmd(s, t, linear=linear, constant=False)

    inputs = (source.clone().requires_grad_(), target.clone().requires_grad_())
    assert torch.autograd.gradcheck(moving, inputs)


@pytest.mark.parametrize("linear", [False, True])
def test_constant_bandwidths_shrink_the_features_and_moving_ones_do_not(linear: bool) -> None:
    for seed in range(5):
        source, target = apart(16, 16, 6, seed=seed)
        pulls = []
        for constant in (True, False):
            both = torch.cat([source, target]).requires_grad_()
            mk_mmd(both[:16], both[16:], linear=linear, constant=constant).backward()
            assert both.grad is not None
            centred = both.detach() - both.detach().mean(dim=0)
            # A step down takes this times the step off half the sum of squares round the mean.
            pulls.append(float((centred * both.grad).sum()))
            length = float(both.grad.norm() * centred.norm())
        assert pulls[0] > 0
        assert abs(pulls[1]) < 1e-12 * length


def apart(n: int, m: int, d: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two Gaussian clouds, the second one moved."""
    generator = torch.Generator().manual_seed(seed)
    source = torch.randn(n, d, generator=generator, dtype=torch.float64)
    return source, 1.5 + torch.randn(m, d, generator=generator, dtype=torch.float64)
