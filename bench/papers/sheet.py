"""A paper's table in its own layout with measured values, and the reproduction table beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from bench.papers import reproduction
from bench.papers.margins import Margin
from bench.papers.reproduction import RULE, Outcome, counted
from bench.papers.spec import Paper
from bench.papers.spec import Table as Spec
from bench.publish.captions import origin, span, training
from bench.publish.layout import Block, Line, Notes, Table, Value, shortened
from bench.run.job import Cell

_PARTS = ("n_train", "n_valid", "n_test")
_ONE, _PERCENT = 1.0, 0.01
_LETTER = re.compile(r"^\([a-z]\) ")  # of a block, as printed; tables letter their own


def in_own_layout(paper: Paper, table: Spec, found: Sequence[Outcome]) -> Table:
    """Measured values where the paper has its own.

    A value has as many digits, and the unit, of the published one in its place. Every line that is
    about rendered faces, or about a stand-in, says so.
    """
    notes = Notes()
    at = {(id(one.line), one.column): one for one in found}
    rendered = _rendered(found)
    blocks: dict[str, list[Line]] = {}
    for line in table.lines:
        row = [at.get((id(line), column.title)) for column in table.columns]
        values = tuple(_value(one, notes) for one in row)
        label = line.label + _marked([one for one in row if one is not None], rendered)
        blocks.setdefault(_LETTER.sub("", line.block), []).append(Line(label, (), values))
    return Table(
        name=f"{paper.id}-{table.slug}",
        caption=_caption(paper, table, found),
        columns=tuple((column.title, column.direction) for column in table.columns),
        blocks=tuple(Block(title, tuple(lines)) for title, lines in blocks.items()),
        notes=tuple(notes.texts),
        remarks=tuple(filter(None, (table.note, _quoted(table)))),
    )


def beside(paper: Paper, table: Spec, found: Sequence[Outcome]) -> Table | None:
    """Published, measured ± spread, their difference, n and the verdict, a line for each number.

    None where the paper prints nothing.
    """
    notes = Notes()
    blocks: dict[str, list[Line]] = {}
    printed = [one for one in found if one.published is not None]
    rendered = _rendered(found)
    for one in printed:
        scale, digits = _unit(one)
        number, measured = one.published, one.measured
        assert number is not None
        difference = None if one.difference is None else one.difference / scale
        count = _count(one)
        said = [one.why if one.verdict != reproduction.REPRODUCED else "", one.beside]
        marks = tuple(notes.add(shortened(text)) for text in said if text)
        label = f"{one.line.label}: {one.column}{_marked([one], rendered)}"
        values = (
            Value(number.value, digits=digits),
            Value(_scaled(measured.value, scale), _scaled(measured.sd, scale), digits=digits),
            Value(difference, digits=digits),
            Value(count, digits=0),
        )
        title = f"{_LETTER.sub('', one.line.block) or table.name}: {one.verdict}"
        blocks.setdefault(title, []).append(Line(label, marks, values))
    if not printed:
        return None
    counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counted(printed).items()))
    return Table(
        name=f"{paper.id}-{table.slug}-reproduction",
        caption=f"{paper.title}: {table.name}, published beside measured. {counts}. {RULE}",
        columns=(("Published", ""), ("Measured", ""), ("Difference", ""), ("n", "")),
        blocks=tuple(Block(title, tuple(lines)) for title, lines in blocks.items()),
        notes=tuple(notes.texts),
        remarks=(),
    )


def gains(paper: Paper, table: Spec, found: Sequence[Margin]) -> Table | None:
    """The printed gains of a table against the noise of its test set.

    None where no two printed values stand side by side.
    """
    notes = Notes()
    blocks: dict[str, list[Line]] = {}
    for one in found:
        about = ", ".join(filter(None, (one.dataset, one.metric, one.pick)))
        bound = "an upper bound of the standard error: the ratio is a lower one"
        said = (one.why, bound if one.at_most else "")
        marks = tuple(notes.add(text) for text in said if text)
        values = (
            Value(one.margin, digits=4),
            Value(one.n, digits=0),
            Value(one.se, digits=4),
            Value(one.ratio, digits=2),
            Value(one.images, digits=1),
        )
        label = f"{about}: {one.best} over {one.second}"
        title = f"{_LETTER.sub('', one.part) or table.name}: {one.against}"
        blocks.setdefault(title, []).append(Line(label, marks, values))
    if not blocks:
        return None
    return Table(
        name=f"{paper.id}-{table.slug}-gains",
        caption=f"{paper.title}: {table.name}, printed gains against the noise of the test set. "
        "Margin and standard error of the unpaired difference in fractions (coverage in labels); "
        "a ratio below 2 may be chance.",
        columns=tuple((t, "") for t in ("Margin", "n", "Standard error", "Ratio", "Images")),
        blocks=tuple(Block(title, tuple(lines)) for title, lines in blocks.items()),
        notes=tuple(notes.texts),
        remarks=(),
    )


def _value(one: Outcome | None, notes: Notes) -> Value:
    if one is None:
        return Value(None)
    scale, digits = _unit(one)
    if one.measured.value is None:
        return Value(None, note=notes.add(shortened(one.measured.gap)), digits=digits)
    spread = _scaled(one.measured.sd, scale)
    return Value(one.measured.value / scale, spread, digits=digits)


def _unit(one: Outcome) -> tuple[float, int]:
    """How many of bench's units one of the table's is, and how many decimals it has."""
    number = one.published
    if number is None or number.value is None:
        place = [column.title for column in one.table.columns].index(one.column)
        for line in one.table.lines:
            entry = line.entries[place]
            other = None if entry is None else entry.published
            if other is not None and other.value is not None:
                return other.scale, other.decimals
        return (_PERCENT, 2) if one.table.columns[place].percent else (_ONE, 3)
    return number.scale, number.decimals


def _scaled(value: float | None, scale: float) -> float | None:
    return None if value is None else value / scale


def _count(one: Outcome) -> int | None:
    row = one.measured.row
    if row is None or one.measured.value is None:
        return None
    return len(row.splits) if len(row.splits) > 1 else len(row.seeds)


def _rendered(found: Sequence[Outcome]) -> set[tuple[str, ...]]:
    """The data in a table that bench rendered."""
    return {one.measured.used for one in found if one.measured.rendered}


def _marked(found: Sequence[Outcome], rendered: set[tuple[str, ...]]) -> str:
    """What a line has to say of the data in it, also where it has no value."""
    if any(one.measured.rendered or one.measured.used in rendered for one in found):
        return " (SYNTHETIC)"
    if any(one.measured.taught_by_rendered for one in found):
        return " (taught by SYNTHETIC faces too)"
    used = sorted({text for one in found if one.measured.stand_ins for text in one.measured.used})
    return f" (on {', '.join(used)})" if used else ""


def _quoted(table: Spec) -> str:
    return f"The paper's text: {table.says}" if table.says else ""


def _caption(paper: Paper, table: Spec, found: Sequence[Outcome]) -> str:
    whose = f"{table.name} of {paper.authors}, {paper.where}"
    return f"{table.title}: {whose}, as measured by bench. {conditions(found)}"


def conditions(found: Sequence[Outcome]) -> str:
    """Everything that the values depend on, in words."""
    rows = [one.measured.row for one in found if one.measured.row is not None]
    cells = [record.cell for row in rows for record in row.records]
    stand_ins = sorted({text for one in found for text in one.measured.stand_ins})
    sentences = []
    if stand_ins:
        sentences.append(f"STAND-IN DATA: {'; '.join(stand_ins)}")
    data: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in cells:
        data.setdefault((cell.dataset, str(cell.protocol), cell.fingerprint), []).append(cell)
    for (dataset, protocol, fingerprint), of_one in data.items():
        sizes = "/".join(
            span({getattr(cell, name) for cell in of_one})
            for name in ("n_train", "n_valid", "n_test")
        )
        sentences.append(
            f"{dataset} ({origin(of_one[0])}), protocol {protocol}, n train/valid/test = {sizes}, "
            f"data {fingerprint[:8]}"
        )
    if cells:
        seeds = span({len(row.seeds) for row in rows if row.ok and row.cell.stochastic} or {1})
        sentences += [training(cells), f"Seeds of stochastic methods: {seeds}"]
        if any(one.measured.sd is not None for one in found):
            sentences.append("± the standard deviation over splits, or over seeds of one split")
    timed = sorted({one.measured.device for one in found} - {""})
    if timed:
        sentences.append(f"Timed on {'; '.join(timed)}")
    elif not cells:
        sentences.append("Nothing is measured yet")
    return ". ".join(sentences) + "."
