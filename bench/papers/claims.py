"""Tests what papers claim, as directions, on what was measured.

How contrasts are decided: `bench.papers.comparing`. Which contrasts a claim makes, and which of
them count: `bench.papers.claim_tests`.

A claim of several comparisons holds where all that count hold, and fails where one fails; each at
the joint level, so that a claim at which nothing differs does either in at most 5 %. It holds or
fails only where the conventions of the criteria agree: they part at ties, and classifiers that vote
tie in most rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

from bench.papers.claim_tests import ClaimTest
from bench.papers.comparing import Comparison, Evidence, FindRow, compare
from bench.papers.contrasts import Contrast, Need
from bench.papers.conventions import depends
from bench.papers.files import catalogue
from bench.papers.measured import Measured
from bench.papers.published import Claim, by_id
from bench.papers.reading import TIME, neutral
from bench.papers.test_sets import unlike_test_set
from bench.publish.corrections import paired
from bench.publish.rows import Row, ScoresOf
from bench.run.job import Cell

_IN_WORDS = {"holds": "hold", "fails": "fail", "undecided": "undecided", "untested": "not measured"}


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
        What decided it and what is told besides, and its placebos.
    question : str
        Of the comparisons that count: about the paper's very test set, or about other images too.
    """

    claim: Claim
    verdict: str
    why: str
    on: str
    comparisons: tuple[Comparison, ...]
    beside: tuple[Comparison, ...] = ()
    question: str = ""


def needs(test: ClaimTest) -> tuple[Need, ...]:
    """Every run that a claim's test asks for, its placebos included, each once; no times."""
    sides = (side for contrast in (*test.contrasts, *test.placebos) for side in contrast.sides)
    return tuple(
        dict.fromkeys(need for side in sides if side.metric != TIME for need in side.needs)
    )


def evaluate(
    claim: Claim,
    test: ClaimTest,
    evidence: Evidence,
    others: Mapping[str, Evidence] | None = None,
) -> Verdict:
    """Test a claim.

    Parameters
    ----------
    evidence : Evidence
        By the convention of the criteria that the paper prints.
    others : mapping of str to Evidence, optional
        By each further convention.
    """
    if test.untestable:
        return Verdict(claim, "untested", test.untestable, "", ())
    evidence = _about(claim, evidence)
    comparisons = tuple(compare(test.contrasts, evidence))
    for convention, other in (others or {}).items():
        comparisons = _also_by(convention, test.contrasts, comparisons, _about(claim, other))
    comparisons = tuple(
        replace(one, tie_neutral=_neutral_gap(contrast, evidence))
        for contrast, one in zip(test.contrasts, comparisons, strict=True)
    )
    beside = tuple(compare(test.placebos, evidence))
    measured = _compared(test, comparisons, evidence.find)
    on = _on(measured)
    asked = [one.question for one in comparisons if one.counted and one.question]
    question = "; ".join(dict.fromkeys(asked))
    unfair = _unfair(claim, measured)
    if unfair:
        why = f"{unfair} is no fair stand-in: testable on {claim.testable_on}"
        return Verdict(claim, "untested", why, on, comparisons, beside, question)
    counted = [one for one in comparisons if one.counted]
    verdict = _together(test, counted)
    sentences = (
        _counted(test, counted, verdict),
        _not_counted(comparisons),
        f"and {test.partial}" if test.partial else "",
        _single_images(test, evidence.find, evidence.scores_of),
        _placebo(beside),
    )
    if test.partial and verdict == "holds":
        verdict = "undecided"
    why = "; ".join(filter(None, sentences))
    return Verdict(claim, verdict, why, on, comparisons, beside, question)


def _about(claim: Claim, evidence: Evidence) -> Evidence:
    return replace(evidence, find=cache(evidence.find), is_own=partial(_is_own, claim))


def _is_own(claim: Claim, need: Need, row: Row) -> bool:
    """Whether a row is measured on the test set of the paper's own numbers."""
    cell = row.cell
    if cell.synthetic or _stands_in(_bare(cell.dataset), _bare(need.dataset)):
        return False
    source = _bare(cell.source.get("dataset", ""))
    if cell.source.get("synthetic") or (_stands_in(source, "") and source not in claim.own):
        return False
    printed = by_id(claim.paper)
    known = (printed[name] for name in (*claim.left_ids, *claim.right_ids) if name in printed)
    found = Measured(row=row, used=(cell.dataset,))
    return not any(
        unlike_test_set(number, found) for number in known if number.dataset == need.dataset
    )


def _stands_in(name: str, wanted: str) -> bool:
    return name in catalogue().open_datasets and name != wanted


