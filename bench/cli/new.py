"""``bench new``: a plug-in file that runs as it is written."""

from __future__ import annotations

import argparse
import re
from importlib import resources
from pathlib import Path

from bench.api import BenchError
from bench.cli.plugins import registry

KINDS = ("features", "classifier", "network", "dataset")


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("name", metavar="NAME", help="as on the command line: my-method")
    parser.add_argument("--out", metavar="DIR", type=Path, default=Path(), help="[this folder]")
    parser.set_defaults(function=run)


def run(options: argparse.Namespace) -> int:
    """Write the file and say how to run it."""
    name = options.name
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise BenchError(f"{name!r}: a name is lower-case letters and digits, joined by hyphens")
    options.plugins = None
    found = registry(options)
    taken = found.datasets if options.kind == "dataset" else found.methods
    if name in taken:
        raise BenchError(f"{name} is taken by {taken[name].file}; choose another name")
    path = options.out / f"{name.replace('-', '_')}.py"
    if path.exists():
        raise BenchError(f"{path} is there already; choose another name or --out")
    template = resources.files("bench.cli").joinpath("templates", f"{options.kind}.txt")
    class_name = "".join(word.capitalize() for word in name.split("-"))
    text = template.read_text(encoding="utf-8")
    text = text.replace("NAME", name).replace("CLASS", class_name)
    path.write_text(text, encoding="utf-8", newline="\n")
    methods = {
        "features": f"--dataset synthetic --methods {name}+mlknn",
        "classifier": f"--dataset synthetic --methods hog+{name}",
        "network": f"--dataset synthetic --methods {name}",
        "dataset": f"--dataset {name} --methods hog+mlknn",
    }[options.kind]
    print(f"{path}\nrun it: bench run --plugins {path} {methods} --budget smoke")
    return 0
