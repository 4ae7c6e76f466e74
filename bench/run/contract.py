"""What plug-ins give back, checked, and whatever they raise as one sentence that names them.

Here and not in the kit, because every run checks the same things as ``bench check``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from bench.api import BenchError, UnavailableError
from bench.data.files import DiskFullError
from bench.plugins import same_folder
from bench.run.printable import printable
from bench.run.worker import message
from bench.score.distribution import check_shares


class MethodError(BenchError):
    """A plug-in failed; carries the sentence, and the traceback for the record."""


@contextmanager
def blame(name: str, step: str) -> Iterator[None]:
    """Turn whatever a plug-in raises into one sentence that names it; its folder stays ours."""
    try:
        with same_folder():
            yield
    except (UnavailableError, DiskFullError, KeyboardInterrupt):
        raise
    except BenchError as error:
        raise MethodError(f"{name} failed in {step}: {error}") from error
    except MemoryError as error:
        raise MethodError(f"{name} ran out of memory in {step}: {error}") from error
    except BaseException as error:  # SystemExit, too, and what else a plug-in may think of
        said = printable(message(error))
        if isinstance(error, ValueError) and re.search(r"read-?only", said):
            said += " (a method must not write into its inputs: work on a copy)"
        raise MethodError(f"{name} failed in {step}: {type(error).__name__}: {said}") from error


@contextmanager
def blame_faults(name: str, step: str) -> Iterator[None]:
    """`blame`, but what a plug-in refuses in a `BenchError` of its own comes through as it is."""
    try:
        with blame(name, step):
            yield
    except MethodError as error:
        if isinstance(error.__cause__, BenchError):
            raise error.__cause__ from None
        raise


def sentences(name: str, hook: str, said: Any) -> tuple[str, ...]:
    """What a hook says in words; raises `MethodError` unless that is a tuple or list of str."""
    if not isinstance(said, list | tuple) or not all(isinstance(one, str) for one in said):
        what = [type(one).__name__ for one in said] if isinstance(said, list | tuple) else ""
        raise MethodError(
            f"{name}: {hook} must give a tuple of str, not {type(said).__name__}"
            + (f" of {', '.join(what)}" if what else "")
        )
    return tuple(printable(str(one)) for one in said)


def check_outputs(name: str, scores: Any, labels: Any, shape: tuple[int, ...]) -> None:
    """Raise `MethodError` unless scores and labels, where a method gives them, are such.

    Parameters
    ----------
    scores, labels
        Finite floats and bools of ``shape`` (n, L), or None.
    """
    if scores is not None:
        if isinstance(scores, np.ma.MaskedArray):
            raise MethodError(f"{name}: scores must be plain numbers, none of them masked")
        if not isinstance(scores, np.ndarray) or scores.shape != shape or scores.dtype.kind != "f":
            raise MethodError(f"{name}: scores must be float {shape}, not {_shape(scores)}")
        bad = int((~np.isfinite(scores)).any(axis=1).sum())
        if bad:
            raise MethodError(f"{name} gave NaN or infinite scores for {bad} of {shape[0]} samples")
    if labels is not None and (
        not isinstance(labels, np.ndarray) or labels.shape != shape or labels.dtype != bool
    ):
        raise MethodError(f"{name}: labels must be bool {shape}, not {_shape(labels)}")


def check_vectors(name: str, vectors: Any, rows: int) -> None:
    """Raise `MethodError` unless ``vectors`` are finite floats (rows, d)."""
    if (
        not isinstance(vectors, np.ndarray)
        or vectors.ndim != 2
        or len(vectors) != rows
        or vectors.dtype not in (np.float32, np.float64)
    ):
        raise MethodError(
            f"{name} failed in transform: float32 ({rows}, d) expected, got {_shape(vectors)}"
        )
    bad = int((~np.isfinite(vectors)).any(axis=1).sum())
    if bad:
        raise MethodError(f"{name} gave NaN or infinite features for {bad} of {rows} faces")


def check_distribution(name: str, distribution: Any, shape: tuple[int, ...]) -> None:
    """Raise `MethodError` unless label distributions, where a method gives them, are such.

    Parameters
    ----------
    distribution
        Floats of ``shape`` (n, L), rows summing to 1, or None.
    """
    if distribution is not None:
        try:
            check_shares(distribution, shape, f"{name}: label distributions")
        except BenchError as error:
            raise MethodError(str(error)) from error


def _shape(array: Any) -> str:
    if isinstance(array, np.ndarray):
        return f"{array.dtype} {array.shape}"
    return type(array).__name__
