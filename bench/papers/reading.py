"""One number out of a record, for claims."""

from __future__ import annotations

import csv
import io
from collections import defaultdict

import numpy as np

from bench.api import BenchError
from bench.publish.rows import Row
from bench.run.record import Record
from bench.score import distribution
from bench.score.criteria import BY_NAME

TIME = "time_per_image"
"""The one metric that no record holds (`bench.papers.comparing.compare`)."""

TRAINING = "training_time"

EXACT = ("learned_weights",)
"""Metrics that neither a seed nor an image changes."""

LAST, FIRST = "last", "first"
"""Thirds of a training's epochs, of a curve."""

# Further metrics by which way is better.
_BETTER = {
    "learned_weights": -1,
    TRAINING: -1,
    TIME: -1,
    "measure:normalised_mean_error": -1,
    "corrected_examples": 1,
    "recall": 1,
}
_PREFIXES = ("recall", "confusion", "measure", "curve")


def better(metric: str) -> int:
    """1 where a larger value is better, -1 where a smaller one is.

    Raises
    ------
    BenchError
        A metric without such a direction.
    """
    criterion = BY_NAME.get(metric) or distribution.BY_NAME.get(metric)
    if criterion is not None:
        return 1 if criterion.direction == "higher" else -1
    for name in (metric, metric.partition(":")[0]):
        if name in _BETTER:
            return _BETTER[name]
    raise BenchError(
        f"no value of {metric} is better than another: name a criterion of bench, or claim that "
        "one side is higher"
    )


def known(metric: str) -> bool:
    """Whether `read`, or a timing, gives it."""
    prefix, colon, _ = metric.partition(":")
    if colon:
        return prefix in _PREFIXES
    return metric in {*BY_NAME, *distribution.BY_NAME, *_BETTER} - {"recall"}


def read(record: Record, metric: str) -> float | None:
    """A value of a record; None where it has none.

    Parameters
    ----------
    metric : str
        A criterion; ``recall:CLASS``; ``confusion:TRUE:PREDICTED``, a share of the true class;
        ``measure:NAME``; ``curve:COLUMN:last`` and ``first``, the mean over the last and the first
        third of the epochs, with ``COLUMN@PHASE`` those of one phase; ``learned_weights``;
        ``training_time``, the seconds of training and of the embeddings of all faces;
        ``corrected_examples``, the test images that are right, whose difference between two methods
        is what one corrects less what it breaks.
    """
    kind, *rest = metric.split(":")
    if kind == "recall":
        return _share(record, rest[0], rest[0])
    if kind == "confusion":
        return _share(record, rest[0], rest[1])
    if kind == "measure":
        return record.measures.get(rest[0])
    if kind == "curve":
        return _third(record, *rest)
    if metric == "learned_weights":
        return float(record.learned_weights) or None
    if metric == TRAINING:
        return record.seconds.get("features")
    if metric == "corrected_examples":
        return float(np.trace(record.confusion)) if record.confusion else None
    return {**record.criteria, **record.distribution_criteria}.get(metric)


def by_seed(row: Row, metric: str) -> dict[int, float]:
    """The mean over splits under each seed that every split has a value for."""
    values: dict[str, dict[int, float]] = defaultdict(dict)
    for record in row.ok:
        value = read(record, metric)
        if value is not None:
            values[record.cell.split_hash][record.cell.seed] = value
    if len(values) < len(row.splits):
        return {}
    common = sorted(set.intersection(*map(set, values.values())))
    return {seed: float(np.mean([one[seed] for one in values.values()])) for seed in common}


def _share(record: Record, true: str, predicted: str) -> float | None:
    names = record.cell.label_names
    if not record.confusion or true not in names or predicted not in names:
        return None
    row = record.confusion[names.index(true)]
    return row[names.index(predicted)] / sum(row) if sum(row) else None


def _third(record: Record, column: str, which: str) -> float | None:
    name, _, phase = column.partition("@")
    rows = csv.DictReader(io.StringIO(record.curve, newline=""))
    texts = [row.get(name) for row in rows if not phase or row.get("phase") == phase]
    values = [float(text) for text in texts if text]
    size = len(values) // 3
    if not size:
        return None
    return float(np.mean(values[-size:] if which == LAST else values[:size]))
