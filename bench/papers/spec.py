"""The papers' tables as bench measures them: each entry with its conditions and its published row.

``results/published/<paper>.toml`` says what stands in each table. Columns and rows override or add
to what their table states; an entry is table, column and row together. Keys:

``dataset, protocol, target, target_protocol, selection, budget, seeds``
    The conditions, as ``bench run`` takes them; datasets by the papers' names.
``run``, ``with``
    The method; ``with`` appends a classifier. ``why`` in place of ``run``: nothing can be run.
``metric``
    What is measured.
``true, predicted, fold``
    Which class of a recall or a confusion, which fold (0: the mean over folds).

A row has ``published``, the ids of the published rows of its entries in their order. It may further
have ``only``, the titles of the columns that it has entries in, and ``columns``, what it states for
single columns, by their titles.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

from bench.api import BenchError, near
from bench.data.typed import parse_toml
from bench.papers.files import (
    FOLDER,
    ColumnSetup,
    PaperSetup,
    Reasons,
    RowSetup,
    Setup,
    TableSetup,
    check_paper,
    text,
)
from bench.papers.published import Number, by_id
from bench.run.grammar import parse_methods
from bench.run.options import BUDGETS, CROSS, SELECTIONS
from bench.score.criteria import CONVENTIONS, CRITERIA, SINGLE_CRITERIA

METRICS = (
    *(criterion.name for criterion in (*CRITERIA, *SINGLE_CRITERIA)),
    *("recall", "confusion", "score", "learned_weights", "time_per_image", "training_time"),
)
_DEFAULTS = {
    "protocol": "official",
    "target": "",
    "target_protocol": "",
    "selection": "valid",
    "budget": "paper",
    "seeds": 5,
    "run": "",
    "why": "",
    "true": "",
    "predicted": "",
    "fold": 0,
}
_NINE = tuple(
    ColumnSetup(
        title=criterion.title,
        metric=criterion.name,
        direction="higher" if criterion.direction == "higher" else "lower",
    )
    for criterion in CRITERIA
)


@dataclass(frozen=True)
class Conditions:
    """Under what an entry is measured; ``target`` is empty unless the protocol is ``cross``."""

    dataset: str
    protocol: str
    target: str
    target_protocol: str
    selection: str
    budget: str
    seeds: int

    @property
    def data(self) -> str:
        """The datasets in words."""
        return self.dataset + (f" to {self.target}" if self.target else "")


@dataclass(frozen=True)
class PaperEntry:
    """One number of a table.

    Attributes
    ----------
    run : str
        One method as ``bench run`` takes it; ``{name}`` in it is a second dataset by the paper's
        name. Empty where nothing can be run, and ``why`` says why.
    metric : str
        A criterion, or recall, confusion, learned_weights, time_per_image, ``measure:NAME``,
        ``curve:COLUMN``.
    true, predicted : str
        Classes of a recall or a confusion.
    fold : int
        Of a cross-validation; 0: the mean over splits.
    published : Number or None
        None where the paper prints nothing.
    """

    conditions: Conditions
    run: str
    why: str
    metric: str
    true: str = ""
    predicted: str = ""
    fold: int = 0
    published: Number | None = None

    @property
    def quantity(self) -> str:
        """What is read in a record, as `bench.papers.reading` names it."""
        classes = {
            "recall": (self.true,),
            "confusion": (self.true, self.predicted or self.true),
        }
        return ":".join((self.metric, *classes.get(self.metric, ())))


@dataclass(frozen=True)
class PaperColumn:
    """A column.

    Attributes
    ----------
    direction : str
        ``lower`` or ``higher`` is better; empty where neither is.
    percent : bool
        Whether values are shown in per cent where none is printed.
    """

    title: str
    direction: str
    percent: bool = False


@dataclass(frozen=True)
class PaperRow:
    """A row: one entry per column, None where the paper's cell is empty."""

    block: str
    label: str
    entries: tuple[PaperEntry | None, ...]


