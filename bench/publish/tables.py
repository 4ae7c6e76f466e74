"""Writes the tables of a results folder: pure functions of the records."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.api import BenchError, near
from bench.data.files import write_text
from bench.publish import confusion, latex, markdown
from bench.publish.criteria_tables import tables_of
from bench.publish.escape import csv_cell, folder
from bench.publish.rows import (
    Row,
    ScoresOf,
    canonical,
    in_convention,
    newest,
    ordered,
    rows_of,
    shown_params,
)
from bench.run.record import Cell, Record
from bench.score.criteria import CONVENTIONS, COVERAGE_ONE_BASED, CRITERIA, SINGLE_CRITERIA
from bench.score.distribution import DISTRIBUTION_CRITERIA

FORMATS = ("csv", "latex", "markdown")
_NINE = tuple(criterion.name for criterion in CRITERIA)
_OTHERS = (*(criterion.name for criterion in SINGLE_CRITERIA), COVERAGE_ONE_BASED.name)
_STAGES = ("features", "fit", "predict")
# Names and order are a contract: scripts read these files. New columns come at the end.
_CELL_COLUMNS = (
    *("dataset", "protocol", "split", "features", "classifier", "params", "seed", "budget"),
    *("status", "synthetic", "weights", "convention", "n_train", "n_test"),
    *_NINE,
    *("seconds_features", "seconds_fit", "seconds_predict", "peak_memory_mb", "device", "version"),
    "key",
    *("selection", "n_valid", "twins", "tied_rows", "left_out", "reason"),
    *_OTHERS,
    *("fingerprint", "split_hash", "notes"),
)
_FROM_CELL = (
    *("dataset", "protocol", "split", "features", "classifier", "seed", "budget", "synthetic"),
    *("weights", "n_train", "n_test", "selection", "n_valid", "twins"),
    *("fingerprint", "split_hash"),
)
_FROM_RECORD = ("status", "peak_memory_mb", "key", "tied_rows", "reason")
_ESTIMATES = ("mean", "sd_seeds", "sd_folds", "low", "high")
_SUMMARY_CELL = (
    *("dataset", "fingerprint", "protocol", "features", "classifier", "budget", "selection"),
    *("synthetic", "weights"),
)
_SUMMARY_COLUMNS = (
    *("dataset", "fingerprint", "protocol", "features", "classifier", "params", "budget"),
    *("selection", "synthetic", "weights", "convention"),
    *("n_cells", "n_seeds", "n_folds", "missing"),
    *(f"{name}_{what}" for name in _NINE for what in _ESTIMATES),
    "tied_rows",
    *(f"{name}_{what}" for name in _OTHERS for what in _ESTIMATES),
)
_ABOUT_CELL = (
    *("dataset", "protocol", "split", "features", "classifier", "seed"),
    *("budget", "selection", "synthetic"),
)
_CONFUSION_COLUMNS = (
    *("key", "dataset", "protocol", "split", "features", "classifier", "params", "seed"),
    *("truth", "predicted", "count", "percent", "budget", "selection", "synthetic"),
)
_MEASURE_COLUMNS = (
    *("key", "dataset", "protocol", "split", "features", "classifier", "params", "seed"),
    *("budget", "selection", "synthetic", "measure", "value"),
)
_DISTRIBUTION_COLUMNS = (
    *("key", "dataset", "protocol", "split", "features", "classifier", "params", "seed"),
    *("budget", "selection", "synthetic"),
    *(criterion.name for criterion in DISTRIBUTION_CRITERIA),
)


def write(
    records: Sequence[Record],
    out: Path,
    *,
    formats: Sequence[str] = FORMATS,
    convention: str = "sklearn",
    scores_of: ScoresOf | None = None,
    ties: bool = False,
) -> list[Path]:
    """Write the tables of every dataset into ``out/<dataset>/``.

    cells.csv, summary.csv, table.tex and table.md; where images have one class confusion.csv,
    confusion.tex and confusion.md too; where methods give label distributions distribution.csv too,
    and a block of its own in table.tex and table.md; measures.csv where networks measure more of
    themselves. Of records about the same cell only the newest counts
    (`bench.publish.rows.newest`, which also tells the others).

    Parameters
    ----------
    records : sequence of Record
        In any order.
    out : Path
        ``<results>/tables``; created if need be.
    formats : sequence of {"csv", "latex", "markdown"}
    convention : str
        Of the criteria; other than a record's own, they are computed from its stored scores.
    scores_of : callable, optional
        Gives a record's truth, scores and labels, or None where they are not stored.
    ties : bool
        Whether table.tex and table.md show the share of test rows with tied scores.

    Returns
    -------
    list of Path
        The files written, each of them whole.

    Raises
    ------
    BenchError
        An unknown format or convention, stored scores that are needed and missing, a file that
        cannot be written.
    """
    for name, known in [*((one, FORMATS) for one in formats), (convention, CONVENTIONS)]:
        if name not in known:
            what = "format" if known is FORMATS else "convention"
            raise BenchError(f"no {what} {name!r}: {near(name, known)}")
    by_dataset: dict[str, list[Record]] = defaultdict(list)
    for record in newest(records).kept:
        if record.status == "ok" and not record.scores_sha256 and record.convention != convention:
            continue  # people, who are judged by one convention alone
        by_dataset[record.cell.dataset].append(in_convention(record, convention, scores_of))
    paths = []
    for dataset in sorted(by_dataset):
        found = by_dataset[dataset]
        place = out / folder(dataset)
        texts = {}
        if "csv" in formats:
            texts["cells.csv"] = cells_csv(found)
            texts["summary.csv"] = summary_csv(found)
            if any(record.measures for record in found):
                texts["measures.csv"] = measures_csv(found)
        blocks = {"table": tables_of(found, place.name, ties)}
        if any(record.confusion for record in found):
            blocks["confusion"] = confusion.tables_of(found, place.name)
            if "csv" in formats:
                texts["confusion.csv"] = confusion_csv(found)
        if "csv" in formats and any(record.distribution_criteria for record in found):
            texts["distribution.csv"] = distribution_csv(found)
        for file, tables in blocks.items():
            if "latex" in formats:
                texts[f"{file}.tex"] = latex.render(tables)
            if "markdown" in formats:
                texts[f"{file}.md"] = markdown.render(tables)
        for file, text in texts.items():
            write_text(place / file, text)
            paths.append(place / file)
    return paths


def cells_csv(records: Iterable[Record]) -> str:
    """One row per cell, numbers in full precision, empty where there is none.

    ``params`` is JSON (``{"classifier": {...}, "features": {...}}``, and ``"tuned"`` where some of
    them were chosen on the training part: from what, how), ``notes`` are joined by `` | ``; true
    and false are ``true`` and ``false``.
    """
    return csv_text([_cell(record) for record in ordered(records)], _CELL_COLUMNS)


def _cell(record: Record) -> dict[str, Any]:
    cell = record.cell
    row = {name: getattr(cell, name) for name in _FROM_CELL}
    row |= {name: getattr(record, name) for name in _FROM_RECORD}
    row |= {name: record.criteria.get(name) for name in (*_NINE, *_OTHERS)}
    row |= {f"seconds_{name}": record.seconds.get(name) for name in _STAGES}
    row |= {name: record.provenance.get(name) for name in ("device", "version")}
    ok = record.status == "ok"
    return row | {
        "params": _params(cell, cell.classifier_params, cell.features_params),
        "convention": record.convention if ok else None,
        "left_out": record.left_out if ok else None,
        "notes": " | ".join(record.notes),
    }


def summary_csv(records: Iterable[Record]) -> str:
    """One row per method, a group of five columns per criterion.

    ``<criterion>_mean`` is the mean over splits of the mean over seeds, ``_sd_seeds`` and
    ``_sd_folds`` are standard deviations (n - 1; empty below two values), ``_low`` and ``_high``
    bound the 95 % bootstrap interval over test images. In ``params`` a tuned parameter, which may
    differ from cell to cell, reads ``tuned``. ``n_cells`` counts cells with a result,
    ``missing`` those without; ``n_seeds`` and ``n_folds`` are the seeds and splits among the
    former.
    """
    return csv_text([_summary(row) for row in rows_of(records)], _SUMMARY_COLUMNS)


def _summary(row: Row) -> dict[str, Any]:
    sides = [shown_params(row.cell, side) for side in ("classifier", "features")]
    values = {name: getattr(row.cell, name) for name in _SUMMARY_CELL}
    values |= {
        "params": _params(row.cell, *sides),
        "convention": row.ok[0].convention if row.ok else None,
        "n_cells": len(row.ok),
        "n_seeds": len(row.seeds),
        "n_folds": len(row.splits),
        "missing": len(row.records) - len(row.ok),
        "tied_rows": row.tied_rows,
    }
    for name in (*_NINE, *_OTHERS):
        estimate = row.estimate(name)
        if estimate is not None:
            low, high = estimate.interval or (None, None)
            numbers = (estimate.mean, estimate.sd_seeds, estimate.sd_folds, low, high)
            values |= zip((f"{name}_{what}" for what in _ESTIMATES), numbers, strict=True)
    return values


def confusion_csv(records: Iterable[Record]) -> str:
    """One row per cell, true class and predicted class.

    ``percent`` is that of the cell's test images of the true class; empty where there are none.
    ``key`` is that of cells.csv.
    """
    rows = []
    for record in ordered(records):
        cell = record.cell
        about = {name: getattr(cell, name) for name in _ABOUT_CELL}
        about["params"] = _params(cell, cell.classifier_params, cell.features_params)
        for truth, counts in zip(cell.label_names, record.confusion, strict=False):
            for predicted, count in zip(cell.label_names, counts, strict=True):
                percent = 100 * count / sum(counts) if any(counts) else None
                found = {"truth": truth, "predicted": predicted, "count": count}
                rows.append({"key": record.key, **about, **found, "percent": percent})
    return csv_text(rows, _CONFUSION_COLUMNS)


def measures_csv(records: Iterable[Record]) -> str:
    """One row per cell and figure that its network measured of itself on the test part.

    They are no criteria: each method's docstring says what its figures are. ``key`` is that of
    cells.csv.
    """
    rows = []
    for record in ordered(records):
        cell = record.cell
        about = {name: getattr(cell, name) for name in _MEASURE_COLUMNS if hasattr(cell, name)}
        about["params"] = _params(cell, cell.classifier_params, cell.features_params)
        rows += [
            {"key": record.key, **about, "measure": name, "value": record.measures[name]}
            for name in sorted(record.measures)
        ]
    return csv_text(rows, _MEASURE_COLUMNS)


def distribution_csv(records: Iterable[Record]) -> str:
    """One row per cell that has label-distribution criteria; ``key`` is that of cells.csv."""
    rows = []
    for record in ordered(records):
        cell = record.cell
        if record.distribution_criteria:
            about = {name: getattr(cell, name) for name in _ABOUT_CELL}
            about["params"] = _params(cell, cell.classifier_params, cell.features_params)
            rows.append({"key": record.key, **about, **record.distribution_criteria})
    return csv_text(rows, _DISTRIBUTION_COLUMNS)


def _params(cell: Cell, classifier: dict[str, Any], features: dict[str, Any]) -> str:
    tuned = {"tuned": cell.tuned} if cell.tuned else {}
    return canonical({"classifier": classifier, "features": features, **tuned})


def csv_text(rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> str:
    """CSV with these columns: numbers in full precision, empty where there is none."""
    return _lines([columns, *([_text(row.get(name)) for name in columns] for row in rows)])


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return csv_cell(value) if isinstance(value, str) else repr(value)


def _lines(rows: Iterable[Sequence[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()
