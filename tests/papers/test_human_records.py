"""The human row as a record."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import shared
from builtin import dataset_class
from runs import records_of
from sklearn.metrics import coverage_error

from bench.papers.human import has_panel, human_records, write_half_panels
from bench.plugins import Registry
from bench.publish.frames import cells, summary
from bench.run.options import RunOptions
from bench.run.plan import Plan, make_plan
from bench.run.record import Record
from bench.run.store import Store
from bench.score.human import against_halves


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


def nobody(sentence: str) -> None:
    raise AssertionError(sentence)


@shared.needs_fer_plus
def test_methods_and_people_on_one_truth(tmp_path: Path, store: Store) -> None:
    root = shared.unpacked_fer_plus(tmp_path)
    plan = make_plan(Registry(), RunOptions("fer-plus-ml", "prior, constant", root))
    before = records_of(plan, store)
    assert all(record.half_panels == {} for record in before)
    (person,) = people(plan, "fer-plus-ml")
    store.write(person)
    assert person.half_panels == person.criteria
    assert write_half_panels(Registry(), "fer-plus-ml", plan, store, nobody) == 2
    assert write_half_panels(Registry(), "fer-plus-ml", plan, store, nobody) == 0
    records = store.records()
    for old in before:
        new = next(record for record in records if record.key == old.key)
        assert dataclasses.replace(new, half_panels={}) == old
        assert new.half_panels["coverage"] > old.criteria["coverage"]  # a truth with more noise
    frame = summary(records).set_index("classifier")
    by_cell = cells(records).set_index("classifier")
    for name in ("human", "prior", "constant"):
        mine = next(record for record in records if record.cell.classifier == name)
        assert frame["coverage_half_panels"][name] == mine.half_panels["coverage"]
        assert by_cell["micro_f1_half_panels"][name] == mine.half_panels["micro_f1"]
    assert frame["coverage_half_panels"]["human"] == frame["coverage_mean"]["human"]
    assert "half_panels of the CSV files" in person.footnotes[0]
    faces = make_plan(Registry(), RunOptions("synthetic[images=60]", "prior"))
    assert write_half_panels(Registry(), "synthetic[images=60]", faces, store, nobody) == 0


@shared.needs_fer_plus
def test_the_best_network_is_no_better_than_people_on_one_truth(tmp_path: Path) -> None:
    """Published scores, of which the best coverage against all votes is 1.91, people's is 2.01."""
    published = Path(__file__).parents[2] / "results/scores/fer-plus-ml"
    root = shared.unpacked_fer_plus(tmp_path)
    plan = make_plan(Registry(), RunOptions("fer-plus-ml", "prior", root))
    test = plan.jobs[0].fold.test
    truth = plan.faces.labels[test]
    coverages = {}
    for path in published.glob("*.npz"):
        with np.load(path) as given:
            assert (given["ids"] == plan.faces.ids[test]).all()
            if "scores" in given:
                coverages[path] = coverage_error(truth, given["scores"]) - 1
    best = min(coverages, key=coverages.__getitem__)
    assert coverages[best] == pytest.approx(1.911, abs=0.01)
    (person,) = people(plan, "fer-plus-ml")
    votes, panel = plan.faces.votes[test], dataset_class("fer-plus-ml")().panel
    with np.load(best) as given:
        found = against_halves(votes, panel, given["scores"], given["labels"], "multi", 20_190)
    assert found["coverage"] == pytest.approx(2.063, abs=0.01)
    assert person.criteria["coverage"] == pytest.approx(2.011, abs=0.01)
    assert found["coverage"] > person.criteria["coverage"]
