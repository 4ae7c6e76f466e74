"""Text that every file and every stream can hold.

Python reads a byte that is not UTF-8 (in an argument, a file's name, a message about it) as half of
a surrogate pair, which no UTF-8 file can be written with.
"""

from __future__ import annotations

import re
from typing import Any

_HALF = re.compile("[\ud800-\udfff]")  # never a character of its own
_ESCAPED = range(0xDC80, 0xDD00)  # what Python makes of the bytes 0x80 to 0xff


def printable(value: Any) -> Any:
    r"""Text with such bytes written as ``\xe9``; of lists, tuples and dicts, every text in them."""
    if isinstance(value, str):
        return value if value.isascii() else _HALF.sub(_written, value)
    if isinstance(value, dict):
        return {printable(key): printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [printable(item) for item in value]
    if type(value) is tuple:
        return tuple(printable(item) for item in value)
    return value


def _written(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if code in _ESCAPED else f"\\u{code:04x}"
