"""``bench check FILE``: the plug-in test kit over the plug-ins of a file."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from bench.api import BenchError
from bench.cli.plugins import add_plugins
from bench.cli.terminal import clean
from bench.plugins import Registry


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("file", metavar="FILE", type=Path, help="plug-in file, or folder of them")
    add_plugins(parser)
    parser.set_defaults(function=run)


def run(options: argparse.Namespace) -> int:
    """Print what came of every check, as it comes; 1 where one failed."""
    if not options.file.exists():
        raise BenchError(f"{options.file}: no such file or folder; give the file of a plug-in")
    found = Registry([options.file, *(options.plugins or ())])
    place = options.file.resolve()
    broken = [one for one in found.broken if place in (one.file, one.file.parent)]
    entries = [one for one in found if place in (one.file, one.file.parent)]

    # Imported here: a wrong name should not wait for NumPy.
    import tempfile

    from bench.kit.examine import Finding, examine

    statuses: Counter[str] = Counter()

    def say(finding: Finding) -> None:
        statuses[finding.status] += 1
        reason = f": {finding.reason}" if finding.reason else ""
        print(clean(f"{finding.plugin}: {finding.check}: {finding.status}{reason}"), flush=True)

    for entry in broken:
        say(Finding(entry.name, "import", "failed", entry.reason))
    with tempfile.TemporaryDirectory() as folder:
        for entry in entries:
            for finding in examine(entry, Path(folder, "worker.log")):
                say(finding)
    counts = ", ".join(f"{count} {status}" for status, count in statuses.most_common())
    print(f"{statuses.total()} checks: {counts}")
    return 1 if statuses["failed"] else 0
