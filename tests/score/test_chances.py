"""The probability that a difference is above a margin, against draws and at the edges."""

from __future__ import annotations

import numpy as np
import pytest

from bench.score.intervals import Estimate


@pytest.mark.parametrize(
    ("value", "variance", "df", "margin"),
    [(0.012, 1e-4, 6.0, 0.01), (-0.03, 4e-4, 80.0, 0.01), (0.0, 1e-4, 3.0, 0.0)],
)
def test_shares_of_draws(value: float, variance: float, df: float, margin: float) -> None:
    estimate = Estimate(value, variance, 0.0, variance, df)
    draws = value + np.sqrt(variance) * np.random.default_rng(0).standard_t(df, 400_000)
    shares = (draws < -margin).mean(), (abs(draws) <= margin).mean(), (draws > margin).mean()
    assert estimate.chances(margin) == pytest.approx(shares, abs=0.003)
    assert sum(estimate.chances(margin)) == pytest.approx(1)


def test_the_margin_at_the_end_of_the_interval() -> None:
    estimate = Estimate(0.05, 1e-4, 0.0, 1e-4, 9.0)
    low, _ = estimate.interval()
    assert estimate.chances(low)[2] == pytest.approx(0.975)


@pytest.mark.parametrize(
    ("value", "chances"), [(0.02, (0, 0, 1)), (-0.02, (1, 0, 0)), (0.01, (0, 1, 0)), (0, (0, 1, 0))]
)
def test_nothing_varies(value: float, chances: tuple[int, int, int]) -> None:
    assert Estimate(value, 0.0, 0.0, 0.0, float("inf")).chances(0.01) == chances
