"""Photographs as aligned faces, when a dataset is read.

Datasets of whole photographs offer it as ``align``: networks that were trained on aligned faces
(RAF-ML's) are to see others so too (S. Li and W. Deng, IJCV 127 (2019) 884–906, Sec. 6.1 and 6.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.api import BenchError
from bench.data import marker
from bench.data.files import sha256
from bench.data.images import read_images

SIDE = 100  # pixels, RAF-ML's
_NAMED = 3  # files that a sentence names


class AlignedFaces(NamedTuple):
    """Faces cut out of photographs, in their order.

    Attributes
    ----------
    images : uint8 (n, H, W)
    synthetic : bool
        Whether bench rendered any.
    note : str
        How they were aligned.
    """

    images: np.ndarray
    synthetic: bool
    note: str


def by_mtcnn(paths: Sequence[Path]) -> AlignedFaces:
    """Grey faces of 100×100 pixels, moved to RAF-ML's template by the landmarks that MTCNN finds.

    The transform is affine, as the paper's: both eyes and the mouth's middle lie exactly.

    Raises
    ------
    BenchError
        A photograph in which no face is seen.
    """
    # Imported here: they bring torch, which a dataset is listed without.
    from bench.data.alignment import align
    from bench.data.landmarks import detect

    photographs, synthetic = read_images(paths, colour="grey")
    landmarks, probability = detect(photographs)
    _refuse_faceless([paths[row] for row in np.flatnonzero(np.isnan(probability)).tolist()])
    faces = [
        align(image, points, SIDE) for image, points in zip(photographs, landmarks, strict=True)
    ]
    return AlignedFaces(
        np.stack(faces),
        synthetic,
        f"faces aligned to RAF-ML's template by MTCNN's landmarks (affine, {SIDE}×{SIDE} pixels)",
    )


def as_written(paths: Sequence[Path], folder: Path) -> AlignedFaces:
    """Grey faces that ``bench data align`` wrote into a folder, found by photographs' content.

    Raises
    ------
    BenchError
        A folder that the command did not write, a photograph that is not in it or has changed
        since, one in which no face was seen.
    """
    from bench.data.align_folder import TABLE, face_of, rows_of

    again = f"run bench data align --in {paths[0].parent} --out {folder}"
    if not (folder / TABLE).is_file():
        raise BenchError(f"{folder} holds no {TABLE}, no aligned faces: {again}")
    by_content = {row["sha256"]: row for row in rows_of(folder)}
    rows = []
    for path in paths:
        row = by_content.get(sha256(path))
        if row is None:
            raise BenchError(f"{folder / TABLE} has no row of {path} as it is now: {again}")
        rows.append(row)
    _refuse_faceless([p for p, row in zip(paths, rows, strict=True) if row["found"] != "1"])
    images, synthetic = read_images([face_of(folder, row) for row in rows], colour="grey")
    ways = sorted({f"{row['transform']}, {row['size']}×{row['size']} pixels" for row in rows})
    detectors = sorted({row["detector"] for row in rows})
    return AlignedFaces(
        images,
        synthetic or marker.is_synthetic(folder),
        f"faces aligned by bench data align ({'; '.join(ways)}; detector {', '.join(detectors)})",
    )


def _refuse_faceless(paths: Sequence[Path]) -> None:
    """Refuse photographs without a face: no other place of one is known."""
    if not paths:
        return
    named = ", ".join(str(path) for path in paths[:_NAMED])
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    raise BenchError(
        f"MTCNN sees no face in {named}{more}, so that they cannot be aligned: take align=none, or "
        "leave these photographs out"
    )
