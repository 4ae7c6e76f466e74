"""The two file formats of `mulan`: ARFF (Weka's tables, dense or sparse) and XML lists of labels.

They are apart from mulan.py for their length.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from xml.parsers import expat

import numpy as np

from bench.api import BenchError, near
from bench.data.text import shortened

_NUMERIC = ("numeric", "real", "integer")

# Weka's tokenizer: blanks, control characters and commas separate, % starts a comment, either
# quote quotes, braces stand for themselves. Inside an unquoted word a quote opens nothing, though:
# MULAN's own files have names like TAG_m\'usica, and liac-arff reads them so.
_TOKEN = re.compile(
    r"(?P<gap>[\x00-\x20,]+|%.*)"
    r"|'(?P<single>(?:[^'\\]|\\.)*)'"
    r'|"(?P<double>(?:[^"\\]|\\.)*)"'
    r"|(?P<brace>[{}])"
    r"|(?P<plain>[^\x00-\x20,{}%'\"][^\x00-\x20,{}%]*)",
    re.DOTALL,
)
_SPECIAL = re.compile(r"[{}%'\"]")
_PLAIN = re.compile(r"[^\x00-\x20,]+")
_ESCAPE = re.compile(r"\\([0-3][0-7]{0,2}|[4-7][0-7]?|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "a": "\a", "v": "\v"}


@dataclass(frozen=True)
class Attribute:
    """One column: numeric where ``values`` is None, else nominal with these values in order."""

    name: str
    values: tuple[str, ...] | None


@dataclass(frozen=True, eq=False)
class Arff:
    """A table as read.

    Attributes
    ----------
    path : Path
    attributes : tuple of Attribute
    data : float64 (n, a)
        Numbers; for a nominal attribute the position of the value in its list.
    lines : int64 (n,)
        Line of the file that each row stands in.
    relation : str
        What stands behind @relation.
    """

    path: Path
    attributes: tuple[Attribute, ...]
    data: np.ndarray
    lines: np.ndarray
    relation: str = ""

    def meka_labels(self) -> tuple[str, ...] | None:
        """The labels by MEKA's ``-C n`` in @relation: the first n attributes, the last if n < 0.

        None where the relation says nothing of them.

        Raises
        ------
        BenchError
            No whole number, or so many labels that no feature is left.
        """
        words = re.split(r"[\s:]+", self.relation)
        if "-C" not in words[:-1]:
            return None
        written = words[words.index("-C") + 1]
        names = [attribute.name for attribute in self.attributes]
        count = int(written) if re.fullmatch(r"[+-]?\d{1,9}", written) else 0
        if not 0 < abs(count) < len(names):
            raise BenchError(
                f"{self.path}: @relation says -C {shortened(written)}; MEKA's -C is the number of "
                f"labels, the first of the {len(names)} attributes, or with a minus the last"
            )
        return tuple(names[:count] if count > 0 else names[count:])


def read_arff(path: Path) -> Arff:
    """Read a dense or sparse ARFF file of numeric and nominal attributes.

    Keywords in any case, Weka's quotes and escapes, comments, CRLF and a BOM are understood. What
    a sparse row does not name is 0, or the first value of a nominal attribute.

    Raises
    ------
    BenchError
        Naming file and line: missing values, dates, texts, relations, instance weights, wrong
        column counts, unknown values, numbers that are not finite.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            numbered = enumerate(file, 1)
            relation, attributes = _header(path, numbered)
            data, lines = _data(path, numbered, attributes)
    except OSError as error:
        raise BenchError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BenchError(f"{path} is not UTF-8 text ({error.reason}); save it as such") from error
    return Arff(path, attributes, data, lines, relation)


def read_label_names(path: Path) -> tuple[str, ...]:
    """Names of all ``label`` elements of a MULAN XML file, nested ones included, in file order.

    Raises
    ------
    BenchError
        For what is no XML, has a DTD or entities, or names a label twice or none at all.
    """
    names: list[str] = []
    parser = expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise BenchError(
            f"{path}:{parser.CurrentLineNumber}: a DTD or an entity has no place in a list of "
            "labels; remove it"
        )

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag.rpartition(":")[2] != "label":
            return
        name = attributes.get("name", "")
        if not name or name in names:
            raise BenchError(
                f"{path}:{parser.CurrentLineNumber}: "
                + (
                    f"the label {shortened(name)} is listed twice"
                    if name
                    else "a label has no name"
                )
            )
        names.append(name)

    # Refused before anything is expanded, so that a "billion laughs" file costs nothing.
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = start
    try:
        parser.Parse(path.read_bytes(), True)
    except OSError as error:
        raise BenchError(f"{path} cannot be read: {error.strerror}") from error
    except expat.ExpatError as error:
        raise BenchError(f"{path} is no valid XML: {error}") from error
    if not names:
        raise BenchError(f'{path} lists no labels; each stands there as <label name="…"></label>')
    return tuple(names)


