"""Protocols: which rows train, validate and test.

A dataset names its own (``official``); every dataset has the general ones:

``cvK``
    K folds, in which every row tests once: of a fixed permutation where rows have one class,
    stratified by labels where they have label sets (`bench.data.folds`).
``cvRxK``
    R repetitions of K such folds, each drawn anew.
``cvK-subject``
    The same, with all rows of a subject in one fold.
``cvK-blocks``
    K folds of consecutive rows in the dataset's order, as papers on CK+ and ExpW divided them.
``holdout-A-B-C``
    A % train, B % validation and C % test of a fixed permutation.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bench.api import LEFT_OUT, TEST, TRAIN, VALID, BenchError, Dataset, FaceSet, near
from bench.data.folds import Rows, by_subject, drawn, in_blocks, permutation

GENERAL_PROTOCOLS = ("cvK", "cvRxK", "cvK-subject", "cvK-blocks", "holdout-A-B-C")
INNER_PROTOCOLS = ("cvK", "cvK-subject", "cvK-blocks", "holdout-A-B")
DEFAULT_INNER = "cv5"
_CROSS = r"cv([1-9]\d{0,6})(-subject|-blocks)?"
_REPEATED = r"cv([1-9]\d{0,2})x([1-9]\d{0,6})"
DRAWN_FOLDS = rf"cv[1-9]\d{{0,6}}|{_REPEATED}"
_EXAMPLES = ("cv5", "cv10", "cv5x5", "cv5-subject", "cv5-blocks", "holdout-60-20-20")


@dataclass(frozen=True, eq=False)
class Fold:
    """One split into parts; each array ascending, disjoint from the others.

    Attributes
    ----------
    name : str
        The protocol where it has one fold, else ``fold1``, ``fold2``, …, and under ``cvRxK``
        ``repeat1-fold1``, ….
    train, valid, test : int64 (n_train,), (n_valid,), (n_test,)
        Row numbers of the FaceSet. ``valid`` may be empty.
    note : str
        What a reader of the results should know about this fold; empty where nothing.
    """

    name: str
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    note: str = ""

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the three arrays; with a FaceSet's fingerprint it fixes the data of a cell."""
        digest = hashlib.sha256()
        for part in (self.train, self.valid, self.test):
            digest.update(f"{len(part)};".encode())
            digest.update(np.ascontiguousarray(part, dtype="<i8").tobytes())
        return digest.hexdigest()


def default_protocol(dataset: Dataset) -> str:
    """The dataset's first own protocol, ``cv5`` where it has none."""
    return dataset.protocols[0] if dataset.protocols else "cv5"


def folds(dataset: Dataset, faces: FaceSet, protocol: str) -> list[Fold]:
    """The folds of ``protocol``; the same rows in the same order always give the same folds.

    Raises
    ------
    BenchError
        For an unknown protocol (near names listed), more folds than rows or subjects, a protocol by
        subject where the dataset names none, or an empty train or test part.
    """
    parts = _parts(dataset, faces, protocol)
    result = []
    for name, part in parts.items():
        train, valid, test = (
            np.flatnonzero(part == which).astype(np.int64) for which in (TRAIN, VALID, TEST)
        )
        for role, rows in (("train", train), ("test", test)):
            if not len(rows):
                raise BenchError(
                    f"protocol {protocol} leaves {faces.name} ({len(faces)} rows) without any "
                    f"{role} rows; choose another --protocol"
                )
        result.append(Fold(name, train, valid, test, _shared_subjects(faces, train, test)))
    return result


def inner_folds(faces: FaceSet, outer: Fold, protocol: str) -> list[Fold]:
    """The folds of ``protocol`` on the training part of ``outer`` alone, without validation parts.

    For choosing parameters: no row of the outer validation and test parts is in any of them.

    Parameters
    ----------
    protocol : str
        As `check_inner` takes it: ``cvK``, ``cvK-subject``, ``cvK-blocks`` or ``holdout-A-B``.

    Raises
    ------
    BenchError
        More folds than training rows or subjects, subjects that the dataset does not name, or an
        empty part.
    """
    check_inner(protocol)
    name = f"the training part of {faces.name}"
    subject = None if faces.subject is None else faces.subject[outer.train]
    if match := re.fullmatch(_CROSS, protocol):
        labels = faces.labels[outer.train] if faces.kind == "multi" else None
        parts = _cross(Rows(name, len(outer.train), subject, labels, "--inner"), *match.groups())
    else:
        shares = [int(share) for share in protocol.split("-")[1:]]
        parts = [_holdout(len(outer.train), protocol, shares[0], 0, shares[1])]
    nothing, result = np.empty(0, np.int64), []
    for number, part in enumerate(parts, 1):
        train, test = (outer.train[part == which] for which in (TRAIN, TEST))
        if not len(train) or not len(test):
            raise BenchError(
                f"--inner {protocol} leaves {name} ({len(outer.train)} rows) with an empty part; "
                "choose another one"
            )
        which = protocol if len(parts) == 1 else f"fold{number}"
        note = _shared_subjects(faces, train, test)
        result.append(Fold(f"{outer.name} inner {which}", train, nothing, test, note))
    return result


def inner_protocol(outer: str, faces: FaceSet, parts: Sequence[Fold]) -> str:
    """The inner protocol that follows an outer one: by subject, or in blocks, where that is so.

    Inner folds that ask an easier question than the outer ones choose parameters for that question.

    Parameters
    ----------
    outer : str
        As `folds` takes it.
    parts : sequence of Fold
        Its folds of ``faces``; by subject there are no more inner folds than training subjects.
    """
    if outer.endswith("-blocks"):
        return f"{DEFAULT_INNER}-blocks"
    if outer.endswith("-subject") and faces.subject is not None:
        subjects = min(len(np.unique(faces.subject[fold.train])) for fold in parts)
        return f"cv{max(2, min(int(DEFAULT_INNER[2:]), subjects))}-subject"
    return DEFAULT_INNER


