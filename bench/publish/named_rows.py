"""Rows by the names that a user gives them: ``hog+mlknn[k=5]``, and the conditions beside it.

A name needs no plug-in: it is held against what records say, so that rows of methods that are not
installed here are found too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from bench.api import BenchError, near
from bench.publish.names import written
from bench.publish.rows import Row, canonical, shown_params
from bench.run.grammar import Part, Term, parse_methods
from bench.run.job import Cell

CONDITIONS: Mapping[str, str] = {
    "protocol": "",
    "budget": "any",
    "selection": "none",
    "threshold": "",
}
"""Fields of a cell that an option chooses, and the value that goes with every choice."""


def term_of(text: str) -> Term:
    """One method as written, each parameter with one value.

    Raises
    ------
    BenchError
        Several methods, a sweep, or what the grammar does not read.
    """
    if not text.strip():
        raise BenchError("an empty ROW: name a method as tables do, hog+mlknn[k=5]")
    terms = parse_methods(text)
    parts = [part for term in terms for part in (term.left, term.right) if part is not None]
    swept = any(len(values) > 1 for part in parts for values in part.params.values())
    if len(terms) > 1 or swept:
        raise BenchError(f"{text}: a ROW is one method with one value for each parameter")
    return terms[0]


def title_of(term: Term) -> str:
    """The name as the user wrote it, without spaces around its parts."""
    return "+".join(str(part) for part in (term.left, term.right) if part is not None)


def fitting(rows: Iterable[Row], term: Term) -> list[Row]:
    """The rows of this name that have these parameters."""
    return [row for row in rows if _is_named(row.cell, term) and _has_params(row.cell, term)]


def row_named(rows: Sequence[Row], term: Term, wanted: Mapping[str, str]) -> Row:
    """The one row that a name and conditions stand for.

    Parameters
    ----------
    rows : sequence of Row
        Of one dataset, one or more.
    wanted : mapping
        Values of `CONDITIONS`, of those that the user chose.

    Raises
    ------
    BenchError
        No such row, one without a result, or several; says what was run, and what chooses.
    """
    title, dataset = title_of(term), rows[0].cell.dataset
    named = [row for row in rows if _is_named(row.cell, term)]
    if not named:
        names = {name_of(row.cell) for row in rows}
        raise BenchError(f"{title}: no such row on {dataset}: {near(title, names)}")
    fits = fitting(named, term)
    if not fits:
        raise BenchError(f"{title}: on {dataset} there are {_listed(named)}")
    chosen = [row for row in fits if _meets(row.cell, wanted)]
    if not chosen:
        asked = " ".join(f"--{name} {value}" for name, value in wanted.items())
        raise BenchError(f"{title} {asked}: on {dataset} there are {_listed(fits)}")
    with_result = [row for row in chosen if row.ok]
    if not with_result:
        reason = chosen[0].records[0].reason or "no reason is recorded"
        raise BenchError(f"{title} has no result on {dataset}: {reason}")
    if len(with_result) > 1:
        raise BenchError(
            f"{title} fits {len(with_result)} rows on {dataset}: write one of them so: "
            f"{_listed(with_result)}{_cannot_choose(with_result)}"
        )
    return with_result[0]


def name_of(cell: Cell) -> str:
    """Features and classifier as one names them, without parameters."""
    return "+".join(name for name in (cell.features, cell.classifier) if name is not None)


def _is_named(cell: Cell, term: Term) -> bool:
    names = [name for name in (cell.features, cell.classifier) if name is not None]
    return names == [part.name for part in (term.left, term.right) if part is not None]


def _has_params(cell: Cell, term: Term) -> bool:
    return all(
        key in params and _same(values[0], params[key])
        for part, params in _sides(cell, term)
        for key, values in part.params.items()
    )


def _sides(cell: Cell, term: Term) -> list[tuple[Part, dict[str, Any]]]:
    sides = [side for side in ("features", "classifier") if getattr(cell, side) is not None]
    parts = [part for part in (term.left, term.right) if part is not None]
    return [(part, shown_params(cell, side)) for part, side in zip(parts, sides, strict=True)]


def _same(text: str, value: Any) -> bool:
    """Whether a value as written is the one that a record holds; of a file, its name counts."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(text) == value
        except ValueError:
            return False
    return written(value) in (text, PurePath(text).name)


def _meets(cell: Cell, wanted: Mapping[str, str]) -> bool:
    return all(_condition(cell, name) in (CONDITIONS[name], wanted[name]) for name in wanted)


def _condition(cell: Cell, name: str) -> str:
    return str(getattr(cell, name))


def _listed(rows: Sequence[Row]) -> str:
    """The rows, each with what tells it from the others, as one would write it."""
    return "; ".join(dict.fromkeys(_told_apart(row, rows) for row in rows))


def _told_apart(row: Row, rows: Sequence[Row]) -> str:
    cell = row.cell
    names = []
    for side in ("features", "classifier"):
        name = getattr(cell, side)
        if name is None:
            continue
        params = shown_params(cell, side)
        others = [shown_params(other.cell, side) for other in rows]
        varied = [
            f"{key}={written(value)}"
            for key, value in params.items()
            if len({canonical(other.get(key)) for other in others}) > 1
        ]
        names.append(f"{name}[{','.join(varied)}]" if varied else name)
    options = [f"--{name} {_condition(cell, name)}" for name in CONDITIONS if _varies(rows, name)]
    unnamed = [f"({what} {str(value)[:8]})" for what, value in _unnamed(row, rows).items()]
    return " ".join(["+".join(names), *options, *unnamed])


def _varies(rows: Sequence[Row], condition: str) -> bool:
    return len({_condition(row.cell, condition) for row in rows}) > 1


def _unnamed(row: Row, rows: Sequence[Row]) -> dict[str, Any]:
    """What tells a row from the others and no option chooses."""
    about = {"data": "fingerprint", "weights": "weights"}
    return {
        what: getattr(row.cell, name)
        for what, name in about.items()
        if len({getattr(other.cell, name) for other in rows}) > 1
    }


def _cannot_choose(rows: Sequence[Row]) -> str:
    what = " or ".join(_unnamed(rows[0], rows))
    if not what:
        return ""
    return f" (no option chooses {what}: keep the others in another results folder)"
