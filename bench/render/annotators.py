"""Simulated annotators of known reliability, and RAF-ML's rule from votes to labels.

What is shown on a rendered face is known, what it is called is voted on, as in real datasets. The
crowd is the size of RAF-ML's: 315 people of whom 285 are kept, about 40 votes an image
(S. Li and W. Deng, IJCV 127 (2019) 884-906).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

CLASSES = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
_BLOCK = 512  # candidates polled at once
_TOLERANCE = 1e-9  # 1/6 itself is a label; shares of k/n votes meet it only up to rounding


@dataclass(frozen=True)
class Crowd:
    """Annotators and how far to trust them.

    Attributes
    ----------
    reliability : float (a,)
        An honest annotator votes by what the face shows with this probability and at random
        otherwise; 0 is a guesser, below 0 one who avoids what he sees (-1/6: wholly).
    favourite : int (a,)
        The class that a careless annotator always ticks; -1 for everyone else.
    """

    reliability: np.ndarray
    favourite: np.ndarray

    def __len__(self) -> int:
        return len(self.reliability)

    @property
    def honest(self) -> np.ndarray:
        """Bool (a,): reliability of at least .3 and no favourite; only their votes are kept."""
        return (self.reliability >= 0.3) & (self.favourite < 0)


def hire(rng: np.random.Generator, size: int = 315, spammers: int = 30) -> Crowd:
    """Draw a crowd: reliability .3 + .7 Beta(9, 2), and spammers of four kinds.

    Of the spammers two fifths guess, and a fifth each always tick one class, avoid what they see,
    and hardly look (reliability .25). They stand at random places.
    """
    reliability = 0.3 + 0.7 * rng.beta(9, 2, size)
    favourite = np.full(size, -1)
    bad = rng.permutation(size)[:spammers]
    guess, constant, adverse = (round(spammers * share) for share in (0.4, 0.6, 0.8))
    reliability[bad[:constant]] = 0.0
    favourite[bad[guess:constant]] = rng.integers(len(CLASSES), size=constant - guess)
    reliability[bad[constant:adverse]] = -1 / (len(CLASSES) - 1)
    reliability[bad[adverse:]] = 0.25
    return Crowd(reliability, favourite)


@dataclass(frozen=True)
class Ballots:
    """Single votes: image, annotator and the class chosen, int (m,) each."""

    image: np.ndarray
    annotator: np.ndarray
    choice: np.ndarray

    def count(self, images: int, kept: np.ndarray) -> np.ndarray:
        """Votes per class of the annotators kept (bool (a,)): int (images, 7)."""
        seats = kept[self.annotator]
        flat = self.image[seats] * len(CLASSES) + self.choice[seats]
        return np.bincount(flat, minlength=images * len(CLASSES)).reshape(images, len(CLASSES))


def poll(truth: np.ndarray, crowd: Crowd, rng: np.random.Generator) -> Ballots:
    """38 to 42 annotators, each at most once per image, vote on every image.

    Parameters
    ----------
    truth : float (n, 7), rows summing to 1
        What the face shows, in the order of `CLASSES`.
    """
    n = len(truth)
    seats = rng.integers(38, 43, size=n)
    panel = np.argsort(rng.random((n, len(crowd))), axis=1)[:, :42]
    taken = np.arange(42) < seats[:, None]
    image, annotator = np.nonzero(taken)[0], panel[taken]
    r = crowd.reliability[annotator][:, None]
    chances = r * truth[image] + (1 - r) / len(CLASSES)
    favourite = crowd.favourite[annotator]
    cumulative = np.cumsum(np.maximum(chances, 0), axis=1)
    drawn = rng.random(len(image))[:, None] * cumulative[:, -1:]
    choice = (drawn >= cumulative).sum(axis=1)
    return Ballots(image, annotator, np.where(favourite >= 0, favourite, choice))


def select(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """RAF-ML's rule (facts as printed there, with the threshold its labels obey).

    A class is valid where its votes exceed the mean of the seven; an image stays if at least two
    are. Neutral is dropped, the six emotions are renormalised, a share of at least 1/6 is a label,
    and at least two labels must remain.

    Parameters
    ----------
    votes : int (n, 7)
        In the order of `CLASSES`, neutral last.

    Returns
    -------
    kept : bool (n,)
    distribution : float (n, 6)
        Shares of the six emotions; zeros in a row without votes for any.
    labels : bool (n, 6)
    """
    valid = votes * len(CLASSES) > votes.sum(axis=1, keepdims=True)
    six = votes[:, :6]
    total = six.sum(axis=1, keepdims=True)
    distribution = np.divide(six, total, out=np.zeros(six.shape), where=total > 0)
    labels = distribution >= 1 / 6 - _TOLERANCE
    return (valid.sum(axis=1) >= 2) & (labels.sum(axis=1) >= 2), distribution, labels


def gather(
    images: int,
    seed: tuple[int, ...],
    propose: Callable[[np.random.Generator, int], np.ndarray],
    keep: Callable[[np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Poll candidates until the number of images that the rule keeps is there.

    Candidates come in blocks, each with a generator of its own, so that asking for more images
    never changes the first ones.

    Parameters
    ----------
    images : int
        How many to keep.
    seed : tuple of int
        Of the crowd and of the candidates.
    propose : callable
        ``propose(rng, n)`` gives what n candidates show: float (n, 7), rows summing to 1.
    keep : callable
        ``keep(votes)`` says which are kept: bool (n,).

    Returns
    -------
    truth : float (images, 7)
    votes : int (images, 7)
        Of the honest annotators.
    """
    crowd = hire(np.random.default_rng((*seed, 0)))
    truths: list[np.ndarray] = []
    votes: list[np.ndarray] = []
    so_far = 0
    while so_far < images:
        rng = np.random.default_rng((*seed, 1, len(truths)))
        truth = propose(rng, _BLOCK)
        counts = poll(truth, crowd, rng).count(_BLOCK, crowd.honest)
        kept = keep(counts)
        truths.append(truth[kept])
        votes.append(counts[kept])
        so_far += int(kept.sum())
    return np.concatenate(truths)[:images], np.concatenate(votes)[:images]
