"""The committed tables are what the committed records say, to the byte."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from bench.publish import tables
from bench.run.store import Store

RESULTS = Path(__file__).resolve().parents[1] / "results"


def test_the_committed_tables_come_from_the_committed_records(tmp_path: Path) -> None:
    written = tables.write(Store(RESULTS / "records").records(), tmp_path)
    assert written
    for path in written:
        committed = RESULTS / "tables" / path.relative_to(tmp_path)
        assert committed.read_bytes() == path.read_bytes(), committed
    names = {path.relative_to(tmp_path) for path in written}
    stray = [
        p
        for p in (RESULTS / "tables").rglob("*.*")
        if p.is_file()
        and p.relative_to(RESULTS / "tables") not in names
        and "papers" not in p.parts  # those have a test of their own
    ]
    assert stray == []


def _scores_only(path: Path) -> bool:
    """What methods said of test images, without the truth."""
    if path.suffix != ".npz" or RESULTS / "scores" not in path.parents:
        return False
    with np.load(path, allow_pickle=False) as kept:
        return set(kept) <= {"ids", "label_names", "scores", "labels"}


@pytest.mark.parametrize("path", sorted(RESULTS.rglob("*")), ids=lambda path: path.name)
def test_no_image_score_or_other_per_image_data_is_committed(path: Path) -> None:
    texts = {".json", ".csv", ".tex", ".md", ".png", ".toml"}
    assert path.is_dir() or path.suffix in texts or path.name == "recount.py" or _scores_only(path)
    if path.name == "record.json":
        record = json.loads(path.read_text(encoding="utf-8"))
        assert record["status"] in ("ok", "skipped")
        assert record["provenance"]["dirty"] is False, "measure from a clean commit"
        assert "scores" not in record


@pytest.mark.parametrize("path", sorted((RESULTS / "curves").glob("*.csv")), ids=lambda p: p.stem)
def test_learning_curves_are_whole(path: Path) -> None:
    trainings: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            trainings[row["method"], row["seed"]].append(row)
    assert trainings
    for rows in trainings.values():
        assert [int(row["epoch"]) for row in rows] == list(range(1, len(rows) + 1))
        values = [float(row["valid_average_precision"]) for row in rows]
        assert all(0 < value < 1 for value in values)
        (chosen,) = (i for i, row in enumerate(rows) if row["chosen"] == "1")
        assert chosen == values.index(max(values))
