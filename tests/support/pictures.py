"""Grey images that are hard for image descriptors, each in its own way."""

from __future__ import annotations

import numpy as np


def pictures(side: int = 40) -> dict[str, np.ndarray]:
    """Images that are hard in different ways, each uint8 (side, side)."""
    rng = np.random.default_rng(7)
    rows, columns = np.mgrid[:side, :side]
    smooth = 127 + 60 * np.sin(rows / 7) + 60 * np.cos(columns / 5 + rows / 11)
    return {
        "random": rng.integers(0, 256, (side, side)),
        "black": np.zeros((side, side)),
        "white": np.full((side, side), 255),
        # interpolating equal values rounds up or down by position: the hardest case for LBP
        **{f"constant {value}": np.full((side, side), value) for value in (1, 37, 100, 254)},
        "row gradient": rows * 255 // (side - 1),
        "column gradient": columns * 255 // (side - 1),
        "diagonal": (rows + columns) * 255 // (2 * side - 2),
        "checkerboard": (rows + columns) % 2 * 255,
        "coarse checkerboard": (rows // 5 + columns // 5) % 2 * 255,
        "saturated": rng.integers(0, 2, (side, side)) * 255,
        "few levels": rng.integers(100, 103, (side, side)),
        "faint spot": 100 + ((rows == 13) & (columns == 17)),  # shows the constant of L2-Hys
        "smooth": smooth,
        "flat parts": np.clip(smooth, 90, 160),
    }


def stack(side: int = 40) -> np.ndarray:
    """The `pictures` as one array, uint8 (n, side, side)."""
    return np.stack([image.astype(np.uint8) for image in pictures(side).values()])
