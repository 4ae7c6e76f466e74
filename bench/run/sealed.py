"""Kept folders under a seal: what is in them, by hash, so that damage is a miss and no number.

A folder of the cache holds arrays and JSON, and in `SEAL` the name of the folder, and of each file
its size, its SHA-256 and, of an array, type and shape. Who makes a number of it looks at all that
first (`check`), once in a process while sizes and times of change stay the same.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.api import BenchError
from bench.data.files import build_folder, sha256

SEAL = "seal.json"
_BLOCK = 1 << 22  # bytes of an array that are written at once

# What has been seen to be in order: folder, state of its files, files whose content was not read.
_State = tuple[tuple[str, int, int], ...]
_seen: set[tuple[Path, _State, frozenset[str]]] = set()


class DamagedError(BenchError):
    """A kept folder is not what was kept: what is in it has to be made anew.

    Attributes
    ----------
    folder : Path
    what : str
        What is wrong with it.
    """

    def __init__(self, folder: Path, what: str) -> None:
        super().__init__(folder, what)  # as arguments, so that it can be pickled
        self.folder, self.what = folder, what

    def __str__(self) -> str:
        return f"{self.folder} is not what was kept ({self.what}) and is made anew"


def keep(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a folder, seal it and move it into place; one that is there already is kept."""

    def sealed(temporary: Path) -> None:
        fill(temporary)
        files = {file.name: _described(file) for file in sorted(temporary.iterdir())}
        seal = {"folder": folder.name, "files": files, "sha256": digest(folder.name, files)}
        (temporary / SEAL).write_text(json.dumps(seal, indent=1), encoding="utf-8")

    build_folder(folder, sealed)
    _seen.add((folder, _state(folder), frozenset()))


def _described(file: Path) -> dict[str, Any]:
    """What a seal says of a file."""
    about: dict[str, Any] = {"bytes": file.stat().st_size, "sha256": sha256(file)}
    if file.suffix == ".npy":
        array = np.load(file, mmap_mode="r", allow_pickle=False)
        about |= {"dtype": array.dtype.str, "shape": list(array.shape)}
    return about


def write_array(file: Path, array: np.ndarray) -> None:
    """Write an array as ``.npy``; a full disk is told as such, unlike by `numpy.save`."""
    array = np.asarray(array)
    with file.open("wb") as target:
        header = {
            "descr": np.lib.format.dtype_to_descr(array.dtype),
            "fortran_order": False,
            "shape": array.shape,
        }
        np.lib.format.write_array_header_1_0(target, header)
        rows = max(1, _BLOCK // max(1, array.nbytes // max(1, len(array)))) if array.ndim else 1
        for start in range(0, len(array) if array.ndim else 1, rows):
            block = array[start : start + rows] if array.ndim else array
            target.write(np.ascontiguousarray(block).tobytes())


def check(folder: Path, unread: Collection[str] = ()) -> Mapping[str, Any]:
    """What the seal of a folder says of its files, once these are seen to be what it says.

    Parameters
    ----------
    unread : collection of str
        Files whose size alone is looked at: a plan needs labels, and no gigabytes of images.

    Raises
    ------
    DamagedError
        A file is missing, too many, or has another content; there is no seal, or that of another
        folder.
    """
    try:
        state = _state(folder)
        seal = json.loads((folder / SEAL).read_bytes())
        files = seal["files"]
        if seal["sha256"] != digest(seal["folder"], files):
            raise DamagedError(folder, "its seal is damaged")
        if seal["folder"] != folder.name:
            raise DamagedError(folder, f"it is a copy of {seal['folder']}")
        found = {name for name, _, _ in state} - {SEAL}
        for name in sorted(found ^ set(files)):
            raise DamagedError(folder, f"{name} is {'missing' if name in files else 'too many'}")
        if (folder, state, frozenset(unread)) not in _seen and (
            (folder, state, frozenset()) not in _seen
        ):
            for name, about in files.items():
                _compare(folder, name, about, name in unread)
            _seen.add((folder, state, frozenset(unread)))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        missing = getattr(error, "errno", None) in (errno.ENOENT, errno.ENOTDIR)
        why = "its seal is missing" if missing else f"its seal cannot be read: {error}"
        raise DamagedError(folder, why) from error
    return files


def _compare(folder: Path, name: str, about: Mapping[str, Any], unread: bool) -> None:
    """Raise `DamagedError` unless a file is what the seal says of it."""
    if (folder / name).stat().st_size != about["bytes"]:
        raise DamagedError(folder, f"{name} has another size than when it was kept")
    if not unread and sha256(folder / name) != about["sha256"]:
        raise DamagedError(folder, f"{name} has another content than when it was kept")


def open_array(folder: Path, name: str, files: Mapping[str, Any]) -> np.ndarray | None:
    """Map an array of a checked folder into memory, read-only; None where there is no such array.

    Raises
    ------
    DamagedError
        Its type or shape is not the sealed one.
    """
    about = files.get(name)
    if about is None:
        return None
    try:
        array = np.load(folder / name, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DamagedError(folder, f"{name} cannot be read: {error}") from error
    if (array.dtype.str, list(array.shape)) != (about["dtype"], about["shape"]):
        raise DamagedError(folder, f"{name} has another type or shape than when it was kept")
    return array


def is_kept(folder: Path, unread: Collection[str] = ()) -> bool:
    """Whether a folder is there and in order; see `check`."""
    try:
        check(folder, unread)
    except DamagedError:
        return False
    return True


def discard(folder: Path) -> bool:
    """Remove a kept folder, or whatever stands in its place; whether there was anything."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink(missing_ok=True)
        return True
    there = folder.exists()
    shutil.rmtree(folder, ignore_errors=True)
    return there


def digest(*values: Any) -> str:
    """SHA-256 of what JSON can hold."""
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _state(folder: Path) -> _State:
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.stat()) for entry in entries]
    return tuple(sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in found))
