"""A comparison of two rows in sentences that need no statistics, as a table, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.publish.captions import origin
from bench.publish.comparison import (
    LEFT,
    NO_VERDICT,
    RIGHT,
    UNDECIDED,
    CriterionComparison,
    RowComparison,
)
from bench.publish.corrections import SINGLE, SUBSET, Tally
from bench.publish.rows import Row

PRACTICALLY = 0.95
"""Probability from which two rows are called practically equal."""

COLUMNS = (
    *("", "left", "right", "difference", "95 % interval"),
    *("P(left)", "P(equal)", "P(right)", "margin", "found"),
)
LEGEND = (
    "P: the probability that it is better by more than the margin, or neither is. Found: the "
    "smallest true difference that such a comparison finds four times in five"
)
_PERSONS = ("Canberra", "Chebyshev", "Clark", "Hamming", "KL", "Kullback")
ARROWS = {"higher": "↑", "lower": "↓"}


def sentences(comparison: RowComparison) -> list[str]:
    """What was found: the deciding criterion, the images, what could have been found."""
    first = comparison.criteria[0]
    return [
        _verdict(comparison.names, _place(comparison.rows), first),
        *_elsewhere(comparison),
        *_power(first),
        _images(comparison),
    ]


def _place(rows: Sequence[Row]) -> str:
    """The dataset, and what its numbers must not be taken for."""
    cells = [row.cell for row in rows]
    short = sorted({cell.budget for cell in cells} - {"any", "paper"})
    notes = [origin(cells[0])] if cells[0].synthetic else []
    notes += [f"SHORTENED training, budget {' and '.join(short)}"] if short else []
    return f"{cells[0].dataset} ({'; '.join(notes)})" if notes else cells[0].dataset


def _verdict(names: tuple[str, str], dataset: str, one: CriterionComparison) -> str:
    title = within(one.criterion.title)
    if one.left is None or one.right is None:
        return f"On {dataset}, nothing can be said of {title}: {one.why}."
    gain = one.sign * (one.left - one.right)
    better, other = names if gain >= 0 else names[::-1]
    first, second = (one.left, one.right) if gain >= 0 else (one.right, one.left)
    interval = _interval(one, 1 if gain >= 0 else -1)
    if gain == 0:
        start = f"{better}'s {title} equals {other}'s ({number(first)}{interval})"
    else:
        side = " is" if one.sign > 0 else ", where lower is better, is"
        place = "above" if one.sign > 0 else "below"
        start = f"{better}'s {title}{side} {number(abs(gain))} {place} {other}'s "
        start += f"({number(first)} against {number(second)}{interval})"
    return f"On {dataset}, {start}{_conclusion(one, better)}."


def _interval(one: CriterionComparison, left_first: int) -> str:
    """The interval of the gain of the row that is named first, behind its values."""
    if one.difference is None:
        return ""
    bounds = one.difference.interval()
    low, high = sorted(left_first * one.sign * bound for bound in bounds)
    return f"; 95 % interval {number(low)} to {number(high)}, over {one.over}"


def _conclusion(one: CriterionComparison, better: str) -> str:
    chances = one.chances
    if chances is None or one.difference is None:
        return f". No verdict: {one.why}"
    margin = _margin(one)
    equal = f"practically equal, within {margin} with {_chance(chances[1])}"
    if one.verdict == UNDECIDED:
        if chances[1] >= PRACTICALLY:
            return f": they are {equal}"
        least = number(one.difference.detectable())
        return (
            f": they cannot be told apart; a true difference would have to be {least} to be found "
            "four times in five"
        )
    if chances[1] >= PRACTICALLY:
        return f": {better} is better, but by so little that they are {equal}"
    wins = chances[0] if one.verdict == LEFT else chances[2]
    if wins >= 0.5:
        so = f"practically so (by more than {margin}) with {_chance(wins)}"
        return f": {better} is better, and {so}"
    return f": {better} is better, but by more than {margin} only with {_chance(wins)}"


def _elsewhere(comparison: RowComparison) -> list[str]:
    """Other conventions' other verdicts: the difference hangs on how ties are ordered."""
    left, right = comparison.names
    verdicts = {
        LEFT: f"{left} is better",
        RIGHT: f"{right} is better",
        UNDECIDED: "they cannot be told apart",
        NO_VERDICT: "there is no verdict",
    }
    said = []
    for convention, one in comparison.elsewhere.items():
        gap = ""
        if one.difference is not None:
            low, high = one.difference.interval()
            gap = f" ({left} less {right} is {number(one.difference.value)}, 95 % interval "
            gap += f"{number(low)} to {number(high)})"
        said.append(f"{convention} {verdicts[one.verdict]}{gap}")
    if not said:
        return []
    return [f"The verdict hangs on the convention: by {'; by '.join(said)}."]


def _power(one: CriterionComparison) -> list[str]:
    """Nothing where `_conclusion` has said it, and where nothing varies."""
    if one.difference is None or one.difference.variance == 0:
        return []
    least = number(one.difference.detectable())
    if one.verdict == UNDECIDED and least in _conclusion(one, ""):
        return []
    return [f"Such a comparison finds a true difference of {least} four times in five."]


def _images(comparison: RowComparison) -> str:
    if not comparison.tallies:
        return f"Images are not counted: {comparison.no_tallies}."
    tally = comparison.tallies[0]
    left, right = comparison.names
    counted = {SINGLE: "the class", SUBSET: "the whole label set"}[tally.what]
    counts = f"{left} alone gets {counted} right on {_counts(tally.left)}"
    counts += f", {right} alone on {_counts(tally.right)}"
    seeds = f", mean over {len(tally.seeds)} seeds" if len(tally.seeds) > 1 else ""
    return f"Of {tally.n} test images{seeds}, {counts}; McNemar's exact test: {_p(tally)}."


