"""Alignment: a face moved so that its eyes and mouth lie where RAF-ML has them.

The geometry behind ``bench data align``: the transform between two sets of landmarks, and the
picture moved by it. scikit-image estimates the one and does the other.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from skimage.transform import AffineTransform, estimate_transform, warp

from bench.api import InputError

TARGET = np.array([[20.0, 30.0], [80.0, 30.0], [50.0, 75.0]])
"""Left eye, right eye and middle of the mouth in 100×100 (S. Li and W. Deng, IJCV 127 (2019)
884–906); (0, 0) is the upper left corner and (100, 100) the lower right one."""

TRANSFORMS = ("affine", "similarity")

_FLAT = 1e-3  # area of the triangle over its longest side squared; the template has 0.75


def transform_to_template(
    landmarks: np.ndarray, size: int = 100, kind: str = "affine"
) -> np.ndarray:
    """The matrix that moves a face onto the template.

    Parameters
    ----------
    landmarks : float (5, 2) or (n, 5, 2)
        Left eye, right eye, nose (not used), left and right mouth corner, in pixels.
    size : int
        Side of the aligned image; the template scales with it.
    kind : {"affine", "similarity"}
        Affine moves the three points exactly (RAF-ML); similarity (turn, scale, shift) moves them
        as near as least squares can (S. Umeyama, IEEE TPAMI 13 (1991) 376–380) and keeps the face's
        proportions.

    Returns
    -------
    float (2, 3) or (n, 2, 3)
        ``(x, y, 1)`` of the image to ``x, y`` of the aligned one.

    Raises
    ------
    InputError
        Where the eyes and the mouth lie on one line or in one point, or are not finite.
    """
    if kind not in TRANSFORMS:
        raise InputError(f"alignment knows {' and '.join(TRANSFORMS)}, not {kind!r}")
    points = np.asarray(landmarks, dtype=float)
    if points.shape[-2:] != (5, 2) or points.ndim not in (2, 3):
        raise InputError(f"alignment takes landmarks (5, 2) or (n, 5, 2), not {points.shape}")
    faces = points.reshape(-1, 5, 2)
    source = np.stack([faces[:, 0], faces[:, 1], faces[:, 3:].mean(axis=1)], axis=1)
    _check(source)
    target = TARGET * (size / 100)
    matrices = [estimate_transform(kind, corners, target).params[:2] for corners in source]
    return np.reshape(matrices, (*points.shape[:-2], 2, 3))


def align(
    image: np.ndarray, landmarks: np.ndarray, size: int = 100, kind: str = "affine"
) -> np.ndarray:
    """Cut the face out of the image, aligned.

    Bilinear, with scikit-image. Where the face shrinks, the image is resized first by Pillow's
    bilinear filter, which averages, so that nothing is skipped. What lies outside the image is
    black.

    Parameters
    ----------
    image : uint8 (H, W) or (H, W, 3)
    landmarks : float (5, 2)
    size, kind
        As `transform_to_template` takes them, and as it raises.

    Returns
    -------
    uint8 (size, size) or (size, size, 3)
    """
    matrix = transform_to_template(landmarks, size, kind)
    picture = Image.fromarray(np.ascontiguousarray(image))
    # How long one pixel's step to the right, and one down, is in the aligned image.
    steps = np.linalg.norm(matrix[:, :2], axis=0)
    shape = np.maximum(1, np.round(np.array(picture.size) * np.minimum(1, steps))).astype(int)
    matrix[:, :2] *= np.array(picture.size) / shape
    if tuple(shape) != picture.size:
        picture = picture.resize(tuple(shape.tolist()), Image.Resampling.BILINEAR)
    return _moved(np.asarray(picture, dtype=np.float64), matrix, size)


def _moved(pixels: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """``pixels`` float (H, W) or (H, W, 3) moved by ``matrix`` (2, 3), uint8, of side ``size``."""
    # The matrix measures from pixel corners, scikit-image from pixel centres.
    moved = AffineTransform(np.vstack([matrix, [0, 0, 1]]))
    back = (
        AffineTransform(translation=(0.5, 0.5))
        + moved.inverse
        + AffineTransform(translation=(-0.5, -0.5))
    )
    result = warp(pixels, back, output_shape=(size, size), order=1, mode="edge")
    across, down = np.meshgrid(np.arange(size), np.arange(size))
    origin = back(np.stack([across.ravel(), down.ravel()], axis=1)) + 0.5
    inside = ((origin >= 0) & (origin < [pixels.shape[1], pixels.shape[0]])).all(axis=1)
    result[~inside.reshape(size, size)] = 0
    return np.rint(result).astype(np.uint8)


def _check(source: np.ndarray) -> None:
    """Refuse triples (n, 3, 2) that no face has, for either transform."""
    finite = np.isfinite(source).all(axis=(1, 2))
    corners = np.where(finite[:, np.newaxis, np.newaxis], source, 0)
    across, down = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = np.abs(across[:, 0] * down[:, 1] - across[:, 1] * down[:, 0])
    longest = np.maximum((across**2).sum(axis=1), (down**2).sum(axis=1))
    good = area > _FLAT * longest
    if not good.all():
        left, right, mouth = source[np.flatnonzero(~good)[0]].round(1).tolist()
        raise InputError(
            f"eyes at {left} and {right} and mouth at {mouth} lie on one line or are no numbers: "
            "such a face cannot be aligned, give other landmarks"
        )
