"""Verdicts on printed numbers, and what may not have one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
from scipy.stats import t as student

from bench.papers.measured import Measured
from bench.papers.published import Number, by_id
from bench.papers.reproduction import judged
from bench.papers.spec import Conditions
from bench.publish.rows import Row

CONDITIONS = Conditions("raf-ml", "official", "", "", "valid", "paper", 3)
PRINTED = by_id("dbm-cnn")["dbm-cnn:0039"]


@pytest.fixture
def measured(make: Callable[..., Any]) -> Callable[..., Measured]:
    """Three seeds of one method around a value, as `Finder.measured` gives them."""

    def build(value: float, sd: float | None, seeds: int = 3, **changes: Any) -> Measured:
        about = {
            "budget": "paper",
            "dataset": "raf-ml",
            "stochastic": True,
            "n_test": 982,
            **changes,
        }
        row = Row(tuple(make("net", None, seed=seed, **about) for seed in range(seeds)))
        return Measured(value, sd, row, used=("raf-ml",))

    return build


def printed(value: float, **changes: Any) -> Number:
    return dataclasses.replace(PRINTED, value=value, printed=f"{value:.3f}", **changes)


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("seeds", [3, 5, 7])
def test_reproduced_is_within_the_margin_by_the_90_per_cent_interval(
    measured: Callable[..., Measured], side: int, seeds: int
) -> None:
    sd, where = 0.002, dataclasses.replace(CONDITIONS, seeds=seeds)
    reach = student.ppf(0.95, seeds - 1) * sd * math.sqrt(1 + 1 / seeds) + 0.0005
    cases = [
        (0.01 - reach - 1e-6, "reproduced"),
        (0.01 - reach + 1e-6, "not decided"),
        (0.01 + reach - 1e-6, "not decided"),
        (0.01 + reach + 1e-6, "not reproduced"),
    ]
    for off, expected in cases:
        verdict, why = judged(printed(0.4), measured(0.4 + side * off, sd, seeds), where)
        assert verdict == expected
        assert ("above" if side * off > 0 else "below") in why
        assert f"margin ± 0.01, n = {seeds}" in why
        assert "no number of seeds" not in why


def test_a_hand_worked_example(measured: Callable[..., Measured]) -> None:
    """Seeds .849, .851, .856 against .848: mean .852, s = .0036056, standard error .0041633.

    t(.95, 2) = 2.9200, so that the interval is .004 ± .0121568, and ± .0005 of the print.
    """
    found = measured(0.852, 0.00360555)
    assert judged(printed(0.848), found, CONDITIONS) == (
        "not decided",
        "0.004 above, 90 % interval -0.00866 to +0.0167, margin ± 0.01, n = 3",
    )
    assert judged(printed(0.829), found, CONDITIONS)[0] == "not reproduced"


def test_where_a_run_is_too_noisy_no_number_of_seeds_decides(
    measured: Callable[..., Measured],
) -> None:
    verdict, why = judged(printed(0.4), measured(0.4, 0.006), CONDITIONS)
    assert verdict == "not decided"
    # 1.645 · .006 + .0005
    assert why.endswith(
        "no number of seeds decides: a single run, as printed, reaches 0.0104, "
        "and a margin above that could be decided"
    )
    assert "reaches 0.0334," in judged(printed(0.4), measured(0.4, 0.02), CONDITIONS)[1]
    assert "no number" not in judged(printed(0.4), measured(0.4, 0.0057), CONDITIONS)[1]


def test_noise_is_not_rewarded(measured: Callable[..., Measured]) -> None:
    """A shift of five standard deviations of a seed: the rule before said "reproduced" to 75 %."""
    verdicts = {judged(printed(0.4), measured(0.4 + 5 * sd, sd), CONDITIONS)[0] for sd in SPREADS}
    assert "reproduced" not in verdicts


SPREADS = (0.002, 0.004, 0.01, 0.1)


def test_coverage_has_a_margin_of_its_own(measured: Callable[..., Measured]) -> None:
    coverage = dataclasses.replace(printed(2.1), metric="coverage")
    assert judged(coverage, measured(2.11, 0.005), CONDITIONS)[0] == "reproduced"
    assert judged(printed(2.1), measured(2.11, 0.005), CONDITIONS)[0] == "not decided"
    other = dataclasses.replace(printed(2.1), metric="delta_training_time")
    assert judged(other, measured(2.1, 0.005), CONDITIONS) == (
        "no verdict",
        "no margin is fixed for delta_training_time",
    )


@pytest.mark.parametrize(
    ("off", "verdict", "why"),
    [
        (0.0004, "reproduced", "equal to the printed digits, without chance"),
        (-0.0005, "reproduced", "equal to the printed digits, without chance"),
        (0.006, "reproduced", "0.006 above, without chance, within ± 0.01"),
        (-0.012, "not reproduced", "0.012 below, without chance, margin ± 0.01"),
    ],
)
def test_a_method_without_chance_needs_no_seeds(
    measured: Callable[..., Measured], off: float, verdict: str, why: str
) -> None:
    found = measured(0.4 + off, None, 1, stochastic=False, budget="any")
    assert judged(printed(0.4), found, CONDITIONS) == (verdict, why)


def test_counts_of_weights_are_held_to_their_digits(measured: Callable[..., Measured]) -> None:
    number = dataclasses.replace(printed(11.2), metric="parameters", unit="M", printed="11.2")
    assert judged(number, measured(11.18, 0.0), CONDITIONS)[0] == "reproduced"
    assert judged(number, measured(11.3, 0.0), CONDITIONS) == (
        "not reproduced",
        "0.1 above, without chance",
    )


def of_folds(measured: Measured, folds: dict[str, float], make: Callable[..., Any]) -> Measured:
    records = tuple(
        make("net", None, split=name, split_hash=f"{n:016x}", budget="paper", stochastic=True)
        for n, name in enumerate(folds)
    )
    mean = sum(folds.values()) / len(folds)
    return dataclasses.replace(measured, value=mean, row=Row(records), by_split=folds)


def test_means_of_folds(measured: Callable[..., Measured], make: Callable[..., Any]) -> None:
    """Both values are means of k folds: s · √(2/k), not s · √(1 + 1/k)."""
    where = dataclasses.replace(CONDITIONS, protocol="cv5", seeds=1)
    folds = {f"fold{n}": 0.4 + off for n, off in enumerate((-0.01, -0.005, 0, 0.005, 0.01), 1)}
    sd = math.sqrt(2.5e-4 / 4)
    reach = student.ppf(0.95, 4) * sd * math.sqrt(2 / 5)
    verdict, why = judged(
        printed(0.4, protocol=""), of_folds(measured(0.4, sd), folds, make), where
    )
    assert verdict == "not decided"
    assert f"90 % interval {-reach - 0.0005:+.3g} to {reach + 0.0005:+.3g}" in why
    tight = {name: 0.4 + (value - 0.4) / 3 for name, value in folds.items()}
    assert (
        judged(printed(0.4, protocol=""), of_folds(measured(0.4, sd), tight, make), where)[0]
        == "reproduced"
    )


def test_repetitions_of_folds(measured: Callable[..., Measured], make: Callable[..., Any]) -> None:
    """From three on: t · s · √(1 + 1/R), s over the repetitions' means."""
    where = dataclasses.replace(CONDITIONS, protocol="cv2x3", seeds=1)
    means = (0.398, 0.401, 0.404)
    folds = {
        f"repeat{r}-fold{f}": mean + off
        for r, mean in enumerate(means, 1)
        for f, off in ((1, -0.05), (2, 0.05))
    }
    found = of_folds(measured(0.4, 0.05), folds, make)
    reach = student.ppf(0.95, 2) * 0.003 * math.sqrt(4 / 3) + 0.0005
    verdict, why = judged(printed(0.401, protocol=""), found, where)
    assert verdict == "not decided"
    assert f"90 % interval {-reach:+.3g} to {reach:+.3g}" in why


