"""``bench data make``, ``align`` and ``truth``: rendered datasets, faces, labels for a recount."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from bench.api import BenchError, Dataset, near
from bench.cli.plugins import add_plugins, registry
from bench.cli.terminal import say


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("data", help="make datasets, align photographs")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    make = verbs.add_parser("make", help="write a rendered dataset in an official layout")
    make.add_argument("dataset", metavar="DATASET", help="synthetic, synthetic-people")
    make.add_argument("--layout", metavar="NAME", default="raf-ml", help="or people [%(default)s]")
    make.add_argument("--images", metavar="N", type=int, help="[the dataset's default]")
    make.add_argument("--out", metavar="DIR", type=Path, required=True, help="an empty folder")
    add_plugins(make)
    make.set_defaults(function=run)
    truth = verbs.add_parser("truth", help="write ids and labels of a dataset, for a recount")
    truth.add_argument("--dataset", metavar="NAME", required=True, help="see bench list datasets")
    truth.add_argument("--root", metavar="DIR", type=Path, help="else $BENCH_DATA/<dataset>")
    truth.add_argument("--out", metavar="FILE", type=Path, required=True, help="a CSV file")
    add_plugins(truth)
    truth.set_defaults(function=run_truth)
    align = verbs.add_parser("align", help="find the face in each photograph and cut it out")
    align.add_argument("--in", metavar="DIR", type=Path, required=True, dest="source")
    align.add_argument(
        "--out", metavar="DIR", type=Path, required=True, help="new, empty, or of an earlier run"
    )
    align.add_argument("--size", metavar="N", type=int, default=100, help="side [%(default)s]")
    align.add_argument(
        "--transform",
        choices=("affine", "similarity"),
        default="affine",
        help="affine puts eyes and mouth where RAF-ML has them, similarity keeps the face's "
        "proportions [%(default)s]",
    )
    align.add_argument("--device", metavar="D", default="auto", help="[a GPU where there is one]")
    align.set_defaults(function=run_align)


def run(options: argparse.Namespace) -> int:
    """Render and write."""
    from bench.render.layouts import LAYOUTS
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


def run_truth(options: argparse.Namespace) -> int:
    """One row per image: its id, and 0 or 1 for each label."""
    from bench.data.files import write_text
    from bench.publish.frames import csv_text, frame_of
    from bench.run.sources import Sources

    faces = Sources(registry(options)).named(options.dataset, options.root).faces
    columns = ("id", *faces.label_names)
    rows = (
        dict(zip(columns, (str(one), *map(int, labels)), strict=True))
        for one, labels in zip(faces.ids, faces.labels, strict=True)
    )
    write_text(options.out, csv_text(frame_of(rows, columns)))
    print(options.out)
    return 0


def run_align(options: argparse.Namespace) -> int:
    """Align, and say what was not found; 1 where a face or a file is missing."""
    # Imported here: the detector brings torch.
    from bench.data.align_folder import TABLE, align_folder
    from bench.nn.device import find_device

    report = align_folder(
        options.source,
        options.out,
        options.size,
        options.transform,
        find_device(options.device),
        say,
    )
    photographs = report.found + len(report.without) + len(report.unreadable)
    say(
        f"{photographs} photographs: {report.found} faces aligned, {len(report.without)} without a "
        f"face, {len(report.unreadable)} unreadable; {report.kept} were done before, "
        f"{report.others} other files left alone"
    )
    print(options.out / TABLE)
    return 1 if report.without or report.unreadable else 0
