"""`lift` against the slow, obvious composition, and against the results of its authors' code."""

from __future__ import annotations

import copy
import math
import warnings

import numpy as np
import pytest
import shared
from bench.methods._lift import LinearRows, RBFRows
from bench.methods.lift import cross_validated, fit_probability, fit_sigmoid, probabilities
from builtin import method_class
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from bench.api import BenchError

LIFT = method_class("lift")


def problem(n: int = 120, d: int = 6, labels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d))
    return X, X[:, :labels] + 0.5 * rng.normal(size=(n, labels)) > 0.3


def slow_distances(X: np.ndarray, centres: np.ndarray) -> np.ndarray:
    return np.array([[np.sqrt(((x - c) ** 2).sum()) for c in centres] for x in X])


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("scale", ["none", "minmax"])
def test_is_the_machine_of_label_specific_features(kernel: str, scale: str) -> None:
    """From the centres it found on, everything but the random folds."""
    X, Y = problem()
    T = problem(150)[0][120:]
    method = LIFT(kernel=kernel, scale=scale).fit(X, Y)
    scores = method.scores(T)
    low, span = (X.min(axis=0), np.ptp(X, axis=0)) if scale == "minmax" else (0.0, 1.0)
    A, B = (X - low) / span, (T - low) / span
    for label, model in enumerate(method.models_):
        y = Y[:, label]
        m = min(int(np.ceil(0.1 * y.sum())), int(np.ceil(0.1 * (~y).sum())))
        assert model.centres.shape == (2 * m, 6)
        for part, centres in ((y, model.centres[:m]), (~y, model.centres[m:])):
            nearest = slow_distances(A[part], centres).argmin(axis=1)
            means = [A[part][nearest == j].mean(axis=0) for j in range(m)]
            np.testing.assert_allclose(centres, means, atol=1e-9)
        phi, psi = slow_distances(A, model.centres), slow_distances(B, model.centres)
        machine = SVC(kernel=kernel, C=1, tol=1e-6).fit(phi, y)
        sigmoid = model.probability
        f = machine.decision_function(psi)
        expected = 1 / (1 + np.exp(sigmoid.slope * f + sigmoid.offset))
        np.testing.assert_allclose(scores[:, label], expected, atol=4e-3)
        assert sigmoid.slope < 0


def test_labels_are_present_from_one_half() -> None:
    X, Y = problem()
    method = LIFT().fit(X, Y)
    scores, labels = method.scores_and_labels(X)
    np.testing.assert_array_equal(labels, scores >= 0.5)
    np.testing.assert_array_equal(method.labels(X), labels)
    np.testing.assert_array_equal(method.scores(X), scores)
    assert (labels != Y).mean() < 0.2
    assert method.remarks()[0].startswith("label 0: m = 5, gamma = ")


def test_labels_that_all_rows_or_none_or_one_have() -> None:
    X, Y = problem(30)
    Y[:, 0], Y[:, 1], Y[:, 2] = True, False, np.arange(30) == 7
    method = LIFT(kernel="linear").fit(X, Y)
    scores, labels = method.scores_and_labels(X)
    assert (scores[:, 0] == 31 / 32).all()
    assert (scores[:, 1] == 1 / 32).all()
    assert labels[:, 0].all()
    assert not labels[:, 1].any()
    np.testing.assert_allclose(method.models_[2].centres[0], X[7])
    assert np.isfinite(scores).all()
    assert method.remarks()[:2] == ("label 0: constant", "label 1: constant")


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_few_rows_constant_features_and_copies(kernel: str, rows: int) -> None:
    Y = np.array([[True, False], [False, False], [True, True]])[:rows]
    for X in (np.ones((rows, 2)), np.arange(2.0 * rows).reshape(rows, 2)):
        scores = LIFT(kernel=kernel, r=1.0).fit(X, Y).scores(X)
        assert np.isfinite(scores).all()
        assert ((scores >= 0) & (scores <= 1)).all()


