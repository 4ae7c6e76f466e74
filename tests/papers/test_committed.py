"""The committed tables of the papers hold, and compile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from csv_files import read_csv
from tex import compiled

from bench.papers.files import papers
from bench.papers.spec import load
from bench.papers.verify import against_bench
from bench.plugins import Registry

TABLES = Path(__file__).resolve().parents[2] / "results" / "tables" / "papers"
WRITTEN = sorted(path.parent for path in TABLES.glob("*/*/about.json"))


def test_every_paper_is_there_at_smoke() -> None:
    assert {path.name for path in WRITTEN if path.parent.name == "smoke"} == set(papers())


@pytest.mark.parametrize("folder", WRITTEN, ids=lambda path: "/".join(path.parts[-2:]))
def test_committed_tables_are_what_this_bench_specifies(folder: Path) -> None:
    found = list(against_bench(load(folder.name), Registry(), folder.parent))
    assert found == []


@pytest.mark.parametrize("folder", WRITTEN, ids=lambda path: "/".join(path.parts[-2:]))
def test_every_line_at_smoke_says_what_it_is(folder: Path) -> None:
    budget = json.loads((folder / "about.json").read_text("utf-8"))["budget"]
    for path in folder.glob("*.md"):
        text = path.read_text("utf-8")
        if "(SYNTHETIC)" in text:
            assert "SYNTHETIC faces rendered by bench" in text, path.name
        if f"Budget {budget}" in text:
            assert budget == "paper" or "SHORTENED training" in text, path.name


@pytest.mark.parametrize("folder", WRITTEN, ids=lambda path: "/".join(path.parts[-2:]))
def test_claims_and_their_comparisons_say_on_which_data(folder: Path) -> None:
    claims, comparisons = (read_csv(folder / name) for name in ("claims.csv", "comparisons.csv"))
    on = {row["claim"]: row["on"] for row in claims}
    assert any(on.values()) or {row["verdict"] for row in claims} == {"untested"}
    assert all(row["on"] == on[row["claim"]] for row in comparisons)
    if folder.parent.name == "smoke":
        assert all("(SYNTHETIC)" in data for data in on.values() if data)


@pytest.mark.parametrize("folder", WRITTEN, ids=lambda path: "/".join(path.parts[-2:]))
def test_committed_latex_compiles(folder: Path, tmp_path: Path) -> None:
    texts = [path.read_text("utf-8") for path in sorted(folder.glob("*.tex"))]
    compiled("\n\\clearpage\n".join(texts), tmp_path)
