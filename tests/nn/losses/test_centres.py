"""Class centres moved by LBAN-IL's Eq. 4 (cleaned), against loops over samples and pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bench.api import InputError
from bench.nn.losses.center import center
from bench.nn.losses.centres import ClassCentres
from bench.nn.losses.island import island, island_step
from bench.nn.losses.islets import islets, islets_step

DTYPES = [torch.float32, torch.float64]
CLOSE = {torch.float32: 1e-5, torch.float64: 1e-12}
KINDS = {
    "center": (0.0, 0.0),
    "island": (0.2, 0.0),
    "islets": (0.2, 0.9),
    "distances": (0.0, 0.9),
}


def case(
    kind: str, dtype: torch.dtype, *, n: int = 12, count: int = 5, width: int = 4, seed: int = 0
) -> tuple[ClassCentres, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    lam1, lam2 = KINDS[kind]
    found = ClassCentres(count, width, lam1, lam2).to(dtype)
    # As near to each other as after their start: farther apart the last term is lost in rounding.
    found.centres.copy_(torch.tensor(0.05 * rng.normal(size=(count, width))))
    features = torch.tensor(rng.normal(size=(n, width)), dtype=dtype)
    # The last class is never there.
    return found, features, torch.tensor(rng.integers(0, count - 1, n))


def slow_update(
    centres: torch.Tensor,
    features: torch.Tensor,
    classes: torch.Tensor,
    lam1: float,
    lam2: float,
    alpha: float,
) -> torch.Tensor:
    """The facts' cleaned Eq. 4, written down class by class in float64."""
    c, x = centres.double(), features.double()
    count = len(c)
    length = [math.sqrt(float(one @ one)) for one in c]
    pairs = [(j, k) for j in range(count) for k in range(count) if k != j]
    l_p = math.exp(-0.5 * sum(math.dist(c[j].tolist(), c[k].tolist()) for j, k in pairs))
    new = c.clone()
    for j in range(count):
        delta = torch.zeros_like(c[j])
        rows = [i for i, y in enumerate(classes.tolist()) if y == j]
        for i in rows:
            delta += (c[j] - x[i]) / (1 + len(rows))
        for k in range(count):
            if k != j:
                bracket = c[k] / (length[j] * length[k])
                bracket = bracket - float(c[j] @ c[k]) * c[j] / (length[j] ** 3 * length[k])
                delta += lam1 / (count - 1) * bracket
                away = (c[j] - c[k]) / math.dist(c[j].tolist(), c[k].tolist())
                delta -= lam2 / (2 * count) * l_p * away
        new[j] = c[j] - alpha * delta
    return new


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", [0.5, 0.1])
def test_update_equals_the_loops(kind: str, alpha: float, dtype: torch.dtype) -> None:
    found, features, classes = case(kind, dtype)
    found.alpha = alpha
    expected = slow_update(found.centres, features, classes, *KINDS[kind], alpha)
    found.update(features, classes)
    assert found.centres.dtype == dtype
    torch.testing.assert_close(found.centres.double(), expected, rtol=0, atol=5 * CLOSE[dtype])


def test_the_terms_between_centres_are_large_enough_to_be_tested() -> None:
    moved = {}
    for kind in KINDS:
        found, features, classes = case(kind, torch.float64)
        found.update(features, classes)
        moved[kind] = found.centres
    assert (moved["island"] - moved["center"]).norm(dim=1).min() > 1e-2
    assert (moved["islets"] - moved["island"]).norm(dim=1).min() > 1e-4


def test_update_follows_the_autograd_gradient_of_the_whole_loss() -> None:
    # With one row in each class n_j + 1 = 2, and the free factors of Eq. 4 are known, so that the
    # step is a gradient of 1/2 sum |x - c|^2 (no mean), the cosines and the distances.
    found, features, _ = case("islets", torch.float64, n=5)
    classes = torch.arange(5)
    leaf = found.centres.clone().requires_grad_()
    pull = 0.5 * sum((features[i] - leaf[i]).square().sum() for i in range(5))
    whole = pull / 2 + 0.2 / (2 * 4) * island(leaf) + 0.9 / (2 * 5) * islets(leaf)
    whole.backward()
    assert leaf.grad is not None
    before = found.centres.clone()
    found.update(features, classes)
    torch.testing.assert_close(found.centres, before - 0.5 * leaf.grad)


