"""`rakel` against loops over the definition, and against MULAN's results."""

from __future__ import annotations

from functools import partial
from itertools import combinations
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

RAkEL = method_class("rakel")
Sets = tuple[tuple[int, ...], ...]


def slow_scores(X: np.ndarray, Y: np.ndarray, T: np.ndarray, labelsets: Sets) -> np.ndarray:
    """Label powerset of each set by the nearest row, then the mean of the votes, in loops."""
    scores = np.zeros((len(T), Y.shape[1]))
    for t, x in enumerate(T):
        near = min(range(len(X)), key=lambda i: (float(((X[i] - x) ** 2).sum()), i))
        for label in range(Y.shape[1]):
            votes = [bool(Y[near, label]) for labelset in labelsets if label in labelset]
            scores[t, label] = sum(votes) / len(votes) if votes else 0
    return scores


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, Sets]:
    n, d, labels = draw(st.integers(1, 10)), draw(st.integers(1, 2)), draw(st.integers(1, 5))
    values = st.integers(-2, 2)
    X = draw(arrays.arrays(np.float64, (n, d), elements=values))
    T = draw(arrays.arrays(np.float64, (3, d), elements=values))
    Y = draw(arrays.arrays(bool, (n, labels)))
    exist = [c for k in range(1, labels + 1) for c in combinations(range(labels), k)]
    sets = draw(st.lists(st.sampled_from(exist), min_size=1, max_size=5, unique=True))
    return X, Y, T, tuple(sets)


@given(cases())
@settings(deadline=None, max_examples=100)
def test_equals_the_definition(case: tuple[np.ndarray, np.ndarray, np.ndarray, Sets]) -> None:
    X, Y, T, labelsets = case
    method = RAkEL(base="nn", labelsets=labelsets).fit(X, Y)
    expected = slow_scores(X, Y, T, labelsets)
    scores, labels = method.scores_and_labels(T)
    np.testing.assert_array_equal(scores, expected)
    np.testing.assert_array_equal(labels, expected >= 0.5)
    np.testing.assert_array_equal(method.scores(T), scores)
    np.testing.assert_array_equal(method.labels(T), labels)


def slow_votes(X: np.ndarray, Y: np.ndarray, T: np.ndarray, labelsets: Sets) -> np.ndarray:
    """As `slow_scores` for any models: combinations as text, three nearest rows vote."""
    scores, voters = np.zeros((len(T), Y.shape[1])), np.zeros(Y.shape[1])
    for labelset in labelsets:
        words = ["".join(str(int(Y[i, label])) for label in labelset) for i in range(len(Y))]
        model = KNeighborsClassifier(3).fit(X, words)
        for t, word in enumerate(model.predict(T)):
            for label, bit in zip(labelset, word, strict=True):
                scores[t, label] += int(bit)
        voters[list(labelset)] += 1
    return scores / np.maximum(voters, 1)


noise = partial(noisy_problem, rows=50, labels=6)


def test_models_differ_and_half_of_the_votes_is_present() -> None:
    X, Y = noise()
    labelsets = ((0, 1, 2), (1, 2, 3), (0, 4, 5))
    base = KNeighborsClassifier(3)
    method = RAkEL(base=base, labelsets=labelsets).fit(X[:30], Y[:30])
    expected = slow_votes(X[:30], Y[:30], X[30:], labelsets)
    scores, labels = method.scores_and_labels(X[30:])
    np.testing.assert_array_equal(scores, expected)
    assert (scores == 0.5).any()
    assert labels[scores == 0.5].all()
    strict = RAkEL(base=base, labelsets=labelsets, equality="negative").fit(X[:30], Y[:30])
    np.testing.assert_array_equal(strict.scores(X[30:]), scores)
    np.testing.assert_array_equal(strict.labels(X[30:]), scores > 0.5)


def test_a_label_in_no_set_is_absent() -> None:
    X, Y = noise()
    method = RAkEL(base="nn", labelsets="0-1/1-3").fit(X, Y)
    for equality in ("positive", "negative"):
        scores, labels = method.set_params(equality=equality).scores_and_labels(X)
        assert not scores[:, [2, 4, 5]].any()
        assert not labels[:, [2, 4, 5]].any()
        np.testing.assert_array_equal(labels[:, [0, 1, 3]], Y[:, [0, 1, 3]])


