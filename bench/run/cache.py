"""What cells share on disk: the faces as loaded, and features computed once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from bench.api import BenchError, FaceSet
from bench.data.files import build_folder, whole

CHUNK = 512  # faces handed to a method at once: memory is bounded by this, not by the dataset
# What reading damaged or missing files of faces raises.
UNREADABLE = (OSError, ValueError, EOFError, KeyError, TypeError, BenchError)


def faces_folder(cache: Path, fingerprint: str) -> Path:
    """Where faces are kept."""
    return cache / "faces" / fingerprint


def save_faces(cache: Path, faces: FaceSet) -> None:
    """Keep the faces so that workers map them into memory instead of reading the dataset again."""
    folder = faces_folder(cache, faces.fingerprint)

    def fill(temporary: Path) -> None:
        plain: dict[str, Any] = {}
        for part in fields(FaceSet):
            value = getattr(faces, part.name)
            if isinstance(value, np.ndarray):
                if value.dtype == object:
                    value = value.astype(np.str_)
                np.save(temporary / f"{part.name}.npy", value, allow_pickle=False)
            else:
                plain[part.name] = value
        (temporary / "faces.json").write_text(json.dumps(plain), encoding="utf-8")

    if not folder.exists():
        build_folder(folder, fill)


def open_faces(cache: Path, fingerprint: str) -> FaceSet:
    """Map kept faces into memory, read-only, once their content is seen to have the fingerprint.

    A process looks at the content once, and again where a file has changed.

    Raises
    ------
    BenchError
        The content is not what the fingerprint names.
    """
    folder = faces_folder(cache, fingerprint)
    files = sorted((file.name, file.stat()) for file in folder.iterdir())
    state = tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in files)
    return _verified(folder, fingerprint, state)


@lru_cache(maxsize=8)
def _verified(folder: Path, fingerprint: str, state: tuple[tuple[str, int, int], ...]) -> FaceSet:
    damaged = BenchError(
        f"{folder} does not hold the faces that it is named after: delete it and run the same "
        "command again"
    )
    try:
        faces = map_faces(folder)
    except UNREADABLE as error:
        raise damaged from error
    if faces.fingerprint != fingerprint:
        raise damaged
    return faces


def map_faces(folder: Path) -> FaceSet:
    """Map kept faces into memory, read-only, without a look at their content."""
    plain = json.loads((folder / "faces.json").read_text(encoding="utf-8"))
    arrays = {
        file.stem: np.load(file, mmap_mode="r", allow_pickle=False) for file in folder.glob("*.npy")
    }
    for part in ("label_names", "notes"):
        plain[part] = tuple(plain[part])
    return FaceSet(**{**plain, **arrays})


def with_landmarks(folder: Path, faces: FaceSet, device: str) -> FaceSet:
    """The faces with landmarks found in their images; searched once, kept in ``folder``."""
    # Imported here: the detector brings torch.
    from bench.data.landmarks import detector_code, find_landmarks

    path = folder / f"{faces.fingerprint[:32]}-{detector_code()}.npz"
    if not path.is_file():
        assert faces.images is not None
        landmarks, found = find_landmarks(faces.images, device)
        with whole(path) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, landmarks=landmarks, found=found)
    with np.load(path, allow_pickle=False) as kept:
        return replace(faces, landmarks=kept["landmarks"], landmarks_found=kept["found"])


@dataclass(frozen=True)
class KeptFeatures:
    """Features on disk, rows in the dataset's order, and what the record of a cell takes of them.

    Attributes
    ----------
    matrix : float32 or float64 (n, d)
    scores, labels, distribution : (n, L) or None
        A network's own output.
    seconds : dict
        ``features``.
    """

    matrix: np.ndarray
    scores: np.ndarray | None
    labels: np.ndarray | None
    distribution: np.ndarray | None
    seconds: dict[str, float]
    device: str
    notes: tuple[str, ...]
    footnotes: tuple[str, ...]
    measures: dict[str, float]
    learned_weights: int
    curve: str


# What a classifier that needs no features starts from.
NO_FEATURES = KeptFeatures(
    np.empty((0, 0), np.float32), None, None, None, {}, "cpu", (), (), {}, 0, ""
)


def save_features(
    folder: Path,
    rows: int,
    chunks: Iterator[tuple[np.ndarray, Mapping[str, np.ndarray | None]]],
    about: Callable[[], dict[str, Any]],
) -> None:
    """Write features chunk by chunk; ``about`` is asked at the end (seconds, notes).

    A chunk is the vectors of some rows and, by name, what else there is of them.

    Plain writes, not a writable memory map: on a full disk a map kills the process without a word.
    """

    def fill(temporary: Path) -> None:
        outputs: dict[str, list[np.ndarray]] = {}
        kind, written = None, 0
        with (temporary / "matrix.npy").open("wb") as file:
            for matrix, others in chunks:
                if kind is None:
                    kind = (matrix.dtype, matrix.shape[1])
                    header = {
                        "descr": np.lib.format.dtype_to_descr(matrix.dtype),
                        "fortran_order": False,
                        "shape": (rows, matrix.shape[1]),
                    }
                    np.lib.format.write_array_header_1_0(file, header)
                if kind != (matrix.dtype, matrix.shape[1]):
                    raise BenchError(
                        f"transform gave {matrix.dtype} of width {matrix.shape[1]} after "
                        f"{kind[0]} of width {kind[1]}; every call must give the same"
                    )
                file.write(np.ascontiguousarray(matrix).data)
                written += len(matrix)
                for name, array in others.items():
                    if array is not None:
                        outputs.setdefault(name, []).append(array)
        assert written == rows
        for name, parts in outputs.items():
            np.save(temporary / f"{name}.npy", np.concatenate(parts), allow_pickle=False)
        (temporary / "about.json").write_text(json.dumps(about()), encoding="utf-8")

    build_folder(folder, fill)


def open_features(folder: Path) -> KeptFeatures:
    """Map kept features into memory, read-only."""
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))

    def optional(name: str) -> np.ndarray | None:
        file = folder / name
        return np.load(file, allow_pickle=False) if file.is_file() else None

    return KeptFeatures(
        np.load(folder / "matrix.npy", mmap_mode="r", allow_pickle=False),
        optional("scores.npy"),
        optional("labels.npy"),
        optional("distribution.npy"),
        {"features": about["seconds"]},
        about["device"],
        tuple(about["notes"]),
        tuple(about["footnotes"]),
        about["measures"],
        about["learned_weights"],
        about["curve"],
    )
