"""Votes of pairs of classes, counted row by row."""

from __future__ import annotations

import numpy as np
import pytest
from bench.methods._one_against_one import pairs_of, ranking_scores, winners

ALL = np.ones(4, dtype=bool)


def decisions(n: int = 300, pairs: int = 6, seed: int = 0) -> np.ndarray:
    """With zeros, which are a vote for the second class, and values far from 0."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, pairs)) * 10.0 ** rng.integers(-3, 9, size=(n, pairs))
    return np.where(rng.random((n, pairs)) < 0.1, 0.0, values)


def counted(row: np.ndarray, pairs: list[tuple[int, int]], classes: list[int]) -> dict[int, int]:
    votes = dict.fromkeys(classes, 0)
    for (first, second), value in zip(pairs, row, strict=True):
        votes[first if value > 0 else second] += 1
    return votes


def test_pairs_of_the_classes_that_are_present() -> None:
    assert pairs_of(ALL) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert pairs_of(np.array([True, False, True, True])) == [(0, 2), (0, 3), (2, 3)]
    assert pairs_of(np.array([False, True])) == []


def test_most_votes_win_and_the_first_in_a_tie() -> None:
    pairs, values = pairs_of(ALL), decisions()
    ties = 0
    for row, winner in zip(values, winners(values, pairs, ALL), strict=True):
        votes = counted(row, pairs, [0, 1, 2, 3])
        best = [one for one in votes if votes[one] == max(votes.values())]
        assert winner == best[0]
        ties += len(best) > 1
    assert ties > 20


def test_scores_rank_by_votes_then_margins_with_the_winner_on_top() -> None:
    pairs, values = pairs_of(ALL), decisions()
    scores = ranking_scores(values, pairs, ALL)
    winner = winners(values, pairs, ALL)
    assert (scores.argmax(axis=1) == winner).all()
    for row, of_row, top in zip(values, scores, winner, strict=True):
        votes = counted(row, pairs, [0, 1, 2, 3])
        margins = dict.fromkeys(votes, 0.0)
        for (first, second), value in zip(pairs, row, strict=True):
            margins[first] += value
            margins[second] -= value
        assert of_row[top] > np.delete(of_row, top).max()  # alone on top, however large margins are
        for one in votes:
            bonus = 0.5 if one == top else 0.0
            squeezed = 0.2 * margins[one] / (1 + abs(margins[one]))
            assert of_row[one] == pytest.approx(votes[one] + squeezed + bonus, abs=1e-12)


def test_absent_classes_are_lowest() -> None:
    present = np.array([True, False, True, True])
    pairs = pairs_of(present)
    scores = ranking_scores(decisions(pairs=3), pairs, present)
    assert (scores[:, 1] == -1).all()
    assert (np.delete(scores, 1, axis=1) > -0.5).all()
    alone = ranking_scores(np.empty((5, 0)), [], np.array([False, True, False]))
    assert (alone == [-1, 0.5, -1]).all()
