"""Rendered faces: who is seen, under which conditions, with which action units.

A face is a relief (head, nose, cheeks, lips as smooth bumps) lit from one lamp, on which skin,
brows, lips and wrinkles are painted before the lighting and eyes, mouth, hair and glasses after it.
Everything about image i comes from its own generator, so that an image never depends on others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from bench.render.action_units import FaceShape, intensities, shape_faces, vary
from bench.render.face_painter import SIZE, Painter
from bench.render.shift import UNSHIFTED, Shift

_CHUNK = 64
_PORTRAIT, _PERSON = 101, 102  # streams of random numbers under one seed

# What makes an identity: name -> (mean, standard deviation) of a normal cut at ±2; a
# standard deviation of None means uniform on 0..mean.
_IDENTITY: dict[str, tuple[float, float | None]] = {
    "face_width": (0.97, 0.035),
    "jaw_width": (1.0, 0.06),
    "chin_height": (97.0, 1.6),
    "eye_distance": (1.0, 0.02),
    "eye_size": (1.0, 0.06),
    "eye_opening": (1.0, 0.13),
    "eye_tilt": (0.4, 0.8),
    "brow_height": (17.5, 1.2),
    "brow_arch": (0.8, 0.35),
    "brow_length": (1.0, 0.06),
    "brow_thickness": (1.0, 0.22),
    "nose_length": (55.5, 1.4),
    "nose_width": (1.0, 0.11),
    "mouth_width": (1.0, 0.06),
    "mouth_height": (74.3, 1.0),
    "mouth_skew": (0.0, 0.4),
    "lip_fullness": (1.0, 0.2),
    "lip_bow": (0.9, 0.3),
    "skin": (1.0, None),
    "skin_warmth": (0.0, 1.0),
    "hair": (1.0, None),
    "hair_style": (1.0, None),
    "hairline": (4.0, 1.6),
    "ragged": (1.0, None),
    "iris": (1.0, None),
    "age": (1.0, None),
    "lipstick": (1.0, None),
    "stubble": (1.0, None),
    "glasses": (1.0, None),
    "glasses_shape": (1.0, None),
}
# What differs from picture to picture of one identity.
_CONDITIONS: dict[str, tuple[float, float | None]] = {
    "yaw": (0.0, 0.13),
    "pitch": (0.0, 0.07),
    "roll": (0.0, 0.045),
    "scale": (1.0, 0.025),
    "shift_x": (0.0, 1.1),
    "shift_y": (0.0, 1.1),
    "gaze_x": (0.0, 1.1),
    "gaze_y": (0.0, 0.5),
    "lamp_x": (0.0, 0.42),
    "lamp_y": (-0.45, 0.22),
    "ambient": (0.52, 0.09),
    "brightness": (1.04, 0.09),
    "warmth": (0.0, 0.04),
    "gamma": (1.0, 0.1),
    "backdrop": (1.0, None),
    "backdrop_2": (1.0, None),
    "backdrop_hue": (1.0, None),
    "occlusion": (1.0, None),
    "occlusion_place": (1.0, None),
    "occlusion_hue": (1.0, None),
    "blur": (1.0, None),
    "grain": (1.0, None),
}


def _table(spec: dict[str, tuple[float, float | None]], rng: np.random.Generator) -> np.ndarray:
    """One structured row; every row takes the same number of draws, so columns never shift."""
    normal = np.clip(rng.standard_normal(len(spec)), -2, 2)
    uniform = rng.random(len(spec))
    row = np.empty(1, dtype=[(name, float) for name in spec])
    for column, (name, (mean, spread)) in enumerate(spec.items()):
        row[name] = mean * uniform[column] if spread is None else mean + spread * normal[column]
    return row


def draw_person(rng: np.random.Generator) -> np.ndarray:
    """One identity: geometry, skin, hair, glasses, as a structured array (1,)."""
    return _table(_IDENTITY, rng)


def draw_people(count: int, seed: int) -> np.ndarray:
    """Identities 0 to count - 1 under a seed, structured (count,)."""
    rngs = (np.random.default_rng((seed, _PERSON, i)) for i in range(count))
    return np.concatenate([draw_person(rng) for rng in rngs])


def draw_conditions(rng: np.random.Generator) -> np.ndarray:
    """Pose, light, backdrop, occlusion, blur and grain of one picture, structured (1,)."""
    return _table(_CONDITIONS, rng)


def _by_name(row: np.void) -> dict[str, float]:
    return dict(zip(row.dtype.names or (), row.item(), strict=True))


def render_faces(
    people: np.ndarray,
    conditions: np.ndarray,
    units: np.ndarray,
    rngs: Sequence[np.random.Generator],
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the faces.

    Parameters
    ----------
    people, conditions : structured (n,)
        Rows of `draw_person` and `draw_conditions`.
    units : float (n, 18), 0 to 1
        Intensities of `bench.render.action_units.ACTION_UNITS`.
    rngs : n generators
        Texture and grain of image i come from ``rngs[i]``.

    Returns
    -------
    images : uint8 (n, 100, 100, 3)
    landmarks : float (n, 5, 2)
        x, y in pixels, (0, 0) at the image's upper left corner: eye centres (midway between the
        eye corners), nose tip, mouth corners; exact, from the geometry that was drawn.
    """
    n = len(people)
    images = np.empty((n, SIZE, SIZE, 3), np.uint8)
    landmarks = np.empty((n, 5, 2))
    for start in range(0, n, _CHUNK):
        rows = slice(start, min(start + _CHUNK, n))
        shape = place(shape_faces(people[rows], units[rows]), conditions[rows])
        landmarks[rows] = shape.landmarks()
        for i in range(rows.start, rows.stop):
            person, condition = _by_name(people[i]), _by_name(conditions[i])
            images[i] = Painter(shape, i - start, person, condition, rngs[i]).paint()
    return images, landmarks


