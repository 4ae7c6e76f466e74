"""Faces as a method takes them: side, colour, landmarks moved along.

The engine prepares every method's input here.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from bench.api import BenchError, FaceInput, FaceSet


def prepare(faces: FaceSet, wanted: FaceInput) -> FaceSet:
    """Convert and resize the images of ``faces`` to what a method asks for.

    Colour first (Pillow's ``L`` formula), then Pillow's bilinear filter, exactly
    ``Image.resize((side, side), BILINEAR)``. Where a method crops (``crop_from``) the side is that
    of the image it crops from. Landmarks scale with the image: (0, 0) is its upper left corner and
    (W, H) its lower right one, as in RAF-ML's alignment, whose eyes at 20 and 80 of 100 are
    symmetric. The whole of ``faces`` is converted at once: pass a chunk to bound memory.

    Returns
    -------
    FaceSet
        ``faces`` itself where nothing has to change.

    Raises
    ------
    BenchError
        Where ``faces`` holds precomputed features and no images.
    """
    if faces.images is None:
        raise BenchError(
            f"{faces.name} holds precomputed features, not images: use it with identity+CLASSIFIER"
        )
    images = _coloured(faces.images, wanted.colour)
    height, width = images.shape[1:3]
    landmarks = faces.landmarks
    side = wanted.crop_from or wanted.size
    if side is not None and (height, width) != (side, side):
        images = _resized(images, side)
        if landmarks is not None:
            landmarks = (landmarks * [side / width, side / height]).astype(landmarks.dtype)
    if images is faces.images:
        return faces
    return replace(faces, images=images, landmarks=landmarks)


def grey_images(faces: FaceSet, side: int) -> np.ndarray:
    """The images of ``faces``, uint8 (n, side, side), for methods that describe grey pixels.

    Raises
    ------
    BenchError
        Where there are no images, or they are not grey and ``side`` pixels square.
    """
    if faces.images is None:
        raise BenchError(
            f"{faces.name} has no images but ready features; use the features identity with it"
        )
    if faces.images.shape[1:] != (side, side):
        raise BenchError(
            f"{faces.name}: images must be grey (n, {side}, {side}), not {faces.images.shape}; "
            "convert and resize them first"
        )
    return faces.images


def _coloured(images: np.ndarray, colour: str) -> np.ndarray:
    """``uint8 (n, H, W)`` for grey, ``(n, H, W, 3)`` for rgb."""
    if colour == "grey" and images.ndim == 4:
        count, height, width, _ = images.shape
        if 0 in (count, height, width):
            return np.empty((count, height, width), np.uint8)
        # One tall image: Pillow's own arithmetic without a call per face.
        tall = Image.fromarray(np.ascontiguousarray(images).reshape(-1, width, 3))
        return np.array(tall.convert("L")).reshape(count, height, width)
    if colour == "rgb" and images.ndim == 3:
        return np.repeat(images[..., np.newaxis], 3, axis=3)
    return images


def _resized(images: np.ndarray, side: int) -> np.ndarray:
    out = np.empty((len(images), side, side, *images.shape[3:]), np.uint8)
    for row, image in enumerate(images):
        picture = Image.fromarray(np.ascontiguousarray(image))
        out[row] = np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR))
    return out
