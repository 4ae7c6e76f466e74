from __future__ import annotations

import dataclasses
import math
import random

import numpy as np
import pytest
from records import Make
from scipy import stats

from bench.api import BenchError
from bench.publish.rows import CriterionEstimate, in_convention, natural, newest, ordered, rows_of
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


def only(records: list) -> CriterionEstimate:
    """The estimate of the one row of these records."""
    (row,) = rows_of(records)
    found = row.estimate(NAME)
    assert found is not None
    return found


def seeds_of(make: Make, values: dict[int, float], replicates: np.ndarray, **changes) -> list:
    return [
        make(seed=s, stochastic=True, criteria={NAME: v}, values={NAME: replicates + v}, **changes)
        for s, v in values.items()
    ]


def test_interval_of_a_deterministic_row_is_over_its_test_images(make: Make) -> None:
    values = np.arange(201) / 200
    found = only([make(criteria={NAME: 0.5}, values={NAME: values})])
    reach = stats.t.ppf(0.975, 79) * math.sqrt(80 / 79 * values.var(ddof=1))
    assert found.interval == pytest.approx((0.5 - reach, 0.5 + reach), rel=1e-5)
    assert not found.few_seeds


def test_interval_knows_images_and_seeds(make: Make) -> None:
    noise = np.random.default_rng(0).normal(size=500)
    by_seed = {0: 10.0, 1: 11.0, 2: 14.0}
    found = only(seeds_of(make, by_seed, noise))
    assert found.noise is not None
    assert found.noise.seeds == pytest.approx(np.var(list(by_seed.values()), ddof=1) / 3)
    assert found.noise.images == pytest.approx(80 / 79 * noise.var(ddof=1), rel=1e-5)
    assert found.noise.variance == pytest.approx(found.noise.images + found.noise.seeds, rel=1e-4)


@pytest.mark.parametrize("n", [1, 2])
def test_interval_of_few_seeds_is_over_images_alone(make: Make, n: int) -> None:
    noise = np.random.default_rng(0).normal(size=500)
    found = only(seeds_of(make, {seed: 10.0 + seed for seed in range(n)}, noise))
    assert found.few_seeds
    reach = stats.t.ppf(0.975, 79) * math.sqrt(80 / 79 * noise.var(ddof=1))
    assert found.interval == pytest.approx((found.mean - reach, found.mean + reach), rel=1e-5)


def test_paired_interval_is_of_the_difference(make: Make) -> None:
    noise = np.random.default_rng(0).normal(size=400)
    # each interval is wide and they overlap, yet one is always lower: only pairs can tell
    low, high = (
        only([make(name, criteria={NAME: v}, values={NAME: v + noise})])
        for name, v in [("a", 0.1), ("b", 0.2)]
    )
    assert low.interval is not None
    assert high.interval is not None
    assert low.interval[1] > high.interval[0]
    found = low.less(high)
    assert found is not None
    assert found.interval() == pytest.approx((-0.1, -0.1), abs=1e-6)
    same = low.less(low)
    assert same is not None
    assert same.interval() == (0, 0)


def test_other_resamples_cannot_be_paired(make: Make) -> None:
    values = {NAME: np.zeros(10)}
    one = only([make(criteria={NAME: 0.0}, values=values)])
    other = only([make(criteria={NAME: 1.0}, values={NAME: np.ones(10)}, split_hash="elsewhere")])
    none = only([make(criteria={NAME: 1.0}, values={})])
    assert none.interval is None
    subjects, fewer = (
        make(criteria={NAME: 0.0}, values=values),
        make(criteria={NAME: 0.0}, values=values),
    )
    subjects.bootstrap.update(clusters=9, of="subjects")
    fewer.bootstrap.update(count=9)
    assert one.less(one) is not None
    for unlike in (other, none, only([subjects]), only([fewer])):
        assert one.less(unlike) is None
        assert unlike.less(one) is None


def test_clusters_are_what_counts(make: Make) -> None:
    values = {NAME: np.random.default_rng(0).normal(size=500)}
    subjects = make(criteria={NAME: 0.0}, values=values)
    subjects.bootstrap.update(clusters=10, of="subjects")
    found = only([subjects])
    assert (found.drawn.kind, found.drawn.clusters, found.drawn.splits) == ("subjects", 10, 1)
    assert found.noise is not None
    assert found.noise.df == pytest.approx(9)
    reach = stats.t.ppf(0.975, 9) * math.sqrt(10 / 9 * values[NAME].var(ddof=1))
    assert found.interval == pytest.approx((-reach, reach), rel=1e-5)


