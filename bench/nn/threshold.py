"""The threshold that turns scores into label sets, for scores that have no natural one."""

from __future__ import annotations

import numpy as np


def best_micro_f1(truth: np.ndarray, scores: np.ndarray) -> float:
    """The threshold t that makes micro-F1 of ``scores >= t`` largest.

    Parameters
    ----------
    truth : bool (n, L)
    scores : float (n, L)

    Returns
    -------
    float
        Halfway between two neighbouring scores, or the smallest score; of equally good thresholds
        the lowest. It is a number of the scores' own type, which a comparison would round it to.
        Micro-F1 = 2 tp / (predicted + relevant).
    """
    order = np.argsort(-scores, axis=None, kind="stable")
    ranked, right = scores.ravel()[order], truth.ravel()[order]
    predicted = np.arange(1, len(ranked) + 1)
    f1 = 2 * np.cumsum(right) / (predicted + truth.sum())
    # Equal scores are predicted together: only the last of them is a possible cut.
    cut = np.append(ranked[:-1] > ranked[1:], True)
    best = np.flatnonzero(cut & (f1 >= f1[cut].max()))[-1]
    if best + 1 == len(ranked):
        return float(ranked[best])
    middle = ranked[best + 1] + (ranked[best] - ranked[best + 1]) / 2
    # Neighbouring floats have no number between them.
    return float(middle if middle > ranked[best + 1] else ranked[best])
