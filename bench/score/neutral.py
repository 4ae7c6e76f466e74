"""The ranking criteria where tied labels stand in random order: no convention, its expectation.

Classifiers that vote give equal scores in most rows, and what a convention makes of them moves
numbers more than methods do. The expected value over all orders of the tied labels favours none.
"""

from __future__ import annotations

import numpy as np

from bench.score.predictions import Predictions, Ranking


def tie_neutral(truth: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Coverage, one-error, ranking loss and average precision, tied labels in random order.

    Parameters
    ----------
    truth : bool (n, L)
    scores : float (n, L)

    Returns
    -------
    dict of str to float
        By the criterion's name. Rows with no or with all labels as by the ``sklearn`` convention.

    Raises
    ------
    BenchError
        See `bench.score.predictions.Predictions`.
    """
    order = Predictions(truth, scores, None, "sklearn", "multi").ranking
    before, size = order.before, order.last - order.before
    relevant = order.hits(order.last) - order.hits(before)  # labels of each tied group
    rows = {
        "coverage": _coverage(order, before, size, relevant),
        "one_error": 1 - relevant[:, 0] / size[:, 0],
        "ranking_loss": _ranking_loss(order, before, size, relevant),
        "average_precision": _average_precision(order, before, size, relevant),
    }
    return {name: float(values.mean()) for name, values in rows.items()}


def _coverage(
    order: Ranking, before: np.ndarray, size: np.ndarray, relevant: np.ndarray
) -> np.ndarray:
    """Of r labels among t in random order the last stands at r (t + 1) / (r + 1)."""
    deepest = before + relevant * (size + 1) / (relevant + 1)
    return np.maximum(np.where(order.relevant, deepest, 0).max(axis=1) - 1, 0)


def _ranking_loss(
    order: Ranking, before: np.ndarray, size: np.ndarray, relevant: np.ndarray
) -> np.ndarray:
    """An irrelevant label that is tied with a relevant one stands above it half the time."""
    above = before - order.hits(before) + (size - relevant) / 2
    wrong = (above * order.relevant).sum(axis=1)
    return np.asarray(wrong / np.maximum(order.present * order.absent, 1))


def _average_precision(
    order: Ranking, before: np.ndarray, size: np.ndarray, relevant: np.ndarray
) -> np.ndarray:
    """A relevant label stands at each place of its group alike; the others of it are in the rest.

    At place j of t, (j - 1) (r - 1) / (t - 1) of the r - 1 others are expected above.
    """
    hits, share = order.hits(before), (relevant - 1) / np.maximum(size - 1, 1)
    precision = np.zeros(size.shape)
    for place in range(1, int(size.max()) + 1):
        at = (hits + 1 + (place - 1) * share) / (before + place)
        precision += np.where(place <= size, at, 0)
    summed = (precision / size * order.relevant).sum(axis=1)
    return np.where(order.present > 0, summed / np.maximum(order.present, 1), 1.0)
