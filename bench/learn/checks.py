"""What classifiers check before they compute: shapes, finite values, a fit before a prediction."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from bench.api import BenchError, Classifier

_BLOCK_ELEMENTS = 1 << 22


def checked_features(X: ArrayLike, method: str, columns: int | None = None) -> np.ndarray:
    """``X`` as float (n, d), without a copy where it is float32 or float64 already.

    Parameters
    ----------
    X : array-like (n, d)
    method : str
        Name of the classifier, for the sentence.
    columns : int, optional
        The d that the classifier was fitted with.

    Raises
    ------
    BenchError
        If ``X`` is not a finite numeric matrix with at least one column, or not of ``columns``.
    """
    array = np.asarray(X)
    if array.ndim != 2 or array.shape[1] == 0 or array.dtype.kind not in "fiub":
        raise BenchError(
            f"{method} takes features as a numeric matrix (n, d) with d >= 1, not {array.dtype} "
            f"{array.shape}"
        )
    if columns is not None and array.shape[1] != columns:
        raise BenchError(
            f"{method} was fitted with {columns} features and now got {array.shape[1]}; take the "
            "same features for both"
        )
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    # In blocks: the features may be a memory map larger than memory.
    step = max(1, _BLOCK_ELEMENTS // array.shape[1])
    for start in range(0, len(array), step):
        bad = ~np.isfinite(array[start : start + step])
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise BenchError(
                f"{method} got features with a value that is not finite (row {start + row}, column "
                f"{column}, counted from 0); repair the features"
            )
    return array


def checked_labels(Y: ArrayLike, rows: int, method: str) -> np.ndarray:
    """``Y`` as bool (n, L).

    Raises
    ------
    BenchError
        If ``Y`` is not a matrix of bool or 0/1 with at least one column, if it has not ``rows``
        rows, or if there is none.
    """
    array = np.asarray(Y)
    if array.ndim != 2 or array.shape[1] == 0 or array.dtype.kind not in "fiub":
        raise BenchError(
            f"{method} takes labels as a matrix (n, L) of 0 and 1 with L >= 1, not {array.dtype} "
            f"{array.shape}"
        )
    if len(array) != rows:
        raise BenchError(f"{method} got {rows} rows of features but {len(array)} rows of labels")
    if rows == 0:
        raise BenchError(f"{method} got no training rows; the training part must not be empty")
    if not ((array == 0) | (array == 1)).all():
        raise BenchError(f"{method} takes labels of 0 and 1 (or False and True), and found others")
    return array.astype(bool)


def require_fitted(classifier: Classifier) -> None:
    """Raise `BenchError` where ``fit`` was not called yet."""
    if not classifier.__sklearn_is_fitted__():
        raise BenchError(f"{classifier.name} predicts only after fit")
