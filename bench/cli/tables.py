"""``bench tables``: tables from the records of a results folder."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import BenchError
from bench.cli.options import add_options, chosen
from bench.cli.plugins import add_plugins, registry
from bench.cli.terminal import say

if TYPE_CHECKING:
    from bench.run.record import Record
    from bench.run.store import Store


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_options(parser, ["results"])
    add_plugins(parser)
    parser.add_argument("--out", metavar="DIR", type=Path, help="[<results>/tables]")
    parser.add_argument(
        "--format", metavar="LIST", default="csv,latex,markdown", help="[%(default)s]"
    )
    parser.add_argument("--convention", metavar="C", default="sklearn", help="[%(default)s]")
    parser.add_argument("--ties", action="store_true", help="show the share of tied samples")
    parser.add_argument(
        "--ranks",
        action="store_true",
        help="also write ranks.csv: each row's rank, its 95 %% interval, the chance of being best",
    )
    parser.add_argument(
        "--export-scores",
        metavar="DIR",
        type=Path,
        help="also write scores and labels of each test image, without the truth, for a recount",
    )
    parser.set_defaults(function=run)


def run(options: argparse.Namespace) -> int:
    """Write the tables and print their paths."""
    # Imported here: pandas and the records' modules take longer than `bench --help` may.
    from bench.publish import tables
    from bench.publish.rows import newest
    from bench.run.scoring import outdated
    from bench.run.store import Store

    store = Store(chosen(options, ["results"]).results)
    store.check()
    records = store.records(damaged=lambda error: say(f"left out: {error}"))
    if not records:
        raise BenchError(f"{store.root} holds no records: bench run makes them")
    selection = newest(records)
    if selection.left_out:
        say(f"{len(selection.left_out)} older records of the same cells are left out")
    old = sum(outdated(record) and store.scores(record) is None for record in selection.kept)
    if old:
        say(f"{old} records hold criteria of an earlier version, and no scores to recompute them")
    paths = tables.write(
        selection.kept,
        options.out or store.tables,
        formats=[name.strip() for name in options.format.split(",")],
        convention=options.convention,
        scores_of=store.scores,
        ties=options.ties,
        ranks=options.ranks,
        registry=registry(options),
    )
    if options.export_scores is not None:
        paths += _export(selection.kept, store, options.export_scores)
    for path in paths:
        print(path)
    return 0


def _export(records: Iterable[Record], store: Store, out: Path) -> list[Path]:
    """Write the scores of every dataset into a folder of its own."""
    from bench.publish.escape import folder
    from bench.publish.export import export

    by_dataset: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_dataset[record.cell.dataset].append(record)
    paths = []
    for dataset, of_dataset in by_dataset.items():
        paths += export(of_dataset, out / folder(dataset), store.scores, store.ids)
    return paths
