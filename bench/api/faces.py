"""FaceSet: what a dataset plug-in gives and everything downstream takes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from mmap import mmap

import numpy as np

from bench.api.errors import BenchError

LEFT_OUT, TRAIN, VALID, TEST = -1, 0, 1, 2
_BLOCK = 1 << 20  # bytes that are hashed at once

# What hashes into the fingerprint, in this order; notes are for people and do not.
_PER_ROW = (
    "ids",
    "images",
    "features",
    "labels",
    "distribution",
    "landmarks",
    "subject",
    "votes",
    "split",
)


@dataclass(frozen=True, eq=False)
class FaceSet:
    """Faces (or precomputed features) with their labels; arrays share the first axis.

    Attributes
    ----------
    name : str
        The dataset as the user named it.
    kind : {"multi", "single", "people"}
        Label sets, exactly one class per row, or no labels at all but ``subject``.
    label_names : tuple of str
        Names of the L labels, in column order.
    ids : str (n,)
        Unique within the set, normally the file's name.
    labels : bool (n, L)
    images : uint8 (n, H, W) or (n, H, W, 3), or None
    features : float (n, d), or None
        Given instead of images where a dataset ships vectors.
    distribution : float (n, L), rows summing to 1, or None
    landmarks : float (n, 5, 2), or None
        x, y in pixels of ``images``: left eye, right eye, nose tip, left and right mouth corner,
        left as seen in the image.
    subject : str (n,), or None
    votes : int (n, V), or None
    landmarks_found : bool (n,), or None
        False where ``landmarks`` are template positions, because no face was found; no part of the
        fingerprint.
    split : int8 (n,), or None
        The official part of each row: TRAIN, VALID, TEST or LEFT_OUT.
    synthetic : bool
        True where bench generated the data.
    notes : tuple of str
        What a reader should know of the data: counts, rows left out, disagreements of files.
    """

    name: str
    kind: str
    label_names: tuple[str, ...]
    ids: np.ndarray
    labels: np.ndarray
    images: np.ndarray | None = None
    features: np.ndarray | None = None
    distribution: np.ndarray | None = None
    landmarks: np.ndarray | None = None
    landmarks_found: np.ndarray | None = None
    subject: np.ndarray | None = None
    votes: np.ndarray | None = None
    split: np.ndarray | None = None
    synthetic: bool = False
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if (self.images is None) == (self.features is None):
            raise BenchError(f"{self.name}: a FaceSet holds either images or features")
        self._check_arrays()
        self._check_kind()

    def _check_arrays(self) -> None:
        """Raise `BenchError` where an array has another length, type or shape."""
        n = len(self.ids)
        for part in (*_PER_ROW, "landmarks_found"):
            array = getattr(self, part)
            if array is not None and len(array) != n:
                raise BenchError(f"{self.name}: {len(array)} rows of {part} for {n} ids")
        if self.labels.dtype != bool or self.labels.shape != (n, len(self.label_names)):
            raise BenchError(
                f"{self.name}: labels must be bool ({n}, {len(self.label_names)}), not "
                f"{self.labels.dtype} {self.labels.shape}"
            )
        if self.images is not None and (
            self.images.dtype != np.uint8
            or self.images.ndim not in (3, 4)
            or (self.images.ndim == 4 and self.images.shape[3] != 3)
        ):
            raise BenchError(
                f"{self.name}: images must be uint8 (n, H, W) or (n, H, W, 3), not "
                f"{self.images.dtype} {self.images.shape}"
            )

    def _check_kind(self) -> None:
        """Raise `BenchError` where the labels are not those of the kind."""
        if self.kind == "people" and (self.label_names or self.subject is None):
            raise BenchError(f"{self.name}: people have no labels, and a subject for each row")
        if self.kind == "single" and not (self.labels.sum(axis=1) == 1).all():
            raise BenchError(f"{self.name}: a single-label row has not exactly one class")

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray | slice) -> FaceSet:
        """The set of these rows alone, in this order; a slice of a memory map stays one."""
        parts = (*_PER_ROW, "landmarks_found")
        cut = {part: getattr(self, part)[rows] for part in parts if getattr(self, part) is not None}
        return replace(self, **cut)

    def noted(self, *notes: str) -> FaceSet:
        """The same faces with ``notes`` in the place of theirs; the fingerprint stays."""
        faces = replace(self, notes=notes)
        known = vars(self).get("fingerprint")
        return faces if known is None else faces.identified(known)

    def identified(self, fingerprint: str) -> FaceSet:
        """The same faces, trusted to have this fingerprint; their content is not looked at."""
        faces = replace(self)
        vars(faces)["fingerprint"] = fingerprint
        return faces

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over everything that can change a result, as 64 hexadecimal digits."""
        digest = hashlib.sha256(repr((self.kind, self.label_names, self.synthetic)).encode())
        for part in _PER_ROW:
            array = getattr(self, part)
            if array is None:
                digest.update(f"{part}:none;".encode())
                continue
            if array.dtype.kind in "US":
                joined = "\n".join(map(str, array))
                text = f"{part}:text:{len(array)};{joined}"
                digest.update(text.encode("utf-8", "surrogatepass"))  # names of any bytes
                continue
            digest.update(f"{part}:{array.dtype.str}:{array.shape};".encode())
            for block in _blocks(array):
                digest.update(block)
        return digest.hexdigest()


def _blocks(array: np.ndarray) -> Iterator[bytes | memoryview]:
    """The bytes of an array in C order.

    Of a mapped file they are read from it, block by block: to look at every page of the map would
    count the whole file as this process's memory.
    """
    if isinstance(array, np.memmap) and isinstance(array.base, mmap) and array.flags.c_contiguous:
        with open(str(array.filename), "rb") as file:
            file.seek(array.offset)
            left = array.nbytes
            while left and (block := file.read(min(left, _BLOCK))):
                left -= len(block)
                yield block
    else:
        yield np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
