"""Published gains put against the noise of the test set that they were measured on.

A mean over n test images would come out elsewhere on n other ones. How far two such means differ by
that alone has the standard error sqrt(v1 + v2), v the variance of each:

- a share of images, right or wrong (accuracy, one-error, one class's recall): p (1 - p) / n.
- mean recall: the sum over its C classes of p_c (1 - p_c) / n_c, over C * C, where the paper prints
  the recall of each class in the same table.
- Hamming loss: the labels of one image hang together, so its n * L decisions are fewer than they
  seem, and p (1 - p) / (n L) is too small. An image's share of wrong labels lies between 0 and 1,
  so its variance is at most p (1 - p), reached where each image is right or wrong in all its
  labels. p (1 - p) / n is the most that it can be, and `Margin.at_most` says so. In the records of
  fer-plus-ml in results/ the variance is about half of that.
- anything else, and Hamming loss too: the square of a measured standard deviation of one image's
  contribution, over n, where the caller gives one (of bootstrap replicates, times sqrt(n)).

How many images a value is a mean over follows from its protocol (`protocols.toml`).

What this leaves out: two methods tried on the same images err on many of them together, which makes
the true noise of their difference smaller, and no paper prints what is needed to say by how much;
another seed, another choice of the epoch, photographs of the same person make it larger.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.api import BenchError, near
from bench.papers.files import PublishedProtocol, catalogue, own_method, papers, protocols
from bench.papers.published import Number, numbers
from bench.score.criteria import BY_NAME

_DIRECTIONS = {name: one.direction for name, one in BY_NAME.items()} | {"recall": "higher"}
_SHARES = ("accuracy", "one_error", "recall")


@dataclass(frozen=True)
class Margin:
    """What separates two rows of one column, and how much of it the size of the test set explains.

    Attributes
    ----------
    pick : str
        The class or the fold that the column is of (``class=fear``), or empty.
    against : str
        ``second best``: the best row of the column and the next. ``other method``: the best row of
        the paper's own method, better or not, and of any other; ``same protocol``: the same among
        rows of its own protocol. A pair stands once, under the first that holds.
    best, second : str
        ``method; variant``; ``best_id`` and ``second_id`` are the rows.
    margin : float
        By how much ``best`` is better, in fractions or labels; negative where it is worse.
    n : int or None
        Test images (of the class or fold); the smaller number where the two rows differ.
    units : int or None
        Those that count as independent: the frames of one sequence are one.
    se : float or None
        Standard error of the unpaired difference; None: see ``why``.
    at_most : bool
        Whether ``se`` is an upper bound, so that ``ratio`` is a lower one.
    ratio : float or None
        ``margin / se``.
    images : float or None
        ``margin * n`` where the metric is a share of images.
    """

    table: str
    part: str
    dataset: str
    metric: str
    pick: str
    against: str
    best: str
    second: str
    best_id: str
    second_id: str
    margin: float
    n: int | None
    units: int | None
    se: float | None
    at_most: bool
    ratio: float | None
    images: float | None
    why: str


@dataclass(frozen=True)
class Worse:
    """A published row that predicting the same for every image would beat."""

    row: Number
    trivial: Number


def margins(
    paper: str, table: str | None = None, deviation: Mapping[str, float] | None = None
) -> tuple[Margin, ...]:
    """The margins of each column of a table, or of all tables, in the paper's order.

    A column is what stands side by side: results of one part, dataset, metric, class and fold.

    Parameters
    ----------
    deviation : mapping of str to float, optional
        Measured standard deviation of one image's contribution to a metric, as bench counts it.

    Raises
    ------
    BenchError
        An unknown paper, table or metric; a deviation that is no positive number.
    """
    rows = _results(paper)
    tables = dict.fromkeys(row.table for row in rows)
    if table is not None and table not in tables:
        raise BenchError(f"{paper} has no results in {table!r}: {near(table, tables)}")
    columns: dict[tuple[str, ...], list[Number]] = {}
    for row in rows:
        if row.metric in _DIRECTIONS and table in (None, row.table):
            column = (row.table, row.part, row.dataset, row.metric, pick(row))
            columns.setdefault(column, []).append(row)
    return tuple(
        between(first, second, deviation, against)
        for column in columns.values()
        for against, first, second in _pairs(column)
    )


def between(
    first: Number,
    second: Number,
    deviation: Mapping[str, float] | None = None,
    against: str = "",
) -> Margin:
    """By how much one row is better than another of its dataset, metric, class and fold.

    Raises
    ------
    BenchError
        Rows that are not of one column, or have no direction; a deviation as in `margins`.
    """
    column = (first.dataset, first.metric, pick(first))
    if column != (second.dataset, second.metric, pick(second)) or first.metric not in _DIRECTIONS:
        raise BenchError(
            f"{first.id} ({first.metric}) and {second.id} ({second.metric}) cannot be compared: "
            f"take two rows of one dataset, one class and one of {', '.join(_DIRECTIONS)}"
        )
    deviation = _checked(deviation or {})
    se, why = _standard_error((first, second), deviation)
    n = _smaller_test_part(first, second)
    margin = _goodness(first) - _goodness(second)
    return Margin(
        first.table,
        first.part,
        *column,
        against,
        *(_label(first), _label(second), first.id, second.id),
        margin,
        n,
        None if n is None else n // _frames(first),
        se,
        at_most=se is not None and first.metric == "hamming_loss" and first.metric not in deviation,
        ratio=margin / se if se else None,
        images=margin * n if n is not None and first.metric in _SHARES else None,
        why=why,
    )


def worse_than_trivial(paper: str) -> tuple[Worse, ...]:
    """Results worse than a constant prediction, by more than the rounding of the two prints.

    The constant's value is of the whole dataset, the row's of its test part.
    """
    trivial = [
        number
        for source in papers()
        for number in numbers(source)
        if number.kind == "derived" and number.method in catalogue().constant_predictors
    ]
    return tuple(
        Worse(row, constant)
        for row in _results(paper)
        for constant in trivial
        if (row.dataset, row.metric) == (constant.dataset, constant.metric)
        if _goodness(constant) - _goodness(row) > (row.rounding + constant.rounding) * (1 + 1e-9)
    )


def _results(paper: str) -> list[Number]:
    return [number for number in numbers(paper) if number.kind == "result"]


def pick(row: Number) -> str:
    """The class or the fold that a row is of, as its variant says it; empty without."""
    keys = ("class=", "fold=")
    return "; ".join(piece for piece in row.variant.split("; ") if piece.startswith(keys))


def tested_on(row: Number) -> int | None:
    """How many images a value is a mean over, from the paper's own counts; None where unknown.

    FER+'s private test part counts in full, though a quoted row has images with a majority only.
    """
    protocol = protocols().get(row.protocol)
    if protocol is None:
        return None
    key, _, value = pick(row).partition("=")
    if protocol.test is not None:
        return protocol.classes.get(value) if key == "class" else protocol.test
    if protocol.counts:
        return images_of(row)
    whole = images_of(row)
    if whole is None or key == "class":
        return None
    return _held_out(protocol, whole, value if key == "fold" else "")


def images_of(row: Number) -> int | None:
    """Images of a value's dataset by the paper's own counts, those of its test part where counted.

    None where the paper does not count them.
    """
    protocol = protocols().get(row.protocol)
    if protocol is not None and protocol.counts:
        return _count(row.paper, row.dataset, protocol.counts)
    return _count(row.paper, row.dataset, "stage=selected") or _count(row.paper, row.dataset, "")


def _held_out(protocol: PublishedProtocol, whole: int, fold: str) -> int | None:
    """Of all images, those that one split, or one fold of a cross-validation, tests on."""
    if protocol.percent is not None:
        return round(whole * protocol.percent / 100)
    if protocol.folds is not None:
        return round(whole / protocol.folds) if fold.isdecimal() else whole
    return None


def _smaller_test_part(first: Number, second: Number) -> int | None:
    """Test images of the row that has fewer; None where one's are unknown."""
    sizes = (tested_on(first), tested_on(second))
    return None if sizes[0] is None or sizes[1] is None else min(sizes[0], sizes[1])


