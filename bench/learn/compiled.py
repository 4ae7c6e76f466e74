"""What every compiled kernel needs, in `bench.learn`, `bench.render` and image descriptors alike.

One decorator, so that caching is decided in one place, and one layout of the input.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, TypeVar, cast

import numpy as np

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
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
    return cast(Function, Kernel(function))


class Kernel:
    """A compiled function before its first call.

    Planning a run imports the files of methods and calls none of their kernels, and importing
    Numba takes half a second: so Numba comes with the first call.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        self.function = function
        self._jitted: Any = None
        update_wrapper(self, function)

    def __call__(self, *values: Any) -> Any:
        """Compile where that has not been done, and run."""
        return self.dispatcher(*values)

    @property
    def dispatcher(self) -> Any:
        """Numba's function."""
        if self._jitted is None:
            self._jitted = _jit(self.function)
            # Numba looks up what a kernel calls among the names of its file, where only its own
            # functions mean something to it.
            names = vars(sys.modules[self.function.__module__])
            for name, value in list(names.items()):
                if isinstance(value, Kernel) and value.function.__module__ == names["__name__"]:
                    names[name] = value.dispatcher
        return self._jitted


def _jit(function: Callable[..., object]) -> Any:
    from numba import njit

    # "numpy": without the check before every division, loops over them can use vector instructions
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        kernel = njit(cache=True, **options)(function)
    except RuntimeError as error:
        if "no locator available" not in str(error):
            raise
        warnings.warn(
            "compiled code cannot be kept, so every process compiles it anew (seconds); set "
            "NUMBA_CACHE_DIR to a folder that can be written",
            RuntimeWarning,
            stacklevel=1,  # one place for all kernels: shown once, not once for each
        )
        return njit(**options)(function)
    from bench.learn.machine_code import HashedFiles

    kernel._cache._cache_file = HashedFiles(kernel._cache._cache_file)
    return kernel


def read_only(array: np.ndarray) -> np.ndarray:
    """``array`` row by row in memory and read-only: one type, so that a kernel is compiled once.

    A view where it is row by row already, else a copy.
    """
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