def test_absent_classes_move_only_by_the_terms_between_centres() -> None:
    for kind, moves in {"center": False, "island": True, "distances": True}.items():
        found, features, classes = case(kind, torch.float64)
        before = found.centres.clone()
        found.update(features, classes)
        assert bool((found.centres[-1] != before[-1]).all()) is moves
        assert (found.centres[:-1] != before[:-1]).any(dim=1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_centres_that_never_move(kind: str) -> None:
    found, features, classes = case(kind, torch.float64)
    placebo = ClassCentres(5, 4, *KINDS[kind], moving=False).double()
    placebo.load_state_dict(found.state_dict())
    placebo.update(features, classes)
    assert torch.equal(placebo.centres, found.centres)
    assert torch.equal(placebo(features, classes), found(features, classes))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_features_get_the_gradient_of_the_center_loss_alone(kind: str, dtype: torch.dtype) -> None:
    found, features, classes = case(kind, dtype)
    features.requires_grad_()
    loss = found(features, classes)
    expected = ((features - found.centres[classes]) / 12).detach()
    assert loss.item() == center(features, found.centres, classes).item()
    found.update(features, classes)  # before the backward pass: it must not disturb it
    loss.backward()
    torch.testing.assert_close(features.grad, expected, rtol=1e-5, atol=1e-7)
    assert not found.centres.requires_grad
    assert found.centres.grad is None


def test_no_optimiser_sees_the_centres_and_checkpoints_hold_them() -> None:
    found, features, classes = case("islets", torch.float32)
    assert not list(found.parameters())
    found.update(features, classes)
    again = ClassCentres(5, 4)
    assert list(found.state_dict()) == ["centres"]
    again.load_state_dict(found.state_dict())
    assert torch.equal(again.centres, found.centres)


def test_they_start_near_the_origin_by_torchs_seed() -> None:
    torch.manual_seed(3)
    first = ClassCentres(7, 2000).centres
    torch.manual_seed(3)
    assert torch.equal(ClassCentres(7, 2000).centres, first)
    assert not torch.equal(ClassCentres(7, 2000).centres, first)
    assert first.dtype == torch.float32
    assert first.shape == (7, 2000)
    assert first.std().item() == pytest.approx(0.01, rel=0.05)
    assert first.mean().abs().item() < 5e-4


def test_terms_are_the_two_functions_without_gradient() -> None:
    found, _, _ = case("islets", torch.float64)
    terms = found.terms()
    assert list(terms) == ["island", "islets"]
    assert torch.equal(terms["island"], island(found.centres))
    assert torch.equal(terms["islets"], islets(found.centres))
    with torch.enable_grad():
        assert not any(value.requires_grad for value in found.terms().values())


def test_the_islets_term_dies_within_a_few_steps() -> None:
    # Well separated features: the first pull brings centres apart, and L_p, exp(-sum), is gone.
    torch.manual_seed(0)
    found = ClassCentres(7, 128, lam1=0.2, lam2=0.9)
    classes = torch.arange(64) % 7
    features = torch.randn(7, 128)[classes] + 0.1 * torch.randn(64, 128)
    assert found.terms()["islets"] > 1e-3
    found.update(features, classes)
    assert found.terms()["islets"] == 0


def test_at_the_start_the_islets_term_moves_centres_far_less_than_the_island_term() -> None:
    # The figures that lban-il states, means over 20 starts of 7 centres of 128 numbers.
    by_islets, by_island, before, after = [], [], [], []
    for seed in range(20):
        torch.manual_seed(seed)
        centres = ClassCentres(7, 128, lam1=0.2, lam2=0.9).centres
        pushes = 0.5 * 0.9 * islets_step(centres), 0.5 * 0.2 * island_step(centres)
        by_islets.append(float(pushes[0].norm(dim=1).mean()))
        by_island.append(float(pushes[1].norm(dim=1).mean()))
        before.append(float(islets(centres)))
        after.append(float(islets(centres - pushes[0] - pushes[1])))
    means = [sum(values) / 20 for values in (by_islets, by_island, before, after)]
    assert means == pytest.approx([0.005, 0.37, 0.036, 0.0003], rel=0.15)


def test_long_run_stays_finite_where_all_features_are_dead() -> None:
    # Dead ReLUs give features of zero: centres shrink, and the cosines' step grows as 1/length.
    torch.manual_seed(0)
    for kind in KINDS:
        found = ClassCentres(7, 8, *KINDS[kind])
        for _ in range(300):
            found.update(torch.zeros(14, 8), torch.arange(14) % 7)
        assert found.centres.isfinite().all()
        assert found.centres.abs().max() < 10


def test_wrong_input_is_refused() -> None:
    found = ClassCentres(3, 4)
    rows = torch.zeros(2, dtype=torch.int64)
    for function in (found, found.update):
        with pytest.raises(InputError, match="class centres of 4 numbers"):
            function(torch.zeros(2, 5), rows)
        with pytest.raises(InputError, match="full precision"):
            function(torch.zeros(2, 4, dtype=torch.bfloat16), rows)
