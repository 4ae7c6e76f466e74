"""One number out of a record: what tables of papers and tests of claims measure.

The only place that reads recalls, confusions, curves and counts out of records. A number is named
by a text, as claims and tables write it:

a criterion
    ``micro_f1``
``recall:CLASS``, ``confusion:TRUE:PREDICTED``
    A share of the images of the true class.
``measure:NAME``
    A figure that the network gives beside the criteria.
``curve:COLUMN``, ``curve:COLUMN:last``, ``curve:COLUMN:first``
    The learning curve's value in the last epoch, its mean over the last and over the first third of
    the epochs; ``COLUMN@PHASE`` takes those of one phase.
``learned_weights``
    How many numbers the training moved.
``training_time``
    Seconds of training and of the embeddings of all faces.
``corrected_examples``
    Test images that are right: its difference between two methods is what one corrects less what it
    breaks.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict

import numpy as np

from bench.api import BenchError
from bench.papers.files import catalogue
from bench.publish.rows import IMAGES, Row, ScoresOf
from bench.run.record import Record
from bench.score import bootstrap, distribution
from bench.score.criteria import BY_NAME
from bench.score.neutral import tie_neutral
from bench.score.predictions import Measure, mean_over_rows

TIME = "time_per_image"
"""The only metric that no record holds (`bench.papers.timing`)."""

TRAINING = "training_time"
WEIGHTS = "learned_weights"

EXACT = (WEIGHTS,)
"""Metrics that neither a seed nor an image changes."""

LAST, FIRST = "last", "first"
"""Thirds of a training's epochs, of a curve."""

# Further metrics by which way is better.
_BETTER = {WEIGHTS: -1, TRAINING: -1, TIME: -1, "corrected_examples": 1, "recall": 1}
_PREFIXES = ("recall", "confusion", "measure", "curve")


def better(metric: str) -> int:
    """1 where a larger value is better, -1 where a smaller one is.

    Raises
    ------
    BenchError
        A metric without such a direction.
    """
    prefix, _, name = metric.partition(":")
    criterion = BY_NAME.get(metric) or distribution.BY_NAME.get(metric)
    if criterion is not None:
        return 1 if criterion.direction == "higher" else -1
    if prefix == "measure" and name in catalogue().directions:
        return 1 if catalogue().directions[name] == "higher" else -1
    if prefix in _BETTER:
        return _BETTER[prefix]
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
    """A value of a record, by its name (see the module); None where the record has none."""
    kind, *names = metric.split(":")
    if kind in ("recall", "confusion"):
        return _share(record, names[0], names[-1])
    if kind == "measure":
        return record.measures.get(names[0])
    if kind == "curve":
        return _of_epochs(epochs(record, names[0]), *names[1:])
    if metric == WEIGHTS:
        return float(record.learned_weights) or None
    if metric == TRAINING:
        return record.seconds.get("features")
    if metric == "corrected_examples":
        return float(np.trace(record.confusion)) if record.confusion else None
    return {**record.criteria, **record.distribution_criteria}.get(metric)


def replicates(record: Record, metric: str, scores_of: ScoresOf | None) -> np.ndarray | None:
    """A value on the resamples of the test images that a record's criteria have, float (B,).

    Zeros for what training alone decides. Shares of a class, and images that are right, are counted
    in the stored scores. None where neither gives it.

    Parameters
    ----------
    scores_of : callable or None
        The stored scores of a record.
    """
    drawn = record.bootstrap
    if not drawn:
        return None
    if metric in drawn["values"]:
        return bootstrap.unpack({metric: drawn["values"][metric]})[metric]
    if metric.startswith("curve:") or metric == TRAINING:
        return np.zeros(drawn["count"])
    if drawn.get("of", IMAGES) != IMAGES or not _counted_images(metric):
        return None
    stored = scores_of(record) if scores_of else None
    if stored is None or stored.scores is None:
        return None
    measure = _count(record, metric, stored.truth.argmax(axis=1), stored.scores.argmax(axis=1))
    values = bootstrap.resampled(
        {metric: measure}, stored.truth.shape, drawn["seed"], drawn["count"]
    )
    return values[metric]


def _counted_images(metric: str) -> bool:
    return metric == "corrected_examples" or metric.partition(":")[0] in ("recall", "confusion")


def _count(record: Record, metric: str, truth: np.ndarray, predicted: np.ndarray) -> Measure:
    """The measure of a share of a class, or of the number of images that are right."""
    if metric == "corrected_examples":
        right = (truth == predicted).astype(float)
        return lambda weights: np.einsum("n,nb->b", right, weights)
    _, *names = metric.split(":")
    true, wanted = (record.cell.label_names.index(name) for name in (names[0], names[-1]))
    return mean_over_rows(np.where(truth == true, predicted == wanted, np.nan))


def neutral(row: Row, metric: str, scores_of: ScoresOf) -> float | None:
    """The mean over a row of a ranking criterion, tied labels in random order; None unknown."""
    values = []
    for record in row.ok:
        stored = scores_of(record) if record.cell.kind == "multi" else None
        if stored is None or stored.scores is None:
            return None
        values.append(tie_neutral(stored.truth, stored.scores).get(metric))
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None


def by_seed(row: Row, metric: str) -> dict[int, float]:
    """The mean over splits under each seed that every split has a value for."""
    values: dict[str, dict[int, float]] = defaultdict(dict)
    for record in row.ok:
        value = read(record, metric)
        if value is not None:
            values[record.cell.split_hash][record.cell.seed] = value
    if not values or len(values) < len(row.splits):
        return {}
    common = sorted(set.intersection(*map(set, values.values())))
    return {
        seed: float(np.mean([of_split[seed] for of_split in values.values()])) for seed in common
    }


def epochs(record: Record, column: str) -> list[float]:
    """A column of a record's learning curve, epoch by epoch; empty without it.

    Parameters
    ----------
    column : str
        ``COLUMN``, or ``COLUMN@PHASE`` for the epochs of one phase.
    """
    name, _, phase = column.partition("@")
    rows = csv.DictReader(io.StringIO(record.curve, newline=""))
    texts = [row.get(name) for row in rows if not phase or row.get("phase") == phase]
    return [float(text) for text in texts if text]


def _share(record: Record, true: str, predicted: str) -> float | None:
    names = record.cell.label_names
    if not record.confusion or true not in names or predicted not in names:
        return None
    counts = record.confusion[names.index(true)]
    return counts[names.index(predicted)] / sum(counts) if sum(counts) else None


def _of_epochs(values: list[float], third: str = "") -> float | None:
    """The last epoch's value, or the mean over a third of the epochs."""
    if not third:
        return values[-1] if values else None
    size = len(values) // 3
    if not size:
        return None
    return float(np.mean(values[-size:] if third == LAST else values[:size]))