@dataclass(frozen=True)
class PaperTable:
    """A table or figure of a paper.

    Attributes
    ----------
    kind : str
        ``table``, ``figure``, ``times`` or ``mcnemar``, two methods on the same images.
    says : str
        What the text says of a figure, in our words.
    note : str
        What a reader has to know.
    left_out : mapping of str to str
        Printed rows without an entry, by the published method, and why.
    reasons : Reasons
        Why it is measured so.
    """

    paper: str
    name: str
    title: str
    kind: str
    columns: tuple[PaperColumn, ...]
    rows: tuple[PaperRow, ...]
    says: str
    note: str
    left_out: Mapping[str, str]
    reasons: Reasons = field(default_factory=Reasons)

    @property
    def slug(self) -> str:
        """Its name in files and on the command line: ``table-3``."""
        return _slug(self.name)

    @property
    def entries(self) -> list[PaperEntry]:
        """The entries of all rows, in their order."""
        return [entry for row in self.rows for entry in row.entries if entry is not None]


@dataclass(frozen=True)
class Paper:
    """A paper with its tables in their order.

    Attributes
    ----------
    where : str
        Journal, volume, year, pages.
    convention, convention_why : str
        Of the criteria in its tables, and why so.
    """

    id: str
    title: str
    authors: str
    where: str
    tables: tuple[PaperTable, ...]
    convention: str = "sklearn"
    convention_why: str = ""


@cache
def load(paper: str) -> Paper:
    """The specification of a paper.

    Raises
    ------
    BenchError
        An unknown paper; whatever is wrong in its file, by file, table and row.
    """
    check_paper(paper)
    return read(paper, text(f"{paper}.toml"))


def read(paper: str, source: str) -> Paper:
    """The specification of a paper from a file's text; raises as `load` does."""
    file = f"{FOLDER}/{paper}.toml"
    setup = parse_toml(source, PaperSetup, file)
    tables = tuple(
        _table(paper, table, f"{file}, {table.name}", setup.reasons) for table in setup.table
    )
    _check_once((table.slug for table in tables), file)
    if setup.convention not in CONVENTIONS:
        known = near(setup.convention, CONVENTIONS)
        raise BenchError(f"{file}: convention {setup.convention!r}: {known}")
    return Paper(
        paper,
        setup.title,
        setup.authors,
        setup.where,
        tables,
        setup.convention,
        setup.convention_why,
    )


def table(paper: str, name: str) -> PaperTable:
    """One table: ``3``, ``table 3``, ``Figure 7``, ``times``.

    Raises
    ------
    BenchError
        None of that name; near names are listed.
    """
    known = {table.slug: table for table in load(paper).tables}
    slug = f"table-{name}" if name.isdigit() else _slug(name)
    if slug not in known:
        raise BenchError(f"{paper} has no {name!r}: {near(slug, known)}")
    return known[slug]


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")


def _table(paper: str, setup: TableSetup, place: str, reasons: Reasons) -> PaperTable:
    if (setup.kind == "figure") != bool(setup.says):
        raise BenchError(f"{place}: says, what the text says of it, belongs to figures alone")
    columns = _NINE if setup.columns == "nine" else setup.columns
    if not columns or not setup.rows:
        raise BenchError(f"{place}: at least one column and one row are wanted")
    rows = tuple(_row(paper, setup, columns, row, place) for row in setup.rows)
    _check_once((f"{row.block} {row.label}".strip() for row in rows), place)
    return PaperTable(
        paper,
        setup.name,
        setup.title,
        setup.kind,
        tuple(PaperColumn(column.title, column.direction, column.percent) for column in columns),
        rows,
        setup.says,
        setup.note,
        setup.left_out,
        _joined(reasons, setup.reasons),
    )


def _joined(common: Reasons, own: Reasons) -> Reasons:
    """The reasons of a table: its own, else those of its paper."""
    names = Reasons.__struct_fields__
    return Reasons(**{name: getattr(own, name) or getattr(common, name) for name in names})


