"""What records say of the entries of a paper's tables."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from bench.api import BenchError
from bench.papers.places import Gap, Place, Places
from bench.papers.reading import TIME, WEIGHTS, read
from bench.papers.spec import Entry, Where
from bench.plugins import Registry
from bench.publish.rows import Row, newest, spread
from bench.run.grammar import parse_methods
from bench.run.job import Cell, Protocol
from bench.run.methods import Spec, specs
from bench.run.options import CROSS
from bench.run.record import Record
from bench.run.timing import Timing

_ADDRESS = re.compile(r"https?://\S+/")
_IN_TABLES = {WEIGHTS: 1_000_000}
"""How many of a record's units one of the papers' tables is: they count weights in millions."""

HUMAN = "human"
"""Stands for a method in runs: people's votes, half against half (`bench.score.human`)."""


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
    """

    value: float | None = None
    sd: float | None = None
    row: Row | None = None
    gap: str = ""
    used: tuple[str, ...] = ()
    stand_ins: tuple[str, ...] = ()
    device: str = ""

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
        return any(one["synthetic"] for cell in self._cells() for one in cell.others.values())

    def _cells(self) -> list[Cell]:
        return [] if self.row is None else [record.cell for record in self.row.records]


@dataclass(frozen=True)
class Setting:
    """What a run overrides of every specification; None leaves it."""

    budget: str | None = None
    seeds: int | None = None

    def over(self, where: Where, places: Places | None = None) -> Where:
        """The setting of a cell as it is run; ``places``, where known, have their own splits."""
        budget, seeds = self.budget or where.budget, self.seeds or where.seeds
        where = replace(where, budget=budget, seeds=seeds)
        place = None if places is None else places.find(where.dataset)
        if isinstance(place, Place) and places is not None:
            where = replace(where, protocol=places.protocol(where.protocol, place))
        return where


class Finder:
    """Finds the cells of a method in a setting among records.

    Parameters
    ----------
    registry : Registry
    records : sequence of Record
        Of one results folder; of records about one cell the newest counts.
    places : Places
    setting : Setting
    timings : sequence of Timing
    refused : mapping of (str, str) to str
        Data (`asked_of`) and methods, as written, that the run could not plan, and why.
    """

    def __init__(
        self,
        registry: Registry,
        records: Sequence[Record],
        places: Places,
        setting: Setting,
        timings: Sequence[Timing] = (),
        refused: Mapping[tuple[str, str], str] | None = None,
    ) -> None:
        self.registry, self.places, self.setting = registry, places, setting
        self.records = newest(records).kept
        self.timings, self.refused = timings, dict(refused or {})

    @cached_property
    def _by_names(self) -> dict[tuple[str, str | None, str | None], list[Record]]:
        found: dict[tuple[str, str | None, str | None], list[Record]] = {}
        for record in self.records:
            cell = record.cell
            found.setdefault((cell.dataset, cell.features, cell.classifier), []).append(record)
        return found

    def row(self, where: Where, run: str) -> Row | None:
        """The cells of a method in a setting; None where there are none."""
        where = self.setting.over(where, self.places)
        source = self.places.find(where.dataset)
        asked = self.places.find(where.target, target=True) if where.target else source
        filled = self.places.filled(run)
        if isinstance(source, Gap) or isinstance(asked, Gap) or isinstance(filled, Gap):
            return None
        features, classifier = None, None
        if run != HUMAN:
            features, classifier = method_of(self.registry, filled)
        names = (asked.text, _name(features), HUMAN if run == HUMAN else _name(classifier))
        found: dict[tuple[str, int], Record] = {}
        fitting = (
            record
            for record in self._by_names.get(names, [])
            if _protocol_fits(record.cell, where, source)
            and record.cell.budget in ("any", where.budget)
            and record.cell.selection in ("none", where.selection)
            and record.cell.seed < where.seeds
            and _fits(record.cell.features_params, features)
            and (run == HUMAN or _fits(record.cell.classifier_params, classifier))
            and not record.cell.tuned
        )
        # Records of an earlier version, whose method had fewer parameters, give way to later ones.
        for record in sorted(fitting, key=lambda one: str(one.provenance.get("finished", ""))):
            found[record.cell.split_hash, record.cell.seed] = record
        return Row(tuple(found.values())) if found else None

    def measured(self, entry: Entry) -> Measured:
        """The value of an entry, or why there is none."""
        if not entry.run:
            return Measured(gap=entry.why or "nothing to run")
        where = self.setting.over(entry.where, self.places)
        found = [self.places.find(where.dataset)]
        found += [self.places.find(where.target, target=True)] if where.target else []
        filled = self.places.filled(entry.run)
        for place in (*found, filled):
            if isinstance(place, Gap):
                return Measured(gap=place.why)
        places = [place for place in found if isinstance(place, Place)]
        used = tuple(place.text for place in places)
        stand_ins = [f"{place.text} for {place.asked}" for place in places if place.stands_in]
        stand_ins += self.places.standing_in(entry.run)
        about: dict[str, Any] = {"used": used, "stand_ins": tuple(stand_ins)}
        if entry.metric == TIME:
            return self._timed(str(filled), used, about)
        row = self.row(entry.where, entry.run)
        if row is None:
            why = self.refused.get((asked_of(where), str(filled)), "not run yet")
            return Measured(gap=why, **about)
        if entry.fold:
            records = [one for one in row.records if one.cell.split == f"fold{entry.fold}"]
            row = Row(tuple(records)) if records else None
        if row is None:
            return Measured(gap=f"no fold {entry.fold}", **about)
        if not row.ok:
            failed = row.records[0]
            # Addresses of files are long, and the record has them.
            reason = _ADDRESS.sub("", failed.reason)
            return Measured(gap=f"{failed.status}: {reason}", row=row, **about)
        value, sd = _value(row, entry)
        if value is None or not math.isfinite(value):
            why = f"{entry.metric.removeprefix('measure:')} is not defined here"
            return Measured(gap=why, row=row, **about)
        return Measured(value, sd, row, **about)

    def seconds(self, where: Where, run: str) -> float | None:
        """Seconds per image of a method; None where it is not timed."""
        return self.measured(Entry(where, run, "", TIME)).value

    def _timed(self, run: str, used: tuple[str, ...], about: dict[str, Any]) -> Measured:
        features, _ = method_of(self.registry, run)
        for timing in self.timings:
            if features and (timing.method, timing.dataset) == (features.written, used[0]):
                return Measured(timing.median, None, device=timing.in_words, **about)
        return Measured(gap="not timed yet", **about)


def asked_of(where: Where) -> str:
    """The data of a setting in words."""
    return where.dataset + (f" to {where.target}" if where.target else "")


def method_of(registry: Registry, run: str) -> tuple[Spec | None, Spec | None]:
    """Features and classifier of one method as written, parameters filled in.

    Raises
    ------
    BenchError
        No such method or parameter, or more than one method.
    """
    if run == HUMAN:
        raise BenchError(f"{HUMAN} is no plug-in: it is found among the records alone")
    terms = parse_methods(run)
    sides = [
        specs(registry, "method", part) if part is not None else []
        for part in (terms[0].left, terms[0].right)
    ]
    if len(terms) > 1 or any(len(side) > 1 for side in sides):
        raise BenchError(f"{run}: one method, no list and no sweep")
    first, second = (side[0] if side else None for side in sides)
    assert first is not None
    return (None, first) if first.entry.kind == "Classifier" else (first, second)


def params_of(registry: Registry, run: str) -> dict[str, Any]:
    """Every parameter of a method as written, by ``features`` and ``classifier``."""
    found = {}
    sides = zip(("features", "classifier"), method_of(registry, run), strict=True)
    for side, spec in sides:
        if spec is not None:
            found[side] = {"name": spec.name, **_own(spec)}
    return found


def trains(registry: Registry, run: str) -> bool:
    """Whether a method as written follows a training schedule; False of one that is not there."""
    if run in ("", HUMAN):
        return False
    try:
        features, _ = method_of(registry, run)
    except BenchError:
        return False
    return features is not None and bool(getattr(features.entry.load(), "trains", False))


def _own(spec: Spec) -> dict[str, Any]:
    """Parameters but those that name other datasets, which records tell by other names."""
    companions = getattr(spec.entry.load(), "companions", {})
    return {name: value for name, value in spec.params.items() if name not in companions}


def _name(spec: Spec | None) -> str | None:
    return None if spec is None else spec.name


def _fits(told: Mapping[str, Any], spec: Spec | None) -> bool:
    """Whether a record's parameters are those of ``spec``; one that it lacks has its default."""
    if spec is None:
        return not told
    declared = spec.entry.load().params
    wanted = {**_own(spec), "weights": _folderless(spec.params.get("weights"))}
    return all(
        told.get(name, declared[name].default if name in declared else None) == value
        for name, value in wanted.items()
        if name in declared
    )


def _folderless(weights: Any) -> Any:
    return weights.rpartition("/")[2] if isinstance(weights, str) and "/" in weights else weights


def _protocol_fits(cell: Cell, where: Where, source: Place) -> bool:
    if where.protocol != CROSS:
        return cell.protocol == Protocol(where.protocol)
    trained_on, _, _ = (cell.protocol.source or "").partition("@")  # without what marks its folder
    return trained_on == source.text and cell.protocol.target == where.target_protocol


def _value(row: Row, entry: Entry) -> tuple[float | None, float | None]:
    """Mean and spread of what an entry measures."""
    estimate = row.estimate(entry.metric)
    if estimate is not None:
        folds = len(row.splits) > 1
        return estimate.mean, estimate.sd_folds if folds else estimate.sd_seeds
    by_split: dict[str, list[float]] = {}
    for record in row.ok:
        value = read(record, entry.quantity)
        if value is not None:
            value /= _IN_TABLES.get(entry.metric, 1)
            by_split.setdefault(record.cell.split_hash, []).append(value)
    if not by_split:
        return None, None
    means = [float(np.mean(values)) for values in by_split.values()]
    alone = next(iter(by_split.values()))
    return float(np.mean(means)), spread(means if len(means) > 1 else alone)
