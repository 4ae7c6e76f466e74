"""Folds of cross-validation: the fold in which each row is tested.

Rows with label sets are stratified: in each fold every label has the share that it has in all rows,
as far as that can be. Where a label is rare, folds that are drawn without regard to labels differ
in it by chance, some may lack it altogether, and what is measured there differs for no other reason
(K. Sechidis, G. Tsoumakas and I. Vlahavas, On the stratification of multi-label data, ECML PKDD
2011).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.api import BenchError

# Splits do not follow --seeds: a seed varies the method, never the rows it is tested on.
_SEED = 20_190


@dataclass(frozen=True)
class Rows:
    """The rows to be divided, and how an error names them and the option behind them.

    Attributes
    ----------
    subject : str (count,) or None
    labels : bool (count, L) or None
        Label sets, for folds to be stratified by; None where rows have one class.
    """

    name: str
    count: int
    subject: np.ndarray | None
    labels: np.ndarray | None = None
    option: str = "--protocol"


def permutation(n: int, seed: int = _SEED) -> np.ndarray:
    """A fixed permutation of n rows.

    Sorting the bit generator's raw stream, because NumPy promises to keep that stream between
    versions and promises nothing for ``Generator.permutation``.
    """
    return np.argsort(np.random.PCG64(seed).random_raw(n), kind="stable")


def in_blocks(rows: Rows, count: int) -> np.ndarray:
    """Fold (from 0) of each row, int64 (n,): consecutive rows; sizes differ by one."""
    return _cut(rows, count, np.arange(rows.count))


def drawn(rows: Rows, count: int, repetition: tuple[int, int] | None = None) -> np.ndarray:
    """Fold (from 0) of each row, int64 (n,), drawn; stratified by label sets; sizes differ by one.

    Parameters
    ----------
    repetition : (int, int) or None
        Of repeated folds how many repetitions there are, and which this is: no two, of whatever
        protocol, are drawn alike.
    """
    seed = _SEED if repetition is None else _SEED + 1000 * repetition[0] + repetition[1]
    by_chance = _cut(rows, count, permutation(rows.count, seed))
    varies = rows.labels is not None and (rows.labels != rows.labels[:1]).any()
    if not varies or count == rows.count:  # nothing that folds could share
        return by_chance
    assert rows.labels is not None
    return _stratified(rows.labels, count, seed)


def by_subject(rows: Rows, count: int) -> np.ndarray:
    """Fold of each row: subjects by falling size, each into the fold with the fewest rows."""
    if rows.subject is None:
        raise BenchError(
            f"{rows.name} does not say who is in its images, so cv{count}-subject is impossible; "
            f"use {rows.option} cv{count}"
        )
    names, subject, sizes = np.unique(rows.subject, return_inverse=True, return_counts=True)
    if count > len(names):
        raise BenchError(
            f"cv{count}-subject needs at least {count} subjects, and {rows.name} has {len(names)}"
        )
    filled = np.zeros(count, np.int64)
    fold = np.empty(len(names), np.int64)
    for which in np.argsort(-sizes, kind="stable"):
        fold[which] = filled.argmin()
        filled[fold[which]] += sizes[which]
    return np.asarray(fold[subject])


def _cut(rows: Rows, count: int, order: np.ndarray) -> np.ndarray:
    """Fold (from 0) in which each row is tested, cut out of ``order``; sizes differ by one."""
    n = rows.count
    if count > n:
        raise BenchError(f"cv{count} needs at least {count} rows, and {rows.name} has {n}")
    tested = np.empty(n, np.int64)
    tested[order] = np.arange(n) * count // n
    return tested


def _stratified(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Folds by iterative stratification, levelled to sizes that differ by one at most."""
    # scikit-learn comes with it, which a plan without such folds need not wait for.
    from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

    # One label alone is no label set to the package; with its absence it is.
    columns = labels if labels.shape[1] > 1 else np.hstack([labels, ~labels])
    folds = MultilabelStratifiedKFold(count, shuffle=True, random_state=seed)
    tested = np.empty(len(labels), np.int64)
    for number, (_, test) in enumerate(folds.split(np.zeros(len(labels)), columns)):
        tested[test] = number
    return _levelled(tested, labels.astype(np.int64), count)


def _levelled(tested: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """The same folds after the fewest moves that make their sizes differ by one at most.

    Of the largest fold that row moves to the smallest one which brings the counts of the labels in
    the two nearest to each other, of equal ones the first.
    """
    tested = tested.copy()
    while True:
        sizes = np.bincount(tested, minlength=count)
        largest, smallest = int(sizes.argmax()), int(sizes.argmin())
        if sizes[largest] - sizes[smallest] < 2:
            return tested
        movable = np.flatnonzero(tested == largest)
        surplus = labels[movable].sum(axis=0) - labels[tested == smallest].sum(axis=0)
        left = ((surplus - 2 * labels[movable]) ** 2).sum(axis=1)
        tested[movable[left.argmin()]] = smallest
