"""Two methods on the same images: what one corrects of the other, and what it breaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.papers.measured import Finder
from bench.papers.spec import Paper, Table
from bench.publish.layout import Block, Line, Value
from bench.publish.layout import Table as Layout
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
        {(one.cell.split, one.cell.seed): scores_of(one) for one in row.ok}
        for row in (first, second)
    ]
    found = []
    for split, seed in sorted({*stored[0]} & {*stored[1]}):
        one, two = (side[split, seed] for side in stored)
        if one is None or two is None or not np.array_equal(one.truth, two.truth):
            continue
        right = [_right(one), _right(two)]
        if right[0] is None or right[1] is None:
            continue
        corrected, broken, p = mcnemar(right[0], right[1])
        found.append(Pair(split, seed, corrected, broken, p, len(right[0])))
    return found


def pairs_of(table: Table, finder: Finder, scores_of: ScoresOf) -> list[Pair]:
    """The pairs of a table of kind ``mcnemar``: its first line against its second."""
    asked = [line.entries[0] for line in table.lines[:2]]
    rows = [None if one is None else finder.row(one.where, one.run) for one in asked]
    if len(rows) < 2 or rows[0] is None or rows[1] is None:
        return []
    return paired(rows[0], rows[1], scores_of)


def in_rows(paper: Paper, table: Table, found: Sequence[Pair], data: str) -> Layout:
    """A line for each pair; ``data`` says what they were measured on."""
    columns = ("Corrected", "Broken", "Net", "p (McNemar)", "n")
    first, second = (line.label for line in table.lines[:2])
    lines = [
        Line(
            f"{one.split}, seed {one.seed}",
            (),
            (
                Value(one.corrected, digits=0),
                Value(one.broken, digits=0),
                Value(one.corrected - one.broken, digits=0),
                Value(one.p),
                Value(one.n, digits=0),
            ),
        )
        for one in found
    ]
    return Layout(
        name=f"{paper.id}-{table.slug}-mcnemar",
        caption=f"{paper.id} {table.name}: images that {second} corrects of {first}, and "
        f"those that it breaks. {data}",
        columns=tuple((title, "") for title in columns),
        blocks=(Block(f"{second} against {first}", tuple(lines)),),
        notes=(),
        remarks=() if found else ("Nothing to compare: not measured, or scores are not stored.",),
    )


def _right(stored: Stored) -> np.ndarray | None:
    if stored.scores is None:
        return None
    return np.asarray(stored.scores.argmax(axis=1) == stored.truth.argmax(axis=1))
