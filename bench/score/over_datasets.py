"""Methods on several datasets: mean ranks, and which of them the datasets tell apart.

J. Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7 (2006) 1–30.
Pairs are tested by Wilcoxon's signed-rank test with Holm's correction and not by the distance of
their mean ranks, which hangs on the other methods of the comparison (A. Benavoli et al., "Should we
really use post-hoc tests based on mean-ranks?", JMLR 17 (2016) 5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from bench.api import BenchError

FEWEST_DATASETS = 10
ALPHA = 0.05


@dataclass(frozen=True)
class Friedman:
    """Friedman's test of "all methods are equal".

    Attributes
    ----------
    chi2 : float
        Of k - 1 degrees of freedom, without a correction for ties, as Demšar has it.
    f : float
        The less conservative statistic of Iman and Davenport made of it; infinite where all
        datasets rank the methods alike.
    df : tuple of int
        Degrees of freedom of ``f``: k - 1 and (k - 1)(N - 1).
    p : float
        Of ``f``.
    """

    chi2: float
    f: float
    df: tuple[int, int]
    p: float


@dataclass(frozen=True, eq=False)
class DatasetRanks:
    """k methods on N datasets.

    Attributes
    ----------
    mean : float (k,)
        Mean rank of each method, 1 the best; equal values share their ranks.
    friedman : Friedman or None
        None for two methods, of whom Wilcoxon's test says all.
    p : float (k, k)
        Of Wilcoxon's signed-rank test of each pair, by Holm's correction for all pairs; 1 on the
        diagonal. Differences of 0 are split between the two signs, as Demšar has it.
    critical : float
        By how much two mean ranks differ where Nemenyi's test tells them apart.
    """

    mean: np.ndarray
    friedman: Friedman | None
    p: np.ndarray
    critical: float


def compare_over_datasets(values: np.ndarray, higher_is_better: bool) -> DatasetRanks:
    """Compare methods over datasets.

    Parameters
    ----------
    values : float (N, k)
        A criterion of each method (columns, two or more) on each dataset.

    Raises
    ------
    BenchError
        Fewer than `FEWEST_DATASETS` datasets; says how far apart ranks would have to be.
    """
    count, methods = values.shape
    critical = critical_difference(count, methods)
    if count < FEWEST_DATASETS:
        raise BenchError(
            f"tests over datasets need at least {FEWEST_DATASETS} of them, and here are {count}: "
            f"the mean ranks of {methods} methods on so few would have to differ by {critical:.1f} "
            f"of at most {methods - 1}"
        )
    places = stats.rankdata(-values if higher_is_better else values, axis=1)
    mean = places.mean(axis=0)
    friedman = _friedman(mean, count) if methods > 2 else None
    return DatasetRanks(mean, friedman, _wilcoxon_holm(values), critical)


def critical_difference(datasets: int, methods: int) -> float:
    """Of mean ranks, by P. B. Nemenyi's test at the level `ALPHA`."""
    quantile = stats.studentized_range.ppf(1 - ALPHA, methods, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(methods * (methods + 1) / (6 * datasets)))


def _friedman(mean: np.ndarray, count: int) -> Friedman:
    k = len(mean)
    chi2 = 12 * count / (k * (k + 1)) * float((mean**2).sum() - k * (k + 1) ** 2 / 4)
    rest = count * (k - 1) - chi2
    # All datasets rank alike: what remains is rounding.
    f = (count - 1) * chi2 / rest if rest > 1e-9 * count else float("inf")
    df = (k - 1, (k - 1) * (count - 1))
    return Friedman(chi2, f, df, float(stats.f.sf(f, *df)))


def _wilcoxon_holm(values: np.ndarray) -> np.ndarray:
    # Imported here: with matplotlib and statsmodels it takes seconds, and nothing else needs it.
    import pandas as pd
    from scikit_posthocs import posthoc_wilcoxon

    long = pd.DataFrame(
        {
            "method": np.repeat(np.arange(values.shape[1]), len(values)),
            "value": values.T.ravel(),
        }
    )
    table = posthoc_wilcoxon(
        long, val_col="value", group_col="method", zero_method="zsplit", p_adjust="holm"
    )
    return np.asarray(table, dtype=float)
