"""Landmarks in the multi-dataset network: their way to the loss, the loss, and the errors.

They serve ``md-cnn`` alone and would make its file too long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad, smooth_l1_loss

from bench.api import FaceSet
from bench.nn.faces import mirrored

THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)  # of the cumulative error curve
_BETA = 0.02  # of the smooth loss, in shares of the image's side
_LEFT_EYE, _RIGHT_EYE = 0, 1


class LandmarkedImages(NamedTuple):
    """A batch of images with their landmarks.

    Attributes
    ----------
    images : float (n, C, H, W)
    points : float (n, 5, 2)
        In shares of the image's sides.
    known : bool (n,)
        Where False, the points mean nothing.
    """

    images: Tensor
    points: Tensor
    known: Tensor


def pack_landmarks(images: Tensor, points: Tensor, known: Tensor) -> Tensor:
    """Images and their landmarks in one tensor: the landmarks are written into one more channel.

    The training loop hands a batch to the network as one tensor, and augmentation has moved the
    landmarks with the image, so that the loss cannot read them from the dataset.

    Parameters
    ----------
    images : float (n, C, H, W)
        At least 11 pixels each.
    points : float (n, 5, 2)
    known : bool (n,)
        Where False, the points mean nothing.

    Returns
    -------
    float (n, C + 1, H, W)
    """
    height, width = images.shape[2:]
    numbers = torch.cat([points.flatten(1), known.to(points.dtype)[:, None]], dim=1)
    plane = pad(numbers, (0, height * width - numbers.shape[1])).view(-1, 1, height, width)
    return torch.cat([images, plane.to(images)], dim=1).contiguous(
        memory_format=torch.channels_last
    )


def unpack_landmarks(packed: Tensor) -> LandmarkedImages:
    """The images and landmarks that `pack_landmarks` joined, from float (n, C + 1, H, W)."""
    images, numbers = packed[:, :-1], packed[:, -1].flatten(1)
    # A slice of channels is contiguous in neither order of memory.
    images = images.contiguous(memory_format=torch.channels_last)
    return LandmarkedImages(images, numbers[:, :10].unflatten(1, (5, 2)), numbers[:, 10] > 0.5)


def landmark_loss(predicted: Tensor, points: Tensor, known: Tensor) -> Tensor:
    """The smooth L1 loss of landmarks: a mean over the coordinates of faces with known landmarks.

    (1/10k) Σ_i Σ_c h(u_ic − v_ic), h(e) = e²/2β where |e| < β, |e| − β/2 elsewhere; β = 0.02. Ours:
    the paper names no loss.

    Parameters
    ----------
    predicted, points : float (n, 5, 2)
        In shares of the image's sides.
    known : bool (n,)
        The faces that count; where there is none, the loss and its gradient are 0.

    Returns
    -------
    float ()
    """
    each = smooth_l1_loss(predicted, points, beta=_BETA, reduction="none")
    # A product, not a selection of rows, which would wait for the accelerator in each step.
    return (each * known[:, None, None]).sum() / (10 * known.sum()).clamp(min=1)


def known_landmarks(faces: FaceSet) -> np.ndarray:
    """Which faces have landmarks that were found, not taken from a template; bool (n,)."""
    if faces.landmarks is None:
        return np.zeros(len(faces), dtype=bool)
    if faces.landmarks_found is None:
        return np.ones(len(faces), dtype=bool)
    return np.asarray(faces.landmarks_found)


def mean_shape(faces: FaceSet) -> np.ndarray | None:
    """The mean of the known landmarks, float32 (5, 2) in shares of the sides; None without any."""
    rows = np.flatnonzero(known_landmarks(faces))
    return relative_landmarks(faces, rows)[0].mean(axis=0) if len(rows) else None


def relative_landmarks(faces: FaceSet, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The landmarks of some rows int (b,), in shares of the image's sides, and which are known.

    Returns
    -------
    float32 (b, 5, 2)
        0 where the faces have no landmarks.
    bool (b,)
        Whether they are known.
    """
    if faces.landmarks is None or faces.images is None:
        return np.zeros((len(rows), 5, 2), np.float32), np.zeros(len(rows), dtype=bool)
    height, width = faces.images.shape[1:3]
    shares = (np.asarray(faces.landmarks)[rows] / [width, height]).astype(np.float32)
    return shares, known_landmarks(faces)[rows]


def images_with_landmarks(
    pixels: Tensor, faces: FaceSet, rows: Tensor, draws: Tensor | None
) -> LandmarkedImages:
    """The images of some rows with their landmarks, both mirrored where a draw is below ½.

    Parameters
    ----------
    pixels : uint8 (b, H, W, C)
    faces : FaceSet
        The faces that ``rows`` int64 (b,) count in.
    draws : float (b,), or None
        None: no image is mirrored.

    Returns
    -------
    LandmarkedImages
        Its images are uint8 (b, C, H, W).
    """
    images = pixels.permute(0, 3, 1, 2)
    shares, known = relative_landmarks(faces, rows.numpy())
    points = torch.from_numpy(shares).to(images.device)
    if draws is not None:
        # In pixels, as `mirrored` takes them.
        sides = points.new_tensor([images.shape[3], images.shape[2]])
        images, moved = mirrored(images, points * sides, draws)
        points = moved / sides
    return LandmarkedImages(images, points, torch.from_numpy(known).to(images.device))


def normalised_errors(predicted: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The mean error of the five points, divided by the distance between the eyes' centres.

    Parameters
    ----------
    predicted, landmarks : float (n, 5, 2)
        In pixels.

    Returns
    -------
    float64 (n,)
        0.1 is a tenth of the inter-ocular distance; infinite where both eyes are one point.
    """
    errors = np.linalg.norm(np.asarray(predicted, float) - landmarks, axis=2).mean(axis=1)
    eyes = np.linalg.norm(landmarks[:, _LEFT_EYE] - landmarks[:, _RIGHT_EYE], axis=1)
    return np.divide(errors, eyes, out=np.full(len(errors), np.inf), where=eyes > 0)


def cumulative_errors(errors: np.ndarray, thresholds: Sequence[float] = THRESHOLDS) -> list[float]:
    """The share of faces whose error is at most each threshold."""
    return [float((errors <= threshold).mean()) for threshold in thresholds]


def landmark_measures(predicted: np.ndarray, shape: np.ndarray, faces: FaceSet) -> dict[str, float]:
    """The errors of predicted landmarks, beside those of the same shape for every face.

    Parameters
    ----------
    predicted : float (n, 5, 2)
        In shares of the image's sides.
    shape : float (5, 2)
        The mean shape of the training part, in shares of the image's sides.
    faces : FaceSet
        The faces, of which those with known landmarks count.

    Returns
    -------
    dict of str to float
        ``normalised_mean_error``, ``mean_shape_error`` (of ``shape``), and the cumulative error
        curve, ``ced_0.05`` and so on; empty where no landmarks are known.
    """
    known = known_landmarks(faces)
    if not known.any():
        return {}
    assert faces.landmarks is not None
    assert faces.images is not None
    height, width = faces.images.shape[1:3]
    truth = faces.landmarks[known]
    errors = normalised_errors(predicted[known] * [width, height], truth)
    of_shape = normalised_errors(np.broadcast_to(shape * [width, height], truth.shape), truth)
    curve = zip(THRESHOLDS, cumulative_errors(errors), strict=True)
    return {
        "normalised_mean_error": float(errors.mean()),
        "mean_shape_error": float(of_shape.mean()),
        **{f"ced_{threshold:g}": share for threshold, share in curve},
    }
