"""``bench data make``: datasets that bench generates, in official layouts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from bench.api import BenchError, Dataset, near
from bench.cli.plugins import add_plugins, registry


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("data", help="make datasets")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    make = verbs.add_parser("make", help="write a rendered dataset in an official layout")
    make.add_argument("dataset", metavar="DATASET", help="synthetic")
    make.add_argument("--layout", metavar="NAME", default="raf-ml", help="[%(default)s]")
    make.add_argument("--images", metavar="N", type=int, help="[the dataset's default]")
    make.add_argument("--out", metavar="DIR", type=Path, required=True, help="an empty folder")
    add_plugins(make)
    make.set_defaults(function=run)


def run(options: argparse.Namespace) -> int:
    """Render and write."""
    from bench.data.layouts import LAYOUTS
    from bench.run.grammar import parse_part
    from bench.run.methods import specs

    if options.layout not in LAYOUTS:
        raise BenchError(f"--layout {options.layout!r}: {near(options.layout, LAYOUTS)}")
    part = parse_part(options.dataset)
    if options.images is not None:
        part.params["images"] = [str(options.images)]
    found = specs(registry(options), "dataset", part)
    dataset: Dataset = found[0].make()
    if len(found) > 1 or not dataset.embedded:
        raise BenchError(f"{options.dataset} is not made by bench: name synthetic, say")
    LAYOUTS[options.layout](dataset.load(None), options.out, dataset.get_params())
    print(options.out)
    return 0
