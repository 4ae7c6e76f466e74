"""The test kit's checks of classifiers."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from bench.api import BenchError
from bench.kit.general import (
    Check,
    FailedError,
    InapplicableError,
    Subject,
    refused,
    require,
    same,
)
from bench.run.contract import check_distribution, check_outputs

TRAIN, TEST, FEATURES, LABELS = 40, 20, 12, 4
ROUNDING = 1e-6  # of scores that are computed in another order


class Samples:
    """Rows whose labels can partly be seen: X float64, Y bool, for training and test."""

    def __init__(self, seed: int = 0, features: int = FEATURES, labels: int = LABELS) -> None:
        rng = np.random.default_rng(seed)
        n = TRAIN + TEST
        # Values that float32 holds as well, so that both precisions mean the same rows.
        X = rng.normal(size=(n, features)).astype(np.float32).astype(np.float64)
        Y = X[:, np.arange(labels) % features] + 0.5 * rng.normal(size=(n, labels)) > 0.3
        self.X, self.Y = X[:TRAIN], Y[:TRAIN]
        self.X_test = X[TRAIN:]


def known(subject: Subject, Y: np.ndarray) -> np.ndarray:
    """What `fit` gets where label sets are ``Y`` bool (n, L): themselves, or equal shares of them.

    All labels share a row without a label.
    """
    plugin: Any = subject.plugin
    if plugin.learns != "distribution":
        return Y
    held = Y | ~Y.any(axis=1, keepdims=True)
    return np.asarray(held / held.sum(axis=1, keepdims=True))


def fitted(subject: Subject, X: np.ndarray, Y: np.ndarray, **params: Any) -> Any:
    """A fresh object after ``fit``."""
    made = subject.make(**params)
    Y = known(subject, Y) if Y.dtype == bool else Y
    require(made.fit(X, Y) is made, "fit does not return the object itself")
    return made


def answers(subject: Subject, made: Any, X: np.ndarray, labels: int) -> tuple[Any, np.ndarray]:
    """Scores (None where there are none) and labels, of the right shapes and types, finite."""
    scores, present = made.scores_and_labels(X)
    check_outputs(subject.name, scores, present, (len(X), labels))
    return scores, present


def _agree(
    subject: Subject, one: Any, other: Any, X: np.ndarray, sentence: str, tolerance: float = 0.0
) -> None:
    first, second = (answers(subject, made, X, LABELS) for made in (one, other))
    if first[0] is not None:
        same(first[0], second[0], f"{sentence}: other scores", tolerance)
    same(first[1], second[1], f"{sentence}: other labels")


def _works_or_refuses(subject: Subject, X: np.ndarray, Y: np.ndarray, made: Any = None) -> None:
    """Fit and predict, unless the plug-in says in a sentence that it cannot."""
    made = made or subject.make()
    try:
        made.fit(X, known(subject, Y))
    except BenchError:
        return
    answers(subject, made, Samples().X_test, Y.shape[1])


def shapes_types_and_finite_scores(subject: Subject) -> None:
    """Scores float (n, L), labels bool (n, L), and scikit-learn's names give the same."""
    data = Samples()
    made = fitted(subject, data.X, data.Y)
    scores, labels = answers(subject, made, data.X_test, LABELS)
    for X, Y in ((data.X * 1e4, data.Y), (data.X * 1e-4, data.Y), (data.X + 1e3, data.Y)):
        answers(subject, fitted(subject, X, Y), X, LABELS)
    same(made.labels(data.X_test), labels, "labels and scores_and_labels differ in labels")
    predicted = made.predict(data.X_test)
    require(predicted.dtype.kind == "i", f"predict gives {predicted.dtype}, not 0 and 1")
    same(predicted == 1, labels, "predict and labels differ")
    if scores is None:
        require(made.scores(data.X_test) is None, "scores and scores_and_labels differ")
    else:
        same(made.scores(data.X_test), scores, "scores and scores_and_labels differ in scores")
        same(made.decision_function(data.X_test), scores, "decision_function and scores differ")


