"""What a line says of its data."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from bench.papers.measured import Measured
from bench.papers.sheet import _mark, _rendered
from bench.publish.rows import Row

RENDERED = {"synthetic": True}
REAL = {"synthetic": False}


def line(make: Callable[..., Any], stand_ins: tuple[str, ...] = (), **about: Any) -> Any:
    row = Row((make("net", None, **about),))
    return SimpleNamespace(measured=Measured(0.5, None, row, used=("toy",), stand_ins=stand_ins))


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({}, ""),
        ({"synthetic": True}, " (SYNTHETIC)"),
        ({"source": RENDERED}, " (SYNTHETIC)"),
        ({"source": REAL}, ""),
        ({"others": {"people": RENDERED}}, " (taught by SYNTHETIC faces too)"),
        ({"others": {"people": REAL}}, ""),
        ({"synthetic": True, "others": {"people": RENDERED}}, " (SYNTHETIC)"),
    ],
)
def test_a_line_says_which_of_its_faces_are_rendered(
    make: Callable[..., Any], about: dict[str, Any], expected: str
) -> None:
    one = line(make, **about)
    assert _mark([one], _rendered([one])) == expected


def test_real_faces_beside_a_method_taught_by_rendered_ones_stay_real(
    make: Callable[..., Any],
) -> None:
    taught, plain = line(make, others={"people": RENDERED}), line(make)
    assert _mark([plain], _rendered([taught, plain])) == ""


def test_a_line_without_a_value_says_what_the_table_is_about(make: Callable[..., Any]) -> None:
    rendered = _rendered([line(make, synthetic=True)])
    empty = SimpleNamespace(measured=Measured(gap="failed", used=("toy",)))
    assert _mark([empty], rendered) == " (SYNTHETIC)"


def test_a_stand_in_of_real_faces_is_named(make: Callable[..., Any]) -> None:
    one = line(make, stand_ins=("toy for theirs",))
    assert _mark([one], _rendered([one])) == " (on toy)"
