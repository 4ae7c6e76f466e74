"""Intervals of a criterion, and of the difference of two methods, from both sources of noise.

A number on one test set would be another on other images and with other seeds; an interval that
knows one of the two alone is too short (X. Bouthillier et al., Accounting for Variance in Machine
Learning Benchmarks, MLSys 2021). Everything that a table, a claim or a comparison calls
"different" is decided by `Estimate`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

LEVEL = 0.95
FEWEST = 3
"""Seeds of a stochastic method from which its noise over seeds counts as known."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One method's values of one criterion on one test set.

    Attributes
    ----------
    seeds : tuple of int
        n of them, different.
    values : float (n,)
        The criterion by seed.
    replicates : float (n, B)
        The criterion by seed on B resamples of the test images, NaN where it is undefined. Samples
        on the same resamples can be compared.
    stochastic : bool
        Whether another seed would give another value. A method that is not has one seed.
    """

    seeds: tuple[int, ...]
    values: np.ndarray
    replicates: np.ndarray
    stochastic: bool


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds, or the difference of two, with its noise.

    Attributes
    ----------
    value : float
    images : float
        Variance of ``value`` over test images.
    seeds : float or None
        Variance of ``value`` over seeds; 0 for deterministic methods, None where a stochastic
        method has one seed, so that nobody knows.
    variance : float
        Of both, their common part counted once; of the images alone where ``seeds`` is None.
    df : float
        Degrees of freedom of ``variance`` (Satterthwaite), infinite where it is 0.
    """

    value: float
    images: float
    seeds: float | None
    variance: float
    df: float

    @property
    def se(self) -> float:
        """The standard error."""
        return float(np.sqrt(self.variance))

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The two-sided t interval."""
        reach = self.reach(level)
        return self.value - reach, self.value + reach

    def reach(self, level: float = LEVEL) -> float:
        """Half the length of the two-sided t interval."""
        return 0.0 if self.variance == 0 else float(stats.t.ppf((1 + level) / 2, self.df)) * self.se

    def chances(self, margin: float) -> tuple[float, float, float]:
        """Probabilities that the true value is below -margin, between the two, above margin.

        They are those of the t distribution behind `interval`, which is also what a Bayesian gets
        who knew nothing before (A. Benavoli et al., JMLR 18 (2017) 77, Sec. 3).
        """
        if self.variance == 0:
            below, above = float(self.value < -margin), float(self.value > margin)
            return below, 1 - below - above, above
        below = float(stats.t.cdf((-margin - self.value) / self.se, self.df))
        above = float(stats.t.sf((margin - self.value) / self.se, self.df))
        return below, max(0.0, 1 - below - above), above

    def detectable(self, power: float = 0.8, level: float = LEVEL) -> float:
        """The smallest true difference that would be found with probability ``power``."""
        if self.variance == 0:
            return 0.0
        quantiles = stats.t.ppf([(1 + level) / 2, power], self.df)
        return float(quantiles.sum()) * self.se


def estimate(sample: Sample, clusters: int, splits: int = 1) -> Estimate:
    """The mean over seeds of one method.

    Parameters
    ----------
    clusters : int
        G, how many things the resamples drew: images, or subjects; more than ``splits``.
    splits : int
        Over how many test parts, each resampled for itself, the values are means; G counts the
        things of all of them.
    """
    return _combined([sample], [1.0], clusters, splits)


def over_images(sample: Sample, clusters: int, splits: int = 1) -> Estimate:
    """As `estimate`, for these very seeds: with the noise of the test images alone."""
    return estimate(replace(sample, stochastic=False), clusters, splits)


def difference(left: Sample, right: Sample, clusters: int, splits: int = 1) -> Estimate:
    """The mean of ``left`` less that of ``right``, on the same resamples.

    Stochastic methods with the same seeds are compared seed by seed; with others, the variances
    over seeds are added.
    """
    if left.stochastic and right.stochastic and left.seeds == right.seeds:
        pairs = Sample(
            left.seeds, left.values - right.values, left.replicates - right.replicates, True
        )
        return _combined([pairs], [1.0], clusters, splits)
    return _combined([left, right], [1.0, -1.0], clusters, splits)


def inflation(clusters: int, splits: int = 1) -> float:
    """By how much the variance over G clusters exceeds that of their bootstrap: it is small there.

    A bootstrap over G clusters has (G - 1)/G of the variance, which matters where G is small; over
    several parts of as many clusters each has (G - splits)/G of it.
    """
    return clusters / (clusters - splits)


def _combined(samples: list[Sample], signs: list[float], clusters: int, splits: int) -> Estimate:
    """A signed sum of independent samples' means.

    The variance over images of the mean holds the image x seed part, as does the variance over
    seeds; it is taken off once, but never below either of the two. So intervals are somewhat too
    long where that part is nearly all there is: of three seeds they cover .97, not .95.
    """
    value = sum(sign * s.values.mean() for s, sign in zip(samples, signs, strict=True))
    means = sum(sign * s.replicates.mean(axis=0) for s, sign in zip(samples, signs, strict=True))
    small = inflation(clusters, splits)
    images = small * _variance(np.asarray(means))
    parts = [seed_parts(s, small) for s in samples if s.stochastic]
    unknown = any(len(s.seeds) < 2 for s in samples if s.stochastic)
    seeds = sum(part[0] for part in parts)
    variance = max(images, seeds, images + seeds - sum(part[1] for part in parts))
    squares = images**2 / (clusters - splits)
    squares += sum(part[0] ** 2 / part[2] for part in parts if part[2])
    df = (images + seeds) ** 2 / squares if squares > 0 else float("inf")
    if 0 < variance == images:  # seeds add nothing of their own
        df = max(df, clusters - splits)
    return Estimate(float(value), images, None if unknown else seeds, variance, df)


def seed_parts(sample: Sample, small: float) -> tuple[float, float, int]:
    """Variance of the mean over n seeds, its image x seed part, degrees of freedom n - 1.

    Parameters
    ----------
    small : float
        See `inflation`.
    """
    n = len(sample.seeds)
    if n < 2:
        return 0.0, 0.0, 0
    single = float(np.mean([_variance(one) for one in sample.replicates]))
    shared = small * (single - _variance(sample.replicates.mean(axis=0))) / (n - 1)
    return float(sample.values.var(ddof=1)) / n, max(shared, 0.0), n - 1


def _variance(replicates: np.ndarray) -> float:
    defined = replicates[~np.isnan(replicates)]
    return float(defined.var(ddof=1)) if len(defined) > 1 else 0.0
