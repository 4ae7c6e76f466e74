"""What the criteria give on fixed numbers: tells two versions of a definition apart."""

from __future__ import annotations

import numpy as np

from bench.score.criteria import CONVENTIONS, evaluate

_ROWS, _LABELS = 23, 6


def criteria_probe() -> dict[str, float | None]:
    """Each criterion, under each convention, on made-up rows with ties and empty label sets.

    The same on every machine and Python version, which a hash of the code is not.

    Returns
    -------
    dict of str to float or None
        By ``criterion`` or ``criterion (convention)``.
    """
    grid = np.arange(_ROWS * _LABELS).reshape(_ROWS, _LABELS)
    truth = grid * 7 % 11 < 4
    truth[0], truth[1], truth[:, -1] = False, True, False
    scores = np.round((grid * 29 % 31) / 31, 1)  # rounded: some tie
    labels = scores >= 0.55
    values: dict[str, float | None] = {}
    for convention in CONVENTIONS:
        for name, value in evaluate(truth, scores, labels, convention, "multi").values.items():
            label = name if convention == "sklearn" else f"{name} ({convention})"
            values[label] = None if value is None else round(value, 12)
    classes = np.arange(_LABELS - 1) == (np.arange(_ROWS) * 3 % 5)[:, None]
    guessed = np.arange(_LABELS - 1) == (np.arange(_ROWS) * 2 % 5)[:, None]
    single = evaluate(classes, guessed.astype(float), guessed, "sklearn", "single")
    return values | {n: None if v is None else round(v, 12) for n, v in single.values.items()}
