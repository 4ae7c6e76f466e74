"""`prior`: frequencies by hand."""

from __future__ import annotations

import numpy as np
import pytest
from builtin import method_class
from sklearn.base import clone

from bench.api import BenchError

Prior = method_class("prior")


def test_frequencies_of_the_training_part() -> None:
    Y = np.array([[1, 0, 1, 0], [1, 0, 1, 0], [1, 0, 0, 0], [1, 0, 0, 1]])
    method = clone(Prior()).fit(np.empty((4, 0)), Y)
    scores, labels = method.scores_and_labels(np.empty((3, 0)))
    assert scores.tolist() == [[1.0, 0.0, 0.5, 0.25]] * 3
    assert labels.tolist() == [[True, False, True, False]] * 3
    np.testing.assert_array_equal(method.predict(np.empty((1, 0))), [[1, 0, 1, 0]])


@pytest.mark.parametrize(
    ("predicts", "expected"),
    [("half", [1, 0, 1, 1]), ("nothing", [0, 0, 0, 0]), ("most-frequent", [1, 0, 0, 0])],
)
def test_constant_answers(predicts: str, expected: list[int]) -> None:
    Y = np.array([[1, 0, 1, 0], [1, 0, 1, 1], [1, 0, 0, 0], [1, 0, 0, 1]])
    method = Prior(predicts=predicts).fit(np.empty((4, 0)), Y)
    assert method.labels(np.empty((2, 0))).tolist() == [[bool(one) for one in expected]] * 2
    assert method.scores(np.empty((1, 0))).tolist() == [[1.0, 0.0, 0.5, 0.5]]


def test_needs_no_features() -> None:
    assert Prior.needs_features is False
    assert set(Prior.kinds) == {"multi", "single"}
    Y = np.array([[True, False], [False, True]])
    other = np.random.default_rng(0).normal(size=(2, 3))
    assert Prior().fit(other, Y).scores(-other).tolist() == [[0.5, 0.5]] * 2


def test_bad_input_is_one_sentence() -> None:
    with pytest.raises(BenchError, match="3 rows of features but 2 rows of labels"):
        Prior().fit(np.empty((3, 0)), np.ones((2, 2)))
    with pytest.raises(BenchError, match="prior predicts only after fit"):
        Prior().labels(np.empty((3, 0)))
    # As scikit-learn has it of every estimator, though these values would change nothing.
    with pytest.raises(BenchError, match="not finite"):
        Prior().fit(np.full((2, 3), np.nan), np.ones((2, 2)))
    with pytest.raises(BenchError, match="fitted with 0 features and now got 7"):
        Prior().fit(np.empty((2, 0)), np.ones((2, 2))).labels(np.empty((1, 7)))
