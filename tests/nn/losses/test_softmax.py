"""The multi-label softmax cross entropy against loops over samples and labels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses import gradient

from bench.nn.losses.softmax import multilabel_softmax

DTYPES = [torch.float32, torch.float64]
CLOSE = {torch.float32: 2e-6, torch.float64: 1e-13}


def log_probability(row: list[float], label: int) -> float:
    """log softmax of one label, the highest logit taken out so that nothing overflows."""
    top = max(row)
    return row[label] - top - math.log(math.fsum(math.exp(value - top) for value in row))


def slow(logits: torch.Tensor, target: torch.Tensor) -> float:
    """RAF-ML, Eq. 1, in float64: mean over samples, sum over labels."""
    n, labels = logits.shape
    total = 0.0
    for i in range(n):
        row = logits[i].tolist()
        for j in range(labels):
            total += float(target[i, j]) * log_probability(row, j)
    return -total / n


def slow_gradient(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """-(y_ij - |y_i| p_ij) / n, where |y_i| is the sum of a row.

    d/df_j of -sum_m y_m log p_m = -sum_m y_m (1[m = j] - p_j) = -(y_j - p_j sum_m y_m): the printed
    Eq. 2 has the last sum replaced by 1.
    """
    n, labels = logits.shape
    out = torch.empty(n, labels, dtype=torch.float64)
    for i in range(n):
        row = logits[i].tolist()
        mass = math.fsum(target[i].tolist())
        for j in range(labels):
            p = math.exp(log_probability(row, j))
            out[i, j] = -(float(target[i, j]) - mass * p) / n
    return out


def printed_gradient(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """-(y - p) / n, Eq. 2 as the paper prints it."""
    return -(target.double() - logits.double().softmax(1)) / len(logits)


def targets(kind: str, n: int, labels: int, rng: np.random.Generator) -> np.ndarray:
    """The three targets that DBM-CNN offers: k-hot, k-hot over its sum, a label distribution."""
    if kind == "distribution":
        return rng.dirichlet(np.full(labels, 0.5), n)
    hot = rng.random((n, labels)) < 0.4
    hot[np.arange(n), rng.integers(0, labels, n)] = True
    return hot / hot.sum(1, keepdims=True) if kind == "normalised" else hot.astype(float)


def case(
    kind: str, n: int, labels: int, dtype: torch.dtype, seed: int, scale: float = 3.0
) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    logits = torch.tensor(rng.normal(size=(n, labels)) * scale, dtype=dtype)
    return logits, torch.tensor(targets(kind, n, labels, rng), dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["distribution", "normalised", "khot"])
@pytest.mark.parametrize(("n", "labels"), [(1, 6), (2, 2), (7, 6), (64, 6), (3, 1)])
def test_equals_the_loops(kind: str, n: int, labels: int, dtype: torch.dtype) -> None:
    logits, target = case(kind, n, labels, dtype, seed=n)
    loss = multilabel_softmax(logits, target)
    assert loss.shape == ()
    assert loss.dtype == dtype
    assert loss.item() == pytest.approx(slow(logits, target), rel=CLOSE[dtype], abs=CLOSE[dtype])


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 5),
    labels=st.integers(1, 7),
    kind=st.sampled_from(["distribution", "normalised", "khot"]),
    scale=st.sampled_from([0.0, 1e-3, 1.0, 30.0, 1e4]),
    seed=st.integers(0, 9_999),
)
def test_value_and_gradient_at_any_scale(
    n: int, labels: int, kind: str, scale: float, seed: int
) -> None:
    logits, target = case(kind, n, labels, torch.float64, seed, scale)
    assert multilabel_softmax(logits, target).item() == pytest.approx(
        slow(logits, target), rel=1e-12, abs=1e-12
    )
    torch.testing.assert_close(
        gradient(multilabel_softmax, logits, target),
        slow_gradient(logits, target),
        rtol=1e-10,
        atol=1e-12,
    )


@pytest.mark.parametrize("kind", ["distribution", "normalised", "khot"])
def test_gradcheck(kind: str) -> None:
    logits, target = case(kind, 4, 6, torch.float64, seed=1)
    assert torch.autograd.gradcheck(
        lambda leaf: multilabel_softmax(leaf, target), logits.requires_grad_()
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_printed_gradient_holds_for_rows_that_sum_to_one(dtype: torch.dtype) -> None:
    for kind in ("distribution", "normalised"):
        logits, target = case(kind, 9, 6, dtype, seed=2)
        torch.testing.assert_close(
            gradient(multilabel_softmax, logits, target).double(),
            printed_gradient(logits, target),
            rtol=1e-5,
            atol=CLOSE[dtype],
        )


@pytest.mark.parametrize("dtype", DTYPES)
def test_printed_gradient_fails_for_label_sets(dtype: torch.dtype) -> None:
    logits, target = case("khot", 9, 6, dtype, seed=3)
    found = gradient(multilabel_softmax, logits, target).double()
    torch.testing.assert_close(found, slow_gradient(logits, target), rtol=1e-5, atol=CLOSE[dtype])
    several = target.sum(1) > 1
    assert several.any()
    difference = (found - printed_gradient(logits, target)).abs()
    assert (difference[several].amax(1) > 1e-4).all()
    assert difference[~several].numel() == 0 or difference[~several].max() < 1e-6


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [100.0, 1e4])
def test_large_logits_stay_exact(dtype: torch.dtype, size: float) -> None:
    # The second label is `size` below the first: log p is 0 and -size to the last digit.
    logits = torch.tensor([[size, 0.0, 0.0], [0.0, -size, 0.0]], dtype=dtype)
    right = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.0, 0.5]], dtype=dtype)
    wrong = torch.tensor([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]], dtype=dtype)
    two = math.log(2)
    assert multilabel_softmax(logits, right).item() == pytest.approx(two / 2, rel=1e-6)
    assert multilabel_softmax(logits, wrong).item() == pytest.approx(size + two / 2, rel=1e-6)
    assert torch.isfinite(gradient(multilabel_softmax, logits, wrong)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_without_mass_cost_nothing_and_still_count_as_samples(dtype: torch.dtype) -> None:
    logits, target = case("distribution", 3, 6, dtype, seed=4)
    padded = torch.cat([logits, logits])
    empty = torch.cat([target, torch.zeros_like(target)])
    loss = multilabel_softmax(padded, empty).item()
    assert loss == pytest.approx(multilabel_softmax(logits, target).item() / 2, rel=1e-6)
    assert not gradient(multilabel_softmax, padded, empty)[3:].any()
    assert multilabel_softmax(logits, torch.zeros_like(target)).item() == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_all_zero_logits_cost_the_logarithm_of_the_number_of_labels(dtype: torch.dtype) -> None:
    for labels in (1, 2, 6):
        hot = torch.zeros(4, labels, dtype=dtype)
        hot[:, 0] = 1
        loss = multilabel_softmax(torch.zeros(4, labels, dtype=dtype), hot).item()
        assert loss == pytest.approx(math.log(labels), rel=1e-6, abs=1e-7)


def test_it_is_a_mean_over_samples_and_a_sum_over_labels() -> None:
    logits, target = case("khot", 5, 6, torch.float64, seed=5)
    once = multilabel_softmax(logits, target).item()
    twice = multilabel_softmax(logits.repeat(2, 1), target.repeat(2, 1)).item()
    assert twice == pytest.approx(once, rel=1e-12)
    # Two labels that cannot be and are not asked for change nothing.
    wider = torch.cat([logits, torch.full((5, 2), -1e4, dtype=torch.float64)], 1)
    asked = torch.cat([target, torch.zeros(5, 2, dtype=torch.float64)], 1)
    assert multilabel_softmax(wider, asked).item() == pytest.approx(once, rel=1e-12)
    assert multilabel_softmax(logits, 3 * target).item() == pytest.approx(3 * once, rel=1e-12)


def test_the_least_loss_of_a_distribution_is_its_entropy() -> None:
    rng = np.random.default_rng(6)
    target = torch.tensor(rng.dirichlet(np.ones(6), 20))
    entropy = -(target * target.log()).sum(1).mean().item()
    assert multilabel_softmax(target.log() + 5, target).item() == pytest.approx(entropy, rel=1e-12)
    assert gradient(multilabel_softmax, target.log(), target).abs().max() < 1e-15
    away = target.log() + torch.tensor(rng.normal(size=(20, 6)))
    assert multilabel_softmax(away, target).item() > entropy
