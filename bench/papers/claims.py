"""Tests what papers claim, as directions, on what was measured.

How one comparison is decided: `bench.papers.comparing`. How a claim makes comparisons:
`bench.papers.claim_tests`.

A claim of several comparisons holds where all hold, and fails where one fails. For "holds" no
correction is wanted: all at once is harder than one (an intersection-union test keeps the level of
each). "Fails" is not corrected either, since Holm's rule would let a claim off the more easily the
more it claims; the sentence says how many of that many comparisons would fail by chance alone if
nothing differed, and whoever reads "1 of 30 fails" can weigh it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.papers.claim_tests import Test, load_tests
from bench.papers.comparing import Comparison, Find, Need, Timed, compare
from bench.papers.intervals import LEVEL
from bench.papers.pairs import paired
from bench.papers.published import Claim
from bench.papers.reading import TIME
from bench.publish.rows import Row, ScoresOf

__all__ = [
    "Comparison",
    "Need",
    "Test",
    "Verdict",
    "evaluate",
    "load_tests",
    "needs",
    "stand_ins",
]

OPEN = ("fer-plus", "fer-plus-ml", "synthetic", "synthetic-single", "synthetic-people")
"""Datasets that anyone can have, and that stand in for others."""

_RENDERED = ("synthetic", "synthetic-single", "synthetic-people")
_COUNTED = {"holds": "hold", "fails": "fail", "undecided": "undecided", "untested": "not measured"}


@dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    Attributes
    ----------
    verdict : str
        ``holds``, ``fails``, ``undecided`` or ``untested``.
    why : str
        One sentence.
    on : str
        Data, budget, seeds and test images; "" where nothing was measured.
    comparisons, beside : tuple of Comparison
        What decided it, and its placebos.
    """

    claim: Claim
    verdict: str
    why: str
    on: str
    comparisons: tuple[Comparison, ...]
    beside: tuple[Comparison, ...] = ()


def needs(test: Test) -> tuple[Need, ...]:
    """Every run that a claim's test asks for, its placebos included, each once; no times."""
    every = (*test.asked, *test.placebos)
    sides = (side for asked in every for side in (asked.left, asked.right))
    return tuple(
        dict.fromkeys(need for side in sides if side.metric != TIME for need in side.needs)
    )


def stand_ins(claim: Claim) -> tuple[str, ...]:
    """The open datasets that a claim may fairly be tested on in place of its own."""
    if "no data needed" in claim.testable_on:
        return OPEN
    named = re.search(r"stand-in ([^;]*)|any faces: ([^;]*)", claim.testable_on)
    if named is None:
        return ()
    words = re.sub(r"\([^)]*\)", "", named[1] or named[2])
    found: set[str] = set()
    for name in re.findall(r"fer-plus-ml|fer-plus|synthetic people|synthetic", words):
        if name == "synthetic people":
            found.add("synthetic-people")
        else:
            found |= {*_RENDERED} if name == "synthetic" else {name}
    return tuple(name for name in OPEN if name in found)


def evaluate(
    claim: Claim,
    test: Test,
    find: Find,
    timed: Timed | None = None,
    scores_of: ScoresOf | None = None,
) -> Verdict:
    """Test a claim.

    Parameters
    ----------
    find : callable
        The cells of a `Need`; None where they are not measured.
    timed : callable, optional
        Seconds per image, for claims about times.
    scores_of : callable, optional
        The stored scores of a record, for McNemar's test where a claim is about single images.
    """
    if test.untestable:
        return Verdict(claim, "untested", test.untestable, "", ())
    rows: dict[Need, Row | None] = {}

    def found(need: Need) -> Row | None:
        if need not in rows:
            rows[need] = find(need)
        return rows[need]

    comparisons = tuple(compare(asked, found, timed) for asked in test.asked)
    beside = tuple(compare(asked, found, timed) for asked in test.placebos)
    compared = {
        need: rows.get(need)
        for asked, one in zip(test.asked, comparisons, strict=True)
        for side in (asked.left, asked.right)
        for need in side.needs
        if one.verdict != "untested"
    }
    measured = {need: row for need, row in compared.items() if row is not None}
    on = _on(measured)
    unfair = _unfair(claim, measured)
    if unfair:
        why = f"{unfair} is no fair stand-in: testable on {claim.testable_on}"
        return Verdict(claim, "untested", why, on, comparisons, beside)
    verdict = _judged(test, comparisons)
    why = "; ".join(
        filter(
            None,
            (
                _counted(test, comparisons, verdict),
                f"and {test.partial}" if test.partial else "",
                _single_images(test, found, scores_of),
                _placebo(beside),
            ),
        )
    )
    if test.partial and verdict == "holds":
        verdict = "undecided"
    return Verdict(claim, verdict, why, on, comparisons, beside)


def _judged(test: Test, comparisons: Sequence[Comparison]) -> str:
    groups = list(_groups(comparisons).values())
    enough = test.enough or len(groups)
    states = [_together(group) for group in groups]
    if states.count("holds") >= enough:
        return "holds"
    if len(states) - states.count("fails") < enough:
        return "fails"
    return "untested" if {*states} == {"untested"} else "undecided"


