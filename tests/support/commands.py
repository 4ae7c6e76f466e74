"""The command line in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

Bench = Callable[..., subprocess.CompletedProcess[str]]
"""What the fixture ``bench`` is: takes the words of a command and environment variables."""


def run_bench(
    here: Path, *words: object, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run ``bench`` with these words in the folder ``cwd``, or ``here``, which is made if need be.

    A folder of datasets that the tester has named in the environment is not seen.
    """
    folder = cwd or here
    folder.mkdir(exist_ok=True)
    inherited = {name: value for name, value in os.environ.items() if name != "BENCH_DATA"}
    return subprocess.run(
        [sys.executable, "-m", "bench", *map(str, words)],
        cwd=folder,
        env={**inherited, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
