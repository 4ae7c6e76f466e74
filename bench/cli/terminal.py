"""Text on the terminal: control characters from names and files do no harm there."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from bench.publish.escape import terminal as clean

__all__ = ["clean", "columns", "say"]


def say(text: str) -> None:
    """A line for the reader on stderr, so that stdout stays clean for results."""
    print(clean(text), file=sys.stderr, flush=True)


def columns(rows: Iterable[Sequence[str]]) -> str:
    """Rows as aligned columns; the last one runs free."""
    rows = [[clean(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    )
