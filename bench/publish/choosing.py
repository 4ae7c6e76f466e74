"""Which records somebody means: those of a row by its name or its method, or one by its key."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.api import BenchError, near
from bench.publish.names import MethodNames, written
from bench.publish.rows import rows_of, shown_params
from bench.run.grammar import Part, Term, parse_methods
from bench.run.job import Cell
from bench.run.record import Record

_KEY = re.compile(r"[0-9a-f]{8,32}")  # or as much of it as tells it from others


@dataclass(frozen=True)
class NamedRecord:
    """A record with the name of its row among others.

    Attributes
    ----------
    name : str
        As a table has it: with the parameters that vary, ``lbp + mlknn[k=5]``.
    """

    name: str
    record: Record


def named(records: Iterable[Record]) -> list[NamedRecord]:
    """Records in the order of tables, with the names of their rows."""
    rows = rows_of(records)
    names = MethodNames(rows)
    return [NamedRecord(names.whole(row), record) for row in rows for record in row.records]


def choose(
    records: Sequence[NamedRecord],
    words: Iterable[str],
    dataset: str | None = None,
    seeds: Collection[int] = (),
    failed: bool = False,
) -> list[NamedRecord]:
    """The records that these words name, all where there is none, and that meet each condition.

    Parameters
    ----------
    words : iterable of str
        Each a row's name, a list of methods as `bench run` takes it, or the beginning of a key.
    dataset : str or None
        With or without its parameters.
    seeds : collection of int
        Empty for every seed.
    failed : bool
        Only cells without a result.

    Raises
    ------
    BenchError
        A word that names nothing here, or that nobody can read.
    """
    words = list(words)
    meant = {one.record.key for word in words for one in _meant(records, word)}
    return [
        one
        for one in records
        if not words or one.record.key in meant
        if dataset is None or dataset in _datasets(one.record.cell)
        if not seeds or one.record.cell.seed in seeds
        if not failed or one.record.status != "ok"
    ]


def _datasets(cell: Cell) -> tuple[str, str]:
    """Names of a cell's dataset, with its parameters and without."""
    return cell.dataset, cell.dataset.partition("[")[0]


def _meant(records: Sequence[NamedRecord], word: str) -> list[NamedRecord]:
    """What one word names."""
    found = [one for one in records if one.name == word]
    if not found and _KEY.fullmatch(word):
        found = [one for one in records if one.record.key.startswith(word)]
    if not found:
        terms = parse_methods(word)
        found = [one for one in records if any(_is_of(one.record.cell, term) for term in terms)]
    if not found:
        names = dict.fromkeys(one.name.replace(" + ", "+") for one in records)
        raise BenchError(f"no record is named {word!r}: {near(word, names)}")
    return found


def _is_of(cell: Cell, term: Term) -> bool:
    """Whether a cell is of a method."""
    if term.right is not None:
        return _is(cell, "features", term.left) and _is(cell, "classifier", term.right)
    if term.left.name == "all" and not term.left.params:
        return True
    alone = "classifier" if cell.features is None else "features"
    return None in (cell.features, cell.classifier) and _is(cell, alone, term.left)


def _is(cell: Cell, side: str, part: Part) -> bool:
    """Whether the features or the classifier of a cell have this name and these parameters."""
    name, params = getattr(cell, side), shown_params(cell, side)
    if name is None or part.name not in (name, "all"):
        return False
    return all(
        key in params and any(_equal(params[key], value) for value in values)
        for key, values in part.params.items()
    )


def _equal(value: Any, text: str) -> bool:
    """Whether a parameter has the value that a text writes; 1 and 1.0 are one number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(text) == value
        except ValueError:
            return False
    return written(value) == text
