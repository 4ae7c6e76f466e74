"""The record of one cell: the only thing a table is made from; made and read here alone."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bench.api import BenchError
from bench.data.protocols import DRAWN_FOLDS
from bench.run.job import SCHEMA, UNSTRATIFIED, Cell, Job
from bench.run.printable import printable
from bench.run.provenance import provenance
from bench.score import bootstrap

OLDER_SCHEMAS = (1,)  # what this version reads too; it writes `SCHEMA`
STATUSES = ("ok", "error", "timeout", "skipped")


class RecordError(BenchError):
    """A file is no record that this version can trust.

    Attributes
    ----------
    where : Path
        The file.
    why : str
        What is wrong with it.
    """

    def __init__(self, where: Path, why: str) -> None:
        super().__init__(f"{where}: not a record of bench ({why}); delete it and run again")
        self.where, self.why = where, why


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
    positives : list of int
        Test images of each label; empty in records of people and in those of before this field.
    half_panels : dict of str to float
        Criteria by the ``sklearn`` convention against half of each test image's votes, the truth
        that people are judged by (`bench.papers.human`); empty where there are no votes.
    bootstrap : dict
        ``{"seed", "count", "clusters", "of", "values"}``: resampled criteria
        (`bench.score.bootstrap.pack`), from how many things drawn, of which kind: ``images``,
        ``subjects`` or ``photographs``, all images of one together. Records of before these two
        fields drew images.
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
    positives: list[int] = field(default_factory=list)
    half_panels: dict[str, float] = field(default_factory=dict)
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
        """The record as text, floats in full precision, with the SHA-256 of what it says."""
        values = printable(asdict(self))
        values["sha256"] = _digest(values)
        return json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, where: Path, key: str | None = None) -> Record:
        """Read a record, of an older schema too, and one without a hash, as older versions wrote.

        Parameters
        ----------
        where : Path
            The file, for the sentence of an error.
        key : str or None
            What the record must have for its key; None takes any.

        Raises
        ------
        RecordError
            The record of another version, of another cell, or a damaged one.
        """
        try:
            values = msgspec.json.decode(text)
            _refuse_schema(values["schema"], where)
            hashed = "sha256" in values
            if hashed and values.pop("sha256") != _digest(values):
                raise RecordError(where, "its content is not what its sha256 says")
            record = _converted(values, where)
            if not hashed:
                bootstrap.unpack(record.bootstrap.get("values", {}))
        except RecordError:
            raise
        except (msgspec.MsgspecError, BenchError) as error:
            raise RecordError(where, str(error)) from error
        except KeyError as error:
            raise RecordError(where, f"{error} is missing") from error
        except RecursionError as error:
            raise RecordError(where, "its lists are nested too deep") from error
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise RecordError(where, f"{type(error).__name__}: {error}") from error
        if key is not None and record.key != key:
            raise RecordError(where, f"it is the record of another cell, {record.key}")
        return record


def _digest(values: dict[str, Any]) -> str:
    """SHA-256 of what a record says, however its text is laid out."""
    text = json.dumps(values, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _converted(values: dict[str, Any], where: Path) -> Record:
    """The record that plain values make; every field has its type, every number is finite."""
    if values["schema"] in OLDER_SCHEMAS:
        values = _of_schema_1(values)
    _refuse_unknown(values, Record, "$")
    _refuse_unknown(values["cell"], Cell, "$.cell")
    json.dumps(values, allow_nan=False)  # JSON has no NaN, but 1e999 is one way to infinity
    _mark_unstratified(values["cell"])
    record = msgspec.convert(values, Record)
    if record.status not in STATUSES:
        raise RecordError(where, f"its status is {record.status!r}")
    if record.status == "ok" and not record.criteria:
        raise RecordError(where, "it is ok and has no criteria")
    return record


def _refuse_schema(schema: Any, where: Path) -> None:
    if schema not in (*OLDER_SCHEMAS, SCHEMA):
        raise RecordError(
            where,
            f"written by another version of bench, schema {schema}; this one reads {SCHEMA}",
        )


def _refuse_unknown(values: dict[str, Any], of: type, path: str) -> None:
    unknown = sorted(set(values) - {field.name for field in fields(of)})
    if unknown:
        raise msgspec.ValidationError(f"unknown field `{unknown[0]}` - at `{path}`")


def _mark_unstratified(cell: dict[str, Any]) -> None:
    """Say of drawn folds of label sets that an older version drew them without regard to labels."""
    protocol = cell["protocol"]
    drawn = re.fullmatch(DRAWN_FOLDS, protocol.get("target") or protocol["name"])
    if "folds" not in protocol and drawn and cell["kind"] == "multi":
        cell["protocol"] = {**protocol, "folds": UNSTRATIFIED}


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
    outcome = printable(outcome)
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
