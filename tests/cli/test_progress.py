"""What a run shows while it works."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import Progress

from bench.cli import progress


def test_progress_of_one_piece_of_work_is_told_once_in_a_while(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    shown = progress.Plain()
    for second in range(0, 70, 10):
        now[0] = 100.0 + second
        shown.progressed("net, seed 0", second, 70, "iterations")
    shown.progressed("net, seed 1", 5, 70, "iterations\x1b[31m")
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "seed 0" in line] == [
        "net, seed 0: 0 of 70 iterations",
        "net, seed 0: 30 of 70 iterations",
        "net, seed 0: 60 of 70 iterations",
    ]
    assert "\x1b" not in lines[-1]  # a method's words do not steer the terminal


def test_a_live_display_has_a_bar_for_each_piece_of_work() -> None:
    bars = Progress(console=Console(file=io.StringIO()))
    live = progress.Live(bars)
    live.progressed("net, seed 0", 3, 10, "iterations")
    live.progressed("net, seed 0", 4, 10, "iterations")
    live.progressed("net, seed 1", 1, 10, "iterations")
    assert [(task.completed, task.total) for task in bars.tasks] == [(4, 10), (1, 10)]
    live.ended("net, seed 0", None)
    assert [task.completed for task in bars.tasks] == [1]
