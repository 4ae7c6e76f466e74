"""Label distributions through the engine: who learns from them, who gives them, what is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from csv_files import read_csv
from runs import plugin_file, records_of

from bench.api import BenchError
from bench.plugins import Registry
from bench.publish import tables
from bench.run.grammar import parse_methods
from bench.run.methods import Method, resolve
from bench.run.options import RunOptions
from bench.run.plan import make_plan
from bench.run.record import Record
from bench.run.store import Store
from bench.score import bootstrap
from bench.score.criteria import CRITERIA, evaluate
from bench.score.distribution import DISTRIBUTION_CRITERIA, evaluate_distribution


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    return plugin_file("blends", tmp_path)


def measured(plugins: Path, store: Store, methods: str, dataset: str = "blends") -> list[Record]:
    plan = make_plan(Registry([plugins]), RunOptions(dataset, methods, budget="smoke"))
    return records_of(plan, store)


def test_criteria_apart_from_the_nine_where_truth_and_method_have_shares(
    plugins: Path, store: Store
) -> None:
    learner, net, labels = measured(plugins, store, "pixels+aa-knn,shares,pixels+frequencies")
    names = [one.name for one in DISTRIBUTION_CRITERIA]
    for record in (learner, net):
        assert record.status == "ok"
        assert list(record.distribution_criteria) == names
        assert not set(names) & set(record.criteria)
        stored = store.scores(record)
        assert stored is not None
        again = evaluate_distribution(stored.distribution_truth, stored.distribution)
        assert again == record.distribution_criteria
        assert evaluate(*stored[:3]).values == record.criteria
        np.testing.assert_array_equal(stored.distribution, stored.scores)
        values = bootstrap.unpack(record.bootstrap["values"])
        assert set(names) | {one.name for one in CRITERIA} <= set(values)
        low, high = np.quantile(values["chebyshev"], [0.025, 0.975])
        assert low < record.distribution_criteria["chebyshev"] < high
    assert learner.distribution_criteria["kullback_leibler"] < 0.1  # it learned from shares
    assert labels.status == "ok"
    assert labels.distribution_criteria == {}
    assert store.scores(labels)[3:] == (None, None, None)  # type: ignore[index]
    assert all(one.name in learner.criteria for one in CRITERIA)


def test_the_true_shares_are_those_of_the_test_rows(plugins: Path, store: Store) -> None:
    (record,) = measured(plugins, store, "pixels+aa-knn")
    faces = make_plan(Registry([plugins]), RunOptions("blends", "shares")).faces
    assert faces.distribution is not None
    stored = store.scores(record)
    assert stored is not None
    np.testing.assert_array_equal(stored.distribution_truth, faces.distribution[faces.split == 2])


def test_single_label_data_with_shares_have_them_too(plugins: Path, store: Store) -> None:
    learner, net = measured(plugins, store, "pixels+sa-bfgs,shares", "blends[single=true]")
    for record in (learner, net):
        assert set(record.criteria) == {"accuracy", "mean_recall"}
        assert record.distribution_criteria["intersection"] > 0.5
        assert np.sum(record.confusion) == 10


def test_classifiers_hear_of_the_kind(plugins: Path, store: Store) -> None:
    (single,) = measured(plugins, store, "pixels+linear-svm", "blends[single=true]")
    (sets,) = measured(plugins, store, "pixels+linear-svm")
    assert any("one against one, 3 machines" in note for note in single.notes)
    assert any("C by label" in note for note in sets.notes)
    assert single.distribution_criteria == {}


def test_a_distribution_of_its_own_is_not_the_scores(plugins: Path, store: Store) -> None:
    (record,) = measured(plugins, store, "shares[own=true]")
    stored = store.scores(record)
    assert stored is not None
    assert np.allclose(stored.distribution, 1 / 3)
    assert not np.allclose(stored.scores, 1 / 3)


def test_what_is_no_distribution_is_one_failed_cell(plugins: Path, store: Store) -> None:
    (record,) = measured(plugins, store, "shares[wrong=true]")
    assert record.status == "error"
    assert "shares: label distributions are no shares that sum to 1 in 10 of 10 rows" in (
        record.reason
    )


def resolved(text: str, distribution: bool, kind: str = "multi") -> list[Method]:
    return resolve(Registry(), parse_methods(text), kind, True, distribution=distribution)


def test_without_distributions_their_learners_are_refused(plugins: Path, store: Store) -> None:
    for name in ("aa-knn", "sa-bfgs"):
        with pytest.raises(BenchError, match=f"{name} learns from label distributions, and this"):
            measured(plugins, store, f"pixels+{name}", "blends[bare=true]")
    (record,) = measured(plugins, store, "pixels+frequencies", "blends[bare=true]")
    assert record.distribution_criteria == {}


@pytest.mark.parametrize("kind", ["multi", "single"])
def test_all_has_them_only_where_there_are_distributions(kind: str) -> None:
    def classifiers(distribution: bool) -> set[str]:
        found = resolved("lbp+all", distribution, kind)
        return {method.classifier.name for method in found if method.classifier}

    assert classifiers(True) - classifiers(False) == {"aa-knn", "sa-bfgs"}
    assert "linear-svm" in classifiers(False)


def test_changed_criteria_come_from_the_stored_shares(plugins: Path, store: Store) -> None:
    (record,) = measured(plugins, store, "pixels+aa-knn")
    store.write(replace(record, criteria_code="old", distribution_criteria={"clark": 9.0}))
    (again,) = measured(plugins, store, "pixels+aa-knn")
    assert again.distribution_criteria == record.distribution_criteria
    assert again.bootstrap == record.bootstrap


def test_published_in_files_and_a_block_of_their_own(plugins: Path, store: Store) -> None:
    records = measured(plugins, store, "pixels+aa-knn,shares,pixels+frequencies")
    paths = {path.name: path for path in tables.write(records, store.tables)}
    rows = {row["key"]: row for row in read_csv(paths["distribution.csv"])}
    assert set(rows) == {record.key for record in records[:2]}
    for record in records[:2]:
        for name, value in record.distribution_criteria.items():
            assert float(rows[record.key][name]) == value
        assert json.loads(rows[record.key]["params"]).keys() == {"classifier", "features"}
    text = paths["table.md"].read_text()
    nine, block = text.split("LABEL DISTRIBUTIONS")
    assert "| pixels |" in nine
    titles = ("Chebyshev ↓", "Clark ↓", "Canberra ↓", "KL divergence ↓", "Cosine ↑")
    assert " | ".join((*titles, "Intersection ↑")) in block
    for record in records[:2]:
        for name in ("chebyshev", "intersection"):
            assert f"{record.distribution_criteria[name]:.3f}" in block
    assert "frequencies" in nine
    assert "frequencies" not in block
    assert "tied scores" not in block
    assert r"\label{tab:blends-1-distribution}" in paths["table.tex"].read_text()
    assert "chebyshev" not in paths["cells.csv"].read_text()
    other = tables.write(records[2:], store.root / "other")
    assert "distribution.csv" not in {path.name for path in other}


def test_another_convention_keeps_them(plugins: Path, store: Store) -> None:
    records = measured(plugins, store, "pixels+aa-knn")
    paths = tables.write(
        records, store.tables, convention="mulan", scores_of=store.scores, formats=["csv"]
    )
    (path,) = (path for path in paths if path.name == "distribution.csv")
    (row,) = read_csv(path)
    assert float(row["clark"]) == records[0].distribution_criteria["clark"]
