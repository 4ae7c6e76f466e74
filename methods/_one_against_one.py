"""One machine for each pair of classes, and what their votes say.

C.-C. Chang and C.-J. Lin, LIBSVM, ACM TIST 2 (2011) 27, Sec. 7: each machine is trained on the rows
of its two classes and votes for one of them; the class with most votes wins, in a tie the first.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

_MARGIN = 0.2  # below half of what tells two numbers of votes, or the class predicted, apart


def pairs_of(present: np.ndarray) -> list[tuple[int, int]]:
    """The pairs i < j of the classes that are ``present`` bool (L,), in order."""
    return list(combinations(np.flatnonzero(present).tolist(), 2))


def winners(decisions: np.ndarray, pairs: list[tuple[int, int]], present: np.ndarray) -> np.ndarray:
    """The class of each row: most votes, the first in a tie; int (n,).

    Parameters
    ----------
    decisions : float (n, P)
        Of the machine of each pair: above 0 for its first class, else for its second.
    pairs : list of (int, int)
        As `pairs_of` gives them.
    present : bool (L,)
        Classes with training rows; the others are never predicted.
    """
    return np.asarray(_votes(decisions, pairs, present)[0].argmax(axis=1))


def ranking_scores(
    decisions: np.ndarray, pairs: list[tuple[int, int]], present: np.ndarray
) -> np.ndarray:
    """Scores that rank all classes and have the predicted one (`winners`) on top, float (n, L).

    The number of votes; within it the sum m of a class's signed decision values, squeezed into
    0.2 m / (|m| + 1), so that it never outweighs a vote; and 1/2 more for the class predicted, so
    that the margin never outweighs the rule for ties. Classes without training rows have -1, the
    lowest.
    """
    votes, margins = _votes(decisions, pairs, present)
    scores = votes + _MARGIN * margins / (np.abs(margins) + 1)
    scores[np.arange(len(scores)), votes.argmax(axis=1)] += 0.5
    return scores


def _votes(
    decisions: np.ndarray, pairs: list[tuple[int, int]], present: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Votes (-1 for absent classes) and sums of signed decision values, float (n, L) both."""
    votes = np.tile(np.where(present, 0.0, -1.0), (len(decisions), 1))
    margins = np.zeros_like(votes)
    for (first, second), decision in zip(pairs, decisions.T, strict=True):
        votes[:, first] += decision > 0
        votes[:, second] += decision <= 0
        margins[:, first] += decision
        margins[:, second] -= decision
    return votes, margins
