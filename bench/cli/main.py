"""The ``bench`` command: finds the sub-command, turns errors into one sentence and an exit code.

Exit codes: 0 all cells (or checks) ok, 1 some failed, 2 the command or its data were wrong,
130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

from bench import __version__
from bench.api import BenchError
from bench.cli import check, data, info, new, paper, run, tables
from bench.cli import list as list_command
from bench.cli.terminal import clean

COMMANDS = (run, tables, paper, list_command, info, data, new, check)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="bench",
        description="The benchmark suite of multi-label facial expression recognition.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"bench {__version__}")
    top.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        code: int = options.function(options)
        sys.stdout.flush()
        return code
    except BenchError as error:
        return _refuse(options, str(error), error)
    except BrokenPipeError:
        # The reader went away (`bench list | head`): no more can be said, and nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _refuse(options, f"{error.filename or 'file'}: {error.strerror or error}", error)
    except KeyboardInterrupt:
        print(
            "bench: interrupted; what is finished is kept, the same command does the rest",
            file=sys.stderr,
        )
        return 130


def _refuse(options: argparse.Namespace, sentence: str, error: Exception) -> int:
    """Print one sentence about a wrong command, its traceback only with ``--debug``."""
    if options.debug:
        traceback.print_exception(error)
    print(f"bench: {clean(sentence)}", file=sys.stderr)
    return 2
