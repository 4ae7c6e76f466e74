"""Per-pixel statistics of a training part."""

from __future__ import annotations

import numpy as np
import torch

from bench.api import FaceSet
from bench.nn.faces import Pixels
from bench.nn.standardise import Standardise


def pixels(images: np.ndarray) -> Pixels:
    ids = np.arange(len(images)).astype(str)
    faces = FaceSet("a", "multi", ("x",), ids, np.zeros((len(ids), 1), bool), images=images)
    return Pixels(faces, None, "cpu")


def test_standardised_pixels_have_mean_0_and_deviation_1() -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 8, 8), dtype=np.uint8)
    images[:, 0, 0] = 200
    layer = Standardise(1, 8)
    as_they_are = torch.from_numpy(images)[:, None] / 255
    assert torch.equal(layer(as_they_are), as_they_are)
    layer.learn(pixels(images))
    found = layer(as_they_are)[:, 0].numpy()
    varying = np.ones((8, 8), bool)
    varying[0, 0] = False
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(axis=0)[varying], 1, rtol=1e-4)
    assert set(layer.state_dict()) == {"mean", "std"}


def test_only_the_rows_named_count_and_larger_images_are_cut() -> None:
    images = np.random.default_rng(0).integers(0, 256, (30, 12, 12), dtype=np.uint8)
    layer = Standardise(1, 8)
    layer.learn(pixels(images), torch.arange(5, 25))
    cut = images[5:25, 2:10, 2:10] / 255
    np.testing.assert_allclose(layer.mean[0], cut.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(layer.std[0], cut.std(axis=0), rtol=1e-5)
