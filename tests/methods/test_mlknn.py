"""`mlknn` against loops over the paper's equations, and against the authors' code's results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
import shared
from builtin import method_class
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bench.api import BenchError
from bench.learn.scaling import fit_scaling
from bench.score.criteria import evaluate

MLkNN = method_class("mlknn")


def slow_neighbours(rows: np.ndarray, x: np.ndarray, k: int, leave_out: int = -1) -> list[int]:
    distances = []
    for i, row in enumerate(rows):
        if i != leave_out:
            distances.append((float(((row.astype(float) - x.astype(float)) ** 2).sum()), i))
    return [i for _, i in sorted(distances)[:k]]


def slow_scores(X: np.ndarray, Y: np.ndarray, T: np.ndarray, k: int, s: float) -> np.ndarray:
    """Pattern Recognition 40 (2007), Fig. 1 and Eq. 6, in loops."""
    n, labels = Y.shape
    scores = np.zeros((len(T), labels))
    for label in range(labels):
        prior = (s + sum(Y[:, label])) / (2 * s + n)
        with_label, without = [0] * (k + 1), [0] * (k + 1)
        for i in range(n):
            count = sum(bool(Y[j, label]) for j in slow_neighbours(X, X[i], k, leave_out=i))
            (with_label if Y[i, label] else without)[count] += 1
        for t, x in enumerate(T):
            count = sum(bool(Y[j, label]) for j in slow_neighbours(X, x, k))
            joint = []
            for p, table in ((prior, with_label), (1 - prior, without)):
                total = s * (k + 1) + sum(table)
                joint.append(p * (s + table[count]) / total if total else 0.0)
            scores[t, label] = joint[0] / sum(joint) if sum(joint) else prior
    return scores


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, float]:
    """Few values, hence duplicates and ties."""
    n, d = draw(st.integers(2, 12)), draw(st.integers(1, 3))
    dtype: Any = draw(st.sampled_from([np.float32, np.float64]))
    values = st.integers(-2, 2)
    X = draw(arrays.arrays(dtype, (n, d), elements=values))
    T = draw(arrays.arrays(dtype, (3, d), elements=values))
    Y = draw(arrays.arrays(bool, (n, draw(st.integers(1, 3)))))
    s = draw(st.sampled_from([0.0, 0.5, 1.0]))
    return X, Y, T, draw(st.integers(1, n - 1)), s


@given(problems())
@settings(deadline=None, max_examples=150)
def test_equals_the_equations(
    problem: tuple[np.ndarray, np.ndarray, np.ndarray, int, float],
) -> None:
    X, Y, T, k, s = problem
    method = MLkNN(k=k, s=s).fit(X, Y)
    scores, labels = method.scores_and_labels(T)
    np.testing.assert_allclose(scores, slow_scores(X, Y, T, k, s), rtol=0, atol=1e-12)
    clear = np.abs(scores - 0.5) > 1e-9
    np.testing.assert_array_equal(labels[clear], scores[clear] > 0.5)
    np.testing.assert_array_equal(method.scores(T), scores)
    np.testing.assert_array_equal(method.labels(T), labels)


def test_present_and_absent_equally_probable_is_present() -> None:
    # Two rows, one of each: whatever the neighbour says, both joint probabilities are equal.
    method = MLkNN(k=1).fit(np.array([[0.0], [1.0]]), np.array([[True], [False]]))
    method.present_ = method.absent_
    scores, labels = method.scores_and_labels(np.array([[0.0], [1.0]]))
    assert scores.tolist() == [[0.5], [0.5]]
    assert labels.all()


def test_without_smoothing_an_unseen_count_gives_the_prior() -> None:
    X = np.array([[0.0], [1.0], [2.0], [10.0]])
    Y = np.array([[1], [1], [1], [0]])
    method = MLkNN(k=1, s=0).fit(X, Y)
    # In training every row's nearest neighbour has the label, the query's own one has not.
    scores, labels = method.scores_and_labels(np.array([[9.0]]))
    assert scores.tolist() == [[0.75]]
    assert labels.tolist() == [[True]]


@shared.needs_reference
@pytest.mark.parametrize("name", ["emotions", "yeast"])
@pytest.mark.parametrize(
    ("run", "scale"), [("matlab", "none"), ("mulan-raw", "none"), ("mulan", "minmax")]
)
def test_equals_the_reference_runs(name: str, run: str, scale: str) -> None:
    X, Y, T, truth = shared.mulan(name)
    scores, labels = MLkNN(k=10, scale=scale).fit(X, Y).scores_and_labels(T)
    reference = shared.reference(f"{name}-mlknn-{run}")
    for key, convention in (("criteria", "sklearn"), ("criteria_matlab_conventions", "matlab")):
        expected = dict(reference[key])
        if key == "criteria":
            expected["coverage_one_based"] = expected.pop("coverage")
        values = evaluate(truth, scores, labels, convention).values
        # The reference is printed with six decimals.
        assert {c: values[c] for c in expected} == pytest.approx(expected, rel=0, abs=1e-6)


@shared.needs_reference
@pytest.mark.parametrize(("key", "scale"), [("raw", "none"), ("minmax", "minmax")])
def test_equals_the_reference_scores(key: str, scale: str) -> None:
    X, Y, T, _ = shared.mulan("emotions")
    expected = np.array(shared.oracle(f"mlknn_k10_s1_{key}"))
    scores = MLkNN(k=10, scale=scale).fit(X, Y).scores(T)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-9)


def test_scaling_is_fitted_on_the_training_part() -> None:
    rng = np.random.default_rng(0)
    X, T = rng.normal(size=(30, 3)), rng.normal(size=(8, 3)) * 3
    X[:, 2], Y = 7.0, rng.random((30, 2)) < 0.5
    low, span = X.min(axis=0), np.ptp(X, axis=0)
    span[2] = np.inf
    np.testing.assert_array_equal(
        MLkNN(k=3, scale="minmax").fit(X, Y).scores(T),
        MLkNN(k=3).fit((X - low) / span, Y).scores((T - low) / span),
    )
    deviation = np.array([*X[:, :2].std(axis=0), np.inf])
    zscore = MLkNN(k=3, scale="zscore").fit(X, Y)
    np.testing.assert_allclose(zscore.X_, (X - X.mean(axis=0)) / deviation, atol=1e-12)
    with pytest.raises(BenchError, match=r"scale takes none \| minmax \| zscore"):
        MLkNN(scale="robust")
    with pytest.raises(BenchError, match="unknown scaling 'robust'"):
        fit_scaling(X, "robust")


def test_is_a_scikit_learn_estimator() -> None:
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(40, 4)), rng.integers(0, 2, size=(40, 3))
    method = clone(MLkNN(k=5, s=0.5))
    own = {"k": 5, "s": 0.5, "scale": "none", "ignore_first_neighbours": None}
    assert method.get_params() == own
    pipeline = make_pipeline(StandardScaler(), method).fit(X, Y)
    assert pipeline.predict(X).shape == (40, 3)
    np.testing.assert_array_equal(pipeline.predict(X), pipeline.decision_function(X) >= 0.5)


def test_takes_read_only_memory_maps(tmp_path: Path) -> None:
    X = np.random.default_rng(2).random((25, 6), dtype=np.float32)
    Y = X[:, :2] > 0.5
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    np.testing.assert_array_equal(
        MLkNN(k=4).fit(mapped, Y).scores(mapped), MLkNN(k=4).fit(X, Y).scores(X)
    )


GOOD_X, GOOD_Y = np.arange(12.0).reshape(6, 2), np.eye(6, 2, dtype=bool)


@pytest.mark.parametrize(
    ("X", "Y", "says"),
    [
        (GOOD_X[0], GOOD_Y, r"numeric matrix \(n, d\)"),
        (GOOD_X[:, :0], GOOD_Y, r"matrix \(n, d\) and found 0 feature"),
        (GOOD_X.astype(str), GOOD_Y, r"numeric matrix \(n, d\)"),
        (np.where(GOOD_X == 5, np.nan, GOOD_X), GOOD_Y, r"not finite \(row 2, column 1"),
        (np.where(GOOD_X == 0, np.inf, GOOD_X), GOOD_Y, r"not finite \(row 0, column 0"),
        (GOOD_X, GOOD_Y[:, 0], r"labels as a matrix \(n, L\)"),
        (GOOD_X, GOOD_Y[:4], "6 rows of features but 4 rows of labels"),
        (GOOD_X, GOOD_Y * 2, "labels of 0 and 1"),
        (GOOD_X, np.where(GOOD_Y, np.nan, 0), "labels of 0 and 1"),
        (GOOD_X[:0], GOOD_Y[:0], "no training rows"),
        (GOOD_X[:2], GOOD_Y[:2], r"mlknn\[k=2\] needs more than k training rows and got 2"),
    ],
)
def test_bad_input_is_one_sentence(X: Any, Y: Any, says: str) -> None:
    with pytest.raises(BenchError, match=says):
        MLkNN(k=2).fit(X, Y)


def test_bad_prediction_is_one_sentence() -> None:
    with pytest.raises(BenchError, match="only after fit"):
        MLkNN().scores(GOOD_X)
    method = MLkNN(k=2).fit(GOOD_X, GOOD_Y)
    with pytest.raises(BenchError, match="fitted with 2 features and now got 1"):
        method.labels(GOOD_X[:, :1])
