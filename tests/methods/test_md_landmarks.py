"""Landmarks in networks: packing, the loss and the measures, against slow loops."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from bench.methods._md_landmarks import (
    THRESHOLDS,
    cumulative_errors,
    known_landmarks,
    landmark_loss,
    landmark_measures,
    mean_shape,
    normalised_errors,
    pack_landmarks,
    relative_landmarks,
    unpack_landmarks,
)
from networks import some_faces

from bench.nn.faces import mirrored

BETA = 0.02


def points(n: int = 6, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, 5, 2, generator=generator, dtype=torch.float64)


def test_images_and_landmarks_come_out_of_one_tensor_as_they_went_in() -> None:
    for channels in (1, 3):
        images = torch.rand(4, channels, 4, 6)
        known = torch.tensor([True, False, True, True])
        whole = pack_landmarks(images, points(4).float(), known)
        assert whole.shape == (4, channels + 1, 4, 6)
        found = unpack_landmarks(whole)
        assert torch.equal(found.images, images)
        assert torch.equal(found.points, points(4).float())
        assert torch.equal(found.known, known)
        half = unpack_landmarks(whole[1:3])
        assert torch.equal(half.points, points(4).float()[1:3])


def by_hand(found: torch.Tensor, truth: torch.Tensor, known: list[bool]) -> float:
    total, count = 0.0, 0
    for i, face in enumerate(known):
        if not face:
            continue
        for k in range(5):
            for axis in range(2):
                error = abs(float(found[i, k, axis].detach()) - float(truth[i, k, axis]))
                total += error**2 / (2 * BETA) if error < BETA else error - BETA / 2
                count += 1
    return total / count


def test_the_loss_is_smooth_and_means_over_known_faces() -> None:
    truth = points()
    # Some coordinates within β, some far away.
    found = (truth + 0.03 * points(seed=1) * (points(seed=2) > 0.3)).requires_grad_()
    known = [True, True, False, True, False, True]
    loss = landmark_loss(found, truth, torch.tensor(known))
    assert float(loss.detach()) == pytest.approx(by_hand(found, truth, known), rel=1e-10)
    loss.backward()
    assert found.grad is not None
    assert (found.grad[[2, 4]] == 0).all()
    assert (found.grad[[0, 1, 3, 5]] != 0).any()
    apart = (truth + 0.011 + 0.05 * (points(seed=3) > 0.5)).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda given: landmark_loss(given, truth, torch.tensor(known)), (apart,)
    )


def test_the_loss_of_faces_without_landmarks_is_nothing() -> None:
    found = points().requires_grad_()
    loss = landmark_loss(found, points(seed=1), torch.zeros(6, dtype=torch.bool))
    loss.backward()
    assert float(loss.detach()) == 0
    assert found.grad is not None
    assert (found.grad == 0).all()


def test_errors_are_in_distances_between_the_eyes() -> None:
    truth = 40 * points(7).numpy()
    found = truth + points(7, seed=4).numpy()
    errors = normalised_errors(found, truth)
    for n in range(7):
        total = sum(math.dist(found[n, k], truth[n, k]) for k in range(5))
        between = math.dist(truth[n, 0], truth[n, 1])
        assert errors[n] == pytest.approx(total / 5 / between, rel=1e-12)
    # Another scale of the image is the same error; eyes on one point have none.
    assert np.allclose(normalised_errors(3 * found, 3 * truth), errors)
    truth[0, 1] = truth[0, 0]
    assert normalised_errors(found, truth)[0] == np.inf


def test_the_curve_is_the_share_at_most_as_far() -> None:
    errors = np.array([0.04, 0.05, 0.051, 0.2, 0.31, np.inf])
    assert cumulative_errors(errors) == [2 / 6, 3 / 6, 3 / 6, 4 / 6, 4 / 6, 4 / 6]
    assert len(THRESHOLDS) == 6


def test_measures_count_faces_that_were_found_alone() -> None:
    truth = np.tile(np.array([[4, 4], [10, 4], [7, 7], [5, 10], [9, 10]], float), (5, 1, 1))
    there = np.array([True, True, False, True, True])
    faces = some_faces(5, landmarks=truth, landmarks_found=there)
    height, width = faces.images.shape[1:3]  # type: ignore[union-attr]
    found = truth / [width, height]
    found[1] += [0.6 / width, 0]  # a tenth of the 6 pixels between the eyes
    found[2] += 5.0
    shape = truth[0] / [width, height]
    shape[0] += [3.0 / width, 0]  # one of five points is half of those 6 pixels off
    measures = landmark_measures(found, shape, faces)
    assert measures["normalised_mean_error"] == pytest.approx(0.1 / 4)
    assert measures["mean_shape_error"] == pytest.approx(0.1)
    assert measures["ced_0.05"] == 0.75
    assert measures["ced_0.15"] == 1.0
    errors = {"normalised_mean_error", "mean_shape_error"}
    assert set(measures) == errors | {f"ced_{t:g}" for t in THRESHOLDS}
    unknown = replace(faces, landmarks_found=np.zeros(5, bool))
    assert landmark_measures(found, shape, some_faces(5)) == {}
    assert landmark_measures(found, shape, unknown) == {}
    assert mean_shape(unknown) is None
    assert mean_shape(some_faces(5)) is None
    moved = truth.copy()
    moved[1] += 1.0
    moved[2] += 99.0  # not found
    expected = (truth[0] + 0.25) / [width, height]
    assert np.allclose(mean_shape(replace(faces, landmarks=moved)), expected, atol=1e-6)
    assert known_landmarks(replace(faces, landmarks_found=None)).all()


def test_relative_landmarks_are_shares_of_each_side() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 14, (3, 5, 2))
    there = np.array([True, False, True])
    faces = some_faces(3, landmarks=truth, landmarks_found=there)
    wide = replace(faces, images=np.zeros((3, 14, 28), np.uint8))
    shares, known = relative_landmarks(wide, np.array([2, 1]))
    assert np.allclose(shares[..., 0], truth[[2, 1], :, 0] / 28)
    assert np.allclose(shares[..., 1], truth[[2, 1], :, 1] / 14)
    assert shares.dtype == np.float32
    assert known.tolist() == [True, False]
    shares, known = relative_landmarks(some_faces(3), np.arange(3))
    assert shares.shape == (3, 5, 2)
    assert not shares.any()
    assert not known.any()


def test_a_mirrored_face_swaps_left_and_right() -> None:
    images = torch.rand(2, 1, 4, 10)
    given = 10 * points(2)
    turned, moved = mirrored(images, given, torch.tensor([0.1, 0.9]))
    assert torch.equal(turned[0], images[0].flip(2))
    assert torch.equal(turned[1], images[1])
    assert torch.equal(moved[1], given[1])
    for k, other in enumerate([1, 0, 2, 4, 3]):
        assert float(moved[0, k, 0]) == pytest.approx(10 - float(given[0, other, 0]))
        assert float(moved[0, k, 1]) == float(given[0, other, 1])