class MultiLabelTable(NamedTuple):
    """A table of features and labels.

    Attributes
    ----------
    features : float64 (n, d)
    labels : bool (n, L)
    label_names : tuple of str
        In the ARFF file's order, which is not always that of the XML file.
    """

    features: np.ndarray
    labels: np.ndarray
    label_names: tuple[str, ...]


def features_and_labels(arff: Arff, label_names: Iterable[str]) -> MultiLabelTable:
    """Split a table into features and labels.

    Numeric features stay; a nominal one of three or more values becomes one 0/1 column per value,
    one of two values a single column (the values 0 and 1 as themselves, else 1 for the second).

    Raises
    ------
    BenchError
        For a label that the ARFF file lacks, or whose values are not 0 and 1.
    """
    wanted = set(label_names)
    known = {attribute.name for attribute in arff.attributes}
    for name in sorted(wanted - known):
        raise BenchError(
            f"{arff.path} has no attribute for the label {shortened(name)}: {near(name, known)}"
        )
    columns: list[np.ndarray] = []
    labels: dict[str, np.ndarray] = {}
    for index, attribute in enumerate(arff.attributes):
        if attribute.name in wanted:
            labels[attribute.name] = _label(arff, index)
        else:
            columns += _feature(attribute, arff.data[:, index])
    if not columns:
        raise BenchError(f"{arff.path}: every attribute is a label; features are missing")
    features = np.empty((len(arff.data), len(columns)))
    for position, column in enumerate(columns):
        features[:, position] = column
    return MultiLabelTable(features, np.stack(list(labels.values()), axis=1), tuple(labels))


def _feature(attribute: Attribute, column: np.ndarray) -> list[np.ndarray]:
    """The columns that an attribute becomes: one per value where it has three or more."""
    if attribute.values is not None and len(attribute.values) > 2:
        return [column == position for position in range(len(attribute.values))]
    return [_binary(attribute, column)]


def _binary(attribute: Attribute, column: np.ndarray) -> np.ndarray:
    """A numeric or two-valued column as numbers; 0 and 1 stand for themselves in any order."""
    if attribute.values == ("1", "0"):
        return np.asarray(1 - column)
    if attribute.values == ("1",):
        return np.ones_like(column)
    return column


def _label(arff: Arff, index: int) -> np.ndarray:
    """Column ``index`` of a table as a label, bool (n,)."""
    attribute, column = arff.attributes[index], arff.data[:, index]
    if attribute.values is not None and not set(attribute.values) <= {"0", "1"}:
        raise BenchError(
            f"{arff.path}: the label {shortened(attribute.name)} has the values "
            f"{{{','.join(map(shortened, attribute.values))}}}, not {{0,1}}"
        )
    column = _binary(attribute, column)
    wrong = np.flatnonzero((column != 0) & (column != 1))
    if len(wrong):
        raise BenchError(
            f"{arff.path}:{arff.lines[wrong[0]]}: the label {shortened(attribute.name)} is "
            f"{column[wrong[0]]:g}, neither 0 nor 1"
        )
    return np.asarray(column == 1)


def _tokens(path: Path, line: int, text: str) -> list[tuple[bool, str]]:
    """(is a brace, text) of each token of a line."""
    tokens, position = [], 0
    text = text.rstrip("\n")
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise BenchError(
                f"{path}:{line}: a quote is never closed: close it, or put the whole name in "
                "quotes of the other kind"
            )
        position = match.end()
        kind = match.lastgroup or "gap"
        if kind in ("single", "double"):
            tokens.append((False, _ESCAPE.sub(_unescape, match[kind])))
        elif kind != "gap":
            tokens.append((kind == "brace", match[0]))
    return tokens


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    return chr(int(code, 8)) if code[0] in "01234567" else _ESCAPED.get(code, code)


def _header(path: Path, numbered: Iterable[tuple[int, str]]) -> tuple[str, tuple[Attribute, ...]]:
    """The relation and the attributes that a file declares; reads up to its @data line."""
    attributes: dict[str, Attribute] = {}
    relation = ""
    for line, text in numbered:
        tokens = _tokens(path, line, text)
        if not tokens:
            continue
        keyword = tokens[0][1].lower()
        if keyword == "@data":
            if not attributes:
                raise BenchError(f"{path}:{line}: @data comes before any @attribute")
            return relation, tuple(attributes.values())
        if keyword == "@attribute":
            attribute = _attribute(path, line, tokens[1:])
            if attribute.name in attributes:
                raise BenchError(
                    f"{path}:{line}: the attribute {shortened(attribute.name)} is declared twice"
                )
            attributes[attribute.name] = attribute
        elif keyword == "@relation":
            relation = " ".join(word for _, word in tokens[1:])
        else:
            raise BenchError(
                f"{path}:{line}: {shortened(tokens[0][1])} where @relation, @attribute or @data "
                "was expected"
            )
    raise BenchError(f"{path} has no @data line; it is truncated or no ARFF file")


