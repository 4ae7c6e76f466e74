"""Aligns a folder of photographs: finds the face in each, cuts it out, says where there is none."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bench import __version__
from bench.api import BenchError
from bench.data import marker
from bench.data.alignment import align
from bench.data.files import explained, sha256, whole
from bench.data.images import SUFFIXES, SYNTHETIC_COMMENT, read_image
from bench.data.landmarks import detect, detector_code

TABLE = "landmarks.csv"
POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
COLUMNS = (
    "file",
    "found",
    "probability",
    *(f"{point}_{axis}" for point in POINTS for axis in "xy"),
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
    """What became of a folder.

    Attributes
    ----------
    found : int
        Photographs whose aligned face is there.
    kept : int
        Photographs, with a face or without, that an earlier run had done.
    without : list of str
        Files in which no face was found.
    unreadable : list of str
        One sentence per file that could not be read.
    others : int
        Files that are no images by their suffix.
    """

    found: int = 0
    kept: int = 0
    without: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    others: int = 0


def align_folder(
    source: Path,
    out: Path,
    size: int = 100,
    transform: str = "affine",
    device: str = "cpu",
    hear: Callable[[str], None] = lambda sentence: None,
) -> Report:
    """Align the face of every photograph under ``source``; sub-folders are kept.

    ``out`` gets one RGB PNG per face and `TABLE`, a row per photograph with the landmarks in pixels
    of the photograph (turned upright as its EXIF orientation says) and the settings. A photograph
    whose content and settings are those of its row is not done again. Each row is written as soon
    as its PNG is there, so an interruption costs the file in work. Rows and PNGs of files that are
    gone, or whose face is no longer found, are removed.

    Parameters
    ----------
    size, transform
        As `bench.data.alignment.align` takes them (``transform`` is its ``kind``).
    hear : callable
        Is told at once of each file without a face and of each unreadable one.

    Raises
    ------
    BenchError
        A folder that is not there or holds no image, an ``out`` that is not new, empty or from an
        earlier run, two files that would become one, or a disk that is full.
    """
    if size < 1:
        raise BenchError(f"faces of {size}×{size} pixels cannot be: give a larger --size")
    names, others, rendered = _images(source)
    _check(source, out, names)
    earlier = _claim(out)
    if rendered:
        _mark(out)
    report = Report(others=others)
    settings = {"size": str(size), "transform": transform, "detector": detector_code()}
    rows: list[_Row] = []
    for name in names:
        before = earlier.pop(name, None)
        row = _one(source, out, name, settings, before, device, rendered)
        rows.append(row)
        if row is before:
            report.kept += 1
        else:
            _append(out / TABLE, row)
        if row["reason"]:
            report.unreadable.append(row["reason"])
            hear(row["reason"])
        elif row["found"] == "1":
            report.found += 1
        else:
            report.without.append(name)
            hear(f"no face found in {name}")
    for row in earlier.values():
        _forget(out, row)
    _write(out / TABLE, rows)
    return report


def _one(
    source: Path,
    out: Path,
    name: str,
    settings: _Row,
    before: _Row | None,
    device: str,
    rendered: bool,
) -> _Row:
    """The row of one photograph: ``before`` itself where an earlier run had done it."""
    row = dict.fromkeys(COLUMNS, "") | settings | {"file": name, "found": "0"}
    path = source / name
    face = None
    try:
        row["sha256"] = sha256(path)
        if before is not None and _same(row, before) and _there(out, before):
            return before
        image, drawn = read_image(path, "RGB", upright=True)
        rendered |= drawn
        landmarks, probability = detect(image[np.newaxis], device)
        if not np.isnan(probability[0]):
            face = align(image, landmarks[0], int(settings["size"]), settings["transform"])
    except OSError as error:
        row["reason"] = f"{name} cannot be read: {error.strerror or error}"
    except BenchError as error:
        # The sentence names the whole path, or (a face that cannot be aligned) no file.
        sentence = f"{error}".replace(str(path), name)
        row["reason"] = sentence if name in sentence else f"{name}: {sentence}"
    if rendered:
        _mark(out)
    if face is None:
        if before is not None:
            _forget(out, before)
        return row
    row |= {"found": "1", "probability": f"{probability[0]:.6f}", "aligned": _aligned(name)}
    row |= zip(COLUMNS[3:13], (f"{value:.3f}" for value in landmarks[0].ravel()), strict=True)
    _save(face, out / row["aligned"], rendered)
    return row


def _images(source: Path) -> tuple[list[str], int, bool]:
    """What lies below ``source``: images (sorted, / between folders), other files, the mark."""
    if not source.is_dir():
        raise BenchError(f"{source} is no folder: give --in a folder of photographs")
    names, others, rendered = [], 0, marker.is_synthetic(source)
    for folder, _, files in os.walk(source, onerror=_complain):
        for file in files:
            if Path(file).suffix.lower() in SUFFIXES:
                names.append((Path(folder) / file).relative_to(source).as_posix())
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


def _check(source: Path, out: Path, names: list[str]) -> None:
    one, other = source.resolve(), out.resolve()
    if one.is_relative_to(other) or other.is_relative_to(one):
        raise BenchError(f"{source} and {out} lie in one another: give --out a folder outside --in")
    taken: dict[str, str] = {}
    for name in names:
        first = taken.setdefault(_aligned(name), name)
        if first != name:
            raise BenchError(
                f"{first} and {name} in {source} would both become {_aligned(name)}: rename one"
            )


def _aligned(name: str) -> str:
    return Path(name).with_suffix(".png").as_posix()


def _claim(out: Path) -> dict[str, _Row]:
    """Make the folder or take it over; rows of an earlier run by file."""
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
    text = table.read_bytes().decode("utf-8", "surrogateescape")
    # An interruption may have cut the last line; its photograph is done again.
    rows = csv.reader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
    if tuple(next(rows, ())) != COLUMNS:
        raise BenchError(f"{table} is not from this command: give --out another folder")
    # A later row replaces an earlier one: a photograph that was done again.
    complete = (row for row in rows if len(row) == len(COLUMNS))
    return {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in complete}


def _same(row: _Row, earlier: _Row) -> bool:
    settings = ("size", "transform", "detector", "sha256")
    return not earlier["reason"] and all(row[part] == earlier[part] for part in settings)


def _there(out: Path, row: _Row) -> bool:
    return row["found"] != "1" or (out / row["aligned"]).is_file()


def _forget(out: Path, row: _Row) -> None:
    """Remove the face that an earlier run wrote; the name is made anew, never read."""
    if row["found"] == "1":
        (out / _aligned(row["file"])).unlink(missing_ok=True)


def _save(face: np.ndarray, path: Path, synthetic: bool) -> None:
    about = PngInfo()
    if synthetic:
        about.add_text("Comment", SYNTHETIC_COMMENT)
    with whole(path) as temporary:
        Image.fromarray(face).save(temporary, format="PNG", pnginfo=about)


def _mark(out: Path) -> None:
    if not (out / marker.FILE_NAME).is_file():
        marker.mark(out, version=__version__, what="faces cut from pictures that bench rendered")


def _write(table: Path, rows: Iterable[_Row]) -> None:
    heading = dict(zip(COLUMNS, COLUMNS, strict=True))
    with whole(table) as temporary:
        temporary.write_bytes(_lines([heading, *rows]))


def _append(table: Path, row: _Row) -> None:
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
