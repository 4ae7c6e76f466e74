"""``bench runs list`` and ``rm``: what a results folder holds, and records that are not wanted."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from bench.api import BenchError
from bench.cli.options import add_options, chosen
from bench.cli.terminal import clean, columns, confirmed, say

if TYPE_CHECKING:
    from bench.publish.choosing import NamedRecord
    from bench.run.record import RecordError
    from bench.run.store import Store


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command's two parts."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listed = verbs.add_parser("list", help="records, a line each")
    _which(listed)
    listed.set_defaults(function=run_list)
    removed = verbs.add_parser("rm", help="remove records, with their scores")
    _which(removed)
    removed.add_argument("--yes", action="store_true", help="do not ask")
    removed.set_defaults(function=run_rm)


def _which(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "methods",
        metavar="METHOD",
        nargs="*",
        help="lbp+mlknn, a row's name in quotes, or the key of a record or its first 8 digits",
    )
    parser.add_argument("--dataset", metavar="NAME", help="only of this dataset")
    parser.add_argument(
        "--seed", metavar="N", type=int, action="append", default=[], help="repeatable"
    )
    parser.add_argument("--failed", action="store_true", help="only cells without a result")
    add_options(parser, ["results"])


def run_list(options: argparse.Namespace) -> int:
    """Print a line for each record."""
    store = _store(options)
    records, damaged = _found(store, options)
    if records:
        print(
            columns(
                [
                    ["key", "status", "dataset", "split", "method", "seed", "reason"],
                    *map(_row, records),
                ]
            )
        )
    for error in damaged:
        say(f"{error.where.parent.name}: damaged ({error.why})")
    say(f"{len(records)} records, {len(damaged)} damaged")
    return 0


def run_rm(options: argparse.Namespace) -> int:
    """Remove records once the user has agreed; a sentence for each."""
    if not (options.methods or options.dataset or options.seed or options.failed):
        raise BenchError(
            "bench runs rm removes what is named: a METHOD or a key, --dataset, --seed or --failed "
            "(bench runs list shows what there is)"
        )
    store = _store(options)
    records, damaged = _found(store, options)
    names = {one.record.key: _sentence(one) for one in records}
    if options.methods:  # a damaged record has no method, only a key
        names |= {e.where.parent.name: f"{e.where.parent.name} (damaged)" for e in damaged}
    if not names:
        raise BenchError("no record is like that; bench runs list shows what there is")
    if not options.yes:
        for name in names.values():
            say(name)
        answer = confirmed(f"Remove {'these' if len(names) > 1 else 'this'} {len(names)}?")
        if answer is None:
            raise BenchError(f"{len(names)} records would be removed: say so with --yes")
        if not answer:
            say("nothing was removed")
            return 0
    with store.locked(lambda who: say(f"waiting: {store.root} is in use by {who}")):
        for key, name in names.items():
            store.remove(key)
            print(clean(f"removed: {name}"))
        store.rebuild()
    say("bench tables writes the tables anew")
    return 0


def _store(options: argparse.Namespace) -> Store:
    # Imported here, as in every command: `bench --help` need not wait for NumPy.
    from bench.run.store import Store

    store = Store(chosen(options, ["results"]).results)
    store.check()
    return store


def _found(
    store: Store, options: argparse.Namespace
) -> tuple[list[NamedRecord], list[RecordError]]:
    """The records that the user means, and the damaged ones among them."""
    from bench.publish.choosing import choose, named

    damaged: list[RecordError] = []
    records = named(store.records(damaged.append))
    words, of_damaged = [], []
    for word in options.methods:
        meant = [error for error in damaged if _begins(error.where.parent.name, word)]
        of_damaged += meant
        words += [] if meant else [word]
    conditions = (options.dataset, options.seed, options.failed)
    if options.methods:
        return (choose(records, words, *conditions) if words else []), of_damaged
    return choose(records, [], *conditions), [] if any(conditions) else damaged


def _begins(key: str, word: str) -> bool:
    return len(word) >= 8 and key.startswith(word)


def _row(one: NamedRecord) -> list[str]:
    cell = one.record.cell
    return [
        one.record.key[:8],
        one.record.status,
        cell.dataset,
        f"{cell.protocol}, {cell.split}" if cell.split != str(cell.protocol) else cell.split,
        one.name.replace(" + ", "+"),
        str(cell.seed) if cell.stochastic else "",
        one.record.reason,
    ]


def _sentence(one: NamedRecord) -> str:
    key, status, dataset, split, name, seed, _ = _row(one)
    seed = f", seed {seed}" if seed else ""
    return f"{name} on {dataset}, {split}{seed}: {status} ({key})"
