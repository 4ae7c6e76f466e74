"""`skml:NAME`: every member runs, says what it can do, and has the faults that its text states."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import shared
from builtin import method_class
from sklearn.base import clone
from skmultilearn import adapt

from bench.api import BenchError
from bench.plugins import Registry

pytestmark = pytest.mark.filterwarnings("ignore:numpy.core")  # MLARAM's import

REGISTRY = Registry()
SkML = method_class("skml:MLkNN")
MLkNN = method_class("mlknn")
MEMBERS: Any = __import__(SkML.__module__, fromlist=["MEMBERS"]).MEMBERS
PROBABILITY = {
    "BinaryRelevance",
    "ClassificationHeterogeneousFeature",
    "ClassifierChain",
    "InstanceBasedLogisticRegression",
    "LabelPowerset",
    "MLARAM",
    "MLkNN",
    "RakelD",
}


def problem(labels: int = 4, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(labels)
    X, T, W = rng.normal(size=(n, 5)), rng.normal(size=(12, 5)), rng.normal(size=(5, labels))
    return X, X @ W + rng.normal(size=(n, labels)) > 0, T


def test_eight_give_scores_and_rakelo_votes() -> None:
    assert len(MEMBERS) == 14
    scored = {name for name, member in MEMBERS.items() if member.scored == "probability"}
    assert scored == PROBABILITY
    assert {name for name, member in MEMBERS.items() if member.scored == "votes"} == {"RakelO"}
    for name in MEMBERS:
        assert name in (SkML.__doc__ or ""), "bench info must speak of every member"


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_every_member_fits_and_predicts(name: str) -> None:
    X, Y, T = (np.asfortranarray(a) for a in problem())
    for a in (X, Y, T):
        a.flags.writeable = False
    before = random.getstate()
    method = clone(SkML(member=name)).fit(X, Y)
    scores, labels = method.scores_and_labels(T)
    assert (labels.dtype, labels.shape) == (bool, (12, 4))
    assert 0 < labels.mean() < 1
    if name in PROBABILITY | {"RakelO"}:
        assert (scores.dtype, scores.shape) == (np.float64, (12, 4))
        assert np.isfinite(scores).all()
        assert scores[labels].mean() > scores[~labels].mean()
    else:
        assert scores is None
    again = method.fit(X, Y)
    np.testing.assert_array_equal(again.labels(T), labels)
    if scores is not None:
        np.testing.assert_array_equal(again.scores(T), scores)
    assert before == random.getstate()
    assert method.labels(T[:0]).shape == (0, 4)
    assert method.predict(T).dtype == int


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_labels_that_do_not_vary(name: str) -> None:
    X, Y, T = problem()
    Y[:, 0], Y[:, 2] = False, True
    scores, labels = SkML(member=name).fit(X, Y).scores_and_labels(T)
    assert labels.shape == Y[:12].shape
    if not MEMBERS[name].constant:
        assert not labels[:, 0].any()
        assert labels[:, 2].all()
        if scores is not None:
            np.testing.assert_array_equal(scores[:, [0, 2]], np.tile([0.0, 1.0], (12, 1)))
        alone = SkML(member=name).fit(X, Y[:, [0, 2]]).labels(T)
        np.testing.assert_array_equal(alone, np.tile([False, True], (12, 1)))


@pytest.mark.parametrize("name", sorted(MEMBERS))
@pytest.mark.parametrize("labels", [1, 2, 3])
def test_few_labels(name: str, labels: int) -> None:
    X, Y, T = problem(labels)
    if labels < MEMBERS[name].labels:
        with pytest.raises(BenchError, match=f"skml:{name} cannot learn fewer than 2 labels"):
            SkML(member=name).fit(X, Y)
    else:
        assert SkML(member=name).fit(X, Y).labels(T).shape == (12, labels)


def test_seeds_change_the_label_sets_only() -> None:
    X, Y, _ = problem(labels=6)
    models = [SkML(member="RakelO", random_state=seed).fit(X, Y) for seed in (0, 0, 1)]
    sets = [[list(labels) for labels in model.fitted_.classifier.partition_] for model in models]
    assert sets[0] == sets[1] != sets[2]


def test_unknown_members_and_parameters_are_told() -> None:
    with pytest.raises(BenchError, match="did you mean MLkNN"):
        SkML(member="MLKNN")
    with pytest.raises(BenchError, match="did you mean RakelO or RakelD"):
        SkML(member="Rakel")
    with pytest.raises(BenchError, match="needs a name after the colon"):
        SkML().fit(*problem()[:2])
    with pytest.raises(BenchError, match="skml:MLkNN has no parameter 'base'"):
        SkML(member="MLkNN", base="tree").fit(*problem()[:2])
    with pytest.raises(BenchError, match="skml:LabelPowerset has no parameter 'k'"):
        SkML(member="LabelPowerset", k=3).fit(*problem()[:2])
    with pytest.raises(BenchError, match=r"skml:MLkNN\[k=99\] got 60 training rows"):
        SkML(member="MLkNN", k=99).fit(*problem()[:2])
    with pytest.raises(BenchError, match="only after fit"):
        SkML(member="MLkNN").labels(np.eye(5))
    with pytest.raises(BenchError, match=r"skml:MLkNN .*not finite"):
        SkML(member="MLkNN").fit(np.full((60, 5), np.nan), problem()[1])


@pytest.mark.parametrize("base", ["naive-bayes", "logistic", "tree"])
def test_the_base_classifier_can_be_chosen(base: str) -> None:
    X, Y, _ = problem()
    method = SkML(member="BinaryRelevance", base=base).fit(X, Y)
    assert (method.labels(X) == Y).mean() > 0.75
    default = SkML(member="BinaryRelevance").fit(X, Y)
    assert method.remarks() == (f"skml:BinaryRelevance: base={base}",)
    assert default.remarks() == ("skml:BinaryRelevance: base=naive-bayes",)
    same = (method.scores(X) == default.scores(X)).all()
    assert same == (base == "naive-bayes")


# --- MLkNN's fault, and the parameter of `mlknn` that reproduces it


def criteria(method: Any, T: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    return shared.reference_criteria(truth, *method.scores_and_labels(T))


@shared.needs_reference
@pytest.mark.parametrize("name", ["emotions", "yeast"])
def test_mlknn_of_the_library_is_not_the_published_method(name: str) -> None:
    X, Y, T, truth = shared.mulan(name)
    library, ours = SkML(member="MLkNN").fit(X, Y), MLkNN(k=10).fit(X, Y)
    published = shared.reference(f"{name}-mlknn-matlab")["criteria"]
    loss = published["hamming_loss"]
    assert criteria(ours, T, truth)["hamming_loss"] == pytest.approx(loss, abs=1e-6)
    assert criteria(library, T, truth)["hamming_loss"] > loss + 0.009
    # The fault: in training, each row's own labels are among its neighbours'.
    present = np.asarray(library.fitted_._cond_prob_true.todense())
    smallest = 1 / (10 + 1 + Y.sum(axis=0))  # s / (s (k + 1) + rows with the label)
    np.testing.assert_allclose(present[:, 0], smallest)
    assert (ours.present_[0] > smallest + 1e-9).any()


@shared.needs_reference
@pytest.mark.parametrize("name", ["emotions", "yeast"])
@pytest.mark.parametrize("ignored", [0, 1])
def test_the_compatibility_parameter_gives_the_library_s_results(name: str, ignored: int) -> None:
    X, Y, T, truth = shared.mulan(name)
    method = MLkNN(k=10, ignore_first_neighbours=ignored).fit(X, Y)
    scores, labels = method.scores_and_labels(T)
    library = adapt.MLkNN(k=10, ignore_first_neighbours=ignored).fit(X, Y.astype(int))
    np.testing.assert_allclose(scores, library.predict_proba(T).toarray(), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(labels, library.predict(T).toarray() > 0)
    values = criteria(method, T, truth)
    expected = shared.reference(f"{name}-mlknn-skmultilearn-ign{ignored}")["criteria"]
    assert {c: values[c] for c in expected} == pytest.approx(expected, rel=0, abs=1e-6)


@pytest.mark.parametrize("ignored", [0, 1, 2])
def test_the_compatibility_parameter_on_a_small_case(ignored: int) -> None:
    X, Y, T = problem(n=25)
    method = MLkNN(k=4, ignore_first_neighbours=ignored).fit(X, Y)
    library = adapt.MLkNN(k=4, ignore_first_neighbours=ignored).fit(X, Y.astype(int))
    np.testing.assert_allclose(method.scores(T), library.predict_proba(T).toarray(), atol=1e-12)
    if ignored:
        assert (method.scores(T) != MLkNN(k=4).fit(X, Y).scores(T)).any()
        with pytest.raises(BenchError, match=f"take k below {25 - ignored}"):
            MLkNN(k=25 - ignored, ignore_first_neighbours=ignored).fit(X, Y)


# --- the other faults, as the class says them; a release that mends one fails here


def test_fault_of_rakelo() -> None:
    X, Y, T = problem(labels=4)
    method = SkML(member="RakelO").fit(X, Y)
    voting = method.fitted_.classifier
    assert len(voting.partition_) == 2 * 4 + 1
    distinct = {tuple(sorted(labels)) for labels in voting.partition_}
    assert len(distinct) <= 4 < len(voting.partition_)
    votes = method.scores(T)
    models = [sum(label in labels for labels in voting.partition_) for label in range(4)]
    np.testing.assert_allclose(votes * models, np.rint(votes * models), atol=1e-12)
    clear = votes != 0.5
    np.testing.assert_array_equal(method.labels(T)[clear], votes[clear] > 0.5)
    halves = []
    for seed in range(20):
        method = SkML(member="RakelO", random_state=seed).fit(X, Y)
        half = method.scores(X) == 0.5
        halves.extend(method.labels(X)[half])
    assert halves
    assert not any(halves)


def test_fault_of_mltsvm() -> None:
    X, Y, _ = problem()
    method = SkML(member="MLTSVM").fit(X, Y)
    changed = Y.copy()
    changed[:, 1] = ~changed[:, 1]
    weights = SkML(member="MLTSVM").fit(X, changed).fitted_.wk_bk
    assert (weights[[0, 2, 3]] != method.fitted_.wk_bk[[0, 2, 3]]).any(axis=1).all()


def test_fault_of_mlaram() -> None:
    X, Y, T = problem()
    method = SkML(member="MLARAM").fit(X, Y)
    far = np.vstack([T, np.full((1, 5), 50.0)])
    assert (method.scores(T) != method.scores(far)[:-1]).any()
    assert method.scores(T).max() > 1


def test_faults_of_brknn() -> None:
    X = np.arange(8.0)[:, None]
    half = np.tile([[True, False], [False, True]], (4, 1))
    assert not SkML(member="BRkNNaClassifier", k=2).fit(X, half).labels(X).any()
    none = np.zeros((8, 2), bool)
    none[7] = True
    assert SkML(member="BRkNNbClassifier", k=2).fit(X, none).labels(X[:3]).all()


def test_fault_of_the_probabilistic_chain() -> None:
    X, Y, T = problem(labels=2)
    method = SkML(member="ProbabilisticClassifierChain").fit(X, Y)
    chosen = method.fitted_.predict_proba(T).toarray()
    absent = ~method.labels(T)
    assert (chosen[absent] > 0.5).any()
