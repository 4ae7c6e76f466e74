"""Who is learnt and who is held out in the identity stage, and face verification on the latter.

`_deepid` trains on the one group of persons and verifies on the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.api import BenchError, FaceSet

FOLDS = 10
PAIRS_AT_MOST = 3000  # pairs of one person, and as many of two persons, as LFW has them
_IMAGES_AT_MOST = 3000  # images that pairs are drawn from: 4.5 million pairs of them
_HELD_OUT, _FEWEST = 0.1, 4  # share of the persons held out; persons from which on there is one

# Draws of this module never follow --seeds: a seed varies the method, not what it is tested on.
_SEED = 20_190


def order(n: int, stream: int) -> np.ndarray:
    """A fixed permutation of n rows, another for each stream; the same in every NumPy."""
    return np.argsort(np.random.PCG64((_SEED, stream)).random_raw(n), kind="stable")


@dataclass(frozen=True, eq=False)
class PeopleSplit:
    """The pictures of a people dataset in their parts.

    Attributes
    ----------
    persons : str (p,)
        The persons who are learnt.
    train, valid, verification : int64
        Rows. ``valid`` has one picture of each person learnt, ``train`` the other pictures of
        these, and ``verification`` all pictures of the persons held out.
    held_out : int
        How many persons ``verification`` shows.
    single : int
        How many persons have one picture only; they are left out.
    """

    persons: np.ndarray
    train: np.ndarray
    valid: np.ndarray
    verification: np.ndarray
    held_out: int
    single: int


def split_people(people: FaceSet) -> PeopleSplit:
    """The parts of the identity stage, the same for every seed.

    One picture of each person, drawn at random, is for validation (TFE-JL, section 4.3). A tenth of
    the persons, at least two, are not learnt at all, so that verification meets strangers, where
    the paper has LFW; with fewer than four persons nobody is held out.

    Raises
    ------
    BenchError
        The faces are no people, or fewer than two persons have two pictures.
    """
    if people.kind != "people" or people.subject is None:
        raise BenchError(
            f"{people.name} does not say who is seen: identities are learnt from a people dataset "
            "(people:DIR, synthetic-people)"
        )
    names, person, pictures = np.unique(people.subject, return_inverse=True, return_counts=True)
    several = np.flatnonzero(pictures > 1)
    if len(several) < 2:
        raise BenchError(
            f"{people.name} has {len(several)} person(s) with two pictures or more, and at least "
            "two are needed to learn to tell persons apart; add persons or pictures"
        )
    count = max(2, round(_HELD_OUT * len(several))) if len(several) >= _FEWEST else 0
    shuffled = several[order(len(several), 10)]
    held_out, learnt = shuffled[:count], np.sort(shuffled[count:])
    # The validation picture of a person is the first of theirs in a fixed random order.
    mixed = order(len(people), 11)
    _, first = np.unique(person[mixed], return_index=True)
    valid = np.sort(mixed[first[learnt]])
    return PeopleSplit(
        names[learnt],
        np.setdiff1d(np.flatnonzero(np.isin(person, learnt)), valid),
        valid,
        np.flatnonzero(np.isin(person, held_out)),
        count,
        len(names) - len(several),
    )


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of pictures for verification.

    Attributes
    ----------
    first, second : int64 (p,)
        Rows.
    same : bool (p,)
        Whether both pictures show one person: in half of the pairs, also within each fold.
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
    """As many pairs of one person as of two persons, in ten folds of equal size.

    There are at most 3,000 pairs of each sort, as in LFW's protocol (G. Huang et al., 2007), drawn
    without replacement; of more than 3,000 pictures only a sample is paired. Unlike in LFW, a
    person may be in several folds: all that nine of them decide for the tenth is one threshold.

    Parameters
    ----------
    subject : (n,)
        The person whom each picture shows.

    Returns
    -------
    Pairs or None
        None where there are not ten pairs of each sort.
    """
    rows = np.sort(order(len(subject), 0)[:_IMAGES_AT_MOST])
    first, second = (rows[index] for index in np.triu_indices(len(rows), 1))
    same = subject[first] == subject[second]
    sorts = [np.flatnonzero(same), np.flatnonzero(~same)]
    count = min(PAIRS_AT_MOST, *map(len, sorts)) // FOLDS * FOLDS
    if not count:
        return None
    drawn = [pairs[order(len(pairs), i)[:count]] for i, pairs in enumerate(sorts, start=1)]
    chosen = np.concatenate(drawn)
    fold = np.tile(np.arange(count) % FOLDS, 2)
    return Pairs(first[chosen], second[chosen], same[chosen], fold)


@dataclass(frozen=True)
class Verification:
    """How often it is right whether the two pictures of a pair show one person.

    Attributes
    ----------
    accuracy : float
        Mean over the folds; chance is ½.
    deviation : float
        Standard deviation over the folds (n − 1).
    thresholds : tuple of float
        Thresholds of the cosine, one for each fold, chosen on the nine others.
    """

    accuracy: float
    deviation: float
    thresholds: tuple[float, ...]


def verify(embedding: np.ndarray, pairs: Pairs) -> Verification:
    """Accuracy over ten folds; a pair is of one person where the cosine reaches the threshold.

    Parameters
    ----------
    embedding : float (n, d)
        The feature of every row. A vector of zeros has cosine 0 with every other.
    """
    length = np.linalg.norm(embedding.astype(np.float64), axis=1, keepdims=True)
    unit = embedding / np.where(length > 0, length, 1.0)
    cosine = (unit[pairs.first] * unit[pairs.second]).sum(axis=1)
    accuracies, thresholds = [], []
    for fold in range(FOLDS):
        tested = pairs.fold == fold
        thresholds.append(best_threshold(cosine[~tested], pairs.same[~tested]))
        accuracies.append(np.mean((cosine[tested] >= thresholds[-1]) == pairs.same[tested]))
    return Verification(
        float(np.mean(accuracies)), float(np.std(accuracies, ddof=1)), tuple(map(float, thresholds))
    )


def best_threshold(cosine: np.ndarray, same: np.ndarray) -> float:
    """The threshold with the highest accuracy, the lowest of equally good ones.

    The candidates lie midway between neighbouring cosines, below all and above all of them.

    Parameters
    ----------
    cosine : float (p,)
        The cosine of each pair.
    same : bool (p,)
        Whether the pair shows one person.
    """
    values, where = np.unique(cosine, return_inverse=True)
    one_person = np.bincount(where, weights=same, minlength=len(values))
    two_persons = np.bincount(where, weights=~same, minlength=len(values))
    # A threshold just below value k is right for pairs of one person from k on, and for pairs of
    # two persons below k.
    right = np.append(one_person[::-1].cumsum()[::-1], 0) + np.append(0, two_persons.cumsum())
    edges = np.concatenate([values[:1] - 1, (values[:-1] + values[1:]) / 2, values[-1:] + 1])
    return float(edges[right.argmax()])
