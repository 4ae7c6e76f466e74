"""``bench list``: what there is."""

from __future__ import annotations

import argparse
import json

from bench.cli.plugins import add_plugins, registry
from bench.cli.terminal import columns
from bench.plugins import Entry


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "what", nargs="?", choices=("methods", "datasets", "criteria", "papers"), help="only these"
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    add_plugins(parser)
    parser.set_defaults(function=run)


def run(options: argparse.Namespace) -> int:
    """Print names, states and one line each."""
    plugins = registry(options)
    tables: dict[str, list[dict[str, str]]] = {}
    if options.what in (None, "datasets"):
        tables["datasets"] = [_row(entry) for entry in plugins.datasets.values()]
    if options.what in (None, "methods"):
        tables["methods"] = [_row(entry) for entry in plugins.methods.values()]
    if options.what in (None, "criteria"):
        tables["criteria"] = _criteria()
    if options.what in (None, "papers"):
        tables["papers"] = _papers()
    if plugins.broken:
        tables["broken"] = [_row(entry) for entry in plugins.broken]
    if options.json:
        print(json.dumps(tables, indent=1))
        return 0
    for title, rows in tables.items():
        print(title)
        print(columns([["", *(value for value in row.values())] for row in rows]))
        print()
    return 0


def _row(entry: Entry) -> dict[str, str]:
    kind = {
        "multi": "multi-label",
        "single": "single-label",
        "people": "people",
    }.get(entry.labels, entry.kind.lower())
    name = entry.name + ("NAME" if entry.name.endswith(":") else "")
    about = entry.summary if entry.state == "ready" else f"{entry.state}: {entry.reason}"
    return {"name": name, "kind": kind, "state": entry.state, "about": about}


def _papers() -> list[dict[str, str]]:
    from bench.papers.files import paper_setup, papers

    setups = {name: paper_setup(name) for name in papers()}
    return [
        {
            "name": name,
            "kind": "paper",
            "state": f"{len(setup.table)} tables and figures",
            "about": f"{setup.authors}, {setup.title}, {setup.where}",
        }
        for name, setup in setups.items()
    ]


def _criteria() -> list[dict[str, str]]:
    from bench.score.criteria import CRITERIA, Criterion
    from bench.score.distribution import DISTRIBUTION_CRITERIA, DistributionCriterion

    shown: tuple[Criterion | DistributionCriterion, ...] = (*CRITERIA, *DISTRIBUTION_CRITERIA)
    return [
        {
            "name": one.name,
            "kind": f"{one.direction} is better",
            "state": f"takes {one.needs}",
            "about": one.reference,
        }
        for one in shown
    ]
