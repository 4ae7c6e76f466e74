"""Several comparisons judged together: the chance that any of them is found where none is real.

Of 24 comparisons at 5 % each, one or another comes out in 23 to 46 % of cases in which nothing
differs. P. H. Westfall and S. S. Young, Resampling-Based Multiple Testing (1993), Algorithm 2.8:
the smallest p is held against the smallest that chance gives to all, the next against the smallest
that chance gives to the rest, and so on (step-down max-T). Comparisons on the same resampled images
keep how they hang together there, so that nine criteria cost less than nine independent ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from bench.score.intervals import Estimate, Sample

DRAWS = 20_000
"""Draws of the seeds' noise in all: each resample of the images serves several."""


def p_value(estimate: Estimate) -> float:
    """Two-sided p of no difference, by the t distribution that the interval is of.

    0 where a difference has no noise at all, 1 where that difference is 0.
    """
    if estimate.variance == 0:
        return float(estimate.value == 0)
    return float(2 * stats.t.sf(abs(estimate.value) / estimate.se, estimate.df))


def image_noise(left: Sample, right: Sample) -> np.ndarray:
    """What the resampled images add to the difference of two samples, float (B,), mean 0."""
    gaps = left.replicates.mean(axis=0) - right.replicates.mean(axis=0)
    return np.asarray(gaps - np.nanmean(gaps) if np.isfinite(gaps).any() else gaps)


def joint_p(estimates: Sequence[Estimate], noise: Sequence[np.ndarray]) -> list[float]:
    """The p of each comparison among all, for the level that any of them is found by chance.

    Parameters
    ----------
    noise : sequence of float (B,)
        `image_noise` of each, on the same resamples where comparisons share images. Comparisons of
        other images have their own, which are independent by how they were drawn.

    Returns
    -------
    list of float
        Never below `p_value`, and equal to it for a single comparison.

    Notes
    -----
    Degrees of freedom differ between comparisons, so that each statistic counts by the normal
    quantile of its own p. Seeds are too few (three, five) to tell how comparisons hang together
    over them: their noise is drawn independently, which errs on the side of a larger p.
    """
    single = np.array([p_value(estimate) for estimate in estimates])
    if len(single) < 2:
        return single.tolist()
    drawn = _null(estimates, noise)
    observed = stats.norm.isf(single / 2)
    order = np.argsort(single, kind="stable")
    adjusted, above = np.empty(len(single)), 0.0
    for place, number in enumerate(order):
        largest = drawn[order[place:]].max(axis=0)
        share = float((largest >= observed[number]).mean())
        above = max(above, share, float(single[number]))
        adjusted[number] = above
    return adjusted.tolist()


def _null(estimates: Sequence[Estimate], noise: Sequence[np.ndarray]) -> np.ndarray:
    """Absolute normal statistics of each comparison where nothing differs, float (k, draws)."""
    rng = np.random.default_rng(0)
    count = max((len(one) for one in noise), default=0) or DRAWS
    images = np.array([_scaled(e, one, count) for e, one in zip(estimates, noise, strict=True)])
    images = np.tile(images, max(1, DRAWS // count))
    rest = [0.0 if e.variance == 0 else 1 - min(e.images / e.variance, 1.0) for e in estimates]
    others = np.sqrt(rest)[:, None] * rng.normal(size=images.shape)
    return np.asarray(np.abs(images + others))


def _scaled(estimate: Estimate, noise: np.ndarray, count: int) -> np.ndarray:
    """The images' noise in standard errors of the comparison, float (count,).

    An undefined resample (a rare label is in none of its images) counts as the largest that is
    defined, which errs on the side of a larger p.
    """
    deviation = float(np.nanstd(noise, ddof=1)) if np.isfinite(noise).sum() > 1 else 0.0
    if estimate.variance == 0 or deviation == 0:
        return np.zeros(count)
    filled = np.where(np.isnan(noise), np.nanmax(np.abs(noise)), noise)
    share = np.sqrt(min(estimate.images / estimate.variance, 1.0))
    return np.resize(filled / deviation, count) * share
