"""The corrected resampled t-test against a worked example and baycomp."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bench.api import BenchError
from bench.score.repeated import repeated_folds

# Two repetitions of two folds, n_test/n_train = 1.
WORKED = np.array([0.02, 0.04, 0.01, 0.05])


def test_a_worked_example() -> None:
    # mean .03; squared deviations .0001 .0001 .0004 .0004, so s² = .001/3;
    # the variance is .001/3 * (1/4 + 1) = .0004167, its root .020412; t.975 of 3 degrees is 3.1824
    found = repeated_folds(WORKED, 1.0)
    assert found.value == pytest.approx(0.03)
    assert found.se == pytest.approx(0.0204124, abs=1e-7)
    assert found.df == 3
    assert found.interval() == pytest.approx((0.03 - 0.064961, 0.03 + 0.064961), abs=1e-5)
    # (.03 - .01)/.0204124 = .97980 of t with 3 degrees, and (.03 + .01)/.0204124 = 1.9596
    below, within, above = found.chances(0.01)
    assert above == pytest.approx(stats.t.cdf(0.9798, 3), abs=1e-4)
    assert below == pytest.approx(stats.t.cdf(-1.9596, 3), abs=1e-4)
    assert below + within + above == pytest.approx(1)


@pytest.mark.parametrize(("folds", "runs"), [(5, 5), (10, 2), (2, 5)])
def test_baycomp_says_the_same(folds: int, runs: int) -> None:
    baycomp = pytest.importorskip("baycomp")
    rng = np.random.default_rng(folds)
    left, right = rng.normal(0.71, 0.02, (2, folds * runs))
    wanted = baycomp.two_on_single(left, right, rope=0.01, runs=runs)
    below, within, above = repeated_folds(left - right, 1 / (folds - 1)).chances(0.01)
    assert (above, within, below) == pytest.approx(wanted, abs=1e-9)


def test_folds_that_all_differ_alike_have_no_width() -> None:
    found = repeated_folds(np.full(10, 0.25), 0.25)
    assert found.interval() == (0.25, 0.25)
    assert found.chances(0.01) == (0, 0, 1)


def test_one_fold_is_refused() -> None:
    with pytest.raises(BenchError, match="1 of them have results, two are the fewest"):
        repeated_folds(np.array([0.1]), 0.25)
