"""What a table says, before it is written as LaTeX or Markdown.

The layout is that of Table 3 of S. Li and W. Deng, IJCV 127 (2019) 884-906: a block per classifier,
a row per feature, a column per criterion. All texts here are plain; a renderer escapes them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.publish.rows import TUNED, Estimate, Row, canonical, natural, rows_of, shown_params
from bench.run.record import Cell, Record
from bench.score.criteria import CRITERIA, SINGLE_CRITERIA, Criterion
from bench.score.distribution import CLIP, DISTRIBUTION_CRITERIA, DistributionCriterion

REASON_LENGTH = 140
"""Characters of a failed cell's reason that a footnote shows; cells.csv has all of it."""

_NO_FEATURES = "no features"
_NETWORKS = "networks with their own output"
_SELECTIONS = {
    "valid": "epoch chosen on the validation part",
    "last": "last epoch",
    "test": "epoch chosen ON THE TEST PART",
}


@dataclass(frozen=True)
class Value:
    """One number: to ``digits`` decimals, with its spread, its mark, its footnote's number."""

    mean: float | None
    spread: float | None = None
    mark: str = ""
    note: int | None = None
    digits: int = 3

    @property
    def text(self) -> str:
        """The mean, ``--`` where there is none."""
        return "--" if self.mean is None else f"{self.mean:z.{self.digits}f}"

    @property
    def spread_text(self) -> str:
        """The spread, empty where there is none."""
        return "" if self.spread is None else f"{self.spread:z.{self.digits}f}"


@dataclass(frozen=True)
class Line:
    """One row: its label, the numbers of its footnotes, its values by column."""

    label: str
    notes: tuple[int, ...]
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Block:
    """A block of rows under one title; an empty one is not shown."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Table:
    """One table; ``columns`` are titles with ``lower``, ``higher`` or no direction."""

    name: str
    caption: str
    columns: tuple[tuple[str, str], ...]
    blocks: tuple[Block, ...]
    notes: tuple[str, ...]
    remarks: tuple[str, ...]


def letter(number: int) -> str:
    """The footnote sign of a number from 0: a, b, … z, aa, ab, …"""
    sign = chr(ord("a") + number % 26)
    return sign if number < 26 else letter(number // 26 - 1) + sign


def criteria_of(kind: str) -> tuple[Criterion, ...]:
    """The columns for label sets (``multi``) or one class per image (``single``)."""
    return SINGLE_CRITERIA if kind == "single" else CRITERIA


def tables_of(records: Sequence[Record], name: str, ties: bool = False) -> list[Table]:
    """The tables of one dataset.

    Rows stand in one table where data, protocol, budget and choice of the epoch agree; methods that
    follow no schedule, or choose no epoch, stand in each. Behind each table stands one of the
    label-distribution criteria, where methods give distributions.

    Parameters
    ----------
    records : sequence of Record
        Of one dataset and one convention.
    name : str
        Start of the tables' names, of letters, digits, ``.``, ``_``, ``-``.
    ties : bool
        Whether a last column shows the share of test rows with tied scores.
    """
    found = []
    for number, rows in enumerate(groups_of(records), 1):
        found.append(_table(rows, f"{name}-{number}", criteria_of(rows[0].cell.kind), ties))
        given = [row for row in rows if any(one.distribution_criteria for one in row.ok)]
        if given:
            title = f"{name}-{number}-distribution"
            found.append(_table(given, title, DISTRIBUTION_CRITERIA, ties=False))
    return found


def groups_of(records: Sequence[Record]) -> list[list[Row]]:
    """The rows of each table."""
    data: dict[str, list[Row]] = defaultdict(list)
    for row in rows_of(records):
        cell = row.cell
        data[canonical([cell.protocol, cell.fingerprint, cell.synthetic, cell.kind])].append(row)
    groups = []
    for key in sorted(data, key=natural):
        for budget, selection in _variants([row.cell for row in data[key]]):
            groups.append(
                [
                    row
                    for row in data[key]
                    if _covers((budget, selection), (row.cell.budget, row.cell.selection))
                ]
            )
    return groups


def _variants(cells: Iterable[Cell]) -> list[tuple[str, str]]:
    """Budget and selection of each table, those left out that another one covers."""
    found = sorted({(cell.budget, cell.selection) for cell in cells})
    return [one for one in found if not any(o != one and _covers(o, one) for o in found)]


def _covers(table: tuple[str, str], row: tuple[str, str]) -> bool:
    return row[0] in ("any", table[0]) and row[1] in ("none", table[1])


def _table(
    rows: Sequence[Row],
    name: str,
    criteria: Sequence[Criterion | DistributionCriterion],
    ties: bool,
) -> Table:
    labels = Labels(rows)
    rows = sorted(rows, key=labels.place)  # as printed, so that footnotes are numbered downwards
    splits = {record.cell.split_hash for row in rows for record in row.records}
    notes = Notes()
    row_notes = [_row_notes(row, len(splits), notes) for row in rows]
    complete = [not found for found in row_notes]
    told = [_told(row, notes) for row in rows]
    columns = [_column(rows, criterion, complete, len(splits) > 1, notes) for criterion in criteria]
    titles = [(criterion.title, criterion.direction) for criterion in criteria]
    if ties:
        columns.append([Value(row.tied_rows) for row in rows])
        titles.append(("Tied rows", ""))
    blocks: dict[str, list[Line]] = defaultdict(list)
    for i, row in enumerate(rows):
        line = Line(
            labels.line(row), row_notes[i] + told[i], tuple(column[i] for column in columns)
        )
        blocks[labels.block(row)].append(line)
    remarks = []
    if sum(complete) > 1:
        remarks.append(
            "Best bold, second underlined; not marked where the 95 % paired bootstrap interval "
            "(over test images) of the difference to a row ranked lower contains 0."
            + ("" if all(complete) else " Rows with missing cells are not ranked.")
        )
    if labels.parameters():
        remarks.append(f"Parameters: {labels.parameters()}.")
    return Table(
        name=name,
        caption=_caption(rows, len(splits), criteria[0].needs == "distribution"),
        columns=tuple(titles),
        blocks=tuple(Block(title, tuple(lines)) for title, lines in blocks.items()),
        notes=tuple(notes.texts),
        remarks=tuple(remarks),
    )


class Notes:
    """Footnotes, each text once."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, text: str) -> int:
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text)


