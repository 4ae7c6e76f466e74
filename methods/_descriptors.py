"""Hand-crafted descriptors of grey images, compiled: local binary patterns and HOG blocks.

Both give what scikit-image's per-image functions give, for a whole chunk of images in one call.
Beyond the result they allocate a few buffers of the size of one image.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from bench.api import BenchError
from bench.learn.compiled import compiled

if TYPE_CHECKING:
    from bench.api import FaceSet

LBP_BINS = 59
"""The 58 uniform patterns of 8 neighbours and one bin for all others."""

# Diagonal neighbours on the circle of radius 2, rounded as scikit-image rounds its positions
_DIAGONAL = round(float(2 * np.sin(np.pi / 4)), 5)


def grey_images(faces: FaceSet, size: int) -> np.ndarray:
    """The images of ``faces``, checked for what the kernels take.

    Returns
    -------
    uint8 (n, size, size)
        Contiguous and read-only (one type, so that each kernel is compiled once); a view where
        the images are contiguous already.

    Raises
    ------
    BenchError
        Where there are no images, or they are not grey and ``size`` pixels square.
    """
    if faces.images is None:
        raise BenchError(
            f"{faces.name} has no images but ready features; use the features identity with it"
        )
    if faces.images.shape[1:] != (size, size):
        raise BenchError(
            f"{faces.name}: images must be grey (n, {size}, {size}), not {faces.images.shape}; "
            "convert and resize them first"
        )
    return _kernel_input(faces.images)


def _kernel_input(images: np.ndarray) -> np.ndarray:
    images = np.ascontiguousarray(images).view()
    images.flags.writeable = False
    return images


# ------------------------------------------------------------------ local binary patterns


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
def _codes(
    image: np.ndarray,  # uint8 (H, W)
    down: np.ndarray,  # float (2, H): fractional row positions of the upper and lower neighbours
    across: np.ndarray,  # float (2, W): fractional column positions of the left and right ones
    uniform: np.ndarray,  # uint8 (256,)
    padded: np.ndarray,  # float (H + 4, W + 4), zero in its border of 2 pixels
    west: np.ndarray,  # float (H + 4, W), work space
    east: np.ndarray,  # float (H + 4, W), work space
    codes: np.ndarray,  # uint8 (H, W), result
) -> None:
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
        _codes(images[i], down, across, uniform, padded, west, east, codes)
        for row in range(height // cell):
            for column in range(width // cell):
                histogram = counts[i, row, column]
                for r in range(row * cell, (row + 1) * cell):
                    for c in range(column * cell, (column + 1) * cell):
                        histogram[codes[r, c]] += 1


def lbp_codes(image: np.ndarray) -> np.ndarray:
    """Uniform LBP code of every pixel, 8 neighbours on a circle of radius 2.

    Equal to ``skimage.feature.local_binary_pattern(image, 8, 2, method="nri_uniform")`` as built
    for x86-64: neighbours between pixels by bilinear interpolation, 0 beyond the image, a bit is
    set where neighbour >= centre.

    Parameters
    ----------
    image : uint8 (H, W)

    Returns
    -------
    uint8 (H, W)
        Between 0 and 58; `uniform_table` says how they are numbered.
    """
    image = _kernel_input(image)
    height, width = image.shape
    codes = np.empty((height, width), dtype=np.uint8)
    _codes(
        image,
        _fractions(height),
        _fractions(width),
        _UNIFORM,
        np.zeros((height + 4, width + 4)),
        np.empty((height + 4, width)),
        np.empty((height + 4, width)),
        codes,
    )
    return codes


def lbp_histograms(images: np.ndarray, cell: int) -> np.ndarray:
    """Histograms of uniform LBP codes over square cells without overlap, cell after cell.

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
    _lbp_histograms(_kernel_input(images), cell, *fractions, _UNIFORM, counts)
    return counts.reshape(n, math.prod(counts.shape[1:]))  # -1 fails where n is 0


# ------------------------------------------------------- histograms of oriented gradients


