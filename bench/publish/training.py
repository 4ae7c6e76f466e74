"""How the networks of a table were trained, in words: budgets, and what epochs were chosen on.

A cell's options say what was asked for. What came of it, such as training images that were held out
for want of a validation part, say the notes that the networks wrote into the record.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from bench.publish.numbers import span
from bench.run.record import Record

# As bench.nn.network notes them.
_HELD_OUT = re.compile(r": (\d+) of the (\d+) training images held out of training")
_TOO_FEW = "too few images to choose an epoch; the last is taken"
_SCHEDULES = {True: "the papers' schedules", False: "SHORTENED training"}


def training(records: Sequence[Record]) -> str:
    """The budgets, and what the epochs were chosen on, in words."""
    budgets = sorted({record.cell.budget for record in records} - {"any"})
    if not budgets:
        return "No method here follows a schedule"
    lengths = [f"{budget} ({_SCHEDULES[budget == 'paper']})" for budget in budgets]
    counts: dict[str, list[int]] = defaultdict(list)
    for record in records:
        for words, images in _choices(record):
            counts[words].append(images)
    choices = [words.format(span(images)) for words, images in sorted(counts.items())]
    return ", ".join([f"Budget {' and '.join(lengths)}", *choices])


def _choices(record: Record) -> Iterator[tuple[str, int]]:
    """On what the epochs of a cell were chosen, and, where ``{}`` stands, on how many images."""
    cell = record.cell
    if record.status != "ok" or cell.selection == "none":
        return
    if cell.selection == "last":
        yield "last epoch", 0
        return
    if cell.selection == "test":
        yield "epoch chosen ON THE TEST PART", 0
        return
    source = cell.source  # protocol cross: another dataset than the one that is measured
    n_train, n_valid = (source or vars(cell))["n_train"], (source or vars(cell))["n_valid"]
    of_source = f" of {source['dataset']}".replace("{", "{{").replace("}", "}}") if source else ""
    notes = " ".join(record.notes)
    held = [(int(one[1]), int(one[2])) for one in _HELD_OUT.finditer(notes)]
    own = [count for count, whole in held if whole == n_train and not n_valid]
    others = [count for count, whole in held if whole != n_train or n_valid]
    if n_valid:
        yield f"epoch chosen on the validation part{of_source}", n_valid
    for count in own:
        yield f"epoch chosen on {{}} training images{of_source} held out of training", count
    for count in others:
        yield "epoch chosen on {} images of a second dataset held out of training", count
    if _TOO_FEW in notes:
        yield "last epoch where there were too few images to hold any out", 0
    elif not n_valid and not held:
        yield "no validation part to choose an epoch on", 0
