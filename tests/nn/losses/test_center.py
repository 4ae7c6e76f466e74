"""The center loss and its centres' step against loops over samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.api import InputError
from bench.nn.losses.center import center, center_step

DTYPES = [torch.float32, torch.float64]
CLOSE = {torch.float32: 2e-5, torch.float64: 1e-12}


def slow(features: torch.Tensor, centres: torch.Tensor, classes: torch.Tensor) -> float:
    """Half the squared distance of each row to its centre, divided by the number of rows."""
    x, c = features.tolist(), centres.tolist()
    total = 0.0
    for i, own in enumerate(classes.tolist()):
        total += sum((a - b) ** 2 for a, b in zip(x[i], c[own], strict=True)) / 2
    return total / len(x)


def slow_step(features: torch.Tensor, centres: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Class by class: the sum of c_j - x_i over its rows, divided by one more than there are."""
    x, c = features.double(), centres.double()
    out = torch.zeros_like(c)
    for j in range(len(c)):
        rows = [i for i, own in enumerate(classes.tolist()) if own == j]
        for i in rows:
            out[j] += (c[j] - x[i]) / (1 + len(rows))
    return out


def case(
    n: int, count: int, width: int, dtype: torch.dtype, seed: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    features = torch.tensor(rng.normal(size=(n, width)), dtype=dtype)
    centres = torch.tensor(rng.normal(size=(count, width)), dtype=dtype)
    return features, centres, torch.tensor(rng.integers(0, count, n))


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 12),
    count=st.integers(1, 7),
    width=st.integers(1, 5),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 9_999),
)
def test_equals_the_loops(n: int, count: int, width: int, dtype: torch.dtype, seed: int) -> None:
    features, centres, classes = case(n, count, width, dtype, seed)
    loss = center(features, centres, classes)
    assert loss.shape == ()
    assert loss.dtype == dtype
    assert loss.item() == pytest.approx(slow(features, centres, classes), rel=CLOSE[dtype])
    step = center_step(features, centres, classes)
    assert step.dtype == dtype
    torch.testing.assert_close(
        step.double(), slow_step(features, centres, classes), rtol=0, atol=CLOSE[dtype]
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_gradient_is_the_papers_over_n_and_centres_get_none(dtype: torch.dtype) -> None:
    features, centres, classes = case(9, 4, 3, dtype, seed=1)
    features.requires_grad_()
    centres.requires_grad_()
    center(features, centres, classes).backward()
    expected = torch.stack([features[i] - centres[y] for i, y in enumerate(classes.tolist())]) / 9
    torch.testing.assert_close(features.grad, expected.detach(), rtol=1e-5, atol=1e-7)
    assert centres.grad is None


def test_gradcheck() -> None:
    features, centres, classes = case(5, 3, 4, torch.float64, seed=2)
    assert torch.autograd.gradcheck(
        lambda leaf: center(leaf, centres, classes), features.requires_grad_()
    )


def test_it_is_a_mean_over_rows() -> None:
    # The paper's sum would double; its step already divides by the rows of each class.
    features, centres, classes = case(6, 3, 4, torch.float64, seed=3)
    twice = center(features.repeat(2, 1), centres, classes.repeat(2)).item()
    assert twice == pytest.approx(center(features, centres, classes).item(), rel=1e-12)


def test_the_step_leads_to_the_mean_of_the_class() -> None:
    features, centres, classes = case(300, 3, 4, torch.float64, seed=4)
    for _ in range(60):
        centres = centres - 0.5 * center_step(features, centres, classes)
    for j in range(3):
        torch.testing.assert_close(centres[j], features[classes == j].mean(0), rtol=0, atol=1e-12)


def test_the_step_leaves_absent_classes_alone() -> None:
    features, centres, _ = case(4, 5, 3, torch.float64, seed=5)
    step = center_step(features, centres, torch.tensor([1, 1, 3, 3]))
    assert not step[[0, 2, 4]].any()
    assert step[[1, 3]].all()


def test_close_features_far_from_the_origin_keep_their_digits() -> None:
    centres = torch.full((2, 3), 1000.0)
    features = centres + torch.tensor([[0.25, 0, 0], [0, 0.5, 0]])
    assert center(features, centres, torch.tensor([0, 1])).item() == (0.0625 + 0.25) / 4


@pytest.mark.parametrize(
    ("features", "classes"),
    [((0, 3), 0), ((4, 2), 4), ((4, 3), 5), ((4,), 4), ((4, 3, 1), 4)],
)
def test_shapes_that_do_not_belong_together(features: tuple[int, ...], classes: int) -> None:
    for function in (center, center_step):
        with pytest.raises(InputError, match=r"class centres of 3 numbers got features .*; give"):
            function(
                torch.zeros(features), torch.zeros(2, 3), torch.zeros(classes, dtype=torch.int64)
            )


@pytest.mark.parametrize(
    ("features", "centres"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float16),
        (torch.float64, torch.float32),
        (torch.bfloat16, torch.bfloat16),
    ],
)
def test_half_and_mixed_precision_are_refused(features: torch.dtype, centres: torch.dtype) -> None:
    rows = torch.zeros(2, dtype=torch.int64)
    for function in (center, center_step):
        with pytest.raises(InputError, match=r"full precision, float32 or float64"):
            function(torch.zeros(2, 3, dtype=features), torch.zeros(2, 3, dtype=centres), rows)


@pytest.mark.parametrize("wrong", [-1, 2])
def test_a_class_without_a_centre_is_refused(wrong: int) -> None:
    for function in (center, center_step):
        with pytest.raises((IndexError, RuntimeError)):
            function(torch.zeros(2, 3), torch.zeros(2, 3), torch.tensor([0, wrong]))
