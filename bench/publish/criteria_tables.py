"""Tables that compare methods: a block per classifier, a row per feature, a column per criterion.

The layout is that of Table 3 of S. Li and W. Deng, IJCV 127 (2019) 884–906.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from bench.publish.captions import caption, rare
from bench.publish.groups import groups_of
from bench.publish.layout import Block, Line, Notes, Table, Value, shortened
from bench.publish.names import MethodNames
from bench.publish.ranking import AnyCriterion, Ranking, ranking, splits_of
from bench.publish.rows import CriterionEstimate, Row
from bench.run.record import Record
from bench.score.criteria import CRITERIA, SINGLE_CRITERIA
from bench.score.distribution import DISTRIBUTION_CRITERIA


def tables_of(
    records: Sequence[Record], name: str, ties: bool = False, trivial: Collection[str] = ()
) -> list[Table]:
    """The tables of one dataset.

    Rows stand in one table where data, protocol, budget, choice of the epoch and the rule for label
    sets agree; methods that follow no schedule, or choose no epoch, stand in each. Behind each
    table stands one of the label-distribution criteria, where methods give distributions.

    Parameters
    ----------
    records : sequence of Record
        Of one dataset and one convention.
    name : str
        Start of the tables' names, of letters, digits, ``.``, ``_``, ``-``.
    ties : bool
        Whether a last column shows the share of test rows with tied scores.
    trivial : collection of str
        Methods without a rank (`bench.publish.ranking.trivial_methods`).
    """
    return [
        _table(rows, title, criteria, ties and criteria is not DISTRIBUTION_CRITERIA, trivial)
        for title, rows, criteria in contents(records, name)
    ]


def contents(
    records: Sequence[Record], name: str
) -> list[tuple[str, list[Row], Sequence[AnyCriterion]]]:
    """Name, rows and criteria of each of the tables that `tables_of` makes."""
    found: list[tuple[str, list[Row], Sequence[AnyCriterion]]] = []
    for number, rows in enumerate(groups_of(records), 1):
        criteria = SINGLE_CRITERIA if rows[0].cell.kind == "single" else CRITERIA
        found.append((f"{name}-{number}", rows, criteria))
        judged = [row for row in rows if any(r.distribution_criteria for r in row.ok)]
        if judged:
            found.append((f"{name}-{number}-distribution", judged, DISTRIBUTION_CRITERIA))
    return found


def _table(
    rows: Sequence[Row],
    name: str,
    criteria: Sequence[AnyCriterion],
    ties: bool,
    trivial: Collection[str],
) -> Table:
    names = MethodNames(rows)
    rows = sorted(rows, key=names.block_order)  # as printed: footnotes are numbered downwards
    splits = splits_of(rows)
    notes = Notes()
    rankings = [ranking(rows, criterion, trivial) for criterion in criteria]
    footnotes = [
        _missing_cells(row, splits, notes)
        + _own_footnotes(row, notes)
        + _not_pooled(row, rows, criteria, notes)
        + _few_seeds([one.estimates[i] for one in rankings], row, notes)
        for i, row in enumerate(rows)
    ]
    columns = [_column(rows, one, splits > 1, notes) for one in rankings]
    titles = [(criterion.title, criterion.direction) for criterion in criteria]
    if ties:
        columns.append([Value(row.tied_rows) for row in rows])
        titles.append(("Tied rows", ""))
    return Table(
        name=name,
        caption=caption(rows, splits, criteria is DISTRIBUTION_CRITERIA, rankings),
        columns=tuple(titles),
        blocks=_blocks(rows, names, footnotes, columns),
        notes=tuple(notes.texts),
        remarks=tuple(filter(None, [rare(rows, criteria), _parameters(names)])),
    )


def _blocks(
    rows: Sequence[Row],
    names: MethodNames,
    footnotes: Sequence[tuple[int, ...]],
    columns: Sequence[Sequence[Value]],
) -> tuple[Block, ...]:
    blocks: dict[str, list[Line]] = defaultdict(list)
    for row, numbers, *values in zip(rows, footnotes, *columns, strict=True):
        blocks[names.block(row)].append(Line(names.line(row), numbers, tuple(values)))
    return tuple(Block(title, tuple(lines)) for title, lines in blocks.items())


def _missing_cells(row: Row, splits: int, notes: Notes) -> tuple[int, ...]:
    """Footnotes that say which cells of a row are missing and why; none for a complete row."""
    reasons = {f"{r.status}: {shortened(r.reason)}" for r in row.records if r.status != "ok"}
    numbers = []
    if reasons and row.ok:
        numbers.append(notes.add(f"mean of {len(row.ok)} of {len(row.records)} cells"))
    numbers += [notes.add(reason) for reason in sorted(reasons)]
    splits_run = len({record.cell.split_hash for record in row.records})
    if splits_run < splits:
        numbers.append(notes.add(f"run on {splits_run} of {splits} splits"))
    return tuple(numbers)


def _own_footnotes(row: Row, notes: Notes) -> tuple[int, ...]:
    """Footnotes that the methods themselves ask for (`bench.run.record.Record.footnotes`)."""
    texts = dict.fromkeys(text for record in row.ok for text in record.footnotes)
    return tuple(notes.add(text) for text in texts)


def _not_pooled(
    row: Row, rows: Sequence[Row], criteria: Sequence[AnyCriterion], notes: Notes
) -> tuple[int, ...]:
    """A footnote where a row has no pooled F1 and AUC in a table where others have."""
    pooled = criteria is CRITERIA and any(other.pooled for other in rows)
    if not pooled or row.pooled or not row.ok:
        return ()
    return (notes.add("F1 and AUC are means over folds here: not all scores are stored"),)


def _few_seeds(
    estimates: Sequence[CriterionEstimate | None], row: Row, notes: Notes
) -> tuple[int, ...]:
    """A footnote where nobody knows the noise over seeds; see `bench.publish.ranking`."""
    if not any(one is not None and one.few_seeds for one in estimates):
        return ()
    seeds = len(row.seeds)
    return (
        notes.add(
            f"{seeds} seed{'s' * (seeds > 1)} of a stochastic method: its interval is over test "
            "images alone, and it has no rank"
        ),
    )


def _column(rows: Sequence[Row], ranked: Ranking, folds: bool, notes: Notes) -> list[Value]:
    """A criterion's value in each row; ± over folds, or else over seeds."""
    values = []
    for i, (row, estimate) in enumerate(zip(rows, ranked.estimates, strict=True)):
        reason = _why_missing(row, estimate, ranked.criterion)
        note = notes.add(reason) if reason else None
        if estimate is None:
            values.append(Value(None, note=note))
        else:
            spread = estimate.sd_folds if folds else estimate.sd_seeds
            values.append(Value(estimate.mean, spread, ranked.marks.get(i, ""), note))
    return values


def _why_missing(row: Row, estimate: CriterionEstimate | None, criterion: AnyCriterion) -> str:
    """Why a criterion has no value, or not one of every cell; empty where nothing is missing."""
    if estimate is not None:
        cells = f"{estimate.cells} of {len(row.ok)}"
        defined_in_all = estimate.cells == len(row.ok)
        return "" if defined_in_all else f"mean of the {cells} cells where it is defined"
    if not row.ok:
        return ""  # the row's own footnote has the reason
    if criterion.needs == "labels":
        return "the method gives no labels"
    if row.tied_rows is None:
        return "the method gives no scores"
    return "not defined on this test part"


def _parameters(names: MethodNames) -> str:
    parameters = names.parameters()
    return f"Parameters: {parameters}." if parameters else ""
