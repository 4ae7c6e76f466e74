"""``bench tables``: tables from the records of a results folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from bench.api import BenchError, near

FORMATS = ("csv", "latex", "markdown")


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("tables", help="write CSV, LaTeX and Markdown tables")
    parser.add_argument("--results", metavar="DIR", type=Path, help="[./bench-results]")
    parser.add_argument("--out", metavar="DIR", type=Path, help="[<results>/tables]")
    parser.add_argument("--format", metavar="LIST", default=",".join(FORMATS), help="[%(default)s]")
    parser.add_argument("--convention", metavar="C", default="sklearn", help="[%(default)s]")
    parser.add_argument("--ties", action="store_true", help="show the share of tied samples")
    parser.set_defaults(function=run)


def run(options: argparse.Namespace) -> int:
    """Write the tables and print their paths."""
    from bench.publish import tables
    from bench.run.runner import results_folder
    from bench.run.store import Store
    from bench.score.criteria import CONVENTIONS

    formats = tuple(name.strip() for name in options.format.split(","))
    for name in formats:
        if name not in FORMATS:
            raise BenchError(f"--format {name!r}: {near(name, FORMATS)}")
    if options.convention not in CONVENTIONS:
        raise BenchError(f"--convention {options.convention!r}: one of {', '.join(CONVENTIONS)}")
    store = Store(results_folder(options.results))
    store.check()
    records = store.records()
    if not records:
        raise BenchError(f"{store.root} holds no records: bench run makes them")
    for path in tables.write(
        records,
        options.out or store.tables,
        formats=formats,
        convention=options.convention,
        scores_of=store.scores,
        ties=options.ties,
    ):
        print(path)
    return 0
