"""The human row as a record."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import shared

from bench.papers.human import has_panel, human_records
from bench.plugins import Registry
from bench.run.options import RunOptions
from bench.run.plan import Plan, make_plan
from bench.run.record import Record


def people(plan: Plan, dataset: str, *known: str) -> list[Record]:
    return human_records(Registry(), dataset, plan, known.__contains__)


def test_data_without_votes_have_none() -> None:
    plan = make_plan(Registry(), RunOptions("synthetic[images=60]", "prior"))
    unread = dataclasses.replace(plan.faces, votes=plan.faces.labels.astype(int))
    for faces in (plan.faces, unread, dataclasses.replace(plan.faces, votes=None)):
        assert not has_panel(Registry(), "synthetic[images=60]", faces)


@shared.needs_fer_plus
def test_people_on_fer_plus_ml(tmp_path: Path) -> None:
    root = shared.unpacked_fer_plus(tmp_path)
    plan = make_plan(Registry(), RunOptions("fer-plus-ml", "prior", root))
    assert has_panel(Registry(), "fer-plus-ml", plan.faces)
    (record,) = people(plan, "fer-plus-ml")
    assert (record.cell.classifier, record.cell.features) == ("human", None)
    assert record.cell.n_test == 607
    expected = {
        "hamming_loss": 0.1625,
        "coverage": 2.0106,
        "one_error": 0.1239,
        "ranking_loss": 0.1259,
        "average_precision": 0.8765,
        "micro_f1": 0.778,
        "macro_f1": 0.748,
        "micro_auc": 0.861,
        "macro_auc": 0.822,
    }
    for name, value in expected.items():
        bar = 0.02 if name == "coverage" else 0.003
        assert record.criteria[name] == pytest.approx(value, abs=bar), name
    assert record.measures["sd_hamming_loss"] == pytest.approx(0.003, abs=0.002)
    assert "no upper bound" in record.footnotes[0]
    (again,) = people(plan, "fer-plus-ml")
    assert (again.key, again.criteria) == (record.key, record.criteria)
    assert people(plan, "fer-plus-ml", record.key) == []
