"""LBP: how often each local binary pattern occurs in each part of the face."""

from __future__ import annotations

import numpy as np
from bench.methods._descriptors import grey_images, lbp_histograms

from bench.api import FaceInput, FaceSet, Features, param


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
