"""Platt's sigmoid against a plain minimiser, and the whole against LIBSVM's ``-b 1``."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from bench.methods._platt import cross_validated, fit_probability, fit_sigmoid, probabilities
from scipy.optimize import minimize
from sklearn.svm import SVC

from bench.api import BenchError
from bench.learn.svm import LinearRows, RBFRows


def slow_loss(values: np.ndarray, decisions: np.ndarray, present: np.ndarray) -> float:
    """Platt's Eq. 1 with the targets of his Section 2.2, in loops."""
    positive = sum(bool(y) for y in present)
    negative = len(present) - positive
    total = 0.0
    for f, y in zip(decisions, present, strict=True):
        target = (positive + 1) / (positive + 2) if y else 1 / (negative + 2)
        p = 1 / (1 + math.exp(values[0] * f + values[1]))
        total -= target * math.log(p) + (1 - target) * math.log(1 - p)
    return total


@pytest.mark.parametrize("shift", [-3.0, 0.0, 2.0])
@pytest.mark.parametrize("separation", [-1.0, 0.0, 0.5, 2.0])
def test_the_sigmoid_has_the_greatest_likelihood(shift: float, separation: float) -> None:
    rng = np.random.default_rng(0)
    present = rng.random(120) < 0.3
    decisions = rng.normal(size=120) + separation * present + shift
    found = fit_sigmoid(decisions, present)
    best = minimize(
        slow_loss,
        [0.0, 0.0],
        args=(decisions, present),
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000},
    )
    np.testing.assert_allclose(found, best.x, atol=2e-6)
    p = probabilities(decisions, *found)
    assert ((p > 0) & (p < 1)).all()


def test_separated_classes_and_equal_values_have_a_sigmoid() -> None:
    present = np.arange(40) < 12
    slope, offset = fit_sigmoid(np.where(present, 2.0, -2.0), present)
    p = probabilities(np.array([2.0, -2.0]), slope, offset)
    np.testing.assert_allclose(p, [13 / 14, 1 / 30], atol=1e-6)
    constant = probabilities(np.zeros(1), *fit_sigmoid(np.zeros(40), present))
    # the mean of the targets
    assert constant == pytest.approx((12 * 13 / 14 + 28 / 30) / 40, abs=1e-6)
    assert fit_sigmoid(np.full(5, -1.0), np.zeros(5, dtype=bool))[1] == pytest.approx(math.log(6))


def test_too_few_rounds_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.methods._platt._ROUNDS", 1)
    with pytest.raises(BenchError, match="Platt's sigmoid found no solution"):
        fit_sigmoid(np.array([-1.0, 1.0, 2.0]), np.array([True, False, True]))


def test_each_row_is_decided_by_the_other_folds() -> None:
    present = np.arange(23) % 3 == 0
    calls = []

    def decide(rows: np.ndarray) -> np.ndarray:
        calls.append(rows.copy())
        return np.full(23, float(len(calls)))

    decisions = cross_validated(decide, present, np.random.default_rng(0))
    assert [int(np.count_nonzero(~rows)) for rows in calls] == [4, 5, 4, 5, 5]
    for number, rows in enumerate(calls, start=1):
        assert (decisions[~rows] == number).all()
        assert (decisions[rows] != number).all()


def test_a_fold_that_takes_the_whole_class_is_decided_by_the_rest() -> None:
    present = np.zeros(10, dtype=bool)
    present[4] = True
    decisions = cross_validated(lambda rows: np.full(10, 7.0), present, np.random.default_rng(0))
    assert decisions[4] == -1
    np.testing.assert_array_equal(
        -cross_validated(lambda rows: np.full(10, -7.0), ~present, np.random.default_rng(0)),
        decisions,
    )


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_about_equals_libsvm(kernel: str) -> None:
    """Only about: the folds are random, in LIBSVM as here."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 4))
    y = X[:, 0] + X[:, 1] ** 2 + 0.6 * rng.normal(size=600) > 1
    train, test = slice(0, 400), slice(400, 600)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        try:
            theirs = SVC(kernel=kernel, gamma=0.2, probability=True, random_state=0)
            expected = theirs.fit(X[train], y[train]).predict_proba(X[test])[:, 1]
        except TypeError:
            pytest.skip("this scikit-learn has no SVC(probability=True) any more")
    rows = LinearRows(X[train]) if kernel == "linear" else RBFRows(X[train], 0.2)
    found = fit_probability(rows, y[train], 1.0, np.random.default_rng(0))(X[test])
    assert np.abs(found - expected).max() < 0.06
    assert np.abs(found - expected).mean() < 0.02
