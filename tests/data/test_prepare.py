"""Faces as a method wants them: exactly what Pillow gives, image by image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.api import BenchError, FaceInput, FaceSet
from bench.data.prepare import grey_images, prepare


def faces(shape: tuple[int, ...], landmarks: bool = False, seed: int = 0) -> FaceSet:
    rng = np.random.default_rng(seed)
    n = shape[0]
    return FaceSet(
        name="noise",
        kind="multi",
        label_names=("a", "b"),
        ids=np.array([f"{row}" for row in range(n)], dtype=str),
        labels=rng.random((n, 2)) > 0.5,
        images=rng.integers(0, 256, shape, dtype=np.uint8),
        landmarks=rng.random((n, 5, 2)) * 10 if landmarks else None,
    )


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 3),
    height=st.integers(1, 14),
    width=st.integers(1, 14),
    rgb=st.booleans(),
    colour=st.sampled_from(["grey", "rgb"]),
    size=st.none() | st.integers(1, 17),
    seed=st.integers(0, 99),
)
def test_equals_pillow(
    n: int, height: int, width: int, rgb: bool, colour: str, size: int | None, seed: int
) -> None:
    given_faces = faces((n, height, width, 3) if rgb else (n, height, width), seed=seed)
    found = prepare(given_faces, FaceInput(size=size, colour=colour))
    assert found.images is not None
    assert given_faces.images is not None
    for image, result in zip(given_faces.images, found.images, strict=True):
        expected = Image.fromarray(image)
        # RGB from grey: three equal channels, before or after the resize.
        expected = expected.convert("L" if colour == "grey" else "RGB")
        if size is not None:
            expected = expected.resize((size, size), Image.Resampling.BILINEAR)
        assert np.array_equal(np.asarray(expected), result)


def test_nothing_to_do_gives_the_same_object() -> None:
    grey, rgb = faces((2, 8, 8)), faces((2, 8, 8, 3))
    assert prepare(grey, FaceInput()) is grey
    assert prepare(grey, FaceInput(size=8)) is grey
    assert prepare(rgb, FaceInput(size=8, colour="rgb")) is rgb


def test_a_method_that_crops_gets_the_image_it_crops_from() -> None:
    found = prepare(faces((2, 8, 8)), FaceInput(size=9, crop_from=10))
    assert found.images is not None
    assert found.images.shape == (2, 10, 10)


def test_landmarks_scale_with_each_axis() -> None:
    before = faces((3, 10, 20), landmarks=True)
    after = prepare(before, FaceInput(size=40))
    assert before.landmarks is not None
    assert after.landmarks is not None
    assert np.allclose(after.landmarks, before.landmarks * [2, 4])
    assert prepare(before, FaceInput(colour="rgb")).landmarks is before.landmarks


def test_the_input_stays_as_it_is_and_labels_pass_through() -> None:
    before = faces((3, 6, 6, 3), landmarks=True)
    assert before.images is not None
    before.images.setflags(write=False)
    after = prepare(before, FaceInput(size=5))
    assert after.labels is before.labels
    assert after.images is not None
    after.images[:] = 0


def test_read_only_result_never_reaches_a_method() -> None:
    grey = prepare(faces((2, 6, 6, 3)), FaceInput(colour="grey")).images
    assert grey is not None
    assert grey.flags.writeable


def test_no_rows() -> None:
    for colour in ("grey", "rgb"):
        images = prepare(faces((0, 6, 6, 3)), FaceInput(size=5, colour=colour)).images
        assert images is not None
        assert images.shape[:3] == (0, 5, 5)


def test_features_have_no_images() -> None:
    vectors = FaceSet(
        name="yeast",
        kind="multi",
        label_names=("a",),
        ids=np.array(["1"]),
        labels=np.ones((1, 1), bool),
        features=np.zeros((1, 3)),
    )
    with pytest.raises(BenchError, match="yeast holds precomputed features"):
        prepare(vectors, FaceInput())


def test_grey_images_are_handed_on_and_others_refused_in_one_sentence() -> None:
    grey = faces((2, 48, 48))
    assert grey_images(grey, 48) is grey.images
    with pytest.raises(
        BenchError, match=r"noise: images must be grey \(n, 100, 100\), not \(2, 48"
    ):
        grey_images(grey, 100)
    with pytest.raises(BenchError, match=r"not \(2, 100, 100, 3\)"):
        grey_images(faces((2, 100, 100, 3)), 100)
    vectors = replace(grey, images=None, features=np.zeros((2, 5)))
    with pytest.raises(BenchError, match="noise has no images but ready features"):
        grey_images(vectors, 100)
    with pytest.raises(BenchError, match="images must be uint8"):
        grey_images(replace(grey, images=np.zeros((2, 48, 48), np.float32)), 48)
