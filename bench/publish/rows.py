"""Which records a table shows, and rows: the cells of one method and their common statistics.

Everything that is made of records starts here: a results folder also holds records of older code
and of other conventions, and a method's number is a mean over its splits and seeds.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bench.api import BenchError
from bench.publish.fold_noise import REPEAT, moved, over_splits, widened
from bench.run.job import Cell
from bench.run.record import Record
from bench.run.scoring import Stored, alike_alone, outdated, rescored, under
from bench.score import bootstrap
from bench.score.criteria import BY_NAME
from bench.score.intervals import FEWEST, Estimate, Sample, difference, estimate, over_images

ScoresOf = Callable[[Record], Stored | None]
"""Gives what a record's criteria are computed from; None where it is not stored."""

TUNED = "tuned"
"""Stands for the value of a parameter that was chosen on each split's training part."""

IMAGES, SPLITS = bootstrap.IMAGES, "splits"
RARE = 10
"""Test images of a label below which a mean over labels has no reliable interval.

Of a label with 2 among 200 images the interval covers .69, not .95.
"""
POOLED = ("micro_f1", "macro_f1", "micro_auc", "macro_auc")  # of all folds together
_BY_LABEL = frozenset(criterion.name for criterion in BY_NAME.values() if criterion.by_label)


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
        record = replace(record, convention=convention)
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


class PooledRecord(Record):
    """What `POOLED` says of all folds of one seed together; no cell (`bench.publish.pooling`)."""


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
    sample : Sample or None
        The values by seed, each a mean over splits, with their resamples; None where a cell has no
        resamples (people have none), a seed lacks a split, or the criterion is a mean over labels
        of which one is rare (`Row.rare_labels`).
    drawn : Drawn
        Which resamples: estimates can be compared in pairs where these are equal.
    """

    mean: float
    sd_seeds: float | None
    sd_folds: float | None
    cells: int
    sample: Sample | None
    drawn: Drawn

    @property
    def replicates(self) -> np.ndarray | None:
        """The mean on each resample, float (B,)."""
        return None if self.sample is None else self.sample.replicates.mean(axis=0)

    @property
    def few_seeds(self) -> bool:
        """Whether it is of too few seeds of a stochastic method to know the noise over seeds."""
        sample = self.sample
        return sample is not None and sample.stochastic and len(sample.seeds) < FEWEST

    @cached_property
    def noise(self) -> Estimate | None:
        """The mean with its noise over test images and seeds, over images alone of few seeds."""
        if self.sample is None:
            return None
        known = over_images if self.few_seeds else estimate
        return known(self.sample, self.drawn.clusters, self.drawn.splits)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval by `noise`; None without resamples."""
        return None if self.noise is None else self.noise.interval()

    def less(self, other: CriterionEstimate) -> Estimate | None:
        """The difference of the two means; None where their resamples are not the same."""
        if self.sample is None or other.sample is None or self.drawn != other.drawn:
            return None
        return difference(self.sample, other.sample, self.drawn.clusters, self.drawn.splits)


@dataclass(frozen=True)
class Drawn:
    """What the resamples of a row drew.

    Attributes
    ----------
    parts : tuple of tuple
        Of each split its hash, seed and number of the resamples, how many clusters, of which kind.
    clusters : int
        How many things were drawn from in all splits.
    kind : str
        ``images``, or what `Record.bootstrap` says; `SPLITS` where whole splits are drawn.
    splits : int
        How many splits were resampled for themselves.
    """

    parts: tuple[tuple[Any, ...], ...]
    clusters: int
    kind: str
    splits: int

    @classmethod
    def of(cls, records: Iterable[Record]) -> Drawn:
        """What the cells of one row drew; of repeated folds, which share images, whole folds."""
        records = list(records)
        parts = sorted({_part(record) for record in records})
        if any(record.cell.split.startswith(REPEAT) for record in records):
            return cls(tuple(parts), len(parts), SPLITS, 1)
        counts, kinds = [part[3] for part in parts], sorted({part[4] for part in parts})
        if len(parts) > 1 and len({part[1] for part in parts}) == 1 and kinds != [IMAGES]:
            return cls(tuple(parts), counts[0], kinds[0], 1)  # all folds drew the same subjects
        if min(counts) < 2 and len(parts) > 1:
            return cls(tuple(parts), len(parts), SPLITS, 1)
        return cls(tuple(parts), sum(counts), " and ".join(kinds), len(parts))


def _part(record: Record) -> tuple[Any, ...]:
    made, cell = record.bootstrap, record.cell
    drawn = (made.get("clusters", cell.n_test), made.get("of", IMAGES))
    return (cell.split_hash, made.get("seed", -1), made.get("count", 0), *drawn)


