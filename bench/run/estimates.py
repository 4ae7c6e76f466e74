"""What a plan will cost, before it runs: from earlier records, else from rules of thumb."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

from bench.api import Features, Setting
from bench.run.job import FeatureJob, Job
from bench.run.methods import Spec
from bench.run.plan import Plan
from bench.run.record import Record
from bench.run.runner import foreseen, pending
from bench.run.store import Store


@dataclass(frozen=True)
class Estimate:
    """What one piece of work will take.

    Attributes
    ----------
    seconds : float
        NaN where nothing is known.
    basis : str
        Where the figure comes from, or ``finished``.
    """

    work: str
    seconds: float
    basis: str


@dataclass(frozen=True)
class Forecast:
    """What a plan will take.

    Attributes
    ----------
    estimates : tuple of Estimate
        Features, inner cells and cells still to come, then what is finished.
    cells, to_measure, inner, inner_to_measure : int
        Cells of the plan, and those that help to choose parameters.
    """

    estimates: tuple[Estimate, ...]
    cells: int
    to_measure: int
    inner: int
    inner_to_measure: int

    @property
    def seconds(self) -> float:
        """Of all work whose cost is known, on one core."""
        return sum(e.seconds for e in self.estimates if not isnan(e.seconds))

    @property
    def unknown(self) -> int:
        """Pieces of work whose cost is not known."""
        return sum(isnan(e.seconds) for e in self.estimates)


def forecast(plan: Plan, store: Store) -> Forecast:
    """What is still to be done of a plan, and what it will take."""
    inner = plan.inner()
    inner_todo, inner_done = pending(inner, store.tuning)
    plan, undecided = foreseen(plan, inner_done)
    todo, done = pending(plan, store)
    places = [place for place in (store.tuning, store) if place.runs.is_dir()]
    records = [record for place in places for record in place.records(damaged=lambda error: None)]
    features = {**plan.feature_jobs(inner_todo), **plan.feature_jobs(todo)}
    estimates = []
    work: list[Job | FeatureJob] = [*features.values(), *inner_todo, *todo]
    for job in work:
        rows = len(plan.faces) if isinstance(job, FeatureJob) else job.cell.n_train
        seconds, basis = estimate(job, rows, records)
        others = f" (or another of {undecided[job.key]})" if job.key in undecided else ""
        estimates.append(Estimate(job.label + others, seconds, basis))
    finished = [job for job in inner.jobs if job.key in inner_done]
    finished += [job for job in plan.jobs if job.key in done]
    estimates += [Estimate(job.label, 0.0, "finished") for job in finished]
    return Forecast(tuple(estimates), len(plan.jobs), len(todo), len(inner.jobs), len(inner_todo))


def training_seconds(plan: Plan, todo: Iterable[Job], records: Sequence[Record]) -> float:
    """What the networks among these cells may take to train, as far as `estimate` knows."""
    seconds = [
        estimate(job, len(plan.faces), records)[0]
        for job in plan.feature_jobs(todo).values()
        if job.spec.plugin.trains
    ]
    return sum(value for value in seconds if not isnan(value))


def estimate(job: Job | FeatureJob, rows: int, records: Iterable[Record]) -> tuple[float, str]:
    """Seconds that a piece of work will take, and where that figure comes from.

    From earlier records of the same method in this results folder (scaled by the number of rows; a
    network's with the same parameters and budget), else from the plug-in's own rule of thumb for
    one core; NaN where there is neither.
    """
    if isinstance(job, FeatureJob):
        per_row = _features_seconds(job, records)
        rule = _rule_of_thumb(job.spec, job.setting)
    elif job.classifier is None:
        return 0.0, "with the features"
    else:
        per_row = _classifier_seconds(job.classifier.name, records)
        rule = _rule_of_thumb(job.classifier, None)
    if per_row:
        return sorted(per_row)[len(per_row) // 2] * rows, "measured before"
    return (nan, "unknown") if rule is None else (rule * rows / 1000, "rule of thumb")


def _features_seconds(job: FeatureJob, records: Iterable[Record]) -> list[float]:
    """Seconds per image of the same features in earlier records."""
    params = _own_params(job.spec, job.spec.published_params())
    return [
        record.seconds["features"] / max(cell.n_train + cell.n_valid + cell.n_test, 1)
        for record in records
        if (cell := record.cell).features == job.spec.name
        and record.status == "ok"
        and "features" in record.seconds
        and _own_params(job.spec, cell.features_params) == params
        and cell.budget in ("any", job.setting.budget)
    ]


def _classifier_seconds(name: str, records: Iterable[Record]) -> list[float]:
    """Seconds per training row of the same classifier in earlier records."""
    return [
        (sum(record.seconds.values()) - record.seconds.get("features", 0.0))
        / max(record.cell.n_train, 1)
        for record in records
        if record.status == "ok" and record.cell.classifier == name and "fit" in record.seconds
    ]


def _own_params(spec: Spec, params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters but those that name other datasets."""
    method: Features = spec.plugin
    return {name: value for name, value in params.items() if name not in method.companions}


def _rule_of_thumb(spec: Spec, setting: Setting | None) -> float | None:
    """Seconds per 1,000 rows, as the plug-in says; None where it does not."""
    seconds = spec.plugin.seconds_per_1000
    if not isinstance(seconds, Mapping):
        return seconds
    assert setting is not None
    # The rules are those of a processor.
    return seconds.get(setting.budget) if setting.device == "cpu" else None
