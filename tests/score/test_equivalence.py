"""Equal within a margin: against statsmodels, by hand, and as often as it may be wrong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_ind, ttost_paired

from bench.score.equivalence import LEVEL, place, smallest_margin
from bench.score.intervals import Estimate, Sample, difference


def seeded(values: np.ndarray, first: int = 0) -> Sample:
    seeds = tuple(range(first, first + len(values)))
    return Sample(seeds, values, np.zeros((len(values), 2)), stochastic=True)


@pytest.mark.parametrize("margin", [0.004, 0.0071, 0.01, 0.02])
def test_paired_seeds_are_statsmodels_tost(margin: float) -> None:
    rng = np.random.default_rng(1)
    for _ in range(60):
        left, right = rng.normal(scale=0.006, size=(2, 5))
        found = place(difference(seeded(left), seeded(right), 100), margin)
        p, _, _ = ttost_paired(left, right, -margin, margin)
        assert (found == "inside") == (p < 0.05)


@pytest.mark.parametrize("margin", [0.004, 0.01, 0.02])
def test_other_seeds_are_statsmodels_welch_tost(margin: float) -> None:
    rng = np.random.default_rng(2)
    for _ in range(60):
        left, right = rng.normal(scale=0.004, size=4), rng.normal(scale=0.007, size=6)
        found = place(difference(seeded(left), seeded(right, 9), 100), margin)
        p, _, _ = ttost_ind(left, right, -margin, margin, usevar="unequal")
        assert (found == "inside") == (p < 0.05)


@pytest.mark.parametrize(
    ("value", "slack", "where"),
    [
        # By hand: t(.95, 4) = 2.1318, standard error .003: the interval reaches .0063954.
        (0.0036, 0.0, "inside"),
        (0.0037, 0.0, "open"),
        (-0.0036, 0.0, "inside"),
        (0.0036, 0.0005, "open"),
        (0.0163, 0.0, "open"),
        (0.0164, 0.0, "outside"),
        (-0.0164, 0.0, "outside"),
        (-0.0164, 0.0005, "open"),
    ],
)
def test_by_hand(value: float, slack: float, where: str) -> None:
    one = Estimate(value, 0.0, 9e-6, 9e-6, 4.0)
    assert place(one, 0.01, slack) == where


def test_without_noise_the_margin_itself_is_not_inside() -> None:
    assert place(Estimate(0.01, 0.0, 0.0, 0.0, np.inf), 0.01) == "open"
    assert place(Estimate(0.0099, 0.0, 0.0, 0.0, np.inf), 0.01) == "inside"
    assert place(Estimate(-0.0101, 0.0, 0.0, 0.0, np.inf), 0.01) == "outside"


def test_what_no_number_of_seeds_decides() -> None:
    assert smallest_margin(1.0) == pytest.approx(stats.norm.ppf((1 + LEVEL) / 2), rel=1e-12)
    assert smallest_margin(0.01, 0.0005) == pytest.approx(0.0169485, abs=1e-7)
    at, seeds = 0.004, 10**9  # a shift of 0 and as many seeds as one likes
    one = Estimate(0.0, 0.0, at**2, at**2 * (1 + 1 / seeds), seeds - 1)
    assert place(one, smallest_margin(at) * 0.999) == "open"
    assert place(one, smallest_margin(at) * 1.001) == "inside"


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("shift", [1.0, 1.5, 5.0])
def test_a_shift_of_the_margin_is_called_equal_in_at_most_five_per_cent(
    seeds: int, shift: float
) -> None:
    """A single printed run and n of ours; the rule before said so in 75 % at five deviations."""
    rng = np.random.default_rng(seeds)
    trials, sd = 1000, 0.002
    ours = rng.normal(shift * 0.01, sd, size=(trials, seeds))
    theirs = rng.normal(0, sd, size=trials)
    inside = 0
    for mine, printed in zip(ours, theirs, strict=True):
        variance = float(mine.var(ddof=1))
        off = float(mine.mean() - printed)
        one = Estimate(off, 0.0, variance, variance * (1 + 1 / seeds), seeds - 1)
        inside += place(one, 0.01) == "inside"
    assert inside <= stats.binom.ppf(0.99, trials, 0.05)
    assert shift > 1 or inside > 0.01 * trials  # it is no test that never says so
