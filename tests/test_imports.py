"""Imports go one way; import-linter checks the engine, this file checks what it cannot see."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PLUGIN_FOLDERS = ("methods", "datasets")
PLUGINS = sorted(path for folder in PLUGIN_FOLDERS for path in (ROOT / folder).glob("*.py"))
ENGINE = sorted((ROOT / "bench").rglob("*.py"))
FOR_PLUGINS = ("bench.api", "bench.data", "bench.learn", "bench.nn")
SHARED_BY_A_FAMILY = re.compile(r"bench\.(methods|datasets)\._\w+$")
RENDERED = ("synthetic", "synthetic_people", "synthetic_single")  # datasets that bench makes


def imported(source: str) -> Iterator[str]:
    """Every module that the source imports, in full: ``from bench import run`` is bench.run."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            if node.level or module in ("bench", *(f"bench.{name}" for name in PLUGIN_FOLDERS)):
                yield from (f"{module}.{name.name}" for name in node.names)
            else:
                yield module


def inside(module: str, packages: tuple[str, ...]) -> bool:
    """Whether ``module`` is one of the packages or lies in one."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def forbidden(source: str, rendered: bool = False) -> list[str]:
    """What a plug-in may not import: the engine's other parts, and any plug-in.

    A file whose name begins with ``_`` is no plug-in: it holds what one family shares.
    """
    allowed = (*FOR_PLUGINS, "bench.render") if rendered else FOR_PLUGINS
    return [
        module
        for module in imported(source)
        if inside(module, ("bench", *PLUGIN_FOLDERS, ""))
        and not inside(module, allowed)
        and not SHARED_BY_A_FAMILY.match(module)
    ]


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_plugin_imports_only_what_plugins_may(path: Path) -> None:
    rendered = path.stem in RENDERED
    assert forbidden(path.read_text(encoding="utf-8"), rendered) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from bench.api import Features\nimport bench.api.faces, bench.learn.trees", []),
        ("import numpy as np\nfrom bench import api, nn", []),
        ("from bench.score import criteria", ["bench.score"]),
        ("from bench import run, api", ["bench.run"]),
        ("def late():\n    import bench.methods.lbp", ["bench.methods.lbp"]),
        ("from bench.methods import _md, lbp", ["bench.methods.lbp"]),
        ("from . import lbp", ["..lbp"]),
        ("from .lbp import LBP", [".lbp.LBP"]),
        ("import methods.lbp", ["methods.lbp"]),
        ("import bench", ["bench"]),
        ("import bench.apiary", ["bench.apiary"]),
        ("import benchopt, datasetsx", []),
    ],
)
def test_forbidden_finds_each_way_to_import(source: str, found: list[str]) -> None:
    assert forbidden(source) == found


@pytest.mark.parametrize("path", ENGINE, ids=lambda path: str(path.relative_to(ROOT)))
def test_engine_reaches_plugins_only_through_the_registry(path: Path) -> None:
    named = ("bench.methods", "bench.datasets", *PLUGIN_FOLDERS)
    modules = imported(path.read_text(encoding="utf-8"))
    assert [module for module in modules if inside(module, named)] == []


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("bench.api", ("torch", "sklearn", "numpy")),
        ("bench.plugins", ("torch", "sklearn", "numpy")),
        ("bench.cli.main", ("torch", "sklearn", "pandas", "numpy")),
        ("bench.score.criteria", ("torch", "numpy")),
    ],
)
def test_module_loads_nothing_heavy(module: str, heavy: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
