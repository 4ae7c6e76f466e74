"""The rows below those of every table: trivial predictors (`papers.toml`), and people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from bench.papers.files import catalogue
from bench.papers.methods import HUMAN
from bench.papers.spec import PaperEntry, PaperRow, PaperTable
from bench.score.criteria import CRITERIA, SINGLE_CRITERIA

BLOCK = "yardsticks (not in the paper)"

_NINE = {criterion.name for criterion in CRITERIA}
_SINGLE = {criterion.name for criterion in SINGLE_CRITERIA}
_PEOPLE = "people: half of the votes against the other half"


def with_yardsticks(table: PaperTable) -> PaperTable:
    """The table with rows for trivial predictors and people below its own.

    Only in columns that hold a criterion, each under the conditions that most of the column has.
    """
    columns = [_common(table, number) for number in range(len(table.columns))]
    if table.kind != "table" or not any(columns):
        return table
    rows = [
        PaperRow(BLOCK, label, tuple(entry and replace(entry, run=run) for entry in columns))
        for label, run in _runs(columns).items()
    ]
    return replace(table, rows=(*table.rows, *rows))


def _runs(columns: Iterable[PaperEntry | None]) -> dict[str, str]:
    """The yardsticks that fit these columns, by label."""
    metrics = {entry.metric for entry in columns if entry is not None}
    kind = "multi" if metrics & _NINE else "single"
    runs = {row.label: row.run for row in catalogue().yardstick if row.kind == kind}
    return {**runs, _PEOPLE: HUMAN}


def _common(table: PaperTable, number: int) -> PaperEntry | None:
    """A column's criterion under its conditions, without method and published value."""
    entries = [row.entries[number] for row in table.rows]
    counts = Counter(
        (entry.conditions, entry.metric)
        for entry in entries
        if entry is not None and entry.run and entry.metric in _NINE | _SINGLE
    )
    if not counts:
        return None
    conditions, metric = counts.most_common(1)[0][0]
    return PaperEntry(conditions, "", "", metric)
