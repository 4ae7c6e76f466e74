"""What one piece of work costs: from earlier records, else from rules of thumb.

The runner orders work by it, and `bench.run.estimates` adds it up before anything runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import nan
from statistics import median_high
from typing import Any

from bench.api import Features, Setting
from bench.run.job import FeatureJob, Job
from bench.run.methods import Spec
from bench.run.record import Record
from bench.run.store import Store


class Costs:
    """Estimates from the records of a results folder; each method's records are gone through once.

    Parameters
    ----------
    records : iterable of Record
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self.records = tuple(records)
        self._per_row: dict[str, list[float]] = {}

    @classmethod
    def of(cls, store: Store) -> Costs:
        """From the records of a results folder, those of its tuning included."""
        places = [place for place in (store.tuning, store) if place.runs.is_dir()]
        return cls(record for place in places for record in place.records(lambda error: None))

    def estimate(self, job: Job | FeatureJob, rows: int) -> tuple[float, str]:
        """Seconds that a piece of work will take, and where that figure comes from.

        From earlier records of the same method (scaled by the number of rows; a network's with the
        same parameters and budget), else from the plug-in's own rule of thumb for one core; NaN
        where there is neither.
        """
        if isinstance(job, FeatureJob):
            key = f"{job.spec.name} {job.spec.params} {job.setting.budget}"
            rule = _rule_of_thumb(job.spec, job.setting)
        elif job.classifier is None:
            return 0.0, "with the features"
        else:
            key, rule = job.classifier.name, _rule_of_thumb(job.classifier, None)
        per_row = self._per_row.get(key)
        if per_row is None:
            if isinstance(job, FeatureJob):
                per_row = _features_seconds(job, self.records)
            else:
                assert job.classifier is not None
                per_row = _classifier_seconds(job.classifier.name, self.records)
            self._per_row[key] = per_row
        if per_row:
            return median_high(per_row) * rows, "measured before"
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
    if isinstance(seconds, Mapping):
        assert setting is not None
        # The rules are those of a processor.
        seconds = seconds.get(setting.budget) if setting.device == "cpu" else None
    return seconds if isinstance(seconds, int | float) else None
