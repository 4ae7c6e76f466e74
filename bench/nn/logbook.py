"""What a training tells while it runs: a learning curve as CSV, TensorBoard events."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.data.files import explained, write_text

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
        self._events: Any = None

    def add(self, row: Row) -> None:
        """Note an epoch.

        Raises
        ------
        DiskFullError
        """
        self.history.append(row)
        if self.folder is None:
            return
        epoch = int(row["epoch"])
        try:
            if self._events is None:
                # Imported here: it takes a second, and only a run of the suite has a folder.
                from torch.utils.tensorboard import SummaryWriter

                # What a killed sitting wrote of this epoch and later ones counts no more.
                self._events = SummaryWriter(str(self.folder), purge_step=epoch)
            for name, value in row.items():
                if name != "epoch":
                    self._events.add_scalar(name, value, epoch)
            self._events.flush()
        except OSError as error:
            raise explained(error, self.folder) from error
        write_text(self.folder / "curve.csv", curve(self.history))

    def close(self) -> None:
        """Finish the event file."""
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
