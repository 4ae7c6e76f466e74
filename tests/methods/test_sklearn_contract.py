"""scikit-learn's own estimator checks over the classifiers; every exception with its reason.

scikit-learn poses most of its checks with one column of labels; where it poses a multi-label
problem (``check_classifiers_multilabel_*``) nothing is excepted.
"""

from __future__ import annotations

import inspect
from typing import Any, Self

import numpy as np
import pytest
import scipy.sparse
import sklearn
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification
from sklearn.inspection import permutation_importance
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    learning_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from bench.api import Classifier
from bench.plugins import Registry

# rakel cannot draw from one label, so it gets its label set; c45 takes no weights, cart does.
METHODS: dict[str, dict[str, Any]] = {
    "mlknn": {"k": 3},
    "linear-svm": {},
    "rakel": {"labelsets": "0", "base": "cart"},
    "clr": {"base": "cart"},
    "lift": {},
    "ml-loc": {"m": 2},
    "ml2": {"k": 3},
    "br": {"base": "cart"},
    "prior": {},
    "constant": {},
}

TRIVIAL = ("prior", "constant")

_CLASSES = "poses classes by name or number; these take label sets, a matrix of 0 and 1"
_VECTOR = "expects one class per row, a vector; a label set is a row of a matrix, of one column too"
_PARAMETERS = "a value out of range is refused where it is set, so that no run starts with it"

EVERYWHERE = {
    "check_do_not_raise_errors_in_init_or_set_params": _PARAMETERS,
    "check_estimators_dtypes": _CLASSES,
    "check_classifier_data_not_an_array": _CLASSES,
    "check_classifiers_classes": _CLASSES,
    "check_fit2d_1feature": _CLASSES,
    "check_classifiers_train": _VECTOR,
    "check_classifier_multioutput": "indexes classes_ as one array; each label has one of its own",
}
PROBABILITIES = {"check_decision_proba_consistency": _VECTOR}
WEIGHTS = {
    "check_sample_weights_pandas_series": _CLASSES,
    "check_sample_weights_not_an_array": _CLASSES,
    "check_sample_weights_shape": _CLASSES,
    "check_sample_weights_not_overwritten": _CLASSES,
}
FEATURELESS = {
    "check_estimators_empty_data_messages": "needs no features, so that there may be none"
}
EXCEPTIONS = {
    **dict.fromkeys(METHODS, EVERYWHERE),
    **dict.fromkeys(("mlknn", "lift"), EVERYWHERE | PROBABILITIES),
    **dict.fromkeys(("rakel", "clr"), EVERYWHERE | WEIGHTS),
    "br": EVERYWHERE
    | WEIGHTS
    | PROBABILITIES
    | {
        "check_classifiers_multilabel_output_format_predict_proba": (
            "wants probabilities strictly between 0 and 1; the leaves of a tree are pure"
        )
    },
    "prior": EVERYWHERE | PROBABILITIES | FEATURELESS,
    "constant": EVERYWHERE | PROBABILITIES | FEATURELESS,
}
# It has no parameters.
del EXCEPTIONS["constant"]["check_do_not_raise_errors_in_init_or_set_params"]
# Where these fail the contract is broken, whatever else changes between scikit-learn's versions.
NEVER_EXCEPTED = (
    "check_classifiers_multilabel_representation_invariance",
    "check_classifiers_multilabel_output_format_predict",
    "check_classifiers_multilabel_output_format_decision_function",
    "check_estimators_pickle",
    "check_estimators_unfitted",
    "check_fit_idempotent",
    "check_fit_check_is_fitted",
    "check_methods_subset_invariance",
    "check_methods_sample_order_invariance",
    "check_readonly_memmap_input",
    "check_f_contiguous_array_estimator",
    "check_pipeline_consistency",
    "check_get_params_invariance",
    "check_estimator_cloneable",
    "check_dict_unchanged",
    "check_no_attributes_set_in_init",
    "check_n_features_in_after_fitting",
    "check_estimator_sparse_matrix",
    "check_requires_y_none",
)


