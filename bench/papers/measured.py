"""What records say of the entries of a paper's tables: finds the cells of each, and its value."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from bench.papers.methods import HUMAN, has_params, method_of
from bench.papers.places import Located, MissingDataError, Places
from bench.papers.reading import TIME, WEIGHTS, read
from bench.papers.spec import Conditions, PaperEntry
from bench.papers.timing import Timing
from bench.plugins import Registry
from bench.publish.rows import Row, newest, spread
from bench.run.job import UNSTRATIFIED, Cell, Protocol
from bench.run.methods import Spec
from bench.run.options import CROSS, OWN
from bench.run.record import Record
from bench.score.criteria import BY_NAME

_ADDRESS = re.compile(r"https?://\S+/")
_IN_TABLES = {WEIGHTS: 1_000_000}
"""How many of a record's units one of the papers' tables is: they count weights in millions."""


@dataclass(frozen=True)
class Measured:
    """One entry as measured.

    Attributes
    ----------
    value, sd : float or None
        Mean over splits of the mean over seeds, and its standard deviation over splits, or over
        seeds where there is one split; None below two.
    row : Row or None
        The cells.
    gap : str
        Why there is no value; empty where there is one.
    used : tuple of str
        The datasets that it was measured on, as bench names them.
    stand_ins : tuple of str
        Which of them stand in for others, in words.
    device : str
        Of a time, how it was taken, in words.
    metric : str
        What was read, as `bench.papers.reading` names it.
    by_split : dict of str to float
        The mean over seeds of each split.
    """

    value: float | None = None
    sd: float | None = None
    row: Row | None = None
    gap: str = ""
    used: tuple[str, ...] = ()
    stand_ins: tuple[str, ...] = ()
    device: str = ""
    metric: str = ""
    by_split: Mapping[str, float] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Folds, or seeds of one split, behind the value; 0 without one, or where it is a time."""
        if self.row is None or self.value is None:
            return 0
        return len(self.row.splits) if len(self.row.splits) > 1 else len(self.row.seeds)

    @property
    def synthetic(self) -> bool:
        """Whether bench rendered any of the faces."""
        return self.rendered or self.taught_by_rendered

    @property
    def rendered(self) -> bool:
        """Whether bench rendered the faces of the row's own dataset, or of the one trained on."""
        return any(cell.synthetic or cell.source.get("synthetic", False) for cell in self._cells())

    @property
    def taught_by_rendered(self) -> bool:
        """Whether bench rendered those of another dataset that the method learned from."""
        return any(other["synthetic"] for cell in self._cells() for other in cell.others.values())

    def _cells(self) -> list[Cell]:
        return [] if self.row is None else [record.cell for record in self.row.records]


@dataclass(frozen=True)
class Overrides:
    """What a run overrides of every specification; None leaves it."""

    budget: str | None = None
    seeds: int | None = None
    convention: str | None = None

    def over(self, conditions: Conditions) -> Conditions:
        """The conditions of a cell as it is run."""
        budget, seeds = self.budget or conditions.budget, self.seeds or conditions.seeds
        return replace(conditions, budget=budget, seeds=seeds)


class Finder:
    """Finds the cells of a method under some conditions among records.

    Parameters
    ----------
    registry : Registry
    records : sequence of Record
        Of one results folder; of several records of a cell the newest counts.
    places : Places
    overrides : Overrides
    timings : sequence of Timing
    refused : mapping of (str, str) to str
        Data (`Conditions.data`) and methods, as written, that the run could not plan, and why.
    """

    def __init__(
        self,
        registry: Registry,
        records: Sequence[Record],
        places: Places,
        overrides: Overrides,
        timings: Sequence[Timing] = (),
        refused: Mapping[tuple[str, str], str] | None = None,
    ) -> None:
        self.registry, self.places, self.overrides = registry, places, overrides
        self.records = newest(records).kept
        self.timings, self.refused = timings, dict(refused or {})

    @cached_property
    def _by_names(self) -> dict[tuple[str, str | None, str | None], list[Record]]:
        by_names: dict[tuple[str, str | None, str | None], list[Record]] = {}
        for record in self.records:
            cell = record.cell
            by_names.setdefault((cell.dataset, cell.features, cell.classifier), []).append(record)
        return by_names

    def row(self, conditions: Conditions, run: str) -> Row | None:
        """The cells of a method under these conditions; None where there are none."""
        try:
            located = self.places.locate(self.overrides.over(conditions), run)
        except MissingDataError:
            return None
        return self._row(located)

    def measured(self, entry: PaperEntry) -> Measured:
        """The value of an entry, or why there is none."""
        if not entry.run:
            return Measured(gap=entry.why or "nothing to run")
        try:
            located = self.places.locate(self.overrides.over(entry.conditions), entry.run)
        except MissingDataError as missing:
            return Measured(gap=str(missing))
        data = Measured(used=located.used, stand_ins=located.stand_ins)
        if entry.metric == TIME:
            return self._timed(located, data)
        row = self._row(located)
        if row is None:
            key = (located.conditions.data, located.run)
            return replace(data, gap=self.refused.get(key, "not run yet"))
        return _of_row(row, entry, data)

    def seconds(self, conditions: Conditions, run: str) -> float | None:
        """Seconds per image of a method; None where it is not timed."""
        return self.measured(PaperEntry(conditions, run, "", TIME)).value

    def _row(self, located: Located) -> Row | None:
        features, classifier = None, None
        names: tuple[str, str | None, str | None] = (located.measured.text, None, HUMAN)
        if located.run != HUMAN:
            features, classifier = method_of(self.registry, located.run)
            names = (located.measured.text, _name(features), _name(classifier))
        fitting = [
            record
            for record in self._by_names.get(names, [])
            if _under(record.cell, located)
            and has_params(record.cell.features_params, features)
            and (located.run == HUMAN or has_params(record.cell.classifier_params, classifier))
        ]
        # Records of an earlier version, whose method had fewer parameters, give way to later ones.
        fitting.sort(key=lambda record: str(record.provenance.get("finished", "")))
        latest = {(record.cell.split_hash, record.cell.seed): record for record in fitting}
        return Row(tuple(latest.values())) if latest else None

    def _timed(self, located: Located, data: Measured) -> Measured:
        features, _ = method_of(self.registry, located.run)
        for timing in self.timings:
            if features and (timing.method, timing.dataset) == (features.written, data.used[0]):
                return replace(data, value=timing.median, device=timing.in_words)
        return replace(data, gap="not timed yet")


