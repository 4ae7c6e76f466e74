"""Which tolerance a row has."""

from __future__ import annotations

import pytest

from bench.papers.methods import HUMAN, trains
from bench.plugins import Registry


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ("dbm-cnn", True),
        ("dbm-cnn[k=5]+mlknn", True),
        ("deepid+linear-svm", True),
        ("lbp+mlknn", False),
        ("vgg16+lift", False),
        ("prior", False),
        (HUMAN, False),
        ("", False),
        ("no-such-method", False),
    ],
)
def test_only_values_behind_a_training_may_move_far(run: str, expected: bool) -> None:
    assert trains(Registry(), run) is expected
