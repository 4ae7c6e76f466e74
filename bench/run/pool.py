"""Submit, gather, cancel: tasks on warm worker processes with hard time limits."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.run import worker

GRACE = 3.0  # seconds between terminate and kill


@dataclass(frozen=True)
class Task:
    """``function(*arguments)`` under a name; both travel to another process."""

    name: Hashable
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    resource: str | None = None  # of tasks with one resource, one runs at a time
    cost: float = 0.0  # what it may take; the cheapest begins first, of equals the first queued


@dataclass(frozen=True)
class Outcome:
    """What came of a task.

    Attributes
    ----------
    status : {"done", "failed", "timeout", "died", "progress"}
        ``value`` is the result, the `bench.run.worker.Failure`, the limit in seconds, the exit
        code, or how far a task is that goes on: steps done, steps in all, a few words.
    """

    task: Task
    status: str
    value: Any = None


class _Worker:
    """One process, its pipe, and what it is doing."""

    def __init__(self, log: Path, threads: int) -> None:
        # spawn: a fork would copy the coordinator's threads and locks.
        context = multiprocessing.get_context("spawn")
        self.pipe: Connection
        self.pipe, far = context.Pipe()
        self.process: BaseProcess = context.Process(
            target=worker.main, args=(far, log, os.environ.get(worker.SAFE_PATH)), daemon=True
        )
        limits = {name: str(threads) for name in worker.THREAD_LIMITS}
        with _environment({worker.SAFE_PATH: "1", **limits}), _no_main():
            self.process.start()
        far.close()
        self.task: Task | None = None
        self.deadline = float("inf")

    def start(self, task: Task, timeout: float) -> None:
        self.task = task
        self.deadline = time.monotonic() + timeout
        self.pipe.send((task.function, task.arguments))

    def stop(self) -> None:
        self.process.terminate()
        self.process.join(GRACE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.pipe.close()


class Pool:
    """Runs tasks on ``size`` processes; ``size=0`` runs them here, one by one, without limit.

    Parameters
    ----------
    log : Path
        Where the workers' output goes.
    threads : int
        Threads that numeric libraries may use in each worker. One by default, whatever the number
        of workers: sums over other numbers of threads round differently.
    timeout : float
        Seconds that one task may take; then its process is ended and replaced.
    """

    def __init__(self, size: int, log: Path, timeout: float, threads: int = 1) -> None:
        self.size, self.log, self.timeout, self.threads = size, log, timeout, threads
        self._waiting: deque[Task] = deque()
        self._workers: list[_Worker] = []

    def submit(self, task: Task) -> None:
        """Queue a task."""
        self._waiting.append(task)

    def running(self) -> list[Task]:
        """The tasks now in a worker."""
        return [worker.task for worker in self._workers if worker.task is not None]

    def outcomes(self) -> Iterator[Outcome]:
        """Yield what comes of each task, as it comes; tasks may be submitted meanwhile."""
        while self._waiting or self.running():
            if self.size == 0:
                task = self._next()
                assert task is not None  # nothing else runs that could have its resource
                self._waiting.remove(task)
                yield _here(task)
                continue
            self._feed()
            yield from self._gather()

    def close(self) -> None:
        """Cancel everything: queued tasks are dropped, running ones ended."""
        self._waiting.clear()
        for one in self._workers:
            one.process.terminate()
        for one in self._workers:
            one.stop()
        self._workers.clear()

    def _feed(self) -> None:
        while (task := self._next()) is not None:
            free = next((one for one in self._workers if one.task is None), None)
            if free is None:
                if len(self._workers) >= self.size:
                    return
                free = _Worker(self.log, self.threads)
                self._workers.append(free)
            self._waiting.remove(task)
            try:
                free.start(task, self.timeout)
            except (BrokenPipeError, ConnectionResetError):
                # It died while idle: nothing is lost, another takes the task.
                free.task = None
                self._drop(free)
                self._waiting.appendleft(task)

    def _next(self) -> Task | None:
        """The cheapest waiting task whose resource is free."""
        taken = {task.resource for task in self.running()} - {None}
        free = (task for task in self._waiting if task.resource not in taken)
        return min(free, key=lambda task: task.cost, default=None)

    def _gather(self) -> Iterator[Outcome]:
        busy = {one.pipe: one for one in self._workers if one.task is not None}
        sentinels = {one.process.sentinel: one for one in busy.values()}
        nearest = min(one.deadline for one in busy.values())
        patience = max(0.0, min(nearest - time.monotonic(), 3600.0))
        ready = connection.wait([*busy, *sentinels], timeout=patience)
        for one in {busy.get(item) or sentinels[item] for item in ready}:  # type: ignore[index,call-overload]
            yield self._answer(one)
        for one in [one for one in self._workers if one.task is not None]:
            if time.monotonic() >= one.deadline and not one.pipe.poll():
                task = one.task
                assert task is not None
                one.stop()
                self._drop(one)
                yield Outcome(task, "timeout", self.timeout)

    def _answer(self, one: _Worker) -> Outcome:
        task = one.task
        assert task is not None
        try:
            kind, value = one.pipe.recv()
        except (EOFError, OSError):
            one.process.join()
            code = one.process.exitcode
            self._drop(one)
            return Outcome(task, "died", code)
        if kind != "progress":
            one.task = None
        return Outcome(task, kind, value)

    def _drop(self, one: _Worker) -> None:
        self._workers.remove(one)


def _here(task: Task) -> Outcome:
    try:
        return Outcome(task, "done", task.function(*task.arguments))
    except Exception as error:
        return Outcome(task, "failed", worker.Failure.of(error))


@contextmanager
def _no_main() -> Iterator[None]:
    """Start processes that do not run the user's script again, which may have no main guard."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set the variables that a starting process reads; libraries look at them only once."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
