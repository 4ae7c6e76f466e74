"""FER+: reading its two layouts, and the rules that turn ten annotators' votes into labels.

`fer-plus` and `fer-plus-ml` share all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench.datasets._fer2013 import SIDE, VOTES, check_order, csv_pixels, csv_rows, part_of

from bench.api import TEST, TRAIN, VALID, BenchError
from bench.data.images import images_by_name, plain_name, read_images
from bench.data.marker import is_synthetic
from bench.data.text import find_root, shortened

CLASSES = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
)
COLUMNS = (*CLASSES, "unknown", "NF")  # NF: not a face
EMOTIONS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger")  # RAF-ML's order

OBTAIN = (
    "Pixels: fer2013.csv (or icml_face_data.csv) of Kaggle's 'Challenges in Representation "
    "Learning: Facial Expression Recognition Challenge'. Votes: github.com/microsoft/FERPlus "
    "(MIT), whose src/generate_training_data.py turns both into the folders FER2013Train, "
    "FER2013Valid and FER2013Test. Give --root either these folders' parent or a folder that "
    "holds the Kaggle file and fer2013new.csv."
)

_FOLDERS = {"FER2013Train": TRAIN, "FER2013Valid": VALID, "FER2013Test": TEST}
_KAGGLE = ("fer2013.csv", "icml_face_data.csv")
# fer2013new.csv has these names twice. The newer generate_training_data.py writes both lines into
# label.csv, but its second image overwrites the first, so that only the last line has a picture.
_OVERWRITTEN = {"fer0006953.png", "fer0008403.png", "fer0011785.png", "fer0033120.png"}

_Lines = dict[str, tuple[int, list[int]]]  # of label.csv, by image: line number and votes


@dataclass(frozen=True)
class Votes:
    """The vote files of one root, row by row, and where the pixels of each row are.

    Attributes
    ----------
    root : Path
    ids : str (n,)
        The image's file name; in the csv pair, ``NAME#LINE`` where an earlier row has that name.
    votes : int64 (n, 10)
        In the order of ``COLUMNS``.
    split : int8 (n,)
    pixels : Path or None
        The Kaggle csv file, whose rows are these; None where the pixels are PNG files.
    files : tuple of Path
        The PNG files; empty where the pixels are in a csv file.
    notes : tuple of str
        Which file the votes are from, and what else to know.
    """

    root: Path
    ids: np.ndarray
    votes: np.ndarray
    split: np.ndarray
    pixels: Path | None
    files: tuple[Path, ...]
    notes: tuple[str, ...]

    def images(self, rows: np.ndarray) -> tuple[np.ndarray, bool, tuple[str, ...]]:
        """Pixels of some rows (ascending), whether bench made them, and how they fit the votes.

        Returns
        -------
        uint8 (k, 48, 48), bool, tuple of str

        Raises
        ------
        BenchError
            Without any row, for an image that cannot be read, and for a csv file that does not fit
            the votes.
        """
        if not len(rows):
            raise BenchError(f"{self.root}: the rules leave none of the {len(self.ids)} images")
        if self.pixels is not None:
            pixels, emotions = csv_pixels(self.pixels, self.split, rows)
            joined = check_order(self.pixels, emotions, self.votes, self.split)
            return pixels, is_synthetic(self.root), (joined,)
        images, synthetic = read_images([self.files[row] for row in rows], "grey", None)
        if images.shape[1:] != (SIDE, SIDE):
            raise BenchError(
                f"{self.root}: the images are {images.shape[2]}×{images.shape[1]} pixels, FER+ has "
                f"{SIDE}×{SIDE}; use the files that generate_training_data.py writes"
            )
        return images, synthetic or is_synthetic(self.root), ()


def read_votes(root: Path | None) -> Votes:
    """Read the votes of either layout: FER+'s three folders, or the pair of csv files.

    Raises
    ------
    BenchError
        Where ``root`` holds neither, and for every line that is not as FER+ writes it.
    """
    if root is not None and not any((root / folder).is_dir() for folder in _FOLDERS):
        kaggle = [root / name for name in _KAGGLE if (root / name).is_file()]
        if kaggle and not (root / VOTES).is_file():
            raise BenchError(
                f"{root} holds {kaggle[0].name} but not {VOTES}, FER+'s votes; get it from "
                "github.com/microsoft/FERPlus"
            )
        if kaggle:
            return _read_pair(root, kaggle[0])
    return _read_folders(find_root(root, "FER+", tuple(_FOLDERS)))


def processed(votes: np.ndarray, mode: str) -> tuple[np.ndarray, np.ndarray]:
    """FER+'s own rules (`_process_data` in its src/ferplus.py), in its order.

    A vote of one is an outlier and counts as none. ``majority`` keeps the class with more than
    half of the votes. ``probability`` and ``cross-entropy`` take the largest votes, all that tie
    in one step, until three quarters of the votes or three classes are taken or unknown or NF is
    met (which counts only where it comes first). ``multi-target`` takes every class with three
    tenths of the votes. What holds at most half of the votes, more than three classes, or unknown
    or NF at its top is no image to learn from.

    Parameters
    ----------
    votes : int (n, 10)
        In the order of ``COLUMNS``.
    mode : {"majority", "probability", "cross-entropy", "multi-target"}

    Returns
    -------
    distribution : float64 (n, 8)
        Over ``CLASSES``; rows sum to 1, or to 0 where the image is left out.
    keep : bool (n,)

    References
    ----------
    E. Barsoum, C. Zhang, C. Canton Ferrer and Z. Zhang, ICMI 2016, 279–283.
    """
    votes = _without_outliers(votes)
    total = votes.sum(axis=1)
    rows = np.arange(len(votes))
    if mode == "majority":
        taken = np.zeros_like(votes)
        top = votes.argmax(axis=1)
        taken[rows, top] = votes[rows, top]
        few = np.ones(len(votes), dtype=bool)
    elif mode == "multi-target":
        taken = np.where(10 * votes >= 3 * total[:, None], votes, 0)
        few = np.ones(len(votes), dtype=bool)
    else:
        taken, few = _largest(votes)
    keep = few & (2 * taken.sum(axis=1) > total) & (taken.argmax(axis=1) < len(CLASSES))
    shares = np.where(keep[:, None], taken[:, : len(CLASSES)], 0)
    return shares / np.maximum(shares.sum(axis=1, keepdims=True), 1), keep


def six_emotions(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """RAF-ML's selection rule on FER+ votes, with two additions.

    Li and Deng (IJCV 127, 2019, sec. 3.2) keep the classes above the mean of the seven (the six
    emotions and neutral), images with at least two of them, and label an emotion where its share
    of the six is at least 1/6. Added here: FER+'s outlier step (a vote of one counts as none) and
    that at least two emotions remain; and an image is out where unknown and NF together reach the
    largest of the eight class votes.

    Parameters
    ----------
    votes : int (n, 10)
        In the order of ``COLUMNS``.

    Returns
    -------
    distribution : float64 (n, 6)
        Over ``EMOTIONS``; rows sum to 1, or to 0 where nobody voted for any.
    labels : bool (n, 6)
        Meaningful only where ``keep`` is true.
    keep : bool (n,)
    """
    votes = _without_outliers(votes)
    seven = votes[:, :7]
    six = votes[:, [COLUMNS.index(name) for name in EMOTIONS]]
    total = six.sum(axis=1, keepdims=True)
    labels = 6 * six >= total  # p >= 1/6, in whole numbers
    keep = (
        (votes[:, 8:].sum(axis=1) < votes[:, :8].max(axis=1))
        & ((7 * seven > seven.sum(axis=1, keepdims=True)).sum(axis=1) >= 2)
        & (labels.sum(axis=1) >= 2)
    )
    return six / np.maximum(total, 1), labels, keep


def panel_of_sets(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares of the six emotions, label sets and where there are any, as `bench.api.Dataset.panel`.

    The rule of `six_emotions` for labels, without its outlier step and its choice of images.
    """
    six = votes[:, [COLUMNS.index(name) for name in EMOTIONS]]
    total = six.sum(axis=1, keepdims=True)
    return six / np.maximum(total, 1), (6 * six >= total) & (total > 0), total[:, 0] > 0


