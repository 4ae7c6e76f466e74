"""``bench info NAME``: everything about one method, dataset or criterion."""

from __future__ import annotations

import argparse
import inspect
from typing import TYPE_CHECKING

from bench.api import BenchError, Dataset, Plugin, near
from bench.cli.plugins import add_plugins, registry
from bench.cli.terminal import clean, columns
from bench.plugins import Entry, Registry

if TYPE_CHECKING:
    from bench.score.criteria import Criterion
    from bench.score.distribution import DistributionCriterion


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("name", metavar="NAME")
    add_plugins(parser)
    parser.set_defaults(function=run)


def run(options: argparse.Namespace) -> int:
    """Print what the plug-in says of itself."""
    from bench.score import distribution
    from bench.score.criteria import BY_NAME

    if options.name in BY_NAME:
        print(_criterion(BY_NAME[options.name]))
    elif options.name in distribution.BY_NAME:
        print(_of_distributions(distribution.BY_NAME[options.name]))
    else:
        known = [*BY_NAME, *distribution.BY_NAME]
        print(_plugin(_entry(registry(options), options.name, known)))
    return 0


def _entry(plugins: Registry, name: str, criteria: list[str]) -> Entry:
    for table in (plugins.methods, plugins.datasets):
        for known in (name, name.partition(":")[0] + ":"):
            if known in table:
                return table[known]
    for entry in plugins.broken:
        if entry.name == name:
            raise BenchError(f"{name} is broken: {entry.reason}")
    names = [*plugins.methods, *plugins.datasets, *criteria]
    raise BenchError(f"nothing is named {name!r}: {near(name, names)}")


def _plugin(entry: Entry) -> str:
    lines = [f"{entry.name}: {entry.kind.lower()} ({entry.state})", f"file: {entry.file}"]
    if entry.state != "ready":
        lines.append(entry.reason)
    lines += ["", inspect.cleandoc(entry.title)]
    if entry.state == "ready":
        lines += _class(entry.load(), entry.title)
    return "\n".join(clean(line) for line in "\n".join(lines).split("\n"))


def _class(plugin: type[Plugin], title: str) -> list[str]:
    """What the class says of itself, beside the title."""
    lines: list[str] = []
    documentation = inspect.cleandoc(plugin.__doc__ or "")
    if documentation and documentation != title:
        lines += ["", documentation]
    if issubclass(plugin, Dataset):
        from bench.data.protocols import GENERAL_PROTOCOLS

        own = ", ".join(plugin.protocols) or "none (cv5 by default)"
        lines += ["", f"protocols: {own}; also {', '.join(GENERAL_PROTOCOLS)}"]
        lines += [f"obtain: {plugin.obtain}"] if plugin.obtain else []
    if plugin.params:
        rows = [
            ["", name, f"= {declared.default}", declared.allowed(), declared.help]
            for name, declared in plugin.params.items()
        ]
        lines += ["", "parameters", columns(rows)]
    recipes = getattr(plugin, "recipes", {})
    if recipes:
        lines += ["", "schedules"]
        lines += [f"  {budget}: {recipe}" for budget, recipe in recipes.items()]
    return lines


def _criterion(one: Criterion) -> str:
    low, high = one.range
    lines = [
        f"{one.name}: {one.title}, {one.direction} is better, takes {one.needs}",
        f"range: {low:g} to {'the number of labels' if high is None else f'{high:g}'}",
        "",
        inspect.cleandoc(type(one).__doc__ or ""),
        "",
    ]
    for title, rules in (
        ("ties", one.ties),
        ("samples without labels", one.empty_rows),
        ("samples with all labels", one.full_rows),
        ("absent classes", one.absent_classes),
    ):
        lines += [f"{title}: {convention}: {rule}" for convention, rule in rules.items()]
    return "\n".join([*lines, "", f"reference: {one.reference}"])


def _of_distributions(one: DistributionCriterion) -> str:
    lines = [
        f"{one.name}: {one.title}, {one.direction} is better, takes label distributions",
        f"range, from the best to the worst or back: {one.range}",
        "",
        inspect.cleandoc(type(one).__doc__ or ""),
        "",
        "of an image with the true distribution d and the predicted one p; the mean over images",
        "",
        f"reference: {one.reference}",
    ]
    return "\n".join(lines)
