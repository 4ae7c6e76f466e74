"""Writes a rendered FaceSet in the official on-disk layout of a dataset, marked as made by bench.

The other end of what the dataset plug-ins read: such a folder tests a loader, and stands in where
the real data is not at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from bench import __version__
from bench.api import TEST, TRAIN, BenchError, FaceSet
from bench.data import marker
from bench.data.images import SYNTHETIC_COMMENT

_MICRO = 1_000_000  # RAF-ML prints shares with six decimals
_QUALITY = 95


def write_raf_ml(faces: FaceSet, out: Path, params: Mapping[str, object] | None = None) -> None:
    """Write RAF-ML's layout: ``Image/aligned/0001_aligned.jpg`` and the three ``EmoLabel`` files.

    ``SYNTHETIC.json`` comes first and ``partition_label.txt`` last, so that what an interruption
    leaves is marked and not complete. Images are JPEG (quality 95, no chroma subsampling) with a
    comment that says that bench rendered them; ``Image/original`` is not written, since there is
    no picture beside the aligned one.

    Parameters
    ----------
    faces : FaceSet
        Synthetic, multi-label, with images (n, 100, 100, 3), a distribution over six labels and a
        split into train and test.
    out : Path
        New, or an empty folder.
    params : mapping, optional
        Parameters of the dataset (its seed among them), for `SYNTHETIC.json`.

    Raises
    ------
    BenchError
        Where ``faces`` is not such a set, or ``out`` is a file, not empty or cannot be written.
    """
    distribution, images, split = _parts_for_raf_ml(faces)
    try:
        _begin(faces, out, params)
        aligned, labels = out / "Image" / "aligned", out / "EmoLabel"
        aligned.mkdir(parents=True)
        labels.mkdir()
        names = [f"{number:04d}" for number in range(1, len(faces) + 1)]
        for name, pixels in zip(names, images, strict=True):
            _save(pixels, aligned / f"{name}_aligned.jpg")
        shares = [[f"{part / _MICRO:.6f}" for part in row] for row in _six_decimals(distribution)]
        _write(labels / "distribution.txt", names, shares)
        _write(labels / "multilabel.txt", names, faces.labels.astype(int).tolist())
        _write(labels / "partition_label.txt", names, (split == TEST).astype(int)[:, None].tolist())
    except OSError as error:
        raise _incomplete(error, out) from error


def _parts_for_raf_ml(faces: FaceSet) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distribution, images and split of a set that RAF-ML's layout can hold."""
    distribution, images, split = faces.distribution, faces.images, faces.split
    _refuse_real(faces)
    if distribution is None or images is None or split is None or distribution.shape[1] != 6:
        raise BenchError(
            f"{faces.name} cannot be written as raf-ml, which needs images, a distribution over "
            "six emotions and a split; use synthetic"
        )
    if faces.kind != "multi":
        raise BenchError(f"{faces.name} has one class per image, and raf-ml holds label sets")
    if not np.isin(split, (TRAIN, TEST)).all():
        raise BenchError(f"{faces.name} cannot be written as raf-ml, which has only train and test")
    return distribution, images, split


def _refuse_real(faces: FaceSet) -> None:
    if not faces.synthetic:
        raise BenchError(f"{faces.name} is real data: bench writes layouts of synthetic data only")


def write_people(faces: FaceSet, out: Path, params: Mapping[str, object] | None = None) -> None:
    """Write CASIA-WebFace's layout: a folder per person, ``person-001/0001.jpg``.

    ``SYNTHETIC.json`` comes first; images are written as `write_raf_ml` does.

    Parameters
    ----------
    faces : FaceSet
        Synthetic, of kind ``people``, with ids ``PERSON/IMAGE.jpg``.
    out : Path
        New, or an empty folder.
    params : mapping, optional
        Parameters of the dataset (its seed among them), for `SYNTHETIC.json`.

    Raises
    ------
    BenchError
        Where ``faces`` is not such a set, or ``out`` is a file, not empty or cannot be written.
    """
    _refuse_real(faces)
    if faces.kind != "people" or faces.images is None:
        raise BenchError(
            f"{faces.name} cannot be written as people, which needs pictures sorted by who is seen;"
            " use synthetic-people"
        )
    try:
        _begin(faces, out, params)
        for name, pixels in zip(faces.ids, faces.images, strict=True):
            path = out / str(name)
            path.parent.mkdir(exist_ok=True)
            _save(pixels, path)
    except OSError as error:
        raise _incomplete(error, out) from error


LAYOUTS: dict[str, Callable[..., None]] = {"raf-ml": write_raf_ml, "people": write_people}


def _begin(faces: FaceSet, out: Path, params: Mapping[str, object] | None) -> None:
    """An empty folder that says what it will hold."""
    _claim(out)
    marker.mark(
        out,
        version=__version__,
        dataset=faces.name,
        images=len(faces),
        params=dict(params or {}),
    )


def _save(pixels: np.ndarray, path: Path) -> None:
    """Write a JPEG that says that bench rendered it."""
    Image.fromarray(pixels).save(
        path, quality=_QUALITY, subsampling=0, comment=SYNTHETIC_COMMENT.encode()
    )


def _incomplete(error: OSError, out: Path) -> BenchError:
    return BenchError(
        f"{error.filename or out} cannot be written ({error.strerror}): what is in {out} is "
        "not complete; remove it and choose another --out or free some space"
    )


def _claim(out: Path) -> None:
    """Make the folder, or take an empty one."""
    if out.exists() and not out.is_dir():
        raise BenchError(f"{out} is a file: give --out a new folder")
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise BenchError(f"{out} is not empty: give --out a new or an empty folder")


def _six_decimals(distribution: np.ndarray) -> np.ndarray:
    """Shares (n, 6) in millionths that sum to one million, by largest remainders.

    A share of 1/6 is always 166,667, since 166,666 would lose its label to the 1/6 rule; the others
    make up for it (six sixths cannot, and sum to 1,000,002).
    """
    exact = distribution * _MICRO
    sixth = np.abs(distribution - 1 / 6) < 1e-9
    parts = np.where(sixth, 166_667, np.floor(exact + 1e-6)).astype(np.int64)
    for row, rest in enumerate(_MICRO - parts.sum(axis=1)):
        others = np.flatnonzero(~sixth[row])
        by_remainder = others[np.argsort(parts[row, others] - exact[row, others], kind="stable")]
        parts[row, by_remainder[:rest] if rest >= 0 else by_remainder[rest:]] += np.sign(rest)
    return parts


def _write(path: Path, names: list[str], rows: Sequence[Sequence[object]]) -> None:
    """One line per image: its name and its fields, blank separated."""
    lines = (f"{name}.jpg {' '.join(map(str, row))}" for name, row in zip(names, rows, strict=True))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
