"""Binary cross entropy (MF-JLE's Eq. 2, corrected) against loops over samples and labels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses import gradient

from bench.nn.losses.binary import binary_cross_entropy

DTYPES = [torch.float32, torch.float64]
CLOSE = {torch.float32: 2e-6, torch.float64: 1e-13}


def slow(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """-(y log p + (1 - y) log(1 - p)) with p = sigmoid(z), each term on its own, meant over all.

    1 - sigmoid(z) is sigmoid(-z); log sigmoid(z) = -log(1 + exp(-z)), or z - log(1 + exp(z)) where
    exp(-z) would overflow.
    """

    def log_sigmoid(z: float) -> float:
        return -math.log1p(math.exp(-z)) if z > 0 else z - math.log1p(math.exp(z))

    n, count = logits.shape
    total = 0.0
    for i in range(n):
        for j in range(count):
            z, y = float(logits[i, j]), float(labels[i, j])
            total -= y * log_sigmoid(z) + (1 - y) * log_sigmoid(-z)
    return total / (n * count)


def naive(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The formula as it stands, for logits small enough that no probability is 0 or 1."""
    p = 1 / (1 + (-logits.double()).exp())
    y = labels.double()
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean().item()


def case(
    n: int, count: int, dtype: torch.dtype, seed: int, scale: float = 3.0
) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    logits = torch.tensor(rng.normal(size=(n, count)) * scale, dtype=dtype)
    return logits, torch.tensor(rng.random((n, count)) < 0.4).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n", "count"), [(1, 1), (1, 6), (2, 3), (7, 6), (128, 6)])
def test_equals_the_loops(n: int, count: int, dtype: torch.dtype) -> None:
    logits, labels = case(n, count, dtype, seed=n)
    loss = binary_cross_entropy(logits, labels)
    assert loss.shape == ()
    assert loss.dtype == dtype
    assert loss.item() == pytest.approx(slow(logits, labels), rel=CLOSE[dtype])
    assert loss.item() == pytest.approx(naive(logits, labels), rel=2e-6)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 5),
    count=st.integers(1, 7),
    scale=st.sampled_from([0.0, 1e-3, 1.0, 30.0, 3e3]),
    seed=st.integers(0, 9_999),
)
def test_value_and_gradient_at_any_scale(n: int, count: int, scale: float, seed: int) -> None:
    # 5e-9: torch's softplus drops exp(-20) = 2e-9 from 20 on, which is a fair way to compute this.
    logits, labels = case(n, count, torch.float64, seed, scale)
    assert binary_cross_entropy(logits, labels).item() == pytest.approx(
        slow(logits, labels), rel=1e-12, abs=5e-9
    )
    expected = (logits.sigmoid() - labels) / (n * count)
    torch.testing.assert_close(
        gradient(binary_cross_entropy, logits, labels), expected, rtol=1e-10, atol=5e-9
    )


def test_gradcheck() -> None:
    logits, labels = case(4, 6, torch.float64, seed=1)
    assert torch.autograd.gradcheck(
        lambda leaf: binary_cross_entropy(leaf, labels), logits.requires_grad_()
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [20.0, 100.0, 1e3, 1e4])
def test_large_logits_stay_exact(dtype: torch.dtype, size: float) -> None:
    logits = torch.tensor([[size, -size], [-size, size]], dtype=dtype)
    right = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=dtype)
    mixed = torch.tensor([[1.0, 1.0], [1.0, 1.0]], dtype=dtype)
    # A label on the right side costs log(1 + exp(-size)), one on the wrong side size more.
    rest = math.log1p(math.exp(-size))
    assert binary_cross_entropy(logits, right).item() == pytest.approx(rest, abs=1e-6)
    assert binary_cross_entropy(logits, 1 - right).item() == pytest.approx(size + rest, rel=1e-6)
    assert binary_cross_entropy(logits, mixed).item() == pytest.approx(size / 2 + rest, rel=1e-6)
    wrong = gradient(binary_cross_entropy, logits, 1 - right)
    torch.testing.assert_close(wrong, logits.sign() / 4, rtol=1e-6, atol=0)
    assert gradient(binary_cross_entropy, logits, right).abs().max() < 1e-8


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_logits_of_zero_cost_log_two_whatever_the_labels(dtype: torch.dtype, value: float) -> None:
    logits = torch.zeros(3, 6, dtype=dtype)
    labels = torch.full((3, 6), value, dtype=dtype)
    assert binary_cross_entropy(logits, labels).item() == pytest.approx(math.log(2), rel=1e-6)
    torch.testing.assert_close(
        gradient(binary_cross_entropy, logits, labels),
        torch.full_like(logits, (0.5 - value) / 18),
        rtol=1e-6,
        atol=0,
    )


def test_it_is_a_mean_over_samples_and_labels() -> None:
    logits, labels = case(5, 6, torch.float64, seed=2)
    once = binary_cross_entropy(logits, labels).item()
    down = binary_cross_entropy(logits.repeat(3, 1), labels.repeat(3, 1)).item()
    across = binary_cross_entropy(logits.repeat(1, 3), labels.repeat(1, 3)).item()
    assert down == pytest.approx(once, rel=1e-12)
    assert across == pytest.approx(once, rel=1e-12)


def test_labels_are_independent_of_each_other() -> None:
    # A softmax over the labels, the paper's other wording, would move every gradient of the row.
    logits, labels = case(4, 6, torch.float64, seed=3)
    before = gradient(binary_cross_entropy, logits, labels)
    moved = logits.clone()
    moved[:, 0] += 2
    after = gradient(binary_cross_entropy, moved, labels)
    assert torch.equal(before[:, 1:], after[:, 1:])
    assert (before[:, 0] != after[:, 0]).all()


def test_present_and_absent_are_symmetric() -> None:
    logits, labels = case(4, 6, torch.float64, seed=4)
    assert binary_cross_entropy(-logits, 1 - labels).item() == pytest.approx(
        binary_cross_entropy(logits, labels).item(), rel=1e-12
    )
