"""`bench.learn.bases`: each kind of base against loops, and what is allowed as one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from builtin import method_class
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from bench.api import BenchError
from bench.learn.bases import (
    NEIGHBOURS,
    Problem,
    estimator_at,
    fit_base,
    takes_weights,
)
from bench.learn.c45 import C45
from bench.learn.parallel import in_threads, threads


def slow_probability(X: np.ndarray, problem: Problem, x: np.ndarray, k: int) -> np.ndarray:
    """Weka's IBk without normalised features, the lower row first in a tie."""
    rows = range(len(X)) if problem.rows is None else problem.rows
    near = sorted((float(((X[i].astype(float) - x) ** 2).sum()), i) for i in rows)[:k]
    votes = np.full(problem.classes, 1 / len(rows))
    for square, i in near:
        votes[problem.y[i]] += 1 / (np.sqrt(square / X.shape[1]) + 0.001) if k > 1 else 1
    return votes / votes.sum()


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, list[Problem]]:
    """Few values, hence duplicates and ties; problems over some of the rows, few ones too."""
    n, d = draw(st.integers(1, 80)), draw(st.integers(1, 3))
    dtype: Any = draw(st.sampled_from([np.float32, np.float64]))
    values = st.integers(-2, 2)
    X = draw(arrays.arrays(dtype, (n, d), elements=values))
    T = draw(arrays.arrays(dtype, (3, d), elements=values))
    found = []
    for _ in range(draw(st.integers(1, 3))):
        classes = draw(st.integers(2, 3))
        y = draw(arrays.arrays(np.int64, n, elements=st.integers(0, classes - 1)))
        rows = draw(st.none() | st.sets(st.integers(0, n - 1), min_size=1).map(sorted))
        kept = None if rows is None else np.array(rows)
        found.append(Problem(y, classes, kept, draw(st.integers(0, classes - 1))))
    return X, T, found


@pytest.mark.parametrize("base", sorted(NEIGHBOURS))
@given(case=problems())
@settings(deadline=None, max_examples=150)
def test_neighbours_equal_the_loops(
    base: str, case: tuple[np.ndarray, np.ndarray, list[Problem]]
) -> None:
    X, T, found = case
    models = fit_base(base, X, found, np.random.default_rng(0))
    slow = [
        np.array([slow_probability(X, problem, x.astype(float), NEIGHBOURS[base]) for x in T])
        for problem in found
    ]
    for (score, decision), again, problem, expected in zip(
        models.scored(T), models.decisions(T), found, slow, strict=True
    ):
        np.testing.assert_allclose(score, expected[:, problem.favoured], rtol=0, atol=1e-12)
        for given_class, probability in zip(decision, expected, strict=True):
            best = np.flatnonzero(probability == probability.max())
            assert given_class == (problem.favoured if problem.favoured in best else best[0])
        np.testing.assert_array_equal(decision, again)


