"""Scores of cells for others to recount: what methods gave for each image, and never the truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bench.api import BenchError
from bench.data.files import whole, write_text
from bench.publish.names import MethodNames
from bench.publish.rows import ScoresOf, rows_of
from bench.run.record import Record
from bench.score.criteria import CRITERIA, SINGLE_CRITERIA

_OF_CELL = ("dataset", "protocol", "split", "kind", "seed", "budget")
_CRITERIA = {criterion.name for criterion in (*CRITERIA, *SINGLE_CRITERIA)}


def export(
    records: Iterable[Record],
    out: Path,
    scores_of: ScoresOf,
    ids_of: Callable[[Record], np.ndarray],
) -> list[Path]:
    """Write scores, labels and ids of every cell with stored scores, and an index of them.

    Parameters
    ----------
    records : iterable of Record
        Of one dataset; whether its licence allows this is for the user to know.
    out : Path
        ``index.json``: key, dataset, protocol, split, kind, method, seed, budget and criteria of
        each cell; ``<key>.npz``: ``ids`` str (n,), ``label_names``, ``scores`` and ``labels`` (n,
        L) as far as the method gives them.
    scores_of, ids_of : callable
        Give the stored scores of a record (None where there are none) and the ids of its images,
        str (n,).

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    BenchError
        No cell has stored scores.
    """
    index: list[dict[str, Any]] = []
    paths = []
    rows = rows_of(records)
    names = MethodNames(rows)
    for row in rows:
        for record in row.ok:
            stored = scores_of(record)
            if stored is None:
                continue
            arrays = {
                "ids": ids_of(record),
                "label_names": np.asarray(record.cell.label_names, dtype=np.str_),
                "scores": stored.scores,
                "labels": stored.labels,
            }
            paths.append(out / f"{record.key}.npz")
            with whole(paths[-1]) as temporary, temporary.open("wb") as file:
                present = {name: array for name, array in arrays.items() if array is not None}
                np.savez_compressed(file, allow_pickle=False, **present)
            index.append(_entry(record, names.whole(row)))
    if not index:
        raise BenchError(
            "no cell has stored scores: export them from the folder that measured them"
        )
    write_text(out / "index.json", json.dumps(index, indent=1) + "\n")
    return [*paths, out / "index.json"]


def _entry(record: Record, method: str) -> dict[str, Any]:
    """What the index tells of a cell: enough to recount each of its criteria."""
    return {
        "key": record.key,
        **record.cell.columns(_OF_CELL),
        "method": method,
        "criteria": {
            name: value
            for name, value in record.criteria.items()
            if value is not None and name in _CRITERIA
        },
    }