def check_inner(protocol: str) -> None:
    """Raise `BenchError` unless `inner_folds` knows the protocol."""
    if not re.fullmatch(rf"{_CROSS}|holdout-\d{{1,3}}-\d{{1,3}}", protocol):
        raise BenchError(
            f"--inner {protocol}: no such protocol (one of {', '.join(INNER_PROTOCOLS)}: "
            "cv5, holdout-80-20)"
        )


def stratified(dataset: Dataset, protocol: str, kind: str) -> bool:
    """Whether the folds of a protocol are stratified by labels: drawn folds of label sets are.

    Parameters
    ----------
    kind : {"multi", "single"}
        Of the faces.
    """
    own = protocol in dataset.protocols
    return kind == "multi" and not own and re.fullmatch(DRAWN_FOLDS, protocol) is not None


def _parts(dataset: Dataset, faces: FaceSet, protocol: str) -> dict[str, np.ndarray]:
    """One int8 (n,) array of parts per fold, by its name."""
    if protocol in dataset.protocols:
        return {protocol: _own(dataset, faces, protocol)}
    labels = faces.labels if faces.kind == "multi" else None
    rows = Rows(faces.name, len(faces), faces.subject, labels)
    if match := re.fullmatch(_CROSS, protocol):
        return {f"fold{i}": part for i, part in enumerate(_cross(rows, *match.groups()), 1)}
    if match := re.fullmatch(_REPEATED, protocol):
        return _repeated(rows, *map(int, match.groups()))
    if match := re.fullmatch(r"holdout-(\d{1,3})-(\d{1,3})-(\d{1,3})", protocol):
        return {protocol: _holdout(len(faces), protocol, *map(int, match.groups()))}
    own = ", ".join(dataset.protocols)
    raise BenchError(
        f"{dataset.name or faces.name} has no protocol {protocol!r}: "
        f"{near(protocol, {*dataset.protocols, *_EXAMPLES})} "
        f"(its own: {own or 'none'}; general: {', '.join(GENERAL_PROTOCOLS)})"
    )


def _own(dataset: Dataset, faces: FaceSet, protocol: str) -> np.ndarray:
    """The part of each row, int8 (n,), by a protocol of the dataset's own."""
    part = np.asarray(dataset.split(faces, protocol))
    if part.shape != (len(faces),) or not np.isin(part, (LEFT_OUT, TRAIN, VALID, TEST)).all():
        raise BenchError(
            f"{dataset.name}: split({protocol!r}) must give one of {LEFT_OUT}, {TRAIN}, {VALID}, "
            f"{TEST} for each of the {len(faces)} rows; correct the dataset plug-in"
        )
    return part


def _cross(rows: Rows, folds: str, how: str | None) -> list[np.ndarray]:
    """One int8 (n,) array of TRAIN and TEST per fold."""
    count = int(folds)
    if count < 2:
        raise BenchError(f"{rows.option} cv{count}: cross-validation needs at least 2 folds")
    if how == "-subject":
        return _tested_in(by_subject(rows, count), count)
    return _tested_in(in_blocks(rows, count) if how == "-blocks" else drawn(rows, count), count)


def _repeated(rows: Rows, repetitions: int, count: int) -> dict[str, np.ndarray]:
    """The folds of each repetition, by their names."""
    if count < 2:
        raise BenchError(
            f"{rows.option} cv{repetitions}x{count}: cross-validation needs at least 2 folds"
        )
    return {
        f"repeat{number}-fold{i}": part
        for number in range(1, repetitions + 1)
        for i, part in enumerate(_tested_in(drawn(rows, count, (repetitions, number)), count), 1)
    }


def _tested_in(fold: np.ndarray, count: int) -> list[np.ndarray]:
    """One int8 (n,) array of TRAIN and TEST per fold, from the fold in which each row is tested."""
    return [np.where(fold == one, TEST, TRAIN).astype(np.int8) for one in range(count)]


def _holdout(n: int, protocol: str, train: int, valid: int, test: int) -> np.ndarray:
    """The part of each row, int8 (n,), by shares in percent of a fixed permutation."""
    if train + valid + test != 100 or not train or not test:
        raise BenchError(
            f"protocol {protocol}: the shares are percent of train, validation (where it has one) "
            "and test, must sum to 100, and train and test must not be 0"
        )
    part = np.full(n, TEST, np.int8)
    order = permutation(n)
    first, second = (n * train + 50) // 100, (n * (train + valid) + 50) // 100
    part[order[:first]] = TRAIN
    part[order[first:second]] = VALID
    return part


def _shared_subjects(faces: FaceSet, train: np.ndarray, test: np.ndarray) -> str:
    """A note on the subjects that are in train and test alike; empty where nobody is."""
    if faces.subject is None:
        return ""
    tested = np.unique(faces.subject[test])
    shared = np.intersect1d(faces.subject[train], tested)
    if not len(shared):
        return ""
    return (
        f"{len(shared)} of the {len(tested)} subjects in test are in train too; "
        "cvK-subject keeps them apart"
    )


def twins(faces: FaceSet, fold: Fold) -> int | None:
    """Test images whose pixels equal those of a train image; None where there are no images."""
    if faces.images is None:
        return None
    images = faces.images

    def digest(row: int) -> bytes:
        return hashlib.sha256(np.ascontiguousarray(images[row]).data).digest()

    train = {digest(row) for row in fold.train}
    return sum(digest(row) in train for row in fold.test)
