"""What in a paper's table hangs on the convention of the criteria: signs that differ between them.

The four conventions part where labels of an image have equal scores, and classifiers that vote
give many of those. A comparison whose sign is another by another convention says more about that
choice than about methods, so tables name it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import numpy as np

from bench.papers.measured import Finder
from bench.papers.reading import by_seed
from bench.papers.reproduction import Reproduction
from bench.papers.spec import PaperColumn, PaperEntry, PaperTable
from bench.papers.yardsticks import BLOCK as YARDSTICKS
from bench.score.criteria import CONVENTIONS, alike

SHOWN = 3
"""Pairs of rows that a remark names; the rest are counted."""

_LETTER = re.compile(r"^\([a-z]\) ")  # of a block, as printed; tables letter their own

Values = dict[str, float]
"""By convention."""


def depends(metric: str) -> bool:
    """Whether the conventions have different rules for a metric."""
    return not all(alike(metric, CONVENTIONS[0], other) for other in CONVENTIONS[1:])


def hanging_print(result: Reproduction, finders: Mapping[str, Finder]) -> Reproduction:
    """The same, with a word beside it where the sign of its difference hangs on the convention."""
    printed = None if result.published is None else result.published.fraction
    if printed is None or result.difference is None or not depends(result.entry.metric):
        return result
    off = {name: value - printed for name, value in _values(result.entry, finders).items()}
    if not _hangs(off):
        return result
    beside = f"the sign hangs on the convention: {_in_words(off)}"
    return replace(result, beside="; ".join(filter(None, (result.beside, beside))))


def hanging_rows(table: PaperTable, finders: Mapping[str, Finder]) -> list[str]:
    """A sentence for each column in which pairs of rows change places with the convention.

    Parameters
    ----------
    finders : mapping of str to Finder
        What is measured, by convention.
    """
    if table.kind == "times":
        return []
    return list(_sentences(table, finders))


def _sentences(table: PaperTable, finders: Mapping[str, Finder]) -> Iterator[str]:
    for number, column in enumerate(table.columns):
        rows = []
        for row in table.rows:
            entry = row.entries[number]
            if entry is None or not entry.run or not depends(entry.metric):
                continue
            if row.block == YARDSTICKS:  # people and trivial rows take no part in a ranking
                continue
            values = _values(entry, finders)
            if len(values) == len(CONVENTIONS):
                rows.append(_Line(_label(row.block, row.label), entry, values))
        yield from _of_column(column, rows)


class _Line(NamedTuple):
    """A row in one column."""

    label: str
    entry: PaperEntry
    values: Values


def _of_column(column: PaperColumn, rows: list[_Line]) -> Iterator[str]:
    pairs = [
        (left, right)
        for left, right in combinations(rows, 2)
        if left.entry.conditions == right.entry.conditions
        and left.entry.metric == right.entry.metric
    ]
    gaps = [(f"{left.label} less {right.label}", _gap(left, right)) for left, right in pairs]
    hanging = [(names, gap) for names, gap in gaps if _hangs(gap)]
    if not hanging:
        return
    hanging.sort(key=lambda pair: -(max(pair[1].values()) - min(pair[1].values())))
    named = "; ".join(f"{names} {_in_words(gap)}" for names, gap in hanging[:SHOWN])
    yield (
        f"{column.title}: {len(hanging)} of {len(pairs)} pairs of rows change places with the "
        f"convention of the criteria, most of all {named}"
    )


def _gap(left: _Line, right: _Line) -> Values:
    return {name: left.values[name] - right.values[name] for name in CONVENTIONS}


def _values(entry: PaperEntry, finders: Mapping[str, Finder]) -> Values:
    """Mean over splits and seeds by each convention that has a value."""
    values: Values = {}
    for name, finder in finders.items():
        row = finder.row(entry.conditions, entry.run) if entry.run else None
        of_seeds = {} if row is None or entry.fold else by_seed(row, entry.metric)
        if of_seeds:
            values[name] = float(np.mean(list(of_seeds.values())))
    return values


def _hangs(differences: Values) -> bool:
    """Whether one is above 0 and another below."""
    return min(differences.values(), default=0) < 0 < max(differences.values(), default=0)


def _in_words(differences: Values) -> str:
    """``+.012 by sklearn and mulan, -.081 by raf-ml``."""
    alike_values: dict[str, list[str]] = {}
    for name, value in differences.items():
        alike_values.setdefault(f"{value:+.3f}", []).append(name)
    return ", ".join(f"{value} by {' and '.join(names)}" for value, names in alike_values.items())


def _label(block: str, label: str) -> str:
    return ", ".join(filter(None, (label, _LETTER.sub("", block))))
