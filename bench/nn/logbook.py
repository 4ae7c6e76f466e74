"""The logbook of a training while it runs: a learning curve as CSV, and TensorBoard events.

The training loop (`bench.nn.train`) adds a row after each epoch.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.data.files import explained, write_text

Row = dict[str, float]
"""One epoch: ``epoch``, ``iterations``, ``learning_rate``, ``seconds``, loss terms, criteria."""


class Logbook:
    """Writes a row for each epoch as it ends.

    Parameters
    ----------
    folder : Path or None
        Where ``curve.csv`` and the events go; None: nothing is written.
    history : sequence of Row
        The epochs that a resumed training had finished before.
    """

    def __init__(self, folder: Path | None, history: Sequence[Row]) -> None:
        self.folder = folder
        self.history = list(history)
        self._events: Any = None

    def add(self, row: Row) -> None:
        """Add the row of an epoch.

        Raises
        ------
        DiskFullError
            The row could not be written.
        """
        self.history.append(row)
        if self.folder is None:
            return
        epoch = int(row["epoch"])
        try:
            if self._events is None:
                # Imported here: it takes a second, and only a run of the suite has a folder.
                from torch.utils.tensorboard import SummaryWriter

                # Events that a killed process wrote of this epoch and later ones are dropped.
                self._events = SummaryWriter(str(self.folder), purge_step=epoch)
            for name, value in row.items():
                if name != "epoch":
                    self._events.add_scalar(name, value, epoch)
            self._events.flush()
        except OSError as error:
            raise explained(error, self.folder) from error
        write_text(self.folder / "curve.csv", curve(self.history))

    def close(self) -> None:
        """Finish the file of events."""
        if self._events is None:
            return
        try:
            self._events.close()
        except OSError as error:
            assert self.folder is not None
            raise explained(error, self.folder) from error


def curve(history: Sequence[Row]) -> str:
    """The epochs as CSV, one line each."""
    columns = list(dict.fromkeys(name for row in history for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    return text.getvalue()