def noise(rows: int = 60, features: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    X = rng.normal(size=(rows, features))
    return X, (X[:, 0] + rng.normal(size=rows) > 0).astype(np.int64)


def test_a_tie_goes_to_the_favoured_class() -> None:
    X, y = np.zeros((2, 1)), np.array([0, 1])  # two equal rows, one of each class
    for base in ("c45", "cart", "5nn"):
        for favoured in (0, 1):
            problem = Problem(y, 2, favoured=favoured)
            models = fit_base(base, X, [problem], np.random.default_rng(0))
            assert next(models.decisions(X)).tolist() == [favoured] * 2, base
            assert next(models.scored(X))[0].tolist() == [0.5] * 2, base


def test_rows_outside_a_problem_do_not_matter() -> None:
    X, y = noise()
    rows = np.arange(0, 60, 2)
    for base in ("c45", "cart", "nn", "5nn", KNeighborsClassifier(3)):
        one = fit_base(base, X, [Problem(y, 2, rows)], np.random.default_rng(0))
        other = fit_base(base, X[rows], [Problem(y[rows], 2)], np.random.default_rng(0))
        np.testing.assert_array_equal(next(one.scored(X)), next(other.scored(X)), str(base))


def test_cart_is_the_entropy_tree() -> None:
    X, y = noise()
    y = y + (X[:, 1] > 1)
    models = fit_base("cart", X, [Problem(y, 4)], np.random.default_rng(0))
    tree = DecisionTreeClassifier(criterion="entropy", random_state=0).fit(X, y)
    assert (next(models.decisions(X[:50] + 0.01)) == tree.predict(X[:50] + 0.01)).mean() > 0.9
    np.testing.assert_array_equal(next(models.decisions(X)), y)


def test_c45_with_other_settings_shares_the_sorting_too() -> None:
    X, y = noise()
    settings = C45(min_leaf=7, confidence=0.4, pruned=False)
    models = fit_base(settings, X, [Problem(y, 2, favoured=1)], np.random.default_rng(0))
    expected = clone(settings).fit(X, y).predict_proba(X)[:, 1]
    np.testing.assert_array_equal(next(models.scored(X))[0], expected)
    assert not hasattr(settings, "tree_")
    plain = fit_base("c45", X, [Problem(y, 2, favoured=1)], np.random.default_rng(0))
    assert (next(plain.scored(X))[0] != expected).any()


def test_threads_do_not_change_the_trees() -> None:
    X, y = noise()
    found = [Problem(y, 2), Problem(1 - y, 2), Problem(y, 2, np.arange(30))]
    answers = {}
    for count in (1, 2):
        with threadpool_limits(count, "blas"):
            for base in ("c45", "cart"):
                models = fit_base(base, X, found, np.random.default_rng(1))
                answers[base, count] = np.array(list(models.scored(X)))
    for base in ("c45", "cart"):
        np.testing.assert_array_equal(answers[base, 1], answers[base, 2])


def test_threads_are_capped_as_blas_is() -> None:
    with threadpool_limits(1, "blas"):
        assert threads() == 1
    assert in_threads(str, range(3)) == ["0", "1", "2"]
    assert in_threads(str, []) == []


def test_an_estimator_scores_as_it_can() -> None:
    X, y = noise()
    given = [Problem(y, 2, favoured=1), Problem(y, 2, favoured=0), Problem(y * 0, 2, favoured=1)]
    logistic, ridge, centroid = LogisticRegression(), RidgeClassifier(), NearestCentroid()
    for estimator, scores, constant in (
        (logistic, logistic.fit(X, y).predict_proba(X)[:, 1], 0.0),
        (ridge, ridge.fit(X, y).decision_function(X), -1.0),
    ):
        models = fit_base(estimator, X, given, np.random.default_rng(0))
        (one, label), (other, _), (none, absent) = models.scored(X)
        np.testing.assert_array_equal(one, scores)
        np.testing.assert_array_equal(label, estimator.predict(X))
        np.testing.assert_allclose(other, 1 - scores if estimator is logistic else -scores)
        assert set(none) == {constant}
        assert not absent.any()
    plain = make_pipeline(StandardScaler(), _Plain())
    (one, label), (other, _), _ = fit_base(plain, X, given, np.random.default_rng(0)).scored(X)
    np.testing.assert_array_equal(one, label)
    np.testing.assert_array_equal(other, 1 - label)
    assert not hasattr(centroid, "centroids_")


class _Plain(KNeighborsClassifier):
    """Predicts, and says no more."""

    predict_proba = property()  # type: ignore[assignment]


def test_estimators_are_cloned_and_seeded() -> None:
    X, y = noise()
    forest = RandomForestClassifier(3)
    inside = make_pipeline(StandardScaler(), forest)
    for base in (forest, inside):
        first, second = (
            next(fit_base(base, X, [Problem(y, 2)], np.random.default_rng(7)).scored(X + 1))[0]
            for _ in range(2)
        )
        np.testing.assert_array_equal(first, second)
    assert forest.random_state is None
    assert not hasattr(forest, "estimators_")
    fixed = RandomForestClassifier(3, random_state=0)
    models = fit_base(fixed, X, [Problem(y, 2, favoured=1)], np.random.default_rng(7))
    expected = clone(fixed).fit(X, y).predict_proba(X + 1)[:, 1]
    np.testing.assert_array_equal(next(models.scored(X + 1))[0], expected)


def test_weights_reach_the_rows_they_belong_to() -> None:
    X, y = noise()
    weights = np.random.default_rng(0).random(60)
    rows = np.arange(10, 50)
    for base in ("cart", LogisticRegression()):
        models = fit_base(base, X, [Problem(y, 2, rows)], np.random.default_rng(0), weights)
        other = fit_base(
            base, X[rows], [Problem(y[rows], 2)], np.random.default_rng(0), weights[rows]
        )
        np.testing.assert_array_equal(next(models.scored(X)), next(other.scored(X)))
    assert takes_weights("cart")
    assert takes_weights(LogisticRegression())
    for base in ("c45", "nn", "5nn", KNeighborsClassifier(), LinearDiscriminantAnalysis()):
        assert not takes_weights(base)


@pytest.mark.parametrize("method", ["rakel", "clr", "br"])
@pytest.mark.parametrize(
    "base", ["svm", "", 5, None, LinearRegression(), LogisticRegression, "os.path", "sklearn.x"]
)
def test_what_is_no_base_is_one_sentence(method: str, base: Any) -> None:
    with pytest.raises(BenchError, match=rf"{method}\[base=.*base takes c45 \| cart \| nn \| 5nn"):
        method_class(method)(base=base)


def test_a_multi_label_method_is_no_base() -> None:
    with pytest.raises(BenchError, match="base takes c45"):
        method_class("clr")(base=method_class("mlknn")())


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("sklearn.linear_model.LogisticRegresion", "there is no such class"),
        ("sklearn.nowhere.LogisticRegression", "there is no such class"),
        ("sklearn.linear_model", "there is no such class"),
        ("sklearn.linear_model._logistic.LogisticRegression", "there is no such class"),
        ("sklearn.linear_model.LogisticRegression()", "there is no such class"),
        ("sklearn.linear_model.LinearRegression", "that is no classifier"),
        ("sklearn.multiclass.OneVsRestClassifier", "needs parameters"),
    ],
)
def test_a_path_that_leads_nowhere_is_one_sentence(path: str, says: str) -> None:
    with pytest.raises(BenchError, match=says):
        method_class("br")(base=path)
    with pytest.raises(BenchError, match=says):
        estimator_at(path, "br")


