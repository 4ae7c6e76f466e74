"""Alignment: a face moved so that its eyes and mouth lie where RAF-ML has them."""

from __future__ import annotations

import numpy as np
from PIL import Image

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
    matrix = _affine(source, target) if kind == "affine" else _similarity(source, target)
    return matrix.reshape(*points.shape[:-2], 2, 3)


def align(
    image: np.ndarray, landmarks: np.ndarray, size: int = 100, kind: str = "affine"
) -> np.ndarray:
    """Cut the face out of the image, aligned.

    Bilinear, with Pillow. Where the face shrinks, the image is resized first by Pillow's bilinear
    filter, which averages, so that nothing is skipped. What lies outside the image is black.

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
    wanted = np.maximum(1, np.round(np.array(picture.size) * np.minimum(1, steps))).astype(int)
    matrix[:, :2] *= np.array(picture.size) / wanted
    if tuple(wanted) != picture.size:
        picture = picture.resize(tuple(wanted.tolist()), Image.Resampling.BILINEAR)
    # Pillow asks where a pixel of the result comes from, and measures from pixel corners as we do.
    back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
    where = (Image.Transform.AFFINE, back.ravel().tolist(), Image.Resampling.BILINEAR)
    # In float: with bytes it cuts the fractions off, half a grey level on average.
    moved = [
        np.asarray(channel.convert("F").transform((size, size), *where))
        for channel in picture.split()
    ]
    aligned = np.rint(moved).astype(np.uint8)
    return aligned[0] if image.ndim == 2 else np.moveaxis(aligned, 0, 2).copy()


def _affine(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Exact for three points (n, 3, 2)."""
    ones = np.ones((*source.shape[:2], 1))
    moved = np.linalg.solve(np.concatenate([source, ones], axis=2), target[np.newaxis])
    return moved.transpose(0, 2, 1)


def _similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least squares without mirroring: in the plane, z ↦ a·z + b over the complex numbers."""
    z, w = source @ [1, 1j], target @ [1, 1j]
    middle = z.mean(axis=1, keepdims=True)
    spread = z - middle
    a = (spread.conj() * (w - w.mean())).sum(axis=1) / (np.abs(spread) ** 2).sum(axis=1)
    b = w.mean() - a * middle[:, 0]
    return np.stack(
        [np.stack([a.real, -a.imag, b.real], axis=1), np.stack([a.imag, a.real, b.imag], axis=1)],
        axis=1,
    )


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
