"""Antialiased drawing on float images: filled outlines, strokes, relief and its lighting.

Every shape first becomes a coverage mask (share of each pixel that it covers) on the canvas's one
scratch plane, then is blended into the image. Coordinates are x, y in pixels with (0, 0) at the
image's upper left corner, so that pixels have their centres at one half, as landmarks do.
"""

from __future__ import annotations

import math

import numpy as np

from bench.learn.compiled import compiled

Box = tuple[int, int, int, int]
Colour = tuple[float, float, float] | np.ndarray


@compiled
def _cover_outline(points: np.ndarray, mask: np.ndarray) -> Box:
    """Exact area coverage of a closed outline by signed-area accumulation along each row."""
    height, width = mask.shape
    top, bottom = height, 0
    for index in range(len(points)):
        y = points[index, 1]
        top = min(top, max(0, math.floor(y)))
        bottom = max(bottom, min(height, math.ceil(y)))
    if top >= bottom:
        return 0, 0, 0, 0
    area = np.zeros((bottom - top, width + 2), np.float32)
    for index in range(len(points)):
        _add_edge(points[index - 1], points[index], top, bottom, width, area)
    left_edge, right_edge = width, 0
    for row in range(top, bottom):
        total = 0.0
        for column in range(width):
            total += area[row - top, column]
            value = min(abs(total), 1.0)
            mask[row, column] = value
            if value > 1e-4:
                left_edge, right_edge = min(left_edge, column), max(right_edge, column + 1)
    return top, bottom, left_edge, max(left_edge, right_edge)


@compiled
def _add_edge(
    start: np.ndarray, end: np.ndarray, top: int, bottom: int, width: int, area: np.ndarray
) -> None:
    """Add what lies right of one edge of an outline, row by row, to ``area``."""
    x0, y0, x1, y1 = start[0], start[1], end[0], end[1]
    if y0 == y1:
        return
    sign = 1.0
    if y0 > y1:
        x0, y0, x1, y1, sign = x1, y1, x0, y0, -1.0
    slope = (x1 - x0) / (y1 - y0)
    for row in range(max(top, math.floor(y0)), min(bottom, math.ceil(y1))):
        upper, lower = max(float(row), y0), min(row + 1.0, y1)
        covered = sign * (lower - upper)
        a, b = x0 + (upper - y0) * slope, x0 + (lower - y0) * slope
        left, right = min(a, b), max(a, b)
        if left < 0.0:  # what lies left of the image covers the whole row
            share = min(1.0, -left / (right - left)) if right > left else 1.0
            area[row - top, 0] += covered * share
            covered *= 1.0 - share
            left, right = 0.0, max(right, 0.0)
        if right > width:  # and what lies right of it covers nothing
            covered *= max(0.0, (width - left) / (right - left)) if right > left else 0.0
            left, right = min(left, float(width)), float(width)
        _spread(covered, left, right, area[row - top])


@compiled
def _spread(covered: float, left: float, right: float, area: np.ndarray) -> None:
    """Add the part of an edge that crosses one row from ``left`` to ``right``."""
    first = int(left)
    if right <= first + 1:
        outside = 0.5 * (left + right) - first
        area[first] += covered * (1.0 - outside)
        area[first + 1] += covered * outside
        return
    per_column = covered / (right - left)
    for column in range(first, math.ceil(right)):
        enter, leave = max(left, float(column)), min(right, column + 1.0)
        part = per_column * (leave - enter)
        outside = 0.5 * (enter + leave) - column
        area[column] += part * (1.0 - outside)
        area[column + 1] += part * outside


@compiled
def _cover_stroke(points: np.ndarray, radii: np.ndarray, softness: float, mask: np.ndarray) -> Box:
    """Coverage of a polyline of varying radius whose edge fades over ``softness`` pixels."""
    height, width = mask.shape
    reach = radii.max() + softness
    top = min(max(0, math.floor(points[:, 1].min() - reach)), height)
    bottom = max(min(height, math.ceil(points[:, 1].max() + reach) + 1), top)
    left = min(max(0, math.floor(points[:, 0].min() - reach)), width)
    right = max(min(width, math.ceil(points[:, 0].max() + reach) + 1), left)
    mask[top:bottom, left:right] = 0.0
    for index in range(len(points) - 1):
        x0, y0 = points[index]
        dx, dy = points[index + 1, 0] - x0, points[index + 1, 1] - y0
        squared = dx * dx + dy * dy + 1e-12
        for row in range(
            max(top, math.floor(min(y0, y0 + dy) - reach)),
            min(bottom, math.ceil(max(y0, y0 + dy) + reach) + 1),
        ):
            for column in range(
                max(left, math.floor(min(x0, x0 + dx) - reach)),
                min(right, math.ceil(max(x0, x0 + dx) + reach) + 1),
            ):
                px, py = column + 0.5 - x0, row + 0.5 - y0
                along = min(max((px * dx + py * dy) / squared, 0.0), 1.0)
                distance = math.sqrt((px - along * dx) ** 2 + (py - along * dy) ** 2)
                radius = radii[index] + along * (radii[index + 1] - radii[index])
                value = min(max((radius - distance) / softness + 0.5, 0.0), 1.0)
                if value > mask[row, column]:
                    mask[row, column] = value
    return top, bottom, left, right


