"""Numbers of several rows or records, written as one."""

from __future__ import annotations

from collections.abc import Iterable


def span(values: Iterable[float], form: str = "d") -> str:
    """Smallest and largest value in the format ``form``, once where they are equal."""
    ascending = sorted(values)
    low, high = f"{ascending[0]:{form}}", f"{ascending[-1]:{form}}"
    return low if low == high else f"{low}–{high}"