def _also_by(
    convention: str,
    contrasts: Sequence[Contrast],
    comparisons: Sequence[Comparison],
    evidence: Evidence,
) -> tuple[Comparison, ...]:
    """The comparisons, undecided where another convention of the criteria gives another verdict."""
    if not any(depends(one.left.metric) for one in contrasts):
        return tuple(comparisons)
    others = compare(contrasts, evidence)
    return tuple(
        _agreeing(one, other, convention) if depends(contrast.left.metric) else one
        for contrast, one, other in zip(contrasts, comparisons, others, strict=True)
    )


def _neutral_gap(contrast: Contrast, evidence: Evidence) -> float | None:
    """Left less right where tied labels stand in random order; None where that is not known."""
    left, right = contrast.sides
    if evidence.scores_of is None or left.over or left.fold or not depends(left.metric):
        return None
    rows = [evidence.find(side.need) for side in (left, right)]
    values = [
        None if row is None else neutral(row, left.metric, evidence.scores_of) for row in rows
    ]
    ours, theirs = values
    return None if ours is None or theirs is None else ours - theirs


def _agreeing(one: Comparison, other: Comparison, convention: str) -> Comparison:
    if one.difference is None:
        return one
    gap = "is not known, as scores are not stored"
    if other.difference is not None:
        if (other.difference, other.verdict) == (one.difference, one.verdict):
            return one
        gap = f"{other.difference:+.4g}, {other.verdict}"
    said = f"{convention}: {gap}"
    told = "; ".join(filter(None, (one.conventions, said)))
    if one.verdict in ("undecided", other.verdict):
        return replace(one, conventions=told)
    why = f"{one.verdict}, but not by every convention of the criteria ({said})"
    return replace(one, verdict="undecided", why=why, conventions=told)


def _compared(test: ClaimTest, comparisons: Sequence[Comparison], find: FindRow) -> dict[Need, Row]:
    """The rows behind the comparisons that came out, without times."""
    measured: dict[Need, Row] = {}
    for contrast, comparison in zip(test.contrasts, comparisons, strict=True):
        if comparison.verdict == "untested" or contrast.left.metric == TIME:
            continue
        for side in contrast.sides:
            measured |= {need: row for need in side.needs if (row := find(need)) is not None}
    return measured


# -- the verdict ----------------------------------------------------------------------------------


def _together(test: ClaimTest, comparisons: Sequence[Comparison]) -> str:
    """The verdict of all comparisons, of which some groups may be enough."""
    states = [_of_group(group) for group in _groups(comparisons)]
    enough = test.enough or len(states)
    if states.count("holds") >= enough:
        return "holds"
    if len(states) - states.count("fails") < enough:
        return "fails"
    return "untested" if {*states} == {"untested"} else "undecided"


def _groups(comparisons: Sequence[Comparison]) -> list[list[str]]:
    """Verdicts of the comparisons that count together."""
    groups: dict[str, list[str]] = {}
    for number, comparison in enumerate(comparisons):
        groups.setdefault(comparison.group or str(number), []).append(comparison.verdict)
    return list(groups.values())


def _of_group(verdicts: Sequence[str]) -> str:
    if "fails" in verdicts:
        return "fails"
    return verdicts[0] if len({*verdicts}) == 1 else "undecided"


# -- its sentence ---------------------------------------------------------------------------------


def _counted(test: ClaimTest, comparisons: Sequence[Comparison], verdict: str) -> str:
    """How many comparisons hold, with the interval of a single one, or why the claim is open."""
    reasons = Counter(comparison.why for comparison in comparisons if comparison.why)
    mostly = [f"{'mostly: ' * (len(reasons) > 1)}{why}" for why, _ in reasons.most_common(1)]
    states = Counter(comparison.verdict for comparison in comparisons)
    if states["untested"] == len(comparisons):
        return mostly[0]
    if len(comparisons) == 1:
        return ": ".join(filter(None, (_interval(comparisons[0]), *mostly)))
    parts = [
        _states(states, "comparisons"),
        _enough(test.enough, comparisons) if test.enough else "",
        *(mostly if verdict in ("undecided", "untested") else ()),
    ]
    return "; ".join(filter(None, parts))


def _states(states: Counter[str], what: str) -> str:
    counts = [f"{states[state]} {word}" for state, word in _IN_WORDS.items() if states[state]]
    return f"of {states.total()} {what} {', '.join(counts)}"


def _not_counted(comparisons: Sequence[Comparison]) -> str:
    """What further criteria say, which were not named beforehand."""
    states = Counter(one.verdict for one in comparisons if not one.counted)
    if not states or set(states) == {"untested"}:
        return ""
    return f"not counted: {_states(states, 'further')}"


