"""Files that are either whole or not there, and their hashes; every room writes through here."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from bench.api import BenchError

_LITTER = {
    *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"),
    *("$recycle.bin", "system volume information", "@eadir"),
}


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name is none of the user's, but left by a system.

    Hidden ones: macOS writes ``._NAME`` beside NAME into archives and onto foreign disks, and
    ``.DS_Store``. And ``__MACOSX``, ``Thumbs.db``, ``desktop.ini`` and the like, in any case.
    """
    return name.startswith(".") or name.lower() in _LITTER


class DiskFullError(BenchError):
    """No room left: nothing more can be computed until there is."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` and move it into place on success.

    Raises
    ------
    DiskFullError
        Where the disk is full; the temporary file is removed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise explained(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole (UTF-8, LF)."""
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def build_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Fill a temporary folder and move it to ``path``; one that is there already is kept."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        fill(temporary)
        if not path.exists():
            os.rename(temporary, path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not path.is_dir():
            raise explained(error, path) from error  # else another process was quicker
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_once(path: Path) -> str:
    """`sha256`, computed once per process while the file's time and size stay the same.

    Raises
    ------
    BenchError
        A file that cannot be read.
    """
    try:
        status = path.stat()
        return _sha256(path.absolute(), status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise BenchError(
            f"{path} cannot be read ({error.strerror or error}): check the file"
        ) from error


@cache
def _sha256(path: Path, changed: int, size: int) -> str:
    return sha256(path)


def explained(error: OSError, path: Path) -> BenchError:
    """The sentence for a file that could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            f"disk full while writing {path}: free some space and run the same command again; "
            "what is finished is kept"
        )
    return BenchError(f"cannot write {path}: {error.strerror or error}")
