"""The results folder: immutable records, scores, caches, a lock and a rebuildable index."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench import __version__
from bench.api import BenchError
from bench.data.files import explained, sha256, whole, write_text
from bench.run.job import SCHEMA
from bench.run.printable import printable
from bench.run.record import OLDER_SCHEMAS, Record, RecordError
from bench.run.scoring import Stored


@dataclass(frozen=True)
class _About:
    """What ``bench.json`` says of a results folder."""

    schema: int
    made_by: str | None = None


class DamagedScoresError(BenchError):
    """Stored scores are not those that a record was made from; ``where`` is the file."""

    def __init__(self, where: Path) -> None:
        super().__init__(f"{where} is damaged: delete {where.parent} and run the cell again")
        self.where = where


class Store:
    """One results folder.

    ``runs/<key>/record.json`` is the truth, one per cell, beside ``scores.npz``; ``cache/`` and
    ``index.sqlite`` can be deleted at any time. ``training/`` holds networks: checkpoints while
    they train, weights (not at ``smoke``) and learning curves afterwards. ``tuning/`` is a folder
    of the same kind.

    Parameters
    ----------
    root : Path
        Created on first use of `open`.
    cache : Path, optional
        Where faces and features are kept; ``root/cache`` unless it is another folder's.
    """

    def __init__(self, root: Path, cache: Path | None = None) -> None:
        # Once and for all: a plug-in may change the working folder.
        self.root = Path(root).absolute()
        self.runs = self.root / "runs"
        self.cache = self.root / "cache" if cache is None else cache
        self.training = self.root / "training"
        self.tables = self.root / "tables"
        self._index = self.root / "index.sqlite"

    @property
    def tuning(self) -> Store:
        """The cells on inner folds, which no table of this folder shows; features are shared."""
        return Store(self.root / "tuning", self.cache)

    def open(self) -> None:
        """Make the folder, or check that this version can use it.

        Raises
        ------
        BenchError
            No permission, or a folder written by another version.
        """
        about = self.root / "bench.json"
        schema = self.check() if about.is_file() else None
        if schema is None:
            try:
                self.runs.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise BenchError(
                    f"cannot use the results folder {self.root}: {error.strerror}; name another "
                    "with --results"
                ) from error
        if not os.access(self.root, os.W_OK):
            raise BenchError(
                f"cannot write to the results folder {self.root}: permission denied; name another "
                "with --results"
            )
        if schema != SCHEMA:  # new, or from here on not for the older version
            write_text(about, json.dumps({"schema": SCHEMA, "made_by": __version__}) + "\n")

    def check(self) -> int | None:
        """The schema of a results folder that this version reads; None where it does not say.

        Raises
        ------
        BenchError
            No results folder, or that of a version which this one does not know.
        """
        about = self.root / "bench.json"
        if not about.is_file():
            if not self.runs.is_dir():
                raise BenchError(f"{self.root} is no results folder: make one with bench run")
            return None
        try:
            folder = msgspec.json.decode(about.read_bytes(), type=_About)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BenchError(f"{about} cannot be read ({error}); delete it") from error
        if folder.schema not in (*OLDER_SCHEMAS, SCHEMA):
            raise BenchError(
                f"{self.root} was written by bench {folder.made_by} (schema {folder.schema}, this "
                f"version uses {SCHEMA}): use that version, or another folder with --results"
            )
        return folder.schema

    # -- the lock ---------------------------------------------------------------------------

    @contextmanager
    def locked(self, waiting: Callable[[str], None]) -> Iterator[None]:
        """Hold the folder; while another process does, say so once through ``waiting``.

        The kernel drops the lock when its process ends, however it ends.
        """
        path = self.root / "lock"
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise explained(error, path) from error
        try:
            said = False
            while not _taken(file, path):
                if not said:
                    holder = os.pread(file, 4096, 0).decode("utf-8", "backslashreplace").strip()
                    waiting(holder or "another process")
                    said = True
                time.sleep(0.2)
            words = printable(" ".join(["bench", *sys.argv[1:]]))
            try:
                os.ftruncate(file, 0)
                os.pwrite(file, f"process {os.getpid()} ({words})\n".encode(), 0)
            except OSError as error:
                raise explained(error, path) from error
            yield
            os.ftruncate(file, 0)
        finally:
            os.close(file)

    # -- records ----------------------------------------------------------------------------

    def read(self, key: str) -> Record | None:
        """The record of a cell, or None where there is none yet.

        Raises
        ------
        RecordError
            There is a file, and it is not the record of this cell.
        """
        path = self._path(key)
        content = _content(path)
        return None if content is None else Record.from_json(content, path, key)

    def has(self, key: str) -> bool:
        """Whether a cell has a record."""
        try:
            return self.read(key) is not None
        except RecordError:
            return False

    def write(self, record: Record) -> None:
        """Put a record in place; the last thing written for a cell."""
        write_text(self._path(record.key), record.to_json())

    def _path(self, key: str) -> Path:
        return self.runs / key / "record.json"

    def write_scores(
        self,
        key: str,
        ids: np.ndarray,
        truth: np.ndarray,
        scores: np.ndarray | None,
        labels: np.ndarray | None,
        distribution_truth: np.ndarray | None = None,
        distribution: np.ndarray | None = None,
        clusters: np.ndarray | None = None,
    ) -> str:
        """Store what the criteria are computed from; returns the file's SHA-256."""
        given = Stored(truth, scores, labels, distribution_truth, distribution, clusters)._asdict()
        arrays = {"ids": np.asarray(ids, dtype=np.str_)}
        arrays |= {name: array for name, array in given.items() if array is not None}
        path = self.runs / key / "scores.npz"
        with whole(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        return sha256(path)

    def scores(self, record: Record) -> Stored | None:
        """What a cell's criteria are computed from; None where it is not stored.

        Raises
        ------
        DamagedScoresError
            The file is not the one that the record was made from.
        """
        path = self.runs / record.key / "scores.npz"
        if not path.is_file():
            return None
        if sha256(path) != record.scores_sha256:
            raise DamagedScoresError(path)
        with np.load(path, allow_pickle=False) as stored:
            return Stored(*(stored.get(name) for name in Stored._fields))

    def ids(self, record: Record) -> np.ndarray:
        """Of the test images of a cell whose scores are stored, str (n,)."""
        path = self.runs / record.key / "scores.npz"
        with np.load(path, allow_pickle=False) as stored:
            return np.asarray(stored["ids"])

    def records(self, damaged: Callable[[RecordError], None] | None = None) -> list[Record]:
        """All records, sorted by key; unchanged ones come from the index without opening files.

        Parameters
        ----------
        damaged : callable or None
            Told of each file that is no record, which is then left out.

        Raises
        ------
        RecordError
            Of the first such file, where nobody is told.
        """
        return [record for _, _, record in self._all(damaged)]

    def _all(
        self, damaged: Callable[[RecordError], None] | None
    ) -> Iterator[tuple[os.stat_result, bytes, Record]]:
        """Every record with its file's state and bytes."""
        known = self._indexed()
        for path in sorted(self.runs.glob("*/record.json")):
            try:
                state = path.stat()
                entry = known.get((path.parent.name, state.st_mtime_ns, state.st_size))
                found = None if entry is None else _read(entry, path)
                if found is None and (content := _content(path)) is not None:
                    found = content, Record.from_json(content, path, path.parent.name)
            except FileNotFoundError:
                continue
            except RecordError as error:
                if damaged is None:
                    raise
                damaged(error)
                continue
            if found is not None:
                yield state, *found

    # -- the index --------------------------------------------------------------------------

    def _indexed(self) -> dict[tuple[str, int, int], bytes]:
        """What record files hold, by key, time of change and size.

        SQLite does not notice a changed byte in its file. What has another hash than it was stored
        with is passed over, so that the record itself is read, and `rebuild` mends the index.
        """
        if not self._index.is_file():
            return {}
        try:
            with closing(sqlite3.connect(f"{self._index.as_uri()}?mode=ro", uri=True)) as base:
                rows = base.execute(
                    "SELECT key, mtime_ns, size, body, sha256 FROM record"
                ).fetchall()
        except (sqlite3.Error, ValueError, OverflowError, MemoryError):
            return {}
        return {
            (key, changed, size): body
            for key, changed, size, body, digest in rows
            if isinstance(body, bytes) and digest == _row_digest(key, body)
        }

    def rebuild(self) -> None:
        """Make the index anew from the records (the lock's holder calls this)."""
        rows = []
        for state, content, record in self._all(damaged=lambda error: None):
            cell, key = record.cell, record.key
            about = (cell.dataset, cell.features, cell.classifier, record.status)
            digest = _row_digest(key, content)
            rows.append((key, state.st_mtime_ns, state.st_size, *about, content, digest))
        try:
            with whole(self._index) as temporary, closing(sqlite3.connect(temporary)) as base:
                base.execute("PRAGMA journal_mode = OFF")  # a temporary file has no past
                base.execute(
                    "CREATE TABLE record (key TEXT PRIMARY KEY, mtime_ns INTEGER, size INTEGER, "
                    "dataset TEXT, features TEXT, classifier TEXT, status TEXT, body BLOB, "
                    "sha256 TEXT)"
                )
                base.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
                base.commit()
        except sqlite3.Error as error:
            full = "full" in str(error)
            code = errno.ENOSPC if full else errno.EIO
            raise explained(OSError(code, str(error)), self._index) from error

    def remove(self, key: str) -> None:
        """Remove a cell's record and scores; caches and trained networks stay.

        The lock's holder calls this, and `rebuild` once all are gone.
        """
        # What says that there is a result goes first: an interruption leaves no record without
        # scores.
        folder = self.runs / key
        for path in (self._path(key), folder / "scores.npz"):
            path.unlink(missing_ok=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    def remove_weights(self, key: str) -> None:
        """Remove every checkpoint of a training and of its phases; curves and events stay."""
        for pattern in ("epoch-[0-9]*.json", "*.safetensors"):  # what names files before the files
            for path in (self.training / key).rglob(pattern):
                path.unlink()

    def sweep(self) -> None:
        """Remove what killed processes left half-written (the lock's holder calls this)."""
        for depth in ("", "*/", "*/*/"):
            for leftover in self.root.glob(f"{depth}.*.tmp"):
                if leftover.is_dir():
                    shutil.rmtree(leftover, ignore_errors=True)
                else:
                    leftover.unlink(missing_ok=True)


def _taken(file: int, path: Path) -> bool:
    """Whether the lock could be had; False while another process has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise BenchError(
            f"{path} cannot be locked ({error.strerror or error}): {path.parent} lies on a file "
            "system without locks; name a local folder with --results"
        ) from error
    return True


def _content(path: Path) -> bytes | None:
    """The bytes of a record's file; None where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordError(path, f"it cannot be read: {error.strerror or error}") from error


def _read(content: bytes, path: Path) -> tuple[bytes, Record] | None:
    """A record as the index has it; None where that is none: its file has the last word."""
    try:
        return content, Record.from_json(content, path, path.parent.name)
    except RecordError:
        return None


def _row_digest(key: Any, content: bytes) -> str:
    """SHA-256 of what a row of the index holds."""
    return hashlib.sha256(f"{key}\n".encode(errors="replace") + content).hexdigest()
