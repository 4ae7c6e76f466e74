"""What tables and claims read out of a record."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from bench.api import BenchError
from bench.papers.measured import _value
from bench.papers.reading import better, epochs, known, read
from bench.papers.spec import Conditions, PaperEntry
from bench.publish.rows import Row
from bench.run.record import Record

CURVE = "epoch,valid,phase\n1,0.1,one\n2,0.2,one\n3,,one\n1,0.5,two\n2,0.6,two\n3,0.7,two\n"
CONDITIONS = Conditions("toy", "official", "", "", "valid", "paper", 1)


@pytest.fixture
def record(make: Callable[..., Any]) -> Record:
    made: Record = make("net", None, kind="single", label_names=("a", "b", "c"), stochastic=True)
    return dataclasses.replace(
        made,
        confusion=[[6, 3, 1], [0, 0, 0], [1, 1, 2]],
        curve=CURVE,
        learned_weights=11_180_000,
        measures={"ced_0.1": 0.25},
        seconds={"features": 12.5},
    )


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("recall:a", 0.6),
        ("confusion:a:b", 0.3),
        ("recall:b", None),  # no image of that class
        ("recall:d", None),
        ("measure:ced_0.1", 0.25),
        ("measure:ced_0.2", None),
        ("curve:valid", 0.7),
        ("curve:valid@one", 0.2),
        ("curve:valid:first", 0.1),
        ("curve:valid:last", 0.7),
        ("curve:valid@two:first", 0.5),
        ("curve:loss", None),
        ("curve:valid@one:last", None),  # two epochs have no thirds
        ("learned_weights", 11_180_000),
        ("training_time", 12.5),
        ("corrected_examples", 8),
        ("no_such_criterion", None),
    ],
)
def test_each_number_has_one_name(record: Record, metric: str, value: float | None) -> None:
    assert read(record, metric) == value


def test_epochs_without_a_value_are_left_out(record: Record) -> None:
    assert epochs(record, "valid") == [0.1, 0.2, 0.5, 0.6, 0.7]
    assert epochs(dataclasses.replace(record, curve=""), "valid") == []


@pytest.mark.parametrize(
    ("metric", "classes", "value"),
    [
        ("recall", {"true": "a"}, 0.6),
        ("confusion", {"true": "a", "predicted": "c"}, 0.1),
        ("measure:ced_0.1", {}, 0.25),
        ("curve:valid", {}, 0.7),
        ("learned_weights", {}, 11.18),  # the papers' tables count them in millions
    ],
)
def test_tables_read_the_same_numbers(
    record: Record, metric: str, classes: dict[str, str], value: float
) -> None:
    entry = PaperEntry(CONDITIONS, "net", "", metric, **classes)
    assert _value(Row((record,)), entry) == (value, None)


def test_figures_of_single_networks_have_the_directions_of_a_file() -> None:
    assert better("measure:normalised_mean_error") == -1
    assert better("micro_f1") == better("recall:fear") == 1
    assert known("measure:class_distance")
    with pytest.raises(BenchError, match="no value of measure:class_distance is better"):
        better("measure:class_distance")
