"""MULAN's fixed splits and the reference results, where they are on this machine."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import TEST, TRAIN
from bench.plugins import Registry

SHARED = Path(__file__).parents[3] / "shared"
REFERENCE = SHARED / "facts" / "reference"


@cache
def mulan(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """X and Y of the training part, X and Y of the test part; skips where they are absent."""
    root = SHARED / "data" / "mulan"
    if not (root / f"{name}-train.arff").is_file() or not REFERENCE.is_dir():
        pytest.skip(f"the {name} files or the reference results are not on this machine")
    dataset: Any = Registry().find("dataset", f"mulan:{name}")[0].load()
    faces = dataset(member=name).load(root)
    train, test = faces.split == TRAIN, faces.split == TEST
    X, Y = faces.features, faces.labels
    return X[train], Y[train], X[test], Y[test]
