"""TOML as typed structures: each key checked against the fields of a class, errors in one sentence.

The specifications of papers and run files are read this way. msgspec checks; what it says is put
into bench's words here, with the file, the place in it and the names that are nearest.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from bench.api import BenchError, near

T = TypeVar("T")

_STEP = re.compile(r"\.?(\w+)|\[(\d+|\.\.\.)\]")
_TITLES = ("id", "name", "title", "block", "label")  # keys whose values tell entries of lists apart


def parse_toml(source: str, kind: type[T], file: str) -> T:
    """A TOML text as an object of ``kind``.

    Parameters
    ----------
    kind : type
        A `msgspec.Struct` or a dataclass.
    file : str
        The file's name, as errors give it.

    Raises
    ------
    BenchError
        No TOML; else as `checked`.
    """
    try:
        values = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise BenchError(f"{file} is no TOML: {error}") from error
    return checked(values, kind, file)


def checked(values: Any, kind: type[T], file: str) -> T:
    """Plain values as an object of ``kind``; nothing is converted from one type to another.

    Raises
    ------
    BenchError
        A key that is unknown or missing, a value of another type or outside its choices: the file,
        the place in it, and near names.
    """
    try:
        return msgspec.convert(values, kind, strict=True)
    except msgspec.ValidationError as error:
        raise BenchError(f"{file}{_sentence(error, values, kind)}") from error


def _sentence(error: msgspec.ValidationError, values: Any, kind: type) -> str:
    message, _, path = str(error).partition(" - at `$")
    path = path.rstrip("`").lstrip(".")
    value, types, titles = _at(path, values, kind)
    place = f", {path}" if path else ""
    place += f" ({', '.join(titles)})" if titles else ""
    quoted = re.search("[`'](.*)[`']", message)
    name = quoted[1] if quoted else ""
    if "unknown field" in message:
        message = f"unknown key {name!r}: {near(name, _fields(types))}"
    elif "missing required field" in message:
        message = f"{name} is missing"
    elif "Invalid enum value" in message:
        message = f"{name!r}: {near(name, _choices(types))}"
    else:
        message = f"{message[:1].lower()}{message[1:]}"
        message += "" if value is None or isinstance(value, (dict, list)) else f": {value!r}"
    return f"{place}: {message}"


def _at(path: str, values: Any, kind: type) -> tuple[Any, list[inspect.Type], list[str]]:
    """What stands at a path of msgspec's, the types that may stand there, the titles on the way."""
    types = _plain(inspect.type_info(kind))
    titles: list[str] = []
    for key, index in _STEP.findall(path):
        types = [inner for outer in types for inner in _inner(outer, key)]
        values = _under(values, key, index)
        if index and isinstance(values, dict):
            titles += [str(values[name]) for name in _TITLES if name in values]
    return values, types, titles


def _under(values: Any, key: str, index: str) -> Any:
    """What stands under a key or an index; None under one that msgspec does not name."""
    if values is None or index == "...":
        return None
    return values[key] if key else values[int(index)]


def _inner(outer: inspect.Type, key: str) -> list[inspect.Type]:
    """The types under a key of a structure, or of the elements of a list."""
    if isinstance(outer, (inspect.StructType, inspect.DataclassType)):
        return [
            t for member in outer.fields if member.encode_name == key for t in _plain(member.type)
        ]
    if isinstance(outer, inspect.DictType):
        return _plain(outer.value_type)
    if isinstance(outer, (inspect.ListType, inspect.VarTupleType)) and not key:
        return _plain(outer.item_type)
    return []


def _plain(kind: inspect.Type) -> list[inspect.Type]:
    return list(kind.types) if isinstance(kind, inspect.UnionType) else [kind]


def _fields(types: list[inspect.Type]) -> list[str]:
    structures = (inspect.StructType, inspect.DataclassType)
    return [member.encode_name for t in types if isinstance(t, structures) for member in t.fields]


def _choices(types: list[inspect.Type]) -> list[str]:
    return [str(value) for t in types if isinstance(t, inspect.LiteralType) for value in t.values]
