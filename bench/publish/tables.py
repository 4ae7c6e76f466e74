"""The files of a results folder's tables: which there are for each dataset, and what each holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from bench.api import BenchError, near
from bench.data.files import write_text
from bench.plugins import Registry
from bench.publish import confusion, criteria_tables, frames, latex, markdown
from bench.publish.escape import folder
from bench.publish.pooling import pooled_records
from bench.publish.ranking import trivial_methods
from bench.publish.rows import ScoresOf, in_convention, newest
from bench.run.record import Record
from bench.score.criteria import CONVENTIONS

FORMATS = ("csv", "latex", "markdown")


def write(
    records: Sequence[Record],
    out: Path,
    *,
    formats: Sequence[str] = FORMATS,
    convention: str = "sklearn",
    scores_of: ScoresOf | None = None,
    ties: bool = False,
    ranks: bool = False,
    registry: Registry | None = None,
) -> list[Path]:
    """Write the tables of every dataset into ``out/<dataset>/``.

    cells.csv, summary.csv, table.tex and table.md; where images have one class confusion.csv,
    confusion.tex and confusion.md too; where methods give label distributions distribution.csv too,
    and a block of its own in table.tex and table.md; measures.csv where networks measure more of
    themselves. Of records about the same cell only the newest counts
    (`bench.publish.rows.newest`, which also names the others).

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
    ranks : bool
        Whether ranks.csv is written too (`bench.publish.frames.ranks`), with ``csv``.
    registry : Registry, optional
        Where methods say whether they are trivial; that of the built-in ones by default.

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
    for wanted in formats:
        if wanted not in FORMATS:
            raise BenchError(f"no format {wanted!r}: {near(wanted, FORMATS)}")
    if convention not in CONVENTIONS:
        raise BenchError(f"no convention {convention!r}: {near(convention, CONVENTIONS)}")
    trivial = trivial_methods(records, registry or Registry())
    paths = []
    for dataset, of_dataset in _by_dataset(records, convention, scores_of).items():
        place = out / folder(dataset)
        texts = _texts(of_dataset, place.name, formats, ties, trivial)
        if ranks and "csv" in formats:
            places = frames.ranks(of_dataset, place.name, trivial)
            texts |= {"ranks.csv": frames.csv_text(places)} if len(places) else {}
        for name, text in texts.items():
            write_text(place / name, text)
            paths.append(place / name)
    return paths


def _by_dataset(
    records: Sequence[Record], convention: str, scores_of: ScoresOf | None
) -> dict[str, list[Record]]:
    """The newest records of each dataset, datasets in order, with criteria of ``convention``."""
    by_dataset: dict[str, list[Record]] = defaultdict(list)
    for record in newest(records).kept:
        if record.status == "ok" and not record.scores_sha256 and record.convention != convention:
            continue  # people, who are judged by one convention alone
        by_dataset[record.cell.dataset].append(in_convention(record, convention, scores_of))
    return {
        dataset: [*of_dataset, *pooled_records(of_dataset, scores_of)]
        for dataset, of_dataset in sorted(by_dataset.items())
    }


def _texts(
    records: Sequence[Record],
    name: str,
    formats: Sequence[str],
    ties: bool,
    trivial: frozenset[str],
) -> dict[str, str]:
    """The files of one dataset, by name; those that would hold nothing are left out."""
    texts = {}
    if "csv" in formats:
        tabular = {
            "cells.csv": frames.cells(records),
            "summary.csv": frames.summary(records, trivial),
            "measures.csv": frames.measures(records),
            "confusion.csv": frames.confusions(records),
            "distribution.csv": frames.distributions(records),
        }
        texts = {file: frames.csv_text(frame) for file, frame in tabular.items() if len(frame)}
    pages = {
        "table": criteria_tables.tables_of(records, name, ties, trivial),
        "confusion": confusion.tables_of(records, name),
    }
    for page, tables in pages.items():
        if tables and "latex" in formats:
            texts[f"{page}.tex"] = latex.render(tables)
        if tables and "markdown" in formats:
            texts[f"{page}.md"] = markdown.render(tables)
    return texts
