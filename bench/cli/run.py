"""``bench run``: the main job."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api import BenchError
from bench.cli.options import add_options, chosen, is_given
from bench.cli.plugins import registry
from bench.cli.terminal import columns, confirmed, say

if TYPE_CHECKING:
    from bench.plugins import Registry
    from bench.run.plan import Plan
    from bench.run.runner import Limits, Outcomes
    from bench.run.store import Store

_ANNOUNCED = 3600.0  # seconds of training
_UNASKED = 2 * 3600.0  # more are not begun unasked
_NAMED = 3  # cells without a result, or folds, that are named, of those with one reason


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "methods: all · lbp+mlknn · lbp+all · all+mlknn · lbp+mlknn[k=10|50|100] (a sweep), "
        "separated by commas"
    )
    add_options(parser)
    parser.add_argument("--config", metavar="FILE", type=Path, help="TOML file with these options")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and its cost only")
    parser.add_argument(
        "--yes", action="store_true", help="train for hours without --budget, and do not ask"
    )
    parser.set_defaults(function=run)


def run(namespace: argparse.Namespace) -> int:
    """Plan, run what is missing, write the tables."""
    options = chosen(namespace)
    options.check()

    # Imported here: `bench --help` and a wrong option should not wait for NumPy.
    from bench.run.index import FaceIndex
    from bench.run.plan import make_plan
    from bench.run.runner import Limits
    from bench.run.store import Store

    limits = Limits.of(options)
    plugins = registry(options)
    _say_what_is_left_out(plugins)
    store = Store(options.results)
    if not namespace.dry_run:
        store.open()
    plan = make_plan(plugins, options, FaceIndex(store.cache, say))
    _say_what_the_data_are(plan)
    if namespace.dry_run:
        print(_described(plan, store, limits.workers))
        return 0
    agreed = namespace.yes or is_given(namespace, "budget")
    _say_how_long_training_is(plan, store, options.budget, limits.workers, agreed)
    with store.locked(lambda who: say(f"waiting: {store.root} is in use by {who}")):
        outcomes, written = _measured(plan, store, limits, plugins)
    for path in written:
        print(path)
    _say_what_has_no_result(outcomes)
    return 1 if outcomes.failed else 0


def _measured(
    plan: Plan, store: Store, limits: Limits, plugins: Registry
) -> tuple[Outcomes, list[Path]]:
    """Run the plan and write the tables of its dataset."""
    from bench.cli.progress import display
    from bench.papers.human import write_half_panels
    from bench.publish import tables
    from bench.run.runner import run as run_plan

    with display() as listener:
        outcomes = run_plan(plan, store, listener, limits)
    dataset = outcomes.records[0].cell.dataset
    write_half_panels(plugins, dataset, plan, store, say)
    found = store.records(damaged=lambda error: say(f"left out: {error}"))
    records = [record for record in found if record.cell.dataset == dataset]
    written = tables.write(records, store.tables, scores_of=store.scores, registry=plugins)
    return outcomes, written


def _say_what_is_left_out(plugins: Registry) -> None:
    for entry in plugins.broken:
        say(f"left out, broken: {entry.reason}")
    for entry in plugins:
        if entry.state != "ready":
            say(f"left out: {entry.name} {entry.state}: {entry.reason}")


def _say_what_the_data_are(plan: Plan) -> None:
    for note in plan.faces.notes + plan.findings:
        say(note)
    if plan.faces.synthetic:
        say("SYNTHETIC: bench made this data; numbers on it say nothing about real faces")
    for warning in _warnings(plan):
        say(warning)


def _say_what_has_no_result(outcomes: Outcomes) -> None:
    """Cells that have one reason are named together."""
    missing: dict[tuple[str, str], list[str]] = {}
    for record in outcomes.records:
        if record.status != "ok":
            name = "+".join(filter(None, (record.cell.features, record.cell.classifier)))
            cells = missing.setdefault((record.status, record.reason), [])
            cells.append(f"{name} ({record.cell.split})")
    for (status, reason), cells in missing.items():
        say(f"{status}: {_first(cells)}: {reason}")


def _warnings(plan: Any) -> list[str]:
    """What the folds have to say (subjects on both sides), folds that say the same together."""
    noted: dict[str, dict[str, None]] = {}
    for job in (*plan.jobs, *(one.outer[0] for one in plan.contests), *plan.inner().jobs):
        if job.fold.note:
            noted.setdefault(job.fold.note, {})[job.fold.name] = None
    said = [f"warning: {_first(list(folds))}: {note}" for note, folds in noted.items()]
    if len(said) > _NAMED:
        rest = sum(len(folds) for folds in list(noted.values())[_NAMED:])
        return [*said[:_NAMED], f"warning: {rest} more folds: the like"]
    return said


def _first(names: list[str]) -> str:
    """The first of the names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _say_how_long_training_is(
    plan: Plan, store: Store, budget: str, workers: int, agreed: bool
) -> None:
    """Announce long training; ask before hours of it that the user may not know of.

    Raises
    ------
    BenchError
        The user says no, or cannot be asked.
    """
    from bench.data.text import duration
    from bench.run.estimates import training_seconds

    seconds = training_seconds(plan, store, workers)
    training = f"training may take about {duration(seconds)} at --budget {budget} on this machine"
    if agreed or seconds <= _UNASKED:
        if seconds > _ANNOUNCED:
            say(f"{training}; --dry-run shows what takes how long")
        return
    answer = confirmed(f"{training}. Start it?")
    if not answer:
        why = "and was not wanted" if answer is False else "and nobody can be asked here"
        raise BenchError(
            f"{training}, {why}: give --budget {budget} or --yes to start it, --budget quick for "
            "minutes a network, or --dry-run to see what takes how long"
        )


def _described(plan: Plan, store: Store, workers: int) -> str:
    """The plan as a table, and its cost in a sentence."""
    from bench.data.text import duration
    from bench.run.estimates import forecast

    cost = forecast(plan, store)
    rows = [["work", "estimated", "from"]]
    for piece in cost.estimates:
        known = piece.seconds == piece.seconds
        rows.append([piece.work, duration(piece.seconds) if known else "?", piece.basis])
    end = f"{cost.cells} cells, {cost.to_measure} to measure, "
    if cost.inner:
        end += f"after {cost.inner} inner cells, {cost.inner_to_measure} to measure, "
    plural = "s" if workers > 1 else ""
    end += f"about {duration(cost.seconds / workers)} on {workers} worker{plural}"
    if cost.unknown:
        end += f", {cost.unknown} of unknown cost not counted"
    return f"{columns(rows)}\n\n{end}"
