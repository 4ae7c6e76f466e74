"""A shift of the domain of rendered faces: other light, fewer pixels, another way of drawing.

Who is seen, what they show, where everything lies and how it was voted on stay as they are: only
the pixels change, without another random number, so that image i depends on what it did before and
on the shift.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

_PENCIL = 3.0  # standard deviation in pixels of what a drawing leaves out


@dataclass(frozen=True)
class Shift:
    """How far the pictures are from those that the renderer makes by itself.

    Attributes
    ----------
    lighting : float, 0 to 1
        Before painting: the lamp moves to the right and below the face, the light from all sides
        falls to less than a third, the picture gets darker and its middle tones darker still.
        0 changes nothing.
    style : float, 0 to 1
        The share of a pencil drawing in the picture: grey, its lines and edges kept, skin, hair and
        shades paper white. 0 changes nothing, 1 leaves the drawing alone.
    resolution : int or None
        Side in pixels of the picture before it was enlarged to the size it has; None changes
        nothing.
    """

    lighting: float = 0.0
    style: float = 0.0
    resolution: int | None = None

    def lit(self, conditions: np.ndarray) -> np.ndarray:
        """Conditions of `draw_conditions`, structured (n,), in other light."""
        moved = conditions.copy()
        if self.lighting:
            moved["lamp_x"] += 1.2 * self.lighting
            moved["lamp_y"] += 0.9 * self.lighting
            moved["ambient"] *= 1 - 0.7 * self.lighting
            moved["brightness"] *= 1 - 0.3 * self.lighting
            moved["gamma"] *= 1 + 0.6 * self.lighting
        return moved

    def seen(self, images: np.ndarray) -> np.ndarray:
        """The painted pictures, uint8 (n, H, W, 3), drawn and seen through fewer pixels."""
        if not self.style and self.resolution is None:
            return images
        return np.stack([self._shifted(image) for image in images]) if len(images) else images

    def notes(self) -> tuple[str, ...]:
        """What is shifted, in words; nothing where nothing is."""
        changed = {
            "lighting": self.lighting or None,
            "style": self.style or None,
            "resolution": self.resolution,
        }
        words = [f"{name} {value:g}" for name, value in changed.items() if value is not None]
        return (f"domain shifted: {', '.join(words)}",) if words else ()

    def _shifted(self, image: np.ndarray) -> np.ndarray:
        """One picture, uint8 (H, W, 3), drawn and seen through fewer pixels."""
        if self.style:
            drawn = (1 - self.style) * image + self.style * pencil(image)[:, :, None]
            image = np.round(drawn).astype(np.uint8)
        if self.resolution is None:
            return image
        height, width = image.shape[:2]
        coarse = Image.fromarray(image).resize((self.resolution,) * 2, Image.Resampling.BOX)
        return np.asarray(coarse.resize((width, height), Image.Resampling.BILINEAR))


UNSHIFTED = Shift()


def pencil(image: np.ndarray) -> np.ndarray:
    """A pencil drawing, float (H, W) in [0, 255]: each pixel over the mean of those around it.

    What is as light as its surroundings or lighter is paper white.
    """
    grey = Image.fromarray(image).convert("L")
    around = np.asarray(grey.filter(ImageFilter.GaussianBlur(_PENCIL)), dtype=float)
    # One grey level more on both sides: black on black is no line.
    return np.asarray(255 * np.minimum((np.asarray(grey) + 1.0) / (around + 1.0), 1))
