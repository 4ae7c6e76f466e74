"""Which of two methods is right on the images that only one of them gets right."""

from __future__ import annotations

import numpy as np
from scipy.stats import binomtest

from bench.api import BenchError


def mcnemar(first_right: np.ndarray, second_right: np.ndarray) -> tuple[int, int, float]:
    """The exact two-sided test of Q. McNemar, Psychometrika 12 (1947) 153–157.

    Parameters
    ----------
    first_right, second_right : bool (n,)
        Whether each method is right on each of the same images.

    Returns
    -------
    int, int, float
        Images that the second method corrects, images that it breaks, and the probability of a
        split at least as uneven where a fair coin decides each of them: 1 where there are none.

    Raises
    ------
    BenchError
        Two lengths.
    """
    first, second = np.asarray(first_right, bool), np.asarray(second_right, bool)
    if first.shape != second.shape or first.ndim != 1:
        raise BenchError(
            f"McNemar's test compares two methods on the same images: got {first.shape} and "
            f"{second.shape}, one truth value per image is wanted"
        )
    corrected = int((second & ~first).sum())
    broken = int((first & ~second).sum())
    if not corrected + broken:
        return 0, 0, 1.0
    return corrected, broken, float(binomtest(corrected, corrected + broken).pvalue)
