"""Confusion matrices as tables: a table per method, a row per true class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.publish.captions import origin, paragraph, parts
from bench.publish.groups import groups_of
from bench.publish.layout import Block, Line, Table, Value
from bench.publish.names import MethodNames
from bench.publish.rows import Row
from bench.publish.training import training
from bench.run.record import Record
from bench.score.confusion import row_percent


@dataclass(frozen=True)
class Share(Value):
    """A percentage to two decimals with the number of images behind it."""

    count: int = 0

    @property
    def text(self) -> str:
        """``66.52 (147)``; ``--`` for a class without images."""
        return "--" if self.mean is None else f"{self.mean:.2f} ({self.count})"


def tables_of(records: Sequence[Record], name: str) -> list[Table]:
    """The confusion matrix of each method: counts summed over its splits and seeds.

    Parameters
    ----------
    records : sequence of Record
        Of one dataset.
    name : str
        Start of the tables' names.
    """
    tables: dict[str, Table] = {}  # a row without a schedule stands in the groups of all budgets
    for rows in groups_of(records):
        names = MethodNames(rows)
        for row in sorted(rows, key=names.block_order):
            cells = [record for record in row.ok if record.confusion]
            if cells and cells[0].key not in tables:
                title = f"{name}-confusion-{len(tables) + 1}"
                tables[cells[0].key] = _table(row, cells, names.whole(row), title)
    return list(tables.values())


def _table(row: Row, cells: Sequence[Record], method: str, name: str) -> Table:
    counts = np.sum([record.confusion for record in cells], axis=0)
    classes = row.cell.label_names
    lines = tuple(map(_line, classes, counts, row_percent(counts)))
    return Table(
        name=name,
        caption=_caption(row, cells, method, counts),
        columns=(*((label, "") for label in classes), ("Images", "")),
        blocks=(Block(f"{method}: truth in rows, prediction in columns", lines),),
        notes=(),
        remarks=(),
    )


def _line(label: str, counts: np.ndarray, percent: np.ndarray) -> Line:
    """The images of one true class: their shares by predicted class, and how many there are."""
    shares = [
        Share(None if np.isnan(share) else float(share), count=int(count))
        for share, count in zip(percent, counts, strict=True)
    ]
    return Line(label, (), (*shares, Value(float(counts.sum()), digits=0)))


def _caption(row: Row, cells: Sequence[Record], method: str, counts: np.ndarray) -> str:
    first = row.cell
    sizes = parts([record.cell for record in cells], "train", "test")
    missing = len(row.records) - len(cells)
    images, right = int(counts.sum()), int(np.trace(counts))
    return paragraph(
        [
            f"Confusion matrix of {method} on {first.dataset} ({origin(first)}), protocol "
            f"{first.protocol}, {sizes}",
            "Percent of the images of each true class (number of images)",
            _summed(cells) + (f"; {missing} cells have none" if missing else ""),
            f"{right} of {images} right ({100 * right / images:.2f} %)",
            training(cells),
            f"Data {first.fingerprint[:8]}",
        ]
    )


def _summed(cells: Sequence[Record]) -> str:
    """What the counts are sums over."""
    if len(cells) == 1:
        return "One split, one seed"
    splits = len({record.cell.split_hash for record in cells})
    seeds = len({record.cell.seed for record in cells})
    many = [f"{n} {noun}" for n, noun in ((splits, "splits"), (seeds, "seeds")) if n > 1]
    return f"Sums over {' and '.join(many)}, {len(cells)} cells"
