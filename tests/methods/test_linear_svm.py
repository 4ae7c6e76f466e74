"""`linear-svm` against scikit-learn's machines and a cross-validation written out."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from bench.methods.linear_svm import pairs_of, ranking_scores, winners
from builtin import method_class
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from bench.api import BenchError

LinearSVM = method_class("linear-svm")
COSTS = sys.modules[LinearSVM.__module__].COSTS


def problem(n: int = 90, d: int = 8, shift: float = 5.0) -> tuple[np.ndarray, np.ndarray]:
    """Noisy half-spaces off the origin; the last label is rare."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d)) * rng.uniform(1, 4, size=d)
    margin = X @ rng.normal(size=(d, 3)) + rng.normal(size=(n, 3)) * 6
    return (X + shift).astype(np.float32), margin > np.array([0, 3, 14])


def objective(w: np.ndarray, b: float, X: np.ndarray, y: np.ndarray, C: float) -> float:
    """Primal of the linear SVM: ½||w||² + C Σ hinge."""
    sign = np.where(y, 1, -1)
    return float(0.5 * w @ w + C * np.maximum(0, 1 - sign * (X @ w + b)).sum())


@pytest.mark.parametrize(("n", "d"), [(90, 8), (40, 120)])
def test_equals_scikit_learn_with_the_chosen_cost(n: int, d: int) -> None:
    X, Y = problem(n, d)
    method = LinearSVM().fit(X, Y)
    scores = method.scores(X)
    for label, y in enumerate(Y.T):
        C = method.C_[label]
        plain = SVC(C=C, kernel="linear").fit(X.astype(float), y)
        np.testing.assert_allclose(scores[:, label], plain.decision_function(X), atol=0.02)
        ours = objective(method.coef_[label], method.intercept_[label], X, y, C)
        # The other library of the same authors; its penalty on the intercept made negligible.
        other = LinearSVC(C=C, loss="hinge", intercept_scaling=100, max_iter=1_000_000).fit(X, y)
        theirs = objective(other.coef_[0], other.intercept_[0], X, y, C)
        assert ours <= theirs * 1.002
    np.testing.assert_array_equal(method.labels(X), scores > 0)
    np.testing.assert_array_equal(method.decision_function(X), scores)


def test_cost_has_the_fewest_errors_in_cross_validation() -> None:
    X, Y = problem()
    method = LinearSVM().fit(X, Y)
    unit = ((X - X.mean(axis=0)) ** 2).sum(axis=1).mean()
    fold = np.random.default_rng(0).permutation(len(X)) % 5
    for label, y in enumerate(Y.T):
        errors = []
        for cost in COSTS:
            wrong = 0
            for part in range(5):
                train = fold != part
                plain = SVC(C=cost / unit, kernel="linear").fit(X[train].astype(float), y[train])
                wrong += int((plain.predict(X[~train]) != y[~train]).sum())
            errors.append(wrong)
        assert method.C_[label] == pytest.approx(COSTS[int(np.argmin(errors))] / unit, rel=1e-5)
    # The test needs labels that differ in their answer.
    assert len(set(method.C_)) > 1


def test_cost_is_relative_to_the_features_size() -> None:
    X, Y = problem()
    small, large = LinearSVM().fit(X / 1024, Y), LinearSVM().fit(X * 1024, Y)
    np.testing.assert_allclose(small.C_ / large.C_, 2.0**40)
    np.testing.assert_allclose(small.scores(X / 1024), large.scores(X * 1024), atol=1e-6)
    fixed = LinearSVM(C=2.0).fit(X, Y)
    unit = ((X - X.mean(axis=0)) ** 2).sum(axis=1).mean()
    np.testing.assert_allclose(fixed.C_, [2 / unit] * 3, rtol=1e-5)


def test_constant_labels_and_folds_of_one_class() -> None:
    X, _ = problem(30)
    Y = np.zeros((30, 3), dtype=bool)
    Y[:, 0] = True
    Y[4, 2] = True  # four of the five folds train with it, one without
    method = LinearSVM().fit(X, Y)
    scores = method.scores(X)
    assert (scores[:, 0] == 1).all()
    assert (scores[:, 1] == -1).all()
    assert np.ptp(scores[:, 2]) > 0
    np.testing.assert_array_equal(method.labels(X)[:, :2], Y[:, :2])


def test_constant_features_have_no_weight() -> None:
    X, Y = problem(30)
    method = LinearSVM().fit(np.full((30, 4), 0.1), Y)
    assert (method.coef_ == 0).all()
    X = X.astype(float)
    X[:, 2] = 0.1
    assert (LinearSVM().fit(X, Y).coef_[:, 2] == 0).all()


def test_single_label_data_take_the_highest_score() -> None:
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(3, 5)) * 4
    of = rng.integers(0, 3, size=60)
    X, Y = centres[of] + rng.normal(size=(60, 5)), np.eye(3, dtype=bool)[of]
    assert "single" in LinearSVM.kinds
    assert (LinearSVM().fit(X, Y).scores(X).argmax(axis=1) == of).mean() > 0.9


