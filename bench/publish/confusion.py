"""Confusion matrices as tables: a table per method, a row per true class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.publish.layout import (
    Block,
    Labels,
    Line,
    Table,
    Value,
    groups_of,
    origin,
    span,
    training,
)
from bench.publish.rows import Row
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
    found: dict[str, Table] = {}  # a row without a schedule stands in the groups of all budgets
    for rows in groups_of(records):
        labels = Labels(rows)
        for row in sorted(rows, key=labels.place):
            cells = [record for record in row.ok if record.confusion]
            if cells and cells[0].key not in found:
                title = f"{name}-confusion-{len(found) + 1}"
                found[cells[0].key] = _table(row, cells, labels.whole(row), title)
    return list(found.values())


def _table(row: Row, cells: Sequence[Record], method: str, name: str) -> Table:
    counts = np.sum([record.confusion for record in cells], axis=0)
    percent = row_percent(counts)
    names = row.cell.label_names
    lines = [
        Line(
            names[truth],
            (),
            (
                *(
                    Share(None if np.isnan(share) else float(share), count=int(count))
                    for share, count in zip(percent[truth], counts[truth], strict=True)
                ),
                _Count(float(counts[truth].sum())),
            ),
        )
        for truth in range(len(names))
    ]
    return Table(
        name=name,
        caption=_caption(row, cells, method, int(counts.sum()), int(np.trace(counts))),
        columns=(*((label, "") for label in names), ("Images", "")),
        blocks=(Block(f"{method}: truth in rows, prediction in columns", tuple(lines)),),
        notes=(),
        remarks=(),
    )


class _Count(Value):
    """A whole number."""

    @property
    def text(self) -> str:
        """Without decimals."""
        return f"{self.mean:.0f}"


def _caption(row: Row, cells: Sequence[Record], method: str, images: int, right: int) -> str:
    first = row.cell
    splits = len({record.cell.split_hash for record in cells})
    seeds = len({record.cell.seed for record in cells})
    train, test = (span(getattr(one.cell, n) for one in cells) for n in ("n_train", "n_test"))
    summed = "One split, one seed"
    if len(cells) > 1:
        many = [f"{n} {what}" for n, what in ((splits, "splits"), (seeds, "seeds")) if n > 1]
        summed = f"Sums over {' and '.join(many)}, {len(cells)} cells"
    missing = len(row.records) - len(cells)
    sentences = [
        f"Confusion matrix of {method} on {first.dataset} ({origin(first)}), protocol "
        f"{first.protocol}, n train/test = {train}/{test}",
        "Percent of the images of each true class (number of images)",
        summed + (f"; {missing} cells have none" if missing else ""),
        f"{right} of {images} right ({100 * right / images:.2f} %)",
        training([record.cell for record in cells]),
        f"Data {first.fingerprint[:8]}",
    ]
    return ". ".join(sentences) + "."
