"""``bench paper``: the papers' tables listed, shown, measured, and verified."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from bench.api import BenchError, near
from bench.cli.options import add_options, chosen
from bench.cli.plugins import add_plugins, registry
from bench.cli.terminal import columns, say

_ALL = "all"
# Budget and seeds replace those of the specifications, and are theirs where they are not given.
_RUN_OPTIONS = (
    "budget",
    "seeds",
    "device",
    "workers",
    "threads",
    "timeout",
    "max_memory",
    "results",
    "plugins",
)
_COMMITTED = Path("results/tables/papers/smoke")


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments and its four parts."""
    parts = parser.add_subparsers(dest="part", required=True, metavar="PART")

    listed = parts.add_parser("list", help="papers, their tables and figures")
    listed.set_defaults(function=show_all)

    shown = parts.add_parser("show", help="what a table prints, and the cells that measure it")
    _which(shown)
    shown.set_defaults(function=show)

    ran = parts.add_parser("run", help="measure what is missing and write the tables")
    _which(ran)
    ran.add_argument(
        "--root", action="append", default=[], metavar="NAME=DIR", help="a dataset's folder"
    )
    ran.add_argument(
        "--stand-in",
        action="append",
        default=[],
        metavar="NAME",
        help="a dataset that is measured in place of data that are not here, by kind; repeatable",
    )
    add_options(ran, _RUN_OPTIONS)
    ran.add_argument(
        "--convention",
        metavar="C",
        help="of the criteria, in place of the paper's own (see bench paper show)",
    )
    ran.add_argument("--out", metavar="DIR", type=Path, help="[<results>/tables/papers]")
    ran.add_argument(
        "--no-run", action="store_true", help="write the tables from the records that there are"
    )
    ran.add_argument("--no-times", action="store_true", help="leave times per image out")
    ran.set_defaults(function=run)

    verified = parts.add_parser("verify", help="do written tables still hold?")
    _which(verified)
    verified.add_argument(
        "--tables", metavar="DIR", type=Path, default=_COMMITTED, help="[%(default)s]"
    )
    verified.add_argument("--against", metavar="DIR", type=Path, help="other tables of the papers")
    verified.add_argument(
        "--accept", action="store_true", help="put --tables in the place of --against"
    )
    add_plugins(verified)
    verified.set_defaults(function=verify)


def _which(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paper", metavar="PAPER", help="see bench paper list; all")
    parser.add_argument(
        "--table", action="append", default=[], metavar="T", help="3, figure-7, times; repeatable"
    )


def _papers(options: argparse.Namespace) -> list[tuple[Any, list[Any]]]:
    """The papers and tables that the user names, each once."""
    from bench.papers.files import papers
    from bench.papers.spec import load, table

    chosen_papers = []
    for name in papers() if options.paper == _ALL else (options.paper,):
        tables = [table(name, text) for text in options.table] or load(name).tables
        chosen_papers.append((load(name), list({one.slug: one for one in tables}.values())))
    return chosen_papers


def show_all(options: argparse.Namespace) -> int:
    """Every paper with its tables, one line each."""
    from bench.papers.files import papers
    from bench.papers.spec import load

    for name in papers():
        paper = load(name)
        print(f"{name}: {paper.authors}, {paper.title}, {paper.where}")
        print(columns([["", table.slug, table.title] for table in paper.tables]))
        print()
    return 0


def show(options: argparse.Namespace) -> int:
    """What tables print, and what measures it."""
    from bench.papers.describe import described

    for paper, tables in _papers(options):
        for table in tables:
            print(described(paper, table))
            print()
    return 0


def run(options: argparse.Namespace) -> int:
    """Measure what is missing, then write the tables from the records."""
    from bench.cli.progress import display
    from bench.papers.measured import Overrides
    from bench.papers.places import Places, roots_of
    from bench.papers.session import Session
    from bench.run.runner import Limits
    from bench.run.store import Store
    from bench.score.predictions import CONVENTIONS

    if options.convention not in (None, *CONVENTIONS):
        known = near(options.convention, CONVENTIONS)
        raise BenchError(f"--convention {options.convention}: {known}")
    run_options = chosen(options, _RUN_OPTIONS)
    limits = Limits.of(run_options)
    plugins = registry(run_options)
    places = Places(plugins, roots_of(options.root), tuple(options.stand_in))
    tables = _papers(options)
    store = Store(run_options.results)
    store.open()
    # Records alone are read without the lock: another run may hold it for hours.
    held = (
        nullcontext()
        if options.no_run
        else store.locked(lambda who: say(f"waiting: {store.root} is in use by {who}"))
    )
    with held:
        with display() as listener:
            session = Session(
                plugins,
                places,
                Overrides(options.budget, options.seeds, options.convention),
                store,
                listener,
                limits,
                run_options.device,
                times=not options.no_times,
            )
            results = session.run(tables, measure=not options.no_run)
        written = results.write(options.out or store.tables / "papers")
    for path in written:
        print(path)
    for line in results.summary():
        say(line)
    return 1 if results.failed else 0


def verify(options: argparse.Namespace) -> int:
    """Say every difference, one a line; exit code 1 where there is one."""
    from bench.papers.verify import accept

    if options.accept and options.against is None:
        raise BenchError("--accept puts --tables in the place of --against: name both")
    plugins = registry(options)
    count = 0
    for paper, _ in _papers(options):
        differences = _differences(paper, plugins, options)
        if options.accept and not differences:
            accept(paper.id, options.tables, options.against)
        holds = "accepted" if options.accept else "holds"
        for sentence in differences or [holds]:
            print(f"{paper.id}: {sentence}")
        count += len(differences)
    if count:
        say(f"{count} differences; see CONTRIBUTING.md on accepting them")
    return 1 if count else 0


def _differences(paper: Any, plugins: Any, options: argparse.Namespace) -> list[str]:
    """Of a paper's tables from this bench; from other tables unless these are to be replaced."""
    from bench.papers.verify import against_bench, against_tables

    differences = list(against_bench(paper, plugins, options.tables))
    if options.against is not None and (not options.accept or differences):
        differences += against_tables(paper.id, plugins, options.tables, options.against)
    return differences