def _groups(comparisons: Sequence[Comparison]) -> dict[str, list[str]]:
    """Verdicts of the comparisons that count together."""
    found: dict[str, list[str]] = {}
    for number, one in enumerate(comparisons):
        found.setdefault(one.group or str(number), []).append(one.verdict)
    return found


def _together(verdicts: Sequence[str]) -> str:
    if "fails" in verdicts:
        return "fails"
    return verdicts[0] if len({*verdicts}) == 1 else "undecided"


def _counted(test: Test, comparisons: Sequence[Comparison], verdict: str) -> str:
    """How many hold, with the interval of one, or why it is open."""
    reasons = Counter(one.why for one in comparisons if one.why)
    mostly = [f"{'mostly: ' * (len(reasons) > 1)}{why}" for why, _ in reasons.most_common(1)]
    states = Counter(one.verdict for one in comparisons)
    if states["untested"] == len(comparisons):
        return mostly[0]
    if len(comparisons) == 1:
        return ": ".join(filter(None, (_interval(comparisons[0]), *mostly)))
    told = [f"{states[state]} {word}" for state, word in _COUNTED.items() if states[state]]
    parts = [f"of {len(comparisons)} comparisons {', '.join(told)}"]
    if test.enough:
        groups = [_together(group) for group in _groups(comparisons).values()]
        whole = f", and {groups.count('holds')} hold throughout" * (len(groups) < len(comparisons))
        parts.append(f"{test.enough} of {len(groups)} are enough{whole}")
    if states["fails"]:
        chance = len(comparisons) * (1 - LEVEL) / 2
        parts.append(f"by chance alone {chance:.2g} would fail if nothing differed")
    if verdict in ("undecided", "untested"):
        parts += mostly
    return "; ".join(parts)


def _interval(one: Comparison) -> str:
    if one.difference is None:
        return ""
    if one.low is None:
        return f"{one.difference:+.4g}"
    if one.low == one.high:
        return f"{one.difference:+.4g}, exactly"
    return f"{one.difference:+.4g} (95 % interval {one.low:.4g} to {one.high:.4g}, n = {one.n})"


def _placebo(beside: Sequence[Comparison]) -> str:
    """What the placebos that were measured say, without a part in the verdict."""
    beside = [one for one in beside if one.verdict != "untested"]
    if not beside:
        return ""
    held = sum(one.verdict == "holds" for one in beside)
    names = ", ".join(dict.fromkeys(one.right for one in beside))
    if {one.right for one in beside} == {one.left for one in beside}:  # a curve of its own
        return f"the placebo {names} does the same in {held} of {len(beside)}"
    return f"beside it: better than the placebo {names} in {held} of {len(beside)}"


def _single_images(test: Test, find: Find, scores_of: ScoresOf | None) -> str:
    """McNemar's test by seed, where the claim is about single images."""
    told = []
    for asked in test.asked:
        if asked.left.metric != "corrected_examples" or scores_of is None:
            continue
        rows = [find(side.need) for side in (asked.right, asked.left)]
        if rows[0] is None or rows[1] is None:
            continue
        for pair in paired(rows[0], rows[1], scores_of):
            told.append(
                f"seed {pair.seed} corrected {pair.corrected}, broken {pair.broken}, "
                f"p = {pair.p:.2g}"
            )
    return f"McNemar: {', '.join(told)}" if told else ""


def _on(measured: dict[Need, Row]) -> str:
    """Data, second data, budget, seeds and test images of what was compared."""
    told: dict[str, None] = {}
    for need, row in measured.items():
        cell = row.cell
        came = cell.source
        source = f" from {_data(came['dataset'], came['synthetic'])}" if came else ""
        used, asked = (name.partition("[")[0] for name in (cell.dataset, need.dataset))
        instead = f" for {need.dataset}" if used in OPEN and used != asked else ""
        others = (
            f", {parameter}: {_data(other['dataset'], other['synthetic'])}"
            for parameter, other in cell.others.items()
        )
        tested = {one.cell.split_hash: one.cell.n_test for one in row.ok}
        data = f"{_data(cell.dataset, cell.synthetic)}{source}{instead}{''.join(others)}"
        told[f"{data}, n = {sum(tested.values())}"] = None
    if not told:
        return ""
    every = [record.cell for row in measured.values() for record in row.ok]
    budgets = sorted({cell.budget for cell in every} - {"any"})
    counts = sorted({len(row.seeds) for row in measured.values() if row.cell.stochastic} or {1})
    seeds = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    return f"{'; '.join(told)}; {_words('budget', budgets)}{seeds} seed{'s' * (seeds != '1')}"


def _data(name: str, rendered: bool) -> str:
    return f"{name} (SYNTHETIC)" if rendered else name


def _words(name: str, values: Iterable[str]) -> str:
    listed = ", ".join(values)
    return f"{name} {listed}, " if listed else ""


def _unfair(claim: Claim, measured: dict[Need, Row]) -> str:
    """The first open dataset in use that the claim's test is not fair on; "" where all are."""
    own = claim.testable_on.partition(";")[0]
    fair = {*claim.datasets, *re.findall(r"[\w-]+", own), *stand_ins(claim)}
    for row in measured.values():
        cell = row.cell
        for dataset in filter(None, (cell.dataset, cell.source.get("dataset", ""))):
            name = dataset.partition("[")[0]
            if name in OPEN and name not in fair:
                return name
    return ""
