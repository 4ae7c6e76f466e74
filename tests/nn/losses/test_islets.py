"""The islets loss's term between centres against loops over pairs, and Eq. 4's part as printed."""

from __future__ import annotations

import math

import pytest
import torch
from losses import gradient, random_centres

from bench.nn.losses.islets import islets, islets_step

DTYPES = [torch.float32, torch.float64]
CLOSE = {torch.float32: 1e-5, torch.float64: 1e-12}


def slow(centres: torch.Tensor) -> float:
    """exp of minus half the distances of all ordered pairs."""
    c = centres.tolist()
    return math.exp(
        -math.fsum(math.dist(c[j], c[k]) for j in range(len(c)) for k in range(len(c)) if k != j)
        / 2
    )


def directions(centres: torch.Tensor) -> torch.Tensor:
    """The sum over k of the unit vectors from c_k to c_j."""
    c = centres.tolist()
    out = []
    for j in range(len(c)):
        row = [0.0] * len(c[j])
        for k in range(len(c)):
            if k != j:
                apart = math.dist(c[j], c[k])
                row = [r + (a - b) / apart for r, a, b in zip(row, c[j], c[k], strict=True)]
        out.append(row)
    return torch.tensor(out, dtype=torch.float64)


def slow_step(centres: torch.Tensor) -> torch.Tensor:
    """The facts' cleaned Eq. 4, last term without lambda_2, with its sign."""
    return -directions(centres) * slow(centres) / (2 * len(centres))


def printed_step(centres: torch.Tensor) -> torch.Tensor:
    """The exponent read with the j of the centre that moves, as Eq. 4 letters it."""
    c = centres.tolist()
    own = torch.tensor(
        [[math.exp(-sum(math.dist(a, b) for b in c) / 2)] for a in c], dtype=torch.float64
    )
    return -directions(centres) * own / (2 * len(centres))


def apart(distance: float, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Seven centres, each at ``distance`` from every other: 21 pairs."""
    return torch.eye(7, dtype=dtype) * distance / math.sqrt(2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("count", "width"), [(2, 1), (2, 3), (3, 2), (7, 5), (7, 128)])
@pytest.mark.parametrize("scale", [0.01, 0.1])
def test_value_step_and_gradient_equal_the_loops(
    count: int, width: int, scale: float, dtype: torch.dtype
) -> None:
    centres = random_centres(count, width, dtype, scale)
    value = islets(centres)
    assert value.shape == ()
    assert value.dtype == dtype
    assert value.item() == pytest.approx(slow(centres), rel=10 * CLOSE[dtype])
    expected = slow_step(centres)
    close = {"rtol": 100 * CLOSE[dtype], "atol": CLOSE[dtype] * slow(centres)}
    torch.testing.assert_close(islets_step(centres).double(), expected, **close)
    # The sign that is printed is right; 1/(2 |N|) in front of it is a rescaling.
    torch.testing.assert_close(gradient(islets, centres).double() / (2 * count), expected, **close)


def test_gradcheck() -> None:
    assert torch.autograd.gradcheck(
        islets, random_centres(4, 3, torch.float64, 0.3).requires_grad_()
    )


def test_the_printed_exponent_is_not_that_of_the_loss() -> None:
    centres = random_centres(5, 4, torch.float64, 0.3)
    true, printed = gradient(islets, centres), printed_step(centres)
    # One rescaling for all centres would be free, but each centre would have its own.
    factors = printed.norm(dim=1) / true.norm(dim=1)
    assert factors.max() > 1.5 * factors.min()
    own = islets_step(centres).norm(dim=1) / true.norm(dim=1)
    torch.testing.assert_close(own, torch.full_like(own, 1 / 10))


def test_magnitudes_with_seven_classes() -> None:
    # 21 distances d: exp(-21 d).
    assert islets(apart(1)).item() == pytest.approx(7.6e-10, rel=5e-3)
    assert islets(apart(2)).item() == pytest.approx(5.7e-19, rel=1e-2)
    assert islets(apart(10)).item() == pytest.approx(6e-92, rel=0.05)
    for distance in (0.01, 1, 2, 10, 30):
        assert islets(apart(distance)).item() == pytest.approx(math.exp(-21 * distance), rel=1e-9)


def test_underflow() -> None:
    single = torch.float32
    assert islets(apart(4.1, single)).item() > torch.finfo(single).tiny
    assert islets(apart(4.2, single)).item() < torch.finfo(single).tiny
    assert islets(apart(4.96, single)).item() == 0
    assert not islets_step(apart(4.96, single)).any()
    assert islets(apart(35)).item() > 0
    assert islets(apart(35.5)).item() == 0


def test_distances_are_not_squared() -> None:
    pair = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
    assert islets(pair).item() == pytest.approx(math.exp(-5), rel=1e-12)


def test_steps_drive_centres_apart() -> None:
    centres = random_centres(6, 3, torch.float64, 0.02)
    for _ in range(20):
        moved = centres - 0.05 * islets_step(centres)
        assert islets(moved) < islets(centres)
        centres = moved
    pair = torch.tensor([[0.0, 0.0], [0.3, 0.4]], dtype=torch.float64)
    step = islets_step(pair)
    # Minus the step leads away from the other centre, with exp(-1/2)/4 whatever the distance's
    # components: (0.6, 0.8) is the unit vector.
    expected = torch.tensor([[0.6, 0.8], [-0.6, -0.8]], dtype=torch.float64) * math.exp(-0.5) / 4
    torch.testing.assert_close(step, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_centres_that_coincide_do_not_push(dtype: torch.dtype) -> None:
    equal = torch.full((3, 4), 0.7, dtype=dtype)
    assert islets(equal).item() == 1
    assert not islets_step(equal).any()
    assert not gradient(islets, equal).any()
    two = torch.tensor([[0.1, 0], [0.1, 0], [0.2, 0]], dtype=dtype)
    step = islets_step(two)
    assert step.isfinite().all()
    assert gradient(islets, two).isfinite().all()
    assert (step[:, 0].sign() == torch.tensor([1, 1, -1], dtype=dtype)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_class_has_no_pair(dtype: torch.dtype) -> None:
    centre = torch.tensor([[3.0, 4.0]], dtype=dtype)
    assert islets(centre).item() == 1
    assert not islets_step(centre).any()
