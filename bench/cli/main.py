"""The ``bench`` command: finds the sub-command, turns errors into one sentence and an exit code.

Exit codes: 0 all cells (or checks) ok, 1 some failed or all were skipped, 2 the command or its data
were wrong, 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from bench import __version__
from bench.cli.terminal import clean
from bench.data.streams import make_readable

COMMANDS = {
    "run": "run methods on a dataset; what is finished already is not run again",
    "tables": "write CSV, LaTeX and Markdown tables",
    "compare": "are two methods different? from stored results",
    "runs": "list what a results folder holds, or remove some of it",
    "paper": "the papers' tables, published beside measured",
    "list": "methods, datasets, criteria and papers that there are",
    "info": "reference, parameters and rules of one name",
    "data": "make datasets, align photographs",
    "new": "write a plug-in file to start from",
    "check": "does a plug-in keep the contract? one line each",
}
"""Each sub-command is a module of this package, imported only where the command is used."""


class _Command(argparse.ArgumentParser):
    """The parser of a sub-command, whose arguments are declared when there is something to parse.

    Parameters
    ----------
    module : str or None
        The module of this package whose ``declare`` knows the arguments; None where somebody else
        declares them.
    """

    def __init__(self, module: str | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.module = module

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """As every parser."""
        module, self.module = self.module, None
        if module is not None:
            importlib.import_module(f"bench.cli.{module}").declare(self)
        options, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(self._unknown(rest))
        return options, rest

    def _unknown(self, rest: Sequence[str]) -> str:
        """The sentence on words that no argument takes."""
        from bench.api import near

        words = [word for word in rest if word.startswith("-")]
        if not words:
            return (
                f"nothing takes {' '.join(rest)}: in a shell, put what holds blanks, [ ] or | in "
                'quotes, as in --methods "lbp+mlknn[k=5|10], hog+mlknn"'
            )
        wrong, known = words[0].partition("=")[0], self._option_string_actions
        return f"no option {wrong}: {near(wrong, [one for one in known if one[:2] == '--'])}"


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = _Command(
        prog="bench",
        description="The benchmark suite of multi-label facial expression recognition.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"bench {__version__}")
    top.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = top.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=_Command
    )
    for name, line in COMMANDS.items():
        commands.add_parser(name, help=line, module=name)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    make_readable()
    options = parser().parse_args(arguments)
    from bench.api import BenchError  # here: `bench --help` need not wait for the contract

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
        import traceback  # of little use to most commands, and not quick to import

        traceback.print_exception(error)
    print(f"bench: {clean(sentence)}", file=sys.stderr)
    return 2