def test_the_seed_decides_and_the_input_stays() -> None:
    X, Y = problem()
    kept = X.copy(), Y.copy()
    first, again, other = (LIFT(random_state=seed).fit(X, Y).scores(X) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_array_equal(X, kept[0])
    np.testing.assert_array_equal(Y, kept[1])


def test_precision_and_memory_order_make_no_difference() -> None:
    X, Y = problem()
    X = X.astype(np.float32).astype(np.float64)
    expected = LIFT().fit(X, Y).scores(X)
    np.testing.assert_array_equal(LIFT().fit(X, Y).scores(np.asfortranarray(X)), expected)
    single = LIFT().fit(X.astype(np.float32), Y.astype(int)).scores(X.astype(np.float32))
    np.testing.assert_allclose(single, expected, atol=5e-3)


def test_is_a_scikit_learn_estimator() -> None:
    X, Y = problem()
    method = clone(LIFT(r=0.2, kernel="linear"))
    assert method.get_params() == {
        "r": 0.2, "kernel": "linear", "C": 1.0, "gamma": "scale", "scale": "none",
        "random_state": 0,
    }  # fmt: skip
    pipeline = make_pipeline(StandardScaler(), method).fit(X, Y)
    np.testing.assert_array_equal(pipeline.predict(X), pipeline.decision_function(X) >= 0.5)
    twin = copy.deepcopy(pipeline)
    np.testing.assert_array_equal(twin.decision_function(X), pipeline.decision_function(X))
    assert LIFT.stochastic


def test_bad_values_are_one_sentence() -> None:
    X, Y = problem(20)
    for params, says in (
        ({"r": 0}, r"lift\[r=0\].*float > 0 and <= 1"),
        ({"kernel": "poly"}, r"lift\[kernel=poly\].*rbf \| linear"),
        ({"gamma": -1.0}, r"lift\[gamma=-1.0\]"),
        ({"C": 0}, r"lift\[C=0\]"),
    ):
        with pytest.raises(BenchError, match=says):
            LIFT(**params)
    with pytest.raises(BenchError, match=r"lift\[gamma=auto\].*scale or a float > 0"):
        LIFT(gamma="auto").fit(X, Y)
    with pytest.raises(BenchError, match="lift got features with a value that is not finite"):
        LIFT().fit(np.where(X > 1, np.nan, X), Y)
    with pytest.raises(BenchError, match="20 rows of features but 19 rows of labels"):
        LIFT().fit(X, Y[1:])
    with pytest.raises(BenchError, match="only after fit"):
        LIFT().scores(X)
    with pytest.raises(BenchError, match="fitted with 6 features and now got 5"):
        LIFT().fit(X, Y).scores(X[:, :5])


def test_says_what_memory_it_needs() -> None:
    needed = LIFT().memory_needed(4000, 500, 6, 4)
    assert 4 * 4000 * (2 * 4000 + 2 * 500) < needed < 1.5e9


@shared.needs_reference
@pytest.mark.parametrize("name", ["emotions", pytest.param("yeast", marks=pytest.mark.slow)])
def test_holds_the_statistical_bars(name: str) -> None:
    """Means of five seeds: single runs of scikit-learn's parts, too, miss a bar now and then."""
    X, Y, T, truth = shared.mulan(name)
    runs = []
    for seed in range(5):
        method = LIFT(kernel="linear", random_state=seed).fit(X, Y)
        runs.append(shared.reference_criteria(truth, *method.scores_and_labels(T)))
    bars = shared.bars(algorithm="LIFT", dataset=name)
    assert len(bars) == 9
    for bar in bars:
        criterion = bar["criterion"]
        mean = np.mean([run[criterion] for run in runs])
        assert abs(mean - bar["target"]) <= bar["tolerance_mean_of_5_seeds"], criterion


@shared.needs_reference
def test_min_max_scaling_gives_the_reference_runs_results() -> None:
    X, Y, T, truth = shared.mulan("emotions")
    reference = shared.reference("emotions-lift-py-platt-minmax")
    runs = []
    for seed in range(5):
        method = LIFT(kernel="linear", scale="minmax", random_state=seed).fit(X, Y)
        runs.append(shared.reference_criteria(truth, *method.scores_and_labels(T)))
    for criterion, expected in reference["criteria"].items():
        values = [run[criterion] for run in runs]
        # Both are means of five; the spread of the reference is an estimate from five, too.
        spread = max(reference["std"][criterion], float(np.std(values)))
        assert abs(np.mean(values) - expected) <= 3 * spread, criterion


# ------------------- Platt's sigmoid against a plain minimiser, the whole against LIBSVM's -b 1


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
    monkeypatch.setattr("bench.methods.lift._ROUNDS", 1)
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
