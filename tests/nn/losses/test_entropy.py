"""The entropy of the softmax against loops, its gradient by hand, and Eq. 17's last line."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses import gradient

from bench.nn.losses.entropy import entropy

DTYPES = [torch.float32, torch.float64]
CLOSE = {torch.float32: 1e-5, torch.float64: 1e-12}


def probabilities(row: list[float]) -> list[float]:
    top = max(row)
    parts = [math.exp(value - top) for value in row]
    return [part / math.fsum(parts) for part in parts]


def plogp(p: float) -> float:
    return p * math.log(p) if p > 0 else 0.0


def slow(logits: torch.Tensor) -> float:
    """RAF-ML, Eq. 16."""
    return -sum(plogp(p) for row in logits.tolist() for p in probabilities(row)) / len(logits)


def chain(logits: torch.Tensor) -> torch.Tensor:
    """Eq. 17, second line: -1/n sum_m (log p_m + 1) p_m (1[m = j] - p_j)."""
    n, count = logits.shape
    out = torch.zeros(n, count, dtype=torch.float64)
    for i, row in enumerate(logits.tolist()):
        p = probabilities(row)
        for j in range(count):
            out[i, j] = -sum((plogp(p[m]) + p[m]) * ((m == j) - p[j]) for m in range(count)) / n
    return out


def printed(logits: torch.Tensor) -> torch.Tensor:
    """Eq. 17, last line: -1/n p_j (sum_m p_m log p_m - log p_j)."""
    out = torch.zeros(logits.shape, dtype=torch.float64)
    for i, row in enumerate(logits.tolist()):
        p = probabilities(row)
        for j in range(len(p)):
            out[i, j] = -(p[j] * sum(map(plogp, p)) - plogp(p[j])) / len(logits)
    return out


def random_logits(
    n: int, count: int, dtype: torch.dtype, scale: float = 2.0, seed: int = 0
) -> torch.Tensor:
    return torch.tensor(scale * np.random.default_rng(seed).normal(size=(n, count)), dtype=dtype)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 6),
    count=st.integers(1, 8),
    scale=st.sampled_from([0.0, 1e-3, 1.0, 10.0, 1e4]),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 9_999),
)
def test_value_and_gradient_equal_the_loops(
    n: int, count: int, scale: float, dtype: torch.dtype, seed: int
) -> None:
    logits = random_logits(n, count, dtype, scale, seed)
    found = entropy(logits)
    assert found.shape == ()
    assert found.dtype == dtype
    assert found.item() == pytest.approx(slow(logits), rel=CLOSE[dtype], abs=CLOSE[dtype])
    torch.testing.assert_close(
        gradient(entropy, logits).double(), chain(logits), rtol=10 * CLOSE[dtype], atol=CLOSE[dtype]
    )


def test_gradcheck() -> None:
    assert torch.autograd.gradcheck(entropy, random_logits(4, 6, torch.float64).requires_grad_())


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_printed_gradient_has_the_opposite_sign(dtype: torch.dtype) -> None:
    logits = random_logits(5, 6, dtype)
    found = gradient(entropy, logits).double()
    torch.testing.assert_close(found, -printed(logits), rtol=1e-4, atol=CLOSE[dtype])
    assert (found - printed(logits)).abs().max() > 0.01
    # Down the true gradient the softmax decides; down the printed one it spreads.
    step = logits.double()
    assert entropy(step - 0.1 * found) < entropy(step) < entropy(step - 0.1 * printed(logits))


@pytest.mark.parametrize("dtype", DTYPES)
def test_bounds(dtype: torch.dtype) -> None:
    for count in (1, 2, 6):
        even = torch.full((3, count), 7.0, dtype=dtype)
        assert entropy(even).item() == pytest.approx(math.log(count), abs=1e-6)
        assert gradient(entropy, even).abs().max() < 1e-6
    sure = torch.zeros(3, 6, dtype=dtype)
    sure[:, 2] = 1e4
    assert entropy(sure).item() == 0
    assert not gradient(entropy, sure).any()
    halves = torch.tensor([[1e4, 1e4, 0.0]], dtype=dtype)
    assert entropy(halves).item() == pytest.approx(math.log(2), rel=1e-6)


def test_it_is_a_mean_over_rows_and_a_sum_over_labels() -> None:
    logits = random_logits(4, 6, torch.float64)
    value = entropy(logits).item()
    assert entropy(logits.repeat(3, 1)).item() == pytest.approx(value, rel=1e-12)
    wider = torch.cat([logits, torch.full((4, 2), -1e4, dtype=torch.float64)], 1)
    assert entropy(wider).item() == pytest.approx(value, rel=1e-12)
    assert entropy(logits + 100).item() == pytest.approx(value, rel=1e-9)
