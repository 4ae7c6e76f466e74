"""Specifications of the papers' tables: `results/published/*.toml` as plain objects.

A table states defaults; columns and rows override or add; an entry is table, column and row
together. Keys:

``dataset, protocol, target, target_protocol, selection, budget, seeds``
    The setting, as ``bench run`` takes it; datasets by the papers' names.
``run``, ``with``
    The method; ``with`` appends a classifier. ``why`` in place of ``run``: nothing can be run.
``metric``
    What is measured.
``is``, ``variant``, ``part``, ``published_table``, ``published_dataset``, ``published_metric``
    The method by which the published number is found, its variant (those of row and column are
    joined) and part; its table, dataset and metric where they have other names. No ``is``: nothing
    is printed.
``true, predicted, fold``
    Which class of a recall or a confusion, which fold (0: the mean over folds).

A row may further have ``only``, the titles of the columns that it has entries in, and ``columns``,
what it states for single columns, by their titles.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from bench.api import BenchError, near
from bench.papers.published import Number, check_paper, find, text
from bench.run.grammar import parse_methods
from bench.run.plan import BUDGETS, CROSS, SELECTIONS
from bench.score.criteria import CRITERIA, SINGLE_CRITERIA

KINDS = ("table", "figure", "times", "mcnemar")
METRICS = (
    *(one.name for one in (*CRITERIA, *SINGLE_CRITERIA)),
    *("recall", "confusion", "learned_weights", "time_per_image", "training_time"),
)
_SETTING = ("dataset", "protocol", "target", "target_protocol", "selection", "budget", "seeds")
_ENTRY = (
    *("run", "with", "why", "metric", "is", "variant", "part", "true", "predicted", "fold"),
    *("published_metric", "published_dataset", "published_table"),
)
_TABLE = ("name", "title", "kind", "columns", "rows", "says", "note", "left_out")
_LINE = ("block", "label")
_COLUMN = ("title", "direction", "empty")
_VARIANTS = (  # the order of keys in a published variant
    *("classifier", "labels", "manifold", "lbsl", "attention", "block", "loss", "entropy"),
    *("fine_tune", "input", "fusion", "component", "tasks", "fold", "selection", "similarity"),
    *("threshold", "image", "class", "true", "predicted", "over"),
)
_DEFAULTS: dict[str, Any] = {"protocol": "official", "selection": "valid", "budget": "paper"}
_SEEDS = 5


@dataclass(frozen=True)
class Where:
    """The setting of a cell; ``target`` is empty unless the protocol is ``cross``."""

    dataset: str
    protocol: str
    target: str
    target_protocol: str
    selection: str
    budget: str
    seeds: int


@dataclass(frozen=True)
class Entry:
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

    where: Where
    run: str
    why: str
    metric: str
    true: str
    predicted: str
    fold: int
    published: Number | None


@dataclass(frozen=True)
class Column:
    """A column; ``direction`` is lower, higher or empty."""

    title: str
    direction: str


@dataclass(frozen=True)
class Line:
    """A row: one entry per column, None where the paper's cell is empty."""

    block: str
    label: str
    entries: tuple[Entry | None, ...]


@dataclass(frozen=True)
class Table:
    """A table or figure of a paper.

    Attributes
    ----------
    kind : str
        Of `KINDS`.
    says : str
        What the text says of a figure, in our words.
    note : str
        What a reader has to know.
    left_out : mapping of str to str
        Printed rows without an entry, by the published method, and why.
    """

    paper: str
    name: str
    title: str
    kind: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    says: str
    note: str
    left_out: Mapping[str, str]

    @property
    def slug(self) -> str:
        """Its name in files and on the command line: ``table-3``."""
        return _slug(self.name)


@dataclass(frozen=True)
class Paper:
    """A paper with its tables in their order; ``where`` is journal, volume, year, pages."""

    id: str
    title: str
    authors: str
    where: str
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Wanted:
    """A dataset that papers name.

    Attributes
    ----------
    kind : str
        ``multi``, ``single`` or ``people``.
    plugin : str
        bench's dataset plug-in; empty where there is no loader yet.
    obtain : str
        How to get it.
    """

    name: str
    kind: str
    plugin: str
    obtain: str


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


