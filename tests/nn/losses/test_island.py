"""The island loss's term between centres against loops over pairs, and Eq. 4's part as printed."""

from __future__ import annotations

import math

import pytest
import torch
from losses import gradient, random_centres

from bench.nn.losses.island import cosines, island, island_step

DTYPES = [torch.float32, torch.float64]
CLOSE = {torch.float32: 1e-5, torch.float64: 1e-12}


def dot(a: list[float], b: list[float]) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def norm(a: list[float]) -> float:
    return math.sqrt(dot(a, a))


def slow(centres: torch.Tensor) -> float:
    """One more than the cosine of each ordered pair, added up."""
    c = centres.tolist()
    return sum(
        dot(c[j], c[k]) / (norm(c[j]) * norm(c[k])) + 1
        for j in range(len(c))
        for k in range(len(c))
        if k != j
    )


def slow_step(centres: torch.Tensor) -> torch.Tensor:
    """The facts' cleaned Eq. 4, second term without lambda_1: both parts inside the sum over k."""
    c = centres.tolist()
    out = []
    for j in range(len(c)):
        row = [0.0] * len(c[j])
        for k in range(len(c)):
            if k != j:
                for d in range(len(row)):
                    row[d] += c[k][d] / (norm(c[j]) * norm(c[k]))
                    row[d] -= dot(c[j], c[k]) * c[j][d] / (norm(c[j]) ** 3 * norm(c[k]))
        out.append([value / (len(c) - 1) for value in row])
    return torch.tensor(out, dtype=torch.float64)


def printed_step(centres: torch.Tensor, last: int) -> torch.Tensor:
    """Eq. 4 as it stands: the sum ends before the minus, and k is some class ``last`` after it."""
    c = centres.double()
    n = c.norm(dim=1)
    out = torch.zeros_like(c)
    for j in range(len(c)):
        for k in range(len(c)):
            if k != j:
                out[j] += c[k] / (n[j] * n[k]) / (len(c) - 1)
        out[j] -= (c[j] @ c[last]) * c[j] / (n[j] ** 3 * n[last])
    return out


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("count", "width"), [(2, 1), (2, 3), (3, 2), (7, 5), (7, 128)])
@pytest.mark.parametrize("scale", [0.01, 1.0, 50.0])
def test_value_step_and_gradient_equal_the_loops(
    count: int, width: int, scale: float, dtype: torch.dtype
) -> None:
    centres = random_centres(count, width, dtype, scale)
    value = island(centres)
    assert value.shape == ()
    assert value.dtype == dtype
    assert value.item() == pytest.approx(slow(centres), abs=100 * CLOSE[dtype])
    expected = slow_step(centres)
    close = {"rtol": 100 * CLOSE[dtype], "atol": CLOSE[dtype] / scale}
    torch.testing.assert_close(island_step(centres).double(), expected, **close)
    # The derivative of a sum over ordered pairs holds every pair twice: 2 (C - 1) steps.
    torch.testing.assert_close(
        gradient(island, centres).double() / (2 * (count - 1)), expected, **close
    )


def test_gradcheck() -> None:
    assert torch.autograd.gradcheck(island, random_centres(4, 3, torch.float64).requires_grad_())


@pytest.mark.parametrize("last", range(5))
def test_the_printed_step_is_not_the_gradient(last: int) -> None:
    # Whatever k is meant to be after its sum, and whatever the scale in front.
    centres = random_centres(5, 4, torch.float64)
    true, printed = gradient(island, centres), printed_step(centres, last)
    alike = torch.nn.functional.cosine_similarity(true, printed, dim=1)
    assert alike.min() < 0.99
    # The true gradient turns centres; what is printed also stretches or shortens them.
    assert (true * centres).sum(1).abs().max() < 1e-12
    assert (printed * centres).sum(1).abs().max() > 0.05


def test_for_two_classes_the_printed_step_is_right() -> None:
    # The sum has one summand then, so that the brackets do not matter.
    centres = random_centres(2, 4, torch.float64)
    step = island_step(centres)
    torch.testing.assert_close(printed_step(centres, 1)[0], step[0])
    torch.testing.assert_close(printed_step(centres, 0)[1], step[1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_known_values(dtype: torch.dtype) -> None:
    corners = torch.eye(7, dtype=dtype)
    assert island(corners).item() == pytest.approx(42)
    assert cosines(corners).item() == pytest.approx(0)
    line = torch.tensor([[1.0, 0], [-3, 0]], dtype=dtype)
    assert island(line).item() == pytest.approx(0, abs=1e-6)
    equal = torch.full((7, 3), 0.3, dtype=dtype)
    assert island(equal).item() == pytest.approx(84, rel=1e-6)
    # Three centres 120 degrees apart: the least for three, cosines -1/2 each.
    turn = torch.tensor([0, 2, 4], dtype=dtype) * math.pi / 3
    assert cosines(torch.stack([turn.cos(), turn.sin()], 1)).item() == pytest.approx(-3, rel=1e-6)


def test_lengths_do_not_matter_to_the_value_and_divide_the_step() -> None:
    centres = random_centres(5, 4, torch.float64)
    length = torch.tensor([0.1, 2, 30, 1, 5], dtype=torch.float64)[:, None]
    assert island(centres * length).item() == pytest.approx(island(centres).item(), rel=1e-12)
    torch.testing.assert_close(island_step(centres * length) * length, island_step(centres))


def test_steps_lower_the_value_and_never_shorten_a_centre() -> None:
    centres = random_centres(6, 3, torch.float64)
    for _ in range(30):
        moved = centres - 0.05 * island_step(centres)
        assert island(moved) < island(centres)
        assert (moved.norm(dim=1) >= centres.norm(dim=1)).all()
        centres = moved


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_centre_without_direction_counts_as_orthogonal(dtype: torch.dtype) -> None:
    centres = random_centres(4, 3, dtype)
    for length in (0.0, 1e-9):
        centres[1] = length
        rest = island(centres[[0, 2, 3]]).item()
        assert island(centres).item() == pytest.approx(rest + 6, rel=1e-6)
        step = island_step(centres)
        assert not step[1].any()
        torch.testing.assert_close(step[[0, 2, 3]] * 3 / 2, island_step(centres[[0, 2, 3]]))
        assert gradient(island, centres).isfinite().all()
    centres[1] = 1e-7
    assert island_step(centres)[1].any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_class_has_no_pair(dtype: torch.dtype) -> None:
    centre = torch.tensor([[3.0, 4.0]], dtype=dtype)
    assert island(centre).item() == pytest.approx(0, abs=1e-6)
    assert island_step(centre).abs().max() < 1e-6
