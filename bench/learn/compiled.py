"""What every compiled kernel needs, in `bench.learn`, `bench.render` and image descriptors alike.

One decorator, so that caching is decided in one place, and one layout of the input.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit

Kernel = TypeVar("Kernel", bound=Callable[..., object])


def compiled(function: Kernel) -> Kernel:
    """Compile ``function`` to machine code at its first call, and keep the result on disk.

    Numba caches in ``$NUMBA_CACHE_DIR``; without it beside the source; where that folder is
    read-only in the user's cache directory. Only where none of the three can be written is the
    kernel compiled again in every process; a ``RuntimeWarning`` says so.

    Parameters
    ----------
    function : callable
        In Numba's subset of Python. It may call other compiled functions of its own file only:
        Numba notices an edit of the file that a cached kernel comes from, of no other.

    Returns
    -------
    callable
        With the same signature. It holds no interpreter lock while it runs, and a float division
        by zero gives inf or nan as in NumPy.
    """
    # "numpy": without the check before every division, loops over them can use vector instructions
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        kernel: Kernel = njit(cache=True, **options)(function)
    except RuntimeError as error:
        if "no locator available" not in str(error):
            raise
        warnings.warn(
            "compiled code cannot be kept, so every process compiles it anew (seconds); set "
            "NUMBA_CACHE_DIR to a folder that can be written",
            RuntimeWarning,
            stacklevel=1,  # one place for all kernels: shown once, not once for each
        )
        kernel = njit(**options)(function)
    return kernel


def read_only(array: np.ndarray) -> np.ndarray:
    """``array`` row by row in memory and read-only: one type, so that a kernel is compiled once.

    A view where it is row by row already, else a copy.
    """
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
