"""An index of the data: what a plan needs to know of faces, without reading a pixel again.

Kept in the results folder's cache under keys that hold everything the content follows from: the
files of a dataset by name, size and time of change, the code and the parameters of its plug-in,
the versions of the libraries that read images. Where one of them differs there is no entry, and
the data are read. Damage is a miss: values and labels are read only where their hashes agree.
Pixels and vectors are hashed where something is computed from them (`FaceIndex.sound`), not for a
plan.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.api import BenchError, FaceSet
from bench.data.files import write_text
from bench.plugins import Entry
from bench.run.cache import faces_folder, map_faces, open_faces, save_faces
from bench.run.code import code_hash
from bench.run.job import key_of
from bench.run.provenance import provenance
from bench.run.sealed import DamagedError, digest, discard


class FaceIndex:
    """What was found out about faces, by key.

    Parameters
    ----------
    cache : Path or None
        A results folder's cache; None keeps nothing, and everything is found out anew.
    said : callable
        Called with a sentence on each damaged entry that is made anew.
    """

    def __init__(
        self, cache: Path | None = None, said: Callable[[str], None] = lambda sentence: None
    ) -> None:
        self.cache, self.said = cache, said
        self._readers: dict[str, Callable[[], FaceSet]] = {}

    def is_there(self) -> bool:
        """Whether there is a results folder to keep things in."""
        return self.cache is not None and self.cache.parent.is_dir()

    def value(self, compute: Callable[[], Any], **parts: Any) -> Any:
        """What JSON can hold, as computed before from the same ``parts``, or else now."""
        if self.cache is None:
            return compute()
        path = self._path(**parts)
        key = path.stem
        try:
            kept = json.loads(path.read_bytes())
            if kept["sha256"] == digest(key, kept["value"]):
                return kept["value"]
            self.said(f"{path} is not what was kept and is made anew")
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            self.said(f"{path} cannot be read and is made anew")
        value = compute()
        write_text(path, json.dumps({"value": value, "sha256": digest(key, value)}))
        return value

    def _path(self, **parts: Any) -> Path:
        assert self.cache is not None
        return self.cache / "index" / f"{key_of(sealed=True, **parts)}.json"

    def faces(self, read: Callable[[], FaceSet], **parts: Any) -> FaceSet:
        """Faces as read before from the same ``parts``, mapped into memory, or else read now."""
        if self.cache is None:
            return read()
        cache = self.cache

        def keep() -> str:
            faces = read()
            save_faces(cache, faces, self.said)
            return faces.fingerprint

        fingerprint = self.value(keep, **parts)
        try:
            faces = map_faces(faces_folder(cache, fingerprint))
        except DamagedError as error:  # or deleted, unlike the entry that names it
            if discard(error.folder):
                self.said(str(error))
            self._path(**parts).unlink(missing_ok=True)
            fingerprint = self.value(keep, **parts)
            faces = map_faces(faces_folder(cache, fingerprint))
        self._readers.setdefault(fingerprint, read)
        return faces

    def sound(self, faces: FaceSet) -> FaceSet:
        """The same faces once all of their content is seen to be what was kept, pixels included.

        They are read anew where it is not.

        Raises
        ------
        BenchError
            The data that are read anew are others.
        """
        read = self._readers.get(faces.fingerprint)
        if self.cache is None or read is None:
            return faces
        try:
            return open_faces(self.cache, faces.fingerprint)
        except DamagedError as error:
            if discard(error.folder):
                self.said(str(error))
        again = read()
        if again.fingerprint != faces.fingerprint:
            raise BenchError(
                f"{faces.name}: its files have changed since it was read; run the same command "
                "again"
            )
        save_faces(self.cache, again)
        return open_faces(self.cache, faces.fingerprint)


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
