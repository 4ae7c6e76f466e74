"""What people score: one half of each image's votes against the other half.

What people score is no upper bound of what methods can, and not on one scale with it: a method is
held against all votes, and may average out noise that a panel of five has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.score.criteria import evaluate

Panel = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""From votes int (n, V): scores float (n, L), labels bool (n, L), and bool (n,): usable at all."""

_PRIOR_WEIGHT = 0.001  # of the label frequencies in a score: they decide between equal shares


@dataclass(frozen=True)
class Human:
    """The criteria of one half of the votes against the other half.

    Attributes
    ----------
    mean, sd : dict of str to float
        Over the random halves, by criterion.
    skipped : float
        Share of the images that had a half without a usable vote, and were left out there.
    splits : int
    """

    mean: dict[str, float]
    sd: dict[str, float]
    skipped: float
    splits: int


def halves(
    votes: np.ndarray, panel: Panel, prior: np.ndarray, kind: str, seed: int, splits: int = 200
) -> Human:
    """Judge one half of the votes against the other, on random halves.

    Parameters
    ----------
    votes : int (n, V)
        How many people chose what, two of them or more for each image.
    panel : callable
        What a panel's votes say (`bench.api.Dataset.panel`).
    prior : float (L,)
        Label frequencies of the training part; they break ties of the scores.
    kind : {"multi", "single"}
    seed : int
        Of the halves.
    splits : int

    Notes
    -----
    Votes are drawn without replacement: floor(m / 2) of an image's m votes predict, the others are
    the truth.
    """
    rng = np.random.default_rng(seed)
    first = np.stack(
        [rng.multivariate_hypergeometric(row, row.sum() // 2, size=splits) for row in votes], axis=1
    )
    by_criterion: dict[str, list[float]] = {}
    skipped = 0
    for drawn in first:
        scores, labels, usable = panel(drawn)
        _, truth, usable_as_truth = panel(votes - drawn)
        kept = usable & usable_as_truth
        skipped += int((~kept).sum())
        scores = scores[kept] + _PRIOR_WEIGHT * prior
        values = evaluate(truth[kept], scores, labels[kept], "sklearn", kind).values
        for name, value in values.items():
            if value is not None:
                by_criterion.setdefault(name, []).append(value)
    return Human(
        {name: float(np.mean(values)) for name, values in by_criterion.items()},
        {
            name: float(np.std(values, ddof=1))
            for name, values in by_criterion.items()
            if len(values) > 1
        },
        skipped / (splits * len(votes)),
        splits,
    )
