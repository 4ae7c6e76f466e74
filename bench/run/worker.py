"""A warm worker process: takes one task at a time, sends back what came of it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench.api import BenchError, UnavailableError
from bench.data.files import DiskFullError
from bench.data.streams import make_readable
from bench.run.printable import printable
from bench.run.sealed import DamagedError

_pipe: Connection | None = None  # to the coordinator, in a worker

THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


SAFE_PATH = "PYTHONSAFEPATH"  # with it, a user's select.py is not imported in place of Python's

# What the coordinator tells apart, most special first.
_KINDS = (
    ("disk full", DiskFullError),
    ("unavailable", UnavailableError),
    ("damaged", DamagedError),
    ("refused", BenchError),
)


@dataclass(frozen=True)
class Failure:
    """What a task raised, as text: an exception of a plug-in need not survive a pipe.

    Attributes
    ----------
    kind : str
        ``disk full``, ``unavailable``, ``damaged`` (something kept), ``refused`` (any other
        `BenchError`) or ``fault``.
    sentence, traceback : str
    """

    kind: str
    sentence: str
    traceback: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """The failure that an exception is."""
        kind = next((kind for kind, of in _KINDS if isinstance(error, of)), "fault")
        said = message(error)
        sentence = said if kind != "fault" else f"{type(error).__name__}: {said}"
        return cls(kind, printable(sentence), printable(trace(error)))


def message(error: BaseException) -> str:
    """What an exception says on one line, also where it fails to say it."""
    try:
        return " ".join(str(error).split()) or "no message"
    except Exception as fault:
        return f"no message, since its __str__ raises {type(fault).__name__}"


def trace(error: BaseException) -> str:
    """The traceback of an exception as text."""
    try:
        return "".join(traceback.format_exception(error))
    except Exception as fault:  # of a method of the exception
        return "".join(traceback.format_tb(error.__traceback__)) + f"{type(error)}: {fault!r}\n"


def main(pipe: Connection, log: Path, safe_path: str | None) -> None:
    """Serve tasks (a function and its arguments) until the pipe closes.

    Answers are ``("done", result)`` or ``("failed", Failure)``; before them, any number of
    ``("progress", (steps done, steps in all, words))``.

    Parameters
    ----------
    safe_path : str or None
        `SAFE_PATH` in the coordinator's environment, for the processes that a method starts.
    """
    global _pipe
    _pipe = pipe
    os.environ.pop(SAFE_PATH, None)
    if safe_path is not None:
        os.environ[SAFE_PATH] = safe_path
    # Ctrl-C reaches the whole process group; what becomes of a worker is the coordinator's affair.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    _redirect(log)
    make_readable()
    here = Path.cwd()
    while True:
        try:
            function, arguments = pipe.recv()
        except EOFError:
            return
        answer: tuple[str, Any]
        try:
            answer = ("done", function(*arguments))
        except BaseException as error:  # a plug-in may raise anything, SystemExit too
            answer = ("failed", Failure.of(error))
        os.chdir(here)  # a plug-in may have left it
        pipe.send(answer)


def report(done: int, steps: int, words: str) -> None:
    """Tell the coordinator how far the task is; nothing where there is none."""
    if _pipe is not None:
        _pipe.send(("progress", (int(done), int(steps), printable(str(words)))))


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