def panel_of_classes(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares of the eight classes, the largest (the first that ties), and where there is one."""
    eight = votes[:, : len(CLASSES)]
    total = eight.sum(axis=1, keepdims=True)
    largest = np.arange(len(CLASSES)) == eight.argmax(axis=1)[:, None]
    return eight / np.maximum(total, 1), largest, total[:, 0] > 0


def _without_outliers(votes: np.ndarray) -> np.ndarray:
    """The votes where a single vote for a class counts as none."""
    return np.where(votes > 1, votes, 0)


def _largest(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Votes taken by `probability`, int (n, 10), and whether they are of at most three classes."""
    left = votes.copy()
    taken = np.zeros_like(votes)
    total = votes.sum(axis=1)
    part, count = np.zeros_like(total), np.zeros_like(total)
    going = np.ones(len(votes), dtype=bool)
    for _ in range(3):  # each step takes at least one class
        going &= (4 * part < 3 * total) & (count < 3)
        top = left.max(axis=1)
        tied = going[:, None] & (left == top[:, None])
        tied[:, 9] &= ~tied[:, 8]  # the official loop stops at the first of unknown and NF
        doubtful = tied[:, 8:].any(axis=1)
        taken[tied] = left[tied]
        left[tied] = 0
        part += tied.sum(axis=1) * top
        count += tied.sum(axis=1)
        late = doubtful & (taken.sum(axis=1) > top)
        taken[late, 8:] = 0
        count[late] -= 1
        going &= ~doubtful
    return taken, count <= 3


def _read_folders(root: Path) -> Votes:
    """The votes of FER+'s three folders."""
    ids: list[str] = []
    votes: list[list[int]] = []
    split: list[int] = []
    files: list[Path] = []
    notes = [f"votes from label.csv in {', '.join(_FOLDERS)}"]
    for folder, part in _FOLDERS.items():
        lines, twice = _read_label_file(root / folder / "label.csv")
        pictures = _pictures(root / folder, lines)
        notes += [
            f"{folder}: {name} has two lines; the last counts, whose image was kept"
            for name in twice
        ]
        ids += lines
        votes += [counts for _, counts in lines.values()]
        split += [part] * len(lines)
        files += [pictures[name] for name in lines]
    return Votes(
        root,
        np.array(ids),
        np.array(votes, dtype=np.int64),
        np.array(split, dtype=np.int8),
        None,
        tuple(files),
        tuple(notes),
    )


def _read_label_file(path: Path) -> tuple[_Lines, list[str]]:
    """Line and votes of each image by its name, and the names that stand twice."""
    if not path.is_file():
        raise BenchError(f"{path} is missing; FER+ keeps the votes of each folder there")
    lines: _Lines = {}
    twice: list[str] = []
    for line, row in csv_rows(path):
        name, counts = _label_line(path, line, row)
        if name in lines:
            if name not in _OVERWRITTEN:
                raise BenchError(
                    f"{path}:{line}: {name} has a line already (line {lines[name][0]}); "
                    "delete one of them"
                )
            twice.append(name)
        lines[name] = (line, counts)
    return lines, twice


def _pictures(folder: Path, lines: _Lines) -> dict[str, Path]:
    """Picture files by name; a line without a picture is refused, and one without a line."""
    pictures = images_by_name(folder, ".png")
    if not pictures:
        raise BenchError(
            f"{folder} holds no images; FER+'s generate_training_data.py makes them from Kaggle's "
            "fer2013.csv"
        )
    absent = [name for name in lines if name not in pictures]
    if absent:
        raise BenchError(
            f"{folder / 'label.csv'}:{lines[absent[0]][0]}: there is no image {absent[0]} beside "
            f"it; restore the image or delete the line ({len(absent)} such lines)"
        )
    unnamed = sorted(pictures.keys() - lines.keys())
    if unnamed:
        raise BenchError(
            f"{pictures[unnamed[0]]} has no line in label.csv; add the line or remove the image "
            f"({len(unnamed)} such images)"
        )
    return pictures


def _label_line(path: Path, line: int, row: list[str]) -> tuple[str, list[int]]:
    """Name and votes of ``NAME,"(0, 0, 48, 48)",v1,…,v10``; newer files have no face box."""
    if len(row) > 1 and row[1].lstrip().startswith("("):
        box = row.pop(1).strip("() ").split(",")
        if [side.strip() for side in box] != ["0", "0", str(SIDE), str(SIDE)]:
            raise BenchError(
                f"{path}:{line}: the face box is not the whole image (0, 0, {SIDE}, {SIDE}), "
                "which FER+ always has"
            )
    if len(row) != 1 + len(COLUMNS):
        raise BenchError(
            f"{path}:{line}: {len(row) - 1} votes instead of {len(COLUMNS)}; a line has the "
            "image's name, a face box (in older files) and the votes"
        )
    name = plain_name(row[0].strip())
    if not name.endswith(".png") or "/" in name or "\\" in name:
        raise BenchError(f"{path}:{line}: {shortened(name)} is not the name of a png file")
    return name, _counts(path, line, row[1:])


def _read_pair(root: Path, pixels: Path) -> Votes:
    """The votes of fer2013new.csv, whose rows are those of Kaggle's file ``pixels``."""
    path = root / VOTES
    ids: list[str] = []
    votes: list[list[int]] = []
    split: list[int] = []
    seen: set[str] = set()
    rows = csv_rows(path)
    header = [name.strip() for name in next(rows, (1, []))[1]]
    if header != ["Usage", "Image name", *COLUMNS]:
        raise BenchError(
            f"{path}:1: the header is not 'Usage,Image name,{','.join(COLUMNS)}'; take the file "
            "from github.com/microsoft/FERPlus"
        )
    for line, row in rows:
        if len(row) != len(header):
            raise BenchError(f"{path}:{line}: {len(row)} fields for {len(header)} columns")
        name = row[1].strip()
        ids.append(f"{name}#{line}" if not name or name in seen else name)
        seen.add(name)
        split.append(part_of(path, line, row[0]))
        votes.append(_counts(path, line, row[2:]))
    return Votes(
        root,
        np.array(ids),
        np.array(votes, dtype=np.int64).reshape(-1, len(COLUMNS)),
        np.array(split, dtype=np.int8),
        pixels,
        (),
        (f"votes from {VOTES}, joined to {pixels.name} by row order",),
    )


def _counts(path: Path, line: int, fields: list[str]) -> list[int]:
    """The votes of one image, by class."""
    try:
        counts = [int(field) for field in fields]
    except ValueError:
        counts = [-1]
    if min(counts) < 0:
        raise BenchError(
            f"{path}:{line}: the votes are not whole numbers: {shortened(','.join(fields))}"
        )
    return counts
