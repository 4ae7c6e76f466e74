"""Records as pandas frames, and frames as CSV files: everything tabular that is made of records.

`cells` has one row per cell; the CSV files of a results folder are its columns, or its rows with
details beside them. Statistics of several cells come from `bench.publish.rows`: pandas' means add
in another order than numpy's, which would change last digits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd

from bench.publish.criteria_tables import contents
from bench.publish.escape import csv_cell
from bench.publish.ranking import Ranking, ranking
from bench.publish.rows import (
    POOLED,
    CriterionEstimate,
    PooledRecord,
    Row,
    canonical,
    ordered,
    rows_of,
    shown_params,
)
from bench.run.job import Cell
from bench.run.record import Record
from bench.score.confusion import row_percent
from bench.score.criteria import COVERAGE_ONE_BASED, CRITERIA, SINGLE_CRITERIA
from bench.score.distribution import DISTRIBUTION_CRITERIA

_NINE = tuple(criterion.name for criterion in CRITERIA)
_OTHERS = (*(criterion.name for criterion in SINGLE_CRITERIA), COVERAGE_ONE_BASED.name)
_DISTRIBUTION = tuple(criterion.name for criterion in DISTRIBUTION_CRITERIA)

# Names and order are a contract: scripts read these files. New columns come at the end.
CELL_COLUMNS = (
    *("dataset", "protocol", "split", "features", "classifier", "params", "seed", "budget"),
    *("status", "synthetic", "weights", "convention", "n_train", "n_test"),
    *_NINE,
    *("seconds_features", "seconds_fit", "seconds_predict", "peak_memory_mb", "device", "version"),
    "key",
    *("selection", "n_valid", "twins", "tied_rows", "left_out", "reason"),
    *_OTHERS,
    *("fingerprint", "split_hash", "notes"),
    *("threshold", "fitted_on"),
    *(f"{name}_half_panels" for name in (*_NINE, *_OTHERS)),
)
_ESTIMATE = ("mean", "sd_seeds", "sd_folds", "low", "high")
SUMMARY_COLUMNS = (
    *("dataset", "fingerprint", "protocol", "features", "classifier", "params", "budget"),
    *("selection", "synthetic", "weights", "convention"),
    *("n_cells", "n_seeds", "n_folds", "missing"),
    *(f"{name}_{part}" for name in _NINE for part in _ESTIMATE),
    "tied_rows",
    *(f"{name}_{part}" for name in _OTHERS for part in _ESTIMATE),
    *("threshold", "fitted_on"),
    *(f"{name}_mark" for name in (*_NINE, *_OTHERS)),
    *("interval_over", "resampled", "clusters", "rare_labels"),
    *(f"{name}_half_panels" for name in (*_NINE, *_OTHERS)),
    *(f"{name}_{part}" for name in POOLED for part in ("pooled", "pooled_low", "pooled_high")),
)
_METHOD = ("key", "dataset", "protocol", "split", "features", "classifier", "params", "seed")
_TRAINING = ("budget", "selection", "synthetic")
CONFUSION_COLUMNS = (*_METHOD, "truth", "predicted", "count", "percent", *_TRAINING)
MEASURE_COLUMNS = (*_METHOD, *_TRAINING, "measure", "value")
RANK_COLUMNS = (
    *("table", "criterion", "features", "classifier", "params", "budget", "selection"),
    *("value", "low", "high", "mark", "rank", "rank_low", "rank_high", "chance_best", "unranked"),
)
DISTRIBUTION_COLUMNS = (*_METHOD, *_TRAINING, *_DISTRIBUTION)


def frame_of(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """A frame of these rows and columns.

    Each value stays as it is (dtype object), so that a count is not written as a fraction because
    another row lacks it; `DataFrame.infer_objects` gives columns of numbers to calculate with.
    """
    return pd.DataFrame(list(rows), columns=list(columns), dtype=object)


def cells(records: Iterable[Record], columns: Sequence[str] = CELL_COLUMNS) -> pd.DataFrame:
    """One row per cell, in the order of `bench.publish.rows.ordered`.

    Parameters
    ----------
    records : iterable of Record
    columns : sequence of str
        Fields of `Cell` and of `Record`, criteria, and the other columns of cells.csv: ``params``
        is JSON (``{"classifier": {...}, "features": {...}}``, and ``"tuned"`` where some of them
        were chosen on the training part: from what, how), ``notes`` are joined by `` | ``,
        ``<criterion>_half_panels`` is the criterion on the truth of people's row.

    Returns
    -------
    DataFrame
        A value that a record lacks is missing.
    """
    of_cells = (record for record in records if not isinstance(record, PooledRecord))
    return frame_of(map(_cell, ordered(of_cells)), columns)


def _cell(record: Record) -> dict[str, Any]:
    cell = record.cell
    ok = record.status == "ok"
    return {
        **{field.name: getattr(record, field.name) for field in fields(Record)},
        **cell.columns(field.name for field in fields(Cell)),
        **record.criteria,
        **record.distribution_criteria,
        **{f"{name}_half_panels": value for name, value in record.half_panels.items()},
        **{f"seconds_{stage}": seconds for stage, seconds in record.seconds.items()},
        "params": _params(cell, cell.classifier_params, cell.features_params),
        "convention": record.convention if ok else None,
        "left_out": record.left_out if ok else None,
        "device": record.provenance.get("device"),
        "version": record.provenance.get("version"),
        "notes": " | ".join(record.notes),
    }


def summary(records: Sequence[Record], trivial: Collection[str] = ()) -> pd.DataFrame:
    """One row per method, a group of five columns per criterion, and its marks.

    ``<criterion>_mean`` is the mean over splits of the mean over seeds, ``_sd_seeds`` and
    ``_sd_folds`` are standard deviations (n - 1; missing below two values), ``_low`` and ``_high``
    bound the 95 % interval over what ``interval_over`` says: ``images and seeds``, or ``images``
    of few seeds of a stochastic method. ``resampled`` and ``clusters`` say what the resamples
    drew (``images``, ``subjects``) and how many there are. ``_mark`` is ``best`` or ``alike``
    (cannot be told from the best), of a row that stands in several tables those of each, with ``|``
    between them where they differ. ``rare_labels`` are those, with their number of test images,
    because of which the means over labels have no interval. In ``params`` a tuned parameter, which
    may differ from cell to cell, reads ``tuned``. ``n_cells`` counts cells with a result,
    ``missing`` those without; ``n_seeds`` and ``n_folds`` are the seeds and splits among the
    former. ``<criterion>_half_panels`` is the mean on the truth of people's row, half of the votes.
    ``_pooled``, ``_pooled_low`` and ``_pooled_high`` are F1 and AUC of the predictions of all folds
    together, by which rows are marked; without folds, or without stored scores, they are empty.

    Parameters
    ----------
    trivial : collection of str
        Methods without a rank (`bench.publish.ranking.trivial_methods`).
    """
    marks = _marks(records, trivial)
    return frame_of((_summary(row, marks) for row in rows_of(records)), SUMMARY_COLUMNS)


_Marks = dict[tuple[str, str], list[str]]


def _marks(records: Sequence[Record], trivial: Collection[str]) -> _Marks:
    """Marks in each table, by the key of a row's first cell and the criterion."""
    found: _Marks = {}
    for _, rows, criteria in contents(records, ""):
        for criterion in criteria:
            marked = ranking(rows, criterion, trivial).marks
            for i, row in enumerate(rows):
                found.setdefault((row.records[0].key, criterion.name), []).append(marked.get(i, ""))
    return found


