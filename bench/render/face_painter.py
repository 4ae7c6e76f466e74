"""Paints one face: skin, wrinkles, brows and lips under the light; eyes, mouth and hair over it."""

from __future__ import annotations

import numpy as np

from bench.render.action_units import FaceShape
from bench.render.drawing import Canvas

SIZE = 100
_BALD, _LONG = 0.08, 0.6  # hair styles below and above

_SKINS = np.array(
    [
        [0.99, 0.84, 0.74],
        [0.95, 0.76, 0.63],
        [0.86, 0.64, 0.49],
        [0.68, 0.46, 0.33],
        [0.47, 0.31, 0.22],
    ]
)
_HAIRS = np.array(
    [
        [0.07, 0.06, 0.06],
        [0.16, 0.10, 0.07],
        [0.30, 0.18, 0.10],
        [0.52, 0.25, 0.12],
        [0.78, 0.61, 0.36],
        [0.66, 0.65, 0.64],
    ]
)
_IRISES = np.array([[0.22, 0.12, 0.06], [0.30, 0.19, 0.09], [0.28, 0.42, 0.55], [0.33, 0.43, 0.27]])


def _between(palette: np.ndarray, where: float) -> np.ndarray:
    """A colour on the way along a palette (k, 3); ``where`` runs from 0 to 1."""
    spot = where * (len(palette) - 1)
    low = min(int(spot), len(palette) - 2)
    return np.asarray(palette[low] + (spot - low) * (palette[low + 1] - palette[low]))


def _by(points: np.ndarray, dx: float, dy: float) -> np.ndarray:
    """Points moved right and down."""
    return np.asarray(points + np.array((dx, dy)))


