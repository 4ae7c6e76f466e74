"""What bench raises: one sentence with what, where, and what to do."""

from __future__ import annotations

import difflib
import re
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
    close = alike(word, known)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known: {', '.join(known)}" if known else "there are none"


def alike(word: str, known: Iterable[str], cutoff: float = 0.5) -> list[str]:
    """At most three names that look like ``word``; those that differ in case or hyphens alone."""
    folded: dict[str, list[str]] = {}
    for name in known:
        folded.setdefault(_folded(name), []).append(name)
    if _folded(word) in folded:
        return folded[_folded(word)]
    close = difflib.get_close_matches(_folded(word), folded, n=3, cutoff=cutoff)
    return [name for one in close for name in folded[one]][:3]


def _folded(name: str) -> str:
    return re.sub(r"[-_\s]", "", name.lower())