def _enough(enough: int, comparisons: Sequence[Comparison]) -> str:
    """How many groups are enough, and how many hold throughout where groups are larger than one."""
    groups = [_of_group(group) for group in _groups(comparisons)]
    throughout = f", and {groups.count('holds')} hold throughout"
    return f"{enough} of {len(groups)} are enough" + throughout * (len(groups) < len(comparisons))


def _interval(comparison: Comparison) -> str:
    difference, low, high = comparison.difference, comparison.low, comparison.high
    if difference is None:
        return ""
    if low is None:
        return f"{difference:+.4g}"
    if low == high:
        return f"{difference:+.4g}, exactly"
    found = f"{difference:+.4g} (95 % interval {low:.4g} to {high:.4g}, n = {comparison.n})"
    if comparison.verdict != "undecided" or comparison.smallest is None:
        return found
    return f"{found}, {comparison.smallest:.3g} would be found with probability .8"


def _placebo(beside: Sequence[Comparison]) -> str:
    """What the placebos that were measured say, without a part in the verdict."""
    measured = [comparison for comparison in beside if comparison.verdict != "untested"]
    if not measured:
        return ""
    held = sum(comparison.verdict == "holds" for comparison in measured)
    left, right = ([getattr(one, side) for one in measured] for side in ("left", "right"))
    names = ", ".join(dict.fromkeys(right))
    if {*left} == {*right}:  # a curve of its own
        return f"the placebo {names} does the same in {held} of {len(measured)}"
    return f"beside it: better than the placebo {names} in {held} of {len(measured)}"


def _single_images(test: ClaimTest, find: FindRow, scores_of: ScoresOf | None) -> str:
    """McNemar's test by seed, where the claim is about single images."""
    pairs = []
    for contrast in test.contrasts:
        if contrast.left.metric != "corrected_examples" or scores_of is None:
            continue
        first, second = find(contrast.right.need), find(contrast.left.need)
        if first is not None and second is not None:
            pairs += paired(first, second, scores_of)
    if not pairs:
        return ""
    return "McNemar: " + ", ".join(
        f"seed {pair.seed} corrected {pair.corrected}, broken {pair.broken}, p = {pair.p:.2g}"
        for pair in pairs
    )


# -- the data that it rests on --------------------------------------------------------------------


def _on(measured: Mapping[Need, Row]) -> str:
    """Data, second data, budget, seeds and test images of what was compared."""
    if not measured:
        return ""
    data = dict.fromkeys(_data_of(need, row) for need, row in measured.items())
    cells = [record.cell for row in measured.values() for record in row.ok]
    budgets = ", ".join(sorted({cell.budget for cell in cells} - {"any"}))
    budget = f"budget {budgets}, " if budgets else ""
    counts = sorted({len(row.seeds) for row in measured.values() if row.cell.stochastic} or {1})
    seeds = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    return f"{'; '.join(data)}; {budget}{seeds} seed{'s' * (seeds != '1')}"


def _data_of(need: Need, row: Row) -> str:
    """The data that a row is measured on and learned from, and how many images tested it."""
    cell = row.cell
    source = f" from {_marked(cell.source)}" if cell.source else ""
    name, wanted = _bare(cell.dataset), _bare(need.dataset)
    open_datasets = catalogue().open_datasets
    instead = f" for {need.dataset}" if name in open_datasets and name != wanted else ""
    others = [f", {parameter}: {_marked(other)}" for parameter, other in cell.others.items()]
    tested = {record.cell.split_hash: record.cell.n_test for record in row.ok}
    data = _marked({"dataset": cell.dataset, "synthetic": cell.synthetic})
    return f"{data}{source}{instead}{''.join(others)}, n = {sum(tested.values())}"


def _marked(data: Mapping[str, object]) -> str:
    """A dataset's name; that of rendered faces says so."""
    return f"{data['dataset']} (SYNTHETIC)" if data["synthetic"] else str(data["dataset"])


def _bare(dataset: str) -> str:
    """A dataset's name without its parameters."""
    return dataset.partition("[")[0]


def _unfair(claim: Claim, measured: Mapping[Need, Row]) -> str:
    """The first open dataset in use that the claim's test is not fair on; "" where all are."""
    fair = {*claim.datasets, *claim.own, *claim.stand_ins}
    names = (name for row in measured.values() for name in _names(row.cell))
    unfair = (name for name in names if name in catalogue().open_datasets and name not in fair)
    return next(unfair, "")


def _names(cell: Cell) -> Iterable[str]:
    """The dataset that a cell is measured on, and the one that it is trained on."""
    return map(_bare, filter(None, (cell.dataset, cell.source.get("dataset", ""))))
