"""A shifted domain: other pixels, the same faces, landmarks, labels and votes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builtin import dataset_class
from PIL import Image

from bench.api import FaceSet, InputError
from bench.render.action_units import intensities, vary
from bench.render.rendering import draw_conditions, draw_person, render_faces
from bench.render.shift import Shift, pencil

Synthetic = dataset_class("synthetic")
SyntheticSingle = dataset_class("synthetic-single")
SHIFTS: list[dict[str, Any]] = [{"lighting": 0.7}, {"style": 0.6}, {"resolution": 20}]


def drawn(kind: Any = Synthetic, **params: Any) -> FaceSet:
    return kind(images=20, seed=4, **params).load(None)


def grey(faces: FaceSet) -> np.ndarray:
    assert faces.images is not None
    return faces.images.astype(float).mean(axis=3)


@pytest.fixture(scope="module")
def plain() -> dict[Any, FaceSet]:
    return {kind: drawn(kind) for kind in (Synthetic, SyntheticSingle)}


def test_the_defaults_are_the_pictures_without_any_shift(plain: dict[Any, FaceSet]) -> None:
    truth, _ = Synthetic(images=20, seed=4).polled()
    rngs = [np.random.default_rng((4, 101, i)) for i in range(20)]
    people = np.concatenate([draw_person(rng) for rng in rngs])
    conditions = np.concatenate([draw_conditions(rng) for rng in rngs])
    units = intensities(truth[:, :6])
    units = np.stack([vary(row, rng) for row, rng in zip(units, rngs, strict=True)])
    images, landmarks = render_faces(people, conditions, units, rngs)
    np.testing.assert_array_equal(plain[Synthetic].images, images)
    np.testing.assert_array_equal(plain[Synthetic].landmarks, landmarks)
    for kind, faces in plain.items():
        told = drawn(kind, lighting=0.0, style=0.0, resolution=None)
        assert told.fingerprint == faces.fingerprint
        assert not any("shifted" in note for note in (*told.notes, *faces.notes))


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("kind", [Synthetic, SyntheticSingle])
def test_only_the_pixels_change(
    kind: Any, shift: dict[str, Any], plain: dict[Any, FaceSet]
) -> None:
    found = drawn(kind, **shift)
    assert found.fingerprint == drawn(kind, **shift).fingerprint
    assert found.fingerprint != plain[kind].fingerprint
    assert replace(found, images=plain[kind].images).fingerprint == plain[kind].fingerprint
    assert found.images is not None
    assert plain[kind].images is not None
    changed = (found.images != plain[kind].images).reshape(20, -1).mean(axis=1)
    assert (changed > 0.5).all()
    ((name, value),) = shift.items()
    assert found.notes[-1] == f"domain shifted: {name} {value:g}"


def test_an_image_depends_on_no_other() -> None:
    every = {name: value for shift in SHIFTS for name, value in shift.items()}
    few, many = Synthetic(images=20, **every), Synthetic(images=26, **every)
    assert few.load(None).fingerprint == many.load(None).take(slice(0, 20)).fingerprint
    (note,) = Shift(**every).notes()
    assert note == "domain shifted: lighting 0.7, style 0.6, resolution 20"


def test_light_moves_the_conditions_in_proportion() -> None:
    before = draw_conditions(np.random.default_rng(0))
    kept = before.copy()
    half, whole = Shift(lighting=0.5).lit(before), Shift(lighting=1.0).lit(before)
    np.testing.assert_array_equal(before, kept)
    np.testing.assert_array_equal(Shift().lit(before), before)
    factors = {"ambient": (0.65, 0.3), "brightness": (0.85, 0.7), "gamma": (1.3, 1.6)}
    for name, by in factors.items():
        assert half[name] == pytest.approx(by[0] * before[name])
        assert whole[name] == pytest.approx(by[1] * before[name])
    for name, by in {"lamp_x": (0.6, 1.2), "lamp_y": (0.45, 0.9)}.items():
        assert half[name] == pytest.approx(by[0] + before[name])
        assert whole[name] == pytest.approx(by[1] + before[name])
    rest = [n for n in before.dtype.names or () if n not in {*factors, "lamp_x", "lamp_y"}]
    assert half[rest] == before[rest]


def test_a_face_in_other_light_is_darker_and_most_so_on_its_left(
    plain: dict[Any, FaceSet],
) -> None:
    means, sides = [], []
    for faces in (plain[Synthetic], drawn(lighting=0.5), drawn(lighting=1.0)):
        cheeks = grey(faces)[:, 45:65]
        means.append(grey(faces).mean())
        sides.append(cheeks[:, :, 65:80].mean() / cheeks[:, :, 20:35].mean())
    assert means[0] > means[1] + 15 > means[2] + 30
    assert sides[0] * 1.2 < sides[1]
    assert sides[1] * 1.2 < sides[2]


def test_few_pixels_are_those_of_a_small_picture(plain: dict[Any, FaceSet]) -> None:
    # 20 divides 100: each small pixel is the mean of 5 × 5, and comes back in the block's middle.
    images = plain[Synthetic].images
    assert images is not None
    found = Shift(resolution=20).seen(images)
    means = images.reshape(20, 20, 5, 20, 5, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(found[:, 2::5, 2::5], means, atol=1)
    # Between two middles, a straight line.
    steps = found[:, 2, 2:8].astype(float)
    line = np.linspace(steps[:, 0], steps[:, 5], 6, axis=1)
    np.testing.assert_allclose(steps, line, atol=1)


def test_style_mixes_a_drawing_in() -> None:
    image = np.full((40, 40, 3), 120, np.uint8)
    image[:, :, 0] = 180
    image[18:22] = 30  # a dark line
    drawing = pencil(image)
    assert drawing.shape == (40, 40)
    assert drawing[0].min() > 254  # flat skin is paper
    assert drawing[19:21].max() < 120
    assert (pencil(np.zeros((9, 9, 3), np.uint8)) == 255).all()
    assert (pencil(np.full((9, 9, 3), 255, np.uint8)) == 255).all()
    for share in (0.25, 1.0):
        found = Shift(style=share).seen(image[None])[0]
        mixed = (1 - share) * image + share * np.repeat(drawing[..., None], 3, axis=2)
        assert np.abs(found - mixed).max() <= 0.5
    assert (np.ptp(Shift(style=1.0).seen(image[None]), axis=3) == 0).all()  # no colour is left


def test_a_drawing_is_seen_through_few_pixels_and_not_the_reverse() -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 100, 100, 3), dtype=np.uint8)
    drawn_first = Shift(style=1.0).seen(image)
    wanted = Image.fromarray(drawn_first[0]).resize((10, 10), Image.Resampling.BOX)
    wanted = wanted.resize((100, 100), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(Shift(style=1.0, resolution=10).seen(image)[0], wanted)


@pytest.mark.parametrize(
    "wrong", [{"lighting": 1.1}, {"lighting": -0.1}, {"style": 2}, {"resolution": 3}]
)
def test_values_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    for kind in (Synthetic, SyntheticSingle):
        with pytest.raises(InputError, match="is not allowed"):
            kind(**wrong)
