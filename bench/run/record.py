"""The record of one cell: the only thing a table is made from; made and read here alone."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bench.api import BenchError
from bench.run.job import SCHEMA, Cell, Job
from bench.run.provenance import provenance

OLDER_SCHEMAS = (1,)  # what this version reads too; it writes `SCHEMA`


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
    conventions : dict
        By each other convention what it changes: ``{"criteria", "values"}``, the criteria that are
        not equal and their replicates (packed), neither where all are equal. Empty on single-label
        data, in records of people, and in those of before this field.
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
    conventions: dict[str, dict[str, Any]] = field(default_factory=dict)
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
        """Read a record, of an older schema too.

        Parameters
        ----------
        where : Path
            The file, for the sentence of an error.

        Raises
        ------
        BenchError
            The record of another version, or a damaged one; names the file and the place in it.
        """
        try:
            values = msgspec.json.decode(text)
            schema = values["schema"]
            if schema in OLDER_SCHEMAS:
                values = _of_schema_1(values)
            elif schema != SCHEMA:
                raise BenchError(
                    f"{where}: written by another version of bench (schema {schema}, this one "
                    f"reads {SCHEMA}); use that version or another --results folder"
                )
            _refuse_unknown(values, cls, "$")
            _refuse_unknown(values["cell"], Cell, "$.cell")
            return msgspec.convert(values, cls)
        except (msgspec.MsgspecError, TypeError, KeyError) as error:
            said = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise BenchError(
                f"{where}: not a record of bench ({said}); delete it and run again"
            ) from error


def _refuse_unknown(values: dict[str, Any], of: type, path: str) -> None:
    unknown = sorted(set(values) - {field.name for field in fields(of)})
    if unknown:
        raise msgspec.ValidationError(f"unknown field `{unknown[0]}` - at `{path}`")


def _of_schema_1(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a record whose protocol was still a sentence: `Protocol.__str__` backwards."""
    text, _, inner = values["cell"]["protocol"].partition(", inner ")
    protocol: dict[str, Any] = {"name": text}
    if crossed := re.fullmatch(r"(cross) from (.+), ([^,]+)", text):
        protocol = dict(zip(("name", "source", "target"), crossed.groups(), strict=True))
    if inner:
        protocol["inner"] = inner
    return {**values, "cell": {**values["cell"], "protocol": protocol}, "schema": SCHEMA}


def new_record(
    key: str, cell: Cell, status: str, *, started: datetime | None = None, **outcome: Any
) -> Record:
    """The record of a cell that has just ended, with where and when that was.

    Parameters
    ----------
    started : datetime or None
        None where nothing was computed for it.
    **outcome
        Further fields of `Record`; ``provenance`` is added to that of this process.
    """
    now = datetime.now(UTC)
    times = {"finished": now.isoformat(timespec="microseconds")}
    if started is not None:
        times = {"started": started.isoformat(timespec="seconds"), **times}
    origin = {**provenance(), **outcome.pop("provenance", {}), **times}
    return Record(key, cell, status, provenance=origin, **outcome)


def failed_record(job: Job, status: str, reason: str, trace: str = "", **outcome: Any) -> Record:
    """The record of a cell that gave no number: ``status`` is error, timeout or skipped."""
    return new_record(
        job.key, job.cell, status, reason=reason, traceback=trace, notes=job.notes, **outcome
    )
