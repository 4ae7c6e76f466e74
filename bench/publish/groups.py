"""Which rows stand in one table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from bench.publish.rows import Row, canonical, natural, rows_of
from bench.run.job import Cell
from bench.run.record import Record


def groups_of(records: Sequence[Record]) -> list[list[Row]]:
    """The rows of each table."""
    by_data: dict[str, list[Row]] = defaultdict(list)
    for row in rows_of(records):
        cell = row.cell
        label_sets = [cell.threshold, cell.fitted_on]
        content = [str(cell.protocol), cell.fingerprint, cell.synthetic, cell.kind, *label_sets]
        by_data[canonical(content)].append(row)
    return [
        [row for row in by_data[data] if _covers(training, _training(row.cell))]
        for data in sorted(by_data, key=natural)
        for training in _trainings(row.cell for row in by_data[data])
    ]


def _training(cell: Cell) -> tuple[str, str]:
    return cell.budget, cell.selection


def _trainings(cells: Iterable[Cell]) -> list[tuple[str, str]]:
    """Budget and selection of each table, those left out that another one covers."""
    pairs = sorted({_training(cell) for cell in cells})
    return [
        pair for pair in pairs if not any(other != pair and _covers(other, pair) for other in pairs)
    ]


def _covers(table: tuple[str, str], row: tuple[str, str]) -> bool:
    """Whether a row of this budget and selection stands in a table of those."""
    return row[0] in ("any", table[0]) and row[1] in ("none", table[1])
