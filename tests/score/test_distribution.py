"""Label-distribution criteria against loops over images and labels, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.api import BenchError
from bench.score.bootstrap import resamples
from bench.score.distribution import (
    BY_NAME,
    CLIP,
    DISTRIBUTION_CRITERIA,
    distribution_measures,
    evaluate_distribution,
)


def slow(truth: list[float], given: list[float]) -> dict[str, float]:
    """One image, label by label."""
    clark = canberra = kl = product = shared = largest = 0.0
    for d, p in zip(truth, given, strict=True):
        largest = max(largest, abs(d - p))
        if d + p > 0:
            clark += (d - p) ** 2 / (d + p) ** 2
            canberra += abs(d - p) / (d + p)
        if d > 0:
            kl += d * math.log(d / max(p, 1e-7))
        product += d * p
        shared += min(d, p)
    lengths = math.sqrt(sum(d * d for d in truth)) * math.sqrt(sum(p * p for p in given))
    return {
        "chebyshev": largest,
        "clark": math.sqrt(clark),
        "canberra": canberra,
        "kullback_leibler": kl,
        "cosine": product / lengths,
        "intersection": shared,
    }


def shares(n: int, labels: int, seed: int) -> np.ndarray:
    """Shares of few votes, so that many are 0."""
    rng = np.random.default_rng(seed)
    votes = rng.multinomial(5, rng.dirichlet(np.ones(labels)), size=n)
    return votes / votes.sum(axis=1, keepdims=True)


@settings(deadline=None, max_examples=50)
@given(n=st.integers(1, 20), labels=st.integers(1, 8), seed=st.integers(0, 999))
def test_equals_the_loops(n: int, labels: int, seed: int) -> None:
    truth, predicted = shares(n, labels, seed), shares(n, labels, seed + 1)
    images = [slow(*rows) for rows in zip(truth.tolist(), predicted.tolist(), strict=True)]
    found = evaluate_distribution(truth, predicted)
    for name, value in found.items():
        assert value == pytest.approx(np.mean([image[name] for image in images]), abs=1e-9), name


def test_by_hand() -> None:
    truth, predicted = np.array([[0.5, 0.5, 0.0]]), np.array([[0.25, 0.5, 0.25]])
    found = evaluate_distribution(truth, predicted)
    assert found["chebyshev"] == pytest.approx(0.25)
    assert found["clark"] == pytest.approx(math.sqrt((1 / 3) ** 2 + 0 + 1))
    assert found["canberra"] == pytest.approx(1 / 3 + 1)
    assert found["kullback_leibler"] == pytest.approx(0.5 * math.log(2))
    assert found["cosine"] == pytest.approx(0.375 / (math.sqrt(0.5) * math.sqrt(0.375)))
    assert found["intersection"] == pytest.approx(0.75)


def test_a_missing_share_is_clipped_and_truth_is_not() -> None:
    truth, predicted = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    found = evaluate_distribution(truth, predicted)
    assert CLIP == 1e-7
    assert found["kullback_leibler"] == pytest.approx(-math.log(1e-7))
    assert found["kullback_leibler"] < 16.2  # as its range says
    assert (found["intersection"], found["cosine"], found["chebyshev"]) == (0, 0, 1)


def test_perfect_is_best_by_every_criterion() -> None:
    truth, other = shares(30, 6, 0), shares(30, 6, 1)
    best, worse = evaluate_distribution(truth, truth), evaluate_distribution(truth, other)
    for one in DISTRIBUTION_CRITERIA:
        if one.direction == "lower":
            assert best[one.name] == pytest.approx(0, abs=1e-12)
            assert worse[one.name] > 0.1
        else:
            assert best[one.name] == pytest.approx(1)
            assert worse[one.name] < 0.9
    directions = {name for name, one in BY_NAME.items() if one.direction == "higher"}
    assert directions == {"cosine", "intersection"}


def test_truth_and_prediction_are_not_exchanged() -> None:
    truth, predicted = np.array([[0.9, 0.1]]), np.array([[0.5, 0.5]])
    there = evaluate_distribution(truth, predicted)["kullback_leibler"]
    assert there == pytest.approx(0.9 * math.log(1.8) + 0.1 * math.log(0.2))
    assert there != pytest.approx(evaluate_distribution(predicted, truth)["kullback_leibler"])


def test_resampled_values_are_those_of_the_resampled_images() -> None:
    truth, predicted = shares(12, 4, 0), shares(12, 4, 1)
    (times,) = resamples(12, 3, 5, 5)
    measures = distribution_measures(truth, predicted)
    for column in range(5):
        rows = np.repeat(np.arange(12), times[:, column].astype(int))
        again = evaluate_distribution(truth[rows], predicted[rows])
        for name, measure in measures.items():
            assert measure(times)[column] == pytest.approx(again[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p * 1.01, "no shares that sum to 1 in 3 of 3 rows, row 0 first"),
        (lambda p: np.where(np.eye(3, 2, k=-1) > 0, np.nan, p), "in 2 of 3 rows, row 1 first"),
        (lambda p: np.array([[0.5, 0.5], [1.5, -0.5], [1, 0]]), "in 1 of 3 rows, row 1 first"),
        (lambda p: p[:, :1], r"must be float \(3, 2\), not float64 \(3, 1\)"),
        (lambda p: p > 0.4, "must be float"),
    ],
)
def test_what_is_no_distribution_is_refused(change, message) -> None:
    truth = np.array([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]])
    with pytest.raises(BenchError, match="the predicted label distributions .*" + message):
        evaluate_distribution(truth, change(truth))
    with pytest.raises(BenchError, match="at least one row"):
        evaluate_distribution(truth[:0], truth[:0])