def configured(name: str, **params: Any) -> Any:
    return Registry().methods[name].load()(**{**METHODS[name], **params})


@pytest.mark.skipif(
    tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 7),
    reason="before 1.7 scikit-learn poses all checks with classes other than 0 and 1",
)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", METHODS)
def test_estimator_checks_that_apply_pass(name: str) -> None:
    results = check_estimator(
        configured(name), expected_failed_checks=EXCEPTIONS[name], on_skip=None, on_fail=None
    )
    failed = {one["check_name"]: one["exception"] for one in results if one["status"] == "failed"}
    assert failed == {}
    status = {one["check_name"]: one["status"] for one in results}
    assert {status[check] for check in NEVER_EXCEPTED} == {"passed"}
    # An exception that is no longer needed has to go.
    unused = {check for check in EXCEPTIONS[name] if status.get(check, "xfail") != "xfail"}
    assert unused == set()


@pytest.mark.parametrize("name", [name for name in METHODS if name not in TRIVIAL])
def test_pipeline_and_grid_search(name: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 5))
    Y = (X[:, :3] + 0.5 * rng.normal(size=(40, 3)) > 0).astype(int)
    labels = {"rakel": {"labelsets": "0-1/1-2", "base": "nn"}}.get(name, {})
    method = configured(name, **labels)
    piped = make_pipeline(StandardScaler(), method).fit(X, Y)
    scaled = StandardScaler().fit_transform(X)
    assert np.array_equal(piped.predict(X), clone(method).fit(scaled, Y).predict(scaled))
    field = "C" if name in ("lift", "linear-svm", "ml-loc") else "scale"
    values = [0.5, 2.0] if field == "C" else ["none", "zscore"]
    grid = {field: values} if field in method.params else {}
    search = GridSearchCV(method, grid, cv=2, error_score="raise").fit(X, Y)
    assert search.best_params_.keys() == grid.keys()
    assert search.predict(X).shape == Y.shape


def small_problem() -> tuple[np.ndarray, np.ndarray]:
    return make_multilabel_classification(n_samples=60, n_features=6, n_classes=4, random_state=3)


def test_searches_by_a_scorer_find_the_best_candidate() -> None:
    X, Y = small_problem()
    search = GridSearchCV(configured("mlknn"), {"k": [15, 5, 1]}, cv=3, scoring="f1_macro")
    search.fit(X, Y)
    # Counted by hand, fold by fold.
    expected = [0.447747, 0.546290, 0.610965]
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], expected, atol=1e-6)
    assert search.best_params_ == {"k": 1}
    drawn = RandomizedSearchCV(
        configured("mlknn"), {"k": [15, 5, 1]}, n_iter=3, cv=3, scoring="f1_macro", random_state=0
    ).fit(X, Y)
    assert drawn.best_score_ == search.best_score_


@pytest.mark.parametrize(
    ("scorer", "expected"),
    [
        ("roc_auc", [0.81467014, 0.69164017, 0.78796717]),
        ("average_precision", [0.72461532, 0.51595187, 0.64366236]),
        ("accuracy", [0.6, 0.2, 0.35]),
    ],
)
def test_scorers_by_name(scorer: str, expected: list[float]) -> None:
    X, Y = small_problem()
    found = cross_val_score(configured("mlknn", k=5), X, Y, cv=3, scoring=scorer)
    np.testing.assert_allclose(found, expected, atol=1e-8)