def _row(
    paper: str,
    table: TableSetup,
    columns: tuple[ColumnSetup, ...],
    row: RowSetup,
    place: str,
) -> PaperRow:
    place = f"{place}, row {row.block} {row.label}".replace("  ", " ")
    _check_titles(row, columns, place)
    titles = [column.title for column in columns]
    wanted = titles if row.only is None else [title for title in titles if title in row.only]
    if row.published and len(row.published) != len(wanted):
        raise BenchError(f"{place}: {len(row.published)} ids for {len(wanted)} entries")
    ids = dict(zip(wanted, row.published or [""] * len(wanted), strict=True))
    entries: list[PaperEntry | None] = []
    for column in columns:
        if column.title not in ids:
            entries.append(None)
            continue
        at = f"{place}, {column.title}"
        setups = (table, column, row, row.columns.get(column.title, Setup()))
        entries.append(_entry(_stated(setups), _number(paper, ids[column.title], at), at))
    return PaperRow(row.block, row.label, tuple(entries))


def _check_titles(row: RowSetup, columns: tuple[ColumnSetup, ...], place: str) -> None:
    titles = [column.title for column in columns]
    for title in (*(row.only or ()), *row.columns):
        if title not in titles:
            raise BenchError(f"{place}: no column {title!r}: {near(title, titles)}")


def _stated(setups: Iterable[Setup]) -> dict[str, Any]:
    """What these state together, by key; a later one overrides."""
    stated: dict[str, Any] = dict(_DEFAULTS)
    for setup in setups:
        values = {name: getattr(setup, name) for name in Setup.__struct_fields__}
        stated |= {name: value for name, value in values.items() if value is not None}
    return stated


def _number(paper: str, id: str, place: str) -> Number | None:
    known = by_id(paper)
    if id and id not in known:
        raise BenchError(f"{place}: {FOLDER}/{paper}.csv has no {id}: {near(id, known)}")
    return known[id] if id else None


def _entry(stated: dict[str, Any], published: Number | None, place: str) -> PaperEntry:
    """An entry from what table, column and row state."""
    _check_conditions(stated, place)
    _check_metric(stated, place)
    return PaperEntry(
        Conditions(**{field.name: stated[field.name] for field in fields(Conditions)}),
        _run(stated, place),
        stated["why"],
        stated["metric"],
        stated["true"],
        stated["predicted"],
        stated["fold"],
        published,
    )


def _check_conditions(stated: dict[str, Any], place: str) -> None:
    if "dataset" not in stated:
        raise BenchError(f"{place}: dataset is missing")
    for key, known in (("budget", BUDGETS), ("selection", SELECTIONS)):
        if stated[key] not in known:
            raise BenchError(f"{place}: {key} {stated[key]!r}: {near(stated[key], known)}")
    targets = bool(stated["target"] and stated["target_protocol"])
    if (stated["protocol"] == CROSS) != targets:
        raise BenchError(
            f"{place}: target and target_protocol go with protocol {CROSS}, and only so"
        )


def _check_metric(stated: dict[str, Any], place: str) -> None:
    if "metric" not in stated:
        raise BenchError(f"{place}: metric is missing")
    metric = stated["metric"]
    if metric not in METRICS and not metric.startswith(("measure:", "curve:")):
        raise BenchError(f"{place}: metric {metric!r}: {near(metric, METRICS)}")
    if metric in ("recall", "confusion") and not stated["true"]:
        raise BenchError(f"{place}: a {metric} has a class; say true = …")


def _run(stated: dict[str, Any], place: str) -> str:
    """The one method of an entry; empty where nothing can be run."""
    run, why = stated["run"], stated["why"]
    if bool(run) == bool(why):
        raise BenchError(f"{place}: either run, or why there is nothing to run")
    if why:
        return ""
    if "classifier" in stated:
        run = f"{run}+{stated['classifier']}"
    _check_one_method(run, place)
    return str(run)


def _check_one_method(run: str, place: str) -> None:
    try:
        terms = parse_methods(run)
    except BenchError as error:
        raise BenchError(f"{place}: {error}") from error
    parts = [part for term in terms for part in (term.left, term.right) if part is not None]
    if len(terms) > 1 or any(len(list(part.choices())) > 1 for part in parts):
        raise BenchError(f"{place}: {run} is several methods; an entry has one")


def _check_once(names: Iterable[str], place: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise BenchError(f"{place}: {name} stands twice")
        seen.add(name)