def _row_notes(row: Row, splits: int, notes: Notes) -> tuple[int, ...]:
    """Footnotes that say which cells of a row are missing and why; none for a complete row."""
    failed = {f"{r.status}: {shortened(r.reason)}" for r in row.records if r.status != "ok"}
    found = []
    if failed and row.ok:
        found.append(notes.add(f"mean of {len(row.ok)} of {len(row.records)} cells"))
    found += [notes.add(text) for text in sorted(failed)]
    run = len({record.cell.split_hash for record in row.records})
    if run < splits:
        found.append(notes.add(f"run on {run} of {splits} splits"))
    return tuple(found)


def _told(row: Row, notes: Notes) -> tuple[int, ...]:
    """Footnotes of what the methods of a complete row have to say."""
    said = dict.fromkeys(text for record in row.ok for text in record.footnotes)
    return tuple(notes.add(text) for text in said)


def shortened(reason: str) -> str:
    """A reason as a footnote shows it."""
    words = " ".join(reason.split()) or "no reason recorded"
    return words if len(words) <= REASON_LENGTH else words[: REASON_LENGTH - 2].rstrip() + " …"


def _column(
    rows: Sequence[Row],
    criterion: Criterion | DistributionCriterion,
    complete: Sequence[bool],
    folds: bool,
    notes: Notes,
) -> list[Value]:
    estimates = [row.estimate(criterion.name) for row in rows]
    ranked = {
        i: estimate
        for i, estimate in enumerate(estimates)
        if estimate is not None and complete[i] and estimate.cells == len(rows[i].ok)
    }
    marked = marks(ranked, criterion.direction)
    values = []
    for i, (row, estimate) in enumerate(zip(rows, estimates, strict=True)):
        if estimate is None:
            note = notes.add(_why_missing(row, criterion)) if row.ok else None
            values.append(Value(None, note=note))
            continue
        note = None
        if estimate.cells < len(row.ok):
            note = notes.add(
                f"mean of the {estimate.cells} of {len(row.ok)} cells where it is defined"
            )
        spread = estimate.sd_folds if folds else estimate.sd_seeds
        values.append(Value(estimate.mean, spread, marked.get(i, ""), note))
    return values