def _counts(values: Sequence[int]) -> str:
    mean = sum(values) / len(values)
    return f"{mean:.0f}" if len(values) == 1 else f"{mean:.1f} ({min(values)} to {max(values)})"


def _p(tally: Tally) -> str:
    low, high = small(min(tally.p)), small(max(tally.p))
    return f"p {low}" if low == high else f"p {low} to {high.removeprefix('= ')}"


def table(comparison: RowComparison) -> list[tuple[str, ...]]:
    """A line per criterion under `COLUMNS`."""
    return [COLUMNS, *map(_line, comparison.criteria)]


def _line(one: CriterionComparison) -> tuple[str, ...]:
    title = f"{one.criterion.title} {ARROWS[one.criterion.direction]}"
    values = [_or_dashes(one.left), _or_dashes(one.right)]
    if one.difference is None:
        both = one.left is not None and one.right is not None
        gap = number(one.left - one.right) if both else "--"  # type: ignore[operator]
        return (title, *values, gap, *["--"] * 4, _margin(one), "--")
    low, high = one.difference.interval()
    chances = ["--"] * 3 if one.chances is None else [probability(p) for p in one.chances]
    interval = f"{number(low)} to {number(high)}"
    gap, least = number(one.difference.value), number(one.difference.detectable())
    return (title, *values, gap, interval, *chances, _margin(one), least)


def label_table(comparison: RowComparison) -> list[tuple[str, ...]]:
    """A line per label counted; empty without."""
    lines = [
        (tally.what, _counts(tally.left), _counts(tally.right), str(tally.n), _p(tally))
        for tally in comparison.tallies
        if tally.what not in (SINGLE, SUBSET)
    ]
    return [("label", "left alone right", "right alone right", "of", "McNemar, Holm"), *lines]


def remarks(comparison: RowComparison) -> list[str]:
    """Unequal conditions, and why some criteria have no interval or verdict."""
    reasons: dict[str, list[str]] = {}
    for one in comparison.criteria[1:]:
        if one.why:
            reasons.setdefault(one.why, []).append(one.criterion.title)
    without = [
        f"{', '.join(titles)}: {why}."
        for why, titles in reasons.items()
        if why != comparison.criteria[0].why
    ]
    return [*comparison.remarks, *without]


def as_json(comparison: RowComparison) -> dict[str, Any]:
    """Everything, in full precision."""
    rows = [
        {
            "name": name,
            "keys": [record.key for record in row.ok],
            "seeds": sorted(row.seeds),
            "budget": row.cell.budget,
            "selection": row.cell.selection,
            "stochastic": row.cell.stochastic,
        }
        for name, row in zip(comparison.names, comparison.rows, strict=True)
    ]
    cell = comparison.rows[0].cell
    return {
        "dataset": cell.dataset,
        "synthetic": cell.synthetic,
        "protocol": str(cell.protocol),
        "convention": comparison.rows[0].ok[0].convention,
        "left": rows[0],
        "right": rows[1],
        "criteria": [_criterion_json(one) for one in comparison.criteria],
        "images": [
            {
                "counted": tally.what,
                "of": tally.n,
                "seeds": list(tally.seeds),
                "left_alone_right": list(tally.left),
                "right_alone_right": list(tally.right),
                "p": list(tally.p),
            }
            for tally in comparison.tallies
        ],
        "images_left_out": comparison.no_tallies or None,
        "other_conventions": {
            name: _criterion_json(one) for name, one in comparison.elsewhere.items()
        },
        "sentences": sentences(comparison),
        "remarks": remarks(comparison),
    }


def _criterion_json(one: CriterionComparison) -> dict[str, Any]:
    found = one.difference
    low, high = (None, None) if found is None else found.interval()
    left, equal, right = one.chances or (None, None, None)
    return {
        "criterion": one.criterion.name,
        "better": one.criterion.direction,
        "left": one.left,
        "right": one.right,
        "difference": None if found is None else found.value,
        "low": low,
        "high": high,
        "over": None if found is None else one.over,
        "margin": one.margin,
        "left_better": left,
        "practically_equal": equal,
        "right_better": right,
        "detectable": None if found is None else found.detectable(),
        "verdict": one.verdict,
        "why": one.why or None,
    }


def _margin(one: CriterionComparison) -> str:
    return f"{one.margin:g}".removeprefix("0") or "0"


def _or_dashes(value: float | None) -> str:
    return "--" if value is None else number(value)


def within(title: str) -> str:
    """A criterion's title within a sentence; names of persons keep their capital."""
    return title if title.startswith(_PERSONS) else title[:1].lower() + title[1:]


def number(value: float) -> str:
    """Three decimals without a leading zero, and more of them where nothing would be left."""
    digits = 3
    while digits < 6 and value != 0 and round(abs(value), digits) == 0:
        digits += 1
    text = f"{abs(value):.{digits}f}"
    text = text[1:] if text.startswith("0.") else text
    return f"−{text}" if value < 0 and text.strip(".0") else text


def probability(value: float) -> str:
    """Two decimals, and never 0 or 1: nobody is that sure."""
    if value < 0.005:
        return "<.01"
    if value >= 0.995:
        return ">.99"
    return f"{value:.2f}".removeprefix("0")


def _chance(value: float) -> str:
    return f"probability {probability(value)}"


def small(p: float) -> str:
    """A p value with its sign: ``= .04``, ``< .001``."""
    return "< .001" if p < 0.001 else f"= {number(p) if p < 1 else '1'}"
