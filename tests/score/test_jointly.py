"""Comparisons judged together: against loops, statsmodels, and what chance gives."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from bench.score.intervals import Estimate, Sample, difference
from bench.score.jointly import image_noise, joint_p, p_value

IMAGES = 400


def seeded(values: np.ndarray, replicates: np.ndarray) -> Sample:
    return Sample(tuple(range(len(values))), values, replicates, stochastic=True)


def from_images(gaps: np.ndarray, draws: np.ndarray) -> tuple[Estimate, np.ndarray]:
    """The mean of one gap an image, as two methods without seeds have it."""
    replicates = (draws * gaps[:, None]).mean(axis=0)[None]
    left = Sample((0,), np.array([gaps.mean()]), replicates, stochastic=False)
    right = Sample((0,), np.zeros(1), np.zeros_like(replicates), stochastic=False)
    return difference(left, right, len(gaps)), image_noise(left, right)


def test_p_is_that_of_the_interval() -> None:
    one = Estimate(0.02, 1e-4, 4e-5, 1.2e-4, 5.3)
    p = p_value(one)
    assert one.interval(1 - p)[0] == pytest.approx(0, abs=1e-12)
    assert p_value(Estimate(0.0, 0.0, 0.0, 0.0, np.inf)) == 1
    assert p_value(Estimate(0.1, 0.0, 0.0, 0.0, np.inf)) == 0


def test_one_comparison_keeps_its_p() -> None:
    one = Estimate(0.02, 1e-4, 4e-5, 1.2e-4, 5.3)
    assert joint_p([one], [np.zeros(9)]) == [p_value(one)]
    assert joint_p([], []) == []


def test_it_is_what_loops_count() -> None:
    rng = np.random.default_rng(3)
    draws = rng.multinomial(IMAGES, [1 / IMAGES] * IMAGES, size=1000).T.astype(float)
    gaps = rng.normal(size=(IMAGES, 5)) @ np.linalg.cholesky(np.full((5, 5), 0.6) + 0.4 * np.eye(5))
    made = [from_images(gaps[:, j] + 0.03 * j, draws) for j in range(5)]
    found = joint_p([e for e, _ in made], [noise for _, noise in made])
    statistics = [np.abs(noise) / noise.std(ddof=1) for _, noise in made]
    singles = [p_value(e) for e, _ in made]
    above, expected = 0.0, [0.0] * 5
    left = sorted(range(5), key=lambda j: singles[j])
    while left:
        observed = stats.norm.isf(singles[left[0]] / 2)
        hits = sum(max(statistics[j][b] for j in left) >= observed for b in range(1000))
        above = max(above, hits / 1000, singles[left[0]])
        expected[left.pop(0)] = above
    assert found == pytest.approx(expected, abs=1e-12)


def test_independent_comparisons_are_holm_sidaks() -> None:
    rng = np.random.default_rng(5)
    made = [Estimate(v, 0.0, 1e-4, 1e-4, 4.0) for v in (0.021, 0.048, 0.03, 0.004)]
    found = joint_p(made, [np.zeros(1000) for _ in made])
    expected = multipletests([p_value(e) for e in made], method="holm-sidak")[1]
    assert found == pytest.approx(expected, abs=0.012)
    images = [Estimate(v, 1e-4, 0.0, 1e-4, 399.0) for v in (0.021, 0.03, 0.012)]
    found = joint_p(images, [rng.normal(size=20_000) for _ in images])
    expected = multipletests([p_value(e) for e in images], method="holm-sidak")[1]
    assert found == pytest.approx(expected, abs=0.012)


def test_comparisons_that_are_one_cost_nothing() -> None:
    noise = np.random.default_rng(0).normal(size=1000)
    made = [Estimate(0.022, 1e-4, 0.0, 1e-4, 399.0)] * 9
    assert joint_p(made, [noise] * 9) == pytest.approx([p_value(made[0])] * 9, abs=0.01)


def test_it_lies_between_each_alone_and_bonferroni() -> None:
    rng = np.random.default_rng(7)
    shared = rng.normal(size=1000)
    noise = [0.7 * shared + 0.7 * rng.normal(size=1000) for _ in range(9)]
    made = [Estimate(0.03 * rng.normal(), 6e-5, 4e-5, 1e-4, 9.0) for _ in noise]
    single = np.array([p_value(e) for e in made])
    found = np.array(joint_p(made, noise))
    assert (found >= single).all()
    assert (found <= np.minimum(9 * single, 1) + 0.01).all()
    assert (np.diff(found[np.argsort(single)]) >= 0).all()


def test_undefined_resamples_do_not_help() -> None:
    rng = np.random.default_rng(11)
    noise = [rng.normal(size=2000) for _ in range(3)]
    made = [Estimate(0.025, 1e-4, 0.0, 1e-4, 399.0) for _ in noise]
    whole = joint_p(made, noise)
    holed = [np.where(np.arange(2000) % 50 == 0, np.nan, one) for one in noise]
    assert all(a >= b for a, b in zip(joint_p(made, holed), whole, strict=True))
    assert joint_p([made[0], Estimate(0.0, 0.0, 0.0, 0.0, np.inf)], [noise[0], np.full(9, np.nan)])


def test_the_noise_of_images_is_paired_and_has_no_mean() -> None:
    rng = np.random.default_rng(13)
    both = rng.normal(size=(3, 1000))
    left, right = seeded(np.zeros(3), both + 0.5), seeded(np.zeros(3), both)
    assert image_noise(left, right) == pytest.approx(np.zeros(1000), abs=1e-12)
    alone = image_noise(left, seeded(np.zeros(3), 0 * both))
    assert alone == pytest.approx(both.mean(axis=0) - both.mean())


@pytest.mark.parametrize("seeds", [0, 3])
def test_any_of_nine_is_found_by_chance_in_at_most_five_per_cent(seeds: int) -> None:
    """Nine criteria that correlate at .57, nothing differing; alone, one comes out far oftener."""
    rng = np.random.default_rng(17)
    root = np.linalg.cholesky(np.full((9, 9), 0.57) + 0.43 * np.eye(9))
    trials, joint, alone = 200, 0, 0
    for _ in range(trials):
        truth = 0.01 * root @ rng.normal(size=9)
        drawn = 0.01 * root @ rng.normal(size=(9, 300))
        trained = 0.008 * root @ rng.normal(size=(9, max(seeds, 1)))
        made, noise = [], []
        for j in range(9):
            values = truth[j] + (trained[j] if seeds else np.zeros(1))
            left = Sample(
                tuple(range(len(values))),
                values,
                np.tile(drawn[j], (len(values), 1)),
                stochastic=seeds > 0,
            )
            right = Sample((0,), np.zeros(1), np.zeros((1, 300)), stochastic=False)
            made.append(difference(left, right, IMAGES))
            noise.append(image_noise(left, right))
        joint += min(joint_p(made, noise)) <= 0.05
        alone += min(p_value(e) for e in made) <= 0.05
    assert joint <= stats.binom.ppf(0.99, trials, 0.05)
    assert alone > 0.1 * trials
