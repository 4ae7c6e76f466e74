"""JAFFE: 213 posed photographs of ten women, each rated on six emotions by 60 viewers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.api import BenchError, Dataset, FaceSet, param
from bench.data import marker
from bench.data.aligned import as_written, by_mtcnn
from bench.data.images import read_images
from bench.data.predominant import predominant
from bench.data.text import differences, find_root, numbers, read_lines, shortened

# RAF-ML's order, and the rating table's name of each.
EMOTIONS = {
    "surprise": "SUR",
    "fear": "FEA",
    "disgust": "DIS",
    "happiness": "HAP",
    "sadness": "SAD",
    "anger": "ANG",
}
_READMES = ("README_FIRST.txt", "A_README_FIRST.txt")


class Jaffe(Dataset):
    """M. Lyons, M. Kamachi and J. Gyoba (1998), labels by Li and Deng, IJCV 127 (2019) 884–906.

    Reads ``SUBJECT.POSE.INDEX.tiff`` (256×256, whole photographs) and the first rating table of the
    readme, joined by INDEX, since names disagree in places. An emotion is present
    where its mean rating (1 to 5) exceeds ``threshold``, strictly; images with none are left out,
    which leaves 188. The distribution is the ratings over their sum. There is no official split.
    ``labels=predominant`` gives one class per image instead (`bench.data.predominant`).

    ``align=mtcnn`` cuts the faces out and moves them to RAF-ML's template, as that paper does with
    both datasets before it tries one's networks on the other (Sec. 6.1 and 6.5): by the landmarks
    that MTCNN finds as the photographs are read. ``align=given`` takes what ``bench data align``
    wrote of them, into ``ROOT/aligned`` or, beside photographs that lie in ROOT itself, into
    ``ROOT-aligned``. The notes of a record say how faces were aligned.
    """

    name = "jaffe"
    protocols = ()
    obtain = (
        "Request it from Zenodo (record 3451524; research only), unpack jaffe.zip, put "
        "README_FIRST.txt beside the images, and pass that folder as --root."
    )
    threshold: float = param(3.0, ge=1, lt=5, help="an emotion is present above this mean rating")
    labels: str = param(
        "set",
        choices=("set", "predominant"),
        help="predominant: one class per image, the largest share of its distribution",
    )

    align: str = param(
        "none",
        choices=("none", "mtcnn", "given"),
        help="none: whole photographs; given: faces that bench data align wrote",
    )

    def load(self, root: Path | None, protocol: str = "") -> FaceSet:
        root = find_root(root, self.name, ("*README_FIRST.txt",))
        paths, rated, imageless = _rated_images(root)
        present = rated > self.threshold
        kept = np.flatnonzero(present.any(axis=1))
        if not len(kept):
            raise BenchError(f"jaffe[threshold={self.threshold:g}] keeps no image; lower it")
        images, rendered, aligned = self._faces(root, [paths[row] for row in kept])
        names = [paths[row].name for row in kept]
        faces = FaceSet(
            name=self.name,
            kind=self.kind,
            label_names=tuple(EMOTIONS),
            ids=np.array(names),
            labels=present[kept],
            images=images,
            distribution=rated[kept] / rated[kept].sum(axis=1, keepdims=True),
            subject=np.array([name.split(".")[0] for name in names]),
            synthetic=marker.is_synthetic(root) or rendered,
            notes=(
                f"{len(kept)} of {len(paths)} images have a rating above {self.threshold:g}, "
                f"{len(paths) - len(kept)} are left out; {imageless} rated stimuli have no image",
                *aligned,
            ),
        )
        return predominant(faces) if self.labels == "predominant" else faces

    def _faces(self, root: Path, paths: Sequence[Path]) -> tuple[np.ndarray, bool, tuple[str, ...]]:
        """Grey images, whether bench rendered any, and a note on how they were aligned."""
        if self.align == "none":
            return *read_images(paths, colour="grey"), ()
        if self.align == "mtcnn":
            faces = by_mtcnn(paths)
        else:
            beside = root.resolve()
            folders = (root / "aligned", beside.with_name(f"{beside.name}-aligned"))
            there = next(filter(Path.is_dir, folders), folders[int(paths[0].parent == root)])
            faces = as_written(paths, there)
        return faces.images, faces.synthetic, (faces.note,)

    def check(self, faces: FaceSet) -> list[str]:
        """Counts of the RAF-ML paper's rule (ratings above 3)."""
        if self.threshold != 3.0:
            return []
        assert faces.subject is not None
        subjects = ([len(np.unique(faces.subject))], [10])
        if faces.kind == "single":  # the paper counts label sets only
            return differences({"images": ([len(faces)], [188]), "subjects": subjects})
        return differences(
            {
                "images": ([len(faces)], [188]),
                "labels": (faces.labels.sum(axis=0).tolist(), [58, 44, 96, 40, 65, 55]),
                "images with 1 to 6 labels": (
                    np.bincount(faces.labels.sum(axis=1), minlength=7)[1:].tolist(),
                    [84, 56, 32, 14, 2, 0],
                ),
                "subjects": subjects,
            }
        )


