"""LBP: how often each local binary pattern occurs in each part of the face."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from bench.api import FaceInput, FaceSet, Features, param
from bench.data.prepare import grey_images
from bench.learn.compiled import compiled, read_only

LBP_BINS = 59
"""The 58 uniform patterns of 8 neighbours and one bin for all others."""

# Diagonal neighbours on the circle of radius 2, rounded as scikit-image rounds its positions
_DIAGONAL = round(float(2 * np.sin(np.pi / 4)), 5)


class LBP(Features):
    """Histograms of uniform local binary patterns over the cells of a grid, 5900-d.

    The operator is LBP^{u2}_{8,2} of T. Ojala, M. Pietikäinen and T. Mäenpää, IEEE TPAMI 24 (2002)
    971–987: 8 neighbours on a circle of radius 2, 58 uniform patterns and one bin for the rest.
    Histograms over the regions of a face follow T. Ahonen, A. Hadid and M. Pietikäinen, IEEE
    TPAMI 28 (2006) 2037–2041, Eq. 2; 10 × 10-pixel cells on 100 × 100 pixels follow S. Li and
    W. Deng, IJCV 127 (2019) 884–906: 10 · 10 cells · 59 bins.

    The codes are scikit-image's (``local_binary_pattern(image, 8, 2, method="nri_uniform")``) on
    every pixel: a neighbour beyond the image counts as 0.

    Deviation: none. The values are counts, as in Ahonen's Eq. 2; the 2019 paper names no
    normalisation. All cells have equally many pixels, so shares would only change the scale.
    """

    name = "lbp"
    input = FaceInput(size=100, colour="grey")
    stateless = True
    seconds_per_1000 = 0.2

    cell: int = param(10, choices=(5, 10, 20, 25, 50), help="side of a cell in pixels")

    def transform(self, faces: FaceSet) -> np.ndarray:
        """How often each pattern occurs in each cell: float32 (n, (100 / cell)² · 59)."""
        return lbp_histograms(grey_images(faces, 100), self.cell)


def uniform_table() -> np.ndarray:
    """Code of each 8-bit pattern, as scikit-image numbers them (method ``nri_uniform``).

    Bit i is neighbour i, counter-clockwise from the east. A pattern with at most two changes
    between 0 and 1 from bit 0 to bit 7 is uniform: code ``1 + 8 (ones - 1) + rotation``, where
    ``rotation`` counts the right shifts from the pattern whose ones stand last. 0 is the pattern
    without ones, 57 the one without zeros, 58 every non-uniform pattern.

    Returns
    -------
    uint8 (256,)
    """
    table = np.full(256, LBP_BINS - 1, dtype=np.uint8)
    for pattern in range(256):
        bits = [pattern >> i & 1 for i in range(8)]
        changes = sum(bits[i] != bits[i + 1] for i in range(7))
        ones = sum(bits)
        if changes > 2:
            continue
        if ones in (0, 8):
            table[pattern] = 0 if ones == 0 else 57
        else:
            rotation = ones - bits.index(0) if bits[0] else 8 - bits.index(1)
            table[pattern] = 1 + 8 * (ones - 1) + rotation
    return table


_UNIFORM = uniform_table()


@lru_cache(maxsize=8)
def _fractions(length: int) -> np.ndarray:
    """Fractional parts of the diagonal positions before and after each pixel: float (2, length).

    They depend on the pixel in the last bits. That matters: in a flat region the interpolated
    neighbour equals the centre but for rounding, and scikit-image compares the two exactly.
    """
    pixels = np.arange(length)
    positions = np.stack([pixels - _DIAGONAL, pixels + _DIAGONAL])
    return positions - np.floor(positions)


@compiled
def _find_codes(
    image: np.ndarray,  # uint8 (H, W)
    down: np.ndarray,  # float (2, H): fractional row positions of the upper and lower neighbours
    across: np.ndarray,  # float (2, W): fractional column positions of the left and right ones
    uniform: np.ndarray,  # uint8 (256,)
    padded: np.ndarray,  # float (H + 4, W + 4), zero in its border of 2 pixels
    west: np.ndarray,  # float (H + 4, W), work space
    east: np.ndarray,  # float (H + 4, W), work space
    codes: np.ndarray,  # uint8 (H, W), result
) -> None:
    """Code of every pixel, 0 to 58, numbered as `uniform_table` says."""
    height, width = image.shape
    for r in range(height):
        for c in range(width):
            padded[r + 2, c + 2] = image[r, c]
    # A row's interpolation between columns serves the pixels above and below it alike. The order
    # of operations is scikit-image's, so that the last bits agree.
    for r in range(height + 4):
        for c in range(width):
            a, b = across[0, c], across[1, c]
            west[r, c] = (1 - a) * padded[r, c] + a * padded[r, c + 1]
            east[r, c] = (1 - b) * padded[r, c + 3] + b * padded[r, c + 4]
    for r in range(height):
        a, b = down[0, r], down[1, r]
        for c in range(width):
            centre = padded[r + 2, c + 2]
            pattern = np.int64(padded[r + 2, c + 4] >= centre)
            pattern |= np.int64((1 - a) * east[r, c] + a * east[r + 1, c] >= centre) << 1
            pattern |= np.int64(padded[r, c + 2] >= centre) << 2
            pattern |= np.int64((1 - a) * west[r, c] + a * west[r + 1, c] >= centre) << 3
            pattern |= np.int64(padded[r + 2, c] >= centre) << 4
            pattern |= np.int64((1 - b) * west[r + 3, c] + b * west[r + 4, c] >= centre) << 5
            pattern |= np.int64(padded[r + 4, c + 2] >= centre) << 6
            pattern |= np.int64((1 - b) * east[r + 3, c] + b * east[r + 4, c] >= centre) << 7
            codes[r, c] = pattern
        for c in range(width):
            codes[r, c] = uniform[codes[r, c]]


@compiled
def _lbp_histograms(
    images: np.ndarray,  # uint8 (n, H, W)
    cell: int,
    down: np.ndarray,
    across: np.ndarray,
    uniform: np.ndarray,
    counts: np.ndarray,  # float32 (n, H / cell, W / cell, 59), zero; result
) -> None:
    n, height, width = images.shape
    padded = np.zeros((height + 4, width + 4))
    west = np.empty((height + 4, width))
    east = np.empty((height + 4, width))
    codes = np.empty((height, width), dtype=np.uint8)
    for i in range(n):
        _find_codes(images[i], down, across, uniform, padded, west, east, codes)
        for row in range(height // cell):
            for column in range(width // cell):
                histogram = counts[i, row, column]
                for r in range(row * cell, (row + 1) * cell):
                    for c in range(column * cell, (column + 1) * cell):
                        histogram[codes[r, c]] += 1


def lbp_histograms(images: np.ndarray, cell: int) -> np.ndarray:
    """Histograms of uniform LBP codes over square cells without overlap, cell after cell.

    The codes equal ``skimage.feature.local_binary_pattern(image, 8, 2, method="nri_uniform")`` as
    built for x86-64: 8 neighbours on a circle of radius 2, between pixels by bilinear
    interpolation, 0 beyond the image; a bit is set where neighbour >= centre. This does a whole
    chunk of images in one call, and allocates a few buffers of the size of one image.

    Parameters
    ----------
    images : uint8 (n, H, W)
    cell : int
        Side of a cell in pixels; divides H and W.

    Returns
    -------
    float32 (n, H / cell · W / cell · 59)
        Pixels of each code in each cell, whole numbers up to cell²; cells row by row.
    """
    n, height, width = images.shape
    counts = np.zeros((n, height // cell, width // cell, LBP_BINS), dtype=np.float32)
    fractions = _fractions(height), _fractions(width)
    _lbp_histograms(read_only(images), cell, *fractions, _UNIFORM, counts)
    return counts.reshape(n, math.prod(counts.shape[1:]))  # -1 fails where n is 0
