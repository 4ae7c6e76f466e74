"""Landmarks in networks: how they reach the loss, the loss, and how predictions are measured."""

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


class Unpacked(NamedTuple):
    """What `packed` took.

    Attributes
    ----------
    images : float (n, C, H, W)
    points : float (n, 5, 2)
    known : bool (n,)
    """

    images: Tensor
    points: Tensor
    known: Tensor


def packed(images: Tensor, points: Tensor, known: Tensor) -> Tensor:
    """Images with their landmarks in one tensor, as a further channel, for losses to find.

    What cuts and mirrors the image moves its landmarks, and a batch is one tensor.

    Parameters
    ----------
    images : float (n, C, H, W)
        At least 11 pixels.
    points : float (n, 5, 2)
    known : bool (n,)
        Where False, the points say nothing.

    Returns
    -------
    float (n, C + 1, H, W)
    """
    height, width = images.shape[2:]
    said = torch.cat([points.flatten(1), known.to(points.dtype)[:, None]], dim=1)
    plane = pad(said, (0, height * width - said.shape[1])).view(-1, 1, height, width)
    return torch.cat([images, plane.to(images)], dim=1).contiguous(
        memory_format=torch.channels_last
    )


def unpacked(packed: Tensor) -> Unpacked:
    """The images, points and flags again."""
    images, said = packed[:, :-1], packed[:, -1].flatten(1)
    # Sliced channels lie in neither order of memory.
    images = images.contiguous(memory_format=torch.channels_last)
    return Unpacked(images, said[:, :10].unflatten(1, (5, 2)), said[:, 10] > 0.5)


def landmark_loss(found: Tensor, points: Tensor, known: Tensor) -> Tensor:
    """The smooth L1 loss of landmarks, a mean over the coordinates of faces whose are known.

    (1/10k) Σ_i Σ_c h(u_ic − v_ic), h(e) = e²/2β where |e| < β, |e| − β/2 elsewhere; β = 0.02. Ours:
    the paper names no loss.

    Parameters
    ----------
    found, points : float (n, 5, 2)
        In shares of the image's side.
    known : bool (n,)
        Faces that count; where there is none, the loss and its gradient are 0.

    Returns
    -------
    float ()
    """
    each = smooth_l1_loss(found, points, beta=_BETA, reduction="none")
    # Not by picking the rows: that would wait for the accelerator in each step.
    return (each * known[:, None, None]).sum() / (10 * known.sum()).clamp(min=1)


def known_landmarks(faces: FaceSet) -> np.ndarray:
    """bool (n,): the faces whose landmarks are no template's."""
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
    """Landmarks of some rows int (b,), in shares of the image's sides, and which are known.

    Returns
    -------
    float32 (b, 5, 2)
        0 where the set has none.
    bool (b,)
    """
    if faces.landmarks is None or faces.images is None:
        return np.zeros((len(rows), 5, 2), np.float32), np.zeros(len(rows), dtype=bool)
    height, width = faces.images.shape[1:3]
    shares = (np.asarray(faces.landmarks)[rows] / [width, height]).astype(np.float32)
    return shares, known_landmarks(faces)[rows]


def located(
    pixels: Tensor, faces: FaceSet, rows: Tensor, draws: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Images of some rows with their landmarks, both mirrored where a draw says so.

    Parameters
    ----------
    pixels : uint8 (b, H, W, C)
    faces : FaceSet
        That ``rows`` int64 (b,) are of.
    draws : float (b,), or None
        Those below ½ mirror; None mirrors none.

    Returns
    -------
    uint8 (b, C, H, W), float (b, 5, 2) in shares of the image's sides, bool (b,)
    """
    images = pixels.permute(0, 3, 1, 2)
    shares, known = relative_landmarks(faces, rows.numpy())
    points = torch.from_numpy(shares).to(images.device)
    if draws is not None:
        # In pixels, as `mirrored` takes them.
        sides = points.new_tensor([images.shape[3], images.shape[2]])
        images, moved = mirrored(images, points * sides, draws)
        points = moved / sides
    return images, points, torch.from_numpy(known).to(images.device)


def normalised_errors(found: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Mean distance of the five points, divided by the distance between the eyes' centres.

    Parameters
    ----------
    found, landmarks : float (n, 5, 2)
        In pixels.

    Returns
    -------
    float64 (n,)
        0.1 is a tenth of the inter-ocular distance; infinite where both eyes are one point.
    """
    apart = np.linalg.norm(np.asarray(found, float) - landmarks, axis=2).mean(axis=1)
    eyes = np.linalg.norm(landmarks[:, _LEFT_EYE] - landmarks[:, _RIGHT_EYE], axis=1)
    return np.divide(apart, eyes, out=np.full(len(apart), np.inf), where=eyes > 0)


def cumulative_errors(errors: np.ndarray, thresholds: Sequence[float] = THRESHOLDS) -> list[float]:
    """The share of faces whose error is at most each threshold."""
    return [float((errors <= threshold).mean()) for threshold in thresholds]


def landmark_measures(found: np.ndarray, shape: np.ndarray, faces: FaceSet) -> dict[str, float]:
    """``normalised_mean_error`` and the cumulative error curve, ``ced_0.05`` and so on.

    And ``mean_shape_error``, the mean error of an answer that is the same for every face.

    Parameters
    ----------
    found : float (n, 5, 2)
        In shares of the image's sides.
    shape : float (5, 2)
        That answer (`mean_shape` of the training part).
    faces : FaceSet
        Those whose landmarks are known count.

    Returns
    -------
    dict of str to float
        Empty where none is known.
    """
    known = known_landmarks(faces)
    if not known.any():
        return {}
    assert faces.landmarks is not None
    assert faces.images is not None
    height, width = faces.images.shape[1:3]
    truth = faces.landmarks[known]
    errors = normalised_errors(found[known] * [width, height], truth)
    same = normalised_errors(np.broadcast_to(shape * [width, height], truth.shape), truth)
    curve = zip(THRESHOLDS, cumulative_errors(errors), strict=True)
    return {
        "normalised_mean_error": float(errors.mean()),
        "mean_shape_error": float(same.mean()),
        **{f"ced_{threshold:g}": share for threshold, share in curve},
    }