def read(paper: str, written: str) -> Paper:
    """The specification of a paper from a file's text; raises as `load` does."""
    file = f"{paper}.toml"
    found = _parsed(file, written)
    keys = ("title", "authors", "where", "table")
    _check_keys(found, keys, f"results/published/{file}")
    for key in keys:
        if key not in found:
            raise BenchError(f"results/published/{file}: {key} is missing")
    tables = tuple(_table(paper, one) for one in found["table"])
    names = [one.slug for one in tables]
    for name in names:
        if names.count(name) > 1:
            raise BenchError(f"results/published/{file}: {name} stands twice")
    return Paper(paper, found["title"], found["authors"], found["where"], tables)


def table(paper: str, name: str) -> Table:
    """One table: ``3``, ``table 3``, ``Figure 7``, ``times``.

    Raises
    ------
    BenchError
        None of that name; near names are listed.
    """
    known = {one.slug: one for one in load(paper).tables}
    asked = f"table-{name}" if name.isdigit() else _slug(name)
    if asked not in known:
        raise BenchError(f"{paper} has no {name!r}: {near(asked, known)}")
    return known[asked]


@cache
def _datasets() -> dict[str, Wanted]:
    found = _parsed("datasets.toml", text("datasets.toml"))
    where = "results/published/datasets.toml"
    for name, about in found.items():
        _check_keys(about, ("kind", "plugin", "obtain"), f"{where}, {name}")
        if about.get("kind") not in ("multi", "single", "people"):
            raise BenchError(f"{where}, {name}: kind is multi, single or people")
    return {
        name: Wanted(name, about["kind"], about.get("plugin", ""), about["obtain"])
        for name, about in found.items()
    }


def all_wanted() -> tuple[str, ...]:
    """Names of the datasets that papers name."""
    return tuple(_datasets())


def wanted(dataset: str) -> Wanted:
    """What is known of a dataset that papers name; raises `BenchError` for an unknown one."""
    known = _datasets()
    if dataset not in known:
        raise BenchError(
            f"results/published/datasets.toml has no {dataset!r}: {near(dataset, known)}"
        )
    return known[dataset]


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")


def _parsed(file: str, written: str) -> dict[str, Any]:
    try:
        return tomllib.loads(written)
    except tomllib.TOMLDecodeError as error:
        raise BenchError(f"results/published/{file}: {error}") from error


def _table(paper: str, given: dict[str, Any]) -> Table:
    where = f"results/published/{paper}.toml, {given.get('name', 'a table without a name')}"
    _check_keys(given, (*_TABLE, *_SETTING, *_ENTRY), where)
    for key in ("name", "title", "columns", "rows"):
        if key not in given:
            raise BenchError(f"{where}: {key} is missing")
    kind = given.get("kind", "table")
    if kind not in KINDS:
        raise BenchError(f"{where}: kind {kind!r}: {near(kind, KINDS)}")
    if (kind == "figure") != bool(given.get("says")):
        raise BenchError(f"{where}: says, what the text says of it, belongs to figures alone")
    columns = _columns(given["columns"], where)
    defaults = {k: v for k, v in given.items() if k in (*_SETTING, *_ENTRY)}
    lines = []
    for row in given["rows"]:
        at = f"{where}, row {row.get('block', '')} {row.get('label', '')}".replace("  ", " ")
        _check_keys(row, (*_LINE, *_SETTING, *_ENTRY, "only", "columns"), at)
        if "label" not in row:
            raise BenchError(f"{at}: label is missing")
        entries = tuple(
            _entry(paper, given["name"], defaults, column, row, at)
            if column["title"] in row.get("only", [column["title"]])
            else None
            for column in columns
        )
        lines.append(Line(row.get("block", ""), row["label"], entries))
    _check_lines(lines, where)
    return Table(
        paper,
        given["name"],
        given["title"],
        kind,
        tuple(Column(column["title"], column.get("direction", "")) for column in columns),
        tuple(lines),
        given.get("says", ""),
        given.get("note", ""),
        given.get("left_out", {}),
    )


def _columns(given: Any, where: str) -> list[dict[str, Any]]:
    if given == "nine":
        return [
            {"title": one.title, "metric": one.name, "direction": one.direction} for one in CRITERIA
        ]
    if not isinstance(given, list) or not given:
        raise BenchError(f"{where}: columns is 'nine' or a list of columns")
    found: list[dict[str, Any]] = given
    for column in found:
        at = f"{where}, column {column.get('title', '')}"
        _check_keys(column, (*_COLUMN, *_SETTING, *_ENTRY), at)
        if "title" not in column:
            raise BenchError(f"{at}: title is missing")
    return found


