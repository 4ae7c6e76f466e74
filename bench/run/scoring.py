"""From scores and truth to the criteria in a record."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from bench.run.code import code_hash
from bench.run.record import Record
from bench.score import bootstrap
from bench.score.confusion import confusion
from bench.score.criteria import evaluate

REPLICATES = 1000


@cache
def criteria_code() -> str:
    """Hash of the code that computes criteria and intervals."""
    folder = Path(bootstrap.__file__).parent
    return code_hash([*sorted(folder.glob("*.py")), Path(__file__)], follow=False)


def scored(
    record: Record,
    truth: np.ndarray,
    scores: np.ndarray | None,
    labels: np.ndarray | None,
    convention: str = "sklearn",
) -> Record:
    """The record with its criteria, and 1,000 bootstrap replicates of them, under a convention.

    On single-label data with its confusion matrix too. The draws follow the split, so that
    replicates of two methods on one test part pair up.
    """
    kind = record.cell.kind
    found = evaluate(truth, scores, labels, convention, kind)
    counts = np.zeros(0, int)
    if kind == "single" and scores is not None:
        counts = confusion(truth, scores)
    seed = int(record.cell.split_hash[:8], 16)
    values = bootstrap.replicates(truth, scores, labels, convention, kind, seed, REPLICATES)
    return replace(
        record,
        convention=convention,
        criteria_code=criteria_code(),
        criteria=found.values,
        confusion=counts.tolist(),
        left_out=found.left_out,
        tied_rows=found.tied_rows,
        bootstrap={"seed": seed, "count": REPLICATES, "values": bootstrap.pack(values)},
    )
