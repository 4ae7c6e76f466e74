"""Facial action units: which ones make an emotion, and where they move the parts of a face.

Action units (AU) are those of the Facial Action Coding System: P. Ekman, W. V. Friesen and J. C.
Hager, Facial Action Coding System, 2nd edition, 2002; intensities run from 0 (absent) to 1 (level
E). A face is described in its own upright frame of 100×100 pixels in which RAF-ML's alignment puts
the eye centres at (20, 30) and (80, 30) and the midpoint of the mouth corners at (50, 75).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ACTION_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 16, 17, 20, 23, 24, 25, 26, 43)
EMOTIONS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger")

# Ekman, Friesen & Hager 2002 (Investigator's Guide, emotion predictions) with the frequent
# companions of S. Du, Y. Tao and A. M. Martinez, PNAS 111 (2014) E1454-E1462, Table 1 (lips parted
# in happiness and disgust, chin raised in sadness, disgust and anger). Intensities are our choice.
PROTOTYPES: dict[str, dict[int, float]] = {
    "surprise": {1: 1.0, 2: 1.0, 5: 0.8, 25: 0.9, 26: 1.0},
    "fear": {1: 0.9, 2: 0.4, 4: 0.7, 5: 1.0, 7: 0.3, 20: 1.0, 25: 0.8, 26: 0.3},
    "disgust": {4: 0.4, 6: 0.3, 7: 0.6, 9: 1.0, 10: 1.0, 15: 0.4, 16: 0.5, 17: 0.3, 25: 0.5},
    "happiness": {6: 0.9, 12: 1.0, 25: 0.8},
    "sadness": {1: 1.0, 4: 0.6, 15: 1.0, 17: 0.7, 43: 0.3},
    "anger": {4: 1.0, 5: 0.5, 7: 0.8, 17: 0.4, 23: 1.0, 24: 0.7},
}

EYE_WIDTH, MOUTH_WIDTH = 12.0, 20.0  # half, in pixels
_JAW_DROP = 10.0  # of the chin at full AU 26, in pixels


def intensities(weights: np.ndarray) -> np.ndarray:
    """Action units of a blend of emotions.

    A blend contracts the muscles of each of its parts; the strongest part shows at full strength,
    the others in proportion to their weights.

    Parameters
    ----------
    weights : float (n, 6)
        Weights of `EMOTIONS`, not negative; a row of zeros is a neutral face, and what a row lacks
        to 1 is neutral.

    Returns
    -------
    float (n, 18), 0 to 1
        Intensities of `ACTION_UNITS`.
    """
    table = np.array([[PROTOTYPES[e].get(au, 0.0) for au in ACTION_UNITS] for e in EMOTIONS])
    strongest = weights.max(axis=1, keepdims=True)
    share = np.divide(weights, strongest, out=np.zeros_like(weights), where=strongest > 0)
    strength = np.minimum(1.0, 1.25 * weights.sum(axis=1, keepdims=True))
    return np.asarray(
        1.0 - np.prod(1.0 - 0.97 * (strength * share**0.8)[:, :, None] * table, axis=1)
    )


def vary(units: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Action units (18,) as one person shows them once: weaker or stronger, uneven, with others."""
    strength = rng.uniform(0.58, 1.06) * np.clip(
        1 + 0.28 * rng.standard_normal(len(units)), 0.2, 1.7
    )
    stray = rng.uniform(0, 0.45, len(units)) * (rng.random(len(units)) < 0.12)
    return np.asarray(np.clip(units * strength + stray, 0, 1))


@dataclass(frozen=True)
class FaceShape:
    """Outlines and curves of n faces in their own frame, each float (n, points, 2).

    Pairs are (2, n, points, 2), left as seen in the image first. ``amount`` holds the AU
    intensities by number, (n,) each.
    """

    skull: np.ndarray
    brows: np.ndarray
    upper_lids: np.ndarray
    lower_lids: np.ndarray
    nostrils: np.ndarray
    wings: np.ndarray
    folds: np.ndarray
    cheeks: np.ndarray
    nose_tip: np.ndarray
    upper_lip: np.ndarray
    lip_part_above: np.ndarray
    lip_part_below: np.ndarray
    lower_lip: np.ndarray
    chin: np.ndarray
    eyes: np.ndarray
    amount: dict[int, np.ndarray]

    def landmarks(self) -> np.ndarray:
        """Eye centres (midway between the eye corners), nose tip, mouth corners: (n, 5, 2)."""
        corners = self.lip_part_above[:, [0, -1]]
        return np.concatenate([self.eyes[0], self.eyes[1], self.nose_tip, corners], axis=1)


Columns = dict[str, np.ndarray]
Units = dict[int, np.ndarray]


