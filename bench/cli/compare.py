"""``bench compare``: are two methods different? From stored records and scores; nothing is run."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api import BenchError, near
from bench.cli.options import add_options, chosen
from bench.cli.terminal import clean, columns, say
from bench.run.options import BUDGETS, SELECTIONS, THRESHOLDS

if TYPE_CHECKING:
    from bench.publish.comparison import RowComparison
    from bench.publish.over_datasets import DatasetComparison
    from bench.publish.rows import Row
    from bench.run.grammar import Term
    from bench.run.record import Record
    from bench.run.store import Store


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "rows", metavar="ROW", nargs="+", help='as tables name it: "hog+mlknn[k=5]"; two or more'
    )
    parser.add_argument(
        "--dataset",
        metavar="NAME",
        action="append",
        default=[],
        help="may be repeated [all on which every row was run]",
    )
    parser.add_argument(
        "--criterion",
        metavar="C",
        action="append",
        default=[],
        help="may be repeated; the first decides [average_precision, or accuracy; then the others]",
    )
    parser.add_argument(
        "--rope",
        metavar="MARGIN",
        type=float,
        help="differences up to it are practically none [.01; .05 where values go beyond 1]",
    )
    parser.add_argument("--per-label", action="store_true", help="count images for each label too")
    parser.add_argument("--convention", metavar="C", default="sklearn", help="[%(default)s]")
    parser.add_argument("--protocol", metavar="P", help="of rows measured by several")
    parser.add_argument("--budget", choices=BUDGETS, help="of rows trained by several")
    parser.add_argument("--selection", choices=SELECTIONS, help="of rows that differ in it")
    parser.add_argument("--threshold", choices=THRESHOLDS, help="of rows that differ in it")
    add_options(parser, ["results"])
    parser.add_argument("--json", action="store_true", help="all numbers in full precision")
    parser.add_argument(
        "--out", metavar="FILE.svg", type=Path, help="a critical-difference diagram of all datasets"
    )
    parser.set_defaults(function=run)


def run(options: argparse.Namespace) -> int:
    """Compare, and print sentences and tables, or JSON."""
    # Imported here: pandas and the records' modules take longer than `bench --help` may.
    from bench.publish.named_rows import term_of
    from bench.publish.rows import newest
    from bench.run.store import Store
    from bench.score.criteria import CONVENTIONS

    _check(options, CONVENTIONS)
    terms = [term_of(text) for text in options.rows]
    store = Store(chosen(options, ["results"]).results)
    store.check()
    records = newest(store.records()).kept
    if not records:
        raise BenchError(f"{store.root} holds no records: bench run makes them")
    by_dataset = _rows(records, terms, options, store)
    pairs = []
    if len(terms) == 2:
        pairs = [_pair(rows, terms, options, store) for rows in by_dataset]
    ranked = _ranked([_by(options.convention, rows, store) for rows in by_dataset], terms, options)
    _print(pairs, ranked, by_dataset, options)
    return 0


def _check(options: argparse.Namespace, conventions: Sequence[str]) -> None:
    if len(options.rows) < 2:
        raise BenchError(f"{options.rows[0]} alone: name two ROWs to compare")
    if options.rope is not None and not (math.isfinite(options.rope) and 0 <= options.rope < 1):
        raise BenchError(f"--rope {options.rope}: a margin from 0 to 1, such as .01")
    if options.convention not in conventions:
        raise BenchError(
            f"no convention {options.convention!r}: {near(options.convention, conventions)}"
        )
    if options.out is not None and options.out.suffix.lower() != ".svg":
        raise BenchError(f"--out {options.out}: the diagram is SVG, name a file that ends in .svg")


def _rows(
    records: Sequence[Record], terms: Sequence[Term], options: argparse.Namespace, store: Store
) -> list[list[Row]]:
    """The rows of the terms on each dataset, with criteria by today's code."""
    from bench.publish.named_rows import CONDITIONS, row_named
    from bench.publish.rows import Row, in_convention, rows_of

    names = options.dataset or _common(records, terms)
    wanted = {name: getattr(options, name) for name in CONDITIONS if getattr(options, name)}
    found = []
    for name in dict.fromkeys(names):
        of_dataset = [record for record in records if record.cell.dataset == name]
        if not of_dataset:
            known = {record.cell.dataset for record in records}
            raise BenchError(f"--dataset {name}: nothing was run on it here; {near(name, known)}")
        rows = [row_named(rows_of(of_dataset), term, wanted) for term in terms]
        found.append(
            [
                Row(tuple(in_convention(r, r.convention, store.scores) for r in row.records))
                for row in rows
            ]
        )
    return found