def _name(spec: Spec | None) -> str | None:
    return None if spec is None else spec.name


def _under(cell: Cell, located: Located) -> bool:
    """Whether a cell is measured so, without a choice of parameters, by the method's own rule."""
    conditions = located.conditions
    return (
        _has_protocol(cell, located)
        and cell.budget in ("any", conditions.budget)
        and cell.selection in ("none", conditions.selection)
        and cell.seed < conditions.seeds
        and not cell.tuned
        and cell.threshold == OWN
    )


def _has_protocol(cell: Cell, located: Located) -> bool:
    conditions = located.conditions
    if cell.protocol.folds == UNSTRATIFIED:
        return False  # of an older version, beside which those of today would be other folds
    if conditions.protocol != CROSS:
        return cell.protocol == Protocol(conditions.protocol)
    trained_on, _, _ = (cell.protocol.source or "").partition("@")  # without what marks its folder
    same_source = trained_on == located.source.text
    return same_source and cell.protocol.target == conditions.target_protocol


def _of_row(row: Row, entry: PaperEntry, data: Measured) -> Measured:
    """The value of an entry from the cells of its method."""
    if entry.fold:
        of_fold = [r for r in row.records if r.cell.split == f"fold{entry.fold}"]
        if not of_fold:
            return replace(data, gap=f"no fold {entry.fold}")
        row = Row(tuple(of_fold))
    data = replace(data, row=row)
    if not row.ok:
        failed = row.records[0]
        # Addresses of files are long, and the record has them.
        return replace(data, gap=f"{failed.status}: {_ADDRESS.sub('', failed.reason)}")
    if entry.metric in BY_NAME and all(entry.metric not in r.criteria for r in row.ok):
        # `bench.publish.rows.as_far_as_held`
        by = row.ok[0].convention
        return replace(data, gap=f"no {entry.metric} by the {by} convention is stored")
    value, sd = _value(row, entry)
    if value is None or not math.isfinite(value):
        return replace(data, gap=f"{entry.metric.removeprefix('measure:')} is not defined here")
    by_split = _by_split(row, entry)
    return replace(data, value=value, sd=sd, metric=entry.quantity, by_split=by_split)


def _value(row: Row, entry: PaperEntry) -> tuple[float | None, float | None]:
    """Mean and spread of what an entry measures."""
    estimate = row.estimate(entry.metric)
    if estimate is not None:
        folds = len(row.splits) > 1
        return estimate.mean, estimate.sd_folds if folds else estimate.sd_seeds
    means = list(_by_split(row, entry).values())
    if not means:
        return None, None
    if len(means) > 1:
        return float(np.mean(means)), spread(means)
    return means[0], spread(next(iter(_values(row, entry).values())))


def _by_split(row: Row, entry: PaperEntry) -> dict[str, float]:
    """The mean over seeds of each split that has a value."""
    return {split: float(np.mean(values)) for split, values in _values(row, entry).items()}


def _values(row: Row, entry: PaperEntry) -> dict[str, list[float]]:
    """What an entry measures, seed by seed, of each split."""
    by_split: dict[str, list[float]] = {}
    for record in row.ok:
        value = read(record, entry.quantity)
        if value is not None:
            value /= _IN_TABLES.get(entry.metric, 1)
            by_split.setdefault(record.cell.split, []).append(value)
    return by_split
