"""CSV files as rows."""

from __future__ import annotations

import csv
from pathlib import Path


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a file by column; line ends inside a value stay as they are."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
