"""Whether networks were trained long enough for a claim about them.

A claim is about networks as a paper trains them. Of two that are cut short the one that starts
faster is ahead: DBM-CNN less its plain network is -.026 in average precision at 1,120 of 20,000
iterations, and +.006 at six times that. So a claim is decided at budget ``paper``, or where each
side has converged: over the same seeds, the same recipe at half the length is at most `LOWER`
lower on validation, the upper limit of the 90 % interval below `LIMIT`. Where the best epoch lies
says nothing, since a one-cycle rate ends at zero at any length.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from bench.papers.reading import epochs, read
from bench.publish.rows import Row, canonical
from bench.run.job import Cell
from bench.run.record import Record
from bench.score.intervals import FEWEST, Sample, estimate

LOWER, LIMIT, LEVEL = 0.005, 0.01, 0.90

FindLengths = Callable[[Row], Sequence[Record]]
"""Every record of the network of a row, on the same data, whatever its length and classifier."""

_LENGTH = "length"  # the parameter of every network that says how long its schedule is


def length_of(cell: Cell) -> float:
    """How many times the length of its budget's schedule a network was trained."""
    return float(cell.features_params.get(_LENGTH, 1.0))


def of_all_lengths(row: Row, records: Sequence[Record]) -> list[Record]:
    """Those records that are of a row's network, on the same data, trained however long."""
    wanted = _network(row.cell)
    return [r for r in records if r.status == "ok" and _network(r.cell) == wanted]


def _network(cell: Cell) -> str:
    params = {name: value for name, value in cell.features_params.items() if name != _LENGTH}
    data = [cell.dataset, cell.fingerprint, str(cell.protocol), cell.source, cell.others]
    way = [cell.budget, cell.selection, cell.weights, cell.tuned]
    return canonical([cell.features, params, data, way])


def cut_short(rows: Sequence[Row], lengths: FindLengths | None, metric: str) -> str:
    """Why the networks of a comparison are too short to decide it; "" where they are not.

    Parameters
    ----------
    rows : sequence of Row
        Of the left side, then of the right.
    """
    short = [row for row in rows if _is_short(row.cell)]
    reasons = [reason for row in short if (reason := _unconverged(row, lengths))]
    if not reasons and not short:
        return _unlike(rows)
    if not reasons:
        return ""
    gap = _gap_by_length(rows, lengths, metric)
    return "; ".join(filter(None, (f"undecided at this length: {reasons[0]}", gap)))


def _is_short(cell: Cell) -> bool:
    """Whether it was trained for less than a paper's schedule."""
    return cell.budget not in ("paper", "any") or (cell.budget == "paper" and length_of(cell) < 1)


def _unlike(rows: Sequence[Row]) -> str:
    """That networks at the paper's budget have other multiples of its length."""
    found = sorted({length_of(row.cell) for row in rows if row.cell.budget == "paper"})
    if len(found) < 2:
        return ""
    return f"trained for {' and '.join(f'{length:g}' for length in found)} times the length"


def _unconverged(row: Row, lengths: FindLengths | None) -> str:
    """Why a row's network is not known to have converged; "" where it is."""
    name = row.cell.features or row.cell.classifier or ""
    whole = _validated(row.ok)
    half_length = length_of(row.cell) / 2
    found = lengths(row) if lengths else ()
    half = _validated([r for r in found if math.isclose(length_of(r.cell), half_length)])
    seeds = sorted({*whole} & {*half})
    if len(seeds) < FEWEST:
        return f"{name} was not trained at half its length over {FEWEST} seeds"
    gains = np.array([whole[seed] - half[seed] for seed in seeds])
    gained = estimate(Sample(tuple(seeds), gains, np.zeros((len(seeds), 2)), stochastic=True), 2)
    high = gained.interval(LEVEL)[1]
    if gained.value <= LOWER and high < LIMIT:
        return ""
    return (
        f"{name} gains {gained.value:.3f} on validation over half its length (at most {high:.3f})"
    )


def _validated(records: Sequence[Record]) -> dict[int, float]:
    """What networks reached on the validation part, by seed, the mean over splits; none unknown."""
    values: dict[int, dict[str, float]] = defaultdict(dict)
    for record in records:
        reached = _of_last_phase(record)
        if record.cell.selection != "test" and reached and all(0 <= v <= 1 for v in reached):
            best = max(reached) if record.cell.selection == "valid" else reached[-1]
            values[record.cell.seed][record.cell.split_hash] = best
    return {seed: float(np.mean(list(of_seed.values()))) for seed, of_seed in values.items()}


def _of_last_phase(record: Record) -> list[float]:
    """The validation score after each epoch of a training's last phase."""
    head, *lines = record.curve.splitlines() or [""]
    names = head.split(",")
    if not lines or "valid" not in names:
        return []
    if "phase" not in names:
        return epochs(record, "valid")
    return epochs(record, f"valid@{lines[-1].split(',')[names.index('phase')]}")


def _gap_by_length(rows: Sequence[Row], lengths: FindLengths | None, metric: str) -> str:
    """Left less right at each length that both networks were trained for, where several are."""
    if lengths is None or len(rows) != 2:
        return ""
    sides = [_by_length(row, lengths(row), metric) for row in rows]
    gaps = []
    for length in sorted({*sides[0]} & {*sides[1]}):
        left, right = (side[length] for side in sides)
        seeds = sorted({*left} & {*right})
        if seeds:
            gap = float(np.mean([left[seed] - right[seed] for seed in seeds]))
            gaps.append(f"{gap:+.3f} at {length:g} (n = {len(seeds)})")
    return f"left less right by length: {', '.join(gaps)}" if len(gaps) > 1 else ""


def _by_length(row: Row, records: Sequence[Record], metric: str) -> dict[float, dict[int, float]]:
    """A metric by length and seed, with the classifier of the row; of one split."""
    cell = row.cell
    same = canonical([cell.classifier, cell.classifier_params])
    values: dict[float, dict[int, float]] = defaultdict(dict)
    for record in records:
        value = read(record, metric)
        of_record = canonical([record.cell.classifier, record.cell.classifier_params])
        if value is not None and of_record == same and len(row.splits) == 1:
            values[length_of(record.cell)][record.cell.seed] = value
    return values
