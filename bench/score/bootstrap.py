"""Bootstrap over test images, or over what they hang together by.

Images are drawn with replacement; images of one subject, or of one photograph, together. The draws
depend on the seed and the number of things to draw alone, so
two methods on one test part see the same resamples and the difference of their replicates is the
replicate of their difference (B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993,
Ch. 13).
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from bench.api import BenchError
from bench.score.criteria import measures
from bench.score.predictions import Measure, Predictions

# Numbers per array while replicates are computed: 8 MB each, whatever the size of the test part.
CHUNK = 2**20
IMAGES = "images"


@dataclass(frozen=True, eq=False)
class Clusters:
    """Which rows are drawn together.

    Attributes
    ----------
    of_rows : int (n,)
        Number of each row's cluster, from 0.
    count : int
        How many clusters are drawn from; some may have no row here.
    """

    of_rows: np.ndarray
    count: int


def resamples(n: int, seed: int, count: int, chunk: int) -> Iterator[np.ndarray]:
    """How often each of n rows is drawn: float (n, up to ``chunk``), ``count`` columns in all.

    The draws do not depend on ``chunk``, and a larger ``count`` only adds to them.
    """
    rng = np.random.default_rng(seed)
    for start in range(0, count, chunk):
        columns = min(chunk, count - start)
        drawn = rng.integers(n, size=(columns, n)) + n * np.arange(columns)[:, None]
        times = np.bincount(drawn.ravel(), minlength=columns * n).reshape(columns, n)
        yield np.ascontiguousarray(times.T, dtype=float)


def replicates(
    truth: np.ndarray,
    scores: np.ndarray | None,
    labels: np.ndarray | None,
    convention: str,
    kind: str,
    seed: int,
    count: int = 1000,
    clusters: Clusters | None = None,
) -> dict[str, np.ndarray]:
    """Every criterion on ``count`` resamples of the test images.

    Parameters
    ----------
    truth, scores, labels, convention, kind
        As for `bench.score.criteria.evaluate`.
    seed : int
        Not negative; one per test part, so that methods can be compared in pairs.
    count : int
    clusters : Clusters, optional
        By default each row is drawn for itself.

    Returns
    -------
    dict of str to float32 (count,)
        By criterion, those without their input left out; NaN where a resample leaves a criterion
        undefined.

    Raises
    ------
    BenchError
        See `bench.score.predictions.Predictions`.
    """
    predictions = Predictions(truth, scores, labels, convention, kind)
    by_name = measures(predictions)
    possible = {name: measure for name, measure in by_name.items() if measure is not None}
    return resampled(possible, truth.shape, seed, count, clusters)


def resampled(
    measures_by_name: Mapping[str, Measure],
    shape: tuple[int, ...],
    seed: int,
    count: int,
    clusters: Clusters | None = None,
) -> dict[str, np.ndarray]:
    """Values of the measures on the resamples of n images with L labels, ``shape`` (n, L)."""
    chunk = max(1, CHUNK // (shape[0] * shape[1]))
    values = {name: np.empty(count, dtype=np.float32) for name in measures_by_name}
    done = 0
    things = shape[0] if clusters is None else clusters.count
    for drawn in resamples(things, seed, count, chunk):
        weights = drawn if clusters is None else drawn[clusters.of_rows]
        columns = slice(done, done + weights.shape[1])
        for name, measure in measures_by_name.items():
            values[name][columns] = measure(weights)
        done = columns.stop
    return values


def pack(values: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Replicates as text for a record: little-endian float32, compressed, base64."""
    return {
        name: base64.b64encode(zlib.compress(np.asarray(array, dtype="<f4").tobytes(), 9)).decode()
        for name, array in values.items()
    }


def unpack(packed: Mapping[str, str]) -> dict[str, np.ndarray]:
    """The float32 arrays that `pack` was given; raises `BenchError` for damaged text."""
    values = {}
    for name, text in packed.items():
        try:
            raw = zlib.decompress(base64.b64decode(text, validate=True))
            values[name] = np.frombuffer(raw, dtype="<f4").astype(np.float32)
        except (TypeError, ValueError, zlib.error) as error:
            raise BenchError(
                f"the bootstrap replicates of {name} cannot be read ({error})"
            ) from error
    return values
