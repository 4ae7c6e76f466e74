"""The classifiers against every bar of the reference results; the file states them, not this one.

Each configuration is fitted once for all its bars. Where a bar is about trees, C4.5 stands for the
J48 and `cart` for the scikit-learn tree that it was drawn from.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
import shared
from builtin import dataset_class, method_class

from bench.api import FaceSet
from bench.data.protocols import folds
from bench.score.criteria import CRITERIA, evaluate

pytestmark = shared.needs_reference

TREE = "DecisionTreeClassifier(criterion='entropy')"
BASES = {
    "1-NN Euclid raw": "nn",
    "5-NN, weight 1/(sqrt(d^2/n_features)+0.001), Euclid raw": "5nn",
    TREE: "c45",
}
SCALES = {
    "euclidean raw features": "none",
    "euclidean, features min-max scaled on train (= weka EuclideanDistance default)": "minmax",
    "raw": "none",
    "minmax": "minmax",
}
SEEDS = 5  # of what depends on one: the statistical bars have a tolerance for the mean of as many
SLOW = {("yeast", "ML2"), ("yeast", "LIFT")}


class Configuration(NamedTuple):
    """What one fit, or one per seed, can answer: bars that differ in their criterion only."""

    dataset: str
    algorithm: str
    kind: str
    params: dict[str, Any]
    bars: list[dict[str, Any]]

    def __str__(self) -> str:
        what = self.params.get("base", self.params.get("distance", self.params.get("features", "")))
        detail = BASES.get(what) or SCALES.get(what) or self.params.get("gamma") or "cv10"
        return f"{self.dataset}-{self.algorithm}-{self.kind}-{detail}".replace(" ", "-")


def configurations() -> list[Configuration]:
    """All bars of the file, grouped; none where there is no file."""
    found: dict[str, Configuration] = {}
    for bar in shared.bars():
        one = Configuration(bar["dataset"], bar["algorithm"], bar["kind"], bar["params"], [])
        found.setdefault(json.dumps(one), one).bars.append(bar)
    return list(found.values())


CONFIGURATIONS = configurations()
FIXED = [one for one in CONFIGURATIONS if one.kind != "published"]
PUBLISHED = [one for one in CONFIGURATIONS if one.kind == "published"]


def method(algorithm: str, params: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Our name and parameters for an algorithm of the file; KeyError for what is not known."""
    given = dict(params)
    if algorithm == "MLkNN":
        given.pop("self", None)  # "excluded by index", as `mlknn` always does
        scale = SCALES[given.pop("distance", "raw")]
        return "mlknn", {"k": given.pop("k"), "s": given.pop("s"), "scale": scale} | given
    if algorithm in ("CLR", "RAkEL"):
        ours = {"base": BASES[given.pop("base")]}
        if algorithm == "RAkEL":
            ours["k"] = given.pop("k")
            if "n_models" in given:
                ours["models"] = given.pop("n_models")
        return algorithm.lower(), ours | given
    if algorithm == "LIFT":
        return "lift", {"scale": SCALES[given.pop("features")]} | given
    if algorithm == "ML2":
        kernel = given.pop("kernel"), given.pop("sigma")
        assert kernel == ("rbf", "mean pdist(train)")  # `ml2` has no other
        ours = {"k": given.pop("K"), "lam": given.pop("lambda_")}
        return "ml2", ours | {"scale": SCALES[given.pop("features")]} | given
    if algorithm == "ML-LOC with m=1":
        # With one code it is one machine per label, on features in [0, 1].
        return "ml-loc", {"m": 1, "lam1": 1 / (2 * given.pop("C")), "scale": "minmax"} | given
    raise KeyError(algorithm)


@cache
def data(name: str) -> FaceSet:
    return dataset_class(f"mulan:{name}")(member=name).load(shared.path(shared.MULAN))


def missed(
    bars: list[dict[str, Any]], runs: list[dict[str, float]], tolerance: str = "tolerance"
) -> list[str]:
    """The bars that the mean of the runs does not hold, in words."""
    found = []
    for bar in bars:
        value = np.mean([run[bar["criterion"]] for run in runs])
        if not abs(value - bar["target"]) <= bar[tolerance]:
            found.append(f"{bar['criterion']}: {value:.6f}, not {bar['target']} ± {bar[tolerance]}")
    return found


