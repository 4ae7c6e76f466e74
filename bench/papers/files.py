"""The files under `results/published/` as they are written: their text, and TOML by its structure.

`bench list` reads papers through this module, so it imports no NumPy. What a paper's table makes of
these structures: `bench.papers.spec`; the rows of the CSV files: `bench.papers.published`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Literal, TypeVar

import msgspec

from bench.api import BenchError, near
from bench.data.typed import parse_toml

FOLDER = "results/published"

_PACKAGE = "bench.results.published"

Direction = Literal["", "lower", "higher"]
Kind = Literal["multi", "single", "people"]
T = TypeVar("T")


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every key has to be known."""


class Yardstick(_Strict, frozen=True, kw_only=True):
    """A row of ``papers.toml`` that every table gets, of criteria of one kind."""

    label: str
    kind: Literal["multi", "single"]
    run: str


class PaperName(_Strict, frozen=True, kw_only=True):
    """A paper of ``papers.toml``; ``method`` is its own one, as its published rows name it."""

    id: str
    method: str


class Catalogue(_Strict, frozen=True, kw_only=True):
    """``papers.toml``: the papers, and what their tables share.

    Attributes
    ----------
    open_datasets : tuple of str
        Datasets that anyone can have, and that stand in for others.
    constant_predictors : tuple of str
        Methods of published rows that answer the same for every image.
    other_domain : dict of str to str
        Parameters that make another domain of a rendered stand-in.
    directions : dict of str to str
        Which way is better of a figure that a network gives beside the criteria.
    """

    open_datasets: tuple[str, ...]
    constant_predictors: tuple[str, ...]
    paper: tuple[PaperName, ...]
    yardstick: tuple[Yardstick, ...]
    other_domain: dict[str, str]
    directions: dict[str, Literal["lower", "higher"]]


class PaperDataset(_Strict, frozen=True, kw_only=True):
    """A dataset that papers name, of ``datasets.toml``.

    Attributes
    ----------
    plugin : str
        bench's plug-in for it; empty where there is none.
    obtain : str
        How to get it, in words.
    """

    name: str
    kind: Kind
    plugin: str = ""
    obtain: str


class PublishedProtocol(_Strict, frozen=True, kw_only=True):
    """How published values were measured: an entry of ``protocols.toml``, which explains it.

    Attributes
    ----------
    sizes : dict of str to int
        Where it is not said which test set it was: bench's datasets whose test parts fit the
        printed values, with their sizes.
    unlike : str
        Why no test set of bench is the paper's.
    """

    name: str
    meaning: str
    test: int | None = None
    classes: dict[str, int] = {}
    sizes: dict[str, int] = {}
    unlike: str = ""
    counts: str = ""
    folds: int | None = None
    percent: int | None = None


class Reasons(_Strict, frozen=True, kw_only=True):
    """Why cells are measured as they are, in sentences for a reader with the paper in hand.

    Attributes
    ----------
    selection : str
        Which epoch counts, and which images choose it.
    alignment : str
        How faces lie in their images.
    test_set : str
        Which images are asked about.
    """

    selection: str = ""
    alignment: str = ""
    test_set: str = ""


class Setup(_Strict, frozen=True, kw_only=True):
    """What a table, a column or a row states for its entries; None leaves it to the others."""

    dataset: str | None = None
    protocol: str | None = None
    target: str | None = None
    target_protocol: str | None = None
    selection: str | None = None
    budget: str | None = None
    seeds: int | None = None
    run: str | None = None
    classifier: str | None = msgspec.field(default=None, name="with")
    why: str | None = None
    metric: str | None = None
    true: str | None = None
    predicted: str | None = None
    fold: int | None = None


class ColumnSetup(Setup, frozen=True, kw_only=True):
    """A column; ``percent``: without a printed value its values are shown in per cent."""

    title: str
    direction: Direction = ""
    percent: bool = False


