"""Frames of records: what features to come can calculate with, and what their CSV keeps."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from records import Make

from bench.publish.frames import cells, confusions, csv_text, distributions, frame_of, measures
from bench.score.criteria import CRITERIA


def test_a_frame_of_cells_can_be_calculated_with(make: Make) -> None:
    records = [make("net", None, seed=s, stochastic=True) for s in (0, 1, 2)]
    records.append(make("vgg", "lift", status="skipped", reason="no weights"))
    frame = cells(records).infer_objects()
    values = [record.criteria["coverage"] for record in records[:3]]
    by_method = frame.groupby("features")["coverage"].mean()
    assert by_method["net"] == pytest.approx(np.mean(values))
    assert math.isnan(by_method["vgg"])
    assert list(frame["key"]) == [record.key for record in records]
    assert all(frame[criterion.name].dtype == float for criterion in CRITERIA)


def test_a_frame_has_the_columns_it_is_asked_for(make: Make) -> None:
    frame = cells([make()], ["kind", "stochastic", "scores_sha256", "micro_f1"])
    expected = ["multi", False, "0" * 64, make().criteria["micro_f1"]]
    assert frame.iloc[0].tolist() == expected


def test_details_stand_beside_their_own_cell_even_where_keys_are_equal(make: Make) -> None:
    first, second = make(kind="single", key="same"), make("hog", kind="single", key="same")
    first = dataclasses.replace(first, measures={"b": 3, "a": 0.5})
    second = dataclasses.replace(second, measures={"a": 1e-7})
    rows = measures([first, second, make("vgg", kind="single")])[["features", "measure", "value"]]
    assert rows.values.tolist() == [["hog", "a", 1e-7], ["lbp", "a", 0.5], ["lbp", "b", 3]]
    counts = confusions([first, second]).groupby(["features", "truth"])["count"].sum()
    for record in (first, second):
        for label, row in zip(record.cell.label_names, record.confusion, strict=True):
            assert counts[record.cell.features, label] == sum(row)


def test_nothing_to_tabulate_is_a_frame_without_rows(make: Make) -> None:
    for empty in (confusions, measures, distributions):
        assert len(empty([make()])) == 0


def test_csv_keeps_every_digit_and_every_type() -> None:
    numbers = [0.1 + 0.2, 1e-7, 1e17, 5e-324, -0.0, 1.0, np.pi]
    rows = [{"x": number, "n": 3, "on": True} for number in numbers] + [{"n": None, "x": "=1"}]
    lines = csv_text(frame_of(rows, ("x", "n", "on", "never"))).splitlines()
    assert lines[0] == "x,n,on,never"
    assert lines[1:-1] == [f"{number!r},3,true," for number in numbers]
    assert lines[-1] == "'=1,,,"
    assert csv_text(pd.DataFrame({"x": numbers})).splitlines()[1:] == list(map(repr, numbers))
