"""Output streams that take any text, whatever the encoding of the terminal or log behind them.

A terminal or a batch system with an ASCII, ISO-8859-1 or Windows locale knows few of the characters
that help texts, titles of papers and names of files hold. The command line and the worker processes
write through here; it stands in this room since both reach it.
"""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata

_ERRORS = "bench.readable"  # the name under which codecs know `_readable`

_PLAIN = {
    "…": "...",
    "–": "-",
    "—": "-",
    "−": "-",
    "‐": "-",
    "‑": "-",
    "×": "x",
    "·": "|",
    "•": "*",
    "→": "->",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "±": "+/-",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "½": " 1/2",
    "¼": " 1/4",
    "¾": " 3/4",
    "²": "^2",
    "³": "^3",
    "λ": "lambda",  # which Unicode spells lamda
    "Λ": "lambda",
}


def make_readable() -> None:
    r"""Let stdout and stderr of this process replace what their encoding lacks.

    ``…`` becomes ``...``, ``é`` ``e``, ``λ`` ``lambda``, and what has no such likeness its code
    (``\u8868``); text that the encoding knows stays as it is.
    """
    codecs.register_error(_ERRORS, _readable)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def _readable(error: UnicodeError) -> tuple[str, int]:
    """What stands for the characters that could not be encoded, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(map(_likeness, text)), error.end


def _likeness(character: str) -> str:
    """ASCII text that a reader takes for the character."""
    if character in _PLAIN:
        return _PLAIN[character]
    # Letters alone: the parts of other characters, such as ⅓, would read as another number.
    base = unicodedata.normalize("NFD", character)[0]
    if base in _PLAIN or (base.isascii() and base.isalpha()):
        return _PLAIN.get(base, base)
    name = unicodedata.name(base, "").split()  # GREEK SMALL LETTER ALPHA
    return name[-1].lower() if name[:1] == ["GREEK"] else _code(character)


def _code(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode("ascii")