def _why_missing(row: Row, criterion: Criterion | DistributionCriterion) -> str:
    if criterion.needs == "labels":
        return "the method gives no labels"
    if row.tied_rows is None:
        return "the method gives no scores"
    return "not defined on this test part"


def marks(estimates: dict[int, Estimate], direction: str) -> dict[int, str]:
    """``best`` and ``second`` by the number of their row.

    The best is marked where it differs from every other row, and only then the second, where it
    differs from every row below it (`Estimate.differs`). One row alone is not marked.
    """
    sign = -1 if direction == "higher" else 1
    order = sorted(estimates, key=lambda i: (sign * estimates[i].mean, i))
    found: dict[int, str] = {}
    for place, mark in enumerate(("best", "second")):
        below = order[place + 1 :]
        alone = len(order) == 1 or place >= len(order)
        if alone or not all(estimates[order[place]].differs(estimates[i]) for i in below):
            break
        found[order[place]] = mark
    return found


class Labels:
    """Names of methods as a reader of one table needs them: with the parameters that vary in it.

    Tuned ones are always told.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._seen: dict[str, dict[str, dict[str, Any]]] = {}
        for row in rows:
            cell = row.cell
            self._see(cell.features, shown_params(cell, "features"))
            self._see(cell.classifier, shown_params(cell, "classifier"))
        methods = Counter(self._method(row) for row in rows)
        self._twice = {method for method, count in methods.items() if count > 1}

    def _see(self, name: str | None, params: dict[str, Any]) -> None:
        if name is None:
            return
        values = self._seen.setdefault(name, {})
        for key, value in params.items():
            values.setdefault(key, {})[canonical(value)] = value

    def _method(self, row: Row) -> tuple[str, str]:
        cell = row.cell
        return (
            self._label(cell.features, shown_params(cell, "features")),
            self._label(cell.classifier, shown_params(cell, "classifier")),
        )

    def _label(self, name: str | None, params: dict[str, Any]) -> str:
        if name is None:
            return ""
        seen = self._seen[name]
        varied = [key for key in seen if len(seen[key]) > 1 or params.get(key) == TUNED]
        shown = [f"{key}={written(params[key])}" for key in varied if key in params]
        return f"{name}[{','.join(shown)}]" if shown else name

    def place(self, row: Row) -> tuple[int, tuple[str | float, ...]]:
        """Sort key of the row's block: rows without features, classifiers, networks."""
        cell = row.cell
        kind = 2 if cell.classifier is None else int(cell.features is not None)
        return kind, natural(self.block(row))

    def block(self, row: Row) -> str:
        """Title of the block that a row belongs to."""
        if row.cell.classifier is None:
            return _NETWORKS
        return _NO_FEATURES if row.cell.features is None else self._method(row)[1]

    def whole(self, row: Row) -> str:
        """A row's label outside any block."""
        inside = row.cell.features is not None and row.cell.classifier is not None
        return self.line(row) + (f" + {self.block(row)}" if inside else "")

    def line(self, row: Row) -> str:
        """The row's label within its block; random weights are always told."""
        features, classifier = self._method(row)
        label = features or classifier
        weights = row.cell.weights
        if (
            any(record.cell.weights == "random" for record in row.records)
            and "weights=random" not in label
        ):
            return f"{label} (random weights)"
        if weights is not None and (features, classifier) in self._twice:
            return f"{label} (weights {weights[:8]})"
        return label

    def parameters(self) -> str:
        """Every method's parameters, swept values with ``|`` between them."""
        shown = []
        for name in sorted(self._seen, key=natural):
            values = [
                f"{key}={'|'.join(sorted(map(written, found.values()), key=natural))}"
                for key, found in self._seen[name].items()
            ]
            if values:
                shown.append(f"{name}[{','.join(values)}]")
        return "; ".join(shown)


