"""What people score: one half of each image's votes against the other half, and methods likewise.

What people score is no upper bound of what methods can. A method's own criteria are held against
all votes, a truth with less noise than half a panel's; only what it scores against the same halves
can be compared with people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bench.score.criteria import evaluate

Panel = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""From votes int (n, V): scores float (n, L), labels bool (n, L), and bool (n,): usable at all."""

_PRIOR_WEIGHT = 0.001  # of the label frequencies in a score: they decide between equal shares


class Halved(NamedTuple):
    """One way to halve the votes of every image.

    Attributes
    ----------
    scores, labels : (n, L)
        What the first half says.
    truth : bool (n, L)
        What the other half says.
    kept : bool (n,)
        Images of which both halves have a usable vote.
    """

    scores: np.ndarray
    labels: np.ndarray
    truth: np.ndarray
    kept: np.ndarray


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
    by_criterion: dict[str, list[float]] = {}
    skipped = 0
    for half in _halvings(votes, panel, seed, splits):
        skipped += int((~half.kept).sum())
        _judge(half, half.scores + _PRIOR_WEIGHT * prior, half.labels, kind, by_criterion)
    return Human(
        _means(by_criterion),
        {
            name: float(np.std(values, ddof=1))
            for name, values in by_criterion.items()
            if len(values) > 1
        },
        skipped / (splits * len(votes)),
        splits,
    )


def against_halves(
    votes: np.ndarray,
    panel: Panel,
    scores: np.ndarray | None,
    labels: np.ndarray | None,
    kind: str,
    seed: int,
    splits: int = 200,
) -> dict[str, float]:
    """A method's criteria on the truth that people are judged by in `halves` with the same seed.

    Parameters
    ----------
    votes, panel, kind, seed, splits
        As for `halves`.
    scores, labels : float and bool (n, L), or None
        What the method says of the images.

    Returns
    -------
    dict of str to float
        Means over the halves, by criterion; without those that the method has no input for.
    """
    by_criterion: dict[str, list[float]] = {}
    for half in _halvings(votes, panel, seed, splits):
        _judge(half, scores, labels, kind, by_criterion)
    return _means(by_criterion)


def _halvings(votes: np.ndarray, panel: Panel, seed: int, splits: int) -> Iterator[Halved]:
    """Random halves of the votes, the same for the same seed."""
    rng = np.random.default_rng(seed)
    first = np.stack(
        [rng.multivariate_hypergeometric(row, row.sum() // 2, size=splits) for row in votes], axis=1
    )
    for drawn in first:
        scores, labels, usable = panel(drawn)
        _, truth, usable_as_truth = panel(votes - drawn)
        yield Halved(scores, labels, truth, usable & usable_as_truth)


def _judge(
    half: Halved,
    scores: np.ndarray | None,
    labels: np.ndarray | None,
    kind: str,
    by_criterion: dict[str, list[float]],
) -> None:
    """Add the criteria on one truth to those on others, where they are defined."""
    kept = half.kept
    scores = None if scores is None else scores[kept]
    labels = None if labels is None else labels[kept]
    values = evaluate(half.truth[kept], scores, labels, "sklearn", kind).values
    for name, value in values.items():
        if value is not None:
            by_criterion.setdefault(name, []).append(value)


def _means(by_criterion: dict[str, list[float]]) -> dict[str, float]:
    return {name: float(np.mean(values)) for name, values in by_criterion.items()}