def _count(paper: str, dataset: str, variant: str) -> int | None:
    wanted = (dataset, variant, "images")
    for row in numbers(paper):
        if (row.dataset, row.variant, row.metric) == wanted and row.comparable and row.value:
            return int(row.value)
    return None


def _frames(row: Number) -> int:
    """Images of one sequence among those of `tested_on`."""
    frames = (
        number.value or 0
        for number in numbers(row.paper)
        if (number.dataset, number.metric) == (row.dataset, "frames_per_sequence")
    )
    return round(sum(frames)) or 1


def _standard_error(
    rows: Sequence[Number], deviation: Mapping[str, float]
) -> tuple[float | None, str]:
    """Of the unpaired difference of two rows; or None, and why."""
    total = 0.0
    for row in rows:
        variance, why = _variance(row, deviation)
        if variance is None:
            return None, why
        total += variance
    return math.sqrt(total), ""


def _variance(row: Number, deviation: Mapping[str, float]) -> tuple[float | None, str]:
    """Of a row's value over test sets of its size; or None, and why."""
    if row.metric == "mean_recall" and (recalls := _recalls(row)):
        return sum(p * (1 - p) / n for p, n in recalls) / len(recalls) ** 2, ""
    n = tested_on(row)
    if n is None:
        return None, f"{row.id}: how many images it was tested on is not known"
    units = n // _frames(row)
    if row.metric in deviation and row.metric not in _SHARES:
        return deviation[row.metric] ** 2 / units, ""
    if row.metric in (*_SHARES, "hamming_loss"):
        p = row.fraction or 0.0
        return p * (1 - p) / units, ""
    if row.metric == "mean_recall":
        return None, f"{row.id}: {row.table} does not print the recall of each class"
    return None, f"the noise of {row.metric} does not follow from the number of images"


