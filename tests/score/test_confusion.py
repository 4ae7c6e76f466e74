"""The confusion matrix, counted image by image."""

from __future__ import annotations

import numpy as np
import pytest

from bench.score.confusion import confusion, row_percent
from bench.score.criteria import evaluate


def random(n: int = 200, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = np.eye(classes, dtype=bool)[rng.integers(classes - 1, size=n)]  # the last never occurs
    return truth, rng.integers(0, 4, size=(n, classes)) / 4 + 0.5 * truth  # with ties


def test_counts_image_by_image() -> None:
    truth, scores = random()
    counts = confusion(truth, scores)
    expected = np.zeros((5, 5), int)
    for row, row_scores in zip(truth, scores, strict=True):
        best = max(range(5), key=lambda label: (row_scores[label], -label))
        expected[list(row).index(True), best] += 1
    assert (counts == expected).all()
    assert counts.dtype.kind == "i"
    assert (counts != counts.T).any()  # rows and columns can be told apart


def test_accuracy_and_mean_recall_follow_from_it() -> None:
    truth, scores = random()
    counts, values = confusion(truth, scores), evaluate(truth, scores, None, kind="single").values
    assert np.trace(counts) / counts.sum() == pytest.approx(values["accuracy"])
    assert np.nanmean(np.diag(row_percent(counts))) / 100 == pytest.approx(values["mean_recall"])


def test_percent_by_hand() -> None:
    percent = row_percent(np.array([[3, 1], [0, 0]]))
    assert percent[0].tolist() == [75, 25]
    assert np.isnan(percent[1]).all()
