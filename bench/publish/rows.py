"""Which records a table shows, and rows: the cells of one method and their common statistics.

Everything that is made of records starts here: a results folder also holds records of older code
and of other conventions, and a method's number is a mean over its splits and seeds.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bench.api import BenchError
from bench.run.job import Cell
from bench.run.record import Record
from bench.run.scoring import Stored, alike_alone, outdated, rescored, under
from bench.score import bootstrap

ScoresOf = Callable[[Record], Stored | None]
"""Gives what a record's criteria are computed from; None where it is not stored."""

TUNED = "tuned"
"""Stands for the value of a parameter that was chosen on each split's training part."""


def canonical(value: Any) -> str:
    """Parameters (or anything JSON can hold) as compact text, the same for equal values."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def natural(text: str) -> tuple[str | float, ...]:
    """A sort key under which ``k=5`` stands before ``k=10``."""
    pieces = re.split(r"(\d+(?:\.\d+)?)", text)
    return tuple(float(piece) if i % 2 else piece for i, piece in enumerate(pieces))


def ordered(records: Iterable[Record]) -> list[Record]:
    """By dataset, protocol, split, classifier, features, parameters and seed."""
    return sorted(records, key=lambda record: (*_place(record.cell), record.key))


def _place(cell: Cell) -> tuple[Any, ...]:
    data = (cell.dataset, str(cell.protocol), cell.split)
    names = (*data, cell.classifier or "", cell.features or "")
    sides = [shown_params(cell, side) for side in ("classifier", "features")]
    params = canonical([*sides, cell.tuned])
    training = (cell.budget, cell.selection, cell.weights or "")
    rest = (cell.threshold, cell.fitted_on, *training, cell.fingerprint, cell.split_hash)
    return (*map(natural, (*names, params)), cell.seed, *rest)


@dataclass(frozen=True)
class NewestRecords:
    """The records that count, and the older ones that give way to them."""

    kept: tuple[Record, ...]
    left_out: tuple[Record, ...]


def newest(records: Iterable[Record]) -> NewestRecords:
    """Of records about the same cell (its code has changed in between), the one finished last.

    A cell without a result also gives way to its result with weights, which were not there when it
    was skipped.
    """
    everything = ordered(records)
    cells = pd.DataFrame(
        [
            (
                record.key,
                str(record.provenance.get("finished", "")),
                record.status == "ok",
                record.cell.weights is not None,
                _identity(record.cell, _weights(record.cell)),
                _identity(record.cell, None),
            )
            for record in everything
        ],
        columns=["key", "finished", "ok", "weighted", "cell", "but_weights"],
    )
    latest = cells.sort_values(["finished", "key"]).drop_duplicates("cell", keep="last")
    done = latest["but_weights"].isin(latest["but_weights"][latest["ok"]])
    kept = set(latest["key"][latest["ok"] | latest["weighted"] | ~done])
    return NewestRecords(
        tuple(record for record in everything if record.key in kept),
        tuple(record for record in everything if record.key not in kept),
    )


def _identity(cell: Cell, weights: str | None) -> str:
    """What a cell measures; a number is worth showing once, however often its code changed."""
    data = [cell.dataset, cell.fingerprint, cell.synthetic, str(cell.protocol), cell.split]
    return canonical([data, _method(cell), cell.seed, cell.budget, cell.selection, weights])


def _method(cell: Cell) -> list[Any]:
    """What tells methods apart; a tuned parameter counts by its candidates, not by its value."""
    sides = [shown_params(cell, side) for side in ("classifier", "features")]
    label_sets = [cell.threshold, cell.fitted_on]
    return [cell.classifier, cell.features, *sides, cell.tuned, *label_sets]


def _weights(cell: Cell) -> str | None:
    """Weights as far as they tell rows apart: they may follow from a tuned parameter."""
    return None if "features" in cell.tuned else cell.weights


def shown_params(cell: Cell, side: str) -> dict[str, Any]:
    """Parameters of the ``features`` or the ``classifier``, `TUNED` for those that were tuned."""
    params = cell.features_params if side == "features" else cell.classifier_params
    return {**params, **dict.fromkeys(cell.tuned.get(side, ()), TUNED)}


def in_convention(record: Record, convention: str, scores_of: ScoresOf | None) -> Record:
    """The record with criteria and replicates of ``convention``, by today's code where it can be.

    A record of older criteria code (`bench.run.scoring.outdated`) whose scores are not stored stays
    as it was written.

    Raises
    ------
    BenchError
        The stored scores are needed and are not there.
    """
    if record.status != "ok":
        return record
    if record.cell.kind == "single":  # these criteria are the same under every convention
        record = dataclasses.replace(record, convention=convention)
    held = under(record, convention)
    if held is not None and not outdated(record):
        return held
    current = rescored(record, scores_of or _no_scores, convention) or held
    if current is not None:
        return current
    raise BenchError(
        f"the {convention} convention needs the stored scores of cell {record.key}; they are "
        f"not there: run that cell again, or ask for --convention {record.convention}"
    )


def as_far_as_held(record: Record, convention: str, scores_of: ScoresOf | None) -> Record:
    """As `in_convention`, but without the criteria that would need scores which are not stored."""
    try:
        return in_convention(record, convention, scores_of)
    except BenchError:
        return alike_alone(record, convention)


def _no_scores(record: Record) -> Stored | None:
    return None


@dataclass(frozen=True)
class CriterionEstimate:
    """One criterion of one row.

    Attributes
    ----------
    mean : float
        Over splits, of the mean over seeds.
    sd_seeds, sd_folds : float or None
        Standard deviation (n - 1) over seeds of the means over splits, and over splits of the means
        over seeds; None below two.
    cells : int
        Cells with a value.
    replicates : float (count,) or None
        The mean on resampled test images; None where a cell has no replicates.
    drawn : tuple
        Which resamples: two estimates can be compared in pairs where these are equal.
    """

    mean: float
    sd_seeds: float | None
    sd_folds: float | None
    cells: int
    replicates: np.ndarray | None
    drawn: tuple[Any, ...]

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % percentile interval over test images; None without replicates."""
        return None if self.replicates is None else _defined(bootstrap.interval(self.replicates))

    def differs(self, other: CriterionEstimate) -> bool:
        """Whether the 95 % interval of the paired difference is known and does not hold 0."""
        if self.replicates is None or other.replicates is None or self.drawn != other.drawn:
            return False
        if len(self.replicates) != len(other.replicates):
            return False
        interval = _defined(bootstrap.interval(self.replicates - other.replicates))
        return interval is not None and (interval[0] > 0 or interval[1] < 0)


