"""Rows as samples of a criterion."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from records import Make

from bench.publish.rows import Row
from bench.publish.samples import sample_of
from bench.run.record import Record
from bench.score import bootstrap
from bench.score.intervals import Sample


def sample(row: Row, criterion: str) -> Sample | None:
    def replicates(record: Record) -> np.ndarray | None:
        return bootstrap.unpack(record.bootstrap.get("values", {})).get(criterion)

    return sample_of(row, lambda record: record.criteria.get(criterion), replicates)


def test_by_seed_the_mean_over_splits(make: Make) -> None:
    records = [
        make("net", None, test=test, stochastic=True, seed=seed)
        for test in (1, 2)
        for seed in (0, 1, 2)
    ]
    row = Row(tuple(records[:-1]))  # the second split lacks seed 2
    found = sample(row, "average_precision")
    assert found is not None
    assert (found.seeds, found.stochastic) == ((0, 1), True)
    pairs = [(records[0], records[3]), (records[1], records[4])]
    values = [[one.criteria["average_precision"] for one in pair] for pair in pairs]
    assert found.values == pytest.approx(np.mean(values, axis=1))
    drawn = [
        np.mean(
            [bootstrap.unpack(one.bootstrap["values"])["average_precision"] for one in pair],
            axis=0,
            dtype=float,
        )
        for pair in pairs
    ]
    assert found.replicates == pytest.approx(np.array(drawn))
    assert found.replicates.shape == (2, 200)


def test_without_seeds_there_is_one(make: Make) -> None:
    row = Row((make(), make(seed=1)))
    found = sample(row, "micro_f1")
    assert found is not None
    assert (found.seeds, found.stochastic, found.values.shape) == ((0,), False, (1,))


def test_what_is_missing_gives_none(make: Make) -> None:
    one = make()
    assert sample(Row((one,)), "accuracy") is None
    bare = dataclasses.replace(one, bootstrap={})
    assert sample(Row((bare,)), "micro_f1") is None
    undefined = make(test=1, criteria={"micro_f1": None})
    assert sample(Row((one, undefined)), "micro_f1") is None


def test_cells_of_one_split_on_other_resamples_give_none(make: Make) -> None:
    records = [make("net", None, stochastic=True, seed=seed) for seed in (0, 1)]
    assert sample(Row(tuple(records)), "micro_f1") is not None
    records[1].bootstrap.update(clusters=9, of="subjects")
    assert sample(Row(tuple(records)), "micro_f1") is None


def test_splits_of_one_subject_are_resampled_whole(make: Make) -> None:
    values = {1: 0.1, 2: 0.4, 3: 0.6, 4: 0.3}
    records = [make(test=test, criteria={"micro_f1": value}) for test, value in values.items()]
    for record in records:
        record.bootstrap.update(clusters=1, of="subjects")
    found = sample(Row(tuple(records)), "micro_f1")
    assert found is not None
    spread = np.std(list(values.values())) / np.sqrt(4)
    assert found.replicates.std() == pytest.approx(spread, rel=0.1)
    assert sample(Row((records[0],)), "micro_f1") is None
