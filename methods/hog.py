"""HOG: which way the edges run in each part of the face."""

from __future__ import annotations

import numpy as np
from bench.methods._descriptors import grey_images, hog_blocks

from bench.api import FaceInput, FaceSet, Features, param


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
