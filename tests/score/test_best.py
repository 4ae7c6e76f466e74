"""Multiple comparisons with the best: by simulation, and on what is certain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from bench.score.best import Best, best, noise, ranks
from bench.score.bootstrap import resamples
from bench.score.intervals import Sample

G = 200
WEIGHTS = next(resamples(G, 3, 300, 300))


def world(
    rng: np.random.Generator,
    effects: Sequence[float],
    seeds: Sequence[int],
    own: float = 1.0,
    over_seeds: float = 0.05,
    both: float = 0.2,
) -> list[Sample]:
    """Methods of these true values on one set of images; 0 seeds: a deterministic one.

    Their noise over images is half shared, that over seeds is each one's own.
    """
    common = rng.normal(size=G)
    samples = []
    for effect, n in zip(effects, seeds, strict=True):
        values = effect + common + own * rng.normal(size=G)
        per_image = values[None]
        if n:
            per_image = values + over_seeds * rng.normal(size=(n, 1))
            per_image = per_image + both * rng.normal(size=(n, G))
        samples.append(
            Sample(
                tuple(range(max(n, 1))),
                per_image.mean(axis=1),
                per_image @ WEIGHTS / G,
                stochastic=n > 0,
            )
        )
    return samples


def kept(found: Best) -> np.ndarray:
    return found.first | found.alike


MIXED = [3, 0, 10, 3, 5, 0, 3, 3, 10, 3]


@pytest.mark.parametrize(
    ("seeds", "options"),
    [
        ([0] * 10, {}),
        (MIXED, {}),
        ([3] * 10, {"own": 0.1, "over_seeds": 0.1}),  # seeds matter most
        ([3] * 10, {"own": 0.1, "over_seeds": 0.0, "both": 1.0}),  # image x seed
        ([10] * 10, {"own": 0.1, "over_seeds": 0.1}),
    ],
    ids=["deterministic", "mixed", "three seeds", "image x seed", "ten seeds"],
)
def test_at_no_effect_the_best_row_is_kept(seeds, options) -> None:
    """With 95 % probability or more; each row may be called the truly best one here."""
    rng = np.random.default_rng(len(options) + seeds[0])
    times = 250
    shares = np.mean(
        [kept(best(world(rng, [0.0] * 10, seeds, **options), 1, G)) for _ in range(times)], axis=0
    )
    # the rows of one simulation are not independent: the error is about that of one row
    assert shares.mean() >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / times) / 2
    assert shares.min() >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / times)


def test_a_quiet_best_row_among_noisy_ones_is_kept() -> None:
    """The luckiest of the noisy rows leads; the quiet one must not be held against its noise."""
    rng = np.random.default_rng(5)
    inside, times = 0, 200
    for _ in range(times):
        samples = world(rng, [0.0] * 20, [0] * 20)
        quiet = world(rng, [0.0], [0], own=0.01)[0]
        inside += bool(kept(best([quiet, *samples], 1, G))[0])
    assert inside / times >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / times)


def test_the_best_of_slightly_different_rows_is_kept() -> None:
    rng = np.random.default_rng(6)
    effects = [0.02, 0.0, 0.0, -0.02, -0.05, 0.01, 0.0, 0.0, 0.0, 0.0]
    times = 300
    inside = sum(bool(kept(best(world(rng, effects, MIXED), 1, G))[0]) for _ in range(times))
    assert inside / times >= 0.95


@pytest.mark.parametrize("sign", [1, -1])
def test_a_clear_winner_stands_alone(sign: int) -> None:
    rng = np.random.default_rng(7)
    alone = 0
    for _ in range(50):
        found = best(world(rng, [sign * 1.0, *[0.0] * 9], MIXED), sign, G)
        alone += found.first[0] and not found.alike.any()
    assert alone == 50


def test_critical_values_of_forty_rows() -> None:
    """About 2.9 where one comparison alone has 1.64."""
    found = best(world(np.random.default_rng(8), [0.0] * 40, [3] * 40), 1, G)
    assert np.median(found.critical) == pytest.approx(2.9, abs=0.15)
    two = best(world(np.random.default_rng(8), [0.0] * 2, [3] * 2), 1, G)
    assert two.critical == pytest.approx([1.8, 1.8], abs=0.25)
    assert (found.critical >= 1.64).all()


def test_three_seeds_tell_less_than_thirty() -> None:
    """A difference of 2.5 standard errors: of three seeds the error itself is hardly known."""
    fixed = Sample((0,), np.array([1.0]), np.full((1, 300), 1.0), False)
    for n, alike in ((3, True), (30, False)):
        values = np.resize([-1.0, 0.0, 1.0], n)
        values = 0.8 + 0.08 * np.sqrt(n) * values / values.std(ddof=1)
        few = Sample(tuple(range(n)), values, np.repeat(values[:, None], 300, axis=1), True)
        assert best([fixed, few], 1, G).alike.tolist() == [False, alike]


FLAT = np.zeros(101)
TILT = np.linspace(-1, 1, 101)


def exact(*replicates: np.ndarray) -> list[Sample]:
    return [Sample((0,), np.array([r.mean()]), r[None], False) for r in replicates]


@pytest.mark.parametrize(
    ("rows", "first", "alike"),
    [
        ((FLAT + 1, FLAT + 2, FLAT + 3), [True, False, False], [False] * 3),
        # all the same: each is best
        ((FLAT + 1, FLAT + 1), [True, True], [False, False]),
        ((FLAT + 1, FLAT + 1.9 + 2 * TILT, FLAT + 9), [True, False, False], [False, True, False]),
        # common noise cancels in pairs
        ((TILT, TILT + 0.1), [True, False], [False, False]),
        # the second is surely worse, the third may be better
        ((FLAT, FLAT + 0.1, 0.2 + TILT), [True, False, False], [False, False, True]),
        ((FLAT,), [True], [False]),
    ],
)
def test_by_hand(rows, first, alike) -> None:
    found = best(exact(*rows), -1, 1000)
    assert (found.first.tolist(), found.alike.tolist()) == (first, alike)
    upside = best(exact(*(-row for row in rows)), 1, 1000)
    assert (upside.first.tolist(), upside.alike.tolist()) == (first, alike)


def test_the_same_rows_have_the_same_marks_each_time() -> None:
    samples = world(np.random.default_rng(9), [0.0] * 6, [3] * 6)
    one, again = best(samples, 1, G), best(samples, 1, G)
    assert np.array_equal(one.critical, again.critical)
    assert np.array_equal(one.alike, again.alike)
    assert np.array_equal(ranks(samples, 1, G).best, ranks(samples, 1, G).best)


def test_undefined_resamples_are_left_out() -> None:
    samples = world(np.random.default_rng(10), [0.0, 0.1], [0, 3])
    holed = [
        Sample(
            s.seeds, s.values, np.c_[s.replicates, np.full((len(s.seeds), 9), np.nan)], s.stochastic
        )
        for s in samples
    ]
    assert np.array_equal(best(holed, 1, G).critical, best(samples, 1, G).critical)
    assert not np.isnan(noise(holed, G)).any()


def test_noise_has_the_variance_of_the_estimates() -> None:
    samples = world(np.random.default_rng(11), [0.0] * 3, [0, 10, 10], over_seeds=0.3)
    from bench.score.intervals import estimate

    for draws, sample in zip(noise(samples, G), samples, strict=True):
        assert draws.std() == pytest.approx(estimate(sample, G).se, rel=0.15)


def test_ranks() -> None:
    samples = world(np.random.default_rng(12), [3.0, 0.0, 0.0, -3.0], [0, 3, 0, 3])
    up, down = ranks(samples, 1, G), ranks(samples, -1, G)
    assert (up.rank[0], up.low[0], up.high[0], up.best[0]) == (1, 1, 1, 1)
    assert (up.rank[3], up.low[3], up.high[3], up.best[3]) == (4, 4, 4, 0)
    assert sorted(up.rank[1:3]) == [2, 3]
    assert up.low[1:3].tolist() == [2, 2]
    assert up.high[1:3].tolist() == [3, 3]
    assert down.rank.tolist() == (5 - up.rank).tolist()
    assert up.best.sum() == pytest.approx(1)


def test_rows_that_are_the_same_share_rank_and_probability() -> None:
    found = ranks(exact(TILT, TILT, TILT + 5), -1, 1000)
    assert found.rank.tolist() == [1.5, 1.5, 3]
    assert found.best.tolist() == [0.5, 0.5, 0]
