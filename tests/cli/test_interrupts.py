"""Killed at any moment, the same command finishes the rest and gives the same bytes."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cells import comparable

METHODS = "halves+nearest[wait=0.2|0.3],centred+dice,net,alone,centred+nearest"
CELLS = 2 + 2 + 2 + 1 + 2  # two seeds for what is stochastic


def command(tiny: Path, results: Path) -> list[str]:
    words = ["run", "--dataset", "tiny", "--plugins", str(tiny), "--methods", METHODS]
    words += ["--yes", "--seeds", "2"]
    return [sys.executable, "-m", "bench", *words, "--results", str(results)]


def tables(results: Path) -> dict[str, str]:
    found = {}
    for path in sorted((results / "tables/tiny").iterdir()):
        text = path.read_bytes().decode()
        found[path.name] = comparable(text) if path.name == "cells.csv" else text
    return found


def finished(results: Path) -> dict[Path, tuple[int, bytes]]:
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in results.glob("runs/*/record.json")
        if b'"status": "ok"' in path.read_bytes()
    }


def children(process: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        if int(after_name[1]) == process:
            found.append(int(path.parent.name))
    return found


def interrupt(tiny: Path, results: Path, how: str, after: float) -> None:
    running = subprocess.Popen(
        command(tiny, results),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    time.sleep(after)
    if how == "ctrl-c":
        os.killpg(running.pid, signal.SIGINT)
    elif how == "kill coordinator":
        running.kill()
    else:
        for worker in children(running.pid):
            with contextlib.suppress(ProcessLookupError):  # it may have ended by itself
                os.kill(worker, signal.SIGKILL)
    running.communicate(timeout=120)
    if how == "ctrl-c":
        assert running.returncode in (0, 130, -signal.SIGINT, 1), running.returncode


def check(tiny: Path, tmp_path: Path, moments: list[tuple[str, float]]) -> None:
    whole = tmp_path / "whole"
    subprocess.run(command(tiny, whole), check=True, capture_output=True, timeout=120)
    expected = tables(whole)
    for number, (how, after) in enumerate(moments):
        results = tmp_path / f"interrupted{number}"
        interrupt(tiny, results, how, after)
        before = finished(results)
        done = subprocess.run(
            command(tiny, results), capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, (how, after, done.stderr)
        assert f"{CELLS} cells, {len(before)} finished already" in done.stderr
        after_all = finished(results)
        assert all(after_all[path] == state for path, state in before.items())
        assert tables(results) == expected, (how, after)
        assert not list(results.rglob(".*.tmp"))


HOWS = ("ctrl-c", "kill coordinator", "kill workers")


def test_interrupted_in_each_way(tiny: Path, tmp_path: Path) -> None:
    check(tiny, tmp_path, [(how, 1.6) for how in HOWS])


@pytest.mark.slow
def test_interrupted_at_twenty_random_points(tiny: Path, tmp_path: Path) -> None:
    rng = random.Random(3)
    check(tiny, tmp_path, [(HOWS[n % 3], rng.uniform(0.1, 4.0)) for n in range(20)])
