"""Functions that other processes run: a spawned one cannot import a test module."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from bench.run import worker
from bench.run.store import Store


def add(a: int, b: int) -> int:
    return a + b


def fail() -> None:
    raise ValueError("as asked")


def hang(stubborn: bool) -> None:
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)


def die(code: int) -> None:
    os._exit(code)


def count_up(steps: int) -> int:
    """Tells each step."""
    for done in range(1, steps + 1):
        worker.report(done, steps, "steps")
    return steps


def alone(folder: Path) -> None:
    """Fails where another such task runs at the same time."""
    mark = folder / "taken"
    mark.touch(exist_ok=False)
    time.sleep(0.3)
    mark.unlink()


def threads() -> str:
    return os.environ["OMP_NUM_THREADS"]


def whoami() -> int:
    return os.getpid()


def hold(root: Path, holding: Any, release: Any) -> None:
    with Store(root).locked(lambda who: None):
        holding.set()
        release.wait(30)
