"""Images that show one photograph: copies across the parts of a split, or in two datasets.

FER2013 holds many photographs more than once, and two datasets are made of it. Both leave out
copies across their parts; a method that learns from two datasets looks here for what they share.
"""

from __future__ import annotations

import hashlib

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bench.api import LEFT_OUT, TRAIN, VALID, BenchError, FaceSet

# float32 dot products of unit vectors with some thousand entries are off by about 1e-6; pairs
# nearer to the threshold than this are decided in whole numbers.
_MARGIN = 1e-3
_EARLIER_ROWS = 2048  # block sizes: about 100 MB in all for 48×48 images
_LATER_ROWS = 4096
_EXACT_PAIRS = 1024

COPIES = 0.9
"""Correlation above which two images of FER2013 show one photograph."""


def without_copies(faces: FaceSet, split: np.ndarray) -> np.ndarray:
    """The split, int8 (n,), with LEFT_OUT for every image that `later_copies` finds."""
    if faces.images is None:
        raise BenchError(
            f"{faces.name} has no images that could be searched for copies; use another --protocol"
        )
    return np.where(later_copies(faces.images, split), np.int8(LEFT_OUT), split)


def later_copies(images: np.ndarray, split: np.ndarray, threshold: float = COPIES) -> np.ndarray:
    """Rows whose picture comes again in a later part of the split.

    Train is compared with valid and test, valid with test. Two images are copies where Pearson's
    correlation of their pixels, straight or with one of them mirrored left to right, exceeds the
    threshold. An image of one single grey value correlates with nothing (the formula divides by
    its variance), so it is nobody's copy.

    Parameters
    ----------
    images : uint8 (n, H, W) or (n, H, W, 3)
    split : int8 (n,)
        TRAIN, VALID, TEST or LEFT_OUT.
    threshold : float
        From 0.01 to 1.

    Returns
    -------
    bool (n,)
        True for the rows of train and valid that have a copy later.

    Raises
    ------
    ValueError
        For a threshold out of range.
    """
    _check_threshold(threshold)
    copies = np.zeros(len(images), dtype=bool)
    for part in (TRAIN, VALID):
        earlier = np.flatnonzero(split == part)
        later = np.flatnonzero(split > part)
        for start in range(0, len(earlier), _EARLIER_ROWS):
            rows = earlier[start : start + _EARLIER_ROWS]
            even, odd = _halves(images[rows])
            for begin in range(0, len(later), _LATER_ROWS):
                others = later[begin : begin + _LATER_ROWS]
                even_later, odd_later = _halves(images[others])
                # mirroring keeps the even half and negates the odd one, so that the larger of the
                # two correlations is their sum with the odd part taken positive
                score = odd @ odd_later.T
                np.abs(score, out=score)
                score += even @ even_later.T
                copies[rows[(score > threshold + _MARGIN).any(axis=1)]] = True
                i, j = np.nonzero(np.abs(score - threshold) <= _MARGIN)
                i, j = rows[i], others[j]
                open_pairs = ~copies[i]
                copies[_exact(images, i[open_pairs], j[open_pairs], threshold)] = True
    return copies


def _check_threshold(threshold: float) -> None:
    if not 0.01 <= threshold <= 1:
        raise ValueError(f"threshold {threshold} is not within 0.01 … 1")


def groups_of_copies(images: np.ndarray, threshold: float = COPIES) -> np.ndarray:
    """Numbers of the groups of images that show one photograph, by the rule of `later_copies`.

    A copy of a copy is in the group too, like the original or not.

    Parameters
    ----------
    images : uint8 (n, H, W) or (n, H, W, 3)
    threshold : float
        From 0.01 to 1.

    Returns
    -------
    int (n,)
        From 0, without gaps, in the order of their first images.
    """
    _check_threshold(threshold)
    pairs = [np.empty((0, 2), dtype=np.int64)]
    halves = [
        (start, *_halves(images[start : start + _EARLIER_ROWS]))
        for start in range(0, len(images), _EARLIER_ROWS)
    ]
    for number, (start, even, odd) in enumerate(halves):
        for begin, even_later, odd_later in halves[number:]:
            score = odd @ odd_later.T
            np.abs(score, out=score)
            score += even @ even_later.T
            i, j = np.nonzero(score > threshold - _MARGIN)
            clear = score[i, j] > threshold + _MARGIN
            i, j = i + start, j + begin
            apart = i < j
            pairs.append(np.stack([i[clear & apart], j[clear & apart]], axis=1))
            i, j = i[~clear & apart], j[~clear & apart]
            alike = _alike(images, i, j, threshold)
            pairs.append(np.stack([i[alike], j[alike]], axis=1))
    i, j = np.concatenate(pairs).T
    edges = coo_array((np.ones(len(i), dtype=bool), (i, j)), shape=(len(images),) * 2)
    return in_order(connected_components(edges, directed=False)[1])


