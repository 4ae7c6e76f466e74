"""Face verification: whether two pictures show one person, by the cosine of their features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FOLDS = 10
PAIRS_AT_MOST = 3000  # of each sort, as LFW has them
_IMAGES_AT_MOST = 3000  # that pairs are drawn from: 4.5 million of them

# What is drawn here never follows --seeds: a seed varies the method, not what it is tested on.
_SEED = 20_190


def order(n: int, stream: int) -> np.ndarray:
    """A fixed permutation of n rows, another for each stream; the same in every NumPy."""
    return np.argsort(np.random.PCG64((_SEED, stream)).random_raw(n), kind="stable")


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of pictures for verification.

    Attributes
    ----------
    first, second : int64 (p,)
        Rows.
    same : bool (p,)
        Whether both show one person: half of them, also within each fold.
    fold : int64 (p,)
        0 to 9.
    """

    first: np.ndarray
    second: np.ndarray
    same: np.ndarray
    fold: np.ndarray

    def __len__(self) -> int:
        return len(self.fold)


def draw_pairs(subject: np.ndarray) -> Pairs | None:
    """As many pairs of one person as of two, in ten folds of equal size.

    At most 3,000 of each sort, as in LFW's protocol (G. Huang et al., 2007), drawn without
    replacement; of more than 3,000 pictures a sample is paired. None where there are not ten pairs
    of each sort. Unlike in LFW, a person may be in several folds: what is chosen on nine of them
    is one number.

    Parameters
    ----------
    subject : (n,)
        Who is seen.
    """
    rows = np.sort(order(len(subject), 0)[:_IMAGES_AT_MOST])
    first, second = (rows[index] for index in np.triu_indices(len(rows), 1))
    same = subject[first] == subject[second]
    sorts = [np.flatnonzero(same), np.flatnonzero(~same)]
    count = min(PAIRS_AT_MOST, *map(len, sorts)) // FOLDS * FOLDS
    if not count:
        return None
    chosen = np.concatenate([one[order(len(one), i + 1)[:count]] for i, one in enumerate(sorts)])
    fold = np.tile(np.arange(count) % FOLDS, 2)
    return Pairs(first[chosen], second[chosen], same[chosen], fold)


@dataclass(frozen=True)
class Verified:
    """How well pairs are told apart.

    Attributes
    ----------
    accuracy : float
        Mean over the folds; chance is ½.
    deviation : float
        Standard deviation over the folds (n − 1).
    thresholds : tuple of float
        Of the cosine, one for each fold, chosen on the nine others.
    """

    accuracy: float
    deviation: float
    thresholds: tuple[float, ...]


def verify(embedding: np.ndarray, pairs: Pairs) -> Verified:
    """Accuracy over ten folds; a pair is of one person where the cosine reaches the threshold.

    Parameters
    ----------
    embedding : float (n, d)
        Of all rows. A vector of zeros has cosine 0 with every other.
    """
    length = np.linalg.norm(embedding.astype(np.float64), axis=1, keepdims=True)
    unit = embedding / np.where(length > 0, length, 1.0)
    cosine = (unit[pairs.first] * unit[pairs.second]).sum(axis=1)
    found, thresholds = [], []
    for fold in range(FOLDS):
        tested = pairs.fold == fold
        thresholds.append(best_threshold(cosine[~tested], pairs.same[~tested]))
        found.append(np.mean((cosine[tested] >= thresholds[-1]) == pairs.same[tested]))
    return Verified(
        float(np.mean(found)), float(np.std(found, ddof=1)), tuple(map(float, thresholds))
    )


def best_threshold(cosine: np.ndarray, same: np.ndarray) -> float:
    """The threshold with the highest accuracy, the lowest of equally good ones.

    Thresholds lie midway between neighbouring values, or beyond all of them.
    """
    values, where = np.unique(cosine, return_inverse=True)
    yes = np.bincount(where, weights=same, minlength=len(values))
    no = np.bincount(where, weights=~same, minlength=len(values))
    # Accepting from value k on is right for the pairs of one person from there on, and for the
    # pairs of two below.
    right = np.append(yes[::-1].cumsum()[::-1], 0) + np.append(0, no.cumsum())
    edges = np.concatenate([values[:1] - 1, (values[:-1] + values[1:]) / 2, values[-1:] + 1])
    return float(edges[right.argmax()])
