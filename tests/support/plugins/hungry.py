"""Classifiers that need 10 bytes for every pair of training rows: 12,960 for the 36 of `tiny`."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np

from bench.api import Classifier


class Hungry(Classifier):
    """Label frequencies, at a price; a file beside this one says that `fit` was reached."""

    name = "hungry"

    def memory_needed(self, n: int, d: int, labels: int, itemsize: int = 4) -> float:
        return 10 * n * n

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        Path(__file__).with_name("started").touch()
        self.p_ = Y.mean(0)
        return self

    def scores(self, X: np.ndarray) -> np.ndarray:
        return np.tile(self.p_, (len(X), 1))

    def labels(self, X: np.ndarray) -> np.ndarray:
        return self.scores(X) >= 0.5


class Confused(Hungry):
    """Cannot tell how much memory it needs."""

    name = "confused"

    def memory_needed(self, n: int, d: int, labels: int, itemsize: int = 4) -> float:
        raise ValueError("how many?")
