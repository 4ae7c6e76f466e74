"""Fixtures for all tests: small plug-ins, a results folder, the command line in a subprocess."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from commands import Bench, run_bench
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


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """The command line, run in an empty folder: ``bench("run", "--dataset", "tiny")``."""
    return partial(run_bench, tmp_path / "here")
