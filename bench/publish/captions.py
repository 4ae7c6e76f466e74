"""Captions: everything that the numbers of a table depend on, in words.

A caption is what keeps a number from looking like more than it is: it names synthetic faces, a
shortened training, an epoch chosen on the test part, twins of test images in train.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.publish.numbers import span
from bench.publish.ranking import (
    FEW_SEEDS,
    INCOMPLETE,
    NO_RESAMPLES,
    OTHER_RESAMPLES,
    TRIVIAL,
    AnyCriterion,
    Ranking,
    is_by_label,
)
from bench.publish.rows import IMAGES, RARE, SPLITS, Drawn, Row
from bench.publish.training import training
from bench.run.job import STRATIFIED, Cell
from bench.run.options import OWN
from bench.run.record import Record
from bench.score.distribution import CLIP

_UNRANKED = {
    NO_RESAMPLES: "rows without resamples (people)",
    TRIVIAL: "rows that look at no face",
    INCOMPLETE: "rows with missing cells",
    FEW_SEEDS: f"stochastic methods of {FEW_SEEDS}",
    OTHER_RESAMPLES: "rows whose test images were resampled otherwise",
}


def caption(
    rows: Sequence[Row], splits: int, distribution: bool, rankings: Sequence[Ranking] = ()
) -> str:
    """The caption of a table of criteria.

    Parameters
    ----------
    rows : sequence of Row
        The rows of the table, one or more, of one dataset and protocol.
    splits : int
        Splits of the table; a row may lack some.
    distribution : bool
        Whether the criteria are those of label distributions.
    rankings : sequence of Ranking
        Of the same rows, by each criterion.
    """
    records = [record for row in rows for record in row.records]
    results = [record for row in rows for record in row.ok]
    cells = [record.cell for record in records]
    sentences = [
        _data(cells),
        _twins(cells),
        _clipped() if distribution else _convention(results),
        training(records),
        "" if distribution else _label_sets(cells[0]),
        _repeats(rows, splits),
        "" if distribution else _tied(rows),
        "" if distribution else _left_out(results),
        _marks(rows, rankings),
        _version(records),
    ]
    return paragraph(sentences)


def conditions(rows: Sequence[Row]) -> str:
    """What a comparison of some rows depends on: of a `caption`, all but what a table shows."""
    records = [record for row in rows for record in row.records]
    cells = [record.cell for record in records]
    results = [record for row in rows for record in row.ok]
    data = [_data(cells), _twins(cells), _convention(results)]
    folds = "Means over folds" if len(rows[0].splits) > 1 else ""
    folds += _pooled(rows) if any(row.pooled for row in rows) else ""
    made = [training(records), _label_sets(cells[0]), seeds_in_words(rows), folds]
    return paragraph([*data, *made, _tied(rows), _version(records)])


def paragraph(sentences: Iterable[str]) -> str:
    """The sentences with full stops behind them, empty ones left out."""
    return ". ".join(filter(None, sentences)) + "."


def parts(cells: Sequence[Cell], *names: str) -> str:
    """Sizes of the parts: ``n train/valid/test = 300/40/80`` for these names of parts."""
    sizes = (span(getattr(cell, f"n_{name}") for cell in cells) for name in names)
    return f"n {'/'.join(names)} = {'/'.join(sizes)}"


def _data(cells: Sequence[Cell]) -> str:
    first = cells[0]
    sizes = parts(cells, "train", "valid", "test")
    drawn = " (folds stratified by labels)" if first.protocol.folds == STRATIFIED else ""
    return f"{first.dataset} ({origin(first)}), protocol {first.protocol}{drawn}, {sizes}"


def _twins(cells: Sequence[Cell]) -> str:
    twins = [cell.twins for cell in cells if cell.twins is not None]
    return f"Test images with a pixel-identical twin in train: {span(twins)}" if twins else ""


def _clipped() -> str:
    return (
        "LABEL DISTRIBUTIONS, judged beside the criteria of the other table; the KL divergence "
        f"sees predicted shares below {CLIP:g} as {CLIP:g}"
    )


def _convention(results: Sequence[Record]) -> str:
    """Nothing on single-label data, whose criteria are the same under every convention."""
    if not results or results[0].cell.kind != "multi":
        return ""
    return f"Criteria by the {results[0].convention} convention, coverage = rank − 1"


_RULES = {
    "cardinality": "as many labels as a training image has on average",
    "micro-f1": "the best micro-F1",
    "hamming": "the lowest Hamming loss",
}


def _label_sets(cell: Cell) -> str:
    """How scores became label sets; nothing where each method has its own rule."""
    if cell.threshold == OWN:
        return ""
    part = "the validation part"
    part = part if cell.fitted_on == "valid" else f"{cell.fitted_on} of the training part"
    return (
        f"Label sets by one rule for all rows, {cell.threshold}: one threshold on scores, for "
        f"{_RULES[cell.threshold]}, fitted on {part}"
    )


def seeds_in_words(rows: Sequence[Row]) -> str:
    """How many seeds the rows of stochastic methods have."""
    stochastic = [row for row in rows if row.cell.stochastic]
    if not stochastic:
        return "No method here depends on a seed"
    seeds = [len(row.seeds) for row in stochastic if row.ok]
    return f"Seeds of stochastic methods: {span(seeds) if seeds else 'none has a result'}"


def _pooled(rows: Sequence[Row]) -> str:
    """How F1 and AUC over folds come about."""
    of_each = " of each repetition" if max(row.repetitions for row in rows) > 1 else ""
    return f", but F1 and AUC of the predictions pooled over the folds{of_each}"


def _repeats(rows: Sequence[Row], splits: int) -> str:
    """Seeds and splits behind each mean, and what ± stands for."""
    seeds = [len(row.seeds) for row in rows if row.cell.stochastic and row.ok]
    sentence = seeds_in_words(rows)
    if splits > 1:
        means = f"{sentence}; means over {splits} splits, ± the standard deviation over them"
        return means + (_pooled(rows) if any(row.pooled for row in rows) else "")
    if max(seeds, default=1) > 1:
        return f"{sentence}; ± the standard deviation over them"
    return sentence


def _tied(rows: Sequence[Row]) -> str:
    percent = [100 * row.tied_rows for row in rows if row.tied_rows is not None]
    return f"Test rows with tied scores: {span(percent, '.1f')} %" if any(percent) else ""


def _left_out(results: Sequence[Record]) -> str:
    counts = [record.left_out for record in results]
    if not any(counts):
        return ""
    if results[0].cell.kind == "multi":
        labels = "Labels left out of macro-AUC (all present or all absent in test)"
    else:
        labels = "Classes left out of mean recall (absent from test)"
    return f"{labels}: {span(counts)}"


def _marks(rows: Sequence[Row], rankings: Sequence[Ranking]) -> str:
    """What bold and underlined say, and which rows have no rank."""
    if len(rows) < 2 or not rankings:
        return ""
    reasons = {why for ranked in rankings for why in ranked.unranked}
    unranked = [words for why, words in _UNRANKED.items() if why in reasons]
    without = f"; without a rank: {', '.join(unranked)}" if unranked else ""
    marked = [ranked for ranked in rankings if ranked.marks]
    if not marked:
        return f"Nothing is marked, since fewer than two rows have a rank{without}"
    drawn = marked[0].drawn
    assert drawn is not None
    stochastic = any(rows[i].cell.stochastic for ranked in marked for i in ranked.places)
    seeds = " and with other seeds" if stochastic else ""
    return (
        f"Bold: best; underlined: cannot be told from the best on other {_others(drawn)}{seeds} "
        f"(95 %, all rows compared at once){without}"
    )


def _others(drawn: Drawn) -> str:
    """What could have been others: test images, subjects."""
    if drawn.kind == IMAGES:
        return "test images"
    return (
        f"{drawn.kind} ({drawn.clusters} here)"
        if drawn.kind == SPLITS
        else (f"test images by {drawn.kind} ({drawn.clusters} here)")
    )


def rare(rows: Sequence[Row], criteria: Sequence[AnyCriterion]) -> str:
    """Which means over labels have no reliable interval, and why; empty where all have one."""
    titles = [one.title for one in criteria if is_by_label(one)]
    labels = {name: count for row in rows for name, count in row.rare_labels.items()}
    if not titles or not labels:
        return ""
    counted = ", ".join(f"{name} {count}" for name, count in labels.items())
    return (
        f"No reliable interval, and no marks, of {' and '.join(titles)}: labels with fewer than "
        f"{RARE} test images: {counted}."
    )


def _version(records: Sequence[Record]) -> str:
    versions = sorted({str(r.provenance["version"]) for r in records if "version" in r.provenance})
    bench = f"bench {', '.join(versions)} " if versions else ""
    return f"Made by {bench}from data {records[0].cell.fingerprint[:8]}"


def origin(cell: Cell) -> str:
    """Whether the faces are real, in words."""
    if not cell.synthetic:
        return "not synthetic"
    # a dataset that calls itself synthetic cannot be taken for another one
    other = "" if "synthetic" in cell.dataset else f", not {cell.dataset}"
    return f"SYNTHETIC faces rendered by bench{other}"
