"""The table of a paper's claims: every comparison that was made, and what decided it."""

from __future__ import annotations

from collections.abc import Sequence

from bench.papers.claims import Verdict
from bench.papers.comparing import Comparison
from bench.papers.spec import Paper
from bench.publish.layout import Block, Line, Notes, Table, Value, shortened

HOW = (
    "Difference: left less right, with its 95 % interval. On the paper's own test set it is over "
    "seeds, the question being whether training anew would change what the paper says of these "
    "very images; on any others over seeds and test images. A claim holds where every comparison "
    "that counts lies on its side, and fails where one lies on the other, by p (Westfall-Young "
    "max-T over the comparisons that count) of at most .05; else it is undecided. What counts was "
    "named beforehand: average precision, or accuracy, unless the claim names another criterion; "
    "others are marked as not counted. Networks have to be trained as long as in the paper, or to "
    "have converged, and the four conventions of the criteria have to agree. Found: the smallest "
    "true difference that such a comparison alone would find with probability .8; a smaller one "
    "may well be there."
)
_COLUMNS = ("Difference", "From", "To", "p", "Found", "n")


def claim_table(paper: Paper, verdicts: Sequence[Verdict]) -> Table | None:
    """A line for each comparison with a number, under its claim; None where there is none."""
    notes = Notes()
    blocks = [block for verdict in verdicts if (block := _block(verdict, notes)).lines]
    if not blocks:
        return None
    states = [verdict.verdict for verdict in verdicts]
    rendered = any("(SYNTHETIC)" in verdict.on for verdict in verdicts)
    data = " SYNTHETIC faces rendered by bench stand for real ones where it says so." * rendered
    counts = ", ".join(f"{states.count(one)} {one}" for one in sorted(set(states)))
    return Table(
        name=f"{paper.id}-claims",
        caption=f"{paper.title}: claims. {counts}.{data} {HOW}",
        columns=tuple((title, "") for title in _COLUMNS),
        blocks=tuple(blocks),
        notes=tuple(notes.texts),
        remarks=("Claims that are not here are untested; claims.csv says why.",),
    )


def _block(verdict: Verdict, notes: Notes) -> Block:
    title = f"{verdict.claim.id} {verdict.verdict}: {verdict.claim.claim}"
    where = "; ".join(filter(None, (verdict.on, verdict.question)))
    lines = [_line(one, where, notes) for one in verdict.comparisons if one.difference is not None]
    return Block(title, tuple(lines))


def _line(one: Comparison, where: str, notes: Notes) -> Line:
    reasons = [
        where,
        "" if one.counted else "not counted: another criterion was named beforehand",
        shortened(one.why) if one.why else "",
    ]
    return Line(
        f"{one.metric}: {one.left} less {one.right}: {one.verdict}",
        tuple(notes.add(reason) for reason in reasons if reason),
        (
            Value(one.difference, digits=4),
            Value(one.low, digits=4),
            Value(one.high, digits=4),
            Value(one.p),
            Value(one.smallest, digits=4),
            Value(one.n, digits=0),
        ),
    )
