"""``--plugins``, as every command that looks methods up takes it."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.plugins import Registry


def add_plugins(parser: argparse.ArgumentParser) -> None:
    """The option itself."""
    parser.add_argument(
        "--plugins",
        action="append",
        default=None,
        metavar="PATH",
        type=Path,
        help="plug-in file, or folder of them; may be repeated",
    )


def registry(options: argparse.Namespace) -> Registry:
    """The registry with what ``--plugins`` adds."""
    return Registry(options.plugins or ())
