from __future__ import annotations

import math
import random

import numpy as np
import pytest
from records import Make

from bench.api import BenchError
from bench.publish.rows import in_convention, natural, newest, ordered, rows_of
from bench.score import bootstrap
from bench.score.criteria import evaluate

NAME = "hamming_loss"


def test_natural_order() -> None:
    assert sorted(["k=10", "k=5", "k=0.5", "a"], key=natural) == ["a", "k=0.5", "k=5", "k=10"]


def test_order_is_the_contract_whatever_comes_first(make: Make) -> None:
    wanted = [
        make("lbp", None, dataset="a"),
        make("hog", "lift", protocol="cv5", test=2),
        make("hog", "lift", protocol="cv5", test=10),
        make(None, "lift"),
        make("hog", "lift"),
        make("hog", "mlknn", classifier_params={"k": 5}, key="z"),
        make("hog", "mlknn", classifier_params={"k": 10}, seed=1, key="y"),
        make("hog", "mlknn", classifier_params={"k": 10}, seed=2, key="x"),
    ]
    mixed = wanted.copy()
    random.Random(3).shuffle(mixed)
    assert ordered(mixed) == wanted


def test_newest_of_one_cell_wins(make: Make) -> None:
    old = make(key="zz", finished="2026-01-01T10:00:00")
    # other code may count twins or split otherwise: still the same cell
    new = make(key="aa", finished="2026-01-01T11:00:00", twins=7, split_hash="other")
    tie = make(key="ab", finished="2026-01-01T11:00:00")
    other = make(seed=1, key="bb", finished="2026-01-01T09:00:00")
    assert {record.key for record in newest([old, new, other]).kept} == {"aa", "bb"}
    found = newest([tie, old, new])
    assert [record.key for record in found.kept] == ["ab"]
    assert {record.key for record in found.left_out} == {"aa", "zz"}


def test_an_older_choice_of_parameters_gives_way(make: Make) -> None:
    tuned = {"inner": "cv5", "by": "average_precision", "classifier": {"k": [5, 10]}}
    old = make(classifier_params={"k": 5}, tuned=tuned, key="old", finished="1")
    new = make(classifier_params={"k": 10}, tuned=tuned, key="new", finished="2")
    plain = make(classifier_params={"k": 5}, key="plain", finished="1")
    assert {record.key for record in newest([old, new, plain]).kept} == {"new", "plain"}
    wider = {**tuned, "classifier": {"k": [5, 10, 20]}}
    other = make(classifier_params={"k": 10}, tuned=wider, key="other", finished="3")
    assert {record.key for record in newest([new, other]).kept} == {"new", "other"}


def test_newest_failure_hides_an_older_result(make: Make) -> None:
    old = make(key="old", finished="1")
    new = make(key="new", finished="2", status="error", reason="it broke")
    assert newest([old, new]).kept == (new,)


def test_cell_skipped_for_weights_gives_way_to_its_result(make: Make) -> None:
    skipped = make("vgg", None, key="s", finished="2", status="skipped", reason="no weights")
    result = make("vgg", None, key="r", finished="1", weights="ab" * 32)
    assert newest([skipped, result]).kept == (result,)
    assert newest([skipped]).kept == (skipped,)
    another = make("vgg", None, key="o", weights="ab" * 32, features_params={"depth": 3})
    assert {record.key for record in newest([skipped, another]).kept} == {"s", "o"}


@pytest.mark.parametrize("convention", ["matlab", "mulan", "raf-ml"])
def test_another_convention_comes_from_the_stored_scores(make: Make, parts, convention) -> None:
    truth, scores, _ = parts(1.0)
    tied = (truth, np.round(scores), scores > 0.5)  # ties are what the conventions differ in
    stored = make()
    found = in_convention(stored, convention, lambda record: tied)
    expected = evaluate(*tied, convention)
    assert found.criteria == expected.values
    assert (found.convention, found.tied_rows) == (convention, expected.tied_rows)
    assert found.criteria != evaluate(*tied, "sklearn").values
    values = bootstrap.unpack(found.bootstrap["values"])
    again = bootstrap.replicates(*tied, convention, "multi", seed=0, count=1000)
    assert values.keys() == again.keys()
    assert all(np.array_equal(values[name], again[name]) for name in again)
    assert (found.key, found.cell, found.seconds) == (stored.key, stored.cell, stored.seconds)


def test_own_convention_needs_no_scores(make: Make) -> None:
    assert in_convention(make(), "sklearn", None) == make()
    failed = make(status="error", reason="x")
    assert in_convention(failed, "mulan", None) == failed
    single = in_convention(make(kind="single"), "mulan", None)
    assert (single.convention, single.criteria) == ("mulan", make(kind="single").criteria)