class Painter:
    """Paints one placed face."""

    def __init__(
        self,
        shape: FaceShape,
        row: int,
        person: dict[str, float],
        condition: dict[str, float],
        rng: np.random.Generator,
    ) -> None:
        self.shape, self.row, self.rng = shape, row, rng
        self.person, self.condition = person, condition
        self.au = {number: float(values[row]) for number, values in shape.amount.items()}
        self.skin = _between(_SKINS, person["skin"] ** 1.3) * (
            1 + 0.03 * person["skin_warmth"] * np.array([1, 0, -1])
        )
        self.hair = _between(
            _HAIRS, person["hair"] if person["skin"] < 0.6 else person["hair"] * 0.3
        )
        self.shadow = self.skin * np.array([0.62, 0.48, 0.44])
        tone = 0.25 + 0.65 * condition["backdrop"]
        hue = condition["backdrop_hue"] * 2 * np.pi + np.array([0.0, 2.1, 4.2])
        backdrop = np.clip(tone + 0.12 * np.cos(hue), 0, 1)
        self.canvas = Canvas(SIZE, backdrop, backdrop * (0.6 + 0.6 * condition["backdrop_2"]))
        self.lamp = np.array([condition["lamp_x"], condition["lamp_y"], 1.0])
        self.lamp /= np.sqrt((self.lamp**2).sum())

    def part(self, name: str) -> np.ndarray:
        """One curve (points, 2), or a pair of them (2, points, 2), of this face."""
        points = getattr(self.shape, name)
        return np.asarray(points[self.row] if points.ndim == 3 else points[:, self.row])

    def paint(self) -> np.ndarray:
        """The finished picture, uint8 (SIZE, SIZE, 3)."""
        head = self.canvas.region(self.part("skull"))
        self._behind()
        self.canvas.fill(self.part("skull"), self.skin)
        self._skin(head)
        self._wrinkles(head)
        self._brows()
        self._lips()
        self._relief()
        self.canvas.light(head, self.lamp, self.condition["ambient"], 0.10)
        self._mouth()
        for side in (0, 1):
            self._eye(side)
        self._hair(head)
        self._glasses()
        self._occlusion()
        cast = self.condition["brightness"] * (
            1 + self.condition["warmth"] * np.array([1.0, 0.1, -1.0])
        )
        sigma = 1.5 + 6.0 * self.condition["grain"] ** 3
        grain = sigma * self.rng.standard_normal((SIZE, SIZE), np.float32)
        blur = 0.25 + 1.0 * self.condition["blur"] ** 3
        return self.canvas.develop(blur, grain, cast, self.condition["gamma"])

    def _behind(self) -> None:
        """Neck, and long hair behind it."""
        skull = self.part("skull")
        centre = skull[:, 0].mean()
        style = self.person["hair_style"]
        if style >= _BALD:
            side, low, end = (62, 62, 112) if style > _LONG else (51, 44, 50)
            back = np.array([[-side, -20], [side, -20], [side, 28], [low, end]])
            back = np.concatenate([back, back[::-1] * (-1, 1)])
            self.canvas.fill(_by(back, centre, 0), self.hair * 0.55)
        neck = _by(np.array([[-29, 70], [29, 70], [33, 115], [-33, 115]]), centre, 0)
        self.canvas.fill(neck, self.skin * 0.6)
        chin = self.part("chin")[0]
        self.canvas.spot(chin, 46, 22, self.skin * 0.25, 0.5)

    def _skin(self, head: np.ndarray) -> None:
        """Blush, eye sockets, the shade of a beard."""
        canvas, person = self.canvas, self.person
        blush = self.skin * np.array([1.0, 0.80, 0.78])
        for side in (0, 1):
            cheek = self.part("cheeks")[side, 0]
            canvas.spot(cheek, 20, 15, blush, 0.5 + 0.2 * self.au[12], head)
            eye = self.part("eyes")[side, 0]
            canvas.spot(_by(eye, 0, -1), 21, 14, self.shadow, 0.38, head)
            canvas.spot(_by(eye, 0, 9.5), 14, 4.5, self.shadow, 0.12 + 0.25 * person["age"], head)
        if person["stubble"] > 0.72:
            chin = self.part("chin")[0]
            tint = 0.5 * self.skin + 0.5 * self.hair
            canvas.spot(_by(chin, 0, -2), 46, 30, tint, 1.4 * (person["stubble"] - 0.5), head)

    def _wrinkles(self, head: np.ndarray) -> None:
        """Folds that action units (and years) dig into the skin."""
        canvas, au, old = self.canvas, self.au, float(self.person["age"])
        dark = self.shadow
        raised = min(1.0, au[9] + 0.7 * au[10])
        depth = 0.10 + 0.22 * old + 0.55 * au[12] + 0.5 * raised + 0.15 * au[20] + 0.1 * au[15]
        taper = np.array([0.5, 0.9, 1.1, 1.2, 1.1, 0.9, 0.7, 0.3])
        for side in (0, 1):
            fold = self.part("folds")[side]
            canvas.stroke(fold, taper, dark, min(0.85, depth), 2.6, head)
            wing = self.part("wings")[side]
            canvas.stroke(wing[1:], 0.5, dark, 0.55 + 0.3 * raised, 1.8, head)
        brows = self.part("brows")
        centre, level = 0.5 * (brows[0, 0] + brows[1, 0]), brows[:, :, 1].mean()
        across = np.linspace(-1, 1, 9)
        lines = (0.12 + 0.5 * old) * au[1] * 1.1 + 0.5 * min(au[1], au[2]) + 0.1 * old * old
        reach = 14 + 16 * au[2]
        for step in (6.0, 10.0):
            y = level - step - 1.5 * np.cos(2 * np.pi * across) * au[2] + 1.5 * au[4] * across**2
            line = np.stack([centre[0] + reach * across, y], axis=1)
            canvas.stroke(line, 0.5 * (1 - across**4), dark, min(0.7, lines), 1.6, head)
        for offset in (-3.2, 3.2):  # the frown between the brows
            x = centre[0] + offset + np.array([0.3, 0.0, 0.0, 0.6]) * np.sign(offset)
            y = centre[1] + np.array([-5.5, -2.0, 1.5, 4.5])
            frown = np.stack([x, y], axis=1)
            canvas.stroke(frown, 0.5, dark, min(0.8, 0.75 * au[4] + 0.35 * au[9]), 1.7, head)
        tip = self.part("nose_tip")[0]
        for row in range(3):  # wrinkles across the root of the nose
            y = centre[1] + 7.5 + 4.2 * row
            x = centre[0] + (0.3 + 0.12 * row) * (tip[0] - centre[0])
            bridge = _by(np.array([[-5.5, 1.8], [-2.5, 0], [2.5, 0], [5.5, 1.8]]), x, y)
            canvas.stroke(bridge, 0.45, dark, 0.75 * au[9], 1.6, head)
        for side, sign in ((0, -1.0), (1, 1.0)):
            outer = self.part("lower_lids")[side, -1]
            squeeze = 0.75 * au[6] * (0.4 + 0.6 * old)
            for slope in (-2.5, 0.4, 3.2):
                crow = outer + np.array([[1.8 * sign, 0.3 * slope], [7.0 * sign, 1.25 * slope]])
                canvas.stroke(crow, np.array([0.5, 0.1]), dark, squeeze, 1.3, head)
            pouch = self.part("lower_lids")[side] + [0, 3.6 - 0.6 * au[6]]
            tired = 0.12 + 0.2 * old + 0.4 * au[6] + 0.3 * au[7] + 0.2 * au[9]
            canvas.stroke(pouch[2:-1], 0.4, dark, min(0.7, tired), 1.8, head)
            corner = self.part("lip_part_above")[-side]
            sag = corner + np.array([[0.8 * sign, 0.5], [2.6 * sign, 3.2], [3.2 * sign, 6.5]])
            canvas.stroke(
                sag, np.array([0.8, 0.7, 0.2]), dark, 0.65 * au[15] + 0.1 * old, 2.0, head
            )
            dimple = corner + np.array([[1.6 * sign, -2.0], [2.6 * sign, 0.2], [1.8 * sign, 2.0]])
            canvas.stroke(dimple, 0.5, dark, 0.5 * au[12] + 0.25 * au[20], 1.8, head)
        chin = self.part("chin")[0]
        canvas.spot(_by(chin, 0, -3.5), 17, 4.0, dark, 0.35 + 0.3 * au[17], head)
        for dx, dy in ((-4.5, 0.5), (4.0, 1.0), (-1.0, 2.6), (1.5, -0.6)):
            canvas.spot(_by(chin, dx, dy + 1), 2.6, 2.0, dark, 0.55 * au[17], head)

    def _brows(self) -> None:
        """Thick inside, thin outside."""
        colour = self.hair * (0.75 if self.hair[0] < 0.4 else 0.55)
        radius = np.array([1.5, 1.9, 2.0, 1.9, 1.7, 1.4, 1.0, 0.5]) * self.person["brow_thickness"]
        for side in (0, 1):
            self.canvas.stroke(self.part("brows")[side], radius, colour, 0.85, 1.5)

    def _lips(self) -> None:
        """Lips, rouged or not, and nostrils."""
        red = np.array([0.78, 0.30, 0.30]) * (0.55 + 0.45 * self.skin[0])
        rouge = 0.42 + (0.35 if self.person["lipstick"] > 0.75 else 0.0)
        colour = (1 - rouge) * self.skin * np.array([0.95, 0.72, 0.70]) + rouge * red
        self.lip = colour
        upper = np.concatenate([self.part("upper_lip"), self.part("lip_part_above")[::-1]])
        lower = np.concatenate([self.part("lip_part_below"), self.part("lower_lip")[::-1]])
        self.canvas.fill(upper, colour * 0.84)
        self.canvas.fill(lower, colour)
        for side in (0, 1):
            nostril = self.part("nostrils")[side]
            self.canvas.fill(nostril, self.shadow * 0.45, 0.85)

    def _relief(self) -> None:
        """Height of the skin as bumps: x, y, rx, ry, angle, height."""
        au, tip = self.au, self.part("nose_tip")[0]
        brows, cheeks, wings = self.part("brows"), self.part("cheeks")[:, 0], self.part("wings")
        eyes, chin = self.part("eyes")[:, 0], self.part("chin")[0]
        root = _by(eyes.mean(axis=0), 0, -2)
        middle = 0.5 * (root + tip)
        skull = self.part("skull")
        x, y = skull[:, 0].mean(), 44.0
        lip_up = 0.5 * (self.part("upper_lip")[8] + self.part("lip_part_above")[8])
        lip_low = 0.5 * (self.part("lower_lip")[8] + self.part("lip_part_below")[8])
        lean = np.arctan2(tip[0] - root[0], tip[1] - root[1])
        bumps = [
            (x, y, 66.0, 86.0, 0.0, 52.0),
            (middle[0], middle[1] + 2.0, 10.5, 25.0, -lean, 6.0),
            (tip[0], tip[1] - 0.5, 8.5, 8.0, 0.0, 5.5),
            (lip_up[0], lip_up[1] - 1.0, 20.0, 7.0, 0.0, 2.6),
            (lip_low[0], lip_low[1], 17.0, 5.5, 0.0, 3.0),
            (chin[0], chin[1] + 3.0, 17.0, 10.0, 0.0, 4.0 + 1.5 * au[17]),
            (x, 4.0, 44.0, 22.0, 0.0, 3.0),
        ]
        for side in (0, 1):
            wing = wings[side, 3]
            cheek = cheeks[side]
            brow = brows[side, :5].mean(axis=0)
            full = 3.5 + 4.5 * au[6] + 3.0 * au[12]
            bumps += [
                (wing[0], wing[1] + 1.0, 5.0, 5.5, 0.0, 3.2),
                (cheek[0], cheek[1], 21.0, 15.0, 0.0, full),
                (eyes[side, 0], eyes[side, 1], 17.0, 10.5, 0.0, -4.5),
                (eyes[side, 0], eyes[side, 1], 11.0, 7.5, 0.0, 3.5),
                (brow[0], brow[1] + 1.0, 19.0, 6.5, 0.0, 3.0 + 1.5 * au[4]),
            ]
        self.canvas.raise_relief(np.array(bumps))

    def _mouth(self) -> None:
        """What shows between the lips, and the line where they meet."""
        canvas, au = self.canvas, self.au
        above, below = self.part("lip_part_above"), self.part("lip_part_below")
        opening = float((below - above)[:, 1].max())
        light = 0.55 + 0.45 * self.condition["ambient"]
        if opening > 0.6:
            outline = np.concatenate([above, below[::-1]])
            clip = canvas.region(outline)
            canvas.fill(outline, np.array([0.20, 0.06, 0.06]) * light)
            middle = below[8]
            canvas.spot(
                _by(middle, 0, -0.5),
                13,
                0.55 * opening + 1,
                np.array([0.62, 0.26, 0.26]) * light,
                0.8,
                clip,
            )
            white = np.array([0.93, 0.91, 0.86]) * light
            length = 1.2 + 2.6 * au[12] + 1.6 * au[10] + 1.6 * au[20] + 0.12 * opening
            edge = above + np.outer((1 - np.linspace(-1, 1, 17) ** 4) * min(length, 4.5), (0, 1))
            canvas.fill(np.concatenate([above, edge[::-1]]), white, 0.95, clip)
            canvas.stroke(edge[2:-2], 0.5, self.lip * 0.25, 0.5, 1.5, clip)
            lower = au[16] * 0.9 + 0.6 * au[20]
            if lower > 0.15:
                row = np.concatenate([below[2:-2], below[2:-2][::-1] - [0, 0.8 + 2.2 * lower]])
                canvas.fill(row, white * 0.9, 0.9, clip)
            canvas.stroke(above, 0.5, self.lip * 0.35, 0.45, 1.3, clip)
        pressed = 0.55 + 0.35 * max(au[24], au[23])
        line = 0.5 * (above + below) if opening <= 0.6 else above
        canvas.stroke(line, 0.45, self.lip * 0.35, pressed if opening <= 0.6 else 0.35, 1.4)
        for corner in (above[0], above[-1]):
            canvas.spot(corner, 2.6, 2.2, self.shadow * 0.6, 0.75)
        gleam = self.part("lower_lip")[6:11] * 0.5 + below[6:11] * 0.5
        shine = 0.12 + (0.2 if self.person["lipstick"] > 0.75 else 0.0)
        canvas.stroke(gleam, 0.5, (1.0, 0.95, 0.95), shine, 1.8)

    def _eye(self, side: int) -> None:
        """White, iris, pupil, glint, lashes and the crease of the lid; 0 left, 1 right."""
        canvas, au = self.canvas, self.au
        upper, lower = self.part("upper_lids")[side], self.part("lower_lids")[side]
        outline = np.concatenate([upper, lower[::-1]])
        light = 0.62 + 0.38 * self.condition["ambient"]
        clip = canvas.region(outline)
        canvas.fill(outline, np.array([0.94, 0.93, 0.92]) * light)
        centre = self.part("eyes")[side, 0]
        sight = _by(centre, self.condition["gaze_x"], self.condition["gaze_y"] - 0.3)
        angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
        circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        iris = _between(_IRISES, self.person["iris"] if self.person["skin"] < 0.55 else 0.1)
        radius = 5.4 * self.person["eye_size"]
        canvas.fill(sight + radius * circle, iris * 0.45 * light, 1.0, clip)
        canvas.fill(sight + (radius - 1.1) * circle, iris * 1.15 * light, 1.0, clip)
        canvas.spot(_by(sight, 0, 2.2), 4.5, 3.0, iris * 1.7 * light, 0.5, clip)
        canvas.fill(sight + 0.43 * radius * circle, (0.02, 0.02, 0.02), 1.0, clip)
        canvas.stroke(_by(upper, 0, 0.9), 1.0, (0.12, 0.08, 0.08), 0.4, 2.0, clip)
        glint = _by(sight, 2.0 * np.sign(self.lamp[0] + 1e-9) - 0.3, -2.0)
        canvas.fill(glint + 1.1 * circle, (1.0, 1.0, 1.0), 0.9, clip)
        inner = upper[0]
        canvas.spot(_by(inner, 1.2 if side else -1.2, 0.4), 2.2, 1.6, (0.80, 0.50, 0.48), 0.7, clip)
        lash = np.minimum(self.hair, 0.25) * 0.6
        thick = np.array([0.3, 0.5, 0.6, 0.7, 0.75, 0.8, 0.8, 0.85, 0.9, 0.9, 0.9, 0.8, 0.5])
        canvas.stroke(upper, thick + 0.15, lash, 0.92, 1.2)
        canvas.stroke(lower[1:], 0.3, self.shadow * 0.55, 0.6, 1.2)
        drop = 3.0 - 1.6 * au[5] + 0.4 * au[43] + 0.8 * au[1] * au[4]
        crease = upper[1:] - np.stack(
            [0 * thick[1:], max(1.0, drop) * np.sin(np.linspace(0.5, 2.9, 12))], 1
        )
        canvas.stroke(crease, 0.4, self.shadow * 0.8, 0.6, 1.5)

    def _hair(self, head: np.ndarray) -> None:
        """The hair before the face, with strands."""
        canvas, style = self.canvas, self.person["hair_style"]
        if style < _BALD:
            return
        hairline, outline = self._hair_outline()
        light = 0.6 + 0.5 * self.condition["ambient"]
        clip = canvas.region(outline)
        canvas.fill(outline, self.hair * light)
        canvas.stroke(_by(hairline, 0, 1.2), 0.8, self.shadow * 0.6, 0.35, 2.5, head)
        bright, dark = self.hair * 1.35 * light + 0.04, self.hair * 0.6 * light
        for strand in range(14):
            colour = bright if strand % 2 else dark
            aside = 49.0 * (-1.2 + 2.4 * (strand + self.person["ragged"]) / 14)
            x, bend = hairline[:, 0].mean() + aside, 0.55 * aside
            parted = [[x - bend * 0.6, -14], [x - bend * 0.2, 0], [x, 10], [x + 0.1 * bend, 46]]
            canvas.stroke(np.array(parted), 0.8, colour, 0.45, 2.0, clip)
            if style > _LONG and strand in (0, 1, 12, 13):
                fall = [[x + 0.1 * bend, 40], [x + 0.05 * bend, 75], [x + 0.1 * bend, 112]]
                canvas.stroke(np.array(fall), 0.9, colour, 0.45, 2.0, clip)

    def _hair_outline(self) -> tuple[np.ndarray, np.ndarray]:
        """The hairline from left to right, and the closed outline of the hair round it."""
        person, style = self.person, self.person["hair_style"]
        centre = self.part("skull")[:, 0].mean()
        t = np.linspace(-1, 1, 25)
        wave = np.sin(9 * t + 6.3 * person["ragged"]) + 0.7 * np.sin(23 * t + 31 * person["ragged"])
        fringe = 0.32 < style < 0.5
        level = person["hairline"] + (4.0 if fringe else -2.0) + self.condition["shift_y"]
        half = 49.0 * person["face_width"]
        parting = 0.5 * (person["ragged"] - 0.5)
        edge = level + (0.8 if fringe else 0.5) * wave
        edge = edge + (7 if fringe else 16) * np.abs(t) ** (6 if fringe else 4)
        edge = edge - (0 if fringe else 4.0) * np.exp(-(((t - parting) / 0.3) ** 2))
        line = np.stack([centre + half * t, edge], axis=1)
        if style > _LONG:  # curtains down to the shoulders
            down = np.array([40.0, 62.0, 84.0, 112.0])
            sway = np.array([0.2, 1.6, 0.6, 2.5]) + 2.5 * (style - 0.8)
            left = np.stack([centre - half + sway, down], 1)[::-1]
            right = np.stack([centre + half - sway, down], 1)
            low = 112.0
        else:
            left = np.array([[centre - half - 1.5, 46.0], [centre - half + 0.5, 34.0]])
            right = np.array([[centre + half - 0.5, 34.0], [centre + half + 1.5, 46.0]])
            low = 26.0
        frame = np.array(
            [[centre + 80, low], [centre + 80, -40], [centre - 80, -40], [centre - 80, low]]
        )
        return line, np.concatenate([left, line, right, frame])

    def _glasses(self) -> None:
        """A frame, from box to round, on about one in six."""
        if self.person["glasses"] > 0.16:
            return
        canvas, eyes = self.canvas, self.part("eyes")[:, 0]
        across = eyes[1] - eyes[0]
        down = np.array([-across[1], across[0]]) / 60.0
        along = across / 60.0
        angle = np.linspace(0, 2 * np.pi, 29)
        power = 0.5 + 0.5 * self.person["glasses_shape"]  # box to round
        c, s = np.cos(angle), np.sin(angle)
        rim_x = 17.0 * np.sign(c) * np.abs(c) ** power
        rim_y = 11.5 * np.sign(s) * np.abs(s) ** power
        colour = np.array([0.10, 0.08, 0.08]) + 0.3 * (self.person["glasses_shape"] > 0.7)
        for side in (0, 1):
            centre = eyes[side] + 1.5 * down
            rim = centre + rim_x[:, None] * along + rim_y[:, None] * down
            canvas.fill(rim, (0.85, 0.9, 0.95), 0.10)
            canvas.stroke(rim, 0.8, colour, 0.9, 1.2)
            hinge = centre + np.outer([17.0, 34.0], along) * (1 if side else -1) - 2.5 * down
            canvas.stroke(hinge, 0.9, colour, 0.9, 1.2)
        bridge = np.array(
            [eyes[0] + 17 * along, 0.5 * (eyes[0] + eyes[1]) - 2 * down, eyes[1] - 17 * along]
        )
        canvas.stroke(bridge, 0.8, colour, 0.9, 1.2)

    def _occlusion(self) -> None:
        """Now and then something before the face: a hand, or something round at the rim."""
        chance = self.condition["occlusion"]
        if chance > 0.10:
            return
        where = self.condition["occlusion_place"] * 2 * np.pi
        hue = self.condition["occlusion_hue"] * 2 * np.pi + np.array([0.0, 2.1, 4.2])
        colour = 0.35 + 0.15 * np.cos(hue)
        toward = np.array([np.cos(where), np.sin(where)])
        if chance > 0.05:
            angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
            radius = 16 + 200 * (chance - 0.05)
            circle = np.stack([np.cos(angle), 0.8 * np.sin(angle)], axis=1)
            self.canvas.fill(50 + 52 * toward + radius * circle, colour)
            return
        toward[1] = abs(toward[1])  # hands come from below
        across = np.array([-toward[1], toward[0]])
        for finger, length in enumerate((31.0, 36.0, 34.0, 27.0)):
            root = 50 + 62 * toward + 10.5 * (finger - 1.5) * across
            points = np.stack([root, root - 0.6 * length * toward, root - length * toward])
            self.canvas.stroke(points, np.array([6.4, 6.0, 5.4]), self.shadow, 0.9, 2.0)
            self.canvas.stroke(points, np.array([5.4, 5.0, 4.4]), self.skin * 0.9, 1.0, 2.0)
            self.canvas.spot(points[2], 3.2, 3.2, self.skin * np.array([1.05, 0.95, 0.95]), 0.8)