def test_splits_of_one_subject_each_are_resampled_whole(make: Make) -> None:
    """Nothing can be resampled within them: the interval is that of their values, by t."""
    values = {1: 0.1, 2: 0.4, 3: 0.6, 4: 0.3}
    records = []
    for test, value in values.items():
        record = make(test=test, protocol="cv4-subject", criteria={NAME: value}, values={})
        record.bootstrap.update(clusters=1, of="subjects")
        records.append(record)
    found = only(records)
    assert (found.drawn.kind, found.drawn.clusters) == ("splits", 4)
    exact = stats.ttest_1samp(list(values.values()), 0).confidence_interval()
    assert found.interval == pytest.approx((exact.low, exact.high), abs=0.02)
    (one,) = rows_of(records[:1])
    assert one.estimate(NAME).interval is None


def test_several_splits_are_resampled_each_for_itself(make: Make) -> None:
    noise = np.random.default_rng(0).normal(size=(2, 500))
    records = [
        make(test=t, protocol="cv2", criteria={NAME: 0.0}, values={NAME: noise[t - 1]})
        for t in (1, 2)
    ]
    found = only(records)
    assert (found.drawn.clusters, found.drawn.splits) == (160, 2)
    assert found.noise is not None
    assert found.noise.df == pytest.approx(158)
    assert found.noise.variance == pytest.approx(
        160 / 158 * noise.mean(axis=0).var(ddof=1), rel=1e-5
    )


def test_folds_that_share_their_subjects_are_drawn_at_once(make: Make) -> None:
    noise = np.random.default_rng(0).normal(size=500)
    records = [
        make(test=t, protocol="cv2", criteria={NAME: 0.0}, values={NAME: noise}) for t in (1, 2)
    ]
    for record in records:
        record.bootstrap.update(seed=7, clusters=10, of="subjects")
    found = only(records)
    assert (found.drawn.clusters, found.drawn.splits) == (10, 1)
    assert found.noise is not None
    assert found.noise.variance == pytest.approx(10 / 9 * noise.var(ddof=1), rel=1e-5)


def test_seeds_that_lack_a_split_have_no_interval(make: Make) -> None:
    noise = np.random.default_rng(0).normal(size=50)
    records = seeds_of(make, {0: 1.0, 1: 2.0, 2: 3.0}, noise, test=1, protocol="cv2")
    records += seeds_of(make, {0: 1.0, 1: 2.0}, noise, test=2, protocol="cv2")
    assert only(records).interval is None


def test_undefined_resamples_are_left_out(make: Make) -> None:
    values = np.arange(201) / 200
    whole = only([make(criteria={NAME: 0.5}, values={NAME: values})])
    holed = only([make(criteria={NAME: 0.5}, values={NAME: np.r_[np.full(50, np.nan), values]})])
    assert holed.interval == pytest.approx(whole.interval)
    assert only([make(criteria={NAME: 0.5}, values={NAME: np.full(9, np.nan)})]).interval is None


def test_rare_labels_are_known_by_the_record_or_its_confusion(make: Make) -> None:
    assert rows_of([make()])[0].rare_labels == {}  # a record of before: nobody knows
    known = dataclasses.replace(make(), positives=[40, 9, 30, 10, 50, 12])
    assert rows_of([known])[0].rare_labels == {"fear": 9}
    # seeds of one split are of the same images, splits are of others
    folds = [
        dataclasses.replace(
            make(test=t, seed=s, protocol="cv2", stochastic=True), positives=[5, 4, 5, 40, 40, 0]
        )
        for t in (1, 2)
        for s in (0, 1)
    ]
    assert rows_of(folds)[0].rare_labels == {"fear": 8, "anger": 0}
    single = make(kind="single")
    counts = {
        name: sum(row) for name, row in zip(single.cell.label_names, single.confusion, strict=True)
    }
    rare = {name: count for name, count in counts.items() if count < 10}
    assert rows_of([single])[0].rare_labels == rare
    found = rows_of([known])[0].estimate("macro_f1")
    assert found is not None
    assert found.interval is None
    assert rows_of([known])[0].estimate("micro_f1").interval is not None


def test_damaged_replicates_are_a_bench_error(make: Make) -> None:
    record = make()
    record.bootstrap["values"][NAME] = "not base64!"
    with pytest.raises(BenchError, match=NAME):
        rows_of([record])[0].estimate(NAME)
    assert bootstrap.unpack({}) == {}
