"""What tests read beside the repository: real data and reference results in ``../shared``.

No other file of the tests knows that place. A test that reads from it is marked with what it needs,

    @shared.needs_fer_plus
    def test_counts_of_the_real_files(): ...

is skipped where that is absent, and is counted at the end of the run. `tests/conftest.py` imports
the two hooks at the end of this module.
"""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builtin import dataset_class

FOLDER = Path(__file__).resolve().parents[3] / "shared"

MULAN = "data/mulan"
FER_PLUS = "data/ferplus.zip"
REFERENCE = "facts/reference"

needs_mulan = pytest.mark.shared(MULAN)
needs_fer_plus = pytest.mark.shared(FER_PLUS)
needs_published = pytest.mark.shared("facts/published.csv", "facts/claims.csv")
needs_reference = pytest.mark.shared(MULAN, REFERENCE)


def path(name: str) -> Path:
    """The file or folder ``name`` of ``../shared``, such as ``data/mulan``."""
    return FOLDER / name


@cache
def mulan(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """X and Y of the training part, X and Y of the test part, as MULAN fixed the two parts."""
    from bench.api import TEST, TRAIN

    dataset = dataset_class(f"mulan:{name}")
    faces = dataset(member=name).load(path(MULAN))
    train, test = faces.split == TRAIN, faces.split == TEST
    X, Y = faces.features, faces.labels
    return X[train], Y[train], X[test], Y[test]


def unpacked_fer_plus(folder: Path) -> Path:
    """Unpack the FER+ images into ``folder``; the root of the dataset."""
    with zipfile.ZipFile(path(FER_PLUS)) as archive:
        archive.extractall(folder)
    return folder / "ferplus"


def reference(name: str) -> dict[str, Any]:
    """One file of reference results, such as ``emotions-clr-mulan-j48``."""
    contents: dict[str, Any] = json.loads((path(REFERENCE) / f"{name}.json").read_text("utf-8"))
    return contents


def bars(**fields: str) -> list[dict[str, Any]]:
    """The acceptance bars that have these values (``dataset="yeast"``); none without the file.

    Tests are parametrised by them, so that they are read before any test can be skipped.
    """
    if not path(REFERENCE).is_dir():
        return []
    every = reference("acceptance_bars")["bars"]
    return [bar for bar in every if all(bar[field] == fields[field] for field in fields)]


def oracle(output: str) -> Any:
    """Scores of an oracle on the test part of emotions, such as ``CLR5nn``."""
    return reference("emotions_score_oracles")["outputs"][output]


def reference_criteria(truth: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """The criteria in the conventions of the reference results: scikit-learn's, coverage from 1."""
    from bench.score.criteria import evaluate

    values = evaluate(truth, scores, labels, "sklearn").values
    return {**values, "coverage": values["coverage_one_based"]}


# --- pytest's hooks


@pytest.hookimpl(tryfirst=True)  # before pytest skips a test without parameters
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that needs what is absent, and note that in its report."""
    names = {name for mark in item.iter_markers("shared") for name in mark.args}
    absent = ", ".join(sorted(name for name in names if not path(name).exists()))
    if absent:
        item.user_properties.append(("absent", absent))
        pytest.skip(f"needs {absent} in ../shared")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many tests were skipped for want of ``../shared``, and of what in it."""
    counts = Counter(
        absent
        for report in terminalreporter.stats.get("skipped", ())
        for name, absent in getattr(report, "user_properties", ())
        if name == "absent"
    )
    if counts:
        terminalreporter.section(f"{counts.total()} tests skipped for want of data in ../shared")
        for absent, count in sorted(counts.items()):
            terminalreporter.write_line(f"{count:4} need {absent}")
        terminalreporter.write_line("CONTRIBUTING.md says how to get them.")
