"""The human row: people's votes, half against half, as a record beside those of methods.

People are judged by half a panel and methods by a whole one, which has less noise. So records of
such data also hold what their methods score against the same halves.

The human row is no plug-in, since it learns nothing and predicts no face of a dataset without
votes; the papers' tables show it as a yardstick.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

import numpy as np

from bench.api import Dataset, FaceSet
from bench.papers.methods import HUMAN
from bench.plugins import Registry
from bench.run.code import code_hash
from bench.run.job import Cell, Job, key_of
from bench.run.methods import dataset_spec
from bench.run.options import OWN
from bench.run.plan import Plan
from bench.run.record import Record, new_record
from bench.run.scoring import criteria_code
from bench.run.store import DamagedScoresError, Store
from bench.score import human
from bench.score.human import against_halves, halves

SPLITS = 200
_SEED = 20_190
_MEANS = (
    "one half of each image's votes scored against the other half, mean over 200 random halves: "
    "what one more panel of that size would score on a truth as noisy as it is itself; no upper "
    "bound, and not on one scale with methods, which are held against all votes here; the columns "
    "half_panels of the CSV files have methods on the truth of this row"
)


def has_panel(registry: Registry, dataset: str, faces: FaceSet) -> bool:
    """Whether there are votes, and a rule of the dataset that reads them."""
    return faces.votes is not None and _plugin(registry, dataset).panel(faces.votes[:1]) is not None


def _plugin(registry: Registry, dataset: str) -> Dataset:
    plugin = dataset_spec(registry, dataset).make()
    assert isinstance(plugin, Dataset)
    return plugin


def human_records(
    registry: Registry, dataset: str, plan: Plan, there: Callable[[str], bool]
) -> list[Record]:
    """One record per fold of the plan, whose faces have votes (`has_panel`).

    Parameters
    ----------
    dataset : str
        The plug-in, as ``--dataset`` names it, whose votes `bench.api.Dataset.panel` reads.
    there : callable
        Whether there is a record with this key, so that none is made.
    """
    plugin = _plugin(registry, dataset)
    records = []
    for job in {job.fold.hash: job for job in plan.jobs}.values():
        key = key_of(
            method=HUMAN,
            fingerprint=plan.faces.fingerprint,
            split=job.fold.hash,
            splits=SPLITS,
            code=_code(),
        )
        if not there(key):
            records.append(_record(key, job, plan.faces, plugin))
    return records


def write_half_panels(
    registry: Registry, dataset: str, plan: Plan, store: Store, said: Callable[[str], None]
) -> int:
    """Complete the records of a results folder by what their methods score against half-panels.

    Those with stored scores on a test part of the plan, whoever made them; the caller holds the
    folder's lock.

    Parameters
    ----------
    dataset : str
        The plug-in, as ``--dataset`` names it, whose votes `bench.api.Dataset.panel` reads.
    said : callable
        Hears of each record and file that is damaged and left out.

    Returns
    -------
    int
        How many records were completed; 0 where the data have no votes.
    """
    if not has_panel(registry, dataset, plan.faces):
        return 0
    assert plan.faces.votes is not None
    jobs = [*plan.jobs, *(job for contest in plan.contests for job in contest.outer)]
    tests = {job.fold.hash: job.fold.test for job in jobs}
    read, count = partial(_panel, _plugin(registry, dataset)), 0
    for record in store.records(damaged=lambda error: said(f"left out: {error}")):
        test = tests.get(record.cell.split_hash)
        same_data = record.cell.fingerprint == plan.faces.fingerprint
        if test is None or not same_data or record.status != "ok" or record.half_panels:
            continue
        try:
            stored = store.scores(record)
        except DamagedScoresError as error:
            said(f"left out: {error}")
            continue
        if stored is None:
            continue
        given = (stored.scores, stored.labels, record.cell.kind)
        values = against_halves(plan.faces.votes[test], read, *given, _SEED, SPLITS)
        store.write(replace(record, half_panels=values))
        count += 1
    if count:
        store.rebuild()
    return count


def _panel(plugin: Dataset, votes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What votes say, of a dataset that has them."""
    panel = plugin.panel(votes)
    assert panel is not None
    return panel


def _record(key: str, job: Job, faces: FaceSet, plugin: Dataset) -> Record:
    """People's votes on the test part of a job's fold, as a record."""
    assert faces.votes is not None
    started = datetime.now(UTC)
    prior = faces.labels[job.fold.train].mean(axis=0)
    votes, read = faces.votes[job.fold.test], partial(_panel, plugin)
    judged = halves(votes, read, prior, faces.kind, _SEED, SPLITS)
    deviations = {f"sd_{name}": value for name, value in judged.sd.items()}
    return new_record(
        key,
        _cell(job.cell),
        "ok",
        started=started,
        criteria=dict(judged.mean),
        half_panels=judged.mean,
        criteria_code=criteria_code(),
        measures={**deviations, "skipped": judged.skipped},
        notes=(f"{HUMAN}: {_MEANS}",),
        footnotes=(_MEANS,),
    )


def _cell(cell: Cell) -> Cell:
    """The cell of people on the test part of another cell."""
    return replace(
        cell,
        features=None,
        features_params={},
        classifier=HUMAN,
        classifier_params={"splits": SPLITS},
        stochastic=False,
        seed=0,
        budget="any",
        selection="none",
        weights=None,
        source={},
        others={},
        tuned={},
        threshold=OWN,
        fitted_on="",
    )


@cache
def _code() -> str:
    return code_hash([Path(human.__file__), Path(__file__)], follow=False)
