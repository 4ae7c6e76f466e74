"""Small runs within a test: copies of plug-in files, a listener, a plan run in a results folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from bench.run.plan import Plan
from bench.run.record import Record
from bench.run.runner import Limits, Outcomes, run
from bench.run.store import Store

PLUGINS = Path(__file__).with_name("plugins")


def plugin_file(name: str, folder: Path) -> Path:
    """A copy in ``folder`` of ``tests/support/plugins/<name>.py``; the test may change it."""
    return Path(shutil.copy(PLUGINS / f"{name}.py", folder))


class Listener:
    """Remembers what a run says of itself: jobs begun and ended, and every sentence."""

    def __init__(self) -> None:
        self.finished = 0
        self.begun: list[str] = []
        self.done: list[str] = []
        self.words: list[str] = []

    def planned(self, plan: Plan, finished: int) -> None:
        self.finished = finished

    def started(self, label: str) -> None:
        self.begun.append(label)

    def ended(self, label: str, record: Record | None) -> None:
        self.done.append(label)

    def progressed(self, label: str, done: int, steps: int, words: str) -> None:
        self.words.append(f"{label}: {done} of {steps} {words}")

    def said(self, message: str) -> None:
        self.words.append(message)


def run_plan(
    plan: Plan, store: Store, *, workers: int = 0, timeout: float = 60, **limits: Any
) -> tuple[Outcomes, Listener]:
    """Run all cells of the plan that the store lacks; ``workers=0`` is this process."""
    store.open()
    listener = Listener()
    outcomes = run(plan, store, listener, Limits(workers, timeout, **limits))
    return outcomes, listener


def records_of(plan: Plan, store: Store, **options: Any) -> list[Record]:
    """The records of all cells of the plan, run where the store lacks them."""
    return run_plan(plan, store, **options)[0].records
