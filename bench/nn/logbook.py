"""What a training tells while it runs: a learning curve as CSV, TensorBoard events."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from bench.data.files import write_text

Row = dict[str, float]
"""One epoch: ``epoch``, ``iterations``, ``learning_rate``, ``seconds``, terms, criteria."""


class Logbook:
    """Writes each epoch as it ends.

    Parameters
    ----------
    folder : Path or None
        None writes nothing.
    history : sequence of Row
        The epochs before, of a training that goes on.
    """

    def __init__(self, folder: Path | None, history: Sequence[Row]) -> None:
        self.folder = folder
        self.history = list(history)
        self._events = None
        if folder is not None:
            # Imported here: it takes a second, and only a run of the suite has a folder.
            from torch.utils.tensorboard import SummaryWriter

            self._events = SummaryWriter(str(folder), purge_step=len(self.history) + 1)

    def add(self, row: Row) -> None:
        """Note an epoch."""
        self.history.append(row)
        if self.folder is None or self._events is None:
            return
        for name, value in row.items():
            if name != "epoch":
                self._events.add_scalar(name, value, int(row["epoch"]))
        self._events.flush()
        write_text(self.folder / "curve.csv", curve(self.history))

    def close(self) -> None:
        """Finish the event file."""
        if self._events is not None:
            self._events.close()


def curve(history: Sequence[Row]) -> str:
    """The epochs as CSV, one line each."""
    columns = list(dict.fromkeys(name for row in history for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    return text.getvalue()
