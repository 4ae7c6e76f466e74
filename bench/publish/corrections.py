"""Two methods on the same images: which of them one gets right and the other wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from bench.publish.rows import Row, ScoresOf
from bench.run.record import Record
from bench.run.scoring import Stored
from bench.score.mcnemar import mcnemar

IdsOf = Callable[[Record], np.ndarray]
"""Gives the ids of the test images of a record whose scores are stored, str (n,)."""

SINGLE, SUBSET = "class", "whole label set"
"""What is right: the class of the highest score, as in accuracy; every label (subset accuracy)."""


@dataclass(frozen=True)
class Pair:
    """One seed on one split.

    Attributes
    ----------
    corrected, broken : int
        Images that only the second, and only the first of two methods gets right.
    p : float
        Of McNemar's exact test (`bench.score.mcnemar`).
    n : int
        Test images.
    """

    split: str
    seed: int
    corrected: int
    broken: int
    p: float
    n: int


@dataclass(frozen=True)
class Tally:
    """Images that one of two methods alone gets right, a number for each seed.

    Attributes
    ----------
    what : str
        `SINGLE`, `SUBSET`, or a label's name: its decision where images have label sets, the images
        of that class where they have one class.
    seeds : tuple of int
        Whose trained methods are compared; of two that no seed changes, 0.
    left, right : tuple of int
        By seed, images that the left one alone, and the right one alone gets right.
    p : tuple of float
        By seed, of McNemar's exact test; of labels by Holm's correction for all labels.
    n : int
        Test images of all splits, or those of the class.
    """

    what: str
    seeds: tuple[int, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    p: tuple[float, ...]
    n: int


def paired(first: Row, second: Row, scores_of: ScoresOf) -> list[Pair]:
    """The seeds and splits that both have, as far as their scores are stored."""
    pairs = []
    for seed, one, other in _cells(first, second):
        right = _right_of_both(scores_of(one), scores_of(other), one.cell.kind)
        if right is not None:
            corrected, broken, p = mcnemar(_whole_rows(right[0]), _whole_rows(right[1]))
            pairs.append(Pair(one.cell.split, seed, corrected, broken, p, len(right[0])))
    return sorted(pairs, key=lambda pair: (pair.split, pair.seed))


def tallies(
    left: Row, right: Row, scores_of: ScoresOf, ids_of: IdsOf, labels: bool = False
) -> tuple[list[Tally], str]:
    """Counts over all test images, for each seed that both rows have.

    Parameters
    ----------
    labels : bool
        Whether each label is counted too.

    Returns
    -------
    list of Tally
        All labels together first; empty where nothing can be counted.
    str
        Why not; empty where something was counted.
    """
    by_seed: dict[int, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = defaultdict(list)
    ids: dict[int, list[np.ndarray]] = defaultdict(list)
    for seed, one, other in _cells(left, right):
        stored = scores_of(one), scores_of(other)
        decided = _right_of_both(*stored, one.cell.kind)
        if decided is None or stored[0] is None:
            return [], _why_not(one, other, stored)
        by_seed[seed].append((*decided, stored[0].truth))
        ids[seed].append(ids_of(one))
    if not by_seed:
        return [], "the two rows have no seed in common"
    if any(len(np.unique(np.concatenate(parts))) < sum(map(len, parts)) for parts in ids.values()):
        return [], "its test parts share images, and McNemar's test counts each image once"
    if len({len(parts) for parts in by_seed.values()}) > 1:
        return [], "some seeds lack a split"
    single = left.cell.kind == "single"
    whole = {
        seed: [np.concatenate(part) for part in zip(*parts, strict=True)]
        for seed, parts in sorted(by_seed.items())
    }
    found = [_whole(whole, single)]
    return (found + _by_label(whole, left.cell.label_names, single) if labels else found), ""


def _cells(first: Row, second: Row) -> Iterator[tuple[int, Record, Record]]:
    """Cells on the same split: of the same seed, or of every seed of the one that has seeds."""
    others = {(r.cell.split_hash, r.cell.seed): r for r in second.ok}
    constant = {r.cell.split_hash: r for r in second.ok}
    for record in first.ok:
        split, seed = record.cell.split_hash, record.cell.seed
        if not first.cell.stochastic and second.cell.stochastic:
            for other in second.ok:
                if other.cell.split_hash == split:
                    yield other.cell.seed, record, other
        elif not second.cell.stochastic and split in constant:
            yield seed, record, constant[split]
        elif (split, seed) in others:
            yield seed, record, others[split, seed]


def _right_of_both(
    first: Stored | None, second: Stored | None, kind: str
) -> tuple[np.ndarray, np.ndarray] | None:
    """What each gets right of each image; None without what both need on one truth.

    Bool (n, L) where images have label sets, which decisions are right; (n, 1) where they have one
    class.
    """
    if first is None or second is None or not np.array_equal(first.truth, second.truth):
        return None
    rights = [_right(stored, kind) for stored in (first, second)]
    return None if rights[0] is None or rights[1] is None else (rights[0], rights[1])


def _right(stored: Stored, kind: str) -> np.ndarray | None:
    if kind == "multi":
        return None if stored.labels is None else stored.labels == stored.truth
    if stored.scores is None:
        return None
    return (stored.scores.argmax(axis=1) == stored.truth.argmax(axis=1))[:, None]


def _why_not(one: Record, other: Record, stored: tuple[Stored | None, Stored | None]) -> str:
    for record, found in zip((one, other), stored, strict=True):
        if found is None:
            return (
                f"the scores of cell {record.key} are not stored here: compare in the folder that "
                "measured it"
            )
    needs = "label sets" if one.cell.kind == "multi" else "scores"
    if any(found is not None and _right(found, one.cell.kind) is None for found in stored):
        return f"a method gives no {needs}"
    return "the two rows were scored against different truths"


def _whole(by_seed: dict[int, list[np.ndarray]], single: bool) -> Tally:
    found = [mcnemar(_whole_rows(right), _whole_rows(left)) for left, right, _ in by_seed.values()]
    n = len(next(iter(by_seed.values()))[2])
    lefts, rights, p = zip(*found, strict=True)
    return Tally(SINGLE if single else SUBSET, tuple(by_seed), lefts, rights, p, n)


def _whole_rows(right: np.ndarray) -> np.ndarray:
    return np.asarray(right.all(axis=1))


def _by_label(
    by_seed: dict[int, list[np.ndarray]], names: tuple[str, ...], single: bool
) -> list[Tally]:
    """Of each label; p by Holm's correction, since there are several of them."""
    from statsmodels.stats.multitest import multipletests  # takes a second, for this alone

    counted = []
    for left, right, truth in by_seed.values():
        rows = [truth[:, i] if single else slice(None) for i in range(len(names))]
        columns = [0 if single else i for i in range(len(names))]
        of_labels = [
            mcnemar(right[row, column], left[row, column])
            for row, column in zip(rows, columns, strict=True)
        ]
        lefts, rights, p = zip(*of_labels, strict=True)
        counted.append((lefts, rights, multipletests(p, method="holm")[1].tolist()))
    truth = next(iter(by_seed.values()))[2]
    return [
        Tally(
            name,
            tuple(by_seed),
            tuple(lefts[i] for lefts, _, _ in counted),
            tuple(rights[i] for _, rights, _ in counted),
            tuple(p[i] for _, _, p in counted),
            int(truth[:, i].sum()) if single else len(truth),
        )
        for i, name in enumerate(names)
    ]
