"""Pixels, crops and targets: what a network is given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import some_faces
from PIL import Image, ImageOps
from torchvision.transforms.v2.functional import resize

from bench.api import BenchError, FaceSet, InputError
from bench.nn import faces as module
from bench.nn.faces import Pixels, crops, targets, ten_crop


def streamed(monkeypatch: pytest.MonkeyPatch, faces: FaceSet, side: int | None) -> Pixels:
    with monkeypatch.context() as patch:
        patch.setattr(module, "_free_memory", lambda device: 0)
        return Pixels(faces, side, "cpu")


# -- pixels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", ["grey", "rgb"])
@pytest.mark.parametrize("side", [None, 14, 9, 20])
def test_resident_and_streamed_give_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch, colour: str, side: int | None
) -> None:
    monkeypatch.setattr(module, "_CHUNK", 7)
    faces = some_faces(30, colour=colour)
    resident, reading = Pixels(faces, side, "cpu"), streamed(monkeypatch, faces, side)
    assert resident.whole is not None
    assert reading.whole is None
    assert len(resident) == len(reading) == 30
    for rows in (torch.tensor([3, 0, 29, 3]), torch.arange(30), torch.tensor([], dtype=int)):
        one, other = resident.take(rows), reading.take(rows)
        assert one.dtype == torch.uint8
        assert one.shape == (len(rows), side or 14, side or 14, 3 if colour == "rgb" else 1)
        assert torch.equal(one, other)


@pytest.mark.parametrize("colour", ["grey", "rgb"])
def test_resizing_is_torchvisions(colour: str) -> None:
    faces = some_faces(5, colour=colour)
    assert faces.images is not None
    found = Pixels(faces, 9, "cpu").take(torch.arange(5))
    for image, one in zip(faces.images, found, strict=True):
        picture = torch.from_numpy(image.reshape(14, 14, -1)).permute(2, 0, 1)
        wanted = resize(picture, [9, 9], antialias=True)
        assert torch.equal(one.permute(2, 0, 1), wanted)


def test_images_that_are_not_square_become_square() -> None:
    faces = some_faces(4)
    assert faces.images is not None
    wide = replace(faces, images=np.ascontiguousarray(faces.images[:, :7]))
    assert Pixels(wide, 9, "cpu").take(torch.arange(4)).shape == (4, 9, 9, 1)
    assert Pixels(wide, None, "cpu").take(torch.arange(4)).shape == (4, 7, 14, 1)


def test_a_read_only_memory_map_is_not_written_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    faces = some_faces(10)
    np.save(tmp_path / "images.npy", faces.images)
    mapped = replace(faces, images=np.load(tmp_path / "images.npy", mmap_mode="r"))
    for pixels in (Pixels(mapped, None, "cpu"), streamed(monkeypatch, mapped, None)):
        pixels.take(torch.arange(10)).zero_()
        if pixels.whole is not None:
            pixels.whole.zero_()
    assert np.array_equal(np.load(tmp_path / "images.npy"), faces.images)


def test_faces_without_usable_images_are_refused() -> None:
    faces = some_faces(4)
    with pytest.raises(BenchError, match="noise holds precomputed features; a network needs"):
        Pixels(replace(faces, images=None, features=np.zeros((4, 2))), 9, "cpu")
    with pytest.raises(BenchError, match="images of 0×14 pixels cannot be used"):
        Pixels(replace(faces, images=np.zeros((4, 14, 0), np.uint8)), 9, "cpu")


# -- crops ----------------------------------------------------------------------------------------


def numbered(n: int, height: int, width: int, channels: int = 1) -> torch.Tensor:
    """Images each pixel of which says where it is."""
    count = height * width * channels
    assert count < 256
    one = torch.arange(count, dtype=torch.uint8).reshape(height, width, channels)
    return one.expand(n, -1, -1, -1).contiguous()


@pytest.mark.parametrize(("height", "width", "channels"), [(7, 7, 1), (6, 9, 1), (5, 6, 3)])
@pytest.mark.parametrize("flip", [False, True])
def test_crops_are_those_of_a_slow_loop(height: int, width: int, channels: int, flip: bool) -> None:
    images = numbered(40, height, width, channels)
    size = 4
    found = crops(images, size, torch.Generator().manual_seed(1), flip)
    generator = torch.Generator().manual_seed(1)
    top = torch.randint(height - size + 1, (40, 1), generator=generator)
    left = torch.randint(width - size + 1, (40, 1), generator=generator)
    mirrored = torch.rand(40, 1, generator=generator) < 0.5
    assert found.shape == (40, channels, size, size)
    for n in range(40):
        for y in range(size):
            for x in range(size):
                across = size - 1 - x if flip and mirrored[n] else x
                wanted = images[n, top[n, 0] + y, left[n, 0] + across]
                assert torch.equal(found[n, :, y, x], wanted)


def test_every_place_and_both_directions_are_as_likely() -> None:
    images = numbered(6000, 6, 7)
    found = crops(images, 4, torch.Generator().manual_seed(0), flip=True)
    corner, beside = found[:, 0, 0, 0].int(), found[:, 0, 0, 1].int()
    mirrored = beside < corner
    left = torch.where(mirrored, corner - 3, corner)
    places, counts = left.unique(return_counts=True)
    assert places.tolist() == [7 * y + x for y in range(3) for x in range(4)]
    # Standard deviation of a count of 500: 21.
    assert ((counts - 500).abs() < 110).all()
    assert abs(int(mirrored.sum()) - 3000) < 200


def test_without_a_generator_the_centre_is_cut() -> None:
    images = numbered(2, 7, 6)
    found = crops(images, 4)
    assert torch.equal(found[0, 0], images[0, 1:5, 1:5, 0])
    assert torch.equal(crops(images, 6)[0, 0], images[0, 0:6, :, 0])


def test_a_crop_of_the_whole_image_is_the_image() -> None:
    images = numbered(3, 6, 6)
    found = crops(images, 6, torch.Generator().manual_seed(0))
    assert torch.equal(found.permute(0, 2, 3, 1), images)


def test_channels_lie_last_in_memory() -> None:
    for generator in (None, torch.Generator()):
        found = crops(numbered(2, 5, 6, 3), 4, generator).contiguous()
        strides = crops(numbered(2, 5, 6, 3), 4, generator).stride()
        assert found.shape == (2, 3, 4, 4)
        assert strides[1] == 1


def test_too_large_a_crop_is_refused() -> None:
    with pytest.raises(BenchError, match="a crop of 7 pixels cannot be cut from 9×6"):
        crops(numbered(1, 6, 9), 7)


# -- targets --------------------------------------------------------------------------------------


def test_label_sets_become_equal_shares() -> None:
    faces = some_faces(3)
    sets = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1]], dtype=bool)
    labels, shares = targets(replace(faces, labels=sets), "cpu")
    assert labels.dtype == shares.dtype == torch.float32
    assert labels.tolist() == sets.astype(float).tolist()
    assert shares.tolist() == [[0.5, 0, 0.5], [0, 0, 0], pytest.approx([1 / 3] * 3)]


def test_a_distribution_is_taken_as_it_is() -> None:
    faces = some_faces(2)
    given = np.array([[0.2, 0.8, 0], [0.5, 0.25, 0.25]])
    labels, shares = targets(replace(faces, distribution=given), "cpu")
    assert np.array_equal(shares.numpy(), given.astype(np.float32))
    assert np.array_equal(labels.numpy(), faces.labels)


def test_one_class_is_the_target_whatever_the_votes() -> None:
    faces = some_faces(6, kind="single")
    given = np.full((6, 3), 1 / 3)
    labels, shares = targets(replace(faces, distribution=given), "cpu")
    assert torch.equal(labels, shares)
    assert np.array_equal(labels.numpy(), faces.labels)


# -- ten-crops ------------------------------------------------------------------------------------


def test_ten_crops_equal_pillows() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 12, 14), dtype=np.uint8)
    found = ten_crop(torch.tensor(images), 8)
    assert found.shape == (2, 10, 3, 8, 8)
    for image, ten in zip(images, found.numpy(), strict=True):
        plain = Image.fromarray(image.transpose(1, 2, 0))
        expected = [
            picture.crop((x, y, x + 8, y + 8))
            for picture in (plain, ImageOps.mirror(plain))
            for x, y in ((0, 0), (6, 0), (0, 4), (6, 4), (3, 2))
        ]
        for crop, picture in zip(ten, expected, strict=True):
            assert np.array_equal(crop.transpose(1, 2, 0), np.asarray(picture))


def test_a_ten_crop_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="ten-crop of 11×11"):
        ten_crop(torch.zeros(2, 3, 10, 10), 11)
