"""Tables that compare methods: a block per classifier, a row per feature, a column per criterion.

The layout is that of Table 3 of S. Li and W. Deng, IJCV 127 (2019) 884–906.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from bench.publish.captions import caption
from bench.publish.layout import Block, Line, Notes, Table, Value, shortened
from bench.publish.names import MethodNames
from bench.publish.rows import CriterionEstimate, Row, canonical, natural, rows_of
from bench.run.job import Cell
from bench.run.record import Record
from bench.score.criteria import CRITERIA, SINGLE_CRITERIA, Criterion
from bench.score.distribution import DISTRIBUTION_CRITERIA, DistributionCriterion

_Criterion = Criterion | DistributionCriterion


def tables_of(records: Sequence[Record], name: str, ties: bool = False) -> list[Table]:
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
    """
    tables = []
    for number, rows in enumerate(groups_of(records), 1):
        criteria = SINGLE_CRITERIA if rows[0].cell.kind == "single" else CRITERIA
        tables.append(_table(rows, f"{name}-{number}", criteria, ties))
        judged = [row for row in rows if any(r.distribution_criteria for r in row.ok)]
        if judged:
            title = f"{name}-{number}-distribution"
            tables.append(_table(judged, title, DISTRIBUTION_CRITERIA, ties=False))
    return tables


def groups_of(records: Sequence[Record]) -> list[list[Row]]:
    """The rows of each table."""
    by_data: dict[str, list[Row]] = defaultdict(list)
    for row in rows_of(records):
        cell = row.cell
        label_sets = [cell.threshold, cell.fitted_on]
        content = [str(cell.protocol), cell.fingerprint, cell.synthetic, cell.kind, *label_sets]
        by_data[canonical(content)].append(row)
    return [
        [row for row in by_data[data] if _covers(training, _training(row.cell))]
        for data in sorted(by_data, key=natural)
        for training in _trainings(row.cell for row in by_data[data])
    ]


def _training(cell: Cell) -> tuple[str, str]:
    return cell.budget, cell.selection


def _trainings(cells: Iterable[Cell]) -> list[tuple[str, str]]:
    """Budget and selection of each table, those left out that another one covers."""
    pairs = sorted({_training(cell) for cell in cells})
    return [
        pair for pair in pairs if not any(other != pair and _covers(other, pair) for other in pairs)
    ]


def _covers(table: tuple[str, str], row: tuple[str, str]) -> bool:
    """Whether a row of this budget and selection stands in a table of those."""
    return row[0] in ("any", table[0]) and row[1] in ("none", table[1])


def _table(rows: Sequence[Row], name: str, criteria: Sequence[_Criterion], ties: bool) -> Table:
    names = MethodNames(rows)
    rows = sorted(rows, key=names.block_order)  # as printed: footnotes are numbered downwards
    splits = len({record.cell.split_hash for row in rows for record in row.records})
    notes = Notes()
    missing = [_missing_cells(row, splits, notes) for row in rows]
    complete = [not numbers for numbers in missing]
    footnotes = [
        numbers + _own_footnotes(row, notes) for numbers, row in zip(missing, rows, strict=True)
    ]
    columns = [_column(rows, criterion, complete, splits > 1, notes) for criterion in criteria]
    titles = [(criterion.title, criterion.direction) for criterion in criteria]
    if ties:
        columns.append([Value(row.tied_rows) for row in rows])
        titles.append(("Tied rows", ""))
    return Table(
        name=name,
        caption=caption(rows, splits, criteria is DISTRIBUTION_CRITERIA),
        columns=tuple(titles),
        blocks=_blocks(rows, names, footnotes, columns),
        notes=tuple(notes.texts),
        remarks=tuple(_remarks(complete, names.parameters())),
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


def _column(
    rows: Sequence[Row],
    criterion: _Criterion,
    complete: Sequence[bool],
    folds: bool,
    notes: Notes,
) -> list[Value]:
    """A criterion's value in each row; ± over folds, or else over seeds."""
    estimates = [row.estimate(criterion.name) for row in rows]
    ranked = {
        i: estimate
        for i, (row, estimate) in enumerate(zip(rows, estimates, strict=True))
        if estimate is not None and complete[i] and estimate.cells == len(row.ok)
    }
    marked = marks(ranked, criterion.direction)
    values = []
    for i, (row, estimate) in enumerate(zip(rows, estimates, strict=True)):
        reason = _why_missing(row, estimate, criterion)
        note = notes.add(reason) if reason else None
        if estimate is None:
            values.append(Value(None, note=note))
        else:
            spread = estimate.sd_folds if folds else estimate.sd_seeds
            values.append(Value(estimate.mean, spread, marked.get(i, ""), note))
    return values


def _why_missing(row: Row, estimate: CriterionEstimate | None, criterion: _Criterion) -> str:
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


def marks(estimates: dict[int, CriterionEstimate], direction: str) -> dict[int, str]:
    """``best`` and ``second`` by the number of their row.

    The best is marked where it differs from every other row, and only then the second, where it
    differs from every row below it (`CriterionEstimate.differs`). One row alone is not marked.
    """
    sign = -1 if direction == "higher" else 1
    order = sorted(estimates, key=lambda i: (sign * estimates[i].mean, i))
    marked: dict[int, str] = {}
    if len(order) == 1:
        return marked
    for mark, (place, i) in zip(("best", "second"), enumerate(order), strict=False):
        if not all(estimates[i].differs(estimates[below]) for below in order[place + 1 :]):
            break
        marked[i] = mark
    return marked


def _remarks(complete: Sequence[bool], parameters: str) -> list[str]:
    remarks = []
    if sum(complete) > 1:
        remarks.append(
            "Best bold, second underlined; not marked where the 95 % paired bootstrap interval "
            "(over test images) of the difference to a row ranked lower contains 0."
            + ("" if all(complete) else " Rows with missing cells are not ranked.")
        )
    if parameters:
        remarks.append(f"Parameters: {parameters}.")
    return remarks