def test_a_part_drawn_at_random_varies_over_images_on_either_side(
    measured: Callable[..., Measured],
) -> None:
    where = dataclasses.replace(CONDITIONS, protocol="holdout-60-20-20")
    found = dataclasses.replace(measured(0.4, 0.001), metric="average_precision")
    assert judged(printed(0.4), found, where)[0] == "not decided"  # 80 test images
    assert judged(printed(0.4), found, CONDITIONS)[0] == "reproduced"
    unknown = dataclasses.replace(found, metric="accuracy")
    assert judged(printed(0.4), unknown, where) == (
        "not decided",
        "how much it varies over test images is not stored",
    )


def test_percentages_count_as_fractions(measured: Callable[..., Measured]) -> None:
    number = dataclasses.replace(printed(84.29), unit="%", printed="84.29")
    assert judged(number, measured(0.8429, 0.001), CONDITIONS)[0] == "reproduced"
    assert judged(number, measured(0.80, 0.001), CONDITIONS)[0] == "not reproduced"


@pytest.mark.parametrize(
    ("changes", "verdict", "why"),
    [
        ({"seeds": 1}, "no verdict", "cells are missing"),
        ({"budget": "quick"}, "no verdict", "budget quick is shorter than the paper's"),
        ({"budget": "smoke"}, "no verdict", "budget smoke"),
        ({"synthetic": True}, "not comparable", "rendered"),
        ({"source": {"synthetic": True}}, "not comparable", "rendered"),
        ({"others": {"people": {"synthetic": True}}}, "not comparable", "rendered"),
    ],
)
def test_no_verdict_where_none_is_due(
    measured: Callable[..., Measured], changes: dict[str, Any], verdict: str, why: str
) -> None:
    told = {"sd": 0.01, **changes}
    found = judged(printed(0.4), measured(0.4, told.pop("sd"), **told), CONDITIONS)
    assert found[0] == verdict
    assert why in found[1]


