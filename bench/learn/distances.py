"""Euclidean distances by one matrix product, exact where the product would lose digits.

Behind the RBF kernel and LIFT's features.
"""

from __future__ import annotations

import numpy as np

from bench.learn.openblas import gram

_PAIR_ELEMENTS = 1 << 20


def squared_distances(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """||a − b||² of each row a of ``points`` (n, d) and each b of ``others`` (m, d), float (n, m).

    Computed as ||a||² + ||b||² − 2 a·b about the mean of ``others``. Where that is so small beside
    ||a||² + ||b||² that rounding would show, the difference itself is squared; a row and its copy
    are at distance 0. Float32 where both are (relative error about 1e-5), otherwise float64.
    """
    dtype = np.result_type(points, others, np.float32)
    centre = others.mean(axis=0, dtype=np.float64).astype(dtype)
    left = points - centre
    right = left if points is others else others - centre
    squares = np.einsum("ij,ij->i", left, left), np.einsum("ij,ij->i", right, right)
    result = gram(left) if right is left else left @ right.T
    result *= -2
    result += squares[0][:, None]
    result += squares[1]
    lost = dtype.type(30 * np.sqrt(np.finfo(dtype).eps))
    # Compared row by row: a second n × m matrix would double the memory.
    for row, line in enumerate(result):
        near = np.flatnonzero(line < lost * (squares[0][row] + squares[1]))
        for start in range(0, len(near), step := max(1, _PAIR_ELEMENTS // points.shape[1])):
            part = near[start : start + step]
            difference = others[part].astype(np.float64) - points[row]
            line[part] = np.einsum("ij,ij->i", difference, difference)
    # Only a row of zeros about the centre passes the comparison above with a rounded value below 0.
    return np.maximum(result, 0, out=result)
