"""The committed tables are what the committed records say, to the byte."""

from __future__ import annotations

import json
from pathlib import Path

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
        if p.relative_to(RESULTS / "tables") not in names
    ]
    assert stray == []


@pytest.mark.parametrize("path", sorted(RESULTS.rglob("*")), ids=lambda path: path.name)
def test_no_image_score_or_other_per_image_data_is_committed(path: Path) -> None:
    assert path.is_dir() or path.suffix in {".json", ".csv", ".tex", ".md", ".png"}
    if path.name == "record.json":
        record = json.loads(path.read_text(encoding="utf-8"))
        assert record["status"] == "ok"
        assert record["provenance"]["dirty"] is False, "measure from a clean commit"
        assert "scores" not in record
