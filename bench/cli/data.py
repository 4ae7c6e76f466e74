"""``bench data make``, ``align`` and ``truth``: files of datasets, made for use outside a run."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.api import BenchError, Dataset, near
from bench.cli.plugins import add_plugins, registry
from bench.cli.terminal import say


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    make = verbs.add_parser("make", help="write a rendered dataset in an official layout")
    make.add_argument("dataset", metavar="DATASET", help="an embedded one: see bench list datasets")
    make.add_argument("--layout", metavar="NAME", default="raf-ml", help="or people [%(default)s]")
    make.add_argument("--images", metavar="N", type=int, help="[the dataset's default]")
    make.add_argument("--out", metavar="DIR", type=Path, required=True, help="an empty folder")
    add_plugins(make)
    make.set_defaults(function=run_make)
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


def run_make(options: argparse.Namespace) -> int:
    """Render an embedded dataset and write it in an official layout."""
    from bench.render.layouts import LAYOUTS
    from bench.run.grammar import parse_part
    from bench.run.methods import specs

    if options.layout not in LAYOUTS:
        raise BenchError(f"--layout {options.layout!r}: {near(options.layout, LAYOUTS)}")
    part = parse_part(options.dataset)
    if options.images is not None:
        part.params["images"] = [str(options.images)]
    candidates = specs(registry(options), "dataset", part)
    dataset: Dataset = candidates[0].make()
    if len(candidates) > 1 or not dataset.embedded:
        raise BenchError(
            f"{options.dataset} is not made by bench: name one embedded dataset (bench list "
            "datasets tells which are)"
        )
    LAYOUTS[options.layout](dataset.load(None), options.out, dataset.get_params())
    print(options.out)
    return 0


def run_truth(options: argparse.Namespace) -> int:
    """Write a row per image of a dataset: its id, and 0 or 1 for each label."""
    from bench.data.files import write_text
    from bench.publish.frames import csv_text, frame_of
    from bench.run.sources import Sources

    faces = Sources(registry(options)).named(options.dataset, options.root).faces
    columns = ("id", *faces.label_names)
    rows = (
        dict(zip(columns, (str(image), *map(int, labels)), strict=True))
        for image, labels in zip(faces.ids, faces.labels, strict=True)
    )
    write_text(options.out, csv_text(frame_of(rows, columns)))
    print(options.out)
    return 0


def run_align(options: argparse.Namespace) -> int:
    """Align a folder of photographs; 1 where one of them shows no face or cannot be read."""
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
    photographs = report.aligned + len(report.faceless) + len(report.unreadable)
    say(
        f"{photographs} photographs: {report.aligned} faces aligned, {len(report.faceless)} "
        f"without a face, {len(report.unreadable)} unreadable; {report.unchanged} were done "
        f"before, {report.others} other files left alone"
    )
    print(options.out / TABLE)
    return 1 if report.faceless or report.unreadable else 0