def missed_by(one: Configuration, **instead: Any) -> list[str]:
    """The bars that we miss, ``instead`` of some of our parameters."""
    name, params = method(one.algorithm, one.params)
    params |= instead
    X, Y, T, truth = shared.mulan(one.dataset)
    if not (one.kind == "statistical" and method_class(name).stochastic):
        scores, labels = method_class(name)(**params).fit(X, Y).scores_and_labels(T)
        return missed(one.bars, [shared.reference_criteria(truth, scores, labels)])
    runs = []
    for seed in range(SEEDS):
        fitted = method_class(name)(**params, random_state=seed).fit(X, Y)
        runs.append(shared.reference_criteria(truth, *fitted.scores_and_labels(T)))
    return missed(one.bars, runs, f"tolerance_mean_of_{SEEDS}_seeds")


def marked(found: list[Configuration]) -> list[Any]:
    """The configurations as parameters of a test, the long ones marked."""
    long = pytest.mark.slow
    return [
        pytest.param(one, id=str(one), marks=long if (one.dataset, one.algorithm) in SLOW else ())
        for one in found
    ]


@pytest.mark.parametrize("one", marked(FIXED))
def test_all_bars_of_a_configuration_hold(one: Configuration) -> None:
    assert missed_by(one) == []


@pytest.mark.slow
@pytest.mark.parametrize("one", marked([one for one in FIXED if one.params.get("base") == TREE]))
def test_the_bars_about_trees_hold_over_scikit_learns_too(one: Configuration) -> None:
    assert missed_by(one, base="cart") == []


@pytest.mark.slow
@pytest.mark.parametrize("one", marked(PUBLISHED))
def test_the_published_figures_hold(one: Configuration) -> None:
    params = dict(one.params)
    assert params.pop("split") == "10-fold CV, train+test pooled; coverage MINUS 1"
    name, ours = method(one.algorithm, params)
    dataset: Any = dataset_class(f"mulan:{one.dataset}")(member=one.dataset)
    runs = []
    for repeat in range(3):
        every = data(one.dataset)
        # The folds follow the order of the rows.
        faces = every.take(np.random.default_rng(repeat).permutation(len(every)))
        assert faces.features is not None
        for fold in folds(dataset, faces, "cv10"):
            fitted = method_class(name)(**ours).fit(
                faces.features[fold.train], faces.labels[fold.train]
            )
            scores, labels = fitted.scores_and_labels(faces.features[fold.test])
            values: dict[str, Any] = dict(
                evaluate(faces.labels[fold.test], scores, labels, "sklearn").values
            )
            runs.append(values)
    assert missed(one.bars, runs) == []


def test_no_bar_is_left_out() -> None:
    """The tests above hold every bar of the file, under criteria that we compute."""
    every = shared.bars()
    tested = [bar for one in (*FIXED, *PUBLISHED) for bar in one.bars]
    assert len(tested) == len(every) == 221
    assert all(bar in tested for bar in every)
    known = {"coverage", *(criterion.name for criterion in CRITERIA)}
    assert {bar["criterion"] for bar in tested} <= known
    for one in FIXED:
        assert (shared.path(shared.MULAN) / f"{one.dataset}-train.arff").is_file()
        name, ours = method(one.algorithm, one.params)
        method_class(name)(**ours)  # takes these parameters


@pytest.mark.parametrize(
    ("output", "name", "params", "tolerance"),
    [
        ("mlknn_k10_s1_raw", "mlknn", {"k": 10}, 1e-9),
        ("mlknn_k10_s1_minmax", "mlknn", {"k": 10, "scale": "minmax"}, 1e-9),
        ("CLR5nn", "clr", {"base": "5nn"}, 1e-9),
        ("RAkEL5nn", "rakel", {"base": "5nn"}, 1e-9),
        ("ml2_K7_raw", "ml2", {"C2": 10.0}, 1e-6),
        ("ml2_K7_minmax", "ml2", {"C2": 10.0, "scale": "minmax"}, 1e-6),
    ],
)
def test_scores_equal_the_oracles(
    output: str, name: str, params: dict[str, Any], tolerance: float
) -> None:
    expected = shared.oracle(output)
    if isinstance(expected, list):
        expected = {"scores": expected}
    if "labelsets" in expected:
        params = params | {"labelsets": expected["labelsets"]}
    X, Y, T, _ = shared.mulan("emotions")
    scores, labels = method_class(name)(**params).fit(X, Y).scores_and_labels(T)
    np.testing.assert_allclose(scores, expected["scores"], rtol=0, atol=tolerance)
    if "bipartition" in expected:
        np.testing.assert_array_equal(labels, np.array(expected["bipartition"], dtype=bool))