def in_order(groups: np.ndarray) -> np.ndarray:
    """Group numbers, or names, as numbers from 0 in the order of their first members: int (n,)."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def same_images(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which of the images is one of the others, pixel by pixel: bool (n,).

    An image of one single grey value is nobody's copy, as in `later_copies`.

    Parameters
    ----------
    images, others : uint8 (n, H, W) or (n, H, W, 3)
        Of one shape; where these differ, none is the same.
    """
    if images.shape[1:] != others.shape[1:]:
        return np.zeros(len(images), dtype=bool)
    # Hashes: the pixels themselves would be held twice.
    seen = {_digest(image) for image in others}
    return np.array([_digest(image) in seen and np.ptp(image) > 0 for image in images], dtype=bool)


def _digest(image: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()


def correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson's correlation of the pixels of pairs of images, from exact whole-number sums.

    Parameters
    ----------
    first, second : uint8 (k, H, W) or (k, H, W, 3)

    Returns
    -------
    float64 (k,)
        From -1 to 1; 0 where an image has one single value.
    """
    x = first.reshape(len(first), -1).astype(np.int64)
    y = second.reshape(len(second), -1).astype(np.int64)
    size, sum_x, sum_y = x.shape[1], x.sum(axis=1), y.sum(axis=1)
    covariance = size * np.einsum("ij,ij->i", x, y) - sum_x * sum_y
    spread_x = size * np.einsum("ij,ij->i", x, x) - sum_x**2
    spread_y = size * np.einsum("ij,ij->i", y, y) - sum_y**2
    scale = np.sqrt(spread_x.astype(np.float64)) * np.sqrt(spread_y.astype(np.float64))
    result = np.zeros(len(x))
    np.divide(covariance, scale, out=result, where=scale > 0)
    return result


def _halves(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mirror-even and mirror-odd half of each standardised image, float32 (n, about p / 2) each.

    The scalar product of two images is the sum of those of their halves; a constant image gives
    zeros.
    """
    pixels = images.reshape(len(images), -1).astype(np.float32)
    pixels -= pixels.mean(axis=1, keepdims=True, dtype=np.float64)
    norm = np.sqrt(np.einsum("ij,ij->i", pixels, pixels))[:, None]
    norm[norm == 0] = np.inf
    pixels /= norm
    pixels = pixels.reshape(*images.shape)
    width = images.shape[2]
    half = width // 2
    left, right = pixels[:, :, :half], pixels[:, :, ::-1][:, :, :half]
    middle = pixels[:, :, half : width - half]
    even = np.concatenate([(left + right) / np.float32(np.sqrt(2)), middle], axis=2)
    odd = (left - right) / np.float32(np.sqrt(2))
    return even.reshape(len(images), -1), odd.reshape(len(images), -1)


def _exact(images: np.ndarray, i: np.ndarray, j: np.ndarray, threshold: float) -> np.ndarray:
    """Those of the rows ``i`` whose pair in ``j`` correlates above the threshold."""
    return i[_alike(images, i, j, threshold)]


def _alike(images: np.ndarray, i: np.ndarray, j: np.ndarray, threshold: float) -> np.ndarray:
    """Which of the pairs correlate above the threshold, bool (k,), in whole numbers."""
    found = np.zeros(len(i), dtype=bool)
    for start in range(0, len(i), _EXACT_PAIRS):
        rows = slice(start, start + _EXACT_PAIRS)
        first, second = images[i[rows]], images[j[rows]]
        best = np.maximum(correlation(first, second), correlation(first, second[:, :, ::-1]))
        found[rows] = best > threshold
    return found
