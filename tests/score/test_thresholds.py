"""Thresholds by each rule, against all thresholds that there are."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bench.api import BenchError
from bench.run.options import OPTIONS, TYPES
from bench.score.thresholds import (
    RULES,
    best_cardinality,
    best_hamming,
    best_micro_f1,
    fitted_threshold,
)

SHAPES = st.tuples(st.integers(1, 8), st.integers(1, 4))
VALUES = st.one_of(
    st.sampled_from([0.0, 0.25, 0.5, 1.0]),  # ties
    st.floats(0, 1, width=32),
    st.integers(0, 3).map(lambda n: float(np.float32(0.5) + n * np.float32(2**-24) * 2)),
)
CARDINALITY = st.floats(0, 4)


def micro_f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    hits = relevant = given = 0
    for is_there, is_predicted in zip(truth.ravel(), predicted.ravel(), strict=True):
        relevant += bool(is_there)
        given += bool(is_predicted)
        hits += bool(is_there and is_predicted)
    return 2 * hits / (relevant + given) if relevant + given else 1.0


def right_decisions(truth: np.ndarray, predicted: np.ndarray) -> float:
    return float(sum(a == b for a, b in zip(truth.ravel(), predicted.ravel(), strict=True)))


def nearness(cardinality: float) -> Callable[[np.ndarray, np.ndarray], float]:
    def near(truth: np.ndarray, predicted: np.ndarray) -> float:
        sizes = [sum(map(bool, row)) for row in predicted]
        return -abs(sum(sizes) - cardinality * len(sizes))

    return near


def every_cut(scores: np.ndarray) -> list[np.ndarray]:
    """The decisions of every threshold, the highest, which predicts nothing, first."""
    values = sorted(set(scores.ravel().tolist()), reverse=True)
    return [np.zeros(scores.shape, bool), *(scores >= value for value in values)]


@settings(max_examples=300, deadline=None)
@given(st.data(), SHAPES, st.sampled_from([np.float32, np.float64]), CARDINALITY)
@pytest.mark.parametrize("rule", RULES)
def test_no_threshold_is_better(
    rule: str, data: st.DataObject, shape: tuple[int, int], kind: type, cardinality: float
) -> None:
    truth = data.draw(arrays.arrays(bool, shape))
    scores = data.draw(arrays.arrays(kind, shape, elements=VALUES.map(kind)))
    quality = {
        "micro-f1": micro_f1,
        "hamming": right_decisions,
        "cardinality": nearness(cardinality),
    }[rule]
    threshold = fitted_threshold(rule, truth, scores, cardinality)
    made = scores >= threshold
    qualities = [quality(truth, cut) for cut in every_cut(scores)]
    # Of equally good cuts the lowest, which predicts most labels.
    last = max(i for i, value in enumerate(qualities) if value == max(qualities))
    np.testing.assert_array_equal(made, every_cut(scores)[last])
    assert threshold == kind(threshold)


def test_it_lies_halfway_between_two_scores() -> None:
    truth = np.array([[True, False], [True, False]])
    scores = np.array([[0.75, 0.25], [0.5, 0.0]])
    assert best_micro_f1(truth, scores) == 0.375
    assert best_hamming(truth, scores) == 0.375
    assert best_cardinality(truth, scores, 0.5) == 0.625


def test_of_equally_good_ones_the_lowest_counts() -> None:
    # Cut after the first: 2·1/(1+2); after the fourth: 2·2/(4+2): the same.
    truth = np.array([[True, False, False, True]])
    scores = np.array([[0.8, 0.6, 0.4, 0.2]])
    assert best_micro_f1(truth, scores) == 0.2
    # One right and one wrong more: as many wrong decisions as without them.
    assert best_hamming(np.array([[False, True]]), np.array([[0.8, 0.6]])) == 0.6
    assert best_cardinality(truth, scores, 2.5) == pytest.approx(0.3)


def test_equal_scores_are_not_told_apart() -> None:
    truth, scores = np.array([[True, False, False]]), np.full((1, 3), 0.3)
    assert best_micro_f1(truth, scores) == 0.3
    assert best_hamming(truth, scores) == math.nextafter(0.3, 1)  # two wrong against one
    assert best_cardinality(truth, scores, 1) == math.nextafter(0.3, 1)  # 0 is nearer than 3
    assert best_cardinality(truth, scores, 2) == 0.3


def test_where_nothing_is_relevant_nothing_is_predicted() -> None:
    truth, scores = np.zeros((2, 3), bool), np.array([[0.2, 0.1, 0.7], [0.7, 0.3, 0.4]])
    assert not (scores >= best_micro_f1(truth, scores)).any()
    assert not (scores >= best_hamming(truth, scores)).any()
    assert not (scores >= best_cardinality(truth, scores, 0)).any()


def test_the_cardinality_is_that_of_train_whatever_the_images_show() -> None:
    scores = np.array([[0.9, 0.8], [0.7, 0.6], [0.5, 0.4]])
    for truth in (np.zeros((3, 2), bool), np.ones((3, 2), bool)):
        assert (scores >= best_cardinality(truth, scores, 1.0)).sum() == 3


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_neighbouring_and_huge_numbers_are_told_apart(kind: type) -> None:
    low, largest = kind(0.3), np.finfo(kind).max
    high = np.nextafter(low, kind(1))
    higher = np.nextafter(high, kind(1))
    truth = np.array([[True, False]])
    for pair in ([high, low], [higher, high], [largest, -largest], [largest, low]):
        scores = np.array([pair], dtype=kind)
        for rule in RULES:
            assert ((scores >= fitted_threshold(rule, truth, scores, 1.0)) == truth).all()


def test_the_command_line_knows_the_rules() -> None:
    assert TYPES["threshold"].__args__ == ("own", *RULES)
    assert OPTIONS["threshold"].default == "own"
    with pytest.raises(BenchError, match=r"no threshold rule 'microf1'.*micro-f1"):
        fitted_threshold("microf1", np.ones((1, 2), bool), np.ones((1, 2)), 1.0)