def test_draws_distinct_sets() -> None:
    X, Y = noise()
    for seed in range(5):
        sets = RAkEL(base="nn", k=3, models=20, random_state=seed).fit(X, Y).labelsets_
        assert sorted(sets) == list(combinations(range(6), 3))
    drawn = {tuple(RAkEL(base="nn", random_state=s).fit(X, Y).labelsets_) for s in (0, 0, 1, 2)}
    assert len(drawn) == 3
    assert all(len(set(sets)) == 12 for sets in drawn)
    method = RAkEL(base="nn", k=2, models=2, random_state=4).fit(X, Y)
    written = "/".join("-".join(map(str, one)) for one in method.labelsets_)
    assert method.remarks() == (f"rakel label sets: {written}",)
    again = RAkEL(base="nn", labelsets=written).fit(X, Y)
    np.testing.assert_array_equal(again.scores(X + 1), method.scores(X + 1))


def test_permuted_labels_permute_the_answer() -> None:
    X, Y = noise()
    order = np.array([3, 0, 5, 1, 4, 2])
    new = np.argsort(order)
    labelsets = ((0, 1, 2), (1, 3, 4), (0, 4, 5))
    moved = tuple(tuple(int(new[label]) for label in one) for one in labelsets)
    one = RAkEL(base="5nn", labelsets=labelsets).fit(X, Y).scores_and_labels(X + 0.3)
    other = RAkEL(base="5nn", labelsets=moved).fit(X, Y[:, order]).scores_and_labels(X + 0.3)
    np.testing.assert_array_equal(one[0][:, order], other[0])
    np.testing.assert_array_equal(one[1][:, order], other[1])


@pytest.mark.parametrize("base", ["c45", "cart", "nn", "5nn", KNeighborsClassifier(3)])
def test_constant_labels_and_few_rows(base: Any) -> None:
    X, Y = noise(labels=4)
    Y[:, 0], Y[:, 1] = True, False
    scores, labels = RAkEL(base=base, k=2, models=6).fit(X, Y).scores_and_labels(X)
    assert (scores[:, 0] == 1).all()
    assert (scores[:, 1] == 0).all()
    assert np.isfinite(scores).all()
    if not isinstance(base, str):
        return
    one = RAkEL(base=base, k=2, models=6).fit(X[:1], Y[:1])
    np.testing.assert_array_equal(one.labels(X), np.repeat(Y[:1], len(X), axis=0))
    assert labels.shape == Y.shape


def bars(name: str, kind: str) -> list[dict[str, Any]]:
    found = shared.bars(algorithm="RAkEL", dataset=name, kind=kind)
    assert len(found) == 9
    return found


def ibk() -> KNeighborsClassifier:
    """The 5-NN base of the reference results, in scikit-learn's words (emotions)."""
    return KNeighborsClassifier(
        5, algorithm="brute", weights=lambda D: 1 / (np.sqrt(D**2 / 72) + 0.001)
    )


@shared.needs_reference
@pytest.mark.parametrize("name", ["emotions", "yeast"])
def test_meets_the_exact_bars(name: str) -> None:
    X, Y, T, truth = shared.mulan(name)
    found = bars(name, "exact")
    method = RAkEL(base="5nn", labelsets=found[0]["params"]["labelsets"]).fit(X, Y)
    values = shared.reference_criteria(truth, *method.scores_and_labels(T))
    for bar in found:
        assert values[bar["criterion"]] == pytest.approx(bar["target"], rel=0, abs=bar["tolerance"])


@shared.needs_reference
@pytest.mark.parametrize("base", ["nn", "5nn"])
@pytest.mark.parametrize("name", ["emotions", "yeast"])
def test_equals_mulan_over_neighbours(name: str, base: str) -> None:
    X, Y, T, truth = shared.mulan(name)
    run = {"nn": "1nn", "5nn": "5nn"}[base]
    reference = shared.reference(f"{name}-rakel-mulan-{run}")
    method = RAkEL(base=base, labelsets=reference["params"]["labelsets"]).fit(X, Y)
    values = shared.reference_criteria(truth, *method.scores_and_labels(T))
    expected = reference["criteria"]
    assert {c: values[c] for c in expected} == pytest.approx(expected, rel=0, abs=1e-6)


