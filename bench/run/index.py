"""An index of the data: what a plan needs to know of faces, without reading a pixel again.

Kept in the results folder's cache under keys that hold everything the content follows from: the
files of a dataset by name, size and time of change, the code and the parameters of its plug-in,
the versions of the libraries that read images. Where one of them differs there is no entry, and
the data are read. An index is for planning only: before a record is written, the job has checked
the content of what it reads (`bench.run.cache.open_faces`).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.api import BenchError, FaceSet
from bench.data.files import write_text
from bench.plugins import Entry
from bench.run.cache import UNREADABLE, faces_folder, map_faces, save_faces
from bench.run.code import code_hash
from bench.run.job import key_of
from bench.run.provenance import provenance


class FaceIndex:
    """What was found out about faces, by key.

    Parameters
    ----------
    cache : Path or None
        A results folder's cache; None keeps nothing, and everything is found out anew.
    """

    def __init__(self, cache: Path | None = None) -> None:
        self.cache = cache

    def is_there(self) -> bool:
        """Whether there is a results folder to keep things in."""
        return self.cache is not None and self.cache.parent.is_dir()

    def value(self, compute: Callable[[], Any], **parts: Any) -> Any:
        """What JSON can hold, as computed before from the same ``parts``, or else now."""
        if self.cache is None:
            return compute()
        path = self.cache / "index" / f"{key_of(**parts)}.json"
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            value = compute()
            write_text(path, json.dumps(value))
            return value

    def faces(self, read: Callable[[], FaceSet], **parts: Any) -> FaceSet:
        """Faces as read before from the same ``parts``, mapped into memory, or else read now."""
        if self.cache is None:
            return read()
        cache = self.cache

        def keep() -> str:
            faces = read()
            save_faces(cache, faces)
            return faces.fingerprint

        for fingerprint in (self.value(keep, **parts), None):
            folder = faces_folder(cache, fingerprint or keep())
            try:
                return map_faces(folder).identified(folder.name)
            except UNREADABLE:  # deleted or damaged, unlike the entry that names it
                shutil.rmtree(folder, ignore_errors=True)
        raise BenchError(f"{folder} cannot be read back: is the disk in order?")


def identity(entry: Entry, root: Path | None) -> dict[str, Any] | None:
    """What the faces that a dataset plug-in reads follow from, besides its parameters.

    Parameters
    ----------
    root : Path or None
        The dataset's folder; None for an embedded dataset.

    Returns
    -------
    dict or None
        None where that cannot be told: a plug-in of an installed package, or an embedded one of
        the user's, may depend on anything.
    """
    if not entry.builtin and (entry.module is not None or root is None):
        return None
    beside = [] if entry.builtin else sorted(entry.file.parent.glob("*.py"))
    return {
        "code": code_hash([entry.file]),
        "beside": [_state(path) for path in beside],
        "libraries": provenance()["libraries"],
        "root": None if root is None else str(root.resolve()),
        "files": None if root is None else files_hash(root),
    }


def files_hash(root: Path) -> str:
    """SHA-256 over the files below ``root``, links followed: names, sizes, times of change."""
    # One string of sorted lines: datasets have 100,000 files, and a plan waits for this.
    lines = sorted(_files(root))
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


def _files(root: Path) -> list[str]:
    lines = []
    visited: set[tuple[int, int]] = set()
    waiting = [(str(root), "")]
    while waiting:
        folder, prefix = waiting.pop()
        state = os.stat(folder)
        if (state.st_dev, state.st_ino) in visited:
            continue  # a link that leads back
        visited.add((state.st_dev, state.st_ino))
        with os.scandir(folder) as entries:
            for item in entries:
                if item.is_dir():
                    waiting.append((item.path, f"{prefix}{item.name}/"))
                elif item.is_file():
                    stat = item.stat()
                    lines.append(f"{prefix}{item.name}\0{stat.st_size}\0{stat.st_mtime_ns}\n")
    return lines


def _state(path: Path) -> tuple[str, int, int]:
    stat = path.stat()
    return path.name, stat.st_size, stat.st_mtime_ns