def labels_follow_the_threshold(subject: Subject) -> None:
    """No label is absent where its score is above that of a present one."""
    data = Samples()
    made = fitted(subject, data.X, data.Y)
    X = np.concatenate([data.X, data.X_test])
    scores, labels = answers(subject, made, X, LABELS)
    if scores is None:
        raise InapplicableError("it gives no scores")
    follow_threshold(scores, labels, made.threshold)


def follow_threshold(scores: np.ndarray, labels: np.ndarray, threshold: str) -> None:
    """Fail unless thresholds, by label or by row, can explain the labels."""
    by_row = threshold == "row"
    require(by_row or threshold == "label", f"threshold is {threshold!r}, neither label nor row")
    axis = 1 if by_row else 0
    lowest_present = np.where(labels, scores, np.inf).min(axis=axis)
    highest_absent = np.where(labels, -np.inf, scores).max(axis=axis)
    wrong = np.flatnonzero(highest_absent > lowest_present)
    if len(wrong):
        where = int(wrong[0])
        raise FailedError(
            f"{'row' if by_row else 'label'} {where}: absent at score {highest_absent[where]:g}, "
            f"present at {lowest_present[where]:g}; say threshold = 'row' or 'label' as it is"
        )


def same_seed_gives_the_same_bytes(subject: Subject) -> None:
    """Two fresh objects, whatever the state of the global generators."""
    data = Samples()
    seed = {"random_state": 3} if "random_state" in subject.plugin.params else {}
    made = []
    for number in (1, 2):
        with _global_seed(number):
            made.append(fitted(subject, data.X, data.Y, **seed))
            answers(subject, made[-1], data.X_test, LABELS)
    _agree(subject, made[0], made[1], data.X_test, "two objects with one seed differ")


@contextmanager
def _global_seed(number: int) -> Iterator[None]:
    """Other global random numbers, for a method that should not use them."""
    before, before_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(before_numpy)  # noqa: NPY002


def clone_and_deep_copy(subject: Subject) -> None:
    """scikit-learn's clone is unfitted with the same parameters; a deep copy answers the same."""
    from sklearn.base import clone

    data = Samples()
    made = fitted(subject, data.X, data.Y)
    require(made.get_params() == subject.make().get_params(), "fit changes the parameters")
    twin = clone(made)
    require(twin.get_params() == made.get_params(), "a clone has other parameters")
    refused("predicting with a clone that was not fitted", lambda: twin.labels(data.X_test))
    _agree(subject, copy.deepcopy(made), made, data.X_test, "a deep copy differs")
    _agree(
        subject,
        twin.fit(data.X, known(subject, data.Y)),
        made,
        data.X_test,
        "a fitted clone differs",
    )


def prediction_before_fit_refused(subject: Subject) -> None:
    """Before fit there is nothing to predict with."""
    refused("scores before fit", lambda: subject.make().scores(Samples().X_test))
    refused("labels before fit", lambda: subject.make().labels(Samples().X_test))


def inputs_are_not_written_to(subject: Subject) -> None:
    """Read-only arrays are taken, writable ones stay as they are."""
    data = Samples()
    data.Y = known(subject, data.Y)
    before = [array.copy() for array in (data.X, data.Y, data.X_test)]
    made = fitted(subject, data.X, data.Y)
    answers(subject, made, data.X_test, LABELS)
    for array, old in zip((data.X, data.Y, data.X_test), before, strict=True):
        same(array, old, "fit or prediction writes into its input; work on a copy")
        array.flags.writeable = False
    _agree(subject, fitted(subject, data.X, data.Y), made, data.X_test, "read-only arrays")


def unseen_labels(subject: Subject) -> None:
    """Labels that no training row has, but test rows may, are answered for like the others."""
    data = Samples()
    for unseen in (slice(1, 2), slice(1, LABELS)):
        data.Y[:, unseen] = False
        answers(subject, fitted(subject, data.X, data.Y), data.X_test, LABELS)


