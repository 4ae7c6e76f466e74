"""A warm worker process: takes one task at a time, sends back what came of it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from multiprocessing import connection, parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench.data.streams import make_readable

_pipe: Connection | None = None  # to the coordinator, in a worker

THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def main(pipe: Connection, log: Path) -> None:
    """Serve tasks (a function and its arguments) until the pipe closes.

    Answers are ``("done", result)`` or ``("failed", exception, traceback)``; before them, any
    number of ``("progress", (steps done, steps in all, words))``.
    """
    global _pipe
    _pipe = pipe
    # Ctrl-C reaches the whole process group; what becomes of a worker is the coordinator's affair.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    _redirect(log)
    make_readable()
    while True:
        try:
            function, arguments = pipe.recv()
        except EOFError:
            return
        answer: tuple[Any, ...]
        try:
            answer = ("done", function(*arguments))
        except Exception as error:
            answer = ("failed", error, traceback.format_exc())
        pipe.send(answer)


def report(done: int, steps: int, words: str) -> None:
    """Tell the coordinator how far the task is; nothing where there is none."""
    if _pipe is not None:
        _pipe.send(("progress", (done, steps, words)))


def _follow_parent() -> None:
    """End with the coordinator, however it ended: no orphan goes on computing."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _redirect(log: Path) -> None:
    """Send what methods print to a file: the terminal belongs to the progress display."""
    try:
        target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except OSError:
        target = os.open(os.devnull, os.O_WRONLY)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(target, 1)
    os.dup2(target, 2)
