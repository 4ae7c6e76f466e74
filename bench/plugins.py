"""Finds plug-in files and says what is in them; the registry.

A listing imports no plug-in, so it costs milliseconds and a broken plug-in stops nothing but
itself: names, titles and kinds come from the source (`bench.source`). All else that there is to
know of a plug-in (its parameters, whether ``all`` leaves it out, the kinds of data it takes) is the
loaded class's to say, which `Entry.load` gives.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import bench
from bench.api import KINDS, BenchError, Plugin, alike, near
from bench.source import SourceClass, literal, parse

PACKAGE = "fer-bench"


@dataclass(frozen=True)
class Entry:
    """One plug-in as its source names it.

    Attributes
    ----------
    name : str
        As on the command line; the file's, where it cannot be read.
    kind : str
        ``Dataset``, ``Features``, ``Classifier`` or ``Network``; empty for an unreadable file.
    title : str
        The file's docstring, or the class's where the file has none.
    labels : str
        Of a dataset, its `Dataset.kind` where the source gives one: ``multi``, ``single`` or
        ``people``. For a listing alone: the class decides.
    changed_defaults : tuple of (str, object)
        Names and values of `Plugin.changed_defaults`.
    state : {"ready", "needs", "broken"}
        ``reason`` says what is missing and how to get it, or what is wrong.
    """

    name: str
    kind: str
    file: Path
    class_name: str = ""
    module: str | None = None
    title: str = ""
    labels: str = ""
    changed_defaults: tuple[tuple[str, Any], ...] = ()
    state: str = "ready"
    reason: str = ""
    builtin: bool = False

    @property
    def summary(self) -> str:
        """The first line of the title."""
        return self.title.strip().split("\n")[0].strip()

    def load(self) -> type[Plugin]:
        """Import the file and return the class; raises `BenchError` where that fails."""
        if self.state != "ready":
            state = "is broken" if self.state == "broken" else self.state
            raise BenchError(f"{self.name or self.file.name} {state}: {self.reason}")
        try:
            with same_folder():
                module = _import(self)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a script that ends in sys.exit(), say
            where = _line_of(error, self.file)
            raise BenchError(
                f"plug-in file {self.file}{where} fails on import: "
                f"{type(error).__name__}: {error}; mend the file or leave it out"
            ) from error
        plugin = getattr(module, self.class_name, None)
        if not (isinstance(plugin, type) and issubclass(plugin, KINDS[self.kind])):
            raise BenchError(
                f"plug-in file {self.file}: {self.class_name} is not a bench.api.{self.kind} "
                "once imported; derive it from that class"
            )
        if plugin.name != self.name:
            raise BenchError(
                f"plug-in file {self.file}: {self.class_name} is named {plugin.name!r} once "
                f"imported, and {self.name!r} where the class begins; give it one name"
            )
        return plugin


@contextmanager
def same_folder() -> Iterator[None]:
    """Come back to the working folder, wherever a plug-in goes: relative paths mean that one."""
    try:
        here = os.open(".", os.O_RDONLY)
    except OSError:  # it is gone, or may not be read
        yield
        return
    try:
        yield
    finally:
        os.fchdir(here)
        os.close(here)


def _import(entry: Entry) -> ModuleType:
    if entry.module is not None:
        return importlib.import_module(entry.module)
    # One name per file content's place, so that two files of one stem do not collide.
    name = (
        f"bench_plugin_{entry.file.stem}_{hashlib.sha256(str(entry.file).encode()).hexdigest()[:8]}"
    )
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, entry.file)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {entry.file}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _line_of(error: BaseException, file: Path) -> str:
    if isinstance(error, SyntaxError) and error.lineno:
        return f":{error.lineno}"
    line, trace = "", error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename) == file:
            line = f":{trace.tb_lineno}"
        trace = trace.tb_next
    return line


def read(file: Path, module: str | None = None, builtin: bool = False) -> list[Entry]:
    """The plug-ins in a source file, without importing it."""
    try:
        source = parse(file, module or "")
    except SyntaxError as error:
        reason = f"{file}:{error.lineno}: {error.msg}"
        return [Entry(file.stem, "", file, state="broken", reason=reason, builtin=builtin)]
    except (OSError, UnicodeDecodeError) as error:
        return [Entry(file.stem, "", file, state="broken", reason=str(error), builtin=builtin)]
    entries = []
    for plugin in source.classes.values():
        name = literal([plugin], "name")
        if not isinstance(name, str) or not name:
            continue  # a plug-in has a name of its own; looking for its bases is dear
        ancestors = plugin.ancestors()
        kind = _kind(ancestors)
        if not kind:
            continue
        needs = _needs(file, ancestors)
        labels = literal(ancestors, "kind") if kind == "Dataset" else ""
        entries.append(
            Entry(
                name=name,
                kind=kind,
                file=file,
                class_name=plugin.name,
                module=module,
                title=source.docstring or plugin.docstring,
                labels=labels if isinstance(labels, str) else "",
                changed_defaults=tuple((literal(ancestors, "changed_defaults") or {}).items()),
                state="needs" if needs else "ready",
                reason=needs,
                builtin=builtin,
            )
        )
    return entries


def _kind(ancestors: Sequence[SourceClass]) -> str:
    """The kind that a class's ancestors make it; of two, the one that derives from the other."""
    roots = {(kind.__module__, kind.__name__): name for name, kind in KINDS.items()}
    kinds = (roots.get((one.module, one.name)) for one in ancestors)
    return next((kind for kind in kinds if kind is not None), "")