@dataclass(frozen=True)
class Row:
    """The cells of one method: every split and seed.

    Attributes
    ----------
    pooled : tuple of Record
        Of each seed what `POOLED` says of all its folds together; empty without folds, or where
        their scores are not stored.
    """

    records: tuple[Record, ...]
    pooled: tuple[Record, ...] = ()

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
    def repetitions(self) -> int:
        """How often each image is tested: above 1 for repeated folds."""
        names = {record.cell.split.partition("-")[0] for record in self.records}
        return sum(name.startswith(REPEAT) for name in names) or 1

    @cached_property
    def tied_rows(self) -> float | None:
        """Mean share of test rows in which two labels have the same score."""
        shares = [record.tied_rows for record in self.ok if record.tied_rows is not None]
        return float(np.mean(shares)) if shares else None

    @cached_property
    def rare_labels(self) -> dict[str, int]:
        """Labels with fewer than `RARE` test images in all splits, and how many these are.

        None of records that do not hold it.
        """
        first_seeds = {record.cell.split_hash: record for record in reversed(self.ok)}
        counts = [_positives(record) for record in first_seeds.values()]
        if not counts or not all(counts):
            return {}
        totals = (np.sum(counts, axis=0) // self.repetitions).tolist()
        names = zip(self.cell.label_names, totals, strict=True)
        return {name: total for name, total in names if total < RARE}

    @cached_property
    def _replicates(self) -> dict[str, dict[str, np.ndarray]]:
        return {r.key: bootstrap.unpack(r.bootstrap.get("values", {})) for r in self.ok}

    def half_panels(self, criterion: str) -> float | None:
        """The mean over cells of a criterion on the truth of people; None unless all have it."""
        values = [record.half_panels.get(criterion) for record in self.ok]
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known and len(known) == len(values) else None

    def estimate(self, criterion: str) -> CriterionEstimate | None:
        """The value of a criterion, one of `POOLED` of all folds together; None where none has one.

        The noise of a pooled value of repeated folds is that of the mean over folds, which the
        corrected resampled t-test knows.
        """
        averaged = self.averaged(criterion)
        if criterion not in POOLED or not self.pooled:
            return averaged
        pooled = Row(self.pooled).averaged(criterion)
        if pooled is None:
            return averaged
        sample, drawn = pooled.sample, pooled.drawn
        if averaged is not None and (sample is None or self.repetitions > 1):
            sample, drawn = averaged.sample, averaged.drawn
            sample = sample and moved(sample, pooled.mean - averaged.mean)
        cells = len(self.ok)
        return replace(pooled, sd_folds=None, cells=cells, sample=sample, drawn=drawn)

    def averaged(self, criterion: str) -> CriterionEstimate | None:
        """The mean over folds of a criterion; None where no cell has one."""
        cells: dict[str, dict[int, Record]] = defaultdict(dict)
        for record in self.ok:
            if _value(record, criterion) is not None:
                cells[record.cell.split_hash][record.cell.seed] = record
        if not cells:
            return None
        by_split = [dict(sorted(cells[split].items())) for split in sorted(cells)]
        values = [
            {seed: _value(record, criterion) for seed, record in of_split.items()}
            for of_split in by_split
        ]
        of_splits = [float(np.mean(list(of_seeds.values()))) for of_seeds in values]
        common = sorted(set.intersection(*map(set, values)))
        of_seeds = [float(np.mean([v[seed] for v in values])) for seed in common]
        drawn = Drawn.of(record for of_split in by_split for record in of_split.values())
        return CriterionEstimate(
            mean=float(np.mean(of_splits)),
            sd_seeds=spread(of_seeds) if self.cell.stochastic else None,
            sd_folds=spread(of_splits),
            cells=sum(map(len, values)),
            sample=self._sample(criterion, by_split, drawn),
            drawn=drawn,
        )

    def _sample(
        self, criterion: str, by_split: Sequence[dict[int, Record]], drawn: Drawn
    ) -> Sample | None:
        """Values and replicates by seed, averaged over splits; see `CriterionEstimate.sample`."""
        if criterion in _BY_LABEL and self.rare_labels:
            return None
        seeds = tuple(by_split[0])
        balanced = all(tuple(of_split) == seeds for of_split in by_split)
        if not balanced or len(drawn.parts) > len(by_split) or drawn.clusters <= drawn.splits:
            return None  # cells of one split on other resamples, or a single cluster
        values = np.array([[_value(r, criterion) for r in s.values()] for s in by_split], float)
        if drawn.kind == SPLITS:
            replicates = over_splits(values)
            if self.repetitions > 1:
                replicates = widened(replicates, values, self.ok)
        else:
            packed = [
                [self._replicates[r.key].get(criterion) for r in s.values()] for s in by_split
            ]
            sizes = {None if array is None else len(array) for s in packed for array in s}
            if None in sizes or len(sizes) > 1:
                return None
            replicates = np.array(packed, dtype=float).mean(axis=0)
        if np.isnan(replicates).all():
            return None
        return Sample(seeds, values.mean(axis=0), replicates, self.cell.stochastic)


def _positives(record: Record) -> list[int]:
    """Test images of each label; of older records on single-label data by their confusion."""
    return record.positives or [sum(counts) for counts in record.confusion]


def _value(record: Record, criterion: str) -> float | None:
    return {**record.criteria, **record.distribution_criteria}.get(criterion)


def spread(values: Sequence[float]) -> float | None:
    """Standard deviation with n - 1; None for fewer than two values."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def rows_of(records: Iterable[Record]) -> list[Row]:
    """One row per method and way of training, in the order of `ordered`."""
    cells = pd.Series(ordered(records), dtype=object)
    rows = cells.groupby(cells.map(_row_identity), sort=False)
    return [
        Row(
            tuple(one for one in of_row if not isinstance(one, PooledRecord)),
            tuple(one for one in of_row if isinstance(one, PooledRecord)),
        )
        for _, of_row in rows
    ]


def _row_identity(record: Record) -> str:
    cell = record.cell
    data = [cell.dataset, cell.fingerprint, cell.synthetic, cell.kind, str(cell.protocol)]
    return canonical([data, _method(cell), cell.budget, cell.selection, _weights(cell)])
