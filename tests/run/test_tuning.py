"""Parameters chosen on the training part: the best candidate wins, and test rows have no say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import plugin_file, run_plan

from bench.api import BenchError
from bench.data.protocols import inner_folds
from bench.plugins import Registry
from bench.publish.rows import newest, rows_of
from bench.run.options import RunOptions
from bench.run.plan import Plan, make_plan
from bench.run.store import Store
from bench.score.criteria import evaluate


@pytest.fixture
def plugins(tiny: Path, tmp_path: Path) -> list[Path]:
    return [tiny, plugin_file("tunable", tmp_path)]


def plan_of(plugins: list[Path], methods: str, tune: str | None, **more: Any) -> Plan:
    request = {"dataset": "tiny", "inner": None if tune is None else "cv3", **more}
    return make_plan(Registry(plugins), RunOptions(methods=methods, tune=tune, **request))


@pytest.mark.parametrize("by", ["average_precision", "ranking_loss"])  # higher, lower is better
def test_the_best_mean_over_the_inner_folds_is_chosen(
    plugins: list[Path], store: Store, by: str
) -> None:
    plan = plan_of(plugins, "halves+noisy[noise=3|0|0.3]", "noise", tune_by=by)
    outcomes, _ = run_plan(plan, store)
    (record,) = outcomes.records
    # The same by hand, from the inner folds and the plug-ins.
    (contest,) = plan.contests
    faces, fold = plan.faces, contest.outer[0].fold
    means = []
    for job in contest.outer:
        assert job.features is not None
        assert job.classifier is not None
        X, values = job.features.spec.make().transform(faces), []
        for inner in inner_folds(faces, fold, "cv3"):
            fitted = job.classifier.make().fit(X[inner.train], faces.labels[inner.train])
            scores, labels = fitted.scores_and_labels(X[inner.test])
            values.append(evaluate(faces.labels[inner.test], scores, labels).values[by])
        means.append(float(np.mean(values)))
    best = np.argmin(means) if by == "ranking_loss" else np.argmax(means)
    assert best == 1
    assert record.status == "ok"
    assert record.cell.classifier_params["noise"] == 0
    assert record.notes[-1] == (
        f"noise=0.0 chosen among 3 by inner cv3 on the 36 training rows: {by} {means[1]:.4f} "
        f"(next {means[2]:.4f}: noise=0.3)"
    )
    title = by.replace("_", " ")
    assert record.footnotes == (f"noise (3.0|0.0|0.3) chosen by {title} in inner cv3 on train",)
    assert record.cell.tuned == {
        "inner": "cv3",
        "by": by,
        "classifier": {"noise": [3.0, 0.0, 0.3]},
    }
    # It is the plain cell's number, and another record.
    (plain,) = run_plan(plan_of(plugins, "halves+noisy[noise=0]", None), store)[0].records
    assert plain.criteria == record.criteria
    assert plain.key != record.key


def test_rows_outside_the_training_part_have_no_say(plugins: list[Path], tmp_path: Path) -> None:
    methods = "halves+noisy[noise=3|0.5|0.4],centred+nearest[wait=0|0.001],tall[height=-1|0|1]"
    notes, inner = [], []
    for other in ("false", "true"):
        store = Store(tmp_path / other)
        plan = plan_of(
            plugins, methods, "noise,wait,height", dataset=f"masked[other={other}]", seeds=2
        )
        outcomes, _ = run_plan(plan, store)
        assert len(outcomes.records) == 5  # the second and the third have two seeds
        notes.append([record.notes[-1] for record in outcomes.records])
        inner.append(
            sorted(
                (r.cell.split, r.cell.seed, str(r.cell.classifier_params), r.criteria)
                for r in store.tuning.records()
                if r.cell.classifier == "noisy"
            )
        )
    assert notes[0] == notes[1]
    assert inner[0] == inner[1]
    assert len(inner[0]) == 9
    changed = [Store(tmp_path / other).records() for other in ("false", "true")]
    assert changed[0][0].criteria != changed[1][0].criteria  # the test part did change


@pytest.mark.parametrize("protocol", ["official", "cv3", "holdout-50-25-25"])
def test_inner_folds_hold_training_rows_only(plugins: list[Path], protocol: str) -> None:
    plan = plan_of(plugins, "halves+noisy[noise=0|1]", "noise", protocol=protocol)
    assert not plan.jobs
    assert len(plan.contests) == (3 if protocol == "cv3" else 1)
    for contest in plan.contests:
        outer = contest.outer[0].fold
        assert len(contest.inner) == 2
        for jobs in contest.inner:
            assert sorted(np.concatenate([job.fold.test for job in jobs])) == list(outer.train)
            for job in jobs:
                assert job.fold.name.startswith(f"{outer.name} inner fold")
                assert not len(job.fold.valid)
                rows = np.concatenate([job.fold.train, job.fold.test])
                assert sorted(rows) == list(outer.train)


def test_the_first_written_wins_a_tie_and_the_default_is_told(
    plugins: list[Path], store: Store
) -> None:
    methods = "halves+nearest[wait=0.001|0.002|0]"
    (record,) = run_plan(plan_of(plugins, methods, "wait"), store)[0].records
    assert record.cell.classifier_params["wait"] == 0.001
    value = record.notes[-1].split("average_precision ")[1][:6]
    end = f"(next {value}: wait=0.002; {value}: wait=0.0 (default))"
    assert record.notes[-1].endswith(end)


def test_parameters_of_both_sides_are_chosen_together(plugins: list[Path], store: Store) -> None:
    methods = "tall[height=0|1]+noisy[noise=2|0]"
    plan = plan_of(plugins, methods, "height,noise", budget="smoke")
    assert len(plan.inner().jobs) == 4 * 3
    (record,) = run_plan(plan, store)[0].records
    assert any(note.startswith("height=0.0, noise=0.0 chosen among 4") for note in record.notes)
    assert record.cell.tuned["features"] == {"height": [0.0, 1.0]}
    # a network holds out rows of its own where there is no validation part
    seen = {note for r in store.tuning.records() for note in r.notes if note.startswith("saw")}
    assert seen == {"saw (24, 0, 'smoke')"}
    assert "saw (36, 12, 'smoke')" in record.notes


def test_one_name_on_both_sides_is_told_with_its_method(plugins: list[Path], store: Store) -> None:
    plan = plan_of(plugins, "halves[scale=1|2]+scaled[scale=3|4]", "scale")
    (record,) = run_plan(plan, store)[0].records
    assert "halves scale=1.0, scaled scale=3.0 chosen among 4" in record.notes[-1]
    assert record.footnotes[0].startswith("halves scale (1.0|2.0), scaled scale (3.0|4.0) chosen")


def test_what_is_not_tuned_stays_as_it_is(plugins: list[Path], store: Store) -> None:
    methods = (
        "halves[scale=1|2]+noisy[noise=0|1],halves+noisy[noise=0.5],halves+noisy,"
        "halves+nearest[wait=0|0.001]"
    )
    outcomes, _ = run_plan(plan_of(plugins, methods, "noise"), store)
    told = [
        (r.cell.classifier, r.cell.features_params["scale"], bool(r.cell.tuned))
        for r in outcomes.records
    ]
    assert told == [
        ("noisy", 1, False),
        ("noisy", 1, False),
        ("nearest", 1, False),
        ("nearest", 1, False),
        ("noisy", 1, True),
        ("noisy", 2, True),
    ]


def test_inner_cells_stay_apart_and_share_features(plugins: list[Path], store: Store) -> None:
    plan = plan_of(plugins, "halves+noisy[noise=0|1],halves+nearest", "noise")
    outcomes, heard = run_plan(plan, store)
    assert sum("features" in label for label in heard.begun) == 1
    assert {r.key for r in store.records()} == {r.key for r in outcomes.records}
    assert {str(r.cell.protocol) for r in store.tuning.records()} == {"official, inner cv3"}
    assert len(store.tuning.records()) == 6
    assert any("noise=0.0 chosen among 2" in words for words in heard.words)


def test_what_is_finished_is_not_run_again(plugins: list[Path], store: Store) -> None:
    plan = plan_of(plugins, "halves+noisy[noise=1|0]", "noise")
    first, _ = run_plan(plan, store)
    again, heard = run_plan(plan, store)
    assert again.records == first.records
    assert heard.begun == []
    lost = plan.contests[0].inner[0][1]
    (store.tuning.runs / lost.key / "record.json").unlink()
    again, heard = run_plan(plan, store)
    assert again.records == first.records
    assert heard.begun == ["halves+noisy, official inner fold2"]


def test_more_candidates_are_another_record_of_another_row(
    plugins: list[Path], store: Store
) -> None:
    for values in ("1|0", "1|0|2"):
        run_plan(plan_of(plugins, f"halves+noisy[noise={values}]", "noise"), store)
    records = store.records()
    assert [r.cell.classifier_params["noise"] for r in records] == [0, 0]
    assert len(rows_of(records)) == 2


def test_folds_and_seeds_of_a_tuned_method_are_one_row(plugins: list[Path], store: Store) -> None:
    plan = plan_of(plugins, "centred+noisy[draw=1|2|3]", "draw", protocol="cv3", seeds=2)
    outcomes, _ = run_plan(plan, store)
    assert len({r.cell.classifier_params["draw"] for r in outcomes.records}) > 1
    (row,) = rows_of(store.records())
    assert (len(row.ok), row.seeds, len(row.splits)) == (6, {0, 1}, 3)


def test_a_candidate_that_fails_is_left_out_and_named(plugins: list[Path], store: Store) -> None:
    plan = plan_of(plugins, "halves+fitful[k=2|1|3]", "k")
    outcomes, _ = run_plan(plan, store)
    (record,) = outcomes.records
    assert record.status == "ok"
    assert not outcomes.bad
    assert record.cell.classifier_params["k"] == 1
    assert record.notes[-1].endswith(
        "; left out: k=2 (error: fitful failed in fit: RuntimeError: two is too much); "
        "k=3 (skipped: three is not here: fetch it)"
    )
    assert record.footnotes[0].endswith("on train; 2 of 3 candidates failed there")


@pytest.mark.parametrize(
    ("method", "status", "message"),
    [
        (
            "fitful[k=2|3]",
            "error",
            "inner cv3: k=2: fitful failed in fit: RuntimeError: two is too much; k=3: three is",
        ),
        ("fitful[k=3,noise=0|1]", "skipped", "inner cv3: three is not here: fetch it"),
        ("mute[k=1|2]", "error", "inner cv3: it gives no average_precision"),
    ],
)
def test_without_a_candidate_the_cell_has_no_result(
    plugins: list[Path], store: Store, method: str, status: str, message: str
) -> None:
    tune = "noise" if "noise" in method else "k"
    plan = plan_of(plugins, f"halves+{method},halves+nearest", tune)
    outcomes, _ = run_plan(plan, store)
    good, bad = outcomes.records
    assert (good.status, bad.status) == ("ok", status)
    assert bad.reason.startswith("none of 2 candidates could be measured in ")
    assert message in bad.reason
    assert bad.cell.classifier_params[tune] is None  # nothing was chosen
    assert store.read(bad.key) == bad


def test_a_result_takes_the_place_of_an_older_failure(plugins: list[Path], store: Store) -> None:
    plan = plan_of(plugins, "halves+fitful[k=3,noise=0|1]", "noise")
    (skipped,) = run_plan(plan, store)[0].records
    plugins[0].with_name("three").touch()
    (good,) = run_plan(plan, store)[0].records
    assert (skipped.status, good.status) == ("skipped", "ok")
    assert newest(store.records()).kept == (good,)


def test_single_label_data_is_tuned_by_accuracy(plugins: list[Path], store: Store) -> None:
    more = {"dataset": "one-class", "inner": "holdout-75-25"}
    plan = plan_of(plugins, "halves+noisy[noise=3|0]", "noise", **more)
    (job,) = plan.contests[0].inner[0]
    assert (job.cell.split, job.cell.n_train, job.cell.n_test) == (
        *("official inner holdout-75-25", 27, 9),
    )
    (record,) = run_plan(plan, store)[0].records
    assert "noise=0.0 chosen among 2 by inner holdout-75-25" in record.notes[-1]
    assert ": accuracy 1.0000 (next 0." in record.notes[-1]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"tune": None, "inner": "cv5"}, "--inner cv5 needs --tune"),
        ({"tune": None, "tune_by": "hamming_loss"}, "--tune-by hamming_loss needs --tune"),
        ({"tune": "nois"}, "no method sweeps it .did you mean noise"),
        ({"tune": "draw"}, "no method sweeps it .known: noise"),
        ({"tune": "noise,"}, "no method sweeps it"),
        ({"tune": ""}, "no method sweeps it"),
        ({"inner": "official"}, "one of cvK, cvK-subject, cvK-blocks, holdout-A-B"),
        ({"inner": "cv1"}, "at least 2 folds"),
        ({"inner": "cv40"}, "the training part of tiny has 36"),
        ({"inner": "cv3-subject"}, "use --inner cv3"),
        ({"inner": "holdout-80-30"}, "must sum to 100"),
        ({"tune_by": "avg_precision"}, "did you mean average_precision"),
        ({"tune_by": "accuracy"}, "--tune-by accuracy is not for multi-label data"),
    ],
)
def test_a_wrong_request_is_one_sentence(
    plugins: list[Path], more: dict[str, str | None], message: str
) -> None:
    request = {"tune": "noise", **more}
    with pytest.raises(BenchError, match=message) as error:
        plan_of(plugins, "halves+noisy[noise=0|1,draw=1]", **request)
    assert "\n" not in str(error.value)
