"""Finds plug-in files and says what is in them; the registry.

Listing reads the source only (`ast`): nothing is imported until a plug-in is run, checked or
described, so a listing costs milliseconds and a broken plug-in stops nothing but itself.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import bench
from bench.api import KINDS, BenchError, Plugin, near

PACKAGE = "fer-bench"

# Classes of bench.nn that plug-ins derive from, and the kind that these make them.
BASES = {
    **{name: name for name in KINDS},
    "TrainedNetwork": "Network",
    "DCNNNetwork": "Network",
    "BiManifoldNetwork": "Network",
    "ResNetTFE": "Network",
    "TFENetwork": "Network",
    "TwoDatasetNetwork": "Network",
    "CentredNetwork": "Network",
    "ComparedNetwork": "Network",
    "Backbone": "Features",
    "FullyConnected": "Features",
}


@dataclass(frozen=True)
class Field:
    """One hyper-parameter as its source spells it."""

    name: str
    type: str
    default: str
    help: str


@dataclass(frozen=True)
class Entry:
    """One plug-in as its source describes it.

    Attributes
    ----------
    kind : str
        ``Dataset``, ``Features``, ``Classifier`` or ``Network``; empty for an unreadable file.
    state : {"ready", "needs", "broken"}
        ``reason`` says what is missing and how to get it, or what is wrong.
    settings : dict
        Literal class attributes (``embedded``, ``kinds``, ``by_name_only`` …).
    """

    name: str
    kind: str
    file: Path
    class_name: str = ""
    module: str | None = None
    doc: str = ""
    title: str = ""
    fields: tuple[Field, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    state: str = "ready"
    reason: str = ""
    builtin: bool = False

    @property
    def summary(self) -> str:
        """One line: the first of the file's docstring, or of the class's."""
        return (self.title or self.doc).strip().split("\n")[0].strip()

    def load(self) -> type[Plugin]:
        """Import the file and return the class; raises `BenchError` where that fails."""
        if self.state != "ready":
            state = "is broken" if self.state == "broken" else self.state
            raise BenchError(f"{self.name or self.file.name} {state}: {self.reason}")
        try:
            module = _import(self)
        except Exception as error:
            where = _line_of(error, self.file)
            raise BenchError(
                f"plug-in file {self.file}{where} fails on import: "
                f"{type(error).__name__}: {error}; mend the file or leave it out"
            ) from error
        found = getattr(module, self.class_name, None)
        if not (isinstance(found, type) and issubclass(found, KINDS[self.kind])):
            raise BenchError(
                f"plug-in file {self.file}: {self.class_name} is not a bench.api.{self.kind} "
                "once imported; derive it from that class"
            )
        return found


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


def _literal(node: ast.expr | None) -> Any:
    try:
        return ast.literal_eval(node) if node is not None else None
    except ValueError:
        return None


def _kind_of(node: ast.ClassDef, classes: dict[str, ast.ClassDef], seen: frozenset[str]) -> str:
    for base in node.bases:
        name = base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
        if name in BASES:
            return BASES[name]
        if name in classes and name not in seen:
            kind = _kind_of(classes[name], classes, seen | {name})
            if kind:
                return kind
    return ""


def _fields_and_settings(node: ast.ClassDef) -> tuple[tuple[Field, ...], dict[str, Any]]:
    fields: list[Field] = []
    settings: dict[str, Any] = {}
    for statement in node.body:
        target: ast.expr
        if isinstance(statement, ast.AnnAssign):
            target, value = statement.target, statement.value
        elif isinstance(statement, ast.Assign):
            target, value = statement.targets[0], statement.value
        else:
            continue
        if not isinstance(target, ast.Name):
            continue
        if isinstance(statement, ast.AnnAssign) and _calls_param(value):
            assert isinstance(value, ast.Call)
            keywords = {word.arg: _literal(word.value) for word in value.keywords}
            default = ast.unparse(value.args[0]) if value.args else ""
            written = ast.unparse(statement.annotation)
            fields.append(Field(target.id, written, default, keywords.get("help") or ""))
        else:
            settings[target.id] = _literal(value)
    return tuple(fields), settings


def _calls_param(value: ast.expr | None) -> bool:
    if not isinstance(value, ast.Call):
        return False
    called = value.func
    return (isinstance(called, ast.Name) and called.id == "param") or (
        isinstance(called, ast.Attribute) and called.attr == "param"
    )


def _missing_modules(tree: ast.Module) -> list[str]:
    """Top-level imports of packages that are not installed (looked up, not imported)."""
    missing = []
    for node in tree.body:
        if isinstance(node, ast.Import):
            roots = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            roots = [node.module.split(".")[0]]
        else:
            continue
        for root in roots:
            if root in sys.stdlib_module_names or root in sys.modules or root in missing:
                continue
            if importlib.util.find_spec(root) is None:
                missing.append(root)
    return missing


def read(file: Path, module: str | None = None, builtin: bool = False) -> list[Entry]:
    """The plug-ins in a source file, without importing it."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    except SyntaxError as error:
        reason = f"{file}:{error.lineno}: {error.msg}"
        return [Entry(file.stem, "", file, state="broken", reason=reason, builtin=builtin)]
    except (OSError, UnicodeDecodeError) as error:
        return [Entry(file.stem, "", file, state="broken", reason=str(error), builtin=builtin)]
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    missing = _missing_modules(tree)
    entries = []
    for node in classes.values():
        kind = _kind_of(node, classes, frozenset({node.name}))
        fields, settings = _fields_and_settings(node)
        name = settings.get("name")
        if not kind or not isinstance(name, str) or not name:
            continue
        state, reason = "ready", ""
        if missing:
            extra = settings.get("extra")
            wanted = f"'{PACKAGE}[{extra}]'" if extra else " ".join(missing)
            state, reason = "needs", f"pip install {wanted} (brings {', '.join(missing)})"
            # PyPI's package of either name is another one, so never advise to install it.
            if own := {"methods", "datasets"} & set(missing):
                names = ", ".join(f"bench.{one} in place of {one}" for one in sorted(own))
                reason = f"import {names} in {file}"
        entries.append(
            Entry(
                name=name,
                kind=kind,
                file=file,
                class_name=node.name,
                module=module,
                doc=ast.get_docstring(node) or "",
                title=ast.get_docstring(tree) or "",
                fields=fields,
                settings=settings,
                state=state,
                reason=reason,
                builtin=builtin,
            )
        )
    return entries


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
                found = read(file)
                if not found:
                    raise BenchError(
                        f"--plugins {file}: no plug-in in this file; a plug-in is a class derived "
                        "from bench.api.Dataset, Features, Classifier or Network with a name"
                    )
                self._add(found)
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
        broken = "".join(f"; broken: {entry.reason}" for entry in self.broken)
        raise BenchError(f"unknown {what} {name!r}: {near(name, table)}{broken}")