def all_zero_and_all_one_columns(subject: Subject) -> None:
    """Labels that do not vary in training, beside others and alone."""
    data = Samples()
    data.Y[:, 0], data.Y[:, 2] = False, True
    for Y in (data.Y, np.zeros_like(data.Y), np.ones_like(data.Y)):
        answers(subject, fitted(subject, data.X, Y), data.X_test, LABELS)


def distributions_are_shares(subject: Subject) -> None:
    """Rows of a label distribution sum to 1; what learns from them refuses label sets."""
    data = Samples()
    made = fitted(subject, data.X, data.Y)
    shares = made.distribution(data.X_test)
    check_distribution(subject.name, shares, (TEST, LABELS))
    if made.learns == "distribution":
        require(shares is not None, "it learns from distributions and gives none")
        sets = np.ones((TRAIN, LABELS), dtype=bool)
        refused("fit on label sets", lambda: subject.make().fit(data.X, sets))
    elif shares is None:
        raise InapplicableError("it gives no label distributions")


def one_class_per_row(subject: Subject) -> None:
    """Single-label data, where it is meant for them: classes that training has, and has not."""
    if "single" not in subject.plugin.kinds:  # type: ignore[attr-defined]
        raise InapplicableError("it is not meant for single-label data")
    data = Samples()
    data.Y = np.eye(LABELS, dtype=bool)[data.X[:, :LABELS].argmax(axis=1)]
    for present in (np.ones(TRAIN, bool), ~data.Y[:, 1], data.Y[:, 0]):
        made = subject.make()
        made.kind = "single"
        made.fit(data.X[present], known(subject, data.Y[present]))
        scores, _ = answers(subject, made, data.X_test, LABELS)
        require(scores is not None, "without scores there is no class on single-label data")


def one_label(subject: Subject) -> None:
    """L = 1 works or is refused in a sentence."""
    data = Samples(labels=1)
    _works_or_refuses(subject, data.X, data.Y)


def constant_and_duplicate_features(subject: Subject) -> None:
    """Columns that say nothing or the same twice, and none that says anything."""
    data = Samples()
    for X in (data.X, data.X_test):
        X[:, 0], X[:, 1], X[:, 2] = 7.0, 0.0, X[:, 3]
    answers(subject, fitted(subject, data.X, data.Y), data.X_test, LABELS)
    X = np.full_like(data.X, 0.1)
    answers(subject, fitted(subject, X, data.Y), X[:TEST], LABELS)


def duplicate_rows(subject: Subject) -> None:
    """Rows that are the same, with other labels."""
    data = Samples()
    data.X[:20] = data.X[20:]
    answers(subject, fitted(subject, data.X, data.Y), data.X_test, LABELS)


def one_row_predicted(subject: Subject) -> None:
    """A single row, and none."""
    data = Samples()
    made = fitted(subject, data.X, data.Y)
    answers(subject, made, data.X_test[:1], LABELS)
    answers(subject, made, data.X_test[:0], LABELS)


def few_training_rows(subject: Subject) -> None:
    """Fewer rows than neighbours, folds or clusters: works, or is refused in a sentence."""
    data = Samples()
    for rows in (1, 2, 3, 5, 8):
        _works_or_refuses(subject, data.X[:rows], data.Y[:rows])
    _works_or_refuses(subject, data.X, data.Y, subject.plain())


def float32_and_float64(subject: Subject) -> None:
    """Both precisions, and one after the other."""
    data = Samples()
    small, small_test = data.X.astype(np.float32), data.X_test.astype(np.float32)
    for X in (data.X, small):
        made = fitted(subject, X, data.Y)
        for X_test in (data.X_test, small_test):
            answers(subject, made, X_test, LABELS)