def test_is_a_scikit_learn_estimator_and_repeats() -> None:
    X, Y = problem()
    X.flags.writeable = False
    method = clone(LinearSVM(C=1.0))
    assert method.get_params() == {"C": 1.0, "folds": 5}
    assert make_pipeline(StandardScaler(), method).fit(X, Y).predict(X).shape == Y.shape
    np.testing.assert_array_equal(LinearSVM().fit(X, Y).scores(X), LinearSVM().fit(X, Y).scores(X))


def test_bad_input_is_one_sentence() -> None:
    X, Y = problem()
    with pytest.raises(BenchError, match="needs at least 5 training rows and got 3"):
        LinearSVM().fit(X[:3], Y[:3])
    with pytest.raises(BenchError, match="not finite"):
        LinearSVM().fit(np.full_like(X, np.nan), Y)
    with pytest.raises(BenchError, match="only after fit"):
        LinearSVM().scores(X)
    with pytest.raises(BenchError, match="fitted with 8 features and now got 2"):
        LinearSVM().fit(X, Y).scores(X[:, :2])


# -- single-label data: one against one ---------------------------------------------------------


def classes(n: int = 120, d: int = 6, count: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Overlapping clouds off the origin, of unequal sizes; X, Y, and the class of each row."""
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(count, d)) * 1.5
    of = rng.choice(count, size=n, p=np.arange(1, count + 1) / np.arange(1, count + 1).sum())
    X = centres[of] + rng.normal(size=(n, d)) * rng.uniform(0.5, 2.5, size=d) + 4
    return X.astype(np.float32), np.eye(count, dtype=bool)[of], of


def single(**params: Any) -> Any:
    method = LinearSVM(**params)
    method.kind = "single"
    return method


def test_single_label_predictions_are_scikit_learns_one_against_one() -> None:
    X, Y, of = classes()
    new = classes(400)[0] + np.random.default_rng(5).normal(size=(400, 6)).astype(np.float32)
    for C in (0.05, 1.0, 20.0):
        method = single(C=C).fit(X, Y)
        assert len(method.coef_) == 6
        plain = SVC(C=method.C_[0], kernel="linear", decision_function_shape="ovo", tol=1e-6)
        plain.fit(X.astype(float), of)
        theirs = plain.decision_function(new)
        ours = new @ method.coef_.T + method.intercept_
        np.testing.assert_allclose(ours, theirs, atol=0.03)
        clear = np.abs(theirs).min(axis=1) > 0.03  # the same votes, whatever the last digits
        assert clear.sum() > 200
        assert (method.scores(new).argmax(axis=1) == plain.predict(new))[clear].all()
        labels = method.labels(new)
        assert (labels.sum(axis=1) == 1).all()
        assert (labels.argmax(axis=1) == method.scores(new).argmax(axis=1)).all()


def test_one_cost_for_all_pairs_with_the_fewest_wrong_classes() -> None:
    X, Y, of = classes()
    unit = ((X - X.mean(axis=0)) ** 2).sum(axis=1).mean()
    fold = np.random.default_rng(0).permutation(len(X)) % 5
    errors = []
    for cost in COSTS:
        wrong = 0
        for part in range(5):
            train = fold != part
            plain = SVC(C=cost / unit, kernel="linear").fit(X[train].astype(float), of[train])
            wrong += int((plain.predict(X[~train]) != of[~train]).sum())
        errors.append(wrong)
    assert len(set(errors)) > 1
    method = single().fit(X, Y)
    np.testing.assert_allclose(method.C_, [COSTS[int(np.argmin(errors))] / unit], rtol=1e-5)
    (remark,) = method.remarks()
    assert remark.startswith("linear-svm: one against one, 6 machines, C ")


def test_classes_without_training_rows_are_never_predicted() -> None:
    X, Y, of = classes()
    rows = of != 1
    scores = single(C=1.0).fit(X[rows], Y[rows]).scores(X)
    assert (scores[:, 1] == -1).all()
    only = single(C=1.0).fit(X[of == 2], Y[of == 2])
    assert only.labels(X).argmax(axis=1).tolist() == [2] * len(X)
    rare = np.flatnonzero(of == 0)
    kept = np.setdiff1d(np.arange(len(X)), rare[1:])  # one row: four folds have it, one has not
    assert single().fit(X[kept], Y[kept]).scores(X).shape == (len(X), 4)


def test_label_sets_are_refused_as_classes_and_memory_is_told() -> None:
    X, Y = problem()
    with pytest.raises(BenchError, match="exactly one class per row"):
        single().fit(X, Y)
    assert single().memory_needed(1000, 10, 7) > LinearSVM().memory_needed(1000, 10, 7)
    assert single(C=1.0).memory_needed(1000, 10, 7) >= 2 * 8 * 1000**2


# ------------------------------------ votes of pairs of classes, counted row by row

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
