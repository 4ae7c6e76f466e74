"""A table's specification and published values in words, for ``bench paper show``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.papers.files import paper_dataset
from bench.papers.published import Number
from bench.papers.spec import Conditions, Paper, PaperEntry, PaperTable
from bench.run.grammar import parse_part


def described(paper: Paper, table: PaperTable) -> str:
    """What is printed, with its source, and what measures it."""
    conditions = tuple(dict.fromkeys(entry.conditions for entry in table.entries))
    lines = [
        f"{paper.id}, {table.name}: {table.title}",
        f"{paper.authors}, {paper.where}",
        f"the text: {table.says}" if table.says else "",
        table.note,
        f"convention of the criteria: {paper.convention}: {paper.convention_why}",
        *_reasons(table),
        *(f"setting: {_in_words(each)}" for each in conditions),
        *map(_dataset, dict.fromkeys(name for each in conditions for name in _datasets(each))),
    ]
    return "\n".join([*filter(None, lines), "", *_aligned(_rows(table))])


def _reasons(table: PaperTable) -> Iterable[str]:
    """Selection, alignment and test set, each with what is used and why."""
    reasons, run = table.reasons, [entry.conditions for entry in table.entries if entry.run]
    used = {
        "selection": dict.fromkeys(conditions.selection for conditions in run),
        "alignment": dict.fromkeys(_alignment(name) for one in run for name in _datasets(one)),
        "test set": dict.fromkeys(_test_set(conditions) for conditions in run),
    }
    why = (reasons.selection, reasons.alignment, reasons.test_set)
    for (name, values), reason in zip(used.items(), why, strict=True):
        if values:
            yield f"{name}: {'; '.join(values)}: {reason}"


def _alignment(name: str) -> str:
    """How a dataset's faces lie: as its parameter ``align`` says, or as they come."""
    plain, bracket, _ = name.partition("[")  # a paper's mixture of datasets is no name of bench
    params = parse_part(name).params if bracket else {}
    (align,) = params.get("align", ["as released"])
    return f"{plain} {align}"


def _test_set(conditions: Conditions) -> str:
    if conditions.target:
        return f"{conditions.target}, {conditions.target_protocol}"
    return f"{conditions.dataset}, {conditions.protocol}"


def _in_words(conditions: Conditions) -> str:
    data = conditions.dataset
    if conditions.target:
        data += f" to {conditions.target}, {conditions.target_protocol}"
    return (
        f"{data}, protocol {conditions.protocol}, budget {conditions.budget}, epochs chosen on "
        f"{conditions.selection}, {conditions.seeds} seeds"
    )


def _datasets(conditions: Conditions) -> Iterable[str]:
    return filter(None, (conditions.dataset, conditions.target))


def _dataset(name: str) -> str:
    dataset = paper_dataset(name.partition("[")[0])
    loader = dataset.plugin or "no loader yet"
    return f"data: {name} ({dataset.kind}-label, {loader}). {dataset.obtain}"


def _rows(table: PaperTable) -> list[list[str]]:
    """Each entry: its place, the printed value, its source, and what measures it."""
    rows = [["", "published", "source", "measured by"]]
    for row in table.rows:
        for column, entry in zip(table.columns, row.entries, strict=True):
            if entry is not None:
                place = ", ".join(filter(None, (row.block, row.label, column.title)))
                rows.append([place, *_printed(entry.published), _run(entry)])
    return rows


def _printed(number: Number | None) -> tuple[str, str]:
    """The value with its unit where that is per cent, and its source."""
    if number is None:
        return "--", ""
    value = number.printed or "lost"
    value += number.unit if number.unit == "%" else ""
    return value, " ".join(filter(None, (number.id, number.origin, number.why_not and "(no)")))


def _run(entry: PaperEntry) -> str:
    return entry.run or f"nothing: {entry.why}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """One line per row, its columns below one another; the last is as long as it is."""
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    padded = ([cell.ljust(width) for cell, width in zip(row, widths, strict=False)] for row in rows)
    return ["  ".join([*cells, row[3]]).rstrip() for cells, row in zip(padded, rows, strict=True)]
