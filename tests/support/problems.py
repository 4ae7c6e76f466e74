"""Problems made of noise."""

from __future__ import annotations

import numpy as np


def noisy_problem(rows: int, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """X float (rows, 4) and Y bool (rows, labels): linear in X, with as much noise as signal."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(rows, 4))
    return X, X @ rng.normal(size=(4, labels)) + rng.normal(size=(rows, labels)) > 0.3


def noisy_classes(n: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """X float (n, d) and two classes bool (n,), which follow the first feature."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, X[:, 0] + 0.7 * rng.normal(size=n) > 0.4