def _entry(
    paper: str,
    name: str,
    defaults: dict[str, Any],
    column: dict[str, Any],
    row: dict[str, Any],
    where: str,
) -> Entry:
    at = f"{where}, {column['title']}"
    told = {**_DEFAULTS, **defaults, **column, **row}
    # A row's own columns override what the others share.
    told |= row.get("columns", {}).get(column["title"], {})
    _check_told(told, at)
    run, why = told.get("run", ""), told.get("why", "")
    if run and "with" in told and not why:
        run = f"{run}+{told['with']}"
    if bool(run) == bool(why):
        raise BenchError(f"{at}: either run, or why there is nothing to run")
    if run:
        try:
            terms = parse_methods(run)
        except BenchError as error:
            raise BenchError(f"{at}: {error}") from error
        parts = [part for one in terms for part in (one.left, one.right) if part is not None]
        if len(terms) > 1 or any(len(list(part.choices())) > 1 for part in parts):
            raise BenchError(f"{at}: {run} is several methods; an entry has one")
    number = None
    if "is" in told:
        variants = [str(one.get("variant", "")) for one in (defaults, column, row)]
        metric = told.get("published_metric", told["metric"])
        try:
            number = find(
                paper,
                told.get("published_table", name),
                told["is"],
                _joined(variants),
                metric,
                told.get("part"),
                told.get("published_dataset")
                or told.get("target")
                or told["dataset"].partition("[")[0],
            )
        except BenchError as error:
            raise BenchError(f"{at}: {error}") from error
    return Entry(
        Where(
            told["dataset"],
            told["protocol"],
            told.get("target", ""),
            told.get("target_protocol", ""),
            told["selection"],
            told["budget"],
            told.get("seeds", _SEEDS),
        ),
        run,
        why,
        told["metric"],
        told.get("true", ""),
        told.get("predicted", ""),
        told.get("fold", 0),
        number,
    )


def _check_told(told: dict[str, Any], at: str) -> None:
    """Raise `BenchError` where an entry's keys miss something or say what cannot be."""
    for key in ("dataset", "metric"):
        if key not in told:
            raise BenchError(f"{at}: {key} is missing")
    for key, value in told.items():
        wanted_type: type = {"seeds": int, "fold": int, "columns": dict, "only": list}.get(key, str)
        if not isinstance(value, wanted_type) or isinstance(value, bool):
            raise BenchError(f"{at}: {key} = {value!r}: {wanted_type.__name__} is wanted")
    for key, known in (("budget", BUDGETS), ("selection", SELECTIONS)):
        if told[key] not in known:
            raise BenchError(f"{at}: {key} {told[key]!r}: {near(told[key], known)}")
    metric = told["metric"]
    if metric not in METRICS and not metric.startswith(("measure:", "curve:")):
        raise BenchError(f"{at}: metric {metric!r}: {near(metric, METRICS)}")
    if metric in ("recall", "confusion") and "true" not in told:
        raise BenchError(f"{at}: a {metric} has a class; say true = …")
    if (told["protocol"] == CROSS) != ("target" in told and "target_protocol" in told):
        raise BenchError(f"{at}: target and target_protocol go with protocol {CROSS}, and only so")
    for piece in str(told.get("variant", "")).split(";"):
        key = piece.partition("=")[0].strip()
        if key and key not in _VARIANTS:
            raise BenchError(f"{at}: variant {key!r}: {near(key, _VARIANTS)}")


def _joined(variants: list[str]) -> str:
    """Variants as one, their keys in the published order."""
    pieces = [piece.strip() for one in variants for piece in one.split(";") if piece.strip()]

    def place(piece: str) -> int:
        key = piece.partition("=")[0]
        return _VARIANTS.index(key)

    return "; ".join(sorted(pieces, key=place))


def _check_lines(lines: list[Line], where: str) -> None:
    if not lines:
        raise BenchError(f"{where}: at least one row is wanted")
    seen = set()
    for line in lines:
        if (line.block, line.label) in seen:
            raise BenchError(f"{where}: {line.block} {line.label} stands twice")
        seen.add((line.block, line.label))


def _check_keys(given: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in given:
        if key not in known:
            raise BenchError(f"{where}: unknown key {key!r}: {near(key, known)}")