def _summary(row: Row, marks: _Marks) -> dict[str, Any]:
    sides = [shown_params(row.cell, side) for side in ("classifier", "features")]
    values = {
        **row.cell.columns(field.name for field in fields(Cell)),
        "params": _params(row.cell, *sides),
        "convention": row.ok[0].convention if row.ok else None,
        "n_cells": len(row.ok),
        "n_seeds": len(row.seeds),
        "n_folds": len(row.splits),
        "missing": len(row.records) - len(row.ok),
        "tied_rows": row.tied_rows,
        "rare_labels": "; ".join(f"{name} {count}" for name, count in row.rare_labels.items()),
    }
    for name in (*_NINE, *_OTHERS):
        estimate = row.averaged(name)
        if row.pooled and name in POOLED:
            values |= _pooled(row, name)
        if estimate is not None:
            low, high = estimate.interval or (None, None)
            numbers = (estimate.mean, estimate.sd_seeds, estimate.sd_folds, low, high)
            values |= zip((f"{name}_{part}" for part in _ESTIMATE), numbers, strict=True)
            of_tables = marks.get((row.records[0].key, name), [])
            alike = len({*of_tables}) < 2
            values[f"{name}_mark"] = "|".join(of_tables[:1] if alike else of_tables)
            if estimate.sample is not None:
                values |= _over(estimate)
        values[f"{name}_half_panels"] = row.half_panels(name)
    return values


def _pooled(row: Row, name: str) -> dict[str, Any]:
    """A criterion of the predictions of all folds together, with its interval."""
    estimate = row.estimate(name)
    if estimate is None:
        return {}
    low, high = estimate.interval or (None, None)
    return {f"{name}_pooled": estimate.mean, f"{name}_pooled_low": low, f"{name}_pooled_high": high}


def _over(estimate: CriterionEstimate) -> dict[str, Any]:
    """What the intervals of a row cover, and what was resampled for them."""
    over = "images" if estimate.few_seeds else "images and seeds"
    drawn = estimate.drawn
    return {"interval_over": over, "resampled": drawn.kind, "clusters": drawn.clusters}


