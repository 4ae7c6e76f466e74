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
@pytest.mark.parametrize("seeds", [2, 3, 7])
def test_reproduced_within_the_interval_for_one_more_run(
    measured: Callable[..., Measured], side: int, seeds: int
) -> None:
    sd, where = 0.01, dataclasses.replace(CONDITIONS, seeds=seeds)
    reach = student.ppf(0.975, seeds - 1) * sd * math.sqrt(1 + 1 / seeds) + 0.0005
    inside = measured(0.4 + side * (reach - 1e-6), sd, seeds)
    outside = measured(0.4 + side * (reach + 1e-6), sd, seeds)
    assert judged(printed(0.4), inside, where)[0] == "reproduced"
    verdict, why = judged(printed(0.4), outside, where)
    assert verdict == "not reproduced"
    assert ("above" if side > 0 else "below") in why
    assert f"n = {seeds}" in why


def test_percentages_count_as_fractions(measured: Callable[..., Measured]) -> None:
    number = dataclasses.replace(printed(84.29), unit="%", printed="84.29")
    assert judged(number, measured(0.8429, 0.001), CONDITIONS)[0] == "reproduced"
    assert judged(number, measured(0.80, 0.001), CONDITIONS)[0] == "not reproduced"


@pytest.mark.parametrize(
    ("changes", "verdict", "why"),
    [
        ({"sd": None}, "no verdict", "n = 1"),
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