def test_nothing_outside_scikit_learn_is_imported(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "outsider.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    for path in ("outsider.Model", "sklearn..outsider.Model", "outsider"):
        with pytest.raises(BenchError, match="there is no such class"):
            estimator_at(path, "br")


@pytest.mark.parametrize("method", ["rakel", "clr", "br"])
def test_parameters_of_the_base_are_within_reach(method: str) -> None:
    made = method_class(method)(base=KNeighborsClassifier(3))
    assert made.get_params()["base__n_neighbors"] == 3
    assert "base__n_neighbors" not in made.get_params(deep=False)
    copy = clone(made)
    assert copy.base is not made.base
    copy.set_params(base__n_neighbors=1)
    assert (copy.base.n_neighbors, made.base.n_neighbors) == (1, 3)
    with pytest.raises(BenchError, match=rf"{method}\[base=c45\] has no base__min_leaf"):
        method_class(method)(base__min_leaf=5)
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(60, 3)), rng.random((60, 6)) < 0.5
    search = GridSearchCV(made, {"base__n_neighbors": [1, 5]}, cv=2).fit(X, Y)
    assert search.predict(X).shape == (60, 6)


@pytest.mark.parametrize("method", ["rakel", "clr", "br"])
def test_weights_are_checked(method: str) -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(30, 3)), rng.random((30, 6)) < 0.5
    weights = rng.random(30)
    even = method_class(method)(base="cart").fit(X, Y).scores(X)
    np.testing.assert_array_equal(
        method_class(method)(base="cart").fit(X, Y, weights * 0 + 2).scores(X), even
    )
    for bad in (weights[:3], -weights, weights * 0, weights * np.nan, ["a"] * 30):
        with pytest.raises(BenchError, match=f"{method} takes sample_weight as 30 finite"):
            method_class(method)(base="cart").fit(X, Y, sample_weight=bad)
    with pytest.raises(BenchError, match=rf"{method}\[base=5nn\] takes no sample_weight"):
        method_class(method)(base="5nn").fit(X, Y, sample_weight=weights)
