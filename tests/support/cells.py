"""cells.csv as two runs of the same code must fill it."""

from __future__ import annotations

import csv
import io

VOLATILE = (
    *("seconds_features", "seconds_fit", "seconds_predict"),
    *("peak_memory_mb", "device", "version"),
)
"""Columns that two runs of the same code may fill differently."""


def comparable(text: str) -> str:
    """cells.csv without its seconds, memory, device and version: the same bytes from every run."""
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    kept = [i for i, name in enumerate(header) if name not in VOLATILE]
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(
        [row[i] for i in kept] for row in (header, *rows)
    )
    return buffer.getvalue()