def ranks(records: Sequence[Record], name: str, trivial: Collection[str] = ()) -> pd.DataFrame:
    """One row per table, criterion and method: which rank it may have on other images and seeds.

    ``value``, ``low``, ``high`` and ``mark`` are those of summary.csv. ``rank`` is 1 for the best
    value, ``rank_low`` and ``rank_high`` bound its 95 % interval, and ``chance_best`` is the
    probability of being best (`bench.score.best.ranks`); ``unranked`` says why a row has none.

    Parameters
    ----------
    name : str
        Start of the tables' names, as in table.tex.
    trivial : collection of str
        As for `summary`.
    """
    rows = [
        {"table": table, **place}
        for table, of_table, criteria in contents(records, name)
        for criterion in criteria
        for place in _places(of_table, ranking(of_table, criterion, trivial))
    ]
    return frame_of(rows, RANK_COLUMNS)


def _places(rows: Sequence[Row], ranked: Ranking) -> Iterator[dict[str, Any]]:
    """The rows of one table by one criterion, best first, those without a rank behind."""
    found = ranked.ranks
    places = {}
    if found is not None:
        numbers = zip(found.rank, found.low, found.high, found.best, strict=True)
        names = ("rank", "rank_low", "rank_high", "chance_best")
        for i, values in zip(ranked.places, numbers, strict=True):
            places[i] = dict(zip(names, map(float, values), strict=True))
    behind = len(rows) + 1.0
    for i in sorted(range(len(rows)), key=lambda i: places.get(i, {}).get("rank", behind)):
        estimate = ranked.estimates[i]
        cell = rows[i].cell
        sides = [shown_params(cell, side) for side in ("classifier", "features")]
        low, high = (estimate.interval if estimate else None) or (None, None)
        yield {
            **cell.columns(field.name for field in fields(Cell)),
            "criterion": ranked.criterion.name,
            "params": _params(cell, *sides),
            "value": estimate.mean if estimate else None,
            "low": low,
            "high": high,
            "mark": ranked.marks.get(i, ""),
            "unranked": ranked.unranked[i],
            **places.get(i, {}),
        }


def _params(cell: Cell, classifier: dict[str, Any], features: dict[str, Any]) -> str:
    tuned = {"tuned": cell.tuned} if cell.tuned else {}
    return canonical({"classifier": classifier, "features": features, **tuned})


def confusions(records: Iterable[Record]) -> pd.DataFrame:
    """One row per cell, true class and predicted class, of cells where images have one class.

    ``percent`` is that of the cell's test images of the true class; missing where there are none.
    """
    single = [record for record in ordered(records) if record.confusion]
    return _detailed(single, list(map(_counts, single)), CONFUSION_COLUMNS)


def _counts(record: Record) -> pd.DataFrame:
    classes, counts = record.cell.label_names, np.asarray(record.confusion)
    pairs = pd.MultiIndex.from_product([classes, classes], names=["truth", "predicted"])
    columns = {"count": counts.ravel(), "percent": row_percent(counts).ravel()}
    return pd.DataFrame(columns, index=pairs).reset_index()


def measures(records: Iterable[Record]) -> pd.DataFrame:
    """One row per cell and figure that its network measured of itself on the test part.

    They are no criteria: each method's docstring says what its figures are.
    """
    measuring = [record for record in ordered(records) if record.measures]
    figures = [
        pd.DataFrame(sorted(record.measures.items()), columns=["measure", "value"], dtype=object)
        for record in measuring
    ]
    return _detailed(measuring, figures, MEASURE_COLUMNS)


def distributions(records: Iterable[Record]) -> pd.DataFrame:
    """One row per cell that has label-distribution criteria."""
    return cells(records, DISTRIBUTION_COLUMNS).dropna(subset=list(_DISTRIBUTION), how="all")


def _detailed(
    records: Sequence[Record], details: Sequence[pd.DataFrame], columns: Sequence[str]
) -> pd.DataFrame:
    """The rows of ``details``, one frame for each of the ordered records, beside their cells."""
    if not records:
        return frame_of((), columns)
    stacked = pd.concat(details, keys=range(len(records)), names=["cell", None])
    beside = stacked.reset_index(level="cell")
    return cells(records).merge(beside, left_index=True, right_on="cell")[list(columns)]


def csv_text(frame: pd.DataFrame) -> str:
    """A frame as CSV without its index.

    Numbers are in full precision, true and false are ``true`` and ``false``, what is missing is
    empty, and no text can run as a formula (`bench.publish.escape.csv_cell`).
    """
    texts = frame.astype(object).map(_text, na_action="ignore")
    return str(texts.to_csv(index=False, lineterminator="\n"))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return csv_cell(value) if isinstance(value, str) else str(value)
