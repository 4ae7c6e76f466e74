"""The rows below those of every table: trivial predictors (`papers.toml`), and people."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from bench.papers.files import catalogue
from bench.papers.measured import HUMAN
from bench.papers.spec import Entry, Line, Table
from bench.score.criteria import CRITERIA, SINGLE_CRITERIA

BLOCK = "yardsticks (not in the paper)"

_NINE = {one.name for one in CRITERIA}
_SINGLE = {one.name for one in SINGLE_CRITERIA}
_PEOPLE = "people: half of the votes against the other half"


def with_yardsticks(table: Table) -> Table:
    """The table with lines for trivial predictors and people below its own.

    Only in columns that hold a criterion, each in the setting that most of the column has.
    """
    if table.kind != "table":
        return table
    columns = [_common(table, number) for number in range(len(table.columns))]
    metrics = {entry.metric for entry in columns if entry is not None}
    if not metrics:
        return table
    kind = "multi" if metrics & _NINE else "single"
    labels = {one.label: one.run for one in catalogue().yardstick if one.kind == kind}
    labels[_PEOPLE] = HUMAN
    lines = tuple(
        Line(BLOCK, label, tuple(entry and replace(entry, run=run) for entry in columns))
        for label, run in labels.items()
    )
    return replace(table, lines=table.lines + lines)


def _common(table: Table, number: int) -> Entry | None:
    """A column's criterion in its setting, without method and published value."""
    entries = [line.entries[number] for line in table.lines]
    found = Counter(
        (entry.where, entry.metric)
        for entry in entries
        if entry is not None and entry.run and entry.metric in _NINE | _SINGLE
    )
    if not found:
        return None
    where, metric = found.most_common(1)[0][0]
    return Entry(where, "", "", metric)