def _attribute(path: Path, line: int, tokens: list[tuple[bool, str]]) -> Attribute:
    """The attribute that the tokens behind @attribute declare."""
    if len(tokens) < 2 or tokens[0][0]:
        raise BenchError(f"{path}:{line}: an attribute needs a name and a type")
    (_, name), (is_brace, kind) = tokens[:2]
    if len(tokens) == 2 and not is_brace and kind.lower() in _NUMERIC:
        return Attribute(name, None)
    if _enclosed(tokens[1:]):
        values = tuple(text for _, text in tokens[2:-1])
        if not values or len(set(values)) < len(values):
            raise BenchError(
                f"{path}:{line}: the values of {shortened(name)} are empty or repeated"
            )
        return Attribute(name, values)
    raise BenchError(
        f"{path}:{line}: the attribute {shortened(name)} is neither {', '.join(_NUMERIC)} nor a "
        "list of values in braces; convert or remove it"
    )


def _data(
    path: Path, numbered: Iterable[tuple[int, str]], attributes: tuple[Attribute, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """The rows below @data, float64 (n, a), and the line of each, int64 (n,)."""
    converters = [_converter(attribute) for attribute in attributes]
    width = len(attributes)
    every = range(width)
    values, lines = array("d"), array("q")
    for line, text in numbered:
        words, sparse = _words(path, line, text)
        columns: Sequence[int] = every
        if sparse:
            columns = _sparse_columns(path, line, words, width)
            words = words[1::2]
        elif not words:
            continue
        elif len(words) != width:
            raise BenchError(f"{path}:{line}: {len(words)} values for {width} attributes")
        row = [0.0] * width
        try:
            for column, word in zip(columns, words, strict=True):
                row[column] = converters[column](word)
        except (KeyError, ValueError):
            raise BenchError(_bad_value(path, line, attributes[column], word)) from None
        values.extend(row)
        lines.append(line)
    if not lines:
        raise BenchError(f"{path} has no rows after @data")
    data = np.frombuffer(values).reshape(-1, width)
    numbers = np.frombuffer(lines, dtype=np.int64)
    for row_number, column in np.argwhere(~np.isfinite(data))[:1]:
        raise BenchError(
            f"{path}:{numbers[row_number]}: {shortened(attributes[column].name)} is not a finite "
            "number"
        )
    return data, numbers


def _converter(attribute: Attribute) -> Callable[[str], float]:
    """What makes a number of a word, or raises `ValueError` or `KeyError`."""
    if attribute.values is None:
        return float
    return {value: float(place) for place, value in enumerate(attribute.values)}.__getitem__


def _words(path: Path, line: int, text: str) -> tuple[list[str], bool]:
    """The words of a row, and whether it is a sparse one, in braces."""
    if not _SPECIAL.search(text):
        return _PLAIN.findall(text), False
    tokens = _tokens(path, line, text)
    words = [word for brace, word in tokens if not brace]
    sparse = len(words) < len(tokens)
    if sparse and not _enclosed(tokens):
        raise BenchError(
            f"{path}:{line}: braces enclose a whole sparse row; instance weights are not supported"
        )
    return words, sparse


def _enclosed(tokens: list[tuple[bool, str]]) -> bool:
    """Whether braces open and close the tokens, and there are no others."""
    braces = [(position, text) for position, (brace, text) in enumerate(tokens) if brace]
    return braces == [(0, "{"), (len(tokens) - 1, "}")]


def _sparse_columns(path: Path, line: int, words: list[str], width: int) -> list[int]:
    """The columns of a sparse row of the words INDEX VALUE INDEX VALUE …."""
    try:
        columns = [int(index) for index in words[::2]]
    except ValueError:
        columns = [-1]
    if len(words) % 2 or any(not 0 <= column < width for column in columns):
        raise BenchError(
            f"{path}:{line}: a sparse row is a list of INDEX VALUE pairs with indices from 0 to "
            f"{width - 1}"
        )
    if len(set(columns)) < len(columns):
        raise BenchError(f"{path}:{line}: a sparse row names an index twice")
    return columns


def _bad_value(path: Path, line: int, attribute: Attribute, word: str) -> str:
    """The sentence on a word that is no value of the attribute."""
    where = f"{path}:{line}: the attribute {shortened(attribute.name)}"
    if word == "?":
        return f"{where} has a missing value (?); fill it in or remove the row"
    if attribute.values is None:
        return f"{where} is {shortened(word)}, not a number"
    return f"{where} is {shortened(word)}: {near(word, attribute.values)}"
