"""Aligns a folder of photographs: finds the face in each, cuts it out, says where there is none.

The work behind ``bench data align``. It stands among the data, since a lab may call it from Python
as well, and its PNGs and landmarks are what a dataset begins with.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bench import __version__
from bench.api import BenchError
from bench.data import marker
from bench.data.alignment import align
from bench.data.files import explained, is_litter, sha256, whole
from bench.data.images import BLACK, SUFFIXES, SYNTHETIC_COMMENT, UNREAD, read_image
from bench.data.landmarks import detect, detector_code

TABLE = "landmarks.csv"
POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
LANDMARKS = tuple(f"{point}_{axis}" for point in POINTS for axis in "xy")
COLUMNS = (
    "file",
    "found",
    "probability",
    *LANDMARKS,
    "aligned",
    "size",
    "transform",
    "detector",
    "sha256",
    "reason",
)
_Row = dict[str, str]


@dataclass
class Report:
    """What became of the files of a folder.

    Attributes
    ----------
    aligned : int
        Photographs whose aligned face is there.
    unchanged : int
        Photographs, with a face or without, that an earlier run had done.
    faceless : list of str
        Files in which the detector sees no face.
    unreadable : list of str
        One sentence per file that could not be read.
    others : int
        Files that are no images by their suffix, or that a system left (``._a.jpg``).
    """

    aligned: int = 0
    unchanged: int = 0
    faceless: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    others: int = 0


def align_folder(
    source: Path,
    out: Path,
    size: int = 100,
    transform: str = "affine",
    device: str = "cpu",
    notify: Callable[[str], None] = lambda sentence: None,
) -> Report:
    """Align the face of every photograph under ``source``; sub-folders are kept.

    ``out`` gets one RGB PNG per face and `TABLE`, a row per photograph with the landmarks in pixels
    of the photograph (turned upright as its EXIF orientation says) and the settings. Of files whose
    faces would be one (``a.gif``, ``a.png``) the first is aligned, the others are named. A
    photograph whose content and settings are those of its row is not done again. Each row is
    written as soon as its PNG is there, so an interruption costs the file in work. Rows and PNGs of
    files that are gone, or in which no face is seen any more, are removed.

    Parameters
    ----------
    size, transform
        As `bench.data.alignment.align` takes them (``transform`` is its ``kind``).
    notify : callable
        Called at once with a sentence on each file without a face and on each unreadable one.

    Raises
    ------
    BenchError
        A folder that is not there or holds no image, an ``out`` that is not new, empty or from an
        earlier run, a row or a link in it that leads out of it, or a disk that is full.
    """
    if size < 1:
        raise BenchError(f"faces of {size}×{size} pixels cannot be: give a larger --size")
    names, others, rendered = _images(source)
    _check(source, out)
    earlier = _claim(out)
    _refuse_links(out, [*names, *earlier])
    if rendered:
        _mark(out)
    settings = {"size": str(size), "transform": transform, "detector": detector_code()}
    photographs = _Photographs(source, out, settings, device, rendered)
    report = Report(others=others)
    rows: list[_Row] = []
    owners: dict[str, str] = {}
    for name in names:
        before = earlier.pop(name, None)
        first = name
        if Path(name).suffix.lower() in SUFFIXES:  # the others have no face
            first = owners.setdefault(_png(name), name)
        row = photographs.align(name, before) if first == name else photographs.refuse(name, first)
        rows.append(row)
        if row is before:
            report.unchanged += 1
        else:
            _append(out / TABLE, row)
        if row["reason"]:
            report.unreadable.append(row["reason"])
            notify(row["reason"])
        elif row["found"] == "1":
            report.aligned += 1
        else:
            report.faceless.append(name)
            notify(f"no face found in {name}")
    for row in earlier.values():
        if _png(row["file"]) not in owners:  # a.png may be gone, and a.jpg be there in its place
            _remove_face(out, row)
    _write(out / TABLE, rows)
    return report


@dataclass(frozen=True)
class _Photographs:
    """The photographs of one run, and how their faces are cut out.

    Attributes
    ----------
    source, out : Path
    settings : dict
        The columns ``size``, ``transform`` and ``detector`` of every row.
    device : str
        Where the detector runs.
    rendered : bool
        Whether the folder as a whole is marked as made by bench.
    """

    source: Path
    out: Path
    settings: _Row
    device: str
    rendered: bool

    def align(self, name: str, before: _Row | None) -> _Row:
        """The row of one photograph: ``before`` itself where an earlier run had done it."""
        row = dict.fromkeys(COLUMNS, "") | self.settings | {"file": name, "found": "0"}
        path, rendered, face = self.source / name, self.rendered, None
        try:
            row["sha256"] = sha256(path)
            if before is not None and _same(row, before) and _complete(self.out, before):
                return before
            image, drawn = read_image(path, "RGB", upright=True)
            rendered |= drawn
            if image.max() <= BLACK:
                raise BenchError(
                    f"{name} is black (no value above {BLACK} of 255): a 16-bit file that holds 0 "
                    "to 255 has to be saved with 8 bits"
                )
            face = self._face(image)
        except (OSError, BenchError) as error:
            row["reason"] = _reason(error, path, name)
        if rendered:
            _mark(self.out)
        if face is not None:
            row |= {"found": "1", "aligned": _png(name), "probability": f"{face.probability:.6f}"}
            row |= zip(LANDMARKS, (f"{value:.3f}" for value in face.landmarks.ravel()), strict=True)
            _save(face.pixels, self.out / row["aligned"], rendered)
        elif before is not None:
            _remove_face(self.out, before)
        return row

    def refuse(self, name: str, first: str) -> _Row:
        """The row of a photograph whose face would take the place of that of ``first``."""
        row = dict.fromkeys(COLUMNS, "") | self.settings | {"file": name, "found": "0"}
        reason = f"{first} and {name} would both become {_png(name)}: rename one"
        return row | {"reason": reason}

    def _face(self, image: np.ndarray) -> _Face | None:
        """The aligned face in ``image`` uint8 (H, W, 3); None where the detector sees none."""
        landmarks, probability = detect(image[np.newaxis], self.device)
        if np.isnan(probability[0]):
            return None
        size, transform = int(self.settings["size"]), self.settings["transform"]
        pixels = align(image, landmarks[0], size, transform)
        return _Face(pixels, landmarks[0], float(probability[0]))


def _reason(error: OSError | BenchError, path: Path, name: str) -> str:
    """The sentence on a photograph that could not be aligned."""
    if isinstance(error, OSError):
        return f"{name} cannot be read: {error.strerror or error}"
    # The sentence names the whole path, or (a face that cannot be aligned) no file.
    sentence = f"{error}".replace(str(path), name)
    return sentence if name in sentence else f"{name}: {sentence}"


class _Face(NamedTuple):
    """An aligned face.

    Attributes
    ----------
    pixels : uint8 (size, size, 3)
    landmarks : float (5, 2)
        In pixels of the photograph.
    probability : float
        That it is a face.
    """

    pixels: np.ndarray
    landmarks: np.ndarray
    probability: float


def _images(source: Path) -> tuple[list[str], int, bool]:
    """Images below ``source`` (sorted, / between folders), number of other files, the mark."""
    if not source.is_dir():
        raise BenchError(f"{source} is no folder: give --in a folder of photographs")
    names, others, rendered = [], 0, marker.is_synthetic(source)
    for folder, _, files in os.walk(source, onerror=_complain):
        for file in files:
            path = (Path(folder) / file).relative_to(source)
            if any(map(is_litter, path.parts)):
                others += 1
            elif path.suffix.lower() in SUFFIXES | UNREAD:
                names.append(path.as_posix())
            elif file == marker.FILE_NAME:
                rendered = True
            else:
                others += 1
    if not names:
        raise BenchError(f"there is no image under {source}: give --in a folder of photographs")
    return sorted(names), others, rendered


def _complain(error: OSError) -> None:
    # os.walk would pass over a folder that it may not read.
    raise BenchError(f"{error.filename} cannot be read: {error.strerror}; ask its owner") from error


def _check(source: Path, out: Path) -> None:
    """Refuse folders within one another."""
    whence, whither = source.resolve(), out.resolve()
    if whence.is_relative_to(whither) or whither.is_relative_to(whence):
        raise BenchError(f"{source} and {out} lie in one another: give --out a folder outside --in")


def _png(name: str) -> str:
    """The name of the face of photograph ``name``."""
    return Path(name).with_suffix(".png").as_posix()


def _claim(out: Path) -> dict[str, _Row]:
    """Make the folder or take it over; the rows of an earlier run by file."""
    table, rows = out / TABLE, {}
    try:
        if table.is_file():
            rows = _read(table)
        elif out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise BenchError(
                f"{out} is neither new nor empty nor from an earlier run of bench data align: give "
                "--out another folder"
            )
    except OSError as error:
        raise BenchError(f"{out} cannot be read: {error.strerror}; ask its owner") from error
    # Also after an interruption: rows are appended, so the last line has to be whole.
    _write(table, rows.values())
    return rows


def _read(table: Path) -> dict[str, _Row]:
    """The rows of an earlier run by file."""
    text = table.read_bytes().decode("utf-8", "surrogateescape")
    # An interruption may have cut the last line; its photograph is done again.
    reader = csv.reader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
    rows: dict[str, _Row] = {}
    try:
        if tuple(next(reader, ())) != COLUMNS:
            raise BenchError(f"{table} is not from this command: give --out another folder")
        for row in reader:
            if len(row) == len(COLUMNS):
                _refuse_outside(row[0], f"{table}:{reader.line_num}")
                # A later row replaces an earlier one: a photograph that was done again.
                rows[row[0]] = dict(zip(COLUMNS, row, strict=True))
    except csv.Error as error:
        raise BenchError(
            f"{table}:{reader.line_num}: {error}; give --out another folder"
        ) from error
    return rows


def _refuse_outside(name: str, where: str) -> None:
    """Raise `BenchError` unless a row is about a file below the folder: its face may be removed."""
    path = PurePosixPath(name)
    if not path.name or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise BenchError(
            f"{where}: {name!r} leads out of the folder, or to no file in it: remove the line, or "
            "give --out another folder"
        )


def _refuse_links(out: Path, names: Iterable[str]) -> None:
    """Raise `BenchError` where a sub-folder that faces go to, or the mark, is a link elsewhere."""
    inside = {parent for name in names for parent in PurePosixPath(name).parents}
    for part in sorted({*map(str, inside), marker.FILE_NAME} - {"."}):
        if (out / part).is_symlink():
            raise BenchError(
                f"{out / part} is a link, and nothing outside {out} may be changed: put a folder "
                "in its place, or give --out another one"
            )


def rows_of(out: Path) -> list[_Row]:
    """The rows that `align_folder` wrote, by the names of `COLUMNS`; raises as it does."""
    return list(_read(out / TABLE).values())


def face_of(out: Path, row: _Row) -> Path:
    """The aligned face of a row; its name is made anew, never read from the row."""
    return out / _png(row["file"])


def _same(row: _Row, earlier: _Row) -> bool:
    """Whether an earlier row is of the same content and settings."""
    settings = ("size", "transform", "detector", "sha256")
    return not earlier["reason"] and all(row[part] == earlier[part] for part in settings)


def _complete(out: Path, row: _Row) -> bool:
    """Whether the face that a row speaks of is there."""
    return row["found"] != "1" or (
        row["aligned"] == _png(row["file"]) and face_of(out, row).is_file()
    )


def _remove_face(out: Path, row: _Row) -> None:
    """Remove the face that an earlier run wrote; its name is made anew, never read from the row."""
    if row["found"] == "1":
        (out / _png(row["file"])).unlink(missing_ok=True)


def _save(face: np.ndarray, path: Path, synthetic: bool) -> None:
    about = PngInfo()
    if synthetic:
        about.add_text("Comment", SYNTHETIC_COMMENT)
    with whole(path) as temporary:
        Image.fromarray(face).save(temporary, format="PNG", pnginfo=about)


def _mark(out: Path) -> None:
    """Say once that faces in ``out`` come from pictures that bench rendered."""
    if not (out / marker.FILE_NAME).is_file():
        marker.mark(out, version=__version__, what="faces cut from pictures that bench rendered")


def _write(table: Path, rows: Iterable[_Row]) -> None:
    """Write the whole table."""
    heading = dict(zip(COLUMNS, COLUMNS, strict=True))
    with whole(table) as temporary:
        temporary.write_bytes(_lines([heading, *rows]))


def _append(table: Path, row: _Row) -> None:
    """Add one row to the table, at once."""
    try:
        with table.open("ab") as file:
            file.write(_lines([row]))
    except OSError as error:
        raise explained(error, table) from error


def _lines(rows: list[_Row]) -> bytes:
    text = io.StringIO(newline="")
    csv.DictWriter(text, COLUMNS, lineterminator="\n").writerows(rows)
    # File names may be any bytes.
    return text.getvalue().encode("utf-8", "surrogateescape")
