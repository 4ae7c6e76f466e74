"""What cells share on disk: the faces as loaded, and features computed once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.api import BenchError, FaceSet
from bench.run.sealed import DamagedError, check, discard, keep, open_array, write_array

CHUNK = 512  # faces handed to a method at once: memory is bounded by this, not by the dataset
LARGE = ("images.npy", "features.npy")  # of kept faces: what a plan does not look at


def faces_folder(cache: Path, fingerprint: str) -> Path:
    """Where faces are kept."""
    return cache / "faces" / fingerprint


def save_faces(
    cache: Path, faces: FaceSet, said: Callable[[str], None] = lambda sentence: None
) -> None:
    """Keep the faces so that workers map them into memory instead of reading the dataset again.

    Where they are kept already that is enough; a damaged folder is told to ``said`` and replaced.
    """
    folder = faces_folder(cache, faces.fingerprint)
    try:
        check(folder)
        return
    except DamagedError as error:
        if discard(folder):
            said(str(error))

    def fill(temporary: Path) -> None:
        plain: dict[str, Any] = {}
        for part in fields(FaceSet):
            value = getattr(faces, part.name)
            if isinstance(value, np.ndarray):
                if value.dtype == object:
                    value = value.astype(np.str_)
                write_array(temporary / f"{part.name}.npy", value)
            else:
                plain[part.name] = value
        (temporary / "faces.json").write_text(json.dumps(plain), encoding="utf-8")

    keep(folder, fill)


def open_faces(cache: Path, fingerprint: str) -> FaceSet:
    """Map kept faces into memory, read-only, once their content is seen to be what was kept.

    A process looks at the content once, and again where a file has changed.

    Raises
    ------
    DamagedError
        It is not.
    """
    folder = faces_folder(cache, fingerprint)
    return _mapped(folder, check(folder))


def map_faces(folder: Path) -> FaceSet:
    """Map kept faces into memory, read-only, without a look at their pixels or vectors.

    Raises
    ------
    DamagedError
        Their labels, or anything else but that, are not what was kept.
    """
    return _mapped(folder, check(folder, LARGE))


def _mapped(folder: Path, files: Mapping[str, Any]) -> FaceSet:
    plain = json.loads((folder / "faces.json").read_text(encoding="utf-8"))
    for part in ("label_names", "notes"):
        plain[part] = tuple(plain[part])
    arrays = {
        name.removesuffix(".npy"): open_array(folder, name, files)
        for name in files
        if name.endswith(".npy")
    }
    return FaceSet(**{**plain, **arrays}).identified(folder.name)


def with_landmarks(folder: Path, faces: FaceSet, device: str) -> FaceSet:
    """The faces with landmarks found in their images; searched once, kept in ``folder``."""
    # Imported here: the detector brings torch.
    from bench.data.landmarks import detector_code, find_landmarks

    place = folder / f"{faces.fingerprint}-{detector_code()}"

    def fill(temporary: Path) -> None:
        assert faces.images is not None
        landmarks, found = find_landmarks(faces.images, device)
        write_array(temporary / "landmarks.npy", landmarks)
        write_array(temporary / "found.npy", found)

    try:
        files = check(place)
    except DamagedError:  # or not there yet
        discard(place)
        keep(place, fill)
        files = check(place)
    landmarks, found = (open_array(place, f"{name}.npy", files) for name in ("landmarks", "found"))
    return replace(faces, landmarks=np.array(landmarks), landmarks_found=np.array(found))


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
            write_array(temporary / f"{name}.npy", np.concatenate(parts))
        (temporary / "about.json").write_text(json.dumps(about()), encoding="utf-8")

    keep(folder, fill)


def open_features(folder: Path) -> KeptFeatures:
    """Map kept features into memory, read-only, once their content is seen to be what was kept.

    Raises
    ------
    DamagedError
        It is not, or they are not there.
    """
    files = check(folder)
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))

    def optional(name: str) -> np.ndarray | None:
        array = open_array(folder, name, files)
        return None if array is None else np.array(array)

    matrix = open_array(folder, "matrix.npy", files)
    assert matrix is not None
    return KeptFeatures(
        matrix,
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
