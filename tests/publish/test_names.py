"""Names of methods in tables: which parameters stand in them."""

from __future__ import annotations

from typing import Any

from records import record

from bench.publish.names import MethodNames
from bench.publish.rows import rows_of


def names(*params: dict[str, Any], features: str = "dbm-cnn") -> list[str]:
    rows = rows_of([record(features, None, features_params=one) for one in params])
    shown = MethodNames(rows)
    return [shown.whole(row) for row in rows]


def test_a_parameter_stands_in_a_name_where_two_values_are_there() -> None:
    assert names({"k": 10}) == ["dbm-cnn"]
    assert names({"k": 5}, {"k": 10}) == ["dbm-cnn[k=5]", "dbm-cnn[k=10]"]


def test_a_row_of_a_former_default_does_not_pass_for_one_of_today() -> None:
    # The default of gradient was "loss"; a record holds the value that it was measured with.
    assert names({"k": 10, "gradient": "loss"}) == ["dbm-cnn[gradient=loss]"]
    assert names({"k": 10, "gradient": "printed"}) == ["dbm-cnn"]
    assert names({"gradient": "loss"}, {"gradient": "printed"}) == [
        "dbm-cnn[gradient=loss]",
        "dbm-cnn[gradient=printed]",
    ]
    assert names({"gradient": "loss"}, features="no-such-method") == ["no-such-method"]
