"""Features that solvers stumble over: huge, tiny, constant, repeated; what a row then says."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from builtin import method_class

from bench.api import BenchError, Classifier
from bench.run.measure import _on_features

# Answers of these do not depend on the features' unit; with a linear kernel C does.
FREE_OF_UNIT: dict[str, dict[str, Any]] = {
    "mlknn": {"k": 5},
    "lift": {},
    "ml-loc": {"m": 3},
    "ml2": {"k": 5},
    "linear-svm": {"C": 1.0},
    "sa-bfgs": {},
    "aa-knn": {},
}
SOLVERS = [*FREE_OF_UNIT.items(), ("lift", {"kernel": "linear"}), ("br", {"base": "cart"})]


def problem() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X, T = (rng.normal(size=(n, 10)).astype(np.float32) for n in (80, 30))
    return X, X @ rng.normal(size=(10, 4)) > 0.3, T


def fitted(name: str, params: dict[str, Any], X: np.ndarray, Y: np.ndarray) -> Classifier:
    method: Classifier = method_class(name)(**params)
    if method.learns == "distribution":
        Y = (Y + 0.1) / (Y + 0.1).sum(axis=1, keepdims=True)
    return method.fit(X, Y)


@pytest.mark.parametrize("unit", [1e30, 1e-30])
@pytest.mark.parametrize("name", FREE_OF_UNIT)
def test_the_unit_of_the_features_does_not_matter(name: str, unit: float) -> None:
    X, Y, T = problem()
    expected = fitted(name, FREE_OF_UNIT[name], X, Y).scores(T)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        method = fitted(name, FREE_OF_UNIT[name], X * np.float32(unit), Y)
        found = method.scores(T * np.float32(unit))
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-2)
    assert method.footnotes() == ()


@pytest.mark.parametrize(("name", "params"), SOLVERS)
@pytest.mark.parametrize("kind", ["zero", "constant", "one row", "repeated", "collinear", "far"])
def test_answers_are_finite(name: str, params: dict[str, Any], kind: str) -> None:
    X, Y, T = problem()
    given = {
        "zero": (X * 0, Y, T * 0),
        "constant": (X * 0 + 7, Y, T * 0 + 7),
        "one row": (X[:1], Y[:1], T),
        "repeated": (np.repeat(X[:20], 4, axis=0), Y, T),
        "collinear": (np.repeat(X[:, :1], 10, axis=1), Y, np.repeat(T[:, :1], 10, axis=1)),
        "far": (X, Y, T * np.float32(1e30)),
    }
    A, B, C = given[kind]
    if kind == "one row" and name in ("mlknn", "ml2", "aa-knn"):
        with pytest.raises(BenchError, match="training rows and got 1"):
            fitted(name, params, A, B)
        return
    assert np.isfinite(fitted(name, params, A, B).scores(C)).all()


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
@pytest.mark.parametrize("name", ["lift", "linear-svm"])
def test_squares_beyond_every_number_are_refused(name: str) -> None:
    X, Y, _ = problem()
    with pytest.raises(BenchError, match=r"squares its features, .*e\+200, .*: scale them"):
        fitted(name, FREE_OF_UNIT[name], X.astype(np.float64) * 1e200, Y)


def test_a_search_that_stops_early_is_a_footnote() -> None:
    X, Y, _ = problem()
    assert fitted("sa-bfgs", {}, X, Y).footnotes() == ()
    limited = fitted("sa-bfgs", {"iterations": 3}, X, Y)
    assert limited.footnotes() == ("sa-bfgs: stopped at the limit of 3 iterations",)
    far = fitted("sa-bfgs", {}, X + np.float32(1e6), Y)
    assert far.footnotes() == (
        "sa-bfgs: the search stopped before the minimum; scale the features",
    )
    assert "stopped before the minimum, at a gradient of" in far.remarks()[0]


def test_features_that_tell_no_rows_apart_are_a_footnote() -> None:
    X, _, _ = problem()
    method = method_class("mlknn")()
    assert _on_features(method, X) == ()
    assert _on_features(method, X * 0) == ("mlknn: all features are constant on the training part",)
    assert _on_features(method_class("prior")(), X[:, :0]) == ()
