"""scikit-learn's own estimator checks over the classifiers; every exception with its reason.

scikit-learn poses most of its checks with one column of labels; where it poses a multi-label
problem (``check_classifiers_multilabel_*``) nothing is excepted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

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
_WORDS = "refused by a ValueError that says the same in other words than scikit-learn's"
_PARAMETERS = "parameters are declared as fields, so __init__ takes **params and checks them"
_LABELS_ONLY = "looks at the labels only and takes any features"

EVERYWHERE = {
    "check_do_not_raise_errors_in_init_or_set_params": _PARAMETERS,
    "check_estimators_dtypes": _CLASSES,
    "check_dtype_object": _CLASSES,
    "check_classifier_data_not_an_array": _CLASSES,
    "check_classifiers_one_label": _CLASSES,
    "check_classifiers_classes": _CLASSES,
    "check_classifiers_train": _CLASSES,
    "check_classifiers_regression_target": _CLASSES,
    "check_classifier_not_supporting_multiclass": _CLASSES,
    "check_classifier_multioutput": "asks for classes_, which a matrix of labels has not",
    "check_fit2d_1feature": _CLASSES,
    "check_n_features_in_after_fitting": _WORDS,
    "check_complex_data": _WORDS,
    "check_estimators_empty_data_messages": _WORDS,
    "check_fit2d_predict1d": _WORDS,
    "check_requires_y_none": _WORDS,
}
PARAMETERS = {"check_no_attributes_set_in_init": _PARAMETERS}
ROWS = {"check_fit2d_1sample": "cannot learn from one row, and says so by a BenchError"}
WEIGHTS = {
    "check_sample_weights_pandas_series": _CLASSES,
    "check_sample_weights_not_an_array": _CLASSES,
    "check_sample_weights_shape": _CLASSES,
    "check_sample_weights_not_overwritten": _CLASSES,
    "check_classifiers_one_label_sample_weights": _CLASSES,
    "check_all_zero_sample_weights_error": _WORDS,
    "check_sample_weight_equivalence_on_dense_data": "calls fit(X, y=…); the matrix is named Y",
}
LABELS_ONLY = {
    "check_estimators_nan_inf": _LABELS_ONLY,
    "check_estimator_sparse_array": _LABELS_ONLY,
    "check_estimator_sparse_matrix": _LABELS_ONLY,
    "check_n_features_in": _LABELS_ONLY,
    "check_fit1d": _LABELS_ONLY,
}
EXCEPTIONS = {
    **dict.fromkeys(METHODS, EVERYWHERE | PARAMETERS),
    **dict.fromkeys(("mlknn", "ml2", "linear-svm"), EVERYWHERE | PARAMETERS | ROWS),
    **dict.fromkeys(("rakel", "clr", "br"), EVERYWHERE | PARAMETERS | WEIGHTS),
    "prior": EVERYWHERE | PARAMETERS | LABELS_ONLY,
    "constant": EVERYWHERE | LABELS_ONLY,
}
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
