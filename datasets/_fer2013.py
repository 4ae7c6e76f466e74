"""Kaggle's fer2013.csv: pixels, parts and emotions, row by row, and whether votes belong to them.

FER+ has no names of its own for the images: its votes are joined to this file by the order of rows.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.api import TEST, TRAIN, VALID, BenchError
from bench.data.text import shortened

SIDE = 48  # pixels
VOTES = "fer2013new.csv"  # FER+'s votes, a row for each of this file's
_EMOTIONS = 7  # anger disgust fear happiness sadness surprise neutral
# Those among FER+'s columns: neutral happiness surprise sadness anger disgust fear …
_COLUMNS = np.array([4, 5, 6, 1, 3, 2, 0])
_USAGES = {"Training": TRAIN, "PublicTest": VALID, "PrivateTest": TEST}

# In the right order the class of most votes is the emotion in about two rows of three, in any other
# order in one of five (FER2013's shares of classes) to one of seven. Stretches of a file are looked
# at too, since rows may be missing here and there: where the share is so far below the whole file's
# that in the right order it would happen once in 10^11 stretches.
_LEAST = 0.45
_FEWEST = 20  # rows that can be judged
_STRETCHES = (25, 100, 400)
_DEVIATIONS = 7.0


def check_order(
    path: Path, emotions: np.ndarray | None, votes: np.ndarray, split: np.ndarray
) -> str:
    """Compare the emotion of each row with the votes that are joined to it.

    Parameters
    ----------
    path : Path
        The file that ``emotions`` are from.
    emotions : int8 (n,) or None
        As Kaggle numbers them; None where the file does not hold them.
    votes : int (n, 10)
        As FER+ orders its columns.
    split : int8 (n,)

    Returns
    -------
    str
        In how many rows they agree, as a note.

    Raises
    ------
    BenchError
        Naming the share and the rows, where it is far too low for votes of the same images.
    """
    if emotions is None:
        return (
            f"{path.name} has no column 'emotion', so that its order of rows could not be compared "
            f"with that of {VOTES}"
        )
    # Rows whose largest vote is for no emotion of FER2013 say nothing; of ties one has to agree.
    top = votes.max(axis=1)
    rows = np.flatnonzero((votes[:, :7].max(axis=1) == top) & (top > 0))
    agree = votes[rows, _COLUMNS[emotions[rows]]] == top[rows]
    if not len(rows):
        return f"no row of {VOTES} has most votes for an emotion that {path.name} knows"
    for name, part in _USAGES.items():
        _check_share(path, agree[split[rows] == part], f"the rows of {name}")
    _check_share(path, agree, "the rows")
    _check_stretches(path, agree, rows)
    return (
        f"the class of most votes is {path.name}'s emotion in {100 * agree.mean():.1f} % of "
        f"{len(rows)} rows"
    )


def _check_share(path: Path, agree: np.ndarray, where: str) -> None:
    """Refuse rows of which too few agree; few rows have to be far below."""
    if len(agree) < _FEWEST:
        return
    if agree.mean() < _LEAST - 1.5 * np.sqrt(0.25 / len(agree)):
        raise _out_of_order(path, float(agree.mean()), f"{where} ({len(agree)})")


def _check_stretches(path: Path, agree: np.ndarray, rows: np.ndarray) -> None:
    """Refuse a stretch of consecutive rows that agree far less than the whole file does."""
    usual = min(float(agree.mean()), 0.9)  # also where all agree, some may differ
    counts = np.concatenate([[0], np.cumsum(agree)])
    for length in _STRETCHES:
        if length >= len(agree):
            return
        shares = (counts[length:] - counts[:-length]) / length
        low = int(shares.argmin())
        if shares[low] < usual - _DEVIATIONS * np.sqrt(usual * (1 - usual) / length):
            first, last = rows[low] + 1, rows[low + length - 1] + 1
            raise _out_of_order(path, float(shares[low]), f"rows {first} to {last}")


def _out_of_order(path: Path, share: float, where: str) -> BenchError:
    return BenchError(
        f"{path}: the emotion is the class of most votes of {VOTES} in {100 * share:.0f} % of "
        f"{where}, and in about two thirds where both files keep their original order of rows: one "
        "of them has been sorted, shuffled or lacks rows; take the original files"
    )


def csv_pixels(
    path: Path, split: np.ndarray, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Pixels of the ``wanted`` rows of Kaggle's file, and the emotion of every row.

    Returns
    -------
    uint8 (k, 48, 48), int8 (n,) or None
        Emotions as Kaggle numbers them; None where the file has no such column.
    """
    images = np.empty((len(wanted), SIDE * SIDE), dtype=np.uint8)
    place = np.full(len(split), -1)
    place[wanted] = np.arange(len(wanted))
    rows = csv_rows(path)
    header = [name.strip() for name in next(rows, (1, []))[1]]
    if not {"pixels", "Usage"} <= set(header):
        raise BenchError(f"{path}:1: the header has no columns 'pixels' and 'Usage'")
    pixels, usage = header.index("pixels"), header.index("Usage")
    emotion = header.index("emotion") if "emotion" in header else None
    emotions = np.zeros(len(split), dtype=np.int8)
    n = 0
    for line, row in rows:
        if len(row) != len(header):
            raise BenchError(f"{path}:{line}: {len(row)} fields for {len(header)} columns")
        if n < len(split):
            if part_of(path, line, row[usage]) != split[n]:
                raise BenchError(
                    f"{path}:{line}: {shortened(row[usage])} here, another part in row {n + 1} of "
                    f"{VOTES}; the two files must keep their original order of rows"
                )
            if emotion is not None:
                emotions[n] = _emotion(path, line, row[emotion])
            if place[n] >= 0:
                images[place[n]] = _parse_pixels(path, line, row[pixels])
        n += 1
    if n != len(split):
        raise BenchError(
            f"{path} has {n} rows and {VOTES} has {len(split)}; the two are joined by row order "
            "and must both be whole (35887 rows)"
        )
    return images.reshape(-1, SIDE, SIDE), None if emotion is None else emotions


def _emotion(path: Path, line: int, text: str) -> int:
    """The emotion of one image as Kaggle numbers it."""
    if text.strip() not in [str(number) for number in range(_EMOTIONS)]:
        raise BenchError(
            f"{path}:{line}: the emotion {shortened(text)} is no whole number from 0 to "
            f"{_EMOTIONS - 1}"
        )
    return int(text)


def _parse_pixels(path: Path, line: int, text: str) -> np.ndarray:
    """The pixels of one image, uint8 (48 · 48,), from blank-separated numbers."""
    try:
        values = bytes(map(int, text.split()))  # refuses what is not within 0 … 255
    except ValueError:
        raise BenchError(f"{path}:{line}: a pixel is not a whole number from 0 to 255") from None
    if len(values) != SIDE * SIDE:
        raise BenchError(f"{path}:{line}: {len(values)} pixels instead of {SIDE * SIDE}")
    return np.frombuffer(values, dtype=np.uint8)


def part_of(path: Path, line: int, usage: str) -> int:
    """The part of the split that Kaggle's column Usage names."""
    part = _USAGES.get(usage.strip())
    if part is None:
        raise BenchError(f"{path}:{line}: Usage {shortened(usage)} is none of {', '.join(_USAGES)}")
    return part


def csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of each row that is not empty; a BOM and CRLF are fine."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            for row in reader:
                if row:
                    yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BenchError(f"{path} cannot be read as a csv file: {error}") from error
