"""Run options on the command line: a parser's arguments from `bench.run.options.RunOptions`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from bench.run.options import OPTIONS, TYPES, RunOptions, flag, options_of, read_file


def add_options(parser: argparse.ArgumentParser, names: Iterable[str] = tuple(OPTIONS)) -> None:
    """Declare the options of these names; what the user does not give stays None."""
    for name in names:
        option = OPTIONS[name]
        words: dict[str, Any] = {"help": option.metadata["help"], "default": None}
        if option.metadata["metavar"]:
            words["metavar"] = option.metadata["metavar"]
        kind = _plain(TYPES[name])
        if get_origin(kind) is Literal:
            words["choices"] = get_args(kind)
        elif get_origin(kind) is tuple:
            words |= {"action": "append", "type": get_args(kind)[0]}
        elif kind in (int, Path):
            words["type"] = kind
        parser.add_argument(flag(name), **words)


def _plain(kind: Any) -> Any:
    """A type without the None of an option that may be left out."""
    if get_origin(kind) in (Union, UnionType):
        return next(one for one in get_args(kind) if one is not NoneType)
    return kind


def is_given(namespace: argparse.Namespace, name: str) -> bool:
    """Whether the user gave an option, on the command line or in ``--config``."""
    file = getattr(namespace, "config", None)
    return getattr(namespace, name) is not None or (file is not None and name in read_file(file))


def chosen(namespace: argparse.Namespace, names: Iterable[str] = tuple(OPTIONS)) -> RunOptions:
    """The options of these names as parsed, over those of ``--config`` where a command has it."""
    given = {name: getattr(namespace, name) for name in names}
    return options_of(given, getattr(namespace, "config", None))
