"""HOG: which way the edges run in each part of the face."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from bench.api import FaceInput, FaceSet, Features, param
from bench.data.prepare import grey_images
from bench.learn.compiled import compiled, read_only


class HOG(Features):
    """Histograms of oriented gradients over blocks of 2 × 2 cells, 4000-d.

    N. Dalal and B. Triggs, CVPR 2005, 886–893, with the grid of S. Li and W. Deng, IJCV 127
    (2019) 884–906: 100 × 100 pixels, blocks of 10 × 10 pixels that do not overlap, each of four
    5 × 5-pixel cells with 10 unsigned orientations, so 100 blocks · 4 · 10. Blocks are normalised
    by L2-Hys, which the 2019 paper leaves open and the 2005 paper recommends.

    The blocks are scikit-image's (``hog(image, orientations=10, pixels_per_cell=(5, 5),
    cells_per_block=(2, 2), block_norm="L2-Hys")``); its blocks move by one cell, ours are every
    second one down and across.

    Deviation, with scikit-image: a pixel votes for one bin of one cell, where the 2005 paper
    interpolates between neighbouring bins and cells and weights a block's pixels by a Gaussian.
    """

    name = "hog"
    input = FaceInput(size=100, colour="grey")
    stateless = True
    seconds_per_1000 = 0.2

    orientations: int = param(10, ge=1, le=180, help="bins over 180 degrees")
    cell: int = param(5, choices=(5, 10, 25, 50), help="side of a cell in pixels")

    def transform(self, faces: FaceSet) -> np.ndarray:
        """Normalised blocks, float32 (n, (50 / cell)² · 4 · orientations), blocks by row."""
        return hog_blocks(grey_images(faces, 100), self.cell, self.orientations)


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
def _find_gradients(image: np.ndarray, gradients: np.ndarray) -> None:
    """Places in the two tables, int32 (H, W), of the gradients of ``image`` uint8 (H, W)."""
    height, width = image.shape
    for r in range(height):
        # No gradient across the border: both pixels of the difference are the same one.
        above, below = (r - 1, r + 1) if 0 < r < height - 1 else (r, r)
        for c in range(width):
            down = np.int32(image[below, c]) - np.int32(image[above, c])
            gradients[r, c] = 511 * (down + 255) + 255
        for c in range(1, width - 1):
            gradients[r, c] += np.int32(image[r, c + 1]) - np.int32(image[r, c - 1])


@compiled
def _vote(
    gradients: np.ndarray,
    cell: int,
    bins: np.ndarray,
    magnitudes: np.ndarray,
    histograms: np.ndarray,  # float32 (H / cell, W / cell, orientations), result
) -> None:
    """Sums of the magnitudes of each cell's gradients, by orientation."""
    histograms[:] = 0
    for row in range(histograms.shape[0]):
        for r in range(row * cell, (row + 1) * cell):
            for column in range(histograms.shape[1]):
                for c in range(column * cell, (column + 1) * cell):
                    k = gradients[r, c]
                    # Summed in double and kept in single precision, as scikit-image does.
                    total = histograms[row, column, bins[k]] + magnitudes[k]
                    histograms[row, column, bins[k]] = total


@compiled
def _normalise(
    cells: np.ndarray,  # float32 (2, 2, orientations): the histograms of one block
    pixels: np.float32,  # of a cell
    block: np.ndarray,  # float (4 orientations,), work space
    result: np.ndarray,  # float32 (4 orientations,)
) -> None:
    """L2-Hys: divide the block by its length, cut it at 0.2 and divide again."""
    orientations = cells.shape[2]
    squares = 1e-10  # keeps a block without gradients at 0
    for k in range(block.size):
        y, x, o = k // (2 * orientations), k // orientations % 2, k % orientations
        block[k] = np.float32(cells[y, x, o] / pixels)
        squares += block[k] ** 2
    length = np.sqrt(squares)
    squares = 1e-10
    for k in range(block.size):
        block[k] = min(block[k] / length, 0.2)
        squares += block[k] ** 2
    length = np.sqrt(squares)
    for k in range(block.size):
        result[k] = block[k] / length


@compiled
def _hog_blocks(
    images: np.ndarray,  # uint8 (n, H, W)
    cell: int,
    bins: np.ndarray,
    magnitudes: np.ndarray,
    blocks: np.ndarray,  # float32 (n, H / 2 cell, W / 2 cell, 4 orientations), result
) -> None:
    n, height, width = images.shape
    gradients = np.empty((height, width), dtype=np.int32)
    grid = (height // cell, width // cell, blocks.shape[3] // 4)
    histograms = np.empty(grid, dtype=np.float32)
    block = np.empty(blocks.shape[3])
    for i in range(n):
        _find_gradients(images[i], gradients)
        _vote(gradients, cell, bins, magnitudes, histograms)
        for row in range(blocks.shape[1]):
            for column in range(blocks.shape[2]):
                cells = histograms[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
                _normalise(cells, np.float32(cell * cell), block, blocks[i, row, column])


def hog_blocks(images: np.ndarray, cell: int, orientations: int) -> np.ndarray:
    """HOG over blocks of 2 × 2 cells that do not overlap, each normalised by L2-Hys.

    Unsigned gradients [-1, 0, 1], none across the image's border; each pixel votes with its
    magnitude for one bin of one cell; a block is divided by its Euclidean length, cut at 0.2 and
    divided again. These are the blocks ``[::2, ::2]`` of ``skimage.feature.hog(image,
    orientations, (cell, cell), (2, 2), block_norm="L2-Hys")``, computed in double precision and
    rounded to float32 (within one unit in the last place). This does a whole chunk of images in one
    call, and allocates a few buffers of the size of one image.

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
    _hog_blocks(read_only(images), cell, *_gradient_tables(orientations), blocks)
    return blocks.reshape(n, math.prod(blocks.shape[1:]))