@compiled
def _cover_spot(x: float, y: float, rx: float, ry: float, mask: np.ndarray) -> Box:
    """A round smooth spot, 1 in its centre and 0 at the radii."""
    height, width = mask.shape
    top = min(max(0, math.floor(y - ry)), height)
    bottom = max(min(height, math.ceil(y + ry) + 1), top)
    left = min(max(0, math.floor(x - rx)), width)
    right = max(min(width, math.ceil(x + rx) + 1), left)
    for row in range(top, bottom):
        for column in range(left, right):
            rest = max(0.0, 1.0 - ((column + 0.5 - x) / rx) ** 2 - ((row + 0.5 - y) / ry) ** 2)
            mask[row, column] = rest * rest
    return top, bottom, left, right


@compiled
def _blend(
    image: np.ndarray,
    mask: np.ndarray,
    clip: np.ndarray,
    box: Box,
    colour: np.ndarray,
    alpha: float,
) -> None:
    """Blend a colour into the image where the mask and the clip allow it."""
    top, bottom, left, right = box
    for row in range(top, bottom):
        for column in range(left, right):
            share = alpha * mask[row, column] * clip[row, column]
            for channel in range(3):
                image[row, column, channel] += share * (
                    colour[channel] - image[row, column, channel]
                )


@compiled
def _raise_relief(relief: np.ndarray, bumps: np.ndarray) -> None:
    """Add smooth bumps: rows of x, y, rx, ry, angle (radians), height."""
    height, width = relief.shape
    for index in range(len(bumps)):
        x, y, rx, ry, angle, peak = bumps[index]
        if peak == 0.0:
            continue
        c, s = math.cos(angle), math.sin(angle)
        reach_x = math.sqrt((rx * c) ** 2 + (ry * s) ** 2)
        reach_y = math.sqrt((rx * s) ** 2 + (ry * c) ** 2)
        for row in range(max(0, math.floor(y - reach_y)), min(height, math.ceil(y + reach_y) + 1)):
            for column in range(
                max(0, math.floor(x - reach_x)), min(width, math.ceil(x + reach_x) + 1)
            ):
                px, py = column + 0.5 - x, row + 0.5 - y
                a, b = (px * c + py * s) / rx, (py * c - px * s) / ry
                rest = 1.0 - a * a - b * b
                if rest > 0.0:
                    relief[row, column] += peak * rest * rest


@compiled
def _light(
    image: np.ndarray,
    relief: np.ndarray,
    mask: np.ndarray,
    light: np.ndarray,
    ambient: float,
    gloss: float,
) -> None:
    """Lambert's law on the relief's normals, and a highlight after Blinn, where the mask is."""
    height, width = relief.shape
    halfway = light + np.array([0.0, 0.0, 1.0])
    halfway /= math.sqrt((halfway**2).sum())
    for row in range(height):
        for column in range(width):
            if mask[row, column] <= 0.0:
                continue
            above, below = max(row - 1, 0), min(row + 1, height - 1)
            before, after = max(column - 1, 0), min(column + 1, width - 1)
            nx = (relief[row, before] - relief[row, after]) / (after - before)
            ny = (relief[above, column] - relief[below, column]) / (below - above)
            length = 1.0 / math.sqrt(nx * nx + ny * ny + 1.0)
            facing = max(0.0, (nx * light[0] + ny * light[1] + light[2]) * length)
            shade = ambient + (1.0 - ambient) * facing
            shine = max(0.0, (nx * halfway[0] + ny * halfway[1] + halfway[2]) * length)
            shine = gloss * shine**24
            share = mask[row, column]
            for channel in range(3):
                value = image[row, column, channel]
                image[row, column, channel] += share * (value * (shade - 1.0) + shine)