def _defined(interval: tuple[float, float]) -> tuple[float, float] | None:
    return None if np.isnan(interval[0]) else interval


@dataclass(frozen=True)
class Row:
    """The cells of one method: every split and seed."""

    records: tuple[Record, ...]

    @property
    def cell(self) -> Cell:
        """Its first cell: names, parameters (but tuned ones), budget and selection of all."""
        return self.records[0].cell

    @cached_property
    def ok(self) -> tuple[Record, ...]:
        """The cells with a result."""
        return tuple(record for record in self.records if record.status == "ok")

    @property
    def seeds(self) -> set[int]:
        """Seeds with a result."""
        return {record.cell.seed for record in self.ok}

    @property
    def splits(self) -> set[str]:
        """Splits with a result, by hash."""
        return {record.cell.split_hash for record in self.ok}

    @cached_property
    def tied_rows(self) -> float | None:
        """Mean share of test rows in which two labels have the same score."""
        shares = [record.tied_rows for record in self.ok if record.tied_rows is not None]
        return float(np.mean(shares)) if shares else None

    @cached_property
    def _replicates(self) -> dict[str, dict[str, np.ndarray]]:
        return {r.key: bootstrap.unpack(r.bootstrap.get("values", {})) for r in self.ok}

    def estimate(self, criterion: str) -> CriterionEstimate | None:
        """The row's value of a criterion; None where no cell has one."""
        by_split: dict[str, list[Record]] = defaultdict(list)
        values: dict[str, dict[int, float]] = defaultdict(dict)
        for record in self.ok:
            value = {**record.criteria, **record.distribution_criteria}.get(criterion)
            if value is not None:
                by_split[record.cell.split_hash].append(record)
                values[record.cell.split_hash][record.cell.seed] = value
        if not values:
            return None
        of_splits = [float(np.mean(list(of_seeds.values()))) for of_seeds in values.values()]
        common = sorted(set.intersection(*(set(of_seeds) for of_seeds in values.values())))
        of_seeds = [float(np.mean([v[seed] for v in values.values()])) for seed in common]
        replicates = self._mean_replicates(criterion, by_split)
        drawn = sorted((split, cells[0].bootstrap.get("seed")) for split, cells in by_split.items())
        return CriterionEstimate(
            mean=float(np.mean(of_splits)),
            sd_seeds=spread(of_seeds) if self.cell.stochastic else None,
            sd_folds=spread(of_splits),
            cells=sum(map(len, values.values())),
            replicates=replicates,
            drawn=tuple(drawn),
        )

    def _mean_replicates(
        self, criterion: str, by_split: dict[str, list[Record]]
    ) -> np.ndarray | None:
        """Replicates averaged as the values are; None unless every cell has as many."""
        means = []
        for records in by_split.values():
            of_cells = [self._replicates[record.key].get(criterion) for record in records]
            arrays = [array.astype(float) for array in of_cells if array is not None]
            if len(arrays) < len(of_cells) or len({len(array) for array in arrays}) > 1:
                return None
            means.append(np.mean(arrays, axis=0))
        if len({len(mean) for mean in means}) > 1:
            return None
        return np.asarray(np.mean(means, axis=0))


def spread(values: Sequence[float]) -> float | None:
    """Standard deviation with n - 1; None for fewer than two values."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def rows_of(records: Iterable[Record]) -> list[Row]:
    """One row per method and way of training, in the order of `ordered`."""
    cells = pd.Series(ordered(records), dtype=object)
    rows = cells.groupby(cells.map(_row_identity), sort=False)
    return [Row(tuple(of_row)) for _, of_row in rows]


def _row_identity(record: Record) -> str:
    cell = record.cell
    data = [cell.dataset, cell.fingerprint, cell.synthetic, cell.kind, str(cell.protocol)]
    return canonical([data, _method(cell), cell.budget, cell.selection, _weights(cell)])
