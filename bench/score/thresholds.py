"""One threshold that turns scores into label sets, fitted by a rule on images with known labels.

A label is predicted where its score reaches the threshold. Every rule looks for the best cut
through all scores of the fitting images: equal scores are predicted together, and it may predict
none at all. The threshold lies halfway between the two scores beside the cut, and is a number of
the scores' own type, which a comparison would round it to.

Why one rule for every method: Y. Yang, A study of thresholding strategies for text
categorization, SIGIR 2001.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.api import BenchError, near


def best_micro_f1(truth: np.ndarray, scores: np.ndarray) -> float:
    """The threshold t that makes micro-F1 of ``scores >= t`` largest; of equal ones the lowest.

    Parameters
    ----------
    truth : bool (n, L)
    scores : float (n, L), finite

    Notes
    -----
    Micro-F1 = 2 tp / (predicted + relevant), 1 where nothing is relevant and nothing predicted.
    """
    cuts = _Cuts(truth, scores)
    total = cuts.predicted + truth.sum()
    f1 = np.divide(2 * cuts.right, total, out=np.ones(len(total)), where=total > 0)
    return cuts.lowest(f1)


def best_hamming(truth: np.ndarray, scores: np.ndarray) -> float:
    """The threshold with the fewest wrong decisions; parameters as those of `best_micro_f1`."""
    cuts = _Cuts(truth, scores)
    return cuts.lowest(2 * cuts.right - cuts.predicted)  # wrong = predicted + relevant - 2 right


def best_cardinality(truth: np.ndarray, scores: np.ndarray, cardinality: float) -> float:
    """The threshold under which an image has nearly ``cardinality`` labels on average.

    PCut of J. Read, B. Pfahringer, G. Holmes and E. Frank, Classifier chains for multi-label
    classification, Machine Learning 85 (2011) 333–359, Eq. 3; of two equally near cuts the lower.

    Parameters
    ----------
    truth, scores
        As for `best_micro_f1`; the labels of these images have no say.
    cardinality : float in [0, L]
        Labels of a training image, on average.
    """
    cuts = _Cuts(truth, scores)
    return cuts.lowest(-np.abs(cuts.predicted - cardinality * len(scores)))


Rule = Callable[[np.ndarray, np.ndarray, float], float]

RULES: dict[str, Rule] = {
    "cardinality": best_cardinality,
    "micro-f1": lambda truth, scores, _: best_micro_f1(truth, scores),
    "hamming": lambda truth, scores, _: best_hamming(truth, scores),
}


def fitted_threshold(rule: str, truth: np.ndarray, scores: np.ndarray, cardinality: float) -> float:
    """The threshold of a rule by its name.

    Parameters
    ----------
    rule : {"cardinality", "micro-f1", "hamming"}
    truth : bool (n, L)
        Labels of the fitting images, one image or more.
    scores : float (n, L), finite
        What the method says of them.
    cardinality : float
        Labels of a training image, on average.
    """
    if rule not in RULES:
        raise BenchError(f"no threshold rule {rule!r}: {near(rule, RULES)}")
    return RULES[rule](truth, scores, cardinality)


class _Cuts:
    """Every set of decisions that some threshold makes.

    Attributes
    ----------
    predicted, right : int (m,)
        Labels predicted, and how many of them are relevant; by falling threshold, the first of
        which predicts nothing.
    """

    def __init__(self, truth: np.ndarray, scores: np.ndarray) -> None:
        order = np.argsort(-scores, axis=None, kind="stable")
        self._ranked = scores.ravel()[order]
        right = np.append(0, np.cumsum(truth.ravel()[order]))
        cut = np.append(self._ranked[:-1] > self._ranked[1:], True)
        self.predicted = np.append(0, 1 + np.flatnonzero(cut))
        self.right = right[self.predicted]

    def lowest(self, quality: np.ndarray) -> float:
        """The threshold of the best quality (m,), of equally good ones the lowest."""
        count = int(self.predicted[np.flatnonzero(quality == quality.max())[-1]])
        if count == 0:
            return float(np.nextafter(self._ranked[0], self._ranked.dtype.type(np.inf)))
        if count == len(self._ranked):
            return float(self._ranked[-1])
        high, low = self._ranked[count - 1], self._ranked[count]
        middle = low / 2 + high / 2  # their sum may be no number of the type any more
        # Neighbouring floats have no number between them.
        return float(middle if middle > low else high)