def shape_faces(people: np.ndarray, units: np.ndarray) -> FaceShape:
    """Move the parts of each face by its action units.

    Parameters
    ----------
    people : structured (n,)
        Geometry of each identity (`bench.render.rendering.draw_people`).
    units : float (n, 18), 0 to 1
        Intensities of `ACTION_UNITS`.
    """
    au = {number: units[:, [column]] for column, number in enumerate(ACTION_UNITS)}
    who = {name: people[name][:, None] for name in people.dtype.names or ()}
    upper_lids, lower_lids = _lids(who, au)
    nose_tip, nostrils, wings = _nose(who, au)
    upper_lip, part_above, part_below, lower_lip = _mouth(who, au)
    skull = _skull(who, au)
    centre = np.full_like(nose_tip[:, :, :1], 50.0)
    lowest = skull[:, :, 1].max(axis=1)[:, None, None]
    chin = 0.5 * (lower_lip[:, 8:9, 1:] + lowest) + 0.5
    apple = 55.0 - 3.5 * np.clip(au[6] + 0.5 * _smile(au) + 0.3 * au[9], 0, 1.4)
    return FaceShape(
        skull=skull,
        brows=_brows(who, au),
        upper_lids=upper_lids,
        lower_lids=lower_lids,
        nostrils=nostrils,
        wings=wings,
        folds=_folds(wings, part_above, au),
        cheeks=_pair(31.0 * who["face_width"], apple),
        nose_tip=nose_tip,
        upper_lip=upper_lip,
        lip_part_above=part_above,
        lip_part_below=part_below,
        lower_lip=lower_lip,
        chin=np.concatenate([centre, chin], axis=2),
        eyes=0.5 * (upper_lids[:, :, :1] + upper_lids[:, :, -1:]),
        amount={number: values[:, 0] for number, values in au.items()},
    )


