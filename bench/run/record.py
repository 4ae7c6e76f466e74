"""The record of one cell: the only thing a table is made from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.api import BenchError

SCHEMA = 1


@dataclass(frozen=True)
class Cell:
    """What is measured: everything that says which number this is.

    Attributes
    ----------
    dataset : str
        As named on the command line, parameters included (``fer-plus[labels=majority]``).
    fingerprint, split_hash : str
        Hashes of the data as loaded and of the row numbers in each part.
    twins : int or None
        Test images that have a pixel-identical twin in the training part; None without images, and
        on inner folds.
    features, classifier : str or None
        None for a classifier that needs no features, or a network with its own output.
    budget : str
        ``smoke``, ``quick`` or ``paper``; ``any`` where no method of the cell follows a schedule.
    selection : str
        ``valid``, ``last`` or ``test``; ``none`` where no epoch is chosen.
    tuned : dict
        Empty, or what was chosen on the training part (`bench.run.tuning`): ``features`` and
        ``classifier`` hold the candidate values of each parameter by name, ``inner`` the folds and
        ``by`` the criterion. The parameters above are then the chosen ones.
    source : dict
        Under protocol ``cross``: ``dataset``, ``fingerprint``, ``synthetic``, ``n_train`` and
        ``n_valid`` of what methods are trained on; everything above is about the target.
    others : dict of str to dict
        ``dataset``, ``fingerprint``, ``synthetic`` and ``n`` of the other datasets that the method
        learns from, by the parameter that names them.
    """

    dataset: str
    kind: str
    fingerprint: str
    synthetic: bool
    label_names: tuple[str, ...]
    protocol: str
    split: str
    split_hash: str
    n_train: int
    n_valid: int
    n_test: int
    twins: int | None
    features: str | None
    features_params: dict[str, Any]
    classifier: str | None
    classifier_params: dict[str, Any]
    stochastic: bool
    seed: int
    budget: str
    selection: str
    weights: str | None = None
    tuned: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """One cell with its outcome; written once, read by everything after.

    Attributes
    ----------
    status : {"ok", "error", "timeout", "skipped"}
    reason : str
        One sentence where the status is not ok.
    convention : str
        Of the criteria below (`bench.score.criteria.CONVENTIONS`).
    criteria : dict of str to float or None
        None where the method gives no scores, or the criterion is undefined on this test part.
    confusion : list of list of int
        On single-label data with scores: how many test images of each class (rows) were taken for
        each class (columns); empty elsewhere.
    distribution_criteria : dict of str to float
        Where the truth and the method give label distributions
        (`bench.score.distribution.DISTRIBUTION_CRITERIA`); empty elsewhere.
    left_out : int
        Labels left out of macro-AUC because test holds only one of present and absent.
    tied_rows : float or None
        Share of test rows in which two labels have the same score.
    bootstrap : dict
        ``{"seed", "count", "values"}``: resampled criteria (`bench.score.bootstrap.pack`).
    seconds : dict
        ``features``, ``fit``, ``predict``.
    measures : dict of str to float
        Further figures of the method on the test part (`bench.api.Network.measures`).
    learned_weights : int
        Numbers that a training moved (`bench.api.Features.learned_weights`).
    curve : str
        The training's epochs as CSV (`bench.api.Features.learning_curve`); empty without one.
    notes : tuple of str
        What a reader has to know: findings of the loader, thresholds, which path ran.
    footnotes : tuple of str
        What a table must say beside the row.
    provenance : dict
        Versions, commit, dirty flag, device, processor, time: never part of the key.
    """

    key: str
    cell: Cell
    status: str
    reason: str = ""
    traceback: str = ""
    convention: str = "sklearn"
    criteria_code: str = ""
    criteria: dict[str, float | None] = field(default_factory=dict)
    confusion: list[list[int]] = field(default_factory=list)
    distribution_criteria: dict[str, float] = field(default_factory=dict)
    left_out: int = 0
    tied_rows: float | None = None
    bootstrap: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    peak_memory_mb: float | None = None
    scores_sha256: str = ""
    measures: dict[str, float] = field(default_factory=dict)
    learned_weights: int = 0
    curve: str = ""
    notes: tuple[str, ...] = ()
    footnotes: tuple[str, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    def to_json(self) -> str:
        """The record as text; floats in full precision."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: Path) -> Record:
        """Read a record; raises `BenchError` for another version's or a damaged one."""
        try:
            data = json.loads(text)
            if data.get("schema") != SCHEMA:
                raise BenchError(
                    f"{where}: written by another version of bench (schema {data.get('schema')}, "
                    f"this one reads {SCHEMA}); use that version or another --results folder"
                )
            data["cell"]["label_names"] = tuple(data["cell"]["label_names"])
            for name in ("notes", "footnotes"):
                data[name] = tuple(data.get(name, ()))
            data["cell"] = Cell(**data["cell"])
            return cls(**data)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BenchError(
                f"{where}: not a record of bench ({error}); delete it and run again"
            ) from error
