"""Tables as Markdown, as GitHub and most other readers show it."""

from __future__ import annotations

from collections.abc import Iterable

from bench.publish.escape import markdown
from bench.publish.layout import Line, Table, Value, letter

_ARROWS = {"lower": " ↓", "higher": " ↑", "": ""}
_MARKS = {"best": "**%s**", "alike": "<ins>%s</ins>", "": "%s"}


def render(tables: Iterable[Table]) -> str:
    """Every table, one after the other, as the text of table.md."""
    return "\n".join(_table(table) for table in tables)


def _table(table: Table) -> str:
    titles = [markdown(title) + _ARROWS[direction] for title, direction in table.columns]
    lines = [markdown(table.caption), "", _row(["", *titles])]
    lines.append("|:--|" + "--:|" * len(titles))
    for number, block in enumerate(table.blocks):
        if block.title:
            title = f"({letter(number)}) *{markdown(block.title)}*"
            lines.append(_row([title, *[""] * len(titles)]))
        lines += [_line(line) for line in block.lines]
    below = [f"{_signs((i,))} {markdown(note)}" for i, note in enumerate(table.notes)]
    for text in below + [markdown(remark) for remark in table.remarks]:
        lines += ["", text]
    return "\n".join(lines) + "\n"


def _row(texts: list[str]) -> str:
    return "| " + " | ".join(texts) + " |"


def _line(line: Line) -> str:
    return _row([markdown(line.label) + _signs(line.notes), *map(_value, line.values)])


def _value(value: Value) -> str:
    spread = f" ± {value.spread_text}" if value.spread is not None else ""
    mark = _MARKS[value.mark] % value.text
    return mark + spread + _signs(() if value.note is None else (value.note,))


def _signs(notes: tuple[int, ...]) -> str:
    signs = ",".join(letter(note) for note in notes)
    return f"<sup>{signs}</sup>" if signs else ""