def memory_layout_does_not_matter(subject: Subject) -> None:
    """Column order and strided views give what contiguous rows give."""
    data = Samples()
    made = fitted(subject, data.X, data.Y)
    for layout in (np.asfortranarray, _strided):
        other = fitted(subject, layout(data.X), layout(data.Y))
        first = answers(subject, made, data.X_test, LABELS)
        second = answers(subject, other, layout(data.X_test), LABELS)
        sentence = "arrays in another memory layout give other"
        if first[0] is not None:
            same(second[0], first[0], f"{sentence} scores", ROUNDING)
        same(second[1], first[1], f"{sentence} labels")


def _strided(array: np.ndarray) -> np.ndarray:
    wide = np.zeros((2 * array.shape[0], 3 * array.shape[1]), array.dtype)
    wide[::2, ::3] = array
    return wide[::2, ::3]


def wrong_input_refused(subject: Subject) -> None:
    """Values that are not finite, other numbers of rows or columns: one sentence each."""
    data = Samples()
    made = fitted(subject, data.X, data.Y)
    Y = known(subject, data.Y)
    refused("fit with fewer labels than rows", lambda: subject.make().fit(data.X, Y[:-1]))
    if not made.needs_features:
        return
    for value in (np.nan, np.inf):
        X, X_test = data.X.copy(), data.X_test.copy()
        X[3, 2] = X_test[3, 2] = value
        refused(f"fit on {value}", partial(subject.make().fit, X, Y))
        refused(f"scores of {value}", partial(made.scores, X_test))
        refused(f"labels of {value}", partial(made.labels, X_test))
    refused("prediction with fewer columns", lambda: made.labels(data.X_test[:, :-1]))
    refused("features of one dimension", lambda: made.labels(data.X_test[0]))


def fit_twice_equals_fit_once(subject: Subject) -> None:
    """Nothing is left of an earlier fit, not even of one to data of another shape."""
    data, other = Samples(), Samples(1, FEATURES + 3, LABELS + 1)
    once = fitted(subject, data.X, data.Y)
    Y = known(subject, data.Y)
    twice = fitted(subject, data.X, Y).fit(data.X, Y)
    _agree(subject, twice, once, data.X_test, "fitting twice")
    after = fitted(subject, other.X, other.Y).fit(data.X, Y)
    _agree(subject, after, once, data.X_test, "fitting after a fit to other data")


def rows_do_not_depend_on_the_batch(subject: Subject) -> None:
    """A row alone, in reverse order, and among others gets the same answer."""
    data = Samples()
    made = fitted(subject, data.X, data.Y)
    scores, labels = answers(subject, made, data.X_test, LABELS)
    alone = [answers(subject, made, data.X_test[row : row + 1], LABELS) for row in range(TEST)]
    reverse = answers(subject, made, data.X_test[::-1], LABELS)
    sentence = "a row's answer depends on the rows beside it: other"
    if scores is not None:
        joined = np.concatenate([one for one, _ in alone])
        same(joined, scores, f"{sentence} scores alone", 1e-9)
        same(reverse[0][::-1], scores, f"{sentence} scores in another order", 1e-9)
    same(np.concatenate([one for _, one in alone]), labels, f"{sentence} labels alone")
    same(reverse[1][::-1], labels, f"{sentence} labels in another order")


CHECKS: tuple[Check, ...] = (
    shapes_types_and_finite_scores,
    labels_follow_the_threshold,
    same_seed_gives_the_same_bytes,
    clone_and_deep_copy,
    prediction_before_fit_refused,
    inputs_are_not_written_to,
    unseen_labels,
    all_zero_and_all_one_columns,
    distributions_are_shares,
    one_class_per_row,
    one_label,
    constant_and_duplicate_features,
    duplicate_rows,
    one_row_predicted,
    few_training_rows,
    float32_and_float64,
    memory_layout_does_not_matter,
    wrong_input_refused,
    fit_twice_equals_fit_once,
    rows_do_not_depend_on_the_batch,
)
