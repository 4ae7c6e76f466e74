"""Records made by hand: random scores, real criteria and replicates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.run.job import Cell, Protocol
from bench.run.record import Record
from bench.score import bootstrap
from bench.score.confusion import confusion
from bench.score.criteria import evaluate

Make = Callable[..., Record]
"""What the fixture `make` is: a function that takes what `record` takes."""

LABELS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger")


def predictions(
    quality: float, n: int = 80, seed: int = 0, kind: str = "multi", test: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth of test part number ``test``, and scores that know it up to noise of 1/quality."""
    truth_rng = np.random.default_rng([test, n])
    truth = truth_rng.random((n, 6)) < 0.4
    truth[np.arange(n), truth_rng.integers(6, size=n)] = True
    if kind == "single":
        truth = np.eye(6, dtype=bool)[truth.argmax(axis=1)]
    noise = np.random.default_rng([seed, n, test]).normal(size=truth.shape)
    scores = truth + noise / quality
    return truth, scores, scores > 0.5


def record(
    features: str | None = "lbp",
    classifier: str | None = "mlknn",
    quality: float = 1.0,
    *,
    convention: str = "sklearn",
    criteria: dict[str, float | None] | None = None,
    values: dict[str, np.ndarray] | None = None,
    status: str = "ok",
    test: int = 0,
    key: str = "",
    finished: str = "2026-01-01T00:00:00",
    reason: str = "",
    tied_rows: float | None = None,
    protocol: str = "official",
    **changes: Any,
) -> Record:
    """A record; ``criteria`` and ``values`` (replicates) take the place of computed ones."""
    cell = Cell(
        **{
            "dataset": "toy",
            "kind": "multi",
            "fingerprint": "0123456789abcdef",
            "synthetic": False,
            "label_names": LABELS,
            "protocol": Protocol(protocol),
            "split": "official" if test == 0 else f"fold {test}",
            "split_hash": f"{test:016x}",
            "n_train": 300,
            "n_valid": 40,
            "n_test": 80,
            "twins": 3,
            "features": features,
            "features_params": {"cell": 10} if features else {},
            "classifier": classifier,
            "classifier_params": {"k": 100, "s": 1.0} if classifier == "mlknn" else {},
            "stochastic": False,
            "seed": 0,
            "budget": "any",
            "selection": "none",
            **changes,
        }
    )
    key = key or f"{features}-{classifier}-{test}-{cell.seed}-{cell.budget}-{cell.selection}"
    result: dict[str, Any] = {}
    if status == "ok":
        truth, scores, labels = predictions(quality, seed=cell.seed, kind=cell.kind, test=test)
        evaluation = evaluate(truth, scores, labels, convention, cell.kind)
        if values is None:
            values = bootstrap.replicates(truth, scores, labels, convention, cell.kind, test, 200)
        result = {
            "criteria": evaluation.values if criteria is None else criteria,
            "confusion": confusion(truth, scores).tolist() if cell.kind == "single" else [],
            "left_out": evaluation.left_out,
            "tied_rows": evaluation.tied_rows if tied_rows is None else tied_rows,
            "bootstrap": {"seed": test, "count": 200, "values": bootstrap.pack(values)},
            "seconds": {"features": 1.5, "fit": 0.25, "predict": 0.125},
            "peak_memory_mb": 100.0,
            "scores_sha256": "0" * 64,
        }
    return Record(
        key=key,
        cell=cell,
        status=status,
        reason=reason,
        convention=convention,
        provenance={"version": "0.1.0", "device": "cpu", "finished": finished},
        **result,
    )


@pytest.fixture(scope="session")
def make() -> Make:
    """`record`."""
    return record


@pytest.fixture(scope="session")
def parts() -> Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """`predictions`."""
    return predictions
