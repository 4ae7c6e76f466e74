"""Criteria of cross-validation from the predictions of all folds together.

F1 and AUC are no means over images: a fold with few positives of a label gives them a value that
is far off, and their mean over folds is not theirs (2 % label, 213 images, ten folds: mean .573,
true .605). They are computed once, from the predictions of all folds (G. Forman and M. Scholz,
Apples-to-apples in cross-validation studies, SIGKDD Explorations 12 (2010) 49).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from bench.api import BenchError
from bench.publish.rows import IMAGES, POOLED, PooledRecord, Row, ScoresOf, rows_of
from bench.run.job import key_of
from bench.run.record import Record
from bench.run.scoring import REPLICATES, Stored
from bench.score import bootstrap
from bench.score.criteria import evaluate, measures
from bench.score.predictions import Predictions

_FOLD = re.compile(r"(?:repeat(\d+)-)?fold\d+")


def pooled_records(records: Iterable[Record], scores_of: ScoresOf | None) -> list[PooledRecord]:
    """A record of each seed of each row on folds, for each repetition: `POOLED` alone.

    They stand beside the records of the folds wherever rows are made (`bench.publish.rows.rows_of`)
    and are no cells. A row without them is one on label sets of which every fold has a result and
    its scores: elsewhere there are none.

    Parameters
    ----------
    records : iterable of Record
        Of one convention.
    scores_of : callable or None
        Gives what the criteria of a record are computed from.
    """
    if scores_of is None:
        return []
    return [pooled for row in rows_of(records) for pooled in _of_row(row, scores_of)]


def pooled_alike(rows: Sequence[Row], scores_of: ScoresOf) -> list[Row]:
    """Rows that are compared, all of them with what is pooled, or none where one has no scores."""
    pooled = [tuple(pooled_records(row.records, scores_of)) for row in rows]
    if not all(pooled):
        return list(rows)
    return [replace(row, pooled=of_row) for row, of_row in zip(rows, pooled, strict=True)]


def _of_row(row: Row, scores_of: ScoresOf) -> list[PooledRecord]:
    matches = [_FOLD.fullmatch(record.cell.split) for record in row.records]
    folds = [match for match in matches if match is not None]
    whole = len(row.ok) == len(row.records) == len(folds)
    if row.cell.kind != "multi" or len(row.splits) < 2 or not whole:
        return []
    groups: dict[tuple[int, str], list[Record]] = defaultdict(list)
    for record, match in zip(row.records, folds, strict=True):
        groups[record.cell.seed, match[1] or ""].append(record)
    if len({len(group) for group in groups.values()}) > 1:
        return []  # a seed lacks a fold
    pooled = []
    for (_, repetition), group in groups.items():
        parts = [_stored(record, scores_of) for record in group]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return []
        split = f"repeat{repetition}" if repetition else "all folds"
        pooled.append(_pooled(group, known, split))
    return pooled


def _stored(record: Record, scores_of: ScoresOf) -> Stored | None:
    try:
        return scores_of(record)
    except BenchError:
        return None  # damaged scores: the row says that it is not pooled


def _pooled(records: Sequence[Record], parts: Sequence[Stored], split: str) -> PooledRecord:
    """The record of the folds of one seed and repetition, as if they were one test part."""
    first = records[0]
    truth = np.concatenate([part.truth for part in parts])
    scores = _together([part.scores for part in parts])
    labels = _together([part.labels for part in parts])
    found = evaluate(truth, scores, labels, first.convention, first.cell.kind).values
    mark = key_of(pooled=[record.cell.split_hash for record in records])
    seed = int(mark[:8], 16)
    by_image = {record.bootstrap.get("of", IMAGES) for record in records} == {IMAGES}
    resampled = {}
    if by_image and not split.startswith("repeat"):
        predictions = Predictions(truth, scores, labels, first.convention, first.cell.kind)
        by_name = {n: one for n, one in measures(predictions).items() if n in POOLED and one}
        resampled = bootstrap.resampled(by_name, truth.shape, seed, REPLICATES)
    together = replace(
        first,
        key=key_of(pooled=[record.key for record in records]),
        cell=replace(first.cell, split=split, split_hash=mark, n_test=len(truth)),
        criteria={name: found[name] for name in POOLED},
        conventions={},
        distribution_criteria={},
        half_panels={},
        positives=truth.sum(axis=0).tolist(),
        bootstrap={"seed": seed, "count": REPLICATES, "values": bootstrap.pack(resampled)},
        measures={},
        notes=(),
        footnotes=(),
    )
    return PooledRecord(**vars(together))


def _together(arrays: Sequence[np.ndarray | None]) -> np.ndarray | None:
    known = [array for array in arrays if array is not None]
    return np.concatenate(known) if len(known) == len(arrays) else None
