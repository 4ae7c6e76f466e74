"""`br` against scikit-learn label by label, and against MULAN's results."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import shared
from builtin import method_class
from problems import noisy_problem
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from bench.api import BenchError
from bench.plugins import Registry
from bench.run.grammar import parse_part
from bench.run.methods import specs

BR = method_class("br")


noise = partial(noisy_problem, rows=60, labels=4)


@pytest.mark.parametrize(
    "base",
    [
        LogisticRegression(C=0.1),
        Perceptron(random_state=0),
        SVC(),
        RandomForestClassifier(5, random_state=0),
        DecisionTreeClassifier(min_samples_leaf=4, random_state=0),
        NearestCentroid(),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ],
    ids=lambda base: type(base).__name__,
)
def test_equals_scikit_learn_label_by_label(base: Any) -> None:
    X, Y = noise()
    T = X + 0.4
    scores, labels = BR(base=base).fit(X, Y).scores_and_labels(T)
    theirs = MultiOutputClassifier(base).fit(X, Y.astype(int))
    np.testing.assert_array_equal(labels, theirs.predict(T))
    for label, model in enumerate(theirs.estimators_):
        if hasattr(model, "predict_proba"):
            expected = model.predict_proba(T)[:, 1]
        else:
            expected = model.decision_function(T)
        np.testing.assert_array_equal(scores[:, label], expected)


def test_weights_reach_every_model() -> None:
    X, Y = noise()
    weights = np.random.default_rng(0).random(60)
    ours = BR(base=LogisticRegression()).fit(X, Y, sample_weight=weights)
    theirs = MultiOutputClassifier(LogisticRegression()).fit(X, Y.astype(int), weights)
    expected = np.stack([p[:, 1] for p in theirs.predict_proba(X)], axis=1)
    np.testing.assert_array_equal(ours.scores(X), expected)


@pytest.mark.parametrize("base", ["c45", "cart", "nn", "5nn", LogisticRegression(), SVC()])
def test_constant_labels_and_one_label(base: Any) -> None:
    X, Y = noise()
    Y[:, 0], Y[:, 1] = True, False
    scores, labels = BR(base=base).fit(X, Y).scores_and_labels(X)
    assert labels[:, 0].all()
    assert not labels[:, 1].any()
    assert (scores[:, 0] > scores[:, 1]).all()
    one = BR(base=base).fit(X, Y[:, 2:3]).scores_and_labels(X)
    np.testing.assert_array_equal(one[0], scores[:, 2:3])
    np.testing.assert_array_equal(one[1], labels[:, 2:3])


@pytest.mark.parametrize("base", ["c45", "cart", "nn", "5nn"])
def test_named_bases_say_present_from_one_half(base: str) -> None:
    X, Y = noise()
    scores, labels = BR(base=base).fit(X, Y).scores_and_labels(X + 0.4)
    np.testing.assert_array_equal(labels, scores >= 0.5)
    assert np.isfinite(scores).all()
    assert ((scores >= 0) & (scores <= 1)).all()


@shared.needs_reference
@pytest.mark.parametrize(("base", "run"), [("nn", "1nn"), ("5nn", "5nn"), ("c45", "j48")])
@pytest.mark.parametrize("name", ["emotions", "yeast"])
def test_equals_mulan(name: str, base: str, run: str) -> None:
    X, Y, T, truth = shared.mulan(name)
    scores, labels = BR(base=base).fit(X, Y).scores_and_labels(T)
    values = shared.reference_criteria(truth, scores, labels)
    expected = shared.reference(f"{name}-br-mulan-{run}")["criteria"]
    assert {c: values[c] for c in expected} == pytest.approx(expected, rel=0, abs=1e-6)


def test_the_command_line_takes_a_path() -> None:
    X, Y = noise()
    text = "br[base=sklearn.linear_model.LogisticRegression|sklearn.svm.SVC|cart,scale=zscore]"
    made = [spec.make() for spec in specs(Registry(), "method", parse_part(text))]
    assert [one.base for one in made][2] == "cart"
    expected = BR(base=LogisticRegression(), scale="zscore").fit(X, Y).scores(X)
    np.testing.assert_array_equal(made[0].fit(X, Y).scores(X), expected)
    assert made[1].fit(X, Y).scores(X).shape == Y.shape
    assert clone(made[0]).base == made[0].base


def test_runs_by_name_only() -> None:
    entry, _ = Registry().find("method", "br")
    assert entry.load().by_name_only


def test_is_a_scikit_learn_estimator() -> None:
    X, Y = noise()
    method = clone(BR(base=LogisticRegression(C=0.5)))
    assert method.get_params()["base__C"] == 0.5
    assert sorted(method.get_params(deep=False)) == ["base", "scale"]
    pipeline = make_pipeline(StandardScaler(), method).fit(X, Y.astype(int))
    np.testing.assert_array_equal(pipeline.predict(X), pipeline.decision_function(X) > 0.5)


def test_bad_input_is_one_sentence() -> None:
    X, Y = noise()
    with pytest.raises(BenchError, match="only after fit"):
        BR().labels(X)
    with pytest.raises(BenchError, match="br got 60 rows of features but 4 rows of labels"):
        BR().fit(X, Y[:4])
    with pytest.raises(BenchError, match="fitted with 4 features and now got 1"):
        BR(base="nn").fit(X, Y).scores(X[:, :1])
