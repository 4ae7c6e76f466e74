"""Rows as samples of what is no criterion of a record, such as the recall of a class.

Those of criteria: `bench.publish.rows.CriterionEstimate.sample`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bench.publish.fold_noise import over_splits, widened
from bench.publish.rows import SPLITS, Drawn, Row
from bench.run.record import Record
from bench.score.intervals import Sample


def sample_of(
    row: Row,
    value: Callable[[Record], float | None],
    replicates: Callable[[Record], np.ndarray | None],
) -> Sample | None:
    """The values of a row by seed, each the mean over splits, with their replicates.

    Of the seeds that every split has a value for; a method that is not stochastic is one seed. None
    where there is no such seed, or replicates are missing.

    Parameters
    ----------
    value, replicates : callable
        Of a record; replicates are float (B,), as many for every record. Where whole splits are
        resampled (`bench.publish.rows.Drawn`), the values of these make the replicates.
    """
    by_split: dict[str, dict[int, tuple[float, np.ndarray]]] = {}
    for record in row.ok:
        read = value(record)
        drawn = None if read is None else replicates(record)
        if read is not None and drawn is not None:
            of_split = by_split.setdefault(record.cell.split_hash, {})
            of_split[record.cell.seed] = read, np.asarray(drawn, dtype=float)
    if not by_split or len(by_split) < len(row.splits):
        return None
    seeds = sorted(set.intersection(*map(set, by_split.values())))
    if not row.cell.stochastic:
        seeds = seeds[:1]
    if not seeds or len({len(r) for split in by_split.values() for _, r in split.values()}) > 1:
        return None
    cells = [[of_split[seed] for of_split in by_split.values()] for seed in seeds]
    values = np.array([[read for read, _ in of_seed] for of_seed in cells])
    what = Drawn.of(row.ok)
    if len(what.parts) > len(by_split) or what.clusters <= what.splits:
        return None  # cells of one split on other resamples, or a single cluster
    if what.kind == SPLITS:
        drawn_values = over_splits(values.T)
        if row.repetitions > 1:
            drawn_values = widened(drawn_values, values.T, row.ok)
    else:
        drawn_values = np.array(
            [np.mean([drawn for _, drawn in of_seed], axis=0) for of_seed in cells]
        )
    return Sample(tuple(seeds), values.mean(axis=1), drawn_values, row.cell.stochastic)


def in_common(left: Sample, right: Sample) -> tuple[Sample, Sample]:
    """On the seeds that both have, where both are stochastic."""
    if not (left.stochastic and right.stochastic):
        return left, right
    seeds = sorted({*left.seeds} & {*right.seeds})
    return _of_seeds(left, seeds), _of_seeds(right, seeds)


def _of_seeds(sample: Sample, seeds: Sequence[int]) -> Sample:
    places = [sample.seeds.index(seed) for seed in seeds]
    return Sample(tuple(seeds), sample.values[places], sample.replicates[places], sample.stochastic)


def gain(left: Sample, right: Sample) -> Sample:
    """Left less right, seed by seed; a method without seeds gives the same under each."""
    left, right = in_common(left, right)
    longer = left if left.stochastic else right
    return Sample(
        longer.seeds,
        left.values - right.values,
        left.replicates - right.replicates,
        longer.stochastic,
    )