def written(value: Any) -> str:
    """A parameter's value as one writes it on the command line."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else canonical(value)


def span(values: Iterable[float], form: str = "d") -> str:
    """Smallest and largest, once where they are equal."""
    found = sorted(values)
    low, high = f"{found[0]:{form}}", f"{found[-1]:{form}}"
    return low if low == high else f"{low}–{high}"


def _caption(rows: Sequence[Row], splits: int, distribution: bool) -> str:
    """Everything that a number in the table depends on, in words."""
    records = [record for row in rows for record in row.records]
    results = [record for row in rows for record in row.ok]
    cells = [record.cell for record in records]
    first = cells[0]
    train, valid, test = (
        span(getattr(cell, name) for cell in cells) for name in ("n_train", "n_valid", "n_test")
    )
    sentences = [
        f"{first.dataset} ({origin(first)}), protocol {first.protocol}, "
        f"n train/valid/test = {train}/{valid}/{test}"
    ]
    twins = [cell.twins for cell in cells if cell.twins is not None]
    if twins:
        sentences.append(f"Test images with a pixel-identical twin in train: {span(twins)}")
    if distribution:
        sentences.append(
            "LABEL DISTRIBUTIONS, judged beside the criteria of the other table; the KL divergence "
            f"sees predicted shares below {CLIP:g} as {CLIP:g}"
        )
    elif first.kind == "multi" and results:
        sentences.append(f"Criteria by the {results[0].convention} convention, coverage = rank − 1")
    sentences += [training(cells), _repeats(rows, splits)]
    ties = [100 * row.tied_rows for row in rows if row.tied_rows is not None]
    if any(ties) and not distribution:
        sentences.append(f"Test rows with tied scores: {span(ties, '.1f')} %")
    left_out = [record.left_out for record in results]
    if any(left_out) and not distribution:
        which = "Classes left out of mean recall (absent from test)"
        if first.kind == "multi":
            which = "Labels left out of macro-AUC (all present or all absent in test)"
        sentences.append(f"{which}: {span(left_out)}")
    versions = sorted({str(r.provenance["version"]) for r in records if "version" in r.provenance})
    made_by = f"bench {', '.join(versions)} " if versions else ""
    sentences.append(f"Made by {made_by}from data {first.fingerprint[:8]}")
    return ". ".join(sentences) + "."


def origin(cell: Cell) -> str:
    """Whether the faces are real, in words."""
    if not cell.synthetic:
        return "not synthetic"
    # a data set that calls itself synthetic cannot be taken for another one
    other = "" if "synthetic" in cell.dataset else f", not {cell.dataset}"
    return f"SYNTHETIC faces rendered by bench{other}"


def training(cells: Sequence[Cell]) -> str:
    """The budget and the choice of the epoch, in words."""
    budgets = sorted({cell.budget for cell in cells} - {"any"})
    if not budgets:
        return "No method here follows a schedule"
    kept = "the papers' schedules" if budgets == ["paper"] else "SHORTENED training"
    chosen = {_SELECTIONS[cell.selection] for cell in cells if cell.selection != "none"}
    return ", ".join([f"Budget {budgets[0]} ({kept})", *sorted(chosen)])


def _repeats(rows: Sequence[Row], splits: int) -> str:
    seeds = [len(row.seeds) for row in rows if row.cell.stochastic and row.ok]
    said = "No method here depends on a seed"
    if seeds:
        said = f"Seeds of stochastic methods: {span(seeds)}"
    if splits > 1:
        return f"{said}; means over {splits} splits, ± the standard deviation over them"
    if max(seeds, default=1) > 1:
        return f"{said}; ± the standard deviation over them"
    return said
