"""What a run shows while it works: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from bench.cli.terminal import clean
from bench.data.text import duration
from bench.run.plan import Plan
from bench.run.record import Record
from bench.run.runner import Listener

PATIENCE = 30.0  # seconds between two lines on the progress of one piece of work


@contextmanager
def display() -> Iterator[Listener]:
    """The display that fits where stderr goes."""
    if not sys.stderr.isatty():
        yield Plain()
        return
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    with progress:
        yield Live(progress)


class Plain:
    """One line for each thing that happens."""

    def __init__(self) -> None:
        self.cells = 0
        self.done = 0
        self.last: dict[str, float] = {}  # when progress of a piece of work was last told

    def planned(self, plan: Plan, finished: int) -> None:
        """Say how much there is to do."""
        self.cells, self.done = len(plan.jobs), finished
        cells = f"{self.cells} cell{'s' if self.cells > 1 else ''}"
        self.said(f"{plan.faces.name}, {plan.protocol}: {cells}, {finished} finished already")

    def started(self, label: str) -> None:
        """Nothing: queued work would only fill the log."""

    def ended(self, label: str, record: Record | None) -> None:
        """Say what came of it."""
        self.done += record is not None
        self.said(f"[{self.done}/{self.cells}] {summary(label, record)}")

    def progressed(self, label: str, done: int, steps: int, words: str) -> None:
        """Say it once in a while."""
        if time.monotonic() - self.last.get(label, -PATIENCE) >= PATIENCE:
            self.last[label] = time.monotonic()
            self.said(f"{label}: {done} of {steps} {words}")

    def said(self, message: str) -> None:
        """Print a line."""
        print(clean(message), file=sys.stderr, flush=True)


class Live(Plain):
    """A bar over the cells; lines scroll above it."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress
        self.bars: dict[str, TaskID] = {}

    def planned(self, plan: Plan, finished: int) -> None:
        """Start the bar."""
        super().planned(plan, finished)
        self.bar = self.progress.add_task("cells", total=len(plan.jobs), completed=finished)

    def ended(self, label: str, record: Record | None) -> None:
        """Move the bar; the work's own one goes."""
        super().ended(label, record)
        if label in self.bars:
            self.progress.remove_task(self.bars.pop(label))
        if record is not None:
            self.progress.advance(self.bar)

    def progressed(self, label: str, done: int, steps: int, words: str) -> None:
        """A bar of its own."""
        if label not in self.bars:
            self.bars[label] = self.progress.add_task("")
        text = escape(clean(f"{label}: {words}"))
        self.progress.update(self.bars[label], completed=done, total=steps, description=text)

    def said(self, message: str) -> None:
        """Print above the bar."""
        self.progress.console.print(escape(clean(message)), highlight=False, soft_wrap=True)


def summary(label: str, record: Record | None) -> str:
    """One line on a finished piece of work."""
    if record is None:
        return label
    if record.status != "ok":
        return f"{label}: {record.status}: {record.reason}"
    shown = ("average_precision", "hamming_loss") if record.cell.kind == "multi" else ("accuracy",)
    values = [
        f"{name.replace('_', ' ')} {value:.3f}"
        for name in shown
        if (value := record.criteria.get(name)) is not None
    ]
    seconds = sum(value for step, value in record.seconds.items() if step != "features")
    return f"{label}: {', '.join(values)} ({duration(seconds)})"