def _curve(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.stack(np.broadcast_arrays(x, y), axis=-1)


def _pair(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A curve right of the midline (x counted from there), and before it its mirror image."""
    return np.stack([_curve(50.0 - x, y), _curve(50.0 + x, y)])


def _smile(au: Units) -> np.ndarray:
    """How far AU 12 gets its way against AU 15."""
    return np.asarray(au[12] * (1 - 0.35 * au[15]))


def _sneer(au: Units) -> np.ndarray:
    """How far AU 9 and 10 lift the wings of the nose and the upper lip."""
    return np.clip(au[9] + 0.7 * au[10], 0, 1.2)


def _brows(who: Columns, au: Units) -> np.ndarray:
    """From the inner to the outer end."""
    t = np.linspace(0, 1, 8)
    x = 30 * who["eye_distance"] + 17.5 * who["brow_length"] * (2 * t - 1) - 0.5
    x = x - (3.2 * au[4] + 1.0 * au[9]) * (1 - t)
    # AU 1 lifts the inner end against AU 4 and leaves the outer one low: the oblique brow of grief
    grief = np.minimum(1, 1.6 * au[1] * au[4])
    arch = 2.8 * who["brow_arch"] * (1 - 0.9 * grief)
    y = who["brow_height"] + 0.6 - arch * np.sin(np.pi * t**1.25) + 0.8 * t**3
    y = y - 6.0 * au[1] * (1 - t) ** 1.2
    y = y - 5.8 * au[2] * np.sin(np.pi * np.minimum(1, 0.12 + 0.68 * t))
    y = y + (4.6 * au[4] * (1 - 0.6 * au[1]) + 2.0 * au[9]) * (1 - 0.75 * t)
    y = y + 3.2 * grief * t - 1.2 * au[4] * t**2
    return _pair(x, y)


def _lids(who: Columns, au: Units) -> tuple[np.ndarray, np.ndarray]:
    """Upper and lower lids from the inner to the outer corner of the eye."""
    t = np.linspace(-1, 1, 13)
    x = 30 * who["eye_distance"] + EYE_WIDTH * who["eye_size"] * t
    tilt = 30.0 - who["eye_tilt"] * t + 0.5 * au[43] * t
    above = 5.0 * who["eye_opening"] * who["eye_size"] + 2.8 * au[5]
    above = above * (1 - 0.93 * au[43]) - 1.3 * au[7] * (1 - au[5]) - 0.9 * (au[6] + au[9])
    below = 3.7 * who["eye_size"] + 0.5 * au[5] - 1.9 * au[7] - 2.2 * au[6] - 1.4 * au[9]
    above, below = np.maximum(above, 0.5), np.maximum(below, -0.2)
    slant = 0.9 * (1.2 * au[1] - 0.9 * au[4] * (1 - au[1])) * (1 - 0.5 * au[5])
    upper = tilt - above * (1 - np.abs(t) ** 2.3) ** 0.72 + slant * t * (1 - t**2)
    lower = tilt + below * (1 - np.abs(t) ** 2.6)
    return _pair(x, upper), _pair(x, lower)


def _nose(who: Columns, au: Units) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tip, nostrils (closed) and wings (from above)."""
    sneer = _sneer(au)
    tip = who["nose_length"] - 1.2 * au[9] - 0.6 * au[10]
    wing = 8.6 * who["nose_width"] + 1.3 * _smile(au) + 1.0 * sneer + 0.6 * au[20]
    t = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    nostrils = _pair(
        0.52 * wing + (2.6 + 0.8 * sneer) * np.cos(t),
        tip + 3.2 - 1.3 * sneer + (1.1 + 0.4 * sneer) * np.sin(t) - 0.25 * np.cos(t),
    )
    t = np.linspace(0, 1, 7)
    wings = _pair(
        wing * (0.72 + 0.33 * np.sin(np.pi * (0.15 + 0.8 * t))),
        tip - 4.6 + 8.0 * t - 2.2 * sneer * (1 - 0.3 * t),
    )
    return _curve(np.full_like(tip, 50.0), tip), nostrils, wings


def _mouth(who: Columns, au: Units) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Upper lip, its lower edge, the lower lip's upper edge, lower lip; from corner to corner."""
    t = np.linspace(-1, 1, 17)
    bow = 1 - t**2
    smile, jaw = _smile(au), _JAW_DROP * au[26]
    rounded = au[26] * (1 - au[20]) * (1 - smile)
    half = MOUTH_WIDTH * who["mouth_width"] + 5.0 * smile + 4.8 * au[20] - 3.0 * au[23]
    half = half - 1.8 * au[24] - 5.0 * rounded - 0.8 * au[17] * (1 - smile)
    x = 50 + half * t + who["mouth_skew"] * bow

    # where the lips meet when shut
    corner = who["mouth_height"] - 6.2 * smile + 4.2 * au[15] + 0.8 * au[20] + 0.2 * jaw
    middle = who["mouth_height"] + 0.6 * smile - 1.6 * au[15] - 1.9 * au[17] - 1.8 * au[10]
    middle = middle - 1.0 * au[9] + 0.5 * au[20]
    line = corner + (middle - corner) * (1 - np.abs(t) ** 1.7)
    line = line + 0.175 * who["lip_bow"] * (np.cos(3 * np.pi * t) - 1) * bow

    pressed = 0.45 * au[24] + 0.2 * au[23]
    parted = np.clip(au[25] + 0.3 * au[26], 0, 1) * (1 - pressed)
    above = parted * (0.9 + 1.3 * smile + 1.8 * au[10] + 0.7 * rounded)
    below = parted * (1.3 + 3.0 * smile + 2.0 * au[16] + 1.1 * au[20] + 1.15 * jaw)
    part_above = line - above * bow**0.8
    part_below = line + below * bow ** (0.85 - 0.25 * au[20] - 0.2 * rounded)

    thinned = 0.5 * au[23] + 0.4 * au[24] + 0.2 * (au[20] + smile + au[15])
    full = who["lip_fullness"] * np.maximum(1 - thinned, 0.25)
    notch = 1 - 0.3 * who["lip_bow"] * np.exp(-((t / 0.16) ** 2))
    upper_lip = part_above - 3.9 * full * bow**0.75 * notch
    lower_lip = part_below + (4.7 + 0.9 * au[17]) * full * bow**0.62
    return (
        _curve(x, upper_lip),
        _curve(x, part_above),
        _curve(x, part_below),
        _curve(x, lower_lip),
    )


def _folds(wings: np.ndarray, part_above: np.ndarray, au: Units) -> np.ndarray:
    """Nasolabial folds, from the wings of the nose round the corners of the mouth."""
    t = np.linspace(0, 1, 8)
    smile, sneer = _smile(au), _sneer(au)
    bulge = (2.0 + 5.5 * smile + 2.5 * sneer) * np.sin(np.pi * t)
    start_x, start_y = wings[1][:, [3], 0] - 50.0 + 0.4, wings[1][:, [1], 1] + 0.4
    corner = part_above[:, -1:]
    end_x = corner[..., 0] - 50.0 + 4.5 + 1.5 * smile
    end_y = corner[..., 1] + 1.0 - 2.0 * (au[9] + au[10]) * (1 - smile)
    return _pair(
        start_x + (end_x - start_x) * t + 0.8 * bulge,
        start_y + (end_y - start_y) * t - 0.55 * bulge,
    )


def _skull(who: Columns, au: Units) -> np.ndarray:
    """Outline of the head, closed; the chin falls with AU 26 and rises with AU 17."""
    width, crown, widest = 49.5 * who["face_width"], -26.0, 38.0
    chin = who["chin_height"] + _JAW_DROP * au[26] - 1.4 * au[17]
    t = np.pi / 2 * np.linspace(0.03, 0.97, 16)
    above = np.broadcast_to(np.sin(t), (len(width), len(t)))
    below = np.cos(t) ** (0.70 / who["jaw_width"] ** 2)
    rise = np.broadcast_to(widest + (crown - widest) * np.cos(t), (len(width), len(t)))
    fall = widest + (chin - widest) * np.sin(t)
    left, right = _pair(
        width * np.concatenate([above, below], axis=1), np.concatenate([rise, fall], axis=1)
    )
    return np.concatenate([right, left[:, ::-1]], axis=1)
