"""The runner: what is measured, shared, resumed, and what becomes of misbehaving methods."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from runs import run_plan

from bench.api import BenchError
from bench.plugins import Registry
from bench.run.costs import Costs
from bench.run.estimates import training_seconds
from bench.run.options import RunOptions
from bench.run.plan import Plan, make_plan
from bench.run.runner import pending
from bench.run.store import Store
from bench.score.criteria import evaluate


def plan_of(files: list[Path], methods: str, **more: object) -> Plan:
    return make_plan(Registry(files), RunOptions("tiny", methods, **more))  # type: ignore[arg-type]


def test_a_cell_is_measured_and_its_record_says_how(tiny: Path, store: Store) -> None:
    plan = plan_of([tiny], "halves+nearest")
    outcomes, _ = run_plan(plan, store)
    (record,) = outcomes.records
    assert record.status == "ok"
    cell = record.cell
    assert (cell.n_train, cell.n_valid, cell.n_test) == (36, 12, 12)
    assert (cell.features, cell.classifier, cell.synthetic) == ("halves", "nearest", True)
    assert cell.features_params == {"scale": 1.0}
    assert set(record.seconds) == {"features", "fit", "predict"}
    assert record.peak_memory_mb is not None
    assert record.peak_memory_mb > 1
    assert record.provenance["libraries"]["numpy"] == np.__version__
    assert "made for a test" in record.notes
    stored = store.scores(record)
    assert stored is not None
    assert evaluate(*stored[:3]).values == record.criteria
    truth = plan.faces.labels[plan.jobs[0].fold.test]
    assert np.array_equal(stored[0], truth)


def test_what_is_finished_is_not_run_again(tiny: Path, store: Store) -> None:
    first, heard = run_plan(plan_of([tiny], "halves+nearest"), store)
    again, silent = run_plan(plan_of([tiny], "halves+nearest,halves+dice"), store)
    assert again.records[0] == first.records[0]
    assert len(heard.begun) == 2
    assert silent.begun == ["halves+dice, official, seed 0"]  # features are shared, not made anew


def test_features_are_computed_once_for_all_classifiers(tiny: Path, store: Store) -> None:
    _, heard = run_plan(plan_of([tiny], "centred+nearest,centred+dice", seeds=2), store)
    assert sorted(label for label in heard.begun if "features" in label) == [
        "centred features, official, seed 0",
        "centred features, official, seed 1",
    ]  # one for each seed, for two classifiers


def test_deterministic_cells_run_once_whatever_the_seeds(tiny: Path) -> None:
    plan = plan_of([tiny], "halves+nearest,halves+dice,alone", seeds=3)
    assert [(job.cell.classifier, job.cell.seed) for job in plan.jobs] == [
        ("nearest", 0),
        ("dice", 0),
        ("dice", 1),
        ("dice", 2),
        ("alone", 0),
    ]


def test_same_seed_same_scores_other_seed_others(tiny: Path, tmp_path: Path) -> None:
    found = []
    for number in range(2):
        store = Store(tmp_path / f"r{number}")
        outcomes, _ = run_plan(plan_of([tiny], "halves+dice", seeds=2), store)
        found.append([store.scores(record)[1] for record in outcomes.records])  # type: ignore[index]
    assert np.array_equal(found[0][0], found[1][0])
    assert not np.array_equal(found[0][0], found[0][1])


def test_a_network_gives_its_own_scores_and_features_and_knows_its_budget(
    tiny: Path, store: Store
) -> None:
    outcomes, heard = run_plan(plan_of([tiny], "net,net+nearest", budget="smoke"), store)
    own, paired = outcomes.records
    assert own.status == paired.status == "ok"
    assert own.cell.budget == "smoke"
    assert "saw (36, 12, 'smoke')" in own.notes
    assert heard.begun[0] == "net features, official, seed 0"
    other = plan_of([tiny], "net", budget="paper")
    assert other.jobs[0].key != own.key


def test_the_budget_changes_nothing_where_nothing_follows_a_schedule(tiny: Path) -> None:
    keys = {plan_of([tiny], "halves+nearest", budget=b).jobs[0].key for b in ("smoke", "paper")}
    assert len(keys) == 1


def test_cross_validation_gives_a_cell_for_each_fold(tiny: Path, store: Store) -> None:
    plan = plan_of([tiny], "halves+nearest,centred+nearest", protocol="cv3")
    assert [job.cell.split for job in plan.jobs] == ["fold1"] * 2 + ["fold2"] * 2 + ["fold3"] * 2
    assert len(plan.feature_jobs(plan.jobs)) == 4  # halves once, centred for each fold
    tested = np.concatenate([job.fold.test for job in plan.jobs[::2]])
    assert sorted(tested) == list(range(60))


@pytest.mark.parametrize(
    ("method", "status", "message"),
    [
        ("raises", "error", "raises failed in fit: RuntimeError: no luck today"),
        ("gives-nan", "error", "gives-nan gave NaN or infinite scores for 1 of 12 samples"),
        ("wrong-shape", "error", "scores must be float (12, 3), not float64 (12, 1)"),
        ("soft-labels", "error", "labels must be bool (12, 3), not float64 (12, 3)"),
        ("writes", "error", "a method must not write into its inputs"),
        ("absent", "skipped", "absent needs weights: give --weights PATH"),
    ],
)
def test_a_misbehaving_classifier_is_one_failed_cell(
    tiny: Path, broken: Path, store: Store, method: str, status: str, message: str
) -> None:
    plan = plan_of([tiny, broken], f"halves+{method},halves+nearest")
    outcomes, _ = run_plan(plan, store)
    bad, good = outcomes.records
    assert bad.status == status
    assert message in bad.reason
    assert "\n" not in bad.reason
    assert good.status == "ok"
    todo, _ = pending(plan, store)
    assert [job.key for job in todo] == [bad.key]  # failures run again, successes do not


@pytest.mark.parametrize(
    ("method", "message"),
    [("bad-features", "NaN or infinite features"), ("few-rows", "float32 (60, d) expected")],
)
def test_misbehaving_features_fail_the_cells_that_need_them(
    tiny: Path, broken: Path, store: Store, method: str, message: str
) -> None:
    outcomes, _ = run_plan(plan_of([tiny, broken], f"{method}+nearest,halves+nearest"), store)
    bad, good = outcomes.records
    assert (bad.status, good.status) == ("error", "ok")
    assert message in bad.reason


def test_hanging_and_dying_methods_on_worker_processes(
    tiny: Path, broken: Path, store: Store
) -> None:
    plan = plan_of([tiny, broken], "halves+hangs,halves+dies,halves+nearest")
    outcomes, heard = run_plan(plan, store, workers=2, timeout=4)
    hangs, dies, good = outcomes.records
    assert (hangs.status, dies.status, good.status) == ("timeout", "error", "ok")
    assert "longer than 4 s" in hangs.reason
    assert "exit code 7" in dies.reason
    assert any("trying once more" in words for words in heard.words)
    assert (
        good.criteria
        == run_plan(plan_of([tiny], "halves+nearest"), Store(store.root / "b"))[0]
        .records[0]
        .criteria
    )


def test_changed_code_is_another_cell_and_a_comment_is_not(tiny: Path) -> None:
    before = plan_of([tiny], "halves+nearest").jobs[0].key
    text = tiny.read_text()
    tiny.write_text(
        text.replace('"""Labels of the nearest', '"""The labels of the nearest') + "\n# ?\n"
    )
    assert plan_of([tiny], "halves+nearest").jobs[0].key == before
    tiny.write_text(text.replace("[:, :5]", "[:, :3]"))
    assert plan_of([tiny], "halves+nearest").jobs[0].key != before


def test_changed_criteria_are_computed_again_from_stored_scores(tiny: Path, store: Store) -> None:
    plan = plan_of([tiny], "halves+nearest")
    (record,) = run_plan(plan, store)[0].records
    store.write(replace(record, criteria_code="old", criteria={"hamming_loss": 9.0}))
    (again,) = run_plan(plan, store)[0].records
    assert again.criteria == record.criteria
    assert again.seconds == record.seconds  # nothing was fitted again


@pytest.mark.parametrize("damage", ["empty", "no text", "a digit", "of the other cell", "scores"])
def test_a_damaged_record_is_measured_again(tiny: Path, store: Store, damage: str) -> None:
    plan = plan_of([tiny], "halves+nearest,halves+dice")
    first, second = run_plan(plan, store)[0].records
    path, other = (store.runs / record.key / "record.json" for record in (first, second))
    healthy = path.read_bytes()
    if damage == "scores":  # from which criteria of other code would be computed again
        store.write(replace(first, criteria_code="old", criteria={"hamming_loss": 9.0}))
        (path := path.with_name("scores.npz")).write_bytes(b"")
    else:
        path.write_bytes(
            {
                "empty": b"",
                "no text": b"\xff" * 9,
                "a digit": healthy.replace(b'"hamming_loss": 0.', b'"hamming_loss": 9.'),
                "of the other cell": other.read_bytes(),
            }[damage]
        )
    outcomes, heard = run_plan(plan, store)
    assert [record.criteria for record in outcomes.records] == [first.criteria, second.criteria]
    assert heard.begun == ["halves+nearest, official"]
    (sentence,) = heard.words
    assert sentence.startswith(str(path))
    assert sentence.endswith("halves+nearest, official is measured again")
    assert {record.key: record.criteria for record in store.records()} == {
        first.key: first.criteria,
        second.key: second.criteria,
    }


def test_a_damaged_record_of_another_run_stops_none(tiny: Path, store: Store) -> None:
    (other,) = run_plan(plan_of([tiny], "alone"), store)[0].records
    (store.runs / other.key / "record.json").write_bytes(b"{")
    (record,) = run_plan(plan_of([tiny], "halves+nearest"), store)[0].records
    assert record.status == "ok"


def test_a_wrong_request_is_one_sentence(tiny: Path) -> None:
    for more, message in (
        ({"budget": "huge"}, "smoke, quick, paper"),
        ({"seeds": 0}, "--seeds 0: expected int >= 1"),
        ({"protocol": "cv"}, "protocol 'cv'"),
        ({"protocol": "cv99"}, "cv99"),
    ):
        with pytest.raises(BenchError, match=message):
            plan_of([tiny], "halves+nearest", **more)


def test_a_networks_cost_is_told_by_budget_and_then_from_what_it_took(
    tiny: Path, store: Store
) -> None:
    def expected(budget: str) -> tuple[float, str]:
        plan = plan_of([tiny], "net,halves+nearest", budget=budget)
        (job,) = (one for one in plan.feature_jobs(plan.jobs).values() if one.spec.name == "net")
        return Costs.of(store).estimate(job, 60)

    assert expected("paper") == (pytest.approx(36_000), "rule of thumb")
    assert expected("smoke") == (pytest.approx(0.06), "rule of thumb")
    assert np.isnan(expected("quick")[0])
    plan = plan_of([tiny], "net,halves+nearest")
    assert training_seconds(plan, store, 1) == pytest.approx(36_000)
    run_plan(plan_of([tiny], "net", budget="smoke"), store)
    assert expected("smoke")[1] == "measured before"
    assert expected("paper")[1] == "rule of thumb"  # another budget tells nothing