FOUR_LABELS: dict[str, dict[str, Any]] = {
    "rakel": {"labelsets": "0-1/2-3"},
    "linear-svm": {"C": 1.0},
}
PROBABLE = ("mlknn", "lift", "br", "prior", "constant")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.parametrize("name", METHODS)
def test_scikit_learns_tools_take_every_classifier(name: str) -> None:
    X, Y = small_problem()
    method = configured(name, **FOUR_LABELS.get(name, {}))
    folds = KFold(3)
    fitted = [clone(method).fit(X[a], Y[a]) for a, _ in folds.split(X)]
    tests = [b for _, b in folds.split(X)]
    for scorer, measure in (("f1_macro", f1_score), ("roc_auc", roc_auc_score)):
        answers = [
            one.predict(X[b]) if scorer == "f1_macro" else one.scores(X[b])
            for one, b in zip(fitted, tests, strict=True)
        ]
        by_hand = [measure(Y[b], a, average="macro") for a, b in zip(answers, tests, strict=True)]
        found = cross_val_score(method, X, Y, cv=3, scoring=scorer, error_score="raise")
        np.testing.assert_allclose(found, by_hand)
    for kind in ("predict", "decision_function", *(["predict_proba"] * (name in PROBABLE))):
        found = cross_val_predict(method, X, Y, cv=3, method=kind)
        parts = [getattr(one, kind)(X[b]) for one, b in zip(fitted, tests, strict=True)]
        np.testing.assert_array_equal(found, np.concatenate(parts))
    assert hasattr(method, "predict_proba") == (name in PROBABLE)
    _, _, curve = learning_curve(
        method, X, Y, cv=3, train_sizes=[0.5, 1.0], scoring="f1_micro", error_score="raise"
    )
    assert np.isfinite(curve).all()
    found = permutation_importance(fitted[0], X, Y, scoring="f1_micro", n_repeats=1)
    assert np.isfinite(found.importances).all()
    assert [one.tolist() for one in fitted[0].classes_] == [[0, 1]] * 4


@pytest.mark.parametrize("name", METHODS)
def test_sparse_labels_are_taken_and_sparse_features_refused_in_one_sentence(name: str) -> None:
    X, Y = small_problem()
    method = configured(name, **FOUR_LABELS.get(name, {}))
    dense = clone(method).fit(X, Y)
    sparse = clone(method).fit(X, scipy.sparse.csr_matrix(Y))
    np.testing.assert_array_equal(sparse.scores(X), dense.scores(X))
    assert sparse.score(X, scipy.sparse.csr_array(Y)) == dense.score(X, Y)
    for use in (lambda A: method.fit(A, Y), dense.predict, dense.decision_function, dense.scores):
        with pytest.raises(ValueError, match=rf"^{name} takes no sparse features; .*toarray\(\)"):
            use(scipy.sparse.csr_array(X))


def test_score_weights_rows() -> None:
    X, Y = small_problem()
    method = configured("mlknn", k=5).fit(X, Y)
    right = (method.predict(X) == Y).all(axis=1)
    weight = np.arange(60.0)
    assert method.score(X, Y) == right.mean()
    assert method.score(X, Y, sample_weight=weight) == pytest.approx(
        (right * weight).sum() / weight.sum()
    )
    with pytest.raises(ValueError, match=r"scored against labels \(n, L\) = \(60, 4\) and got"):
        method.score(X, Y[:, :2])


def test_a_plug_in_needs_to_write_none_of_it() -> None:
    class Majority(Classifier):
        """The label set of the first row."""

        name = "majority"

        def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
            self.first = np.asarray(Y)[0] > 0
            return self

        def scores(self, X: np.ndarray) -> np.ndarray:
            return np.tile(self.first, (len(X), 1)) + 0.1 * X[:, :1]

        def labels(self, X: np.ndarray) -> np.ndarray:
            return np.tile(self.first, (len(X), 1))

    X, Y = small_problem()
    for scorer in ("f1_macro", "roc_auc"):
        assert np.isfinite(cross_val_score(Majority(), X, Y, cv=3, scoring=scorer)).all()
    method = Majority().fit(X, y=scipy.sparse.csr_array(Y))
    assert method.n_features_in_ == 6
    assert not hasattr(method, "predict_proba")


def test_the_signature_shows_the_parameters() -> None:
    shown = str(inspect.signature(type(configured("mlknn"))))
    assert shown.startswith("(*, k=100, s=1.0, scale='none'")