def test_what_cannot_be_compared_says_why(measured: Callable[..., Measured]) -> None:
    found = measured(0.4, 0.01)
    lost = dataclasses.replace(PRINTED, value=None, printed="", kind="lost")
    barred = printed(0.4, comparable=False, why_not="an impossible value")
    stand_in = dataclasses.replace(found, stand_ins=("fer-plus-ml for raf-ml",))
    missing = Measured(gap="raf-ml is not here")
    assert judged(None, found, CONDITIONS)[0] == ""
    assert judged(lost, found, CONDITIONS) == ("not comparable", "the printed value is lost")
    assert judged(barred, found, CONDITIONS) == ("not comparable", "an impossible value")
    assert "fer-plus-ml for raf-ml" in judged(printed(0.4), stand_in, CONDITIONS)[1]
    assert judged(printed(0.4), missing, CONDITIONS) == ("no verdict", "raf-ml is not here")


def test_a_single_seed_of_many_asked_for_has_no_verdict(make: Callable[..., Any]) -> None:
    about = {"budget": "paper", "stochastic": True, "n_test": 982}
    records = [make("net", None, seed=seed, **about) for seed in range(3)]
    failed = make("net", None, seed=2, **about, status="error")
    found = Measured(0.4, 0.01, Row((*records[:2], failed)))
    assert judged(printed(0.4), found, CONDITIONS) == ("no verdict", "cells are missing")


@pytest.mark.parametrize("seeds", [1, 2])
def test_below_three_seeds_nothing_is_decided(
    measured: Callable[..., Measured], seeds: int
) -> None:
    where = dataclasses.replace(CONDITIONS, seeds=seeds)
    found = measured(0.4, 0.0001 if seeds > 1 else None, seeds)
    assert judged(printed(0.4), found, where) == (
        "not decided",
        f"n = {seeds}, and 3 seeds are needed",
    )