def _common(records: Sequence[Record], terms: Sequence[Term]) -> list[str]:
    """The datasets on which every term has a row."""
    from bench.publish.named_rows import fitting, title_of
    from bench.publish.rows import Row

    places = [
        {row.cell.dataset for row in fitting((Row((record,)) for record in records), term)}
        for term in terms
    ]
    common = sorted(set.intersection(*places))
    if common:
        return common
    known = sorted({record.cell.dataset for record in records})
    if len(known) == 1:
        return known  # the one dataset says what is not there
    where = "; ".join(
        f"{title_of(term)} on {', '.join(sorted(place)) or 'none'}"
        for term, place in zip(terms, places, strict=True)
    )
    raise BenchError(f"no dataset has all of these rows ({where})")


def _by(convention: str, rows: Sequence[Row], store: Store) -> list[Row]:
    from bench.publish.pooling import pooled_alike
    from bench.publish.rows import Row, in_convention

    by_convention = [
        Row(tuple(in_convention(r, convention, store.scores) for r in row.records)) for row in rows
    ]
    return pooled_alike(by_convention, store.scores)


def _pair(
    rows: Sequence[Row], terms: Sequence[Term], options: argparse.Namespace, store: Store
) -> RowComparison:
    from bench.publish.comparison import by_other_conventions, compare_rows, criteria_of
    from bench.publish.named_rows import title_of

    left, right = rows
    chosen_left, chosen_right = _by(options.convention, rows, store)
    return compare_rows(
        (title_of(terms[0]), title_of(terms[1])),
        (chosen_left, chosen_right),
        criteria_of(left.cell.kind, options.criterion),
        store.scores,
        store.ids,
        margin=options.rope,
        labels=options.per_label,
        others=by_other_conventions((left, right), options.convention),
    )


def _ranked(
    by_dataset: Sequence[Sequence[Row]], terms: Sequence[Term], options: argparse.Namespace
) -> DatasetComparison | str:
    """The comparison over datasets, or why there is none beside those of each dataset."""
    from bench.publish.comparison import criteria_of
    from bench.publish.named_rows import title_of
    from bench.publish.over_datasets import over_datasets

    kinds = {rows[0].cell.kind for rows in by_dataset}
    try:
        if len(kinds) > 1:
            raise BenchError(
                "some datasets have label sets and some one class per image, and no criterion is "
                "of both: choose with --dataset"
            )
        (criterion, *_) = criteria_of(kinds.pop(), options.criterion)
        return over_datasets([title_of(term) for term in terms], by_dataset, criterion)
    except BenchError as error:
        if len(terms) > 2 or options.out is not None:
            raise
        return str(error)


def _print(
    pairs: Sequence[RowComparison],
    ranked: DatasetComparison | str,
    by_dataset: Sequence[Sequence[Row]],
    options: argparse.Namespace,
) -> None:
    from bench.data.files import write_text
    from bench.publish import comparison_words as words
    from bench.publish import over_datasets

    if options.json:
        over: dict[str, Any] | None = None
        if not isinstance(ranked, str):
            over = over_datasets.as_json(ranked)
        result = {"comparisons": [words.as_json(pair) for pair in pairs], "over_datasets": over}
        print(json.dumps(result, indent=1, allow_nan=False))
    else:
        texts = [_text(pair) for pair in pairs]
        if not isinstance(ranked, str):
            texts.append(_lines(over_datasets.sentences(ranked), over_datasets.table(ranked)))
        print("\n\n".join(texts))
    if isinstance(ranked, str):
        if len(by_dataset) > 1:
            say(f"No test over datasets: {ranked}")
    elif options.out is not None:
        write_text(options.out, over_datasets.diagram(ranked))
        say(f"{options.out} is the critical-difference diagram")


def _text(pair: RowComparison) -> str:
    from bench.publish import comparison_words as words
    from bench.publish.captions import conditions
    from bench.publish.names import MethodNames

    legend = f"Left: {pair.names[0]}. Right: {pair.names[1]}. {words.LEGEND}."
    parts = [_lines(words.sentences(pair), words.table(pair)), clean(legend)]
    labels = words.label_table(pair)
    if len(labels) > 1:
        parts.append(columns(labels))
    said = [*words.remarks(pair), conditions(pair.rows)]
    said.append(f"Parameters: {MethodNames(pair.rows).parameters()}.")
    return "\n\n".join([*parts, "\n".join(map(clean, said))])


def _lines(sentences: Sequence[str], table: Sequence[Sequence[str]]) -> str:
    return "\n".join(map(clean, sentences)) + "\n\n" + columns(table)