def _needs(file: Path, ancestors: Sequence[SourceClass]) -> str:
    """How to get the packages that the files of a class and of its bases import; "": all there."""
    packages = {name: None for one in ancestors for name in one.source.packages}
    missing = [name for name in packages if not _installed(name)]
    if not missing:
        return ""
    # PyPI's package of either name is another one, so never advise to install it.
    if own := {"methods", "datasets"} & set(missing):
        names = ", ".join(f"bench.{one} in place of {one}" for one in sorted(own))
        return f"import {names} in {file}"
    extra = literal(ancestors, "extra")
    wanted = f"'{PACKAGE}[{extra}]'" if extra else " ".join(missing)
    return f"pip install {wanted} (brings {', '.join(missing)})"


def _installed(package: str) -> bool:
    """Whether a package can be imported; nothing is imported."""
    at_hand = package in sys.stdlib_module_names or package in sys.modules
    return at_hand or _findable(package, tuple(sys.path))


@cache
def _findable(package: str, path: tuple[str, ...]) -> bool:
    return importlib.util.find_spec(package) is not None


def _builtin_files() -> Iterator[tuple[Path, str]]:
    # bench.__path__ holds the package itself (a wheel) and, in a clone, the folder beside it.
    for package in ("methods", "datasets"):
        for place in bench.__path__:
            for file in sorted((Path(place) / package).glob("*.py")):
                if not file.name.startswith("_"):
                    yield file, f"bench.{package}.{file.stem}"