def _recalls(row: Number) -> list[tuple[float, int]]:
    """The recall and the test images of each class that the row's table prints for its method."""
    protocol = protocols().get(row.protocol)
    counts = protocol.classes if protocol else {}
    recalls = [
        (recall.fraction, counts[pick(recall).partition("=")[2]])
        for recall in _results(row.paper)
        if counts and recall.metric == "recall" and recall.fraction is not None
        if (recall.table, recall.dataset, _label(recall)) == (row.table, row.dataset, _label(row))
    ]
    return recalls if len(recalls) == len(counts) else []


def _pairs(column: list[Number]) -> Iterator[tuple[str, Number, Number]]:
    """What is set against what in a column; a paper's own method stands first among equals."""
    own = own_method(column[0].paper)
    ranked = sorted(column, key=lambda row: (-_goodness(row), row.method != own))
    others = [row for row in ranked if row.method != own]
    rivals = [("second best", ranked[0], ranked[1:])]
    if len(others) < len(ranked):
        ours = next(row for row in ranked if row.method == own)
        alike = [row for row in others if row.protocol == ours.protocol]
        rivals += [("other method", ours, others), ("same protocol", ours, alike)]
    pairs: dict[tuple[str, str], tuple[str, Number, Number]] = {}
    for against, first, behind in rivals:
        if behind:
            pairs.setdefault((first.id, behind[0].id), (against, first, behind[0]))
    yield from pairs.values()


def _goodness(row: Number) -> float:
    value = row.fraction if row.fraction is not None else math.nan
    return -value if _DIRECTIONS[row.metric] == "lower" else value


def _label(row: Number) -> str:
    """Method and variant, without the class or fold that is the column's."""
    kept = [piece for piece in row.variant.split("; ") if piece and piece != pick(row)]
    return "; ".join([row.method, *kept])


def _checked(deviation: Mapping[str, float]) -> Mapping[str, float]:
    for metric, value in deviation.items():
        if metric not in _DIRECTIONS:
            raise BenchError(f"a deviation of {metric!r}: {near(metric, _DIRECTIONS)}")
        if not (math.isfinite(value) and value > 0):
            raise BenchError(f"the deviation of {metric} is {value}: give a positive number")
    return deviation
