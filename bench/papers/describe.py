"""A table's specification and published values in words, for ``bench paper show``."""

from __future__ import annotations

from bench.papers.files import paper_dataset
from bench.papers.published import Number
from bench.papers.spec import Entry, Paper, Table, Where
from bench.run.grammar import parse_part


def described(paper: Paper, table: Table) -> str:
    """What is printed, with its source, and what measures it."""
    lines = [f"{paper.id}, {table.name}: {table.title}", f"{paper.authors}, {paper.where}"]
    lines += [text for text in (table.says and f"the text: {table.says}", table.note) if text]
    settings = dict.fromkeys(entry.where for line in table.lines for entry in line.entries if entry)
    lines += [f"setting: {_setting(where)}" for where in settings]
    for asked in dict.fromkeys(name for where in settings for name in _datasets(where)):
        about = paper_dataset(parse_part(asked).name)
        loader = about.plugin or "no loader yet"
        lines.append(f"data: {asked} ({about.kind}-label, {loader}). {about.obtain}")
    rows = [["", "published", "source", "measured by"]]
    for line in table.lines:
        for column, entry in zip(table.columns, line.entries, strict=True):
            if entry is not None:
                name = ", ".join(filter(None, (line.block, line.label, column.title)))
                rows.append([name, *_printed(entry.published), _run(entry)])
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines += ["", *("  ".join([*_padded(row, widths), row[3]]).rstrip() for row in rows)]
    return "\n".join(lines)


def _padded(row: list[str], widths: list[int]) -> list[str]:
    return [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]


def _setting(where: Where) -> str:
    data = where.dataset + (f" to {where.target}, {where.target_protocol}" if where.target else "")
    return (
        f"{data}, protocol {where.protocol}, budget {where.budget}, epochs chosen on "
        f"{where.selection}, {where.seeds} seeds"
    )


def _datasets(where: Where) -> list[str]:
    return [where.dataset, where.target] if where.target else [where.dataset]


def _printed(number: Number | None) -> tuple[str, str]:
    if number is None:
        return "--", ""
    value = number.printed or "lost"
    value += number.unit if number.unit == "%" else ""
    return value, " ".join(filter(None, (number.id, number.origin, number.why_not and "(no)")))


def _run(entry: Entry) -> str:
    return entry.run or f"nothing: {entry.why}"