def _rated_images(root: Path) -> tuple[list[Path], np.ndarray, int]:
    """Images in the order of INDEX, their mean ratings (n, 6), and how many rated have no image."""
    table = next(root / name for name in _READMES if (root / name).is_file())
    ratings, files = _read_ratings(table), _image_files(root)
    for index, path in files.items():
        if index not in ratings:
            raise BenchError(
                f"{path} has no row {index} in {table}; remove the image or unpack again"
            )
    rated = np.array([ratings[index] for index in files])
    return list(files.values()), rated, len(ratings) - len(files)


def _image_files(root: Path) -> dict[int, Path]:
    """Images by INDEX, the third part of ``SUBJECT.POSE.INDEX.tiff``, in its order.

    They lie in ``root``, or in ``root/jaffe`` or ``root/jaffedbase``, as the archives unpack.
    """
    tiffs = next(filter(None, map(_tiffs, (root, root / "jaffe", root / "jaffedbase"))), None)
    if tiffs is None:
        raise BenchError(f"{root} holds no .tiff images, nor does {root / 'jaffe'}: unpack them")
    files: dict[int, Path] = {}
    for path in tiffs:
        match = re.fullmatch(r"[A-Z]{2}\.[A-Z]{2}\d\.(\d{1,3})", path.stem)
        if not match:
            raise BenchError(f"{path} is not named SUBJECT.POSE.INDEX.tiff, as KA.AN1.39.tiff is")
        index = int(match[1])
        if index in files:
            raise BenchError(f"{path} and {files[index].name} have one index; remove one of them")
        files[index] = path
    return dict(sorted(files.items()))


def _tiffs(folder: Path) -> list[Path]:
    """TIFF images directly in a folder, by name; none where there is no such folder."""
    if not folder.is_dir():
        return []
    suffixes = (".tif", ".tiff")
    return sorted(path for path in folder.glob("[!.]*") if path.suffix.lower() in suffixes)


def _read_ratings(path: Path) -> dict[int, list[float]]:
    """Mean ratings in the order of `EMOTIONS` by INDEX, from the readme's first table."""
    ratings: dict[int, list[float]] = {}
    for number, row in _table_rows(path):
        index = int(row["#"])
        if index in ratings:
            raise BenchError(f"{path}:{number}: index {index} stands twice; delete one row")
        means = [row[short] for short in EMOTIONS.values()]
        ratings[index] = numbers(means, path, number, low=1, high=5)
    if not ratings:
        raise BenchError(f"{path} holds no rating table (# HAP SAD SUR ANG DIS FEA PIC)")
    return ratings


def _table_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers and fields, by column, of the rows of the readme's first table."""
    columns: list[str] = []
    # Latin-1 takes any byte: the table is ASCII, and the prose around it does not matter.
    for number, line in read_lines(path, encoding="latin-1"):
        fields = line.lstrip("# ").split()
        if not columns:
            is_heading = len(fields) == 7 and set(EMOTIONS.values()) < set(fields)
            columns = ["#", *fields] if is_heading else []
        elif "fear excluded" in line.lower():  # the second table
            return
        elif fields and fields[0].isdecimal():
            if len(fields) != len(columns):
                raise BenchError(
                    f"{path}:{number}: {len(fields)} columns where {len(columns)} "
                    f"({' '.join(columns)}) are expected: {shortened(line)}"
                )
            yield number, dict(zip(columns, fields, strict=True))
