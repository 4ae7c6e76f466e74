"""A common threshold: fitted without the test part, for every kind of method, and told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import plugin_file, records_of, run_plan

from bench.api import BenchError
from bench.plugins import Registry
from bench.publish.criteria_tables import tables_of
from bench.publish.frames import cells, summary
from bench.publish.rows import newest, rows_of
from bench.run.job import Cell
from bench.run.options import RunOptions
from bench.run.plan import Plan, make_plan
from bench.run.record import Record
from bench.run.store import Store
from bench.score.thresholds import fitted_threshold

METHODS = "halves+nearest,alone,net"
ON_SCORES = (
    *("coverage", "one_error", "ranking_loss", "average_precision", "micro_auc", "macro_auc"),
)


@pytest.fixture
def plugins(tiny: Path, tmp_path: Path) -> list[Path]:
    return [tiny, plugin_file("tunable", tmp_path)]


def plan_of(plugins: list[Path], methods: str = METHODS, **more: Any) -> Plan:
    options = {"dataset": "tiny", "budget": "smoke", **more}
    return make_plan(Registry(plugins), RunOptions(methods=methods, **options))


def by_name(records: list[Record]) -> dict[str, Record]:
    return {f"{r.cell.features}+{r.cell.classifier}": r for r in records}


@pytest.mark.parametrize("rule", ["cardinality", "micro-f1", "hamming"])
def test_fitted_on_the_validation_part(plugins: list[Path], store: Store, rule: str) -> None:
    own = by_name(records_of(plan_of(plugins), store))
    plan = plan_of(plugins, threshold=rule)
    assert not plan.inner().jobs
    common = by_name(records_of(plan, store))
    assert set(own) == set(common) == {"halves+nearest", "None+alone", "net+None"}
    faces = plan.faces
    for job in plan.jobs:
        record = common[f"{job.cell.features}+{job.cell.classifier}"]
        assert (record.status, record.cell.threshold, record.cell.fitted_on) == (
            "ok",
            rule,
            "valid",
        )
        before = own[f"{job.cell.features}+{job.cell.classifier}"]
        assert record.key != before.key
        assert before.cell.threshold == "own"
        assert {name: record.criteria[name] for name in ON_SCORES} == {
            name: before.criteria[name] for name in ON_SCORES
        }
        stored, stored_own = store.scores(record), store.scores(before)
        assert stored is not None
        assert stored_own is not None
        np.testing.assert_array_equal(stored.scores, stored_own.scores)
        # By hand: the method fitted on train, asked about the validation part.
        fold = job.fold
        if job.classifier is None:
            values = np.tile(stored.scores[0], (len(fold.valid), 1))  # the same for each face
        else:
            X = np.empty((len(faces), 0))
            if job.features is not None:
                X = job.features.spec.make().transform(faces)
            fitted = job.classifier.make().fit(X[fold.train], faces.labels[fold.train])
            values = fitted.scores(X[fold.valid])
        sizes = [sum(row) for row in faces.labels[fold.train].tolist()]
        threshold = fitted_threshold(
            rule, faces.labels[fold.valid], values, sum(sizes) / len(sizes)
        )
        np.testing.assert_array_equal(stored.labels, stored.scores >= threshold)
        assert record.notes[-1] == (
            f"threshold {threshold:.6g} ({rule}, fitted on 12 images of the validation part)"
        )


@pytest.mark.parametrize("rule", ["cardinality", "micro-f1"])
def test_fitted_on_inner_folds_where_there_is_no_validation_part(
    plugins: list[Path], store: Store, rule: str
) -> None:
    plan = plan_of(plugins, "halves+nearest,net", protocol="cv2", threshold=rule, inner="cv3")
    assert len(plan.jobs) == 4
    assert len(plan.inner().jobs) == 12
    faces = plan.faces
    for job, record in zip(plan.jobs, records_of(plan, store), strict=True):
        assert record.cell.fitted_on == "inner cv3"
        assert job.fit is not None
        truths, scores = [], []
        for inner in plan.inner().jobs:
            if inner.key in job.fit.inner:
                assert set(inner.fold.train) | set(inner.fold.test) == set(job.fold.train)
                stored = store.tuning.scores(store.tuning.read(inner.key))
                truths += faces.labels[inner.fold.test].tolist()
                scores += stored.scores.tolist()
        assert len(truths) == len(job.fold.train)
        sizes = faces.labels[job.fold.train].sum(axis=1)
        threshold = fitted_threshold(rule, np.array(truths), np.array(scores), sizes.mean())
        stored = store.scores(record)
        np.testing.assert_array_equal(stored.labels, stored.scores >= threshold)


@pytest.mark.parametrize("protocol", ["official", "holdout-70-0-30"])
def test_test_labels_have_no_say(plugins: list[Path], tmp_path: Path, protocol: str) -> None:
    """With other labels in the test part the predicted label sets stay what they were."""
    predicted = []
    for other in (False, True):
        plan = plan_of(plugins, threshold="micro-f1", protocol=protocol)
        labels = plan.faces.labels.copy()
        test = plan.jobs[0].fold.test
        if other:
            labels[test] = ~labels[test]
        changed = replace(plan.faces, labels=labels)
        mark = changed.fingerprint
        places = Store(tmp_path / str(other))

        def moved(job: Any, mark: str = mark) -> Any:
            features = job.features and replace(job.features, fingerprint=mark)
            cell: Cell = replace(job.cell, fingerprint=mark)
            return replace(job, cell=cell, features=features)

        plan = replace(
            plan,
            faces=changed,
            sets={mark: changed},
            jobs=tuple(map(moved, plan.jobs)),
            fitting=tuple(map(moved, plan.fitting)),
        )
        records = records_of(plan, places)
        assert [record.status for record in records] == ["ok"] * 3
        stored = [places.scores(record) for record in records]
        np.testing.assert_array_equal(stored[0].truth, labels[test])
        predicted.append([one.labels for one in stored])
    for before, after in zip(*predicted, strict=True):
        np.testing.assert_array_equal(before, after)


def test_keys_of_own_are_as_without_the_option(plugins: list[Path]) -> None:
    plain = [job.key for job in plan_of(plugins).jobs]
    assert [job.key for job in plan_of(plugins, threshold="own").jobs] == plain
    keys = set(plain)
    for rule in ("cardinality", "micro-f1", "hamming"):
        keys |= {job.key for job in plan_of(plugins, threshold=rule).jobs}
    assert len(keys) == 4 * 3
    inner = {"protocol": "cv2", "threshold": "hamming"}
    other = [plan_of(plugins, inner=one, **inner).jobs[0].key for one in ("cv3", "cv4")]
    assert other[0] != other[1]


def test_a_tuned_method_has_a_common_threshold_too(plugins: list[Path], store: Store) -> None:
    plan = plan_of(
        plugins,
        "halves+noisy[noise=3|0]",
        tune="noise",
        inner="cv3",
        protocol="cv2",
        threshold="hamming",
    )
    assert len(plan.inner().jobs) == 2 * 2 * 3
    for record in run_plan(plan, store)[0].records:
        assert record.status == "ok"
        assert record.cell.classifier_params["noise"] == 0
        assert record.cell.threshold == "hamming"
        assert record.notes[-1].startswith("threshold ")


def test_rows_by_two_rules_stand_in_two_tables(plugins: list[Path], store: Store) -> None:
    records = records_of(plan_of(plugins), store)
    records += records_of(plan_of(plugins, threshold="cardinality"), store)
    assert len(newest(records).kept) == 6
    assert len(rows_of(records)) == 6
    by_rule, own = tables_of(records, "tiny")
    assert "Label sets" not in own.caption
    assert (
        "Label sets by one rule for all rows, cardinality: one threshold on scores, for as many "
        "labels as a training image has on average, fitted on the validation part"
    ) in by_rule.caption
    assert set(cells(records)["threshold"]) == {"own", "cardinality"}
    assert list(summary(records)["fitted_on"]).count("valid") == 3


def test_methods_without_scores_say_so(plugins: list[Path], store: Store) -> None:
    for protocol in ("official", "cv2"):
        plan = plan_of(plugins, "halves+mute", threshold="hamming", protocol=protocol)
        for record in records_of(plan, store):
            assert record.status == "error"
            assert "--threshold hamming needs scores" in record.reason


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"dataset": "one-class", "threshold": "hamming"}, "each image of .* has one class"),
        ({"inner": "cv3"}, "--inner cv3 needs --tune.* or --threshold"),
        ({"inner": "cv3x"}, "--inner cv3x: no such protocol"),
        ({"threshold": "best"}, "--threshold best: one of own, cardinality, micro-f1, hamming"),
        (
            {"threshold": "hamming", "protocol": "cross", "target": "tiny"},
            "--threshold hamming does not go with --protocol cross",
        ),
        (
            {
                "methods": "halves+noisy[noise=3|0]",
                "tune": "noise",
                "tune_by": "micro_f1",
                "threshold": "hamming",
            },
            "--tune-by micro_f1 judges label sets by each method's own rule",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    plugins: list[Path], options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BenchError, match=sentence):
        plan_of(plugins, **{"methods": "halves+noisy", **options})
