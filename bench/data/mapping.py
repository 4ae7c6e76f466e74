"""Two datasets as one: labels mapped by name, faces without their labels.

For protocols that train on one dataset and test on another, and for methods that learn from two.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bench.api import BenchError, FaceSet

FEWEST = 2  # labels in common that are worth a comparison


def unlabelled(faces: FaceSet) -> FaceSet:
    """The faces as if nobody had labelled them: no label, no distribution, no votes."""
    return replace(
        faces, kind="multi", labels=np.zeros_like(faces.labels), distribution=None, votes=None
    )


def shared_labels(first: FaceSet, second: FaceSet) -> list[tuple[int, int]]:
    """Columns of the labels that both have, in the order of ``first``; capitals do not count.

    Raises
    ------
    BenchError
        Fewer than `FEWEST`.
    """
    place = {name.casefold(): column for column, name in enumerate(second.label_names)}
    pairs = [
        (column, place[name.casefold()])
        for column, name in enumerate(first.label_names)
        if name.casefold() in place
    ]
    if len(pairs) < FEWEST:
        raise BenchError(
            f"{first.name} ({', '.join(first.label_names)}) and {second.name} "
            f"({', '.join(second.label_names)}) have {len(pairs) or 'no'} label(s) in common by "
            f"name, and {FEWEST} are needed: rename labels, or take other datasets"
        )
    return pairs


def mapping_in_words(source: FaceSet, target: FaceSet) -> str:
    """A sentence on the labels that both have, and on those that only one of them has."""
    pairs = shared_labels(source, target)
    names = ", ".join(target.label_names[column] for _, column in pairs)
    sides = ((source, {first for first, _ in pairs}), (target, {second for _, second in pairs}))
    only = [
        f"{', '.join(rest)} (only {faces.name})"
        for faces, shared in sides
        if (rest := [name for c, name in enumerate(faces.label_names) if c not in shared])
    ]
    return f"labels mapped by name: {names}" + (f"; left out: {'; '.join(only)}" if only else "")


def onto(source: FaceSet, target: FaceSet) -> tuple[FaceSet, tuple[int, ...], str]:
    """The target with the labels that the source has too.

    Faces that show none of them are left out: a method trained on the source could not name what
    they show. Distributions are scaled to sum to 1 again; votes, which may be for other classes,
    are dropped.

    Returns
    -------
    FaceSet
        ``target`` itself where the labels are the same.
    tuple of int
        For each label of the result its column in ``source``.
    str
        The mapping in words.
    """
    pairs = shared_labels(source, target)
    columns, kept = tuple(first for first, _ in pairs), [second for _, second in pairs]
    words = mapping_in_words(source, target)
    if kept == list(range(len(target.label_names))) and len(kept) == len(source.label_names):
        return target, columns, words
    labels = target.labels[:, kept]
    rows = np.flatnonzero(labels.any(axis=1))
    lost = len(target) - len(rows)
    if lost:
        words += f"; {lost} of {len(target)} images of {target.name} show nothing else"
    if not len(rows):
        raise BenchError(f"{words}; no image is left")
    mapped = replace(
        target.take(rows),
        label_names=tuple(target.label_names[column] for column in kept),
        labels=labels[rows],
        distribution=_rescaled(target.distribution, rows, kept),
        votes=None,
    )
    return mapped, columns, words


def _rescaled(
    distribution: np.ndarray | None, rows: np.ndarray, kept: list[int]
) -> np.ndarray | None:
    if distribution is None:
        return None
    part = distribution[rows][:, kept]
    total = part.sum(axis=1, keepdims=True)
    if not (total > 0).all():
        return None  # labels that the distribution gives no share: it cannot be scaled
    return np.asarray(part / total)


def in_columns(faces: FaceSet, label_names: tuple[str, ...], columns: tuple[int, ...]) -> FaceSet:
    """The faces with labels in the columns of another dataset, False in its other ones."""
    labels = np.zeros((len(faces), len(label_names)), dtype=bool)
    labels[:, columns] = faces.labels
    distribution = None
    if faces.distribution is not None:
        distribution = np.zeros(labels.shape, faces.distribution.dtype)
        distribution[:, columns] = faces.distribution
    return replace(faces, label_names=label_names, labels=labels, distribution=distribution)