def _files_under(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(file for file in path.glob("*.py") if not file.name.startswith("_"))
        if not files:
            raise BenchError(f"--plugins {path}: no Python file in this folder")
        return files
    if not path.is_file():
        raise BenchError(f"--plugins {path}: no such file or folder")
    return [path]


def _entry_points() -> Iterator[Entry]:
    import importlib.metadata  # not for `bench --help`, which looks for no plug-in

    for point in importlib.metadata.entry_points(group="bench.plugins"):
        module = point.value.split(":")[0].strip()
        try:
            spec = importlib.util.find_spec(module)
        except Exception as error:
            # Any failure of somebody else's package: it must not stop the rest.
            yield Entry(point.name, "", Path(module), state="broken", reason=repr(error))
            continue
        if spec is None or not spec.origin:
            reason = f"entry point {point.name}: module {module} does not exist"
            yield Entry(point.name, "", Path(module), state="broken", reason=reason)
        else:
            yield from read(Path(spec.origin), module)


def _a(kind: str) -> str:
    """The kind of a plug-in with its article; features are many."""
    return kind if kind == "features" else f"a {kind}"


class Registry:
    """All plug-ins: built-in, from ``--plugins`` and from installed packages.

    Parameters
    ----------
    extra : sequence of Path
        Files or folders given with ``--plugins``.

    Raises
    ------
    BenchError
        Where two plug-ins have one name; names both files.
    """

    def __init__(self, extra: Sequence[Path] = ()) -> None:
        self.extra = tuple(Path(path).resolve() for path in extra)
        self.datasets: dict[str, Entry] = {}
        self.methods: dict[str, Entry] = {}
        self.broken: list[Entry] = []
        for file, module in _builtin_files():
            self._add(read(file, module, builtin=True))
        for path in self.extra:
            for file in _files_under(path):
                entries = read(file)
                if not entries:
                    raise BenchError(
                        f"--plugins {file}: no plug-in in this file; a plug-in is a class with a "
                        'name of its own (name = "my-method") that derives from '
                        "bench.api.Dataset, Features, Classifier or Network, or from a class of "
                        "bench.nn or of a built-in method"
                    )
                self._add(entries)
        for entry in _entry_points():
            self._add([entry])

    def _add(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if not entry.kind:
                self.broken.append(entry)
                continue
            table = self.datasets if entry.kind == "Dataset" else self.methods
            other = table.get(entry.name)
            if other is not None:
                if other.file == entry.file and other.class_name == entry.class_name:
                    continue
                raise BenchError(
                    f"two plug-ins are named {entry.name!r}: {other.file} and {entry.file}; "
                    "rename one of them"
                )
            table[entry.name] = entry

    def __iter__(self) -> Iterator[Entry]:
        yield from self.datasets.values()
        yield from self.methods.values()

    def find(self, what: str, name: str) -> tuple[Entry, str | None]:
        """Entry and member of ``name`` (``mulan:yeast`` is member ``yeast`` of ``mulan:``).

        Parameters
        ----------
        what : {"dataset", "method"}

        Raises
        ------
        BenchError
            Unknown names (near ones are listed) and families without a member.
        """
        table = self.datasets if what == "dataset" else self.methods
        if name in table and not name.endswith(":"):
            return table[name], None
        family, colon, member = name.partition(":")
        if colon and family + ":" in table:
            if not member:
                raise BenchError(f"{name} needs a name after the colon")
            return table[family + ":"], member
        if family + ":" in table:
            raise BenchError(f"{family} needs a name after a colon, as in {family}:NAME")
        for entry in self.broken:
            if name.replace("-", "_") == entry.name.replace("-", "_"):
                raise BenchError(f"{name} is broken: {entry.reason}")
        raise self._unknown(what, name)

    def _unknown(self, what: str, name: str) -> BenchError:
        """The error for a name that no dataset, or no method, has; it may be one of the others."""
        table, others = self.datasets, self.methods
        if what == "method":
            table, others = others, table
        option = "--dataset" if what == "method" else "--methods"
        for known in (name, name.partition(":")[0] + ":"):
            if known in others:
                kind = others[known].kind.lower()
                return BenchError(f"{name} is no {what} but {_a(kind)}: give it with {option}")
        broken = "".join(f"; broken: {entry.reason}" for entry in self.broken)
        close = [] if alike(name, table, cutoff=1) else alike(name, others, cutoff=1)
        close = close or ([] if alike(name, table) else alike(name, others, cutoff=0.7))
        if close:
            kind = others[close[0]].kind.lower()
            words = f"did you mean the {kind} {close[0]}, which {option} takes?"
            return BenchError(f"unknown {what} {name!r}: {words}{broken}")
        return BenchError(f"unknown {what} {name!r}: {near(name, table)}{broken}")
