"""The method grammar of the command line: ``dbm-cnn[k=5|10]+lift, lbp+all``."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.api import BenchError

QUOTES = "in a shell, put what holds [ ] or | in quotes"

_NAME = re.compile(r"[A-Za-z0-9][\w.:/-]*\Z")
_KEY = re.compile(r"[A-Za-z_]\w*\Z")


@dataclass(frozen=True)
class Part:
    """One name with its bracket: ``mlknn[k=5|10]`` is ``Part("mlknn", {"k": ["5", "10"]})``."""

    name: str
    params: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        inside = ",".join(f"{key}={'|'.join(values)}" for key, values in self.params.items())
        return f"{self.name}[{inside}]" if inside else self.name

    def choices(self) -> Iterator[dict[str, str]]:
        """Every combination of the swept values, in the order written."""
        for combination in itertools.product(*self.params.values()):
            yield dict(zip(self.params, combination, strict=True))


@dataclass(frozen=True)
class Term:
    """``left`` alone, or ``left+right``."""

    left: Part
    right: Part | None = None


def split_outside(text: str, separator: str) -> list[str]:
    """Split at ``separator`` where it stands outside brackets and double quotes.

    Raises
    ------
    BenchError
        A bracket or a quote that is not closed, or closes nothing.
    """
    pieces, depth, quoted, start = [], 0, False, 0
    for position, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif character == "[":
            depth += 1
        elif character == "]":
            depth -= 1
            if depth < 0:
                raise BenchError(f"{text!r}: the ] at character {position + 1} closes no [")
        elif character == separator and depth == 0:
            pieces.append(text[start:position])
            start = position + 1
    if quoted:
        raise BenchError(f'{text!r}: a " is not closed')
    if depth:
        raise BenchError(f"{text!r}: a [ is not closed; {QUOTES}")
    return [*pieces, text[start:]]


def parse_part(text: str) -> Part:
    """Read ``name`` or ``name[key=value|value,key=value]``; values may stand in double quotes."""
    text = text.strip()
    if other := re.fullmatch(r"([\w.:/-]+)[({](.*)[)}]", text):
        raise BenchError(
            f"{text!r}: parameters stand in square brackets, {other[1]}[{other[2]}]; {QUOTES}"
        )
    name, bracket, rest = text.partition("[")
    if not name:
        raise BenchError(f"{text!r}: a name is missing")
    if not _NAME.match(name.strip()):
        raise BenchError(f"{name.strip()!r} is not a name (letters, digits, - _ . : /)")
    if not bracket:
        return Part(name.strip())
    # Within the brackets others may stand: md-cnn[second=synthetic[seed=1]].
    if not rest.endswith("]") or not _balanced(rest[:-1]):
        raise BenchError(f"{text!r}: nothing may follow the closing ]")
    params: dict[str, list[str]] = {}
    for piece in split_outside(rest[:-1], ","):
        key, equals, values = piece.partition("=")
        key = key.strip()
        if not equals or not _KEY.match(key):
            raise BenchError(f"{text!r}: {piece.strip()!r} should read parameter=value")
        if key in params:
            raise BenchError(f"{text!r}: {key} stands twice")
        params[key] = [_unquote(value.strip(), text) for value in split_outside(values, "|")]
    return Part(name.strip(), params)


def _balanced(text: str) -> bool:
    try:
        split_outside(text, ",")
    except BenchError:
        return False
    return True


def _unquote(value: str, text: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1]
    if not value:
        raise BenchError(f"{text!r}: a value is missing")
    return value


def parse_methods(text: str) -> list[Term]:
    """Read a comma-separated list of methods.

    Raises
    ------
    BenchError
        One sentence that quotes the piece it could not read.
    """
    terms = []
    for piece in split_outside(text, ","):
        if not piece.strip():
            raise BenchError(f"--methods {text!r}: a method is missing between two commas")
        parts = [parse_part(part) for part in split_outside(piece, "+")]
        if len(parts) > 2:
            raise BenchError(f"{piece.strip()!r}: a method is FEATURES+CLASSIFIER, one + at most")
        terms.append(Term(*parts))
    return terms
