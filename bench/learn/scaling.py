"""Feature scaling, fitted on the training part; the parameter ``scale`` of many classifiers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.api import BenchError, InputError

_SAFE_EXPONENT = 256  # of two: sums of squares of such numbers fit in float64
_SAFE_EXPONENT_32 = 40  # in float32


def squarable(X: np.ndarray, method: str) -> np.ndarray:
    """``X`` float (n, d), in float64 where squares of its values overflow or vanish in float32.

    Raises
    ------
    InputError
        Where they do in float64, too.
    """
    exponent = abs(_exponent(X))
    if exponent > _SAFE_EXPONENT:
        raise InputError(
            f"{method} squares its features, the largest of which is {np.abs(X).max():.3g}, beyond "
            "what a number can hold: scale them"
        )
    return X.astype(np.float64) if exponent > _SAFE_EXPONENT_32 else X


def safe_unit(X: np.ndarray, exponent: int = _SAFE_EXPONENT) -> float:
    """1, or the power of two that brings ``X`` to a size of 1 if it is beyond 2 ** ±``exponent``.

    Products with it are exact, so that a method whose answer does not depend on the features' unit
    gives the same one.
    """
    found = _exponent(X)
    return 1.0 if abs(found) <= exponent else float(np.ldexp(1.0, -found))


def _exponent(X: np.ndarray) -> int:
    """That of the largest absolute value, of two; 0 for no values and for zeros."""
    _, exponent = np.frexp(max(float(X.max(initial=0)), -float(X.min(initial=0))))
    return int(exponent)


@dataclass(frozen=True)
class Scaling:
    """``(X - offset) / divisor``, column by column; None for both leaves X as it is.

    Attributes
    ----------
    offset, divisor : float (d,), or None
        Minimum and range, or mean and standard deviation, of the training part. The divisor of a
        column that is constant there is infinite, so that the column becomes 0 everywhere.
    """

    offset: np.ndarray | None = None
    divisor: np.ndarray | None = None

    def apply(self, X: np.ndarray) -> np.ndarray:
        """Scaled copy of ``X`` float (n, d) in its own precision; without scaling, ``X`` itself.

        Values beyond the training range are not clipped.
        """
        if self.offset is None or self.divisor is None:
            return X
        scaled = X - self.offset.astype(X.dtype)
        scaled /= self.divisor.astype(X.dtype)
        return scaled


def fit_scaling(X: np.ndarray, scale: str) -> Scaling:
    """Learn the scaling named ``scale`` from ``X`` float (n, d), n >= 1.

    ``none`` changes nothing, ``minmax`` maps each column of the training part to [0, 1],
    ``zscore`` to mean 0 and standard deviation 1 (dividing by n). Another
    name raises `BenchError`.
    """
    if scale == "none":
        return Scaling()
    low, high = X.min(axis=0), X.max(axis=0)
    if scale == "minmax":
        offset, divisor = low, high - low
    elif scale == "zscore":
        offset, divisor = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
    else:
        raise BenchError(f"unknown scaling {scale!r}: known: minmax, none, zscore")
    # Constant columns by their extremes: rounding can leave a tiny standard deviation.
    return Scaling(offset, np.where(high > low, divisor, np.inf))
