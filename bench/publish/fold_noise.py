"""The noise of means over folds: folds resampled whole, and what repeated folds add to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bench.run.record import Record
from bench.score import bootstrap
from bench.score.intervals import Sample

REPEAT = "repeat"  # begins the names of repeated folds
_DRAWS = 1000


def over_splits(values: np.ndarray) -> np.ndarray:
    """Means over resampled splits, float (n_seeds, B), of values (n_splits, n_seeds)."""
    weights = next(bootstrap.resamples(len(values), 0, _DRAWS, _DRAWS))
    return np.asarray(values.T @ weights / len(values))


def widened(replicates: np.ndarray, values: np.ndarray, records: Sequence[Record]) -> np.ndarray:
    """Replicates over J repeated folds, which share images, with the variance of their mean.

    By the corrected resampled t-test that is s² (1/J + n_test/n_train), where resampled folds have
    s²/J (C. Nadeau and Y. Bengio, Machine Learning 52 (2003) 239; `bench.score.repeated`).
    """
    ratio = sum(r.cell.n_test for r in records) / sum(r.cell.n_train for r in records)
    means = values.mean(axis=0)[:, None]
    return np.asarray(means + np.sqrt(1 + len(values) * ratio) * (replicates - means))


def moved(sample: Sample, by: float) -> Sample:
    """The same noise around another value."""
    return replace(sample, values=sample.values + by, replicates=sample.replicates + by)