def portray(
    weights: np.ndarray,
    seed: int,
    people: np.ndarray | None = None,
    shift: Shift = UNSHIFTED,
) -> tuple[np.ndarray, np.ndarray]:
    """Faces that show the blends, each under its own conditions.

    Parameters
    ----------
    weights : float (n, 6)
        Emotions of each face, as `bench.render.action_units.intensities` takes them.
    seed : int
        Image i depends on the seed, on i and on its row of the arguments, on nothing else.
    people : structured (n,), optional
        Who is seen (rows of `draw_person`); without it everyone differs.
    shift : Shift
        Of the domain: of the pixels alone.

    Returns
    -------
    images, landmarks
        As `render_faces` gives them.
    """
    rngs = [np.random.default_rng((seed, _PORTRAIT, i)) for i in range(len(weights))]
    drawn = np.concatenate([draw_person(rng) for rng in rngs])
    conditions = np.concatenate([draw_conditions(rng) for rng in rngs])
    units = intensities(weights)
    units = np.stack([vary(row, rng) for row, rng in zip(units, rngs, strict=True)])
    people = drawn if people is None else people
    images, landmarks = render_faces(people, shift.lit(conditions), units, rngs)
    return shift.seen(images), landmarks


def _depth(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far a point of the face lies in front of the ears, in pixels."""
    head = 1 - (x / 60.0) ** 2 - ((y - 45.0) / 85.0) ** 2
    nose = np.maximum(0, 1 - (x / 13.0) ** 2 - ((y - 53.0) / 22.0) ** 2)
    return np.asarray(30.0 * np.sqrt(np.maximum(0, head)) + 11.0 * nose**1.5)


def place(shape: FaceShape, conditions: np.ndarray) -> FaceShape:
    """Turn, tilt, scale and shift the faces into the picture, (n,) conditions."""
    condition = {name: conditions[name][:, None] for name in conditions.dtype.names or ()}
    pivot = 21.0  # depth of the eyes and the mouth, which therefore stay in place

    def move(points: np.ndarray) -> np.ndarray:
        x, y = points[..., 0] - 50.0, points[..., 1]
        z = _depth(x, y) - pivot
        x, z = (
            x * np.cos(condition["yaw"]) + z * np.sin(condition["yaw"]),
            z * np.cos(condition["yaw"]) - x * np.sin(condition["yaw"]),
        )
        y = (y - 45.0) * np.cos(condition["pitch"]) + z * np.sin(condition["pitch"])
        x, y = (
            x * np.cos(condition["roll"]) - y * np.sin(condition["roll"]),
            x * np.sin(condition["roll"]) + y * np.cos(condition["roll"]),
        )
        return np.stack(
            [
                50.0 + condition["scale"] * x + condition["shift_x"],
                45.0 + condition["scale"] * y + condition["shift_y"],
            ],
            axis=-1,
        )

    moved: dict[str, Any] = {
        f.name: move(getattr(shape, f.name)) for f in fields(shape) if f.name != "amount"
    }
    return replace(shape, **moved)
