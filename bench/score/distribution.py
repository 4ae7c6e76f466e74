"""Label-distribution criteria: how near a predicted distribution is to the true one.

The six of X. Geng, "Label distribution learning", IEEE TKDE 28 (2016) 1734–1748, averaged
over images. d is the true distribution of an image and p the predicted one. They are kept apart
from the nine criteria of `bench.score.criteria`, which judge label sets and rankings, not shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from bench.api import BenchError
from bench.score.deferred import Deferred
from bench.score.predictions import Measure, mean_over_rows

if TYPE_CHECKING:
    import numpy as np
else:
    np = Deferred("numpy")

CLIP = 1e-7
"""Smallest predicted share that the Kullback-Leibler divergence sees; truth is not clipped."""

_TOLERANCE = 1e-3  # how far float32 rows may be from 1


class DistributionCriterion:
    """One number about predicted label distributions on a test part.

    Class attributes
    ----------------
    name, title : str
        As in files and as printed.
    direction : {"lower", "higher"}
        Which is better.
    range : str
        From the value of a perfect prediction to that of the worst, or back.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    direction: ClassVar[str] = "lower"
    needs: ClassVar[str] = "distribution"
    range: ClassVar[str] = "0 to 1"
    reference: ClassVar[str] = "X. Geng, IEEE TKDE 28 (2016) 1734–1748"

    def rows(self, truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Value of each image, float (n,), from d and p, float (n, L) both."""
        raise NotImplementedError


class Chebyshev(DistributionCriterion):
    """Largest difference of a share: max |d - p|."""

    name, title = "chebyshev", "Chebyshev"

    def rows(self, truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        return np.asarray(np.abs(truth - predicted).max(axis=1))


class Clark(DistributionCriterion):
    """Square root of the sum of (d - p)² / (d + p)²; a label with d = p = 0 adds 0."""

    name, title = "clark", "Clark"
    range = "0 to the square root of the number of labels"

    def rows(self, truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        return np.asarray(np.sqrt((_relative(truth, predicted) ** 2).sum(axis=1)))


class Canberra(DistributionCriterion):
    """Sum of |d - p| / (d + p); a label with d = p = 0 adds 0."""

    name, title = "canberra", "Canberra"
    range = "0 to the number of labels"

    def rows(self, truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        return np.asarray(_relative(truth, predicted).sum(axis=1))


class KullbackLeibler(DistributionCriterion):
    """Sum of d ln(d / p), in nats; a label with d = 0 adds 0.

    Predicted shares below 1e-7 count as 1e-7 (and are not made to sum to 1 again), so that a share
    of 0 where the truth has one costs much and not infinitely much.
    """

    name, title = "kullback_leibler", "KL divergence"
    range = "0 (a rounding below, where shares are clipped) to 16.1"

    def rows(self, truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        ratio = np.where(truth > 0, truth, 1.0) / np.maximum(predicted, CLIP)
        return np.asarray(np.where(truth > 0, truth * np.log(ratio), 0.0).sum(axis=1))


class Cosine(DistributionCriterion):
    """Cosine of the angle between d and p."""

    name, title, direction = "cosine", "Cosine", "higher"

    def rows(self, truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        lengths = np.linalg.norm(truth, axis=1) * np.linalg.norm(predicted, axis=1)
        return np.asarray((truth * predicted).sum(axis=1) / lengths)


class Intersection(DistributionCriterion):
    """Sum of the smaller of d and p."""

    name, title, direction = "intersection", "Intersection", "higher"

    def rows(self, truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        return np.asarray(np.minimum(truth, predicted).sum(axis=1))


def _relative(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """|d - p| / (d + p), 0 where both are 0."""
    total = truth + predicted
    return np.asarray(np.abs(truth - predicted) / np.where(total > 0, total, 1.0))


DISTRIBUTION_CRITERIA: tuple[DistributionCriterion, ...] = (
    Chebyshev(),
    Clark(),
    Canberra(),
    KullbackLeibler(),
    Cosine(),
    Intersection(),
)
BY_NAME: Mapping[str, DistributionCriterion] = {
    criterion.name: criterion for criterion in DISTRIBUTION_CRITERIA
}


def distribution_measures(truth: np.ndarray, predicted: np.ndarray) -> dict[str, Measure]:
    """How to compute each criterion, by name.

    Parameters
    ----------
    truth, predicted : float (n, L)
        Rows of shares that sum to 1.

    Raises
    ------
    BenchError
        No rows, other shapes, shares below 0, not finite, or rows that do not sum to 1.
    """
    for what, shares in (("true", truth), ("predicted", predicted)):
        check_shares(shares, truth.shape, f"the {what} label distributions")
    if not len(truth):
        raise BenchError("label-distribution criteria need at least one row")
    truth, predicted = truth.astype(float), predicted.astype(float)
    return {
        criterion.name: mean_over_rows(criterion.rows(truth, predicted))
        for criterion in DISTRIBUTION_CRITERIA
    }


def check_shares(shares: np.ndarray, shape: tuple[int, ...], what: str) -> None:
    """Raise `BenchError` unless ``shares`` are float, of ``shape`` (n, L), and rows of shares."""
    if shares.shape != shape or shares.ndim != 2 or shares.dtype.kind != "f":
        raise BenchError(f"{what} must be float {shape}, not {shares.dtype} {shares.shape}")
    bad = ~(np.isfinite(shares) & (shares >= 0)).all(axis=1)
    bad |= ~(np.abs(shares.sum(axis=1) - 1) <= _TOLERANCE)
    if bad.any():
        raise BenchError(
            f"{what} are no shares that sum to 1 in {bad.sum()} of {len(shares)} rows, row "
            f"{np.flatnonzero(bad)[0]} first"
        )


def evaluate_distribution(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Every criterion of one method, by name; parameters as for `distribution_measures`."""
    once = np.ones((len(truth), 1))
    measures = distribution_measures(truth, predicted)
    return {name: float(measure(once)[0]) for name, measure in measures.items()}
