"""Five landmarks per face, detected by MTCNN: eyes, nose, mouth corners.

For networks that look at parts of a face, and for the alignment of photographs.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import facenet_pytorch
import numpy as np
import torch
from facenet_pytorch import MTCNN
from PIL import Image

from bench.api import InputError

TEMPLATE = np.array([[0.2, 0.3], [0.8, 0.3], [0.5, 0.52], [0.26, 0.75], [0.74, 0.75]])
"""Where a face has its landmarks in RAF-ML's geometry, x and y as shares of the image's sides.

Eyes and middle of the mouth are the paper's (S. Li and W. Deng, IJCV 127 (2019) 884–906: (20, 30),
(80, 30) and (50, 75) of 100×100). Nose and mouth corners are ours: medians over the faces that
MTCNN finds in fer-plus-ml, moved to those three points, rounded.
"""

# Measured on every 20th face of fer-plus-ml, and on rendered faces whose landmarks are known. What
# matters is a frame: the face fills these pictures, and MTCNN learnt on faces with surroundings.
# Without one it put the eyes of the rendered faces 18 % of the side too high, with one 3 %. A grey
# frame (its zero) finds 94 % of fer-plus-ml, one of repeated border pixels 87 %, none 81 to 89 %.
# Larger images and smaller faces cost time and find no more.
_SMALLEST_SIDE = 100
_LARGEST_SIDE = 1280
_FRAME = 0.25  # of the side, on each side
_GREY = 127
_SMALLEST_FACE = 25
# The windows of the last stage are cut at truncated coordinates, and the points refer to the
# fractional ones, half a pixel to the right and below on average. Mirrored images agree: x of a
# point and of its mirror image exceed the width by twice 0.8 pixels at a side of 100, by twice 1.05
# at 160: half a pixel, and 0.3 % of the side, which is the network's own and stays.
_TRUNCATED = 0.5
_PIXELS_AT_ONCE = 64 * 150 * 150


def find_landmarks(images: np.ndarray, device: str = "cpu") -> tuple[np.ndarray, np.ndarray]:
    """Find the landmarks of one face per image; see `detect`.

    Returns
    -------
    landmarks : float32 (n, 5, 2)
        x, y in pixels of ``images``, (0, 0) at the upper left corner and (W, H) at the lower right
        one: left eye, right eye, nose tip, left and right mouth corner, left as seen in the image.
        `TEMPLATE` where no face was detected.
    detected : bool (n,)
        False where no face was detected.
    """
    landmarks, probability = detect(images, device)
    detected = ~np.isnan(probability)
    height, width = images.shape[1:3]
    landmarks[~detected] = TEMPLATE * [width, height]
    return landmarks, detected


def detect(images: np.ndarray, device: str = "cpu") -> tuple[np.ndarray, np.ndarray]:
    """Landmarks and probability of one face per image.

    K. Zhang et al., IEEE Signal Processing Letters 23 (2016) 1499–1503, as in facenet-pytorch,
    whose package holds the weights. Images are enlarged to a side of 100 pixels at least (shrunk to
    1280 at most) and set in a grey frame; faces under 25 pixels are not looked for. Of several
    faces the one with the largest area less twice its squared distance from the image's centre
    counts (facenet-pytorch's ``center_weighted_size``): the one that the photograph was taken of.

    In float64: in float32 probabilities round to 1, several windows tie, and which one wins hangs
    on the images beside it, which moved landmarks by a seventh of the side.

    Parameters
    ----------
    images : uint8 (n, H, W) or (n, H, W, 3)
    device : str
        As torch names it.

    Returns
    -------
    landmarks : float32 (n, 5, 2)
        As `find_landmarks` gives them; NaN where no face was detected.
    probability : float32 (n,)
        That it is a face, 0.7 to 1; NaN where none was detected.

    Raises
    ------
    InputError
        Where ``images`` is no such array.
    """
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or 0 in images.shape[1:]:
        raise InputError(
            f"landmarks are found in uint8 (n, H, W) or (n, H, W, 3), not in {images.dtype} "
            f"{images.shape}"
        )
    landmarks = np.full((len(images), 5, 2), np.nan, np.float32)
    probability = np.full(len(images), np.nan, np.float32)
    height, width = images.shape[1:3]
    scale = max(1.0, _SMALLEST_SIDE / min(height, width))
    scale = min(scale, _LARGEST_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    frame = round(_FRAME * min(size))
    # Points of the framed image to pixels of ``images``, each axis by what rounding left of it.
    back = np.array([width / size[0], height / size[1]])
    step = max(1, min(64, _PIXELS_AT_ONCE // ((size[0] + 2 * frame) * (size[1] + 2 * frame))))
    network = _network(device)
    for start in range(0, len(images), step):
        framed = np.stack([_framed(image, size, frame) for image in images[start : start + step]])
        for row, (boxes, chances, points) in enumerate(
            zip(*network.detect(framed, landmarks=True), strict=True), start
        ):
            if boxes is not None:
                # numpy holds rows of differing length as objects.
                best = _main_face(np.asarray(boxes, float), framed.shape[1:3])
                framed_points = np.asarray(points, float)[best] - _TRUNCATED - frame
                landmarks[row], probability[row] = framed_points * back, chances[best]
    return landmarks, probability


@lru_cache
def detector_code() -> str:
    """16 hexadecimal digits that change with everything that may change landmarks.

    This module, facenet-pytorch's version and its weights.
    """
    digest = hashlib.sha256(Path(__file__).read_bytes())
    digest.update(version("facenet-pytorch").encode())
    for name in ("pnet.pt", "rnet.pt", "onet.pt"):
        weights = Path(facenet_pytorch.__file__).parent / "data" / name
        digest.update(hashlib.sha256(weights.read_bytes()).digest())
    return digest.hexdigest()[:16]


@lru_cache
def _network(device: str) -> MTCNN:
    where = torch.device(device)
    network = MTCNN(min_face_size=_SMALLEST_FACE, keep_all=True, select_largest=False, device=where)
    return network.double().eval()


def _framed(image: np.ndarray, size: tuple[int, int], frame: int) -> np.ndarray:
    """uint8 (H, W) or (H, W, 3) as RGB of ``size`` (width, height) in a grey frame."""
    picture = Image.fromarray(np.ascontiguousarray(image)).convert("RGB")
    canvas = Image.new("RGB", (size[0] + 2 * frame, size[1] + 2 * frame), (_GREY,) * 3)
    canvas.paste(picture.resize(size, Image.Resampling.BILINEAR), (frame, frame))
    return np.asarray(canvas)


def _main_face(boxes: np.ndarray, shape: tuple[int, ...]) -> int:
    """Row of ``boxes`` (k, 4: x, y, x, y) that is large and near the centre of (H, W)."""
    sides = boxes[:, 2:] - boxes[:, :2]
    centres = (boxes[:, 2:] + boxes[:, :2]) / 2
    distance = ((centres - np.array([shape[1], shape[0]]) / 2) ** 2).sum(axis=1)
    return int(np.argmax(sides.prod(axis=1) - 2 * distance))
