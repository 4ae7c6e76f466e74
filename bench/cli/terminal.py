"""Text that every command prints: lines for the reader, columns, no control character in either."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from bench.publish.escape import terminal as clean

__all__ = ["clean", "columns", "confirmed", "say"]


def say(text: str) -> None:
    """Print a line for the reader on stderr; stdout is for results alone."""
    print(clean(text), file=sys.stderr, flush=True)


def confirmed(question: str) -> bool | None:
    """The answer of whoever sits at the terminal, no without one; None where nobody does."""
    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    print(clean(f"{question} [y/N] "), end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def columns(rows: Iterable[Sequence[str]]) -> str:
    """Rows as aligned columns of text; the last column is not padded."""
    rows = [[clean(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join([*map(str.ljust, row[:-1], widths), row[-1]]) for row in rows)
