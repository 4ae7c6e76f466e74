"""Reading image files into one array, whatever their bit depth, palette or colour."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from bench.api import BenchError
from bench.data.files import is_litter

SYNTHETIC_COMMENT = "bench synthetic"
"""Text that bench writes into every file it renders (JPEG comment, PNG text ``Comment``)."""

_JPEG = (".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg", ".pjp")

SUFFIXES = {
    *_JPEG,
    *(".png", ".tif", ".tiff", ".bmp", ".gif"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".webp"),
}
"""How the names of image files end, in lower case, where a folder holds other files too."""

UNREAD = {
    *(".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".j2k", ".psd", ".xcf"),
    *(".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"),
}
"""How the names of photographs end that bench cannot read; they are named, never passed over."""

BLACK = 1
"""The largest value, of 255, of an image that shows nothing."""

# Without a list Pillow also tries formats that start other programs (EPS calls Ghostscript).
_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "GIF", "PPM", "WEBP")

# What Pillow's decoders raise on damaged files (seen by cutting and flipping bytes).
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def read_images(
    paths: Sequence[Path], colour: str = "rgb", size: int | None = None
) -> tuple[np.ndarray, bool]:
    """Read image files into one array.

    Parameters
    ----------
    paths : sequence of Path
        At least one.
    colour : {"rgb", "grey"}
        Grey is Pillow's ``L``: (19595 R + 38470 G + 7471 B + 32768) >> 16.
    size : int or None
        Side in pixels that every image is resized to (Pillow's bilinear filter); None asks that
        all have one size already.

    Returns
    -------
    images : uint8 (n, H, W, 3) for ``rgb``, (n, H, W) for ``grey``
        16-bit values divided by 257 and rounded, palettes looked up, transparency over black.
    synthetic : bool
        True where any file carries `SYNTHETIC_COMMENT`.

    Raises
    ------
    BenchError
        Naming the first file that is missing, empty, truncated, not an image or of another size.
    """
    if not paths:
        raise BenchError("there is no image to read")
    mode = "L" if colour == "grey" else "RGB"
    first, synthetic = read_image(paths[0], mode, size)
    # One array from the start, and no threads: on files of this size Pillow spends its time in
    # Python, and two threads took 1.2 to 1.3 times as long as one.
    images = np.empty((len(paths), *first.shape), np.uint8)
    images[0] = first
    for row, path in enumerate(paths[1:], 1):
        pixels, rendered = read_image(path, mode, size)
        if pixels.shape != first.shape:
            raise BenchError(
                f"{path} is {_width_by_height(pixels)} pixels, but {paths[0].name} is "
                f"{_width_by_height(first)}: all images of a folder must have one size"
            )
        images[row] = pixels
        synthetic |= rendered
    return images, synthetic


def read_image(
    path: Path, mode: str, size: int | None = None, upright: bool = False
) -> tuple[np.ndarray, bool]:
    """Read one file as Pillow mode ``L`` or ``RGB``, see `read_images`.

    ``upright`` turns a photograph as its EXIF orientation says; datasets are read as stored.
    """
    try:
        with Image.open(path, formats=_FORMATS) as image:
            image.load()
            # The comment is known only after load(): PNG text may follow the pixels.
            written = [image.info.get("comment", b""), image.info.get("Comment", "")]
            pixels = _eight_bit(ImageOps.exif_transpose(image) if upright else image, mode)
            if size is not None and pixels.size != (size, size):
                pixels = pixels.resize((size, size), Image.Resampling.BILINEAR)
            comments = [
                text.decode("latin-1") if isinstance(text, bytes) else str(text) for text in written
            ]
            return np.asarray(pixels), any(SYNTHETIC_COMMENT in text for text in comments)
    except _DAMAGED as error:
        raise BenchError(_what_is_wrong(path, error)) from error


def plain_name(name: str) -> str:
    """An image's file name with its suffix in lower case, and ``.jpg`` for that of every JPEG."""
    stem, suffix = os.path.splitext(name)
    suffix = suffix.lower()
    return stem + (".jpg" if suffix in _JPEG else suffix)


def images_by_name(folder: Path, suffix: str) -> dict[str, Path]:
    """Image files directly in a folder whose `plain_name` ends in ``suffix``, by that name.

    Raises
    ------
    BenchError
        Two files of one plain name (``a.jpg`` and ``a.JPG``).
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        name = plain_name(path.name)
        if is_litter(path.name) or not name.endswith(suffix):
            continue
        if name in found:
            raise BenchError(
                f"{path} and {found[name].name} are images of one name; remove one of the two"
            )
        found[name] = path
    return found


def darkness(images: np.ndarray, ids: np.ndarray) -> str | None:
    """A warning where images show nothing at all; None where there is none.

    Parameters
    ----------
    images : uint8 (n, H, W) or (n, H, W, 3)
    ids : str (n,)
    """
    if images.dtype != np.uint8 or not images.size:
        return None
    dark = np.flatnonzero(images.max(axis=tuple(range(1, images.ndim))) <= BLACK)
    if not len(dark):
        return None
    return (
        f"warning: {len(dark)} of {len(images)} images are black (no value above {BLACK} of 255), "
        f"{ids[dark[0]]} the first: so are 16-bit files that hold 0 to 255, which have to be "
        "saved with 8 bits"
    )


def _eight_bit(image: Image.Image, mode: str) -> Image.Image:
    """``image`` as 8-bit ``mode``, where Pillow's own convert would clip or keep hidden colours."""
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image, dtype=np.float64)
        if image.mode == "F" or values.min() < 0 or values.max() > 65535:
            raise ValueError("its pixels are neither 8 nor 16 bits deep")
        # convert("L") would clip every value above 255 to white.
        image = Image.fromarray(np.round(values / 257).astype(np.uint8))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image).convert("RGB")
    return image if image.mode == mode else image.convert(mode)


def _what_is_wrong(path: Path, error: Exception) -> str:
    if not path.exists():
        return f"{path} does not exist: unpack the dataset again"
    if path.is_dir():
        return f"{path} is a folder where an image was expected"
    if isinstance(error, PermissionError):
        return f"{path} cannot be read: permission denied; ask its owner for access"
    if path.stat().st_size == 0:
        return f"{path} is empty (0 bytes): copy or unpack it again"
    if path.suffix.lower() in UNREAD:
        return (
            f"{path} is in a format that bench does not read ({path.suffix.lower()}): save it as "
            "JPEG or PNG"
        )
    reason = "not an image" if isinstance(error, UnidentifiedImageError) else f"{error}"
    return f"{path} is damaged or no image ({reason}): copy or unpack it again"


def _width_by_height(pixels: np.ndarray) -> str:
    return f"{pixels.shape[1]}×{pixels.shape[0]}"
