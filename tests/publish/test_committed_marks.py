"""Marks of the committed records: real methods on real faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.plugins import Registry
from bench.publish.criteria_tables import contents
from bench.publish.names import MethodNames
from bench.publish.ranking import (
    FEW_SEEDS,
    NO_RESAMPLES,
    TRIVIAL,
    Ranking,
    ranking,
    trivial_methods,
)
from bench.publish.rows import Row, newest
from bench.run.store import Store
from bench.score.best import best
from bench.score.criteria import CRITERIA

RECORDS = Path(__file__).resolve().parents[2] / "results" / "records"


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Those of the largest table of fer-plus-ml."""
    found = newest(Store(RECORDS).records()).kept
    tables = contents([r for r in found if r.cell.dataset == "fer-plus-ml"], "t")
    return max((rows for _, rows, criteria in tables if criteria is CRITERIA), key=len)


@pytest.fixture(scope="module")
def rankings(rows: list[Row]) -> dict[str, Ranking]:
    trivial = trivial_methods([record for row in rows for record in row.records], Registry())
    return {criterion.name: ranking(rows, criterion, trivial) for criterion in CRITERIA}


def test_every_criterion_has_a_best_row_and_a_group_that_cannot_be_told_from_it(
    rows: list[Row], rankings: dict[str, Ranking]
) -> None:
    """Of some forty rows a handful remains, and no two criteria need agree."""
    assert len(rows) > 30
    for name, ranked in rankings.items():
        marks = list(ranked.marks.values())
        assert marks.count("best") == 1, name
        assert 1 <= marks.count("alike") <= len(ranked.places) / 2, name


def test_who_has_no_rank(rows: list[Row], rankings: dict[str, Ranking]) -> None:
    ranked = rankings["average_precision"]
    assert len(ranked.places) > 25
    for row, why in zip(rows, ranked.unranked, strict=True):
        if row.cell.classifier == "human":
            assert why == NO_RESAMPLES
        elif row.cell.classifier in ("prior", "constant"):
            assert why == TRIVIAL
        elif row.cell.stochastic and len(row.seeds) < 3:
            assert why == FEW_SEEDS
        else:
            assert why == ""


def test_the_critical_value_is_that_of_all_rows_at_once(rankings: dict[str, Ranking]) -> None:
    """About 2.9, where a single comparison would have 1.64."""
    for ranked in rankings.values():
        assert ranked.drawn is not None
        samples = [ranked.estimates[i].sample for i in ranked.places]
        found = best(samples, ranked.sign, ranked.drawn.clusters, ranked.drawn.splits)
        assert 2.6 < np.median(found.critical) < 3.1
        assert found.critical.max() < 3.3


def test_a_row_far_below_the_best_is_not_marked(
    rows: list[Row], rankings: dict[str, Ranking]
) -> None:
    names = MethodNames(rows)
    ranked = rankings["average_precision"]
    marked = {names.whole(rows[i]): mark for i, mark in ranked.marks.items()}
    assert marked["resnet18"] == "best"
    assert "lbp + rakel" not in marked
    assert "hog + clr" not in marked