@compiled
def _blur(image: np.ndarray, sigma: float) -> None:
    """Gaussian blur in place; the image goes on as its border outside of it."""
    height, width = image.shape[:2]
    radius = math.ceil(2.5 * sigma)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2).astype(np.float32)
    weights /= weights.sum()
    rows = image.reshape(height, -1)  # channels side by side: inner loops run over whole rows
    length = rows.shape[1]
    wide = np.empty(length + 6 * radius, np.float32)
    tall = np.empty((height + 2 * radius, length), np.float32)
    for row in range(height):
        for column in range(-radius, width + radius):
            source = min(max(column, 0), width - 1)
            for channel in range(3):
                wide[3 * (column + radius) + channel] = image[row, source, channel]
        target = tall[row + radius]
        target[:] = 0.0
        for step in range(2 * radius + 1):
            weight, shifted = weights[step], wide[3 * step : 3 * step + length]
            for column in range(length):
                target[column] += weight * shifted[column]
    for row in range(radius):
        tall[row] = tall[radius]
        tall[height + radius + row] = tall[height + radius - 1]
    rows[:] = 0.0
    for row in range(height):
        target = rows[row]
        for step in range(2 * radius + 1):
            weight, shifted = weights[step], tall[row + step]
            for column in range(length):
                target[column] += weight * shifted[column]


@compiled
def _develop(
    image: np.ndarray, blur: float, grain: np.ndarray, cast: np.ndarray, gamma: float
) -> np.ndarray:
    """Colour cast, gamma, Gaussian blur and grain, then bytes."""
    height, width = image.shape[:2]
    curve = (255.0 * (np.arange(4097) / 4096.0) ** gamma).astype(np.float32)
    for row in range(height):
        for column in range(width):
            for channel in range(3):
                value = min(max(image[row, column, channel] * cast[channel], 0.0), 1.0)
                image[row, column, channel] = curve[int(4096.0 * value + 0.5)]
    _blur(image, blur)
    out = np.empty(image.shape, np.uint8)
    for row in range(height):
        for column in range(width):
            for channel in range(3):
                value = image[row, column, channel] + grain[row, column]
                out[row, column, channel] = int(min(max(value + 0.5, 0.0), 255.0))
    return out


class Canvas:
    """One square RGB image (values 0 to 1) that shapes are painted on.

    Parameters
    ----------
    size : int
        Side in pixels.
    top, bottom : colour
        The background runs from one to the other.
    """

    def __init__(self, size: int, top: Colour, bottom: Colour) -> None:
        ramp = np.linspace(0, 1, size)[:, None]
        rows = (1 - ramp) * np.asarray(top) + ramp * np.asarray(bottom)
        self.image = np.repeat(rows[:, None].astype(np.float32), size, axis=1)
        self.relief = np.zeros((size, size), np.float32)
        self.everywhere = np.ones((size, size), np.float32)
        self._mask = np.zeros((size, size), np.float32)

    def region(self, outline: np.ndarray) -> np.ndarray:
        """Coverage (size, size) of a closed outline (k, 2), to clip by."""
        mask = np.zeros_like(self._mask)
        _cover_outline(outline, mask)
        return mask

    def fill(
        self,
        outline: np.ndarray,
        colour: Colour,
        alpha: float = 1.0,
        clip: np.ndarray | None = None,
    ) -> None:
        """Fill a closed outline (k, 2)."""
        self._blend(_cover_outline(outline, self._mask), colour, alpha, clip)

    def stroke(
        self,
        points: np.ndarray,
        radius: float | np.ndarray,
        colour: Colour,
        alpha: float = 1.0,
        softness: float = 1.0,
        clip: np.ndarray | None = None,
    ) -> None:
        """Draw along points (k, 2) with a radius, or one radius per point, in pixels."""
        if alpha > 0.01:
            radii = np.full(len(points), radius) if np.isscalar(radius) else np.asarray(radius)
            self._blend(_cover_stroke(points, radii, softness, self._mask), colour, alpha, clip)

    def spot(
        self,
        centre: np.ndarray,
        rx: float,
        ry: float,
        colour: Colour,
        alpha: float,
        clip: np.ndarray | None = None,
    ) -> None:
        """A smooth round spot that fades to nothing at the radii."""
        if alpha > 0.01:
            box = _cover_spot(centre[0], centre[1], rx, ry, self._mask)
            self._blend(box, colour, alpha, clip)

    def _blend(self, box: Box, colour: Colour, alpha: float, clip: np.ndarray | None) -> None:
        clip = self.everywhere if clip is None else clip
        _blend(self.image, self._mask, clip, box, np.asarray(colour, np.float64), alpha)

    def raise_relief(self, bumps: np.ndarray) -> None:
        """Add bumps (b, 6): x, y, rx, ry, angle, height."""
        _raise_relief(self.relief, bumps)

    def light(self, mask: np.ndarray, light: np.ndarray, ambient: float, gloss: float) -> None:
        """Light what lies under the mask by the relief; ``light`` is a unit vector to the lamp."""
        _light(self.image, self.relief, mask, light, ambient, gloss)

    def develop(self, blur: float, grain: np.ndarray, cast: np.ndarray, gamma: float) -> np.ndarray:
        """The finished picture, uint8 (size, size, 3); grain (size, size) in grey levels."""
        return _develop(self.image, blur, grain, cast, gamma)
