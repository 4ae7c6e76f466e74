"""Claims on made-up records: every verdict, and every entry of claims.toml."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from records import Make
from scipy import stats

from bench.api import BenchError
from bench.papers import intervals
from bench.papers.claim_tests import ClaimTest, load_tests, read_tests
from bench.papers.claims import evaluate, needs
from bench.papers.comparing import FindRow, Need
from bench.papers.published import Claim, claims, numbers
from bench.plugins import Registry
from bench.publish.rows import Row
from bench.run.grammar import parse_methods
from bench.run.methods import specs
from bench.run.record import Record
from bench.run.scoring import Stored

CLASSES = ("neutral", "happiness", "fear")
GAINS = (0.05, 0.04, 0.06, 0.05, 0.07)


def claim(direction: str = "left better", **changes: object) -> Claim:
    about = {"metrics": ("accuracy",), "datasets": ("toy",), "own": ("toy",), "stand_ins": ()}
    first = dataclasses.replace(claims("lban-il")[0], id="c1", direction=direction)
    return dataclasses.replace(first, **{**about, **changes})


def claim_test(body: str, about: Claim) -> ClaimTest:
    return read_tests(f'[[claim]]\nid = "c1"\ntable = "Table 1"\n{body}', [about])["c1"]


PAIR = 'pairs = [["a", "b"]]'


class Rows:
    """Makes rows by method, and finds them for a claim."""

    def __init__(self, make: Make) -> None:
        self.make = make
        self.rows: dict[tuple[str, str], Row] = {}

    def add(
        self,
        run: str,
        by_seed: Sequence[float],
        metric: str = "accuracy",
        dataset: str = "toy",
        **changes: object,
    ) -> Rows:
        """A value for each seed of a stochastic method."""
        about = {"kind": "single", "stochastic": True, "budget": "quick", "dataset": dataset}
        about |= {"fingerprint": dataset, "label_names": CLASSES, "selection": "valid", **changes}
        extra = {key: about.pop(key) for key in ("curve", "confusion", "seconds") if key in about}
        records = tuple(
            self.make(run, None, criteria={metric: value}, seed=seed, **about)
            for seed, value in enumerate(by_seed)
        )
        kept = self.rows.get((dataset, run))
        self.rows[dataset, run] = Row(
            (*(kept.records if kept else ()), *(dataclasses.replace(r, **extra) for r in records))
        )
        return self

    def find(self, need: Need) -> Row | None:
        return self.rows.get((need.dataset, need.run))


@pytest.fixture
def rows(make: Make) -> Rows:
    return Rows(make)


def pair(gains: Sequence[float], rows: Rows) -> Rows:
    base = [0.60, 0.66, 0.58, 0.63, 0.61][: len(gains)]
    rows.add("b", base)
    return rows.add("a", [one + gain for one, gain in zip(base, gains, strict=True)])


# -- intervals ------------------------------------------------------------------------------------


def test_t_interval_is_scipys() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 7))
    b += 0.7
    assert intervals.t_interval(a - b) == pytest.approx(
        tuple(stats.ttest_rel(a, b).confidence_interval(0.95)), rel=1e-12
    )
    welch = tuple(stats.ttest_ind(a, b[:4], equal_var=False).confidence_interval(0.95))
    assert intervals.welch_interval(a, b[:4]) == pytest.approx(welch, rel=1e-12)
    exact = tuple(stats.ttest_1samp(a, 0.3).confidence_interval(0.95))
    found = intervals.welch_interval(a, np.array([0.3]))
    assert found == pytest.approx((exact[0] - 0.3, exact[1] - 0.3), rel=1e-12)


@pytest.mark.parametrize(
    ("sign", "low", "high", "verdict"),
    [
        (1, 0.1, 0.2, "holds"),
        (1, -0.1, 0.2, "undecided"),
        (1, -0.2, -0.1, "fails"),
        (-1, 0.1, 0.2, "fails"),
        (-1, -0.2, -0.1, "holds"),
        (1, 0.0, 0.0, "fails"),  # the two never differ
        (1, 0.0, 0.1, "undecided"),
        (0, -0.04, 0.04, "holds"),
        (0, 0.01, 0.02, "holds"),
        (0, -0.1, 0.1, "undecided"),  # it contains 0, and is too wide to say anything
        (0, 0.06, 0.1, "fails"),
    ],
)
def test_decide(sign: int, low: float, high: float, verdict: str) -> None:
    assert intervals.decide(sign, low, high, margin=0.05) == verdict


# -- one comparison -------------------------------------------------------------------------------


def test_seeds_decide_by_the_paired_t_interval(rows: Rows) -> None:
    about = claim()
    found = evaluate(about, claim_test(PAIR, about), pair(GAINS, rows).find)
    (one,) = found.comparisons
    assert (found.verdict, one.verdict, one.n) == ("holds", "holds", 5)
    expected = stats.ttest_1samp(GAINS, 0).confidence_interval(0.95)
    assert (one.low, one.high) == pytest.approx(tuple(expected))
    assert one.difference == pytest.approx(np.mean(GAINS))
    assert found.why == f"+0.054 (95 % interval {one.low:.4g} to {one.high:.4g}, n = 5)"
    assert found.on == "toy, n = 80; budget quick, 5 seeds"


def test_a_claim_says_what_else_its_methods_learned_from(rows: Rows) -> None:
    rows.add("b", [0.60, 0.66, 0.58])
    people = {"dataset": "painted", "fingerprint": "f", "synthetic": True, "n": 9}
    rows.add("a", [0.65, 0.71, 0.63], others={"people": people})
    about = claim()
    found = evaluate(about, claim_test(PAIR, about), rows.find)
    assert found.on == (
        "toy, people: painted (SYNTHETIC), n = 80; toy, n = 80; budget quick, 3 seeds"
    )


def test_a_claim_says_that_its_faces_are_rendered_whatever_the_data_are_called(rows: Rows) -> None:
    rows.add("b", [0.60, 0.66, 0.58], synthetic=True)
    source = {"dataset": "painted", "fingerprint": "f", "synthetic": True, "n": 9}
    rows.add("a", [0.65, 0.71, 0.63], source=source)
    about = claim()
    assert evaluate(about, claim_test(PAIR, about), rows.find).on == (
        "toy from painted (SYNTHETIC), n = 80; toy (SYNTHETIC), n = 80; budget quick, 3 seeds"
    )


@pytest.mark.parametrize(
    ("budget", "epochs", "verdict"),
    [
        ("quick", (4, 12), "undecided"),
        ("quick", (12, 4), "undecided"),
        ("quick", (4, 4), "holds"),
        ("quick", (4, 0), "holds"),  # nothing was trained on the other side
        ("paper", (4, 12), "holds"),
    ],
)
def test_trainings_cut_short_at_different_lengths_decide_nothing(
    rows: Rows, budget: str, epochs: tuple[int, int], verdict: str
) -> None:
    for run, gain, count in (("a", 0.05, epochs[0]), ("b", 0.0, epochs[1])):
        curve = "epoch\n" + "".join(f"{epoch + 1}\n" for epoch in range(count)) if count else ""
        values = [0.60 + gain, 0.66 + gain * 1.1, 0.58 + gain]
        rows.add(run, values, budget=budget, curve=curve)
    about = claim()
    found = evaluate(about, claim_test(PAIR, about), rows.find)
    assert found.verdict == verdict
    (one,) = found.comparisons
    assert one.difference == pytest.approx(0.05, abs=0.01)
    assert (one.low, one.high) != (None, None)
    told = f"trained for {epochs[0]} and {epochs[1]} epochs, neither as in the paper"
    assert found.why.endswith(f": {told}") == (verdict == "undecided")


@pytest.mark.parametrize(
    ("direction", "gains", "verdict"),
    [
        ("left better", [-0.05, -0.04, -0.06], "fails"),
        ("left worse", [-0.05, -0.04, -0.06], "holds"),
        ("left better", [0.3, -0.2, 0.1], "undecided"),
        ("left higher", GAINS, "holds"),
        ("left better", GAINS[:2], "undecided"),
    ],
)
def test_directions(rows: Rows, direction: str, gains: Sequence[float], verdict: str) -> None:
    about = claim(direction)
    assert evaluate(about, claim_test(PAIR, about), pair(gains, rows).find).verdict == verdict


def test_where_lower_is_better(rows: Rows) -> None:
    for run, values in (("a", (0.1, 0.12, 0.11)), ("b", (0.2, 0.21, 0.2))):
        rows.add(run, values, "hamming_loss", kind="multi")
    better, worse = (
        claim(direction, metrics=("hamming_loss",)) for direction in ("left better", "left worse")
    )
    assert evaluate(better, claim_test(PAIR, better), rows.find).verdict == "holds"
    assert evaluate(worse, claim_test(PAIR, worse), rows.find).verdict == "fails"


def test_few_seeds_and_smoke_say_nothing(make: Make) -> None:
    about = claim()
    two = evaluate(about, claim_test(PAIR, about), pair(GAINS[:2], Rows(make)).find)
    assert two.why == "+0.045: n = 2 of a stochastic method, and 3 seeds are needed"
    smoke = Rows(make).add("a", GAINS, budget="smoke").add("b", GAINS, budget="smoke")
    found = evaluate(about, claim_test(PAIR, about), smoke.find)
    assert (found.verdict, found.comparisons[0].why) == (
        "undecided",
        "a smoke budget is no evidence",
    )


def test_what_is_missing_is_untested(rows: Rows) -> None:
    about = claim()
    found = evaluate(about, claim_test(PAIR, about), rows.add("a", GAINS).find)
    assert (found.verdict, found.why) == ("untested", "b is not measured on toy")


def test_only_seeds_of_both_sides_count(rows: Rows) -> None:
    about = claim()
    rows.add("a", (0.9, 0.8, 0.7, 0.1)).add("b", (0.6, 0.5, 0.41))
    (one,) = evaluate(about, claim_test(PAIR, about), rows.find).comparisons
    assert (one.n, one.difference) == (3, pytest.approx((0.3 + 0.3 + 0.29) / 3))


def test_a_deterministic_side_is_held_against_every_seed(rows: Rows) -> None:
    about = claim()
    rows.add("a", (0.9, 0.8, 0.85)).add("b", (0.5,), stochastic=False, budget="any")
    (one,) = evaluate(about, claim_test(PAIR, about), rows.find).comparisons
    assert (one.verdict, one.n) == ("holds", 3)
    expected = stats.ttest_1samp((0.4, 0.3, 0.35), 0).confidence_interval(0.95)
    assert (one.low, one.high) == pytest.approx(tuple(expected))


def test_two_deterministic_sides_decide_by_resampled_images(make: Make) -> None:
    about, spread = claim(), np.linspace(-1, 1, 101)
    verdicts = []
    for gap in (0.9, 1.1):  # the interval of the difference reaches 0.95 to both sides
        rows = Rows(make)
        for run, values in (("a", spread + gap), ("b", np.zeros(101))):
            about_it = {"values": {"accuracy": values}, "stochastic": False, "budget": "any"}
            rows.add(run, (float(values.mean()),), **about_it)
        (one,) = evaluate(about, claim_test(PAIR, about), rows.find).comparisons
        assert (one.low, one.high, one.n) == (
            pytest.approx(gap - 0.95, abs=1e-6),
            pytest.approx(gap + 0.95, abs=1e-6),
            1,
        )
        verdicts.append(one.verdict)
    assert verdicts == ["undecided", "holds"]
    (record,) = rows.rows["toy", "b"].records
    other = dataclasses.replace(record, bootstrap={**record.bootstrap, "seed": 9})
    rows.rows["toy", "b"] = Row((other,))  # other resamples do not pair up
    assert evaluate(about, claim_test(PAIR, about), rows.find).verdict == "undecided"


def test_other_test_images_are_not_compared(rows: Rows) -> None:
    about = claim()
    rows.add("a", GAINS).add("b", GAINS, split_hash="f" * 16)
    found = evaluate(about, claim_test(PAIR, about), rows.find)
    assert "results on different test images" in found.why
    assert found.verdict == "undecided"


def test_a_criterion_that_is_not_there_is_undecided(rows: Rows) -> None:
    about = claim(metrics=("mean_recall",))
    found = evaluate(about, claim_test(PAIR, about), pair(GAINS, rows).find)
    assert (found.verdict, found.comparisons[0].why) == ("undecided", "a has no mean_recall here")


# -- several comparisons --------------------------------------------------------------------------


def test_all_have_to_hold_and_one_may_fail_it(rows: Rows) -> None:
    about = claim()
    body = 'pairs = [["a", "b"], ["a", "c"], ["a", "d"]]'
    rows = pair(GAINS, rows).add("c", (0.5,) * 5)
    assert evaluate(about, claim_test(body, about), rows.find).verdict == "undecided"
    rows.add("d", (0.5, 0.8, 0.7, 0.6, 0.75))
    found = evaluate(about, claim_test(body, about), rows.find)
    assert (found.verdict, found.why) == (
        "undecided",
        "of 3 comparisons 2 hold, 1 undecided; the interval contains 0",
    )
    del rows.rows["toy", "d"]
    rows.add("d", (0.99, 0.98, 0.99, 0.98, 0.99))
    found = evaluate(about, claim_test(body, about), rows.find)
    assert found.verdict == "fails"
    assert found.why == (
        "of 3 comparisons 2 hold, 1 fail; by chance alone 0.075 would fail if nothing differed"
    )


def test_enough_classes(rows: Rows) -> None:
    good, bad = [[8, 1, 1], [1, 8, 1], [5, 0, 5]], [[5, 4, 1], [4, 5, 1], [2, 0, 8]]
    rows.add("a", GAINS, confusion=good).add("b", GAINS, confusion=bad)
    about = claim(metrics=("recall",))
    body = PAIR + '\nclasses = ["neutral", "happiness", "fear"]\nenough = '
    found = evaluate(about, claim_test(body + "2", about), rows.find)
    assert [one.verdict for one in found.comparisons] == ["holds", "holds", "fails"]
    assert [one.difference for one in found.comparisons] == pytest.approx([0.3, 0.3, -0.3])
    assert found.verdict == "holds"
    assert found.why.startswith("of 3 comparisons 2 hold, 1 fail; 2 of 3 are enough; by chance")
    assert evaluate(about, claim_test(body + "3", about), rows.find).verdict == "fails"


def test_recalls_and_confusions_of_one_method(rows: Rows) -> None:
    rows.add("a", GAINS, confusion=[[90, 5, 5], [10, 80, 10], [30, 10, 60]])
    about = claim("left worse", metrics=("recall",))
    body = 'worst = {run = "a", classes = ["fear"], others = ["neutral", "happiness"]}'
    found = evaluate(about, claim_test(body, about), rows.find)
    assert found.verdict == "holds"
    assert found.comparisons[0].metric == "recall:fear against recall:neutral"
    about = claim("left higher", metrics=("confusion",))
    body = (
        'confused = [{run = "a", dataset = "toy", true = "fear", predicted = ["neutral"], '
        'others = ["happiness"]}]'
    )
    found = evaluate(about, claim_test(body, about), rows.find)
    assert (found.verdict, found.comparisons[0].difference) == ("holds", pytest.approx(0.2))


def test_orders_and_sweeps(rows: Rows) -> None:
    for name, base in (("a", 0.5), ("b", 0.6), ("c", 0.7)):
        rows.add(name, [base, base + 0.01, base + 0.02])
    rising = claim("rises")
    assert evaluate(rising, claim_test('order = ["a", "b", "c"]', rising), rows.find).verdict == (
        "holds"
    )
    found = evaluate(rising, claim_test('order = ["a", "c", "b"]', rising), rows.find)
    assert [one.verdict for one in found.comparisons] == ["holds", "fails"]
    peak = claim("rises-then-falls")
    sweep = 'sweep = ["a", "c", "b"]\npeak = '
    assert evaluate(peak, claim_test(sweep + '"c"', peak), rows.find).verdict == "holds"
    assert evaluate(peak, claim_test(sweep + '"b"', peak), rows.find).verdict == "fails"


def test_each_fold(rows: Rows) -> None:
    for fold, gain in ((1, 0.1), (2, -0.1)):
        at = {"split": f"fold{fold}", "split_hash": f"{fold:016x}", "protocol": "cv2"}
        rows.add("b", (0.5, 0.52, 0.51), **at)
        rows.add("a", (0.5 + gain, 0.52 + gain, 0.515 + gain), **at)
    about = claim()
    found = evaluate(about, claim_test(PAIR + "\nfolds = 3", about), rows.find)
    assert [one.verdict for one in found.comparisons] == ["holds", "fails", "untested"]
    assert found.comparisons[1].left == "a (fold 2)"
    whole = evaluate(about, claim_test(PAIR, about), rows.find)  # the folds' mean
    assert whole.comparisons[0].difference == pytest.approx(0.005 / 3)


def curve(values: Sequence[float], phase: str) -> str:
    lines = [f"{number},{value},{phase}" for number, value in enumerate(values)]
    return "\n".join(lines) + "\n"


def test_curves(rows: Rows) -> None:
    head = "epoch,overlap,phase\n"
    text = head + curve([0.1, 0.2, 9, 9, 0.6, 0.8], "one") + curve([0.3, 0.4, 0.5], "two")
    rows.add("a", (0.5, 0.6, 0.7), curve=text).add("flat", (1.0, 1, 1), curve=head + "1,2,\n" * 3)
    about = claim("rises", metrics=("overlap",))
    body = 'curve = {run = "a", column = "overlap"}\nplacebo = ["flat"]'
    found = evaluate(about, claim_test(body, about), rows.find)
    (one,) = found.comparisons
    # nine epochs: 0.1 0.2 9 | 9 .6 .8 | .3 .4 .5
    assert (one.verdict, one.difference) == ("fails", pytest.approx(0.4 - 9.3 / 3))
    assert found.beside[0].verdict == "fails"
    assert found.why.endswith("the placebo flat does the same in 0 of 1")
    body = 'curve = {run = "a", column = "overlap", phase = "one", over = "two"}'
    (one,) = evaluate(about, claim_test(body, about), rows.find).comparisons
    assert (one.verdict, one.difference) == ("holds", pytest.approx(0.7 - 0.5))


def test_a_gain_on_one_dataset_against_a_gain_on_another(rows: Rows) -> None:
    left, right = (0.30, 0.34, 0.32, 0.33), (0.11, 0.09, 0.10)
    for dataset, gains in (("toy", left), ("other", right)):
        base = (0.5, 0.61, 0.47, 0.55)[: len(gains)]
        rows.add("b", base, dataset=dataset)
        both = zip(base, gains, strict=True)
        rows.add("a", [one + gain for one, gain in both], dataset=dataset)
    body = "\n".join(
        f'[[claim.gains]]\ntable = "T"\ndataset = "{name}"\nrun = "a"\nover = "b"'
        for name in ("toy", "other")
    )
    about = claim()
    (one,) = evaluate(about, claim_test(body, about), rows.find).comparisons
    expected = stats.ttest_ind(left, right, equal_var=False).confidence_interval(0.95)
    assert (one.low, one.high) == pytest.approx(tuple(expected))
    assert (one.left, one.dataset, one.n) == ("a over b", "toy against other", 3)
    for name in ("a", "b"):
        rows.rows["other", name] = rows.rows["toy", name]
    (one,) = evaluate(about, claim_test(body, about), rows.find).comparisons
    assert one.why == "the same data stand in for both datasets"


def test_one_method_on_two_datasets(rows: Rows) -> None:
    left, right = (0.8, 0.82, 0.83), (0.6, 0.7, 0.64, 0.61)
    rows.add("a", left).add("a", right, dataset="other")
    body = 'pairs = [{left = "a", right = "a", dataset = "toy", against = "other"}]'
    about = claim()
    (one,) = evaluate(about, claim_test(body, about), rows.find).comparisons
    expected = stats.ttest_ind(left, right, equal_var=False).confidence_interval(0.95)
    assert (one.low, one.high) == pytest.approx(tuple(expected))
    assert one.verdict == "holds"


def test_counts_and_times_are_taken_as_they_are(rows: Rows) -> None:
    for run, weights in (("a", 7), ("b", 9)):
        rows.add(run, (0.5,))
        (record,) = rows.rows["toy", run].records
        rows.rows["toy", run] = Row((dataclasses.replace(record, learned_weights=weights),))
    about = claim(metrics=("learned_weights",))
    found = evaluate(about, claim_test(PAIR, about), rows.find)
    assert (found.verdict, found.why) == ("holds", "-2, exactly")
    equal = claim("equal", metrics=("time_per_image",))
    test = claim_test(PAIR, equal)
    assert evaluate(equal, test, rows.find).verdict == "untested"
    for seconds, verdict in ((1.04, "holds"), (0.96, "holds"), (1.06, "fails"), (6.0, "fails")):
        times = {"a": seconds, "b": 1.0}
        found = evaluate(equal, test, rows.find, lambda need, times=times: times[need.run])
        assert found.verdict == verdict


def test_trainings_are_timed_on_one_device(rows: Rows) -> None:
    about = claim(metrics=("training_time",))
    for run, seconds in (("a", 5.0), ("b", 6.0)):
        rows.add(run, GAINS, seconds={"features": seconds})
    assert evaluate(about, claim_test(PAIR, about), rows.find).verdict == "holds"
    elsewhere = [
        dataclasses.replace(record, provenance={"device": "cuda"})
        for record in rows.rows["toy", "b"].records
    ]
    rows.rows["toy", "b"] = Row(tuple(elsewhere))
    found = evaluate(about, claim_test(PAIR, about), rows.find)
    assert found.why == "the two sides were trained on different devices"


def test_single_images_by_mcnemar(rows: Rows) -> None:
    truth = np.eye(3, dtype=bool)[np.array([0, 1, 2, 0, 1, 2])]
    answers = {"a": [0, 1, 2, 0, 0, 2], "b": [0, 1, 0, 1, 1, 0]}  # 3 corrected, 1 broken
    for run, given in answers.items():
        counts = np.zeros((3, 3), int)
        np.add.at(counts, (truth.argmax(axis=1), given), 1)
        rows.add(run, GAINS[:3], confusion=counts.tolist())

    def scores_of(record: Record) -> Stored:
        given = answers[str(record.cell.features)]
        return Stored(truth, np.eye(3)[given], None)

    about = claim("left higher", metrics=("corrected_examples",))
    found = evaluate(about, claim_test(PAIR, about), rows.find, scores_of=scores_of)
    assert (found.verdict, found.comparisons[0].difference) == ("holds", 2)
    assert "McNemar: seed 0 corrected 3, broken 1, p = 0.62, seed 1" in found.why
    assert "McNemar" not in evaluate(about, claim_test(PAIR, about), rows.find).why

    def shuffled(record: Record) -> Stored:
        same = scores_of(record)
        return same if record.cell.features == "a" else same._replace(truth=truth[::-1])

    found = evaluate(about, claim_test(PAIR, about), rows.find, scores_of=shuffled)
    assert "McNemar" not in found.why


# -- what stands beside ---------------------------------------------------------------------------


def test_placebos_have_no_part_in_the_verdict(rows: Rows) -> None:
    about = claim("left worse")
    body = PAIR + '\nplacebo = [["a", "p"], ["a", "q"]]'
    rows = pair([-gain for gain in GAINS], rows).add("p", (0.1,) * 5)
    test = claim_test(body, about)
    found = evaluate(about, test, rows.find)
    assert found.verdict == "holds"
    assert found.why.endswith("; beside it: better than the placebo p in 1 of 1")
    assert needs(test) == tuple(Need("Table 1", "toy", run) for run in "abpq")


def test_a_part_that_cannot_be_tested_leaves_it_open(rows: Rows) -> None:
    about = claim()
    test = claim_test(PAIR + '\npartial = "the rest cannot be run"', about)
    found = evaluate(about, test, pair(GAINS, rows).find)
    assert found.verdict == "undecided"
    assert found.why.endswith("; and the rest cannot be run")
    worse = Rows(rows.make)
    assert evaluate(about, test, pair([-one for one in GAINS], worse).find).verdict == "fails"


def test_an_unfair_stand_in_tests_nothing(rows: Rows) -> None:
    for run, base in (("a", 0.6), ("b", 0.5)):
        rows.add(run, [base, base + 0.01, base], dataset="synthetic-single[seed=1]")
        rows.rows["toy", run] = rows.rows["synthetic-single[seed=1]", run]
    fair = claim(stand_ins=("fer-plus", "synthetic", "synthetic-single"))
    found = evaluate(fair, claim_test(PAIR, fair), rows.find)
    assert (found.verdict, found.on) == (
        "holds",
        "synthetic-single[seed=1] for toy, n = 80; budget quick, 3 seeds",
    )
    unfair = claim(stand_ins=("fer-plus",), testable_on="own toy; stand-in fer-plus")
    found = evaluate(unfair, claim_test(PAIR, unfair), rows.find)
    assert found.verdict == "untested"
    assert found.why == (
        "synthetic-single is no fair stand-in: testable on own toy; stand-in fer-plus"
    )
    itself = claim(own=("toy", "synthetic-single"))
    assert evaluate(itself, claim_test(PAIR, itself), rows.find).verdict == "holds"


RENDERED = ("synthetic", "synthetic-single", "synthetic-people")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dbm-cnn-c01", ("fer-plus-ml", *RENDERED)),
        ("dbm-cnn-c18", RENDERED),
        ("dbm-cnn-c19", ("fer-plus", "fer-plus-ml")),
        ("dbm-cnn-c23", ("fer-plus", "fer-plus-ml", *RENDERED)),
        ("dbm-cnn-c26", ()),
        ("dbm-cnn-c27", ("fer-plus-ml",)),
        ("mf-jle-c10", ("fer-plus-ml", *RENDERED)),
        ("lban-il-c09", ("fer-plus", "fer-plus-ml", *RENDERED)),
        ("lban-il-c14", ("fer-plus",)),
        ("multi-dataset-c01", ("fer-plus", *RENDERED)),
        ("tfe-jl-c02", ("synthetic-people",)),
        ("tfe-jl-c05", ()),
    ],
)
def test_stand_ins(name: str, expected: tuple[str, ...]) -> None:
    (about,) = (one for one in claims() if one.id == name)
    assert about.stand_ins == expected


# -- claims.toml ----------------------------------------------------------------------------------


def test_every_claim_has_a_test_that_can_be_run() -> None:
    tests, registry = load_tests(), Registry([])
    assert list(tests) == [one.id for one in claims()]
    runs = {need.run for test in tests.values() for need in needs(test)}
    assert len(runs) > 100
    for run in sorted(runs):
        filled = run.replace("{casia-webface}", "synthetic-people")
        filled = filled.replace("{mte-2}", "synthetic-single")
        assert "{" not in filled
        (term,) = parse_methods(filled)
        for part in filter(None, (term.left, term.right)):
            assert len(specs(registry, "method", part)) == 1


def test_tables_are_those_of_the_papers() -> None:
    tests = load_tests()
    for one in claims():
        printed = {number.table for number in numbers(one.paper)} | {"Times"}
        named = {need.table for need in needs(tests[one.id])}
        assert named <= printed, one.id


def test_printed_numbers_lie_where_the_tests_say() -> None:
    """A slip in a direction, or in the order of the cells, would show here."""
    tests, compared = load_tests(), 0
    for one in claims():
        test = tests[one.id]
        printed = (one.published_left, one.published_right)
        if one.direction == "equal" or not len(test.contrasts) == len(printed[0]) == len(
            printed[1]
        ):
            continue
        gaps = [float(left) - float(right) for left, right in zip(*printed, strict=True)]
        agree = [gap * one.sign > 0 for gap, one in zip(gaps, test.contrasts, strict=True)]
        assert sum(agree) >= (test.enough or len(agree)), one.id
        compared += len(agree)
    assert compared > 200


def test_nothing_measured_leaves_every_claim_untested() -> None:
    tests = load_tests()
    nothing: FindRow = lambda need: None  # noqa: E731
    for one in claims():
        found = evaluate(one, tests[one.id], nothing)
        assert (found.verdict, found.on) == ("untested", "")
        assert found.why


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "one of pairs, order, .* is wanted, and it has 0"),
        (PAIR + "\nuntestable = 'x'", "and it has 2"),
        (PAIR + "\npaire = 1", "unknown key 'paire': did you mean pairs"),
        (PAIR + "\npeak = 'b'", "unknown key 'peak': known: "),
        ('pairs = [["a"]]', "expected `array` of length 2, got 1"),
        ("pairs = ['a']", "expected `object . array`, got `str`: 'a'"),
        (PAIR + "\nfolds = '3'", ", folds: expected `int`, got `str`: '3'"),
        ('pairs = [{left = "a", wright = "b"}]', "unknown key 'wright': did you mean right"),
        ('curve = {run = "a", column = "valid", phase = "one"}', "phase and over, two phases"),
        ('pairs = [["a", "b|c]"]]', "closes no"),
        ('pairs = [["a,b", "c"]]', "'a,b' should name one method"),
        ('pairs = [["a[k=1|2]", "c"]]', "should name one method"),
        ('sweep = ["a", "b"]\npeak = "c"', "the peak c is not in its sweep"),
        ('sweep = ["a", "b"]', "peak is missing"),
        (PAIR + '\nmetrics = ["nonsense"]', "no value of nonsense is better"),
        (PAIR + '\nmetrics = ["accuracy", "mean_recall"]\ndatasets = ["a", "b", "c"]', "align"),
    ],
)
def test_what_is_wrong_is_said(body: str, message: str) -> None:
    with pytest.raises(
        BenchError, match=f"^results/published/claims.toml, c1.*{message}"
    ) as raised:
        claim_test(body, claim())
    assert "\n" not in str(raised.value)


def test_claims_and_entries_belong_together() -> None:
    entry = f'[[claim]]\nid = "c1"\ntable = "T"\n{PAIR}\n'
    with pytest.raises(BenchError, match="no claim 'c1': did you mean c2"):
        read_tests(entry, [claim(id="c2")])
    with pytest.raises(BenchError, match="c1 stands twice"):
        read_tests(entry * 2, [claim()])
    with pytest.raises(BenchError, match="nothing says how c2 is tested"):
        read_tests(entry, [claim(), claim(id="c2")])
    with pytest.raises(BenchError, match="is no TOML"):
        read_tests("[[claim", [claim()])
