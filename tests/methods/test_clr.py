"""`clr` against loops over the definition, and against MULAN's results."""

from __future__ import annotations

from functools import partial
from typing import Any

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
import shared
from builtin import method_class
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import noisy_problem
from sklearn.base import clone
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bench.api import BenchError

CLR = method_class("clr")


def says_first(X: np.ndarray, y: list[bool], x: np.ndarray, k: int) -> bool:
    """Whether the weighted vote of the k nearest rows is for True; True in a tie."""
    near = sorted((float(((row - x) ** 2).sum()), i) for i, row in enumerate(X))[:k]
    votes = {True: 1 / len(X), False: 1 / len(X)}
    for square, i in near:
        votes[bool(y[i])] += 1 / (np.sqrt(square / X.shape[1]) + 0.001) if k > 1 else 1
    return votes[True] >= votes[False]


def slow_votes(
    X: np.ndarray, Y: np.ndarray, T: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Machine Learning 73 (2008), pairwise comparison with a calibration label, in loops."""
    labels = Y.shape[1]
    votes, virtual = np.zeros((len(T), labels), dtype=int), np.zeros(len(T), dtype=int)
    for t, x in enumerate(T):
        for i in range(labels):
            for j in range(i + 1, labels):
                rows = [r for r in range(len(X)) if Y[r, i] != Y[r, j]]
                if not rows:
                    continue
                winner = i if says_first(X[rows], [Y[r, i] for r in rows], x, k) else j
                votes[t, winner] += 1
        for label in range(labels):
            if says_first(X, list(Y[:, label]), x, k):
                votes[t, label] += 1
            else:
                virtual[t] += 1
    return votes, virtual


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Few values, hence ties; few rows, hence pairs of labels that no row tells apart."""
    n, d, labels = draw(st.integers(1, 10)), draw(st.integers(1, 2)), draw(st.integers(1, 4))
    values = st.integers(-2, 2)
    X = draw(arrays.arrays(np.float64, (n, d), elements=values))
    T = draw(arrays.arrays(np.float64, (3, d), elements=values))
    return X, draw(arrays.arrays(bool, (n, labels))), T


@pytest.mark.parametrize(("base", "k"), [("nn", 1), ("5nn", 5)])
@given(case=cases())
@settings(deadline=None, max_examples=100)
def test_equals_the_definition(
    base: str, k: int, case: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    X, Y, T = case
    votes, virtual = slow_votes(X, Y, T, k)
    method = CLR(base=base).fit(X, Y)
    scores, labels = method.scores_and_labels(T)
    np.testing.assert_array_equal(scores, votes / Y.shape[1])
    np.testing.assert_array_equal(labels, votes >= virtual[:, None])
    np.testing.assert_array_equal(method.scores(T), scores)
    np.testing.assert_array_equal(method.labels(T), labels)
    strict = CLR(base=base, equality="negative").fit(X, Y)
    np.testing.assert_array_equal(strict.scores(T), scores)
    np.testing.assert_array_equal(strict.labels(T), votes > virtual[:, None])


noise = partial(noisy_problem, rows=50, labels=5)


def test_as_many_votes_as_the_virtual_label_is_present() -> None:
    X, Y = noise()
    lenient, strict = CLR(base="5nn").fit(X, Y), CLR(base="5nn", equality="negative").fit(X, Y)
    T = np.random.default_rng(4).normal(size=(200, 4))
    assert (lenient.labels(T) & ~strict.labels(T)).any()
    assert not (strict.labels(T) & ~lenient.labels(T)).any()


@pytest.mark.parametrize("base", ["c45", "cart", "nn", "5nn", KNeighborsClassifier(3)])
def test_constant_labels_pairs_without_rows_and_one_row(base: Any) -> None:
    X, Y = noise()
    Y[:, 0], Y[:, 1], Y[:, 3] = True, False, Y[:, 2]
    method = CLR(base=base).fit(X, Y)
    assert (2, 3) not in method.pairs_
    assert len(method.pairs_) == 9
    scores, labels = method.scores_and_labels(X)
    assert labels[:, 0].all()
    assert (scores[:, 0] == 1).all()
    assert (scores[:, 1] == 0).all()
    np.testing.assert_array_equal(scores[:, 2], scores[:, 3])
    if isinstance(base, str):
        one = CLR(base=base).fit(X[:1], Y[:1])
        np.testing.assert_array_equal(one.labels(X), np.repeat(Y[:1], len(X), axis=0))


@pytest.mark.parametrize("base", ["c45", "cart", "nn", "5nn", KNeighborsClassifier(3)])
def test_one_label_is_binary_relevance(base: Any) -> None:
    X, Y = noise()
    br = method_class("br")
    scores, labels = CLR(base=base).fit(X, Y[:, :1]).scores_and_labels(X + 0.2)
    expected = br(base=base).fit(X, Y[:, :1]).labels(X + 0.2)
    np.testing.assert_array_equal(labels, expected)
    np.testing.assert_array_equal(scores, expected)


def test_permuted_labels_permute_the_answer() -> None:
    X, Y = noise()
    order = np.array([3, 0, 1, 4, 2])
    one = CLR(base="5nn").fit(X, Y).scores_and_labels(X + 0.3)
    other = CLR(base="5nn").fit(X, Y[:, order]).scores_and_labels(X + 0.3)
    np.testing.assert_array_equal(one[0][:, order], other[0])
    np.testing.assert_array_equal(one[1][:, order], other[1])


def bars(name: str, kind: str) -> list[dict[str, Any]]:
    return shared.bars(algorithm="CLR", dataset=name, kind=kind)


def meets(found: list[dict[str, Any]], values: dict[str, float]) -> None:
    assert len(found) == 9
    for bar in found:
        assert values[bar["criterion"]] == pytest.approx(
            bar["target"], rel=0, abs=bar["tolerance"]
        ), bar["criterion"]


@shared.needs_reference
@pytest.mark.parametrize(("base", "written"), [("nn", "1-NN"), ("5nn", "5-NN")])
@pytest.mark.parametrize("name", ["emotions", "yeast"])
def test_meets_the_exact_bars(name: str, base: str, written: str) -> None:
    X, Y, T, truth = shared.mulan(name)
    values = shared.reference_criteria(truth, *CLR(base=base).fit(X, Y).scores_and_labels(T))
    meets([b for b in bars(name, "exact") if b["params"]["base"].startswith(written)], values)


@shared.needs_reference
@pytest.mark.parametrize("name", ["emotions", "yeast"])
def test_over_c45_equals_mulan_over_j48(name: str) -> None:
    X, Y, T, truth = shared.mulan(name)
    values = shared.reference_criteria(truth, *CLR().fit(X, Y).scores_and_labels(T))
    meets(bars(name, "statistical"), values)
    reference = shared.reference(f"{name}-clr-mulan-j48")["criteria"]
    for criterion, expected in reference.items():
        tolerance = 0.03 if criterion == "coverage" else 0.005
        assert values[criterion] == pytest.approx(expected, rel=0, abs=tolerance), criterion


@shared.needs_reference
@pytest.mark.parametrize("name", ["emotions", pytest.param("yeast", marks=pytest.mark.slow)])
def test_meets_the_statistical_bars_over_scikit_learns_tree(name: str) -> None:
    X, Y, T, truth = shared.mulan(name)
    values = shared.reference_criteria(truth, *CLR(base="cart").fit(X, Y).scores_and_labels(T))
    meets(bars(name, "statistical"), values)


@shared.needs_reference
@pytest.mark.parametrize(
    "base",
    [
        "5nn",
        KNeighborsClassifier(
            5, algorithm="brute", weights=lambda D: 1 / (np.sqrt(D**2 / 72) + 0.001)
        ),
    ],
)
def test_equals_the_score_oracles(base: Any) -> None:
    X, Y, T, _ = shared.mulan("emotions")
    expected = shared.oracle("CLR5nn")
    scores, labels = CLR(base=base).fit(X, Y).scores_and_labels(T)
    np.testing.assert_allclose(scores, expected["scores"], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(labels, np.array(expected["bipartition"], dtype=bool))


def test_is_a_scikit_learn_estimator() -> None:
    X, Y = noise()
    method = clone(CLR(base="5nn", equality="negative"))
    assert method.get_params() == {"base": "5nn", "equality": "negative", "scale": "none"}
    pipeline = make_pipeline(StandardScaler(), method).fit(X, Y.astype(int))
    assert pipeline.predict(X).shape == Y.shape
    assert pipeline.decision_function(X).shape == Y.shape


def test_fitted_twice_is_fitted_once() -> None:
    X, Y = noise()
    twice = CLR().fit(X[:20], Y[:20, :3]).fit(X, Y)
    np.testing.assert_array_equal(twice.scores(X + 0.3), CLR().fit(X, Y).scores(X + 0.3))


def test_scaling_is_fitted_on_the_training_part() -> None:
    X, Y = noise()
    low, span = X[:30].min(axis=0), np.ptp(X[:30], axis=0)
    np.testing.assert_array_equal(
        CLR(base="nn", scale="minmax").fit(X[:30], Y[:30]).scores(X),
        CLR(base="nn").fit((X[:30] - low) / span, Y[:30]).scores((X - low) / span),
    )


def test_bad_input_is_one_sentence() -> None:
    X, Y = noise()
    with pytest.raises(BenchError, match="only after fit"):
        CLR().labels(X)
    with pytest.raises(BenchError, match="clr got 50 rows of features but 4 rows of labels"):
        CLR().fit(X, Y[:4])
    with pytest.raises(BenchError, match="fitted with 4 features and now got 1"):
        CLR(base="nn").fit(X, Y).scores(X[:, :1])
    with pytest.raises(BenchError, match=r"clr\[equality=both\] is not allowed"):
        CLR(equality="both")