@pytest.mark.parametrize("scores_of", [None, lambda record: None])
def test_missing_scores_are_one_sentence(make: Make, scores_of) -> None:
    with pytest.raises(BenchError, match="needs the stored scores of cell THEKEY") as caught:
        in_convention(make(key="THEKEY"), "mulan", scores_of)
    assert "\n" not in str(caught.value)


def test_mean_and_spread_over_seeds_by_hand(make: Make) -> None:
    seeds = [
        make(seed=s, stochastic=True, criteria={NAME: v}, values={NAME: np.full(4, v)})
        for s, v in [(0, 0.1), (1, 0.3)]
    ]
    (row,) = rows_of(seeds)
    found = row.estimate(NAME)
    assert found is not None
    assert found.mean == pytest.approx(0.2)
    assert found.sd_seeds == pytest.approx(0.1 * math.sqrt(2))
    assert found.sd_folds is None
    assert found.replicates == pytest.approx(np.full(4, 0.2))
    assert (row.estimate("coverage"), found.cells) == (None, 2)


def test_mean_and_spread_over_folds_by_hand(make: Make) -> None:
    table = {(1, 0): 0.1, (1, 1): 0.3, (2, 0): 0.4, (2, 1): 0.6}
    cells = [
        make(
            test=t,
            seed=s,
            stochastic=True,
            protocol="cv2",
            criteria={NAME: v},
            values={NAME: np.array([v, v + t])},
        )
        for (t, s), v in table.items()
    ]
    (row,) = rows_of(cells)
    found = row.estimate(NAME)
    assert found is not None
    assert found.mean == pytest.approx(0.35)
    assert found.sd_folds == pytest.approx(0.3 / math.sqrt(2))  # of 0.2 and 0.5
    assert found.sd_seeds == pytest.approx(0.2 / math.sqrt(2))  # of 0.25 and 0.45
    assert found.replicates == pytest.approx([0.35, 0.35 + 1.5])


def test_a_deterministic_cell_has_no_spread(make: Make) -> None:
    (row,) = rows_of([make()])
    found = row.estimate(NAME)
    assert found is not None
    assert (found.sd_seeds, found.sd_folds) == (None, None)


def test_interval_is_that_of_the_replicates(make: Make) -> None:
    (row,) = rows_of([make(criteria={NAME: 0.5}, values={NAME: np.arange(201) / 200})])
    found = row.estimate(NAME)
    assert found is not None
    assert found.interval == pytest.approx((0.025, 0.975), abs=1e-6)


def test_paired_interval_is_of_the_difference(make: Make) -> None:
    noise = np.random.default_rng(0).normal(size=400)
    # each interval is wide and they overlap, yet one is always lower: only pairs can tell
    low, high = (
        rows_of([make(name, criteria={NAME: v}, values={NAME: v + noise})])[0].estimate(NAME)
        for name, v in [("a", 0.1), ("b", 0.2)]
    )
    assert low is not None
    assert high is not None
    assert low.interval is not None
    assert high.interval is not None
    assert low.interval[1] > high.interval[0]
    assert low.differs(high)
    assert high.differs(low)
    assert not low.differs(low)


def test_other_resamples_cannot_be_paired(make: Make) -> None:
    values = {NAME: np.zeros(10)}
    one = rows_of([make(criteria={NAME: 0.0}, values=values)])[0].estimate(NAME)
    other = rows_of(
        [make(criteria={NAME: 1.0}, values={NAME: np.ones(10)}, split_hash="elsewhere")]
    )[0].estimate(NAME)
    none = rows_of([make(criteria={NAME: 1.0}, values={})])[0].estimate(NAME)
    fewer = rows_of([make(criteria={NAME: 1.0}, values={NAME: np.ones(9)})])[0].estimate(NAME)
    assert one is not None
    assert other is not None
    assert none is not None
    assert fewer is not None
    assert not one.differs(fewer)
    assert not one.differs(other)
    assert not one.differs(none)
    assert none.interval is None


def test_undefined_resamples_are_left_out(make: Make) -> None:
    values = np.r_[np.full(50, np.nan), np.arange(201) / 200]
    (row,) = rows_of([make(criteria={NAME: 0.5}, values={NAME: values})])
    found = row.estimate(NAME)
    assert found is not None
    assert found.interval == pytest.approx((0.025, 0.975), abs=1e-6)
    (row,) = rows_of([make(criteria={NAME: 0.5}, values={NAME: np.full(9, np.nan)})])
    found = row.estimate(NAME)
    assert found is not None
    assert found.interval is None


def test_damaged_replicates_are_a_bench_error(make: Make) -> None:
    record = make()
    record.bootstrap["values"][NAME] = "not base64!"
    with pytest.raises(BenchError, match=NAME):
        rows_of([record])[0].estimate(NAME)
    assert bootstrap.unpack({}) == {}