class RowSetup(Setup, frozen=True, kw_only=True):
    """A row.

    Attributes
    ----------
    only : tuple of str or None
        Titles of the columns that it has entries in; None: all.
    published : tuple of str
        Ids of the published rows of these entries, in their order; empty where nothing is printed.
    columns : dict of str to Setup
        What it states for single columns, by their titles.
    """

    label: str
    block: str = ""
    only: tuple[str, ...] | None = None
    published: tuple[str, ...] = ()
    columns: dict[str, Setup] = {}


class TableSetup(Setup, frozen=True, kw_only=True):
    """A table or figure; the fields are those of `bench.papers.spec.PaperTable`."""

    name: str
    title: str
    kind: Literal["table", "figure", "times", "mcnemar"] = "table"
    columns: Literal["nine"] | tuple[ColumnSetup, ...]
    rows: tuple[RowSetup, ...]
    says: str = ""
    note: str = ""
    left_out: dict[str, str] = {}
    reasons: Reasons = Reasons()


class PaperSetup(_Strict, frozen=True, kw_only=True):
    """A paper's specification, ``<paper>.toml``.

    Attributes
    ----------
    where : str
        Journal, volume, year, pages.
    convention, convention_why : str
        Which convention of the criteria has the formulas that the paper prints, and where it
        prints them.
    reasons : Reasons
        Of all tables that state no others.
    """

    title: str
    authors: str
    where: str
    convention: str
    convention_why: str
    reasons: Reasons
    table: tuple[TableSetup, ...]


class _Datasets(_Strict, frozen=True, kw_only=True):
    dataset: tuple[PaperDataset, ...]


class _Protocols(_Strict, frozen=True, kw_only=True):
    protocol: tuple[PublishedProtocol, ...]


def text(name: str) -> str:
    """A file of `results/published/`."""
    try:
        return files(_PACKAGE).joinpath(name).read_text(encoding="utf-8")
    except (OSError, ModuleNotFoundError) as error:
        raise BenchError(
            f"{FOLDER}/{name} is missing from this installation ({error}): install bench again"
        ) from error


def read(name: str, kind: type[T]) -> T:
    """A TOML file of `results/published/`; raises `BenchError` for what is wrong in it."""
    return parse_toml(text(name), kind, f"{FOLDER}/{name}")


@cache
def catalogue() -> Catalogue:
    """What ``papers.toml`` holds."""
    return read("papers.toml", Catalogue)


def papers() -> tuple[str, ...]:
    """Ids of the papers, in the order in which they are listed."""
    return tuple(paper.id for paper in catalogue().paper)


def check_paper(paper: str) -> None:
    """Raise `BenchError` unless bench knows the paper."""
    if paper not in papers():
        raise BenchError(f"no paper {paper!r}: {near(paper, papers())}")


def own_method(paper: str) -> str:
    """The paper's own method, by the name of its published rows."""
    check_paper(paper)
    return next(name.method for name in catalogue().paper if name.id == paper)


@cache
def datasets() -> dict[str, PaperDataset]:
    """The datasets that papers name, by their names."""
    return _by_name("datasets.toml", read("datasets.toml", _Datasets).dataset)


def paper_dataset(name: str) -> PaperDataset:
    """A dataset that papers name; raises `BenchError` for an unknown one."""
    return _named(name, datasets(), "datasets.toml")


@cache
def protocols() -> dict[str, PublishedProtocol]:
    """How published values were measured, by the names in their column ``protocol``."""
    return _by_name("protocols.toml", read("protocols.toml", _Protocols).protocol)


def paper_setup(paper: str) -> PaperSetup:
    """A paper's specification as it is written; raises `BenchError` for an unknown paper."""
    check_paper(paper)
    return read(f"{paper}.toml", PaperSetup)


N = TypeVar("N", PaperDataset, PublishedProtocol)


def _by_name(file: str, entries: Iterable[N]) -> dict[str, N]:
    by_name: dict[str, N] = {}
    for entry in entries:
        if entry.name in by_name:
            raise BenchError(f"{FOLDER}/{file}: {entry.name} stands twice")
        by_name[entry.name] = entry
    return by_name


def _named(name: str, known: dict[str, N], file: str) -> N:
    if name not in known:
        raise BenchError(f"{FOLDER}/{file} has no {name!r}: {near(name, known)}")
    return known[name]
