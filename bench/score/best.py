"""Which methods cannot be told from the best one, and which ranks they may have.

The best of many methods on one test set is partly the luckiest. J. C. Hsu, Multiple Comparisons:
Theory and Methods, 1996, Ch. 4, compares each with the best: with probability .95 or more, the
method that is truly best is among those that are not told from the best one.

The critical value of a method is that of all its differences at once: the .95 quantile of the
largest of them, studentised, over resamples of the test images that all methods share and draws of
the noise over seeds. Variances differ from method to method, and those over three seeds are hardly
known; so the value is found for normal noise and taken to the degrees of freedom of each difference
at the same probability (M. Hasler and L. A. Hothorn, The International Journal of Biostatistics 4
(2008) 1, Art. 14).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bench.score.intervals import LEVEL, Sample, difference, inflation, seed_parts

_ROUNDING = 1e-9  # share of the largest deviation below which there is none
_SEED = 20_190  # of the draws, so that tables are the same bytes each time


@dataclass(frozen=True, eq=False)
class Best:
    """What is best of R methods.

    Attributes
    ----------
    first : bool (R,)
        The best value; several where it is shared.
    alike : bool (R,)
        The others that cannot be told from it.
    critical : float (R,)
        Of each method against all others, on the scale of a standard normal deviate.
    """

    first: np.ndarray
    alike: np.ndarray
    critical: np.ndarray


@dataclass(frozen=True, eq=False)
class Ranks:
    """Where R methods may stand; 1 is best.

    Attributes
    ----------
    rank, low, high : float (R,)
        By value (the mean rank of those that share it), and the 95 % interval.
    best : float (R,)
        The probability of being best; they add up to 1.
    """

    rank: np.ndarray
    low: np.ndarray
    high: np.ndarray
    best: np.ndarray


def best(samples: Sequence[Sample], sign: int, clusters: int, splits: int = 1) -> Best:
    """Compare methods with the best of them.

    Parameters
    ----------
    samples : sequence of Sample
        One of each method, all on the same resamples; stochastic ones with 2 seeds or more.
    sign : {1, -1}
        1 where higher is better, -1 where lower is.
    clusters, splits : int
        As for `bench.score.intervals.estimate`.
    """
    values = np.array([sign * sample.values.mean() for sample in samples])
    critical = _critical(sign * noise(samples, clusters, splits))
    leader = samples[int(values.argmax())]
    alike = np.array(
        [
            not _told_apart(leader, sample, sign, value, clusters, splits)
            for sample, value in zip(samples, critical, strict=True)
        ]
    )
    first = values == values.max()
    return Best(first, alike & ~first, critical)


def _told_apart(
    leader: Sample, other: Sample, sign: int, critical: float, clusters: int, splits: int
) -> bool:
    found = difference(leader, other, clusters, splits)
    if found.variance == 0:
        return sign * found.value > 0
    reach = stats.t.isf(stats.norm.sf(critical), found.df) * found.se
    return bool(sign * found.value >= reach)


def noise(
    samples: Sequence[Sample], clusters: int, splits: int = 1, heavy: bool = False
) -> np.ndarray:
    """Draws of how far each method's mean over seeds is from its true value: float (R, B).

    Parameters
    ----------
    heavy : bool
        Whether the noise over n seeds is drawn by t with n - 1 degrees of freedom, as its variance
        is not known, or is normal.

    Notes
    -----
    Resamples on which the criterion is undefined for a method are left out.
    """
    rng = np.random.default_rng(_SEED)
    small = inflation(clusters, splits)
    means = np.array([sample.replicates.mean(axis=0) for sample in samples])
    means = means[:, ~np.isnan(means).any(axis=0)]
    draws = np.sqrt(small) * (means - means.mean(axis=1, keepdims=True))
    for row, sample in zip(draws, samples, strict=True):
        if sample.stochastic and len(sample.seeds) > 1:
            variance, shared, df = seed_parts(sample, small)
            shape = rng.standard_t(df, len(row)) if heavy else rng.standard_normal(len(row))
            row += np.sqrt(max(variance - shared, 0.0)) * shape  # the rest is in the images' noise
    return draws


def _critical(draws: np.ndarray) -> np.ndarray:
    """Of each row, the quantile of its largest studentised difference to another: float (R,).

    A quantile of B draws is itself uncertain, by the error of the share of draws below it; it is
    taken one such standard error higher, and never below that of a single difference.
    """
    least = float(stats.norm.ppf(LEVEL))
    level = LEVEL + np.sqrt(LEVEL * (1 - LEVEL) / max(draws.shape[1], 1))
    values = np.full(len(draws), least)
    for i, row in enumerate(draws):
        gaps = draws - row
        sd = gaps.std(axis=1)
        noisy = sd > _ROUNDING * sd.max()
        if noisy.any():
            largest = (gaps[noisy] / sd[noisy, None]).max(axis=0)
            values[i] = max(least, float(np.quantile(largest, min(level, 1.0))))
    return values


def ranks(samples: Sequence[Sample], sign: int, clusters: int, splits: int = 1) -> Ranks:
    """Ranks with intervals; the parameters are those of `best`."""
    values = np.array([sign * sample.values.mean() for sample in samples])
    drawn = values[:, None] + sign * noise(samples, clusters, splits, heavy=True)
    places = stats.rankdata(-drawn, axis=0)
    bounds = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low, high = np.quantile(places, bounds, axis=1, method="inverted_cdf")
    top = drawn == drawn.max(axis=0)
    return Ranks(stats.rankdata(-values), low, high, (top / top.sum(axis=0)).mean(axis=1))
