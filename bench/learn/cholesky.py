"""Cholesky factors in place, also of matrices that OpenBLAS's threads crash on."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
from scipy.linalg import cho_factor
from threadpoolctl import threadpool_limits

# OpenBLAS's threaded factorisation ends the process with a segmentation fault at 16,000 rows (seen
# with SciPy 1.17 and NumPy 2.4, on 2 threads; 12,000 rows pass, and one thread passes 20,000).
_SAFE_ROWS = 10_000


def factor_in_place(matrix: np.ndarray) -> np.ndarray:
    """The lower factor of a positive definite float64 (n, n) in Fortran order, in its place.

    For `scipy.linalg.cho_solve` with ``lower=True``; what stands above the diagonal is no part of
    it.
    """
    one_thread = threadpool_limits(1, "blas") if len(matrix) > _SAFE_ROWS else nullcontext()
    with one_thread:
        factor, _ = cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
    return np.asarray(factor)
