"""Intervals of the difference of two methods, and what they say of a claimed direction."""

from __future__ import annotations

import numpy as np
from scipy import stats

LEVEL = 0.95


def decide(sign: int, low: float, high: float, margin: float = 0.0) -> str:
    """What an interval says of a direction, or of equality within ``margin``.

    Parameters
    ----------
    sign : int
        1: the difference should be above 0; -1: below; 0: within ``margin`` of 0.

    Returns
    -------
    str
        ``holds``, ``fails`` or ``undecided``.
    """
    if sign == 0:
        if -margin <= low and high <= margin:
            return "holds"
        return "fails" if low > margin or high < -margin else "undecided"
    if low == high == 0:
        return "fails"
    if sign < 0:
        low, high = -high, -low
    return "holds" if low > 0 else "fails" if high < 0 else "undecided"


def t_interval(differences: np.ndarray) -> tuple[float, float]:
    """The 95 % t interval of the mean of paired differences, float (n,) with n >= 2."""
    return welch_interval(differences, np.zeros(1))


def welch_interval(left: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Welch's 95 % interval of the difference of means; a single value counts as exact."""
    sides = [np.asarray(side, dtype=float) for side in (left, right)]
    parts = [side.var(ddof=1) / len(side) if len(side) > 1 else 0.0 for side in sides]
    gap, variance = float(sides[0].mean() - sides[1].mean()), sum(parts)
    if variance == 0:
        return gap, gap
    squares = sum(p**2 / (len(s) - 1) for p, s in zip(parts, sides, strict=True) if len(s) > 1)
    reach = float(stats.t.ppf((1 + LEVEL) / 2, variance**2 / squares) * np.sqrt(variance))
    return gap - reach, gap + reach
