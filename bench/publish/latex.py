r"""Tables as LaTeX: an environment to ``\input``, in ASCII, for pdfTeX, XeTeX and LuaTeX alike."""

from __future__ import annotations

from collections.abc import Iterable

from bench.publish.escape import latex
from bench.publish.layout import Block, Line, Table, Value, letter

_ONE_PAGE = 55  # lines
_ARROWS = {"lower": r" $\downarrow$", "higher": r" $\uparrow$", "": ""}
_MARKS = {"best": r"\textbf{%s}", "alike": r"\underline{%s}", "": "%s"}


def render(tables: Iterable[Table]) -> str:
    """Every table, one after the other, as the text of table.tex."""
    head = "% Written by bench. Needs \\usepackage{booktabs,graphicx,longtable}.\n"
    return head + "\n".join(
        _over_pages(table) if _lines_of(table) > _ONE_PAGE else _table(table) for table in tables
    )


def _lines_of(table: Table) -> int:
    return sum(1 + len(block.lines) for block in table.blocks)


def _over_pages(table: Table) -> str:
    """A table that goes on from page to page, its header on each."""
    columns = r"p{.55\linewidth}*{" + str(len(table.columns)) + r"}{c}"
    lines = [
        r"\begingroup\footnotesize\setlength{\tabcolsep}{3pt}\setlength{\LTcapwidth}{\linewidth}",
        rf"\begin{{longtable}}{{@{{}}{columns}@{{}}}}",
        rf"\caption{{{latex(table.caption)}}}\label{{tab:{table.name}}}\\",
        r"\toprule",
        *_header(table),
        r"\midrule\endhead",
        r"\bottomrule\endfoot",
        *_blocks(table),
        r"\end{longtable}",
        "\n\n".join(_footnotes(table)),
        r"\endgroup",
    ]
    return "\n".join(lines) + "\n"


def _blocks(table: Table) -> list[str]:
    """Every block with its title."""
    spreads = [
        any(line.values[i].spread is not None for block in table.blocks for line in block.lines)
        for i in range(len(table.columns))
    ]
    width, lines = len(table.columns) + 1, []
    for number, block in enumerate(table.blocks):
        if number:
            lines.append(r"\midrule")
        if block.title:
            lines.append(rf"\multicolumn{{{width}}}{{@{{}}l}}{{{_title(number, block)}}} \\")
        lines += [_line(line, spreads) for line in block.lines]
    return lines


def _table(table: Table) -> str:
    width = len(table.columns) + 1
    lines = [
        r"\begin{table*}[tp]",
        r"\centering",
        r"\setlength{\belowcaptionskip}{6pt}",
        rf"\caption{{{latex(table.caption)}}}",
        rf"\label{{tab:{table.name}}}",
        r"\small",
        # kept in a box, since it is shrunk only where it is wider than the text
        r"\sbox0{\begin{tabular}{@{}l*{" + str(width - 1) + r"}{c}@{}}",
        r"\toprule",
        *_header(table),
        r"\midrule",
        *_blocks(table),
        r"\bottomrule",
        r"\end{tabular}}%",
        r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi",
        *_below(table),
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def _header(table: Table) -> list[str]:
    """Two lines, the last word of each title below the others."""
    upper, lower = [""], [""]
    for title, direction in table.columns:
        first, _, last = title.rpartition(" ")
        upper.append(latex(first))
        lower.append(latex(last) + _ARROWS[direction])
    return [" & ".join(upper) + r" \\", " & ".join(lower) + r" \\"]


def _title(number: int, block: Block) -> str:
    return rf"({letter(number)}) \textit{{{latex(block.title)}}}"


def _line(line: Line, spreads: list[bool]) -> str:
    label = rf"\quad {latex(line.label)}{_signs(line.notes)}"
    values = [_value(value, wide) for value, wide in zip(line.values, spreads, strict=True)]
    return " & ".join([label, *values]) + r" \\"


def _value(value: Value, wide: bool) -> str:
    """A number; in a ``wide`` column one without a spread leaves its place empty."""
    if value.mean is None:
        return "--" + _signs(() if value.note is None else (value.note,))
    text = _MARKS[value.mark] % value.text
    if value.spread is not None:
        text += rf"\,{{\scriptsize$\pm$\,{value.spread_text}}}"
    elif wide:
        text += r"\phantom{\,{\scriptsize$\pm$\,0.000}}"
    return text + _signs(() if value.note is None else (value.note,))


def _signs(notes: tuple[int, ...]) -> str:
    signs = ",".join(letter(note) for note in notes)
    return rf"\textsuperscript{{{signs}}}" if signs else ""


def _footnotes(table: Table) -> list[str]:
    """Footnotes, then remarks."""
    notes = [rf"{_signs((i,))}\,{latex(note)}" for i, note in enumerate(table.notes)]
    return notes + [latex(remark) for remark in table.remarks]


def _below(table: Table) -> list[str]:
    texts = _footnotes(table)
    if not texts:
        return []
    return [
        r"\par\medskip",
        r"\begin{minipage}{\linewidth}\footnotesize\raggedright",
        "\\\\\n".join(texts),
        r"\end{minipage}",
    ]
