"""Two methods on the same images: what one corrects of the other, and what it breaks."""

from __future__ import annotations

from collections.abc import Sequence

from bench.papers.measured import Finder
from bench.papers.spec import Paper, PaperTable
from bench.publish.corrections import Pair, paired
from bench.publish.layout import Block, Line, Table, Value
from bench.publish.rows import ScoresOf


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
