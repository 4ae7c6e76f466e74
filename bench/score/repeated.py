"""The difference of two methods on repeated folds, whose training parts share most rows."""

from __future__ import annotations

import numpy as np

from bench.api import BenchError
from bench.score.intervals import Estimate


def repeated_folds(differences: np.ndarray, ratio: float) -> Estimate:
    """The corrected resampled t-test of C. Nadeau and Y. Bengio, Machine Learning 52 (2003) 239.

    Each fold is no new experiment: their differences correlate, and s²/J alone would be several
    times too small. The variance of the mean is s² (1/J + n_test/n_train).

    Parameters
    ----------
    differences : float (J,)
        Of each fold of each repetition, J of at least 2.
    ratio : float
        n_test/n_train of a fold, above 0.

    Returns
    -------
    Estimate
        J - 1 degrees of freedom. A fold changes test images, training rows and seeds at once:
        ``images`` holds all of the variance.

    Raises
    ------
    BenchError
        Fewer than two folds.
    """
    count = len(differences)
    if count < 2:
        raise BenchError(f"repeated folds: {count} of them have results, two are the fewest")
    variance = float(np.var(differences, ddof=1)) * (1 / count + ratio)
    return Estimate(float(np.mean(differences)), variance, 0.0, variance, count - 1)