@shared.needs_reference
@pytest.mark.parametrize("base", ["5nn", ibk()])
def test_equals_the_score_oracles(base: Any) -> None:
    X, Y, T, _ = shared.mulan("emotions")
    expected = shared.oracle("RAkEL5nn")
    method = RAkEL(base=base, labelsets=expected["labelsets"]).fit(X, Y)
    scores, labels = method.scores_and_labels(T)
    np.testing.assert_allclose(scores, expected["scores"], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(labels, np.array(expected["bipartition"], dtype=bool))


def check_statistical_bars(name: str, base: str, seeds: int) -> None:
    X, Y, T, truth = shared.mulan(name)
    found = bars(name, "statistical")
    runs = [
        shared.reference_criteria(
            truth,
            *RAkEL(base=base, models=found[0]["params"]["n_models"], random_state=seed)
            .fit(X, Y)
            .scores_and_labels(T),
        )
        for seed in range(seeds)
    ]
    key = "tolerance" if seeds == 1 else "tolerance_mean_of_5_seeds"
    for bar in found:
        value = np.mean([run[bar["criterion"]] for run in runs])
        assert value == pytest.approx(bar["target"], rel=0, abs=bar[key]), bar["criterion"]


@shared.needs_reference
@pytest.mark.parametrize("name", ["emotions", "yeast"])
def test_meets_the_statistical_bars(name: str) -> None:
    check_statistical_bars(name, "c45", 5)


@shared.needs_reference
@pytest.mark.parametrize("name", ["emotions", pytest.param("yeast", marks=pytest.mark.slow)])
def test_meets_the_statistical_bars_over_scikit_learns_tree(name: str) -> None:
    check_statistical_bars(name, "cart", 1)


def test_is_a_scikit_learn_estimator() -> None:
    X, Y = noise()
    method = clone(RAkEL(k=2, models=5, base="5nn", random_state=3))
    assert method.get_params() == {
        "k": 2,
        "models": 5,
        "base": "5nn",
        "labelsets": None,
        "equality": "positive",
        "scale": "none",
        "random_state": 3,
    }
    assert clone(RAkEL(labelsets="0-1/2-3")).labelsets == "0-1/2-3"
    pipeline = make_pipeline(StandardScaler(), method).fit(X, Y.astype(int))
    assert pipeline.predict(X).shape == Y.shape
    np.testing.assert_array_equal(pipeline.predict(X), pipeline.decision_function(X) >= 0.5)


def test_scaling_is_fitted_on_the_training_part() -> None:
    X, Y = noise()
    low, span = X[:30].min(axis=0), np.ptp(X[:30], axis=0)
    np.testing.assert_array_equal(
        RAkEL(base="nn", scale="minmax").fit(X[:30], Y[:30]).scores(X),
        RAkEL(base="nn").fit((X[:30] - low) / span, Y[:30]).scores((X - low) / span),
    )


@pytest.mark.parametrize(
    ("params", "labels", "says"),
    [
        ({}, 3, r"rakel\[k=3\] needs more than k labels and got 3; take k from 1 to 2"),
        ({"k": 1}, 1, r"rakel\[k=1\] needs more than k labels and got 1; take br"),
        ({}, 4, r"rakel\[k=3,models=12\] needs 12 .* there are 4; take models from 1 to 4"),
        ({"labelsets": "0-6"}, 6, "does not fit 6 labels; number them from 0 to 5"),
        ({"labelsets": ((0, -1),)}, 6, "does not fit 6 labels; number them from 0 to 5"),
    ],
)
def test_sets_that_do_not_exist_are_one_sentence(
    params: dict[str, Any], labels: int, says: str
) -> None:
    X, Y = noise(labels=labels)
    with pytest.raises(BenchError, match=says):
        RAkEL(base="nn", **params).fit(X, Y)


@pytest.mark.parametrize(
    "labelsets", ["", "0-1/", "a-b", "0-0", "0-1/1-0", "0,1", ((0, 1), (1, 0)), ((),), (), 5, (5,)]
)
def test_bad_label_sets_are_one_sentence(labelsets: Any) -> None:
    with pytest.raises(BenchError, match=r"rakel\[labelsets=.*distinct sets of label"):
        RAkEL(labelsets=labelsets)


@pytest.mark.parametrize("params", [{"k": 0}, {"models": 0}, {"equality": "half"}, {"scale": "l2"}])
def test_values_out_of_range_are_one_sentence(params: dict[str, Any]) -> None:
    with pytest.raises(BenchError, match="is not allowed"):
        RAkEL(**params)


def test_bad_input_is_one_sentence() -> None:
    X, Y = noise()
    with pytest.raises(BenchError, match="only after fit"):
        RAkEL().labels(X)
    with pytest.raises(BenchError, match="rakel got 50 rows of features but 4 rows of labels"):
        RAkEL().fit(X, Y[:4])
    with pytest.raises(BenchError, match="fitted with 4 features and now got 1"):
        RAkEL(base="nn").fit(X, Y).scores(X[:, :1])
