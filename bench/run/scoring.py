"""From scores and truth to the criteria in a record, the first time and whenever they change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.run.code import code_hash
from bench.run.record import Record
from bench.score import bootstrap
from bench.score.confusion import confusion
from bench.score.criteria import CONVENTIONS, alike, evaluate, measures
from bench.score.distribution import distribution_measures, evaluate_distribution
from bench.score.predictions import Predictions

REPLICATES = 1000


class Stored(NamedTuple):
    """What criteria are computed from, (n, L) each; None where the method gives no such thing.

    The distributions, float, rows summing to 1, are there together or not at all. ``clusters`` int
    (n,) says which images were resampled together, None where each was for itself.
    """

    truth: np.ndarray
    scores: np.ndarray | None
    labels: np.ndarray | None
    distribution_truth: np.ndarray | None = None
    distribution: np.ndarray | None = None
    clusters: np.ndarray | None = None


@cache
def criteria_code() -> str:
    """Hash of the code that computes criteria and intervals."""
    folder = Path(bootstrap.__file__).parent
    return code_hash([*sorted(folder.glob("*.py")), Path(__file__)], follow=False)


def scored(
    record: Record,
    truth: np.ndarray,
    scores: np.ndarray | None,
    labels: np.ndarray | None,
    distribution_truth: np.ndarray | None = None,
    distribution: np.ndarray | None = None,
    clusters: np.ndarray | None = None,
    *,
    convention: str = "sklearn",
) -> Record:
    """The record with its criteria, and 1,000 bootstrap replicates of them, under a convention.

    On single-label data with its confusion matrix too, and with the label-distribution criteria
    where there are distributions. The draws follow the split, so that replicates of two methods on
    one test part pair up; what the record's ``bootstrap`` says already of them (``seed``,
    ``clusters``, ``of``) holds.
    """
    kind = record.cell.kind
    found = evaluate(truth, scores, labels, convention, kind)
    counts = np.zeros(0, int)
    if kind == "single" and scores is not None:
        counts = confusion(truth, scores)
    seed = record.bootstrap.get("seed", int(record.cell.split_hash[:8], 16))
    drawn = {"clusters": len(truth), "of": bootstrap.IMAGES}
    together = None
    if clusters is not None:
        drawn = {name: record.bootstrap[name] for name in drawn}
        together = bootstrap.Clusters(clusters, record.bootstrap["clusters"])
    values = bootstrap.replicates(
        truth, scores, labels, convention, kind, seed, REPLICATES, together
    )
    shares: dict[str, float] = {}
    if distribution_truth is not None and distribution is not None:
        shares = evaluate_distribution(distribution_truth, distribution)
        measures = distribution_measures(distribution_truth, distribution)
        values |= bootstrap.resampled(measures, truth.shape, seed, REPLICATES, together)
    others = {}
    if kind == "multi":
        under = _Under(truth, scores, labels, seed, together)
        others = {
            name: under.changes(name, convention, found.values, values)
            for name in CONVENTIONS
            if name != convention
        }
    return replace(
        record,
        convention=convention,
        conventions=others,
        criteria_code=criteria_code(),
        criteria=found.values,
        confusion=counts.tolist(),
        distribution_criteria=shares,
        left_out=found.left_out,
        tied_rows=found.tied_rows,
        positives=truth.sum(axis=0).tolist(),
        half_panels={},  # of the code before
        bootstrap={
            "seed": seed,
            "count": REPLICATES,
            **drawn,
            "values": bootstrap.pack(values),
        },
    )


@dataclass(frozen=True)
class _Under:
    """What criteria are computed from, for conventions besides the record's own."""

    truth: np.ndarray
    scores: np.ndarray | None
    labels: np.ndarray | None
    seed: int
    clusters: bootstrap.Clusters | None

    def changes(
        self,
        convention: str,
        own: str,
        criteria: Mapping[str, float | None],
        replicates: Mapping[str, np.ndarray],
    ) -> dict[str, Any]:
        """The criteria, and their replicates, that are not those of the ``own`` convention."""
        predictions = Predictions(self.truth, self.scores, self.labels, convention, "multi")
        by_name = {
            name: measure
            for name, measure in measures(predictions).items()
            if measure is not None and not alike(name, own, convention)
        }
        once = np.ones((len(self.truth), 1))
        values = {name: float(measure(once)[0]) for name, measure in by_name.items()}
        shape = self.truth.shape
        redrawn = bootstrap.resampled(by_name, shape, self.seed, REPLICATES, self.clusters)
        changed = {
            name: None if np.isnan(value) else value
            for name, value in values.items()
            if value != criteria[name]
            or not np.array_equal(redrawn[name], replicates[name], equal_nan=True)
        }
        if not changed:
            return {}
        packed = bootstrap.pack({name: redrawn[name] for name in changed})
        return {"criteria": changed, "values": packed}


def under(record: Record, convention: str) -> Record | None:
    """The record with the criteria of ``convention`` that it holds; None where it does not."""
    if record.convention == convention:
        return record
    if convention not in record.conventions:
        return None
    changed = record.conventions[convention]
    values = {**record.bootstrap["values"], **changed.get("values", {})}
    return replace(
        record,
        convention=convention,
        conventions={},  # what others change is told against the record's own
        criteria={**record.criteria, **changed.get("criteria", {})},
        bootstrap={**record.bootstrap, "values": values},
    )


def alike_alone(record: Record, convention: str) -> Record:
    """The record with those criteria alone that ``convention`` has like the record's own.

    For records whose scores are not stored and that were made before `Record.conventions`.
    """
    own = record.convention
    if record.tied_rows == 0 and {own, convention} == {"sklearn", "raf-ml"}:
        return replace(record, convention=convention)  # these two part at ties alone
    values = record.bootstrap.get("values", {})
    return replace(
        record,
        convention=convention,
        conventions={},
        criteria={name: v for name, v in record.criteria.items() if alike(name, own, convention)},
        bootstrap=record.bootstrap
        and {
            **record.bootstrap,
            "values": {name: v for name, v in values.items() if alike(name, own, convention)},
        },
    )


def outdated(record: Record) -> bool:
    """Whether the criteria were computed by other code than today's."""
    return record.status == "ok" and record.criteria_code not in ("", criteria_code())


def rescored(
    record: Record, scores_of: Callable[[Record], Stored | None], convention: str = "sklearn"
) -> Record | None:
    """The record with criteria of ``convention`` by today's code; None where no scores are stored.

    The record itself where its criteria are such already.

    Parameters
    ----------
    scores_of : callable
        The stored scores of a record (`bench.run.store.Store.scores`).
    """
    if record.convention == convention and not outdated(record):
        return record
    stored = scores_of(record)
    return None if stored is None else scored(record, *stored, convention=convention)
