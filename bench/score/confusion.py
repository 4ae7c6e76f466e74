"""The confusion matrix of single-label recognition."""

from __future__ import annotations

import numpy as np


def confusion(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """How many images of each class were taken for each class.

    Parameters
    ----------
    truth : bool (n, L)
        One class per row.
    scores : float (n, L)
        The class predicted is the highest score, the first column in a tie, as in accuracy
        (`bench.score.criteria.Accuracy`), which is the trace over the sum.

    Returns
    -------
    int64 (L, L)
        Rows are true classes, columns predicted ones.
    """
    count = truth.shape[1]
    cells = truth.argmax(axis=1) * count + scores.argmax(axis=1)
    return np.bincount(cells, minlength=count**2).reshape(count, count)


def row_percent(counts: np.ndarray) -> np.ndarray:
    """Percent of each true class, float (L, L); NaN in rows of classes without an image."""
    totals = counts.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.asarray(100 * counts / totals)
