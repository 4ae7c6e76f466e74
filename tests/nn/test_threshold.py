"""The threshold with the best micro-F1, against all thresholds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bench.nn.threshold import best_micro_f1


def micro_f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    return 2 * (truth & predicted).sum() / max(truth.sum() + predicted.sum(), 1)


def brute_force(truth: np.ndarray, scores: np.ndarray) -> float:
    """The best micro-F1 of all thresholds that predict anything."""
    return max(micro_f1(truth, scores >= one) for one in np.unique(scores))


SHAPES = st.tuples(st.integers(1, 8), st.integers(1, 4))
VALUES = st.one_of(
    st.sampled_from([0.0, 0.25, 0.5, 1.0]),  # ties
    st.floats(0, 1, width=32),
    st.integers(0, 3).map(lambda n: float(np.float32(0.5) + n * np.float32(2**-24) * 2)),
)


@settings(max_examples=300, deadline=None)
@given(st.data(), SHAPES, st.sampled_from([np.float32, np.float64]))
def test_no_threshold_is_better(data: st.DataObject, shape: tuple[int, int], kind: type) -> None:
    truth = data.draw(arrays.arrays(bool, shape))
    scores = data.draw(arrays.arrays(kind, shape, elements=VALUES.map(kind)))
    threshold = best_micro_f1(truth, scores)
    assert micro_f1(truth, scores >= threshold) == pytest.approx(brute_force(truth, scores))
    assert scores.min() <= threshold <= scores.max()


def test_it_lies_halfway_between_two_scores() -> None:
    truth = np.array([[True, False], [True, False]])
    scores = np.array([[0.75, 0.25], [0.5, 0.0]])
    assert best_micro_f1(truth, scores) == 0.375


def test_of_equally_good_ones_the_lowest_counts() -> None:
    # Cut after the first: 2·1/(1+2); after the fourth: 2·2/(4+2): the same.
    truth = np.array([[True, False, False, True]])
    scores = np.array([[0.8, 0.6, 0.4, 0.2]])
    assert best_micro_f1(truth, scores) == 0.2


def test_equal_scores_are_not_told_apart() -> None:
    truth = np.array([[True, False, False]])
    assert best_micro_f1(truth, np.full((1, 3), 0.3)) == 0.3


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_neighbouring_numbers_are_told_apart(kind: type) -> None:
    low = kind(0.3)
    high = np.nextafter(low, kind(1))
    truth, scores = np.array([[True, False]]), np.array([[high, low]])
    assert ((scores >= best_micro_f1(truth, scores)) == truth).all()
    higher = np.nextafter(high, kind(1))
    truth, scores = np.array([[True, False]]), np.array([[higher, high]])
    assert ((scores >= best_micro_f1(truth, scores)) == truth).all()


def test_where_nothing_is_relevant_the_smallest_score_is_given() -> None:
    assert best_micro_f1(np.zeros((1, 3), bool), np.array([[0.2, 0.1, 0.7]])) == 0.1
