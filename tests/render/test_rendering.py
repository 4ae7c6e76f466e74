"""Rendered faces: where action units move things, in the geometry and in the pixels."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from builtin import dataset_class
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.api import TEST, TRAIN, FaceSet
from bench.render.action_units import ACTION_UNITS, EMOTIONS, PROTOTYPES, intensities, shape_faces
from bench.render.annotators import select
from bench.render.drawing import Canvas
from bench.render.rendering import draw_conditions, draw_people, place, portray, render_faces

Synthetic = dataset_class("synthetic")
SyntheticSingle = dataset_class("synthetic-single")

LEFT, RIGHT = 0, 1


def units(**amounts: float) -> np.ndarray:
    """``units(au12=1)``: one row of intensities."""
    return np.array([[amounts.get(f"au{number}", 0.0) for number in ACTION_UNITS]])


def still(count: int = 1) -> np.ndarray:
    """Conditions of a frontal picture: no pose, no occlusion, nearly no grain."""
    conditions = np.concatenate([draw_conditions(np.random.default_rng(i)) for i in range(count)])
    for name in ("yaw", "pitch", "roll", "shift_x", "shift_y", "lamp_x", "grain", "blur"):
        conditions[name] = 0
    conditions["scale"] = conditions["occlusion"] = 1
    return conditions


def plain(count: int = 1) -> np.ndarray:
    """People without glasses, fringe or beard."""
    people = draw_people(count, seed=5)
    people["hair_style"], people["glasses"], people["stubble"], people["age"] = 0.2, 1, 0, 0.3
    people["skin"] = 0.2
    return people


def picture(**amounts: float) -> np.ndarray:
    """Grey picture (100, 100) of one plain face."""
    images, _ = render_faces(plain(), still(), units(**amounts), [np.random.default_rng(0)])
    return images[0].astype(float).mean(axis=2)


def test_prototypes_are_the_six_emotions_and_known_action_units() -> None:
    assert tuple(PROTOTYPES) == EMOTIONS
    assert {number for table in PROTOTYPES.values() for number in table} <= set(ACTION_UNITS)
    alone = intensities(np.eye(6))
    for emotion, row in zip(EMOTIONS, alone, strict=True):
        expected = [PROTOTYPES[emotion].get(number, 0.0) for number in ACTION_UNITS]
        np.testing.assert_allclose(row, expected, atol=0.03 + 1e-9)


@given(st.lists(st.integers(0, 10), min_size=6, max_size=6), st.integers(0, 5))
def test_a_blend_shows_its_parts_and_more_of_a_part_shows_more(
    parts: list[int], which: int
) -> None:
    weights = np.array([parts, parts]) / 60
    weights[1, which] = min(weights[1, which] + 0.02, weights[0].max())
    less, more = intensities(weights)
    assert ((less >= 0) & (less <= 1)).all()
    expected = {n for e, part in zip(EMOTIONS, parts, strict=True) if part for n in PROTOTYPES[e]}
    assert {n for n, amount in zip(ACTION_UNITS, less, strict=True) if amount > 0} == expected
    assert (more >= less - 1e-12).all()


# What each action unit moves (FACS 2002, chapter by chapter); y grows downwards.
MOVES = {
    "au1": lambda f: f.brows[RIGHT][0, 0, 1],
    "au2": lambda f: f.brows[RIGHT][0, -3, 1],
    "au4": lambda f: -f.brows[RIGHT][0, 0, 1],
    "au5": lambda f: f.upper_lids[RIGHT][0, 6, 1],
    "au6": lambda f: f.cheeks[RIGHT][0, 0, 1],
    "au7": lambda f: f.lower_lids[RIGHT][0, 6, 1],
    "au9": lambda f: f.wings[RIGHT][0, 3, 1],
    "au10": lambda f: f.upper_lip[0, 8, 1],
    "au12": lambda f: f.lip_part_above[0, -1, 1],
    "au15": lambda f: -f.lip_part_above[0, -1, 1],
    "au17": lambda f: f.lower_lip[0, 8, 1],
    "au20": lambda f: f.lip_part_above[0, 0, 0] - f.lip_part_above[0, -1, 0],
    "au23": lambda f: f.lower_lip[0, 8, 1] - f.upper_lip[0, 8, 1],
    "au24": lambda f: f.lower_lip[0, 8, 1] - f.upper_lip[0, 8, 1],
    "au25": lambda f: f.lip_part_above[0, 8, 1] - f.lip_part_below[0, 8, 1],
    "au26": lambda f: -f.skull[0, :, 1].max(),
    "au43": lambda f: -f.upper_lids[RIGHT][0, 6, 1],
}


@pytest.mark.parametrize("unit", MOVES)
def test_each_action_unit_moves_its_part_and_more_of_it_moves_it_further(unit: str) -> None:
    people = plain()
    at = [MOVES[unit](shape_faces(people, units(**{unit: k}))) for k in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert (np.diff(at) < -0.05).all()


def test_lip_units_that_need_parted_lips() -> None:
    people = plain()

    def gap(**amounts: float) -> float:
        face = shape_faces(people, units(**amounts))
        return float(face.lip_part_below[0, 8, 1] - face.lip_part_above[0, 8, 1])

    assert gap() == 0
    assert gap(au25=1, au16=1) > gap(au25=1) + 1
    assert gap(au25=1, au26=1) > gap(au25=1) + 8
    assert gap(au25=1, au24=1) < gap(au25=1)


def test_grief_makes_oblique_brows() -> None:
    brow = shape_faces(plain(), units(au1=1, au4=0.6, au15=1)).brows[RIGHT][0]
    angry = shape_faces(plain(), units(au4=1)).brows[RIGHT][0]
    assert brow[0, 1] < brow[-1, 1] - 2
    assert angry[0, 1] > angry[4, 1]


def test_pixels_follow_the_action_units() -> None:
    neutral = picture()
    _, landmarks = render_faces(plain(), still(), units(), [np.random.default_rng(0)])
    left, right = landmarks[0, 3:]
    mouth = tuple(np.round((left + right) / 2).astype(int))

    inside = picture(au25=1, au26=1)[mouth[1] + 5 : mouth[1] + 8, mouth[0] - 4 : mouth[0] + 4]
    lip = neutral[mouth[1] + 5 : mouth[1] + 8, mouth[0] - 4 : mouth[0] + 4]
    assert inside.mean() < lip.mean() - 25  # the open mouth is dark

    def dark_row(image: np.ndarray, columns: slice, rows: slice) -> float:
        """Mean row of the darkness in a window."""
        dark = np.clip(np.median(image[rows, columns]) - image[rows, columns], 0, None)
        return float((dark.sum(axis=1) * np.arange(rows.start, rows.stop)).sum() / dark.sum())

    inner = slice(60, 70)  # the right brow's inner half
    assert (
        dark_row(picture(au1=1), inner, slice(7, 24)) < dark_row(neutral, inner, slice(7, 24)) - 2
    )

    def white(image: np.ndarray) -> float:
        return float((image[24:38, 66:94] > 190).mean())

    assert white(picture(au5=1)) > white(neutral) > white(picture(au43=1))


def test_eye_landmarks_lie_where_eyes_are_drawn() -> None:
    conditions, people = still(8), plain(8)
    conditions["gaze_x"] = conditions["gaze_y"] = 0
    conditions["shift_x"], conditions["shift_y"] = np.linspace(-4, 4, 8), np.linspace(3, -3, 8)
    rngs = [np.random.default_rng(i) for i in range(8)]
    images, landmarks = render_faces(people, conditions, np.repeat(units(au5=1), 8, 0), rngs)
    for image, points in zip(images.astype(float).mean(axis=3), landmarks, strict=True):
        for x, y in points[:2]:
            column, row = int(x), int(y)  # the pixel that holds the point: the pupil, black
            around = image[row - 4 : row + 5, column - 9 : column + 10]
            assert image[row, column] < 60 < np.percentile(around, 80)


def test_mouth_corner_landmarks_are_the_ends_of_the_drawn_mouth() -> None:
    shape = place(shape_faces(plain(3), np.repeat(units(au12=1), 3, 0)), still(3))
    points = shape.landmarks()
    np.testing.assert_array_equal(points[:, 3], shape.lip_part_above[:, 0])
    np.testing.assert_array_equal(points[:, 4], shape.lower_lip[:, -1])
    np.testing.assert_array_equal(points[:, 0], shape.eyes[LEFT][:, 0])
    assert (points[:, 0, 0] < points[:, 1, 0]).all()


@pytest.mark.parametrize("name", ["yaw", "pitch", "roll"])
def test_a_turned_head_keeps_its_eyes_and_mouth_near_their_places(name: str) -> None:
    conditions = still(3)
    conditions[name] = [-0.2, 0.0, 0.2]
    points = place(shape_faces(plain(3), np.repeat(units(), 3, 0)), conditions).landmarks()
    assert np.abs(points[[0, 2], :2] - points[1, :2]).max() < 9
    if name == "yaw":
        assert points[2, 2, 0] - points[0, 2, 0] > 4  # the nose points where the head turns


def test_geometry_is_that_of_raf_ml_on_average() -> None:
    truth, _ = Synthetic(images=400).polled()
    people, rng = draw_people(400, 0), np.random.default_rng(0)
    conditions = np.concatenate([draw_conditions(rng) for _ in range(400)])
    points = place(shape_faces(people, intensities(truth[:, :6])), conditions).landmarks().mean(0)
    np.testing.assert_allclose(points[0], [20, 30], atol=1)
    np.testing.assert_allclose(points[1], [80, 30], atol=1)
    np.testing.assert_allclose(points[3:].mean(axis=0), [50, 75], atol=1.5)


def test_portraits_depend_on_seed_and_place_only() -> None:
    weights = np.random.default_rng(1).dirichlet(np.ones(6), 9)
    images, landmarks = portray(weights, seed=3)
    again, same = portray(weights[:4], seed=3)
    np.testing.assert_array_equal(images[:4], again)
    np.testing.assert_array_equal(landmarks[:4], same)
    others, _ = portray(weights[:4], seed=4)
    assert (images[:4] != others).mean() > 0.9
    assert len({image.tobytes() for image in portray(np.tile(weights[:1], (9, 1)), 3)[0]}) == 9


def test_a_person_looks_alike_and_others_do_not() -> None:
    people = draw_people(2, seed=0)[[0, 0, 1]]
    shape = shape_faces(people, np.repeat(units(), 3, 0))
    for part in fields(shape):
        if part.name != "amount":
            value = getattr(shape, part.name)
            value = value if value.ndim == 3 else value[RIGHT]
            np.testing.assert_array_equal(value[0], value[1])
    assert not np.array_equal(shape.skull[0], shape.skull[2])
    np.testing.assert_array_equal(draw_people(5, seed=2)[:3], draw_people(3, seed=2))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-6, 26), st.floats(-6, 26)), min_size=3, max_size=3),
)
def test_filled_triangle_against_many_samples(corners: list[tuple[float, float]]) -> None:
    """Coverage equals the share of sample points inside, at the borders of the image too."""
    a, b, c = np.array(corners)
    mask = Canvas(20, (0, 0, 0), (0, 0, 0)).region(np.array([a, b, c]))
    steps = (np.arange(20 * 32) + 0.5) / 32
    x, y = np.meshgrid(steps, steps)

    def side(p: np.ndarray, q: np.ndarray) -> np.ndarray:
        return np.asarray((q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0]))

    turns = np.stack([side(a, b), side(b, c), side(c, a)])
    inside = (turns >= 0).all(axis=0) | (turns <= 0).all(axis=0)
    area = abs((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))
    share = inside.reshape(20, 32, 20, 32).mean(axis=(1, 3)) * (area > 1e-6)
    # Each of three sides may pass a line of samples by: 1/32 of a pixel each.
    assert np.abs(mask - share).max() < 3 / 32 + 1e-3


def test_stroke_and_spot_lie_where_they_are_put() -> None:
    canvas = Canvas(20, (0, 0, 0), (0, 0, 0))
    canvas.stroke(np.array([[3.0, 10.0], [17.0, 10.0]]), 2.0, (1, 1, 1))
    grey = canvas.image[:, :, 0]
    np.testing.assert_allclose(grey[8:12, 5:15], 1)
    assert grey[:7].max() == grey[13:].max() == grey[:, 0].max() == 0
    canvas = Canvas(20, (0, 0, 0), (0, 0, 0))
    canvas.spot(np.array([7.5, 12.5]), 5, 5, (1, 1, 1), 1.0)
    assert canvas.image[:, :, 1].argmax() == 12 * 20 + 7


@pytest.mark.parametrize("kind", [Synthetic, SyntheticSingle])
def test_more_images_never_change_the_first(kind: Any) -> None:
    few, many = kind(images=30).load(None), kind(images=60).load(None)
    assert len(few) == 30
    assert few.fingerprint == many.take(slice(0, 30)).fingerprint
    assert few.fingerprint == kind(images=30).load(None).fingerprint
    assert few.fingerprint != kind(images=30, seed=1).load(None).fingerprint


@pytest.mark.parametrize(("images", "train"), [(20, 16), (21, 17), (33, 26), (52, 42)])
def test_synthetic_is_a_whole_face_set(images: int, train: int) -> None:
    faces: FaceSet = Synthetic(images=images).load(None)
    assert faces.synthetic
    assert faces.images is not None
    assert faces.images.shape == (images, 100, 100, 3)
    assert faces.landmarks is not None
    assert faces.landmarks.shape == (images, 5, 2)
    assert faces.label_names == EMOTIONS
    assert faces.split is not None
    assert np.bincount(faces.split).tolist() == [train, 0, images - train]
    kept, distribution, labels = select(faces.votes)  # type: ignore[arg-type]
    assert kept.all()
    np.testing.assert_array_equal(distribution, faces.distribution)
    np.testing.assert_array_equal(labels, faces.labels)


def test_synthetic_single_keeps_people_apart() -> None:
    faces: FaceSet = SyntheticSingle(images=120, identities=20).load(None)
    assert faces.kind == "single"
    assert faces.label_names == (*EMOTIONS, "neutral")
    assert faces.subject is not None
    assert faces.split is not None
    assert faces.votes is not None
    train, test = (set(faces.subject[faces.split == part]) for part in (TRAIN, TEST))
    assert len(train) == 16
    assert len(test) == 4
    assert not train & test
    np.testing.assert_array_equal(faces.votes.argmax(axis=1), faces.labels.argmax(axis=1))
    assert (faces.labels.sum(axis=0) > 5).all()
