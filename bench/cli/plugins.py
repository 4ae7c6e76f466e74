"""``--plugins``, as every command that looks methods up takes it."""

from __future__ import annotations

import argparse

from bench.cli.options import add_options
from bench.plugins import Registry
from bench.run.options import RunOptions


def add_plugins(parser: argparse.ArgumentParser) -> None:
    """The option itself."""
    add_options(parser, ["plugins"])


def registry(options: argparse.Namespace | RunOptions) -> Registry:
    """The registry with what ``--plugins`` adds."""
    return Registry(options.plugins or ())
