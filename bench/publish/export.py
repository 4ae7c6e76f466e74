"""Scores of cells for others to recount: what methods said of each image, and never the truth."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bench.api import BenchError
from bench.data.files import whole, write_text
from bench.publish.layout import Labels
from bench.publish.rows import rows_of
from bench.run.record import Record
from bench.run.store import Store
from bench.score.criteria import CRITERIA, SINGLE_CRITERIA

_NAMES = tuple(one.name for one in (*CRITERIA, *SINGLE_CRITERIA))


def export(records: Iterable[Record], store: Store, out: Path) -> list[Path]:
    """Write scores, labels and ids of every cell with stored scores, and an index of them.

    Parameters
    ----------
    records : iterable of Record
        Of one dataset; whether its licence allows this is for the user to know.
    out : Path
        ``index.json``: key, dataset, protocol, split, kind, method, seed, budget and criteria of
        each cell; ``<key>.npz``: ``ids`` str (n,), ``label_names``, ``scores`` and ``labels`` (n,
        L) as far as the method gives them.

    Raises
    ------
    BenchError
        No cell has stored scores.
    """
    index: list[dict[str, Any]] = []
    paths = []
    rows = rows_of(records)
    labels = Labels(rows)
    for row in rows:
        for record in row.ok:
            stored = store.scores(record)
            if stored is None:
                continue
            cell = record.cell
            arrays = {
                "ids": store.ids(record),
                "label_names": np.asarray(cell.label_names, dtype=np.str_),
            }
            if stored.scores is not None:
                arrays["scores"] = stored.scores
            if stored.labels is not None:
                arrays["labels"] = stored.labels
            path = out / f"{record.key}.npz"
            with whole(path) as temporary, temporary.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **arrays)
            paths.append(path)
            names = ("dataset", "protocol", "split", "kind", "seed", "budget")
            index.append(
                {
                    "key": record.key,
                    **{name: getattr(cell, name) for name in names},
                    "method": labels.whole(row),
                    "criteria": {
                        name: value
                        for name, value in record.criteria.items()
                        if value is not None and name in _NAMES
                    },
                }
            )
    if not index:
        raise BenchError(
            "no cell has stored scores: export them from the folder that measured them"
        )
    write_text(out / "index.json", json.dumps(index, indent=1) + "\n")
    return [*paths, out / "index.json"]