@lru_cache(maxsize=8)
def _gradient_tables(orientations: int) -> tuple[np.ndarray, np.ndarray]:
    """Orientation bin and magnitude of every gradient that two 8-bit pixels can have.

    Computed with scikit-image's formulas, so that a gradient on the edge of a bin falls on the
    same side.

    Returns
    -------
    bins : uint8 (511 · 511,)
    magnitudes : float (511 · 511,)
        Both at ``511 (row gradient + 255) + column gradient + 255``.
    """
    down, across = np.meshgrid(np.arange(-255.0, 256), np.arange(-255.0, 256), indexing="ij")
    degrees = np.arctan2(down, across) * (180 / np.pi) % 180
    edges = 180 / orientations * np.arange(1, orientations)
    bins = np.searchsorted(edges, degrees.ravel(), side="right")
    return bins.astype(np.uint8), np.hypot(across, down).ravel()


@compiled
def _hog_blocks(
    images: np.ndarray,  # uint8 (n, H, W)
    cell: int,
    bins: np.ndarray,
    magnitudes: np.ndarray,
    blocks: np.ndarray,  # float32 (n, H / 2 cell, W / 2 cell, 4 orientations), result
) -> None:
    n, height, width = images.shape
    orientations = blocks.shape[3] // 4
    gradients = np.empty((height, width), dtype=np.int32)  # places in the two tables
    histograms = np.empty((height // cell, width // cell, orientations), dtype=np.float32)
    block = np.empty(blocks.shape[3])
    for i in range(n):
        image = images[i]
        for r in range(height):
            # no gradient across the border: both pixels of the difference are the same one
            above, below = (r - 1, r + 1) if 0 < r < height - 1 else (r, r)
            for c in range(width):
                down = np.int32(image[below, c]) - np.int32(image[above, c])
                gradients[r, c] = 511 * (down + 255) + 255
            for c in range(1, width - 1):
                gradients[r, c] += np.int32(image[r, c + 1]) - np.int32(image[r, c - 1])
        histograms[:] = 0
        for row in range(height // cell):
            for r in range(row * cell, (row + 1) * cell):
                for column in range(width // cell):
                    for c in range(column * cell, (column + 1) * cell):
                        k = gradients[r, c]
                        # summed in double and kept in single precision, as scikit-image does
                        total = histograms[row, column, bins[k]] + magnitudes[k]
                        histograms[row, column, bins[k]] = total
        for row in range(blocks.shape[1]):
            for column in range(blocks.shape[2]):
                squares = 1e-10  # keeps a block without gradients at 0
                for k in range(block.size):
                    y, x, o = k // (2 * orientations), k // orientations % 2, k % orientations
                    total = histograms[2 * row + y, 2 * column + x, o]
                    block[k] = np.float32(total / np.float32(cell * cell))
                    squares += block[k] ** 2
                length = np.sqrt(squares)
                squares = 1e-10
                for k in range(block.size):
                    block[k] = min(block[k] / length, 0.2)
                    squares += block[k] ** 2
                length = np.sqrt(squares)
                for k in range(block.size):
                    blocks[i, row, column, k] = block[k] / length


def hog_blocks(images: np.ndarray, cell: int, orientations: int) -> np.ndarray:
    """HOG over blocks of 2 × 2 cells that do not overlap, each normalised by L2-Hys.

    Unsigned gradients [-1, 0, 1], none across the image's border; each pixel votes with its
    magnitude for one bin of one cell; a block is divided by its Euclidean length, cut at 0.2 and
    divided again. These are the blocks ``[::2, ::2]`` of ``skimage.feature.hog(image,
    orientations, (cell, cell), (2, 2), block_norm="L2-Hys")``, computed in double precision and
    rounded to float32 (within one unit in the last place).

    Parameters
    ----------
    images : uint8 (n, H, W)
    cell : int
        Side of a cell in pixels; twice that divides H and W.
    orientations : int
        Bins over 180 degrees, at most 256.

    Returns
    -------
    float32 (n, H / 2 cell · W / 2 cell · 4 · orientations)
        In [0, 1]; blocks row by row, the cells of a block row by row.
    """
    n, height, width = images.shape
    grid = (n, height // (2 * cell), width // (2 * cell), 4 * orientations)
    blocks = np.empty(grid, dtype=np.float32)
    _hog_blocks(_kernel_input(images), cell, *_gradient_tables(orientations), blocks)
    return blocks.reshape(n, math.prod(blocks.shape[1:]))
