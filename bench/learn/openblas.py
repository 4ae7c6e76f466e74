"""What OpenBLAS's threads crash on, done in a way that they do not.

With several threads its products X Xᵀ and its Cholesky factors in float64 end the process with a
segmentation fault on many rows (seen with NumPy 2.4 and SciPy 1.17 on 2 threads: from 16,000 rows
of a factor, 20,000 of a product; 12,000 pass, and so does one thread).
"""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
from scipy.linalg import cho_factor
from threadpoolctl import threadpool_limits

_SAFE_ROWS = 10_000
_BLOCK = 4096


def gram(rows: np.ndarray) -> np.ndarray:
    """X Xᵀ of X (n, d), as ``rows @ rows.T`` gives it: symmetric (n, n) of the same type."""
    n = len(rows)
    if n <= _SAFE_ROWS:
        return np.asarray(rows @ rows.T)
    product = np.empty((n, n), rows.dtype)
    for start in range(0, n, _BLOCK):
        stop = min(start + _BLOCK, n)
        # The lower half by general products, the upper one by mirroring.
        product[start:stop, :stop] = rows[start:stop] @ rows[:stop].T
        product[:start, start:stop] = product[start:stop, :start].T
    return product


def factor_in_place(matrix: np.ndarray) -> np.ndarray:
    """The lower factor of a positive definite float64 (n, n) in Fortran order, in its place.

    For `scipy.linalg.cho_solve` with ``lower=True``; what stands above the diagonal is no part of
    it.
    """
    one_thread = threadpool_limits(1, "blas") if len(matrix) > _SAFE_ROWS else nullcontext()
    with one_thread:
        factor, _ = cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
    return np.asarray(factor)
