"""Ranking criteria without a convention for ties: against every order of the tied labels."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from bench.score.criteria import evaluate
from bench.score.neutral import tie_neutral

RANKING = ("coverage", "one_error", "ranking_loss", "average_precision")


def over_all_orders(truth: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """The mean over every order that the tied labels of a row can have."""
    sums = dict.fromkeys(RANKING, 0.0)
    for row, values in zip(truth, scores, strict=True):
        found = [
            evaluate(row[None, order], _untied(values[order]), None).values
            for order in map(list, permutations(range(len(row))))
        ]
        for name in RANKING:
            sums[name] += float(np.mean([one[name] for one in found]))
    return {name: total / len(truth) for name, total in sums.items()}


def _untied(scores: np.ndarray) -> np.ndarray:
    """The same order, equal scores by column."""
    return (scores - 1e-6 * np.arange(len(scores)))[None]


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_it_is_the_mean_over_all_orders(levels: int) -> None:
    rng = np.random.default_rng(levels)
    truth = rng.random((14, 5)) < 0.4
    truth[0], truth[1] = False, True  # rows with no and with all labels
    scores = rng.integers(levels, size=truth.shape).astype(float)
    expected = over_all_orders(truth, scores)
    assert tie_neutral(truth, scores) == pytest.approx(expected, abs=1e-12)


def test_without_ties_it_is_every_convention() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((40, 6)) < 0.4
    truth[np.arange(40), rng.integers(6, size=40)] = True
    scores = rng.random(truth.shape)
    found = evaluate(truth, scores, None).values
    assert tie_neutral(truth, scores) == pytest.approx({name: found[name] for name in RANKING})


def test_by_hand() -> None:
    """One relevant label of two that are tied at the top, a third below."""
    found = tie_neutral(np.array([[True, False, False]]), np.array([[0.5, 0.5, 0.1]]))
    assert found == pytest.approx(
        {"coverage": 0.5, "one_error": 0.5, "ranking_loss": 0.25, "average_precision": 0.75}
    )
