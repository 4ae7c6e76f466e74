"""Misbehaving plug-ins: one class for each way in which a method can fail the engine."""

from __future__ import annotations

import os
import time
from typing import Self

import numpy as np

from bench.api import Classifier, FaceSet, Features, UnavailableError


class Base(Classifier):
    """Label frequencies, without a fault; no plug-in, since it has no name."""

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        self.p_ = Y.mean(0)
        return self

    def scores(self, X: np.ndarray) -> np.ndarray:
        return np.tile(self.p_, (len(X), 1))

    def labels(self, X: np.ndarray) -> np.ndarray:
        return self.scores(X) >= 0.5


class Raises(Base):
    """Raises an error of two lines."""

    name = "raises"

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        raise RuntimeError("no luck\ntoday")


class Hangs(Base):
    """Hangs."""

    name = "hangs"

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        time.sleep(600)
        return super().fit(X, Y)


class GivesNaN(Base):
    """Gives a score that is not a number."""

    name = "gives-nan"

    def scores(self, X: np.ndarray) -> np.ndarray:
        s = super().scores(X)
        s[2] = np.nan
        return s


class WrongShape(Base):
    """Gives the scores of one label only."""

    name = "wrong-shape"

    def scores(self, X: np.ndarray) -> np.ndarray:
        return super().scores(X)[:, :1]


class SoftLabels(Base):
    """Gives scores for labels."""

    name = "soft-labels"

    def labels(self, X: np.ndarray) -> np.ndarray:
        return self.scores(X)


class Writes(Base):
    """Writes into its input."""

    name = "writes"

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        X -= X.mean(0)
        return super().fit(X, Y)


class Dies(Base):
    """Takes its process along."""

    name = "dies"

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        os._exit(7)


class Absent(Base):
    """Needs weights that are not there."""

    name = "absent"

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Self:
        raise UnavailableError("absent needs weights: give --weights PATH")


class BadFeatures(Features):
    """Gives features that are no numbers."""

    name = "bad-features"
    stateless = True

    def transform(self, faces: FaceSet) -> np.ndarray:
        return np.full((len(faces), 2), np.nan, np.float32)


class FewRows(Features):
    """Leaves out a row."""

    name = "few-rows"
    stateless = True

    def transform(self, faces: FaceSet) -> np.ndarray:
        return np.zeros((len(faces) - 1, 2), np.float32)
