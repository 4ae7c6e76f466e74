"""Two rows compared: differences and intervals against loops, a sentence for each outcome."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from records import LABELS, Make, predictions
from scipy import stats

from bench.api import BenchError
from bench.publish import comparison_words as words
from bench.publish.comparison import (
    LEFT,
    NO_VERDICT,
    RIGHT,
    UNDECIDED,
    RowComparison,
    by_other_conventions,
    compare_rows,
    criteria_of,
)
from bench.publish.rows import Row, rows_of
from bench.run.record import Record
from bench.run.scoring import Stored, scored
from bench.score import bootstrap
from bench.score.criteria import evaluate

NAMES = ("new", "old")
AP = "average_precision"


def stored(record: Record) -> Stored:
    return Stored(*predictions(1.0 if record.cell.features == "lbp" else 2.0))


def ids(record: Record) -> np.ndarray:
    return np.arange(80).astype(str)


def compare(left: Row, right: Row, *criteria: str, **options: Any) -> RowComparison:
    chosen = criteria_of(left.cell.kind, criteria)
    return compare_rows(NAMES, (left, right), chosen, stored, ids, **options)


def fixed(
    make: Make, features: str, value: float, seed: int = 0, sd: float = 0.02, **more: Any
) -> Record:
    """A record with this average precision, and resamples that scatter around it by ``sd``."""
    rng = np.random.default_rng([len(features), seed])
    noise = rng.normal(0, sd, 500)
    values = {AP: (value + noise - noise.mean()).astype(np.float32)}
    criteria = {AP: value, "macro_f1": value, "hamming_loss": 1 - value}
    values["hamming_loss"] = 1 - values[AP]
    made = make(features, None, criteria=criteria, values=values, seed=seed, **more)
    return replace(made, bootstrap={**made.bootstrap, "count": 500})


def pair(make: Make, left: float, right: float, sd: float = 0.02, **more: Any) -> RowComparison:
    rows = [rows_of([fixed(make, name, v, sd=sd)])[0] for name, v in (("hog", left), ("lb", right))]
    return compare(rows[0], rows[1], *more.pop("criteria", [AP]), **more)


# -- numbers ---------------------------------------------------------------------------------------


def test_two_methods_that_no_seed_changes_against_a_loop(make: Make) -> None:
    left, right = (rows_of([make(name, "mlknn", q)])[0] for name, q in (("hog", 2.0), ("lbp", 1.0)))
    found = compare(left, right)
    assert [one.criterion.name for one in found.criteria][:2] == [AP, "hamming_loss"]
    assert len(found.criteria) == 9
    for one in found.criteria:
        name = one.criterion.name
        a, b = left.ok[0], right.ok[0]
        gaps = [
            float(x) - float(y)
            for x, y in zip(
                *(bootstrap.unpack(r.bootstrap["values"])[name] for r in (a, b)), strict=True
            )
        ]
        mean = sum(gaps) / len(gaps)
        variance = sum((gap - mean) ** 2 for gap in gaps) / (len(gaps) - 1) * 80 / 79
        reach = stats.t.ppf(0.975, 79) * variance**0.5
        assert one.difference is not None
        middle = float(a.criteria[name] or 0) - float(b.criteria[name] or 0)
        assert one.difference.interval() == pytest.approx((middle - reach, middle + reach))
        assert one.difference.detectable() == pytest.approx(
            (stats.t.ppf(0.975, 79) + stats.t.ppf(0.8, 79)) * variance**0.5
        )


def test_three_seeds_have_both_sources_of_noise(make: Make) -> None:
    left = [fixed(make, "hog", 0.7 + 0.01 * s, seed=s, sd=0.004, stochastic=True) for s in range(3)]
    right = fixed(make, "lb", 0.65, sd=0.004)
    (one,) = compare(rows_of(left)[0], rows_of([right])[0], AP).criteria
    assert one.over == "test images and seeds"
    assert one.difference is not None
    assert one.difference.seeds == pytest.approx(0.01**2 / 3)
    assert one.difference.variance > one.difference.seeds
    assert one.verdict == LEFT


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_have_an_interval_over_images_and_no_verdict(make: Make, seeds: int) -> None:
    left = [fixed(make, "hog", 0.9, seed=s, stochastic=True) for s in range(seeds)]
    found = compare(rows_of(left)[0], rows_of([fixed(make, "lb", 0.5)])[0], AP)
    (one,) = found.criteria
    assert one.over == "test images alone"
    assert one.difference is not None
    assert one.difference.variance == one.difference.images
    assert (one.verdict, one.chances) == (NO_VERDICT, None)
    (first, *_) = words.sentences(found)
    plural = "s" * (seeds > 1)
    assert f"No verdict: new has {seeds} seed{plural}, and fewer than 3 do not tell" in first
    assert "is better" not in first
    assert "over test images alone" in first


def test_repeated_folds_by_the_corrected_test(make: Make) -> None:
    gaps = [0.02, 0.04, 0.01, 0.05]
    rows = []
    for name, values in (("hog", [0.6 + gap for gap in gaps]), ("lb", [0.6] * 4)):
        cells = {"protocol": "cv2x2", "n_train": 40, "n_test": 40}
        of_row = [fixed(make, name, v, test=i, **cells) for i, v in enumerate(values, 1)]
        rows.append(rows_of(of_row)[0])
    (one,) = compare(rows[0], rows[1], AP).criteria
    assert one.over == "repeated folds"
    assert one.difference is not None
    # worked in tests/score/test_repeated.py
    assert one.difference.value == pytest.approx(0.03)
    assert one.difference.se == pytest.approx(0.0204124, abs=1e-7)
    assert one.verdict == UNDECIDED


def test_lower_is_better_turns_the_verdict_and_the_chances(make: Make) -> None:
    found = pair(make, 0.7, 0.5, criteria=[AP, "hamming_loss"])
    high, low = found.criteria
    assert (high.verdict, low.verdict) == (LEFT, LEFT)
    assert low.difference is not None
    assert low.difference.value == pytest.approx(-0.2)
    assert high.chances == pytest.approx(low.chances, abs=1e-6)
    turned = pair(make, 0.5, 0.7, criteria=["hamming_loss"])
    assert turned.criteria[0].verdict == RIGHT


def test_margins(make: Make) -> None:
    assert [one.margin for one in pair(make, 0.7, 0.5, criteria=[AP, "coverage"]).criteria] == [
        0.01,
        0.05,
    ]
    (one,) = pair(make, 0.7, 0.5, margin=0.3).criteria
    assert one.chances is not None
    assert one.chances[1] > 0.9


# -- words -----------------------------------------------------------------------------------------


def sentence(comparison: RowComparison) -> str:
    return words.sentences(comparison)[0]


def test_better(make: Make) -> None:
    text = sentence(pair(make, 0.7, 0.6))
    assert text.startswith(
        "On toy, new's average precision is .100 above old's (.700 against .600; 95 % interval ."
    )
    assert "over test images): new is better, and practically so (by more than .01) with " in text
    turned = sentence(pair(make, 0.6, 0.7))
    assert "old's average precision is .100 above new's (.700 against .600;" in turned
    assert "old is better, and practically so" in turned


def test_better_where_lower_is_better(make: Make) -> None:
    text = sentence(pair(make, 0.7, 0.6, criteria=["hamming_loss"]))
    assert (
        "new's Hamming loss, where lower is better, is .100 below old's (.300 against .400; "
        in text
    )
    assert "new is better" in text


def test_better_but_hardly_by_more_than_the_margin(make: Make) -> None:
    text = sentence(pair(make, 0.608, 0.6, sd=0.002))
    assert "new is better, but by more than .01 only with probability ." in text


def test_better_and_practically_equal(make: Make) -> None:
    text = sentence(pair(make, 0.603, 0.6, sd=0.0007))
    assert (
        "new is better, but by so little that they are practically equal, within .01 with " in text
    )


def test_practically_equal(make: Make) -> None:
    text = sentence(pair(make, 0.6005, 0.6, sd=0.002))
    assert "): they are practically equal, within .01 with probability " in text


def test_not_told_apart_says_what_would_have_been_found(make: Make) -> None:
    found = pair(make, 0.61, 0.6)
    (one,) = found.criteria
    assert one.difference is not None
    least = f"{one.difference.detectable():.3f}"[1:]
    assert sentence(found).endswith(
        f"): they cannot be told apart; a true difference would have to be {least} to be found "
        "four times in five."
    )
    assert "is better" not in sentence(found)


def test_the_same_value(make: Make) -> None:
    assert "new's average precision equals old's (.600; 95 % interval " in sentence(
        pair(make, 0.6, 0.6)
    )


def test_a_criterion_that_a_method_lacks(make: Make) -> None:
    one = rows_of([fixed(make, "hog", 0.6)])[0]
    other = rows_of([make("lb", None, criteria={AP: None}, values={})])[0]
    found = compare(one, other, AP)
    assert "nothing can be said of average precision: old has no Average precision" in sentence(
        found
    )
    assert words.table(found)[1][1:4] == (".600", "--", "--")


def test_images_in_words(make: Make) -> None:
    left, right = (rows_of([make(name, "mlknn", q)])[0] for name, q in (("hog", 2.0), ("lbp", 1.0)))
    found = compare(left, right, labels=True)
    tally = found.tallies[0]
    assert words.sentences(found)[-1].startswith(
        f"Of 80 test images, new alone gets the whole label set right on {tally.left[0]}, old "
        f"alone on {tally.right[0]}; McNemar's exact test: p "
    )
    assert [line[0] for line in words.label_table(found)] == ["label", *LABELS]
    chosen = criteria_of("multi", [AP])
    found = compare_rows(NAMES, (left, right), chosen, lambda record: None, ids)
    assert words.sentences(found)[-1].startswith("Images are not counted: the scores of cell hog-")


def test_synthetic_faces_are_named_at_once(make: Make) -> None:
    rows = [rows_of([fixed(make, name, 0.6, synthetic=True)])[0] for name in ("hog", "lb")]
    assert sentence(compare(rows[0], rows[1], AP)).startswith(
        "On toy (SYNTHETIC faces rendered by "
    )


def test_shortened_trainings_are_named_at_once(make: Make) -> None:
    short = fixed(make, "hog", 0.6, budget="quick", selection="valid")
    rows = [rows_of([record])[0] for record in (short, fixed(make, "lb", 0.6))]
    assert sentence(compare(rows[0], rows[1], AP)).startswith(
        "On toy (SHORTENED training, budget quick), new's "
    )


def test_a_verdict_that_hangs_on_the_convention(make: Make) -> None:
    def row(name: str, value: float) -> Row:
        return rows_of([fixed(make, name, value)])[0]

    usual = (row("hog", 0.6), row("lb", 0.6))
    others = {
        "mulan": (row("hog", 0.5), row("lb", 0.7)),
        "matlab": (row("hog", 0.6), row("lb", 0.6)),
        "raf-ml": (row("hog", 0.7), row("lb", 0.5)),
    }
    criteria = criteria_of("multi", [AP])
    found = compare_rows(NAMES, usual, criteria, stored, ids, others=others)
    assert list(found.elsewhere) == ["mulan", "raf-ml"]
    said = words.sentences(found)[1]
    assert said.startswith("The verdict hangs on the convention: by mulan old is better (new less ")
    assert "old is −.200, 95 % interval −." in said
    assert "; by raf-ml new is better (new less old is .200, " in said
    assert "other_conventions" in words.as_json(found)
    assert "hangs" not in " ".join(words.sentences(compare(*usual, AP)))


def test_other_conventions_are_read_from_the_records(make: Make) -> None:
    records = []
    for name, quality in (("hog", 2.0), ("lb", 1.0)):
        truth, scores, labels = predictions(quality)
        records.append(scored(make(name, None), truth, scores.round(), labels))
    rows = (rows_of(records[:1])[0], rows_of(records[1:])[0])
    found = by_other_conventions(rows, "mulan")
    assert list(found) == ["sklearn", "matlab", "raf-ml"]
    truth, scores, labels = predictions(2.0)
    wanted = evaluate(truth, scores.round(), labels, "matlab").values[AP]
    assert found["matlab"][0].ok[0].criteria[AP] == wanted != records[0].criteria[AP]
    assert by_other_conventions((rows[0], rows_of([make("lb", None)])[0]), "sklearn") == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0123, ".012"),
        (-0.0123, "−.012"),
        (0, ".000"),
        (1.2344, "1.234"),
        (0.00004, ".00004"),
        (-0.00004, "−.00004"),
        (-1e-9, ".000000"),
        (1.0, "1.000"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "<.01"), (0.004, "<.01"), (0.706, ".71"), (0.9951, ">.99"), (1, ">.99")]
)
def test_probabilities_are_never_certain(value: float, text: str) -> None:
    assert words.probability(value) == text


def test_json_holds_all_in_full_precision(make: Make) -> None:
    left, right = (rows_of([make(name, "mlknn", q)])[0] for name, q in (("hog", 2.0), ("lbp", 1.0)))
    found = compare(left, right, labels=True)
    read = json.loads(json.dumps(words.as_json(found), allow_nan=False))
    assert len(read["criteria"]) == 9
    one, first = found.criteria[0], read["criteria"][0]
    assert one.difference is not None
    assert (first["difference"], first["low"]) == (
        one.difference.value,
        one.difference.interval()[0],
    )
    assert (first["left_better"], first["practically_equal"], first["right_better"]) == one.chances
    assert read["left"]["keys"] == [left.ok[0].key]
    assert len(read["images"]) == 7


# -- unequal conditions ----------------------------------------------------------------------------


def refused(make: Make, message: str, **changes: Any) -> None:
    one, other = fixed(make, "hog", 0.6), fixed(make, "lb", 0.6, **changes)
    with pytest.raises(BenchError, match=message):
        compare(rows_of([one])[0], rows_of([other])[0], AP)


def test_rows_on_other_images_are_refused(make: Make) -> None:
    refused(make, r"on different data, both named toy \(01234567 and ffff\)", fingerprint="ffff")
    refused(make, "new was measured by protocol official and old by cv2", protocol="cv2")
    refused(make, "1 splits of toy and old on 1, not all of them the same", test=3)
    row = rows_of([fixed(make, "hog", 0.6)])[0]
    with pytest.raises(BenchError, match="new and old are the same row"):
        compare(row, row, AP)


def test_people_are_refused(make: Make) -> None:
    people = replace(fixed(make, "lb", 0.6), bootstrap={})
    with pytest.raises(BenchError, match="old has no resamples on toy: people are judged"):
        compare(rows_of([fixed(make, "hog", 0.6)])[0], rows_of([people])[0], AP)


def test_criteria_of_another_kind_are_refused() -> None:
    with pytest.raises(BenchError, match="--criterion accuracy: none on label sets"):
        criteria_of("multi", ["accuracy"])
    with pytest.raises(
        BenchError, match=r"--criterion averge_precision: .* did you mean average_pre"
    ):
        criteria_of("multi", ["averge_precision"])
    assert [one.name for one in criteria_of("single", [])] == ["accuracy", "mean_recall"]


def test_unequal_conditions_are_said(make: Make) -> None:
    net = {"stochastic": True}
    one = [
        replace(
            fixed(make, "hog", 0.6, seed=s, budget="quick", selection="valid", **net),
            curve="epoch\n1\n2\n",
        )
        for s in range(3)
    ]
    other = [
        replace(
            fixed(
                make, "lb", 0.6, seed=s, budget="smoke", selection="test", weights="random", **net
            ),
            curve="epoch\n1\n",
            criteria_code="old",
            tied_rows=0.7,
        )
        for s in (1, 2, 3)
    ]
    other = [replace(r, cell=replace(r.cell, tuned={"classifier": {"k": [1]}})) for r in other]
    told = " ".join(compare(rows_of(one)[0], rows_of(other)[0], AP).remarks)
    for phrase in (
        "A smoke budget is a handful of iterations",
        "The budgets differ, new: quick, old: smoke",
        "(new: 2, old: 1 epochs)",
        "different ways, new: valid, old: test",
        "An epoch chosen on the test part",
        "Parameters of old were tuned",
        "Random weights",
        "different seeds, and are not compared seed by seed",
        "tied scores, new: 0 %, old: 70 %",
        "of an earlier version",
    ):
        assert phrase in told
    assert compare(rows_of(one)[0], rows_of([fixed(make, "lb", 0.6)])[0], AP).remarks == ()
