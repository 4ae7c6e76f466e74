"""What a table is before it is written as LaTeX or Markdown: blocks of lines of values, and notes.

Tables of criteria, of confusion matrices and of papers are all made of these parts, and one
renderer for each format takes them. All texts here are plain; the renderer escapes them.
"""

from __future__ import annotations

from dataclasses import dataclass

REASON_LENGTH = 140
"""Characters of a failed cell's reason that a footnote shows; cells.csv has all of it."""


@dataclass(frozen=True)
class Value:
    """One number: to ``digits`` decimals, with its spread, its mark, its footnote's number."""

    mean: float | None
    spread: float | None = None
    mark: str = ""
    note: int | None = None
    digits: int = 3

    @property
    def text(self) -> str:
        """The mean, ``--`` where there is none."""
        return "--" if self.mean is None else f"{self.mean:z.{self.digits}f}"

    @property
    def spread_text(self) -> str:
        """The spread, empty where there is none."""
        return "" if self.spread is None else f"{self.spread:z.{self.digits}f}"


@dataclass(frozen=True)
class Line:
    """One line: its label, the numbers of its footnotes, its values by column."""

    label: str
    notes: tuple[int, ...]
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Block:
    """Lines under one title; an empty title is not printed."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Table:
    """One table; ``columns`` are titles with ``lower``, ``higher`` or no direction."""

    name: str
    caption: str
    columns: tuple[tuple[str, str], ...]
    blocks: tuple[Block, ...]
    notes: tuple[str, ...]
    remarks: tuple[str, ...]


class Notes:
    """The footnotes of one table, each text once."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, text: str) -> int:
        """The number of the footnote with this text, a new one where there is none yet."""
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text)


def letter(number: int) -> str:
    """The footnote sign of a number from 0: a, b, … z, aa, ab, …"""
    sign = chr(ord("a") + number % 26)
    return sign if number < 26 else letter(number // 26 - 1) + sign


def shortened(reason: str) -> str:
    """The reason of a missing value on one line, cut to `REASON_LENGTH` characters."""
    words = " ".join(reason.split()) or "no reason recorded"
    return words if len(words) <= REASON_LENGTH else words[: REASON_LENGTH - 2].rstrip() + " …"
