"""Fixtures for all tests: small plug-ins, a results folder, the command line in a subprocess."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from runs import plugin_file
from shared import pytest_runtest_setup, pytest_terminal_summary  # noqa: F401

from bench.run.store import Store


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """The test's own copy of ``tests/support/plugins/tiny.py``."""
    return plugin_file("tiny", tmp_path)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """The test's own copy of ``tests/support/plugins/misbehaving.py``."""
    return plugin_file("misbehaving", tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The test's own results folder, not yet made."""
    return Store(tmp_path / "results")


@pytest.fixture
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training in float32: the same arithmetic on every machine."""
    from bench.nn import train

    monkeypatch.setattr(train, "trains_in_bfloat16", lambda device: False)


Bench = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """The command line, run in an empty folder: ``bench("run", "--dataset", "tiny")``."""

    def call(
        *words: object, cwd: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        folder = cwd or tmp_path / "here"
        folder.mkdir(exist_ok=True)
        return subprocess.run(
            [sys.executable, "-m", "bench", *map(str, words)],
            cwd=folder,
            env={**_environment(), **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return call


def _environment() -> dict[str, str]:
    """This one without what would change what bench does."""
    kept = {name: value for name, value in os.environ.items() if name != "BENCH_DATA"}
    return {**kept, "COLUMNS": "200"}
