"""A paper's table in its own layout with measured values, and the tables that stand below it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bench.papers.margins import Margin
from bench.papers.measured import Measured
from bench.papers.reproduction import REPRODUCED, RULE, Reproduction, counted
from bench.papers.spec import Paper, PaperRow, PaperTable
from bench.publish.captions import origin, paragraph, parts, seeds_in_words
from bench.publish.layout import Block, Line, Notes, Table, Value, shortened
from bench.publish.rows import Row
from bench.publish.training import training
from bench.run.job import Cell

_ONE, _PERCENT = 1.0, 0.01
_LETTER = re.compile(r"^\([a-z]\) ")  # of a block, as printed; tables letter their own


def in_own_layout(
    paper: Paper,
    table: PaperTable,
    results: Sequence[Reproduction],
    hanging: Sequence[str] = (),
) -> Table:
    """Measured values where the paper has its own.

    A value has as many digits, and the unit, of the published one in its place. Every line of
    rendered faces, or of a stand-in, says so.

    Parameters
    ----------
    hanging : sequence of str
        What in the table hangs on the convention of the criteria.
    """
    notes = Notes()
    by_place = {(*_key(result.row), result.column.title): result for result in results}
    rendered = _rendered(results)
    blocks: dict[str, list[Line]] = {}
    for row in table.rows:
        of_row = [by_place.get((*_key(row), column.title)) for column in table.columns]
        values = tuple(_value(result, notes) for result in of_row)
        mark = _mark([result for result in of_row if result is not None], rendered)
        blocks.setdefault(_unlettered(row.block), []).append(Line(row.label + mark, (), values))
    whose = f"{table.name} of {paper.authors}, {paper.where}"
    quoted = f"The paper's text: {table.says}" if table.says else ""
    return Table(
        name=f"{paper.id}-{table.slug}",
        caption=f"{table.title}: {whose}, as measured by bench. {conditions(results)}",
        columns=tuple((column.title, column.direction) for column in table.columns),
        blocks=_blocks(blocks),
        notes=tuple(notes.texts),
        remarks=tuple(filter(None, (table.note, quoted, *hanging))),
    )


def beside(paper: Paper, table: PaperTable, results: Sequence[Reproduction]) -> Table | None:
    """Published, measured ± spread, their difference, n and the verdict, a line for each number.

    None where the paper prints nothing.
    """
    printed = [result for result in results if result.published is not None]
    if not printed:
        return None
    notes = Notes()
    rendered = _rendered(results)
    blocks: dict[str, list[Line]] = {}
    for result in printed:
        title = f"{_unlettered(result.row.block) or table.name}: {result.verdict}"
        blocks.setdefault(title, []).append(_beside(result, rendered, notes))
    counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counted(printed).items()))
    return Table(
        name=f"{paper.id}-{table.slug}-reproduction",
        caption=f"{paper.title}: {table.name}, published beside measured. {counts}. {RULE}",
        columns=(("Published", ""), ("Measured", ""), ("Difference", ""), ("n", "")),
        blocks=_blocks(blocks),
        notes=tuple(notes.texts),
        remarks=(),
    )


def _beside(result: Reproduction, rendered: set[tuple[str, ...]], notes: Notes) -> Line:
    """The line of a printed number."""
    scale, digits = _unit(result)
    number, measured = result.published, result.measured
    assert number is not None
    reasons = ("" if result.verdict == REPRODUCED else result.why, result.beside)
    return Line(
        f"{result.row.label}: {result.column.title}{_mark([result], rendered)}",
        tuple(notes.add(shortened(reason)) for reason in reasons if reason),
        (
            Value(number.value, digits=digits),
            Value(_scaled(measured.value, scale), _scaled(measured.sd, scale), digits=digits),
            Value(_scaled(result.difference, scale), digits=digits),
            Value(measured.count or None, digits=0),
        ),
    )


def gains(paper: Paper, table: PaperTable, margins: Sequence[Margin]) -> Table | None:
    """The printed gains of a table against the noise of its test set.

    None where no two printed values stand side by side.
    """
    notes = Notes()
    blocks: dict[str, list[Line]] = {}
    bound = "an upper bound of the standard error: the ratio is a lower one"
    for margin in margins:
        column = ", ".join(filter(None, (margin.dataset, margin.metric, margin.pick)))
        reasons = (margin.why, bound if margin.at_most else "")
        values = (
            Value(margin.margin, digits=4),
            Value(margin.n, digits=0),
            Value(margin.se, digits=4),
            Value(margin.ratio, digits=2),
            Value(margin.images, digits=1),
        )
        label = f"{column}: {margin.best} over {margin.second}"
        marks = tuple(notes.add(reason) for reason in reasons if reason)
        title = f"{_unlettered(margin.part) or table.name}: {margin.against}"
        blocks.setdefault(title, []).append(Line(label, marks, values))
    if not blocks:
        return None
    return Table(
        name=f"{paper.id}-{table.slug}-gains",
        caption=f"{paper.title}: {table.name}, printed gains against the noise of the test set. "
        "Margin and standard error of the unpaired difference in fractions (coverage in labels); "
        "a ratio below 2 may be chance.",
        columns=tuple((t, "") for t in ("Margin", "n", "Standard error", "Ratio", "Images")),
        blocks=_blocks(blocks),
        notes=tuple(notes.texts),
        remarks=(),
    )


def _blocks(lines: Mapping[str, Sequence[Line]]) -> tuple[Block, ...]:
    return tuple(Block(title, tuple(of_block)) for title, of_block in lines.items())


def _key(row: PaperRow) -> tuple[str, str]:
    return row.block, row.label


def _unlettered(block: str) -> str:
    return _LETTER.sub("", block)


# -- values ---------------------------------------------------------------------------------------


def _value(result: Reproduction | None, notes: Notes) -> Value:
    if result is None:
        return Value(None)
    scale, digits = _unit(result)
    measured = result.measured
    if measured.value is None:
        return Value(None, note=notes.add(shortened(measured.gap)), digits=digits)
    return Value(measured.value / scale, _scaled(measured.sd, scale), digits=digits)


def _unit(result: Reproduction) -> tuple[float, int]:
    """How many of bench's units one of the table's is, and how many decimals it has.

    Those of the printed number, else of the first that is printed in its column.
    """
    place = result.table.columns.index(result.column)
    of_column = [row.entries[place] for row in result.table.rows]
    for entry in (result.entry, *of_column):
        number = None if entry is None else entry.published
        if number is not None and number.value is not None:
            return number.scale, number.decimals
    return (_PERCENT, 2) if result.column.percent else (_ONE, 3)


def _scaled(value: float | None, scale: float) -> float | None:
    return None if value is None else value / scale


# -- what the values rest on ----------------------------------------------------------------------


def _rendered(results: Sequence[Reproduction]) -> set[tuple[str, ...]]:
    """The data in a table that bench rendered."""
    return {result.measured.used for result in results if result.measured.rendered}


def _mark(results: Sequence[Reproduction], rendered: set[tuple[str, ...]]) -> str:
    """What a line has to say of the data in it, also where it has no value."""
    entries = [result.measured for result in results]
    if any(entry.rendered or entry.used in rendered for entry in entries):
        return " (SYNTHETIC)"
    if any(entry.taught_by_rendered for entry in entries):
        return " (taught by SYNTHETIC faces too)"
    return _on_stand_ins(entries)


def _on_stand_ins(entries: Sequence[Measured]) -> str:
    used = {text for entry in entries if entry.stand_ins for text in entry.used}
    return f" (on {', '.join(sorted(used))})" if used else ""


def conditions(results: Sequence[Reproduction]) -> str:
    """Everything that the values depend on, in words."""
    rows = [result.measured.row for result in results if result.measured.row is not None]
    spreads = any(result.measured.sd is not None for result in results)
    devices = sorted({result.measured.device for result in results} - {""})
    measured = [*_data(rows), *(_trainings(rows, spreads) if rows else ())]
    if devices:
        measured.append(f"Timed on {'; '.join(devices)}")
    convention = _convention(rows)
    return paragraph([_stand_ins(results), *(measured or ["Nothing is measured yet"]), convention])


def _convention(rows: Sequence[Row]) -> str:
    """The convention of criteria on label sets; those of one class are equal under all."""
    names = sorted({r.convention for row in rows for r in row.ok if r.cell.kind == "multi"})
    return f"Criteria by the {' and '.join(names)} convention" if names else ""


def _stand_ins(results: Sequence[Reproduction]) -> str:
    stand_ins = sorted({text for result in results for text in result.measured.stand_ins})
    return f"STAND-IN DATA: {'; '.join(stand_ins)}" if stand_ins else ""


def _data(rows: Sequence[Row]) -> list[str]:
    """A sentence for each dataset and protocol that something is measured on."""
    data: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in (record.cell for row in rows for record in row.records):
        key = (cell.dataset, str(cell.protocol), cell.fingerprint)
        data.setdefault(key, []).append(cell)
    return [
        f"{dataset} ({origin(of_data[0])}), protocol {protocol}, "
        f"{parts(of_data, 'train', 'valid', 'test')}, data {fingerprint[:8]}"
        for (dataset, protocol, fingerprint), of_data in data.items()
    ]


def _trainings(rows: Sequence[Row], spreads: bool) -> list[str]:
    """Budget, seeds, and what ± stands for."""
    return [
        training([record for row in rows for record in row.records]),
        seeds_in_words(rows),
        "± the standard deviation over splits, or over seeds of one split" if spreads else "",
    ]
