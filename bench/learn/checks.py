"""What classifiers check before they compute: shapes, finite values, a fit before a prediction.

Every classifier calls these, so that wrong input is refused in the same words.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from bench.api import BenchError, Classifier, InputError

_BLOCK_ELEMENTS = 1 << 22
_SUM = 1e-3  # how far a row of shares in float32 may be from 1


def checked_features(
    X: ArrayLike, method: str, columns: int | None = None, *, least: int = 1
) -> np.ndarray:
    """``X`` as float32 or float64 (n, d), C-contiguous; no copy where it is that already.

    Parameters
    ----------
    X : array-like (n, d)
    method : str
        Name of the classifier, for the sentence.
    columns : int, optional
        The d that the classifier was fitted with.
    least : int
        Columns that there have to be.

    Raises
    ------
    InputError
        If ``X`` is not a finite numeric matrix with ``least`` columns, or not of ``columns``.
    """
    if hasattr(X, "toarray"):
        raise InputError(f"{method} takes no sparse features; hand over X.toarray()")
    array = np.asarray(X)
    if array.dtype.kind == "O":
        array = _numbers(array, method)
    if array.ndim != 2 or array.dtype.kind not in "fiub":
        raise InputError(
            f"{method} takes features as a numeric matrix (n, d) with d >= {least}, not "
            f"{array.dtype} {array.shape}{_hint(array)}"
        )
    if array.shape[1] < least:
        raise InputError(
            f"{method} takes features as a matrix (n, d) and found 0 feature(s) "
            f"(shape={array.shape}) while a minimum of {least} is required."
        )
    if columns is not None and array.shape[1] != columns:
        raise InputError(
            f"{method} was fitted with {columns} features and now got {array.shape[1]} (X has "
            f"{array.shape[1]} features, but it is expecting {columns} features as input); take "
            "the same features for both"
        )
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    # Sums over other memory layouts round differently.
    array = np.ascontiguousarray(array)
    # In blocks: the features may be a memory map larger than memory.
    step = max(1, _BLOCK_ELEMENTS // max(1, array.shape[1]))
    for start in range(0, len(array), step):
        bad = ~np.isfinite(array[start : start + step])
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise InputError(
                f"{method} got features with a value that is not finite (row {start + row}, column "
                f"{column}, counted from 0); repair the NaN or inf"
            )
    return array


def _numbers(array: np.ndarray, method: str) -> np.ndarray:
    """An array of Python objects as float64, where they are numbers."""
    try:
        return array.astype(np.float64)
    except TypeError as error:
        raise NoNumberError(f"{method} takes features that are numbers: {error}") from None
    except ValueError as error:
        raise InputError(f"{method} takes features that are numbers: {error}") from None


def _hint(array: np.ndarray) -> str:
    """What to do with features of such a shape or type."""
    if array.dtype.kind == "c":
        return ". Complex data not supported: take parts or absolute values"
    if array.ndim == 1:
        return ". Reshape your data: X.reshape(1, -1) for one row, X.reshape(-1, 1) for one column"
    return ""


def checked_labels(Y: ArrayLike, rows: int, method: str) -> np.ndarray:
    """``Y`` as bool (n, L); a sparse matrix, as scikit-learn's label binarisers make, is filled.

    Raises
    ------
    InputError
        If ``Y`` is not a matrix of bool or 0/1 with at least one column, if it has not ``rows``
        rows, or if there is none.
    """
    if Y is None:
        raise InputError(f"{method} requires y to be passed, but the target y is None")
    array = np.asarray(Y.toarray() if hasattr(Y, "toarray") else Y)
    if array.dtype.kind == "O" and all(isinstance(value, int | float) for value in array.flat):
        array = array.astype(np.float64)
    if array.ndim != 2 or array.shape[1] == 0 or array.dtype.kind not in "fiub":
        raise InputError(
            f"{method} takes labels as a matrix (n, L) of 0 and 1 with L >= 1, not {array.dtype} "
            f"{array.shape}{_kind_of_labels(array)}"
        )
    if len(array) != rows:
        raise InputError(f"{method} got {rows} rows of features but {len(array)} rows of labels")
    if rows == 0:
        raise InputError(f"{method} got no training rows; the training part must not be empty")
    if not ((array == 0) | (array == 1)).all():
        raise InputError(f"{method} takes labels of 0 and 1 (or False and True), and found others")
    return array.astype(bool, order="C")


def _kind_of_labels(array: np.ndarray) -> str:
    """What labels in a vector are, in scikit-learn's words."""
    if array.ndim != 1:
        return ""
    if array.dtype.kind == "f" and (array != np.floor(array)).any():
        return " (continuous)"
    return " (classes). Only binary classification is supported. Give each label a column"


def checked_distribution(D: ArrayLike, rows: int, method: str) -> np.ndarray:
    """``D`` as float64 (n, L), rows of shares that sum to 1.

    Raises
    ------
    InputError
        If ``D`` is no such matrix, has not ``rows`` rows, or has none.
    """
    array = np.asarray(D)
    if array.ndim != 2 or array.shape[1] == 0 or array.dtype.kind not in "fiub":
        raise InputError(
            f"{method} takes label distributions as a matrix (n, L) with L >= 1, not {array.dtype} "
            f"{array.shape}"
        )
    if len(array) != rows:
        raise InputError(
            f"{method} got {rows} rows of features but {len(array)} rows of label distributions"
        )
    if rows == 0:
        raise InputError(f"{method} got no training rows; the training part must not be empty")
    array = array.astype(np.float64, order="C")
    bad = ~((array >= 0).all(axis=1) & (np.abs(array.sum(axis=1) - 1) <= _SUM))
    if bad.any():
        raise InputError(
            f"{method} learns from label distributions, rows of shares that sum to 1, and row "
            f"{np.flatnonzero(bad)[0]} is none; label sets are for other methods"
        )
    return array


class NoNumberError(InputError, TypeError):
    """Features that are no numbers; the `TypeError` scikit-learn expects."""


def require_fitted(classifier: Classifier) -> None:
    """Raise a `BenchError` where ``fit`` was not called yet; it is scikit-learn's error as well."""
    if not classifier.__sklearn_is_fitted__():
        raise _unfitted_error()(f"{classifier.name} predicts only after fit")


@cache
def _unfitted_error() -> type[BenchError]:
    # Imported here: a plan, which fits nothing, would wait for scikit-learn a second longer.
    from sklearn.exceptions import NotFittedError

    class UnfittedError(BenchError, NotFittedError):
        """A prediction before `fit`."""

    return UnfittedError
