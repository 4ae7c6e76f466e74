"""Two methods on the same images: what one corrects of the other, and what it breaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.papers.measured import Finder
from bench.papers.spec import Paper, PaperTable
from bench.publish.layout import Block, Line, Table, Value
from bench.publish.rows import Row, ScoresOf
from bench.run.scoring import Stored
from bench.score.mcnemar import mcnemar


@dataclass(frozen=True)
class Pair:
    """One seed on one split.

    Attributes
    ----------
    corrected, broken : int
        Images that only the second, and only the first of two methods gets right.
    p : float
        Of McNemar's exact test (`bench.score.mcnemar`).
    n : int
        Test images.
    """

    split: str
    seed: int
    corrected: int
    broken: int
    p: float
    n: int


def paired(first: Row, second: Row, scores_of: ScoresOf) -> list[Pair]:
    """The seeds and splits that both have, as far as their scores are stored."""
    stored = [
        {(record.cell.split, record.cell.seed): scores_of(record) for record in row.ok}
        for row in (first, second)
    ]
    pairs = []
    for split, seed in sorted({*stored[0]} & {*stored[1]}):
        right = _right_of_both(stored[0][split, seed], stored[1][split, seed])
        if right is not None:
            corrected, broken, p = mcnemar(*right)
            pairs.append(Pair(split, seed, corrected, broken, p, len(right[0])))
    return pairs


def pairs_of(table: PaperTable, finder: Finder, scores_of: ScoresOf) -> list[Pair]:
    """The pairs of a table of kind ``mcnemar``: its first row against its second."""
    rows = []
    for entry in (row.entries[0] for row in table.rows[:2]):
        row = None if entry is None else finder.row(entry.conditions, entry.run)
        if row is not None:
            rows.append(row)
    return paired(rows[0], rows[1], scores_of) if len(rows) == 2 else []


def pairs_table(paper: Paper, table: PaperTable, pairs: Sequence[Pair], data: str) -> Table:
    """A line for each pair; ``data`` says what they were measured on."""
    columns = ("Corrected", "Broken", "Net", "p (McNemar)", "n")
    first, second = (row.label for row in table.rows[:2])
    lines = [
        Line(
            f"{pair.split}, seed {pair.seed}",
            (),
            (
                Value(pair.corrected, digits=0),
                Value(pair.broken, digits=0),
                Value(pair.corrected - pair.broken, digits=0),
                Value(pair.p),
                Value(pair.n, digits=0),
            ),
        )
        for pair in pairs
    ]
    return Table(
        name=f"{paper.id}-{table.slug}-mcnemar",
        caption=f"{paper.id} {table.name}: images that {second} corrects of {first}, and "
        f"those that it breaks. {data}",
        columns=tuple((title, "") for title in columns),
        blocks=(Block(f"{second} against {first}", tuple(lines)),),
        notes=(),
        remarks=() if pairs else ("Nothing to compare: not measured, or scores are not stored.",),
    )


def _right_of_both(
    first: Stored | None, second: Stored | None
) -> tuple[np.ndarray, np.ndarray] | None:
    """Which images each gets right, bool (n,); None without the scores of both on one truth."""
    if first is None or second is None or first.scores is None or second.scores is None:
        return None
    if not np.array_equal(first.truth, second.truth):
        return None
    truth = first.truth.argmax(axis=1)
    return first.scores.argmax(axis=1) == truth, second.scores.argmax(axis=1) == truth
