"""Classes as their source files spell them: what they derive from, without importing anything.

`bench.plugins` lists plug-ins by it: importing them would bring torch and take seconds. It answers
two questions that a listing needs and no others: which class of which file a base is, however it is
imported, and which literal a class attribute has.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import bench


@dataclass(frozen=True, eq=False)
class SourceFile:
    """One Python file; its syntax tree is not kept.

    Attributes
    ----------
    module : str
        Its dotted name; empty for a lone file.
    docstring : str
    classes : dict of str to SourceClass
        Those at its top level.
    imports : dict of str to str
        Local names, and the dotted names of the modules or attributes that they stand for.
    starred : tuple of str
        Modules of which everything is imported.
    packages : tuple of str
        The packages that the file imports whenever it is imported.
    """

    file: Path
    module: str
    docstring: str
    classes: dict[str, SourceClass]
    imports: dict[str, str]
    starred: tuple[str, ...]
    packages: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class SourceClass:
    """One class of a file.

    Attributes
    ----------
    line : int
        Where it begins; two classes of a file may have one name.
    base_paths : tuple of (tuple of str)
        The names of its bases, ``("bench", "api", "Features")``.
    assigned : dict of str to ast.expr
        What its body, not that of a base, gives its class attributes.
    """

    name: str
    file: Path
    module: str
    line: int
    docstring: str
    base_paths: tuple[tuple[str, ...], ...]
    assigned: dict[str, ast.expr]

    @property
    def source(self) -> SourceFile:
        """The file that it stands in."""
        return parse(self.file, self.module)

    def bases(self) -> list[SourceClass]:
        """The classes that it derives from, as far as their files are there to be read."""
        classes = (find_class(self.source, path, self.line) for path in self.base_paths)
        return [one for one in classes if one is not None]

    def ancestors(self, below: frozenset[tuple[Path, int]] = frozenset()) -> list[SourceClass]:
        """The class itself and all that it derives from, in the order of attribute look-up.

        Parameters
        ----------
        below : frozenset
            Classes on the way here, which are not gone through again.
        """
        key = (self.file, self.line)
        if key in below:
            return []
        order = [self]
        for base in self.bases():
            order += base.ancestors(below | {key})
        # Of a class that is reached twice, the last place counts, as in Python.
        last = {(one.file, one.line): one for one in reversed(order)}
        return list(reversed(last.values()))


def literal(ancestors: Iterable[SourceClass], attribute: str) -> Any:
    """What the first class that assigns an attribute gives it; None where that is no literal."""
    for one in ancestors:
        if attribute in one.assigned:
            try:
                return ast.literal_eval(one.assigned[attribute])
            except ValueError:
                return None
    return None


def find_class(
    source: SourceFile,
    path: Sequence[str],
    above: int | None = None,
    steps: frozenset[tuple[Path, str]] = frozenset(),
) -> SourceClass | None:
    """The class that a dotted name stands for in a file; None where its source is not there.

    Parameters
    ----------
    above : int or None
        The line that the name is used in: a class further down does not count.
    steps : frozenset
        Files and names on the way here, which are not gone through again.
    """
    first, *rest = path
    local = source.classes.get(first)
    if local is not None and not rest and (above is None or local.line < above):
        return local
    step = (source.file, ".".join(path))
    if step in steps:
        return None
    steps |= {step}
    if first in source.imports:
        return _imported_class([*source.imports[first].split("."), *rest], steps)
    starred = (_imported_class([*one.split("."), *path], steps) for one in source.starred)
    return next((one for one in starred if one is not None), None)


def _imported_class(path: Sequence[str], steps: frozenset[tuple[Path, str]]) -> SourceClass | None:
    """The class of a dotted name that begins with a package."""
    for length in range(len(path) - 1, 0, -1):
        module = ".".join(path[:length])
        file = module_file(module)
        if file is not None:
            try:
                source = parse(file, module)
            except (OSError, SyntaxError, UnicodeDecodeError):
                return None  # whoever imports that file hears of it
            return find_class(source, path[length:], steps=steps)
    return None


def module_file(module: str) -> Path | None:
    """The source file of a module, found without importing any; None where there is none."""
    package, *rest = module.split(".")
    # The package itself (a wheel) and, in a clone, the folder beside it with the plug-ins.
    folders = bench.__path__ if package == bench.__name__ else _folders(package)
    bases = [Path(folder).joinpath(*rest) for folder in folders]
    files = [file for base in bases for file in (base / "__init__.py", base.with_suffix(".py"))]
    return next((file for file in files if file.is_file()), None)


def _folders(package: str) -> Iterable[str]:
    """The folders of a package; of a module that is one file, its path without the ``.py``."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return spec.submodule_search_locations
    return [spec.origin.removesuffix(".py")] if spec.origin else []


def parse(file: Path, module: str = "") -> SourceFile:
    """Read a file; what was read before in this process and has not changed is not read again.

    Raises
    ------
    SyntaxError, OSError, UnicodeDecodeError
    """
    about = file.stat()
    return _parsed(file, module, about.st_mtime_ns, about.st_size)


@cache
def _parsed(file: Path, module: str, changed: int, size: int) -> SourceFile:
    tree = ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    imports: dict[str, str] = {}
    starred = []
    for node in _import_statements(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                bound = one.asname or one.name.partition(".")[0]
                imports[bound] = one.name if one.asname else bound
            continue
        origin = _origin(node, module, file.name == "__init__.py")
        imports |= {one.asname or one.name: f"{origin}.{one.name}" for one in node.names}
        if node.names[0].name == "*":
            starred.append(origin)
    return SourceFile(
        file,
        module,
        ast.get_docstring(tree) or "",
        {
            node.name: _class(node, file, module)
            for node in tree.body
            if isinstance(node, ast.ClassDef)
        },
        imports,
        tuple(starred),
        tuple(dict.fromkeys(_packages(tree))),
    )


def _class(node: ast.ClassDef, file: Path, module: str) -> SourceClass:
    assigned: dict[str, ast.expr] = {}
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign):
            targets: list[ast.expr] = [statement.target]
        elif isinstance(statement, ast.Assign):
            targets = statement.targets
        else:
            continue
        if statement.value is not None:
            names = [one.id for one in targets if isinstance(one, ast.Name)]
            assigned |= dict.fromkeys(names, statement.value)
    paths = (_dotted(base) for base in node.bases)
    bases = tuple(path for path in paths if path)
    docstring = ast.get_docstring(node) or ""
    return SourceClass(node.name, file, module, node.lineno, docstring, bases, assigned)


def _import_statements(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    """Those of the top level, under ``if`` and ``try`` too."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If | ast.Try | ast.ExceptHandler):
            waiting += ast.iter_child_nodes(node)


def _origin(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    """The module that ``from … import`` names, relative ones in full."""
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    parents = parts[: len(parts) - node.level + is_package]
    return ".".join([*parents, *([node.module] if node.module else [])])


def _packages(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (one.name.partition(".")[0] for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _dotted(expression: ast.expr) -> tuple[str, ...]:
    """``bench.api.Features`` as its three names; empty where an expression is no such thing."""
    if isinstance(expression, ast.Subscript):  # Base[int]
        return _dotted(expression.value)
    if isinstance(expression, ast.Attribute):
        before = _dotted(expression.value)
        return (*before, expression.attr) if before else ()
    return (expression.id,) if isinstance(expression, ast.Name) else ()
