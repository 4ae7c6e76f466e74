"""Which rows of a table are ranked, which is best, and which cannot be told from it.

People and methods that look at no face are yardsticks without a rank. Of a stochastic method with
one or two seeds nobody knows the noise over seeds, so that it can be neither best nor worse.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from bench.api import BenchError
from bench.plugins import Registry
from bench.publish.rows import CriterionEstimate, Drawn, Row
from bench.run.record import Record
from bench.score import best as comparison
from bench.score.criteria import Criterion
from bench.score.distribution import DistributionCriterion
from bench.score.intervals import FEWEST, Sample

AnyCriterion = Criterion | DistributionCriterion

BEST, ALIKE = "best", "alike"
"""Marks: the best value, and every other row that cannot be told from it."""

NO_RESAMPLES = "no resamples"
FEW_SEEDS = f"fewer than {FEWEST} seeds"
TRIVIAL = "trivial"
INCOMPLETE = "missing cells"
OTHER_RESAMPLES = "other resamples"
RARE_LABELS = "rare labels"
NO_VALUE = "no value"


def trivial_methods(records: Iterable[Record], registry: Registry) -> frozenset[str]:
    """Names of the methods of ``records`` that take no face into account (`Plugin.trivial`).

    Only a method that needs no features can be one; one whose plug-in is not there is none.
    """
    names = {r.cell.classifier for r in records if r.cell.features is None and r.cell.classifier}
    return frozenset(name for name in names if _is_trivial(registry, name))


def _is_trivial(registry: Registry, name: str) -> bool:
    try:
        entry, _ = registry.find("method", name)
        return entry.load().trivial
    except BenchError:
        return False


@dataclass(frozen=True, eq=False)
class Ranking:
    """The rows of one table by one criterion.

    Attributes
    ----------
    estimates : tuple of CriterionEstimate or None
        Of each row.
    unranked : tuple of str
        Why each row has no rank: one of the sentences above, empty for one that has.
    """

    criterion: AnyCriterion
    estimates: tuple[CriterionEstimate | None, ...]
    unranked: tuple[str, ...]

    @property
    def sign(self) -> int:
        """1 where higher is better, -1 where lower is."""
        return 1 if self.criterion.direction == "higher" else -1

    @cached_property
    def places(self) -> tuple[int, ...]:
        """Numbers of the ranked rows."""
        return tuple(i for i, why in enumerate(self.unranked) if not why)

    @property
    def _samples(self) -> list[Sample]:
        samples = (one.sample for one in map(self.estimates.__getitem__, self.places) if one)
        return [sample for sample in samples if sample is not None]

    @cached_property
    def drawn(self) -> Drawn | None:
        """What the resamples of the ranked rows drew; None where there are none."""
        found = self.estimates[self.places[0]] if self.places else None
        return None if found is None else found.drawn

    @cached_property
    def marks(self) -> dict[int, str]:
        """`BEST` and `ALIKE` by number of the row; nothing where a single row is ranked."""
        if len(self.places) < 2 or self.drawn is None:
            return {}
        drawn = self.drawn
        found = comparison.best(self._samples, self.sign, drawn.clusters, drawn.splits)
        return {
            place: BEST if first else ALIKE
            for place, first, alike in zip(self.places, found.first, found.alike, strict=True)
            if first or alike
        }

    @cached_property
    def ranks(self) -> comparison.Ranks | None:
        """Ranks of the rows in `places`; None where fewer than two are ranked."""
        if len(self.places) < 2 or self.drawn is None:
            return None
        return comparison.ranks(self._samples, self.sign, self.drawn.clusters, self.drawn.splits)


def ranking(rows: Sequence[Row], criterion: AnyCriterion, trivial: Collection[str] = ()) -> Ranking:
    """Rank the rows of one table.

    Parameters
    ----------
    trivial : collection of str
        Names of methods, from `trivial_methods`.
    """
    estimates = tuple(row.estimate(criterion.name) for row in rows)
    splits = splits_of(rows)
    unranked = [
        _unranked(row, estimate, criterion, splits, trivial)
        for row, estimate in zip(rows, estimates, strict=True)
    ]
    found = [one for one, why in zip(estimates, unranked, strict=True) if one and not why]
    usual = most_common([one.drawn for one in found])
    for i, estimate in enumerate(estimates):
        if not unranked[i] and estimate is not None and estimate.drawn != usual:
            unranked[i] = OTHER_RESAMPLES
    return Ranking(criterion, estimates, tuple(unranked))


def is_by_label(criterion: AnyCriterion) -> bool:
    """Whether a criterion is a mean over labels (`Criterion.by_label`)."""
    return isinstance(criterion, Criterion) and criterion.by_label


def most_common(drawn: Sequence[Drawn]) -> Drawn | None:
    """The resamples that most rows share, of equally many the first."""
    return max(drawn, key=drawn.count, default=None)


def splits_of(rows: Iterable[Row]) -> int:
    """How many splits the table has."""
    return len({record.cell.split_hash for row in rows for record in row.records})


def complete(row: Row, splits: int) -> bool:
    """Whether a row has a result in each of its cells, and cells on each split."""
    run = {record.cell.split_hash for record in row.records}
    return len(row.ok) == len(row.records) and len(run) == splits


def _unranked(
    row: Row,
    estimate: CriterionEstimate | None,
    criterion: AnyCriterion,
    splits: int,
    trivial: Collection[str],
) -> str:
    if row.cell.features is None and row.cell.classifier in trivial:
        return TRIVIAL
    if not complete(row, splits):
        return INCOMPLETE
    if estimate is None or estimate.cells < len(row.ok):
        return NO_VALUE
    if is_by_label(criterion) and row.rare_labels:
        return RARE_LABELS
    if estimate.sample is None:
        return NO_RESAMPLES
    return FEW_SEEDS if estimate.few_seeds else ""
