"""What bench raises: one sentence with what, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BenchError(Exception):
    """What went wrong, where, and what to do, in one sentence; shown without a traceback."""


class InputError(BenchError, ValueError):
    """Parameters, features or labels that are not taken; the `ValueError` scikit-learn expects."""


class UnavailableError(BenchError):
    """Weights or data that a method needs are not there: the cell is skipped with this sentence."""


def near(word: str, known: Iterable[str]) -> str:
    """The names in ``known`` that look like ``word``, as the end of an error sentence."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known: {', '.join(known)}" if known else "there are none"
