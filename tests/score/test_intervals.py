"""Intervals against scipy, against statsmodels' analysis of variance, and by simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.score.bootstrap import resamples
from bench.score.intervals import Estimate, Sample, difference, estimate, inflation, over_images


def sample(per_image: np.ndarray, weights: np.ndarray, stochastic: bool = True) -> Sample:
    """A mean over images, (n, G) by seed and image, on resamples of the images, (G, B)."""
    n, count = per_image.shape
    return Sample(tuple(range(n)), per_image.mean(axis=1), per_image @ weights / count, stochastic)


def every_resample(count: int) -> np.ndarray:
    """Weights of the G ** G equally likely resamples of G images: (G, G ** G)."""
    drawn = np.array(list(itertools.product(range(count), repeat=count)))
    return np.array([(drawn == i).sum(axis=1) for i in range(count)], dtype=float)


def one_constant(values: list[float]) -> Sample:
    """Values by seed that no resample of the images changes."""
    return Sample(
        tuple(range(len(values))), np.array(values), np.repeat(values, 5).reshape(-1, 5), True
    )


# -- against references -----------------------------------------------------------------------


def test_a_deterministic_mean_has_the_t_interval_over_images() -> None:
    values = np.array([0.3, 0.9, 0.4, 0.8, 0.6])
    weights = every_resample(5)
    found = estimate(sample(values[None], weights, stochastic=False), clusters=5)
    exact = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    rounding = np.sqrt(len(weights.T) / (len(weights.T) - 1))  # n - 1 of the 3,125 resamples
    low, high = found.interval()
    assert found.value == pytest.approx(0.6)
    assert high - found.value == pytest.approx((exact.high - 0.6) * rounding)
    assert found.value - low == pytest.approx((0.6 - exact.low) * rounding)
    assert (found.seeds, found.df) == (0, 4)


def test_seeds_alone_have_the_t_interval_over_seeds() -> None:
    values = [0.71, 0.74, 0.69, 0.78]
    found = estimate(one_constant(values), clusters=100)
    assert found.interval() == pytest.approx(stats.ttest_1samp(values, 0).confidence_interval())
    assert (found.images, found.df) == (0, 3)


def test_the_same_seeds_are_paired() -> None:
    left, right = [0.71, 0.74, 0.69, 0.78], [0.70, 0.74, 0.66, 0.77]
    found = difference(one_constant(left), one_constant(right), clusters=100)
    assert found.interval() == pytest.approx(stats.ttest_rel(left, right).confidence_interval())


def test_other_seeds_are_welch() -> None:
    left, right = [0.71, 0.74, 0.69, 0.78], [0.70, 0.75, 0.66]
    found = difference(one_constant(left), one_constant(right), clusters=100)
    exact = stats.ttest_ind(left, right, equal_var=False)
    assert found.interval() == pytest.approx(exact.confidence_interval())
    assert found.df == pytest.approx(exact.df)


def test_a_stochastic_method_against_a_deterministic_one() -> None:
    """The deterministic one adds no noise over seeds, whatever its seed."""
    values = [0.71, 0.74, 0.69, 0.78]
    fixed = Sample((0,), np.array([0.7]), np.full((1, 5), 0.7), False)
    found = difference(one_constant(values), fixed, clusters=100)
    exact = stats.ttest_1samp(values, 0.7).confidence_interval()
    assert found.interval() == pytest.approx((exact.low - 0.7, exact.high - 0.7))


def test_both_sources_are_the_crossed_analysis_of_variance() -> None:
    """Variance of a grand mean, images and seeds crossed: (MS_i + MS_s - MS_is) / (n G)."""
    statsmodels = pytest.importorskip("statsmodels.formula.api")
    from statsmodels.stats.anova import anova_lm

    n, count = 4, 5
    rng = np.random.default_rng(3)
    values = rng.normal(size=count) + 0.5 * rng.normal(size=(n, 1)) + rng.normal(size=(n, count))
    seeds, images = np.indices(values.shape)
    long = pd.DataFrame({"y": values.ravel(), "seed": seeds.ravel(), "image": images.ravel()})
    table = anova_lm(statsmodels.ols("y ~ C(image) + C(seed)", long).fit())
    of_image, of_seed, of_both = table["mean_sq"] / (n * count)
    weights = every_resample(count)
    found = estimate(sample(values, weights), clusters=count)
    assert found.images == pytest.approx(of_image, rel=1e-3)  # n - 1 of the 3,125 resamples
    assert found.seeds == pytest.approx(of_seed)
    largest = max(of_image, of_seed, of_image + of_seed - of_both)
    assert found.variance == pytest.approx(largest, rel=1e-3)


def test_the_common_part_is_counted_once_and_never_below_either_source() -> None:
    rng = np.random.default_rng(0)
    weights = next(resamples(60, 1, 500, 500))
    alone = estimate(sample(rng.normal(size=(6, 60)), weights), clusters=60)
    assert alone.variance == pytest.approx(max(alone.images, alone.seeds or 0), rel=0.3)
    assert alone.variance >= max(alone.images, alone.seeds or 0)
    apart = rng.normal(size=60) + rng.normal(size=(6, 1))
    both = estimate(sample(apart, weights), clusters=60)
    assert both.variance == pytest.approx(both.images + (both.seeds or 0))


# -- edges ------------------------------------------------------------------------------------


def test_one_seed_of_a_stochastic_method_has_no_known_noise_over_seeds() -> None:
    per_image = np.random.default_rng(1).normal(size=(1, 40))
    weights = next(resamples(40, 1, 500, 500))
    one = sample(per_image, weights)
    found = estimate(one, clusters=40)
    assert found.seeds is None
    assert found.variance == found.images > 0
    assert found.df == pytest.approx(39)
    assert over_images(one, 40).interval() == found.interval()
    certain = Sample((0,), one.values, one.replicates, False)
    assert difference(one, certain, 40).seeds is None
    assert difference(certain, certain, 40).seeds == 0


def test_over_images_leaves_the_seeds_out() -> None:
    rng = np.random.default_rng(1)
    weights = next(resamples(40, 1, 500, 500))
    two = sample(rng.normal(size=40) + 5 * rng.normal(size=(2, 1)), weights)
    assert over_images(two, 40).seeds == 0
    assert over_images(two, 40).variance == estimate(two, 40).images
    assert over_images(two, 40).df == 39
    assert estimate(two, 40).variance > 10 * over_images(two, 40).variance


def test_no_noise_at_all_is_a_point() -> None:
    point = Sample((0,), np.array([0.5]), np.full((1, 7), 0.5), False)
    found = estimate(point, clusters=9)
    assert found.interval() == (0.5, 0.5)
    assert found.detectable() == 0
    assert difference(point, point, 9).interval() == (0, 0)


def test_undefined_resamples_are_left_out() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(1, 300))
    whole = Sample((0,), np.zeros(1), values, False)
    holed = Sample((0,), np.zeros(1), np.c_[values, np.full((1, 50), np.nan)], False)
    assert estimate(holed, 50) == estimate(whole, 50)


def test_small_numbers_of_clusters_widen_the_interval() -> None:
    """Over one part of G clusters by G/(G - 1), over k parts by G/(G - k)."""
    assert inflation(10) == pytest.approx(10 / 9)
    assert inflation(40, 4) == pytest.approx(10 / 9)
    values = Sample((0,), np.zeros(1), np.random.default_rng(4).normal(size=(1, 500)), False)
    few, many = estimate(values, 10), estimate(values, 10**9)
    assert few.images == pytest.approx(many.images * 10 / 9)
    assert few.df == 9
    assert estimate(values, 40, splits=4).df == 36
    assert few.reach() == pytest.approx(stats.t.ppf(0.975, 9) * few.se)


def test_the_smallest_difference_that_would_be_found() -> None:
    found = Estimate(0.0, 1.0, 0.0, 1.0, float("inf"))
    assert found.detectable() == pytest.approx(1.959964 + 0.841621, abs=1e-5)
    few = Estimate(0.0, 1.0, 0.0, 4.0, 9)
    quantiles = stats.t.ppf(0.975, 9) + stats.t.ppf(0.8, 9)
    assert few.detectable() == pytest.approx(2 * quantiles)
    assert few.detectable(power=0.5) == pytest.approx(few.reach())


# -- by simulation ----------------------------------------------------------------------------

WORLDS = {  # standard deviations of images, seeds and image x seed, on the scale of one image
    "images": (1.0, 0.01, 0.1),
    "seeds": (0.1, 1.0, 0.1),
    "image x seed": (0.05, 0.0, 1.0),
    "all": (1.0, 0.1, 1.0),
}


def differences(rng: np.random.Generator, world: str, n: int, count: int, times: int) -> np.ndarray:
    """Paired differences of two methods that are equal in truth: (times, n, G)."""
    images, seeds, both = WORLDS[world]
    return (
        images * rng.normal(size=(times, 1, count))
        + seeds * rng.normal(size=(times, n, 1))
        + both * rng.normal(size=(times, n, count))
    )


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("n", [3, 10])
@pytest.mark.parametrize("count", [10, 50, 200])
def test_coverage(world: str, n: int, count: int) -> None:
    """Where one source dominates, or none, 93 to 97 % of the intervals hold the true value.

    Of three seeds and image x seed noise alone, a little more: no variance is below a source's.
    """
    rng = np.random.default_rng([n, count, *world.encode()])
    weights = next(resamples(count, 5, 250, 250))
    inside = 0
    times = 1200
    for values in differences(rng, world, n, count, times):
        low, high = estimate(sample(values, weights), count).interval()
        inside += low <= 0 <= high
    above = 0.98 if (world, n) == ("image x seed", 3) else 0.97
    assert 0.93 <= inside / times <= above


@pytest.mark.parametrize("count", [50, 200])
def test_two_equal_methods_are_seldom_called_different(count: int) -> None:
    """In five of a hundred at most, where seeds alone would say so in up to every second."""
    rng = np.random.default_rng(count)
    weights = next(resamples(count, 5, 250, 250))
    false = by_seeds_alone = 0
    times = 1000
    for values in differences(rng, "all", 10, count, times):
        left = rng.normal(size=values.shape) + values
        found = difference(sample(left, weights), sample(left - values, weights), count)
        low, high = found.interval()
        false += not low <= 0 <= high
        by_seeds_alone += stats.ttest_1samp(values.mean(axis=1), 0).pvalue < 0.05
    assert false / times <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / times)
    assert by_seeds_alone / times > 0.15


def test_two_nearly_deterministic_classifiers() -> None:
    """Seeds that hardly matter make a test over seeds call any difference of the images real."""
    count, n, times = 200, 3, 1000
    rng = np.random.default_rng(7)
    weights = next(resamples(count, 5, 250, 250))
    false = by_seeds_alone = 0
    for _ in range(times):
        values = rng.normal(size=count) + 0.01 * rng.normal(size=(n, 1))
        found = estimate(sample(values, weights), count)
        low, high = found.interval()
        false += not low <= 0 <= high
        by_seeds_alone += stats.ttest_1samp(values.mean(axis=1), 0).pvalue < 0.05
    assert 0.03 <= false / times <= 0.065
    assert by_seeds_alone / times > 0.5


def test_clusters_have_the_t_interval_and_not_the_percentiles() -> None:
    """Ten subjects of five images, intra-class correlation .2: by images 86 %, by subjects 95 %."""
    subjects, each, times = 10, 5, 1500
    rng = np.random.default_rng(11)
    by_subject = next(resamples(subjects, 3, 400, 400))
    by_image = next(resamples(subjects * each, 3, 400, 400))
    hits = {"images": 0, "t": 0, "percentile": 0}
    for _ in range(times):
        values = np.sqrt(0.2) * rng.normal(size=(subjects, 1))
        values = values + np.sqrt(0.8) * rng.normal(size=(subjects, each))
        of_subjects = sample(values.mean(axis=1)[None], by_subject, stochastic=False)
        of_images = sample(values.reshape(1, -1), by_image, stochastic=False)
        low, high = estimate(of_subjects, subjects).interval()
        hits["t"] += low <= 0 <= high
        low, high = estimate(of_images, subjects * each).interval()
        hits["images"] += low <= 0 <= high
        low, high = np.quantile(of_subjects.replicates, [0.025, 0.975])
        hits["percentile"] += low <= 0 <= high
    assert 0.93 <= hits["t"] / times <= 0.97
    assert hits["percentile"] / times < 0.92
    assert hits["images"] / times < 0.90
