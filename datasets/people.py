"""One folder of photographs per person, CASIA-WebFace's layout: who is seen, not what is shown."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from bench.api import BenchError, Dataset, FaceSet, param
from bench.data import marker
from bench.data.files import is_litter
from bench.data.images import SUFFIXES, UNREAD, read_images
from bench.data.text import shortened


class People(Dataset):
    """Identities to learn from: D. Yi et al., "Learning face representation from scratch", 2014.

    Layout: ``ROOT/PERSON/IMAGE`` (``0000045/001.jpg``), as CASIA-WebFace, LFW and VGGFace have it.
    The folder's name is the person; ids are ``PERSON/IMAGE``. Files in a person's folder that are
    no images by their suffix are left alone; one that bench cannot read (``.heic``) is refused.

    There are no expressions: it is of kind ``people``, has no labels, and serves methods that learn
    identities, as ``tfe-jl[people=people:ROOT]``; nothing can be measured on it.

    Every image is resized to ``size``×``size`` pixels as it is read (the whole image, Pillow's
    bilinear filter), so that the 435,863 faces that TFE-JL keeps of CASIA-WebFace take 1.8 GB and
    not 82. Images are not aligned and not cropped here: do that first.
    """

    name = "people"
    kind = "people"
    protocols = ()
    obtain = (
        "Any folder with one folder of face images per person: CASIA-WebFace (by request from its "
        "authors), LFW, or your own; faces aligned and cropped (bench data align does it), and "
        "that folder as --root."
    )
    size: int = param(64, ge=16, le=256, help="side in pixels that every image is resized to")
    colour: str = param("grey", choices=("grey", "rgb"), help="rgb takes three times the memory")

    def load(self, root: Path | None, protocol: str = "") -> FaceSet:
        """Read every image of every person.

        Raises
        ------
        BenchError
            Naming the path: no such folder, no images, a person without any, one person only, a
            damaged image.
        """
        files = _persons(root)
        paths = [path for own in files.values() for path in own]
        images, rendered = read_images(paths, self.colour, self.size)
        assert root is not None
        sizes = [len(own) for own in files.values()]
        return FaceSet(
            name=self.name,
            kind=self.kind,
            label_names=(),
            ids=np.array([f"{path.parent.name}/{path.name}" for path in paths]),
            labels=np.zeros((len(paths), 0), dtype=bool),
            images=images,
            subject=np.repeat(np.array(list(files)), sizes),
            synthetic=marker.is_synthetic(root) or rendered,
            notes=(
                f"{len(paths)} images of {len(files)} persons, {min(sizes)} to {max(sizes)} each",
            ),
        )


def _persons(root: Path | None) -> dict[str, list[Path]]:
    """Image files by person, in the order of their names."""
    root = _checked_root(root)
    folders, loose = _inside(root)
    inside = {folder: _inside(folder) for folder in folders}
    deeper = [below for folders_below, _ in inside.values() for below in folders_below]
    if not any(images for _, images in inside.values()):
        raise _no_persons(root, deeper, loose)
    if deeper or loose:
        raise BenchError(
            f"people: {(deeper or loose)[0]} does not lie where PERSON/IMAGE has it; move it, "
            "remove it or pass another folder"
        )
    persons = {folder.name: images for folder, (_, images) in inside.items()}
    _check_persons(root, persons)
    return persons


def _checked_root(root: Path | None) -> Path:
    """The folder that the user gave."""
    if root is None:
        raise BenchError("people needs --root DIR, a folder with one folder of images per person")
    if not root.is_dir():
        problem = "is a file" if root.exists() else "does not exist"
        raise BenchError(f"people: {root} {problem}; pass a folder with one folder per person")
    return root


def _check_persons(root: Path, persons: dict[str, list[Path]]) -> None:
    """Refuse a person without images, and one person only."""
    empty = [name for name, images in persons.items() if not images]
    if empty:
        raise BenchError(
            f"people: {root / empty[0]} holds no images ({len(empty)} such folder(s) in all); "
            "unpack them again or remove the folder"
        )
    if len(persons) < 2:
        raise BenchError(
            f"people: {root} holds one person only ({shortened(next(iter(persons)))}), and "
            "identities are learnt by telling persons apart; add the others"
        )


def _no_persons(root: Path, deeper: list[Path], loose: list[Path]) -> BenchError:
    """The error for a root whose folders hold no image: it may be one folder too high."""
    if not loose and any(_inside(folder)[1] for folder in deeper[:1]):
        return BenchError(
            f"people: {root} is one folder too high: pass {deeper[0].parent}, whose folders hold "
            "the images"
        )
    where = "images, but none" if loose else "no images"
    return BenchError(
        f"people: {root} holds {where} in a folder per person; sort them as PERSON/IMAGE "
        "(0000045/001.jpg)"
    )


def _inside(folder: Path) -> tuple[list[Path], list[Path]]:
    """Folders and image files directly in a folder, each in the order of their names."""
    try:
        with os.scandir(folder) as entries:
            listing = sorted(
                (entry.name, entry.is_dir()) for entry in entries if not is_litter(entry.name)
            )
    except OSError as error:
        raise BenchError(
            f"people: {folder} cannot be read ({error.strerror}); ask its owner"
        ) from error
    folders = [folder / name for name, is_folder in listing if is_folder]
    return folders, [
        folder / name
        for name, is_folder in listing
        if not is_folder and Path(name).suffix.lower() in SUFFIXES | UNREAD
    ]
