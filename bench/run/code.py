"""Hashes of the code behind a result: what it does, not how it is commented."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from bench.source import module_file


def code_hash(files: Iterable[Path], follow: bool = True) -> str:
    """Hash of these files and, with ``follow``, of every bench module they import, however far.

    Comments, docstrings and layout do not count, so that editing them costs no run.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    seen: dict[str, str] = {}
    waiting = [("", Path(file)) for file in files]
    while waiting:
        module, file = waiting.pop()
        name = module or file.name
        if name in seen:
            continue
        source, imported = _read(file, file.stat().st_mtime_ns)
        seen[name] = source
        if follow:
            found = ((name, _file_of(name)) for name in imported)
            waiting.extend((name, path) for name, path in found if path is not None)
    # Names, not paths: the same code hashes alike in a clone and in an installed wheel.
    digest = hashlib.sha256()
    for name in sorted(seen):
        digest.update(f"{name}\n{seen[name]}\n".encode())
    return digest.hexdigest()[:16]


# What stands between a method and its number. Criteria are left out: they are computed again from
# the stored scores where they changed.
_ENGINE = tuple(f"bench.run.{name}" for name in ("cache", "contract", "extract", "measure"))
_PREPARATION = "bench.data.prepare"


@cache
def engine_code() -> str:
    """Hash of the engine's code that stands between a method and its number."""
    return code_hash(_files(*_ENGINE), follow=False) + code_hash(_files(_PREPARATION))


def _files(*modules: str) -> list[Path]:
    files = [_file_of(module) for module in modules]
    assert None not in files, modules
    return [file for file in files if file is not None]


@cache
def _read(file: Path, changed: int) -> tuple[str, tuple[str, ...]]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported.add(node.module)
            imported.update(f"{node.module}.{alias.name}" for alias in node.names)
        body = getattr(node, "body", None)
        is_documented = isinstance(
            node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        )
        if is_documented and body and _is_text(body[0]):
            node.body = body[1:] or [ast.Pass()]  # type: ignore[attr-defined]
    # unparse rather than dump: the syntax tree's own fields change between Python versions.
    return ast.unparse(tree), tuple(sorted(name for name in imported if name.startswith("bench.")))


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


@cache
def _file_of(module: str) -> Path | None:
    return module_file(module)
