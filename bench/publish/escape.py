"""Names from users, made harmless for LaTeX, CSV, Markdown, the terminal and the file system.

A dataset, a method or a reason may hold any character; each place where a table or a message goes
has one function here.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

LONGEST_FOLDER = 64
"""Characters kept of a name; a hyphen and eight hexadecimal digits may follow."""

# Cc control, Cf invisible (text direction can be turned round by these), Cs lone surrogates
# (not encodable), Co and Cn nothing that a font could draw, Zl and Zp line breaks.
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedblright{}",
    "'": r"\textquoteright{}",
    "`": r"\textasciigrave{}",
    # behind \\ these two would be read as its arguments, and [ ] end other optional arguments
    "*": "{*}",
    "[": "{[}",
    "]": "{]}",
    "\u00a0": "~",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "→": r"$\rightarrow$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "λ": r"$\lambda$",
    "μ": r"$\mu$",
    "σ": r"$\sigma$",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "…": r"\dots{}",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
}
_ACCENTS = {
    "\u0300": r"\`",
    "\u0301": r"\'",
    "\u0302": r"\^",
    "\u0303": r"\~",
    "\u0304": r"\=",
    "\u0306": r"\u",
    "\u0307": r"\.",
    "\u0308": r"\"",
    "\u030a": r"\r",
    "\u030b": r"\H",
    "\u030c": r"\v",
    "\u0327": r"\c",
}


def terminal(text: str) -> str:
    r"""Text for a terminal: no escape sequence, no line break, no turned direction survives.

    The text stands on one line; what nobody could see is written as ``\n``, ``\x1b``, ``\u202e``.
    """
    return _visible(text)


def _visible(text: str) -> str:
    """The text on one line, with the code of each character that has no picture."""
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in _INVISIBLE
        else character
        for character in text
    )


def csv_cell(text: str) -> str:
    """Text for a CSV cell: a spreadsheet shows it and does not run it as a formula.

    A leading ``= + - @``, tab or line break gets a ``'`` before it; numbers stay as they are.
    """
    shown = _visible(text)
    formula = text.lstrip()[:1] in ("=", "+", "-", "@") or text[:1] in ("\t", "\r", "\n")
    return f"'{shown}" if formula and not _NUMBER.fullmatch(text) else shown


def markdown(text: str) -> str:
    """Text for one cell of a Markdown table: no markup, no HTML, no further cell."""
    html = _visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~$])", r"\\\1", html)


def latex(text: str) -> str:
    r"""Text for LaTeX's text mode, in ASCII, so that every engine reads it.

    Accented Latin letters become accent commands; a letter that pdfTeX's standard fonts lack is
    written as its code point (``U+8868``).
    """
    written = "".join(_latex_character(character) for character in _visible(text))
    # two hyphens typed by a user are not a dash
    return re.sub(r"-(?=-)", "-{}", written)


def _latex_character(character: str) -> str:
    if character in _LATEX:
        return _LATEX[character]
    if character.isascii():
        return character
    base, *marks = list(unicodedata.normalize("NFD", character))
    if base.isascii() and base.isalpha() and len(marks) == 1 and marks[0] in _ACCENTS:
        return f"{_ACCENTS[marks[0]]}{{{base}}}"
    return f"U+{ord(character):04X}"


def folder(name: str) -> str:
    """A folder name for ``name``: one harmless path component, another one for another name.

    Lower-case names of letters, digits, ``.``, ``_`` and ``-`` stay as they are
    (``fer-plus-ml``); any other is simplified and ends in a hash of the whole name
    (``fer-plus-labels-majority-1f0c9d3e``), which also keeps names apart that differ only in case.
    """
    simple = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.")[:LONGEST_FOLDER].strip("-.")
    # a name that ends like a hash could be another one's folder; the devices belong to Windows
    looks_hashed = re.search(r"-[0-9a-f]{8}$", simple)
    device = re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", simple)
    if simple == name and simple and not looks_hashed and not device:
        return simple
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    if device:
        simple = simple.replace(".", "-")  # `con.x` means the device whatever follows the dot
    return f"{simple or 'unnamed'}-{digest}"
