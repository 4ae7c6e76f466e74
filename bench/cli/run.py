"""``bench run``: the main job."""

from __future__ import annotations

import argparse
import os
import re
import tomllib
from pathlib import Path
from typing import Any

from bench.api import BenchError, near
from bench.cli.plugins import add_plugins, registry
from bench.cli.terminal import columns, say

_DEFAULTS: dict[str, Any] = {
    "dataset": None,
    "methods": None,
    "root": None,
    "protocol": None,
    "seeds": 1,
    "budget": "paper",
    "selection": "valid",
    "device": "auto",
    "tune": None,
    "inner": None,
    "tune_by": None,
    "target": None,
    "target_protocol": None,
    "workers": None,
    "threads": 1,
    "timeout": None,
    "max_memory": None,
    "results": None,
    "plugins": None,
}
_SUFFIXES = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_UNITS = {"MB": 1e6, "GB": 1e9, "TB": 1e12}
_NAMED = 3  # cells without a result, or folds, that are named, of those with one reason
SHARE = 0.8  # of the machine's memory, for all workers together


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "run",
        help="run methods on a dataset; what is finished already is not run again",
        epilog="methods: all · lbp+mlknn · lbp+all · all+mlknn · lbp+mlknn[k=10|50|100] (a sweep), "
        "separated by commas",
    )
    parser.add_argument("--dataset", metavar="NAME", help="see bench list datasets")
    parser.add_argument("--methods", metavar="LIST", help="see bench list methods")
    parser.add_argument("--root", metavar="DIR", type=Path, help="else $BENCH_DATA/<dataset>")
    parser.add_argument(
        "--protocol",
        metavar="P",
        help="official, cv10, cv10-subject, cv10-blocks, holdout-60-20-20, cross, …",
    )
    parser.add_argument(
        "--target",
        metavar="NAME[:DIR]",
        help="protocol cross: train on --dataset, measure on this one",
    )
    parser.add_argument(
        "--target-protocol", metavar="P", help="its folds: official, cv5-subject, …"
    )
    parser.add_argument("--seeds", metavar="N", type=int, help="seeds of stochastic methods [1]")
    parser.add_argument("--budget", choices=("smoke", "quick", "paper"), help="training [paper]")
    parser.add_argument(
        "--selection",
        choices=("valid", "last", "test"),
        help="how a network's epoch is chosen; test only to match a paper that did so [valid]",
    )
    parser.add_argument(
        "--device", metavar="D", help="of networks: cpu, cuda, cuda:1 [a GPU where there is one]"
    )
    parser.add_argument(
        "--tune",
        metavar="NAMES",
        help="choose these swept parameters on the training part, instead of a row for each value",
    )
    parser.add_argument(
        "--inner", metavar="P", help="cvK, cvK-subject, cvK-blocks, holdout-A-B [cv5]"
    )
    parser.add_argument(
        "--tune-by",
        metavar="C",
        help="by which criterion [average_precision; accuracy where rows have one class]",
    )
    parser.add_argument("--workers", metavar="N", type=int, help="processes [one per core]")
    parser.add_argument(
        "--threads", metavar="N", type=int, help="of each process; rounding follows them [1]"
    )
    parser.add_argument("--timeout", metavar="T", help="for one cell: 90s, 30m, 2h")
    parser.add_argument(
        "--max-memory",
        metavar="M",
        help="for one classifier that says what it needs: 500MB, 8GB [80 %% of the machine's, "
        "shared among the workers]",
    )
    parser.add_argument("--results", metavar="DIR", type=Path, help="[./bench-results]")
    parser.add_argument("--config", metavar="FILE", type=Path, help="TOML file with these options")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and its cost only")
    add_plugins(parser)
    parser.set_defaults(function=run)


def run(options: argparse.Namespace) -> int:
    """Plan, run what is missing, write the tables."""
    wanted = _merged(options)
    for name in ("dataset", "methods"):
        if not wanted[name]:
            raise BenchError(f"--{name} is missing: bench run --dataset synthetic --methods all")
    workers = len(os.sched_getaffinity(0)) if wanted["workers"] is None else wanted["workers"]
    if not isinstance(workers, int) or workers < 1:
        raise BenchError(f"--workers {workers}: at least 1")
    threads = wanted["threads"]
    if threads < 1:
        raise BenchError(f"--threads {threads}: at least 1")
    seconds = duration(wanted["timeout"])
    allowed = memory(wanted["max_memory"])

    # Imported here: `bench --help` and a wrong option should not wait for NumPy.
    from bench.cli.progress import display
    from bench.publish import tables
    from bench.run.memory import machine_memory
    from bench.run.plan import Request, make_plan
    from bench.run.runner import default_timeout, results_folder
    from bench.run.runner import run as run_plan
    from bench.run.store import Store

    options.plugins = wanted["plugins"]
    found = registry(options)
    for entry in found.broken:
        say(f"left out, broken: {entry.reason}")
    for entry in found:
        if entry.state != "ready":
            say(f"left out: {entry.name} {entry.state}: {entry.reason}")
    store = Store(results_folder(wanted["results"]))
    if not options.dry_run:
        store.open()
    request = Request(
        wanted["dataset"],
        wanted["methods"],
        wanted["root"],
        wanted["protocol"],
        wanted["seeds"],
        wanted["budget"],
        wanted["selection"],
        wanted["device"],
        wanted["tune"],
        wanted["inner"],
        wanted["tune_by"],
        wanted["target"],
        wanted["target_protocol"],
    )
    plan = make_plan(found, request)
    for note in plan.faces.notes + plan.findings:
        say(note)
    if plan.faces.synthetic:
        say("SYNTHETIC: bench made this data; numbers on it say nothing about real faces")
    for warning in _warnings(plan):
        say(warning)
    if options.dry_run:
        print(_described(plan, store, workers))
        return 0
    _warn_of_long_training(plan, store, request.budget, workers)
    timeout = default_timeout(request.budget) if seconds is None else seconds
    max_memory = SHARE * machine_memory() / workers if allowed is None else allowed
    with store.locked(lambda who: say(f"waiting: {store.root} is in use by {who}")):
        with display() as listener:
            outcomes = run_plan(
                plan,
                store,
                listener,
                workers=workers,
                timeout=timeout,
                threads=threads,
                max_memory=max_memory,
            )
        dataset = outcomes.records[0].cell.dataset
        records = [record for record in store.records() if record.cell.dataset == dataset]
        written = tables.write(records, store.tables, scores_of=store.scores)
    for path in written:
        print(path)
    missing: dict[tuple[str, str], list[str]] = {}  # cells that have one reason are named together
    for record in outcomes.records:
        if record.status != "ok":
            name = "+".join(filter(None, (record.cell.features, record.cell.classifier)))
            cells = missing.setdefault((record.status, record.reason), [])
            cells.append(f"{name} ({record.cell.split})")
    for (status, reason), cells in missing.items():
        say(f"{status}: {_first(cells)}: {reason}")
    return 1 if outcomes.bad else 0


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


def _warn_of_long_training(plan: Any, store: Any, budget: str, workers: int) -> None:
    from bench.run.plan import training_seconds
    from bench.run.runner import pending

    todo, _ = pending(plan, store)
    hours = training_seconds(plan, todo, store.records()) / workers / 3600
    if hours > 1:
        say(
            f"training may take about {hours:,.0f} hours at --budget {budget} on this machine; "
            "--dry-run shows what takes how long, --budget quick takes minutes a network"
        )


def _merged(options: argparse.Namespace) -> dict[str, Any]:
    """Options from the command line, else from ``--config``, else the defaults."""
    wanted = dict(_DEFAULTS)
    if options.config is not None:
        wanted.update(_config(options.config))
    given = {name: getattr(options, name) for name in _DEFAULTS}
    wanted.update({name: value for name, value in given.items() if value is not None})
    return wanted


def _config(path: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BenchError(f"--config {path}: {error}") from error
    kinds = {"seeds": int, "workers": int, "threads": int, "plugins": list}
    for name, value in found.items():
        if name not in _DEFAULTS:
            raise BenchError(f"--config {path}: unknown key {name!r}: {near(name, _DEFAULTS)}")
        kind = kinds.get(name, str)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise BenchError(f"--config {path}: {name} must be {kind.__name__}, not {value!r}")
    # Paths in the file are meant from where the file lies.
    for name in ("root", "results"):
        if name in found:
            found[name] = path.parent / found[name]
    if "plugins" in found:
        found["plugins"] = [path.parent / str(item) for item in found["plugins"]]
    return found


def duration(text: str | None) -> float | None:
    """Seconds of ``--timeout``."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    seconds = float(match[1]) * _SUFFIXES[match[2]] if match else 0.0
    if seconds <= 0:
        raise BenchError(f"--timeout {text}: write 90s, 30m or 2h")
    return seconds


def memory(text: str | None) -> float | None:
    """Bytes of ``--max-memory``."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([MGT]B)", text.strip().upper())
    size = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if size <= 0:
        raise BenchError(f"--max-memory {text}: write 500MB or 8GB")
    return size


def _described(plan: Any, store: Any, workers: int) -> str:
    from bench.run.plan import estimate
    from bench.run.runner import foreseen, label, pending

    inner, (inner_todo, inner_done) = plan.inner(), pending(plan.inner(), store.tuning)
    plan, open_ = foreseen(plan, inner_done)
    todo, done = pending(plan, store)
    places = (store.tuning, store)
    records = [record for one in places if one.runs.is_dir() for record in one.records()]
    features = {**plan.feature_jobs(inner_todo), **plan.feature_jobs(todo)}
    rows, total, unknown = [["work", "estimated", "from"]], 0.0, 0
    for job in (*features.values(), *inner_todo, *todo):
        size = len(plan.faces) if job.key in features else job.cell.n_train
        seconds, source = estimate(job, size, records)
        known = seconds == seconds
        total += seconds if known else 0.0
        unknown += not known
        said = label(job) + (f" (or another of {open_[job.key]})" if job.key in open_ else "")
        rows.append([said, f"{seconds:.0f} s" if known else "?", source])
    ready = [job for job in inner.jobs if job.key in inner_done]
    ready += [job for job in plan.jobs if job.key in done]
    rows += [[label(job), "0 s", "finished"] for job in ready]
    end = f"{len(plan.jobs)} cells, {len(todo)} to measure, "
    if inner.jobs:
        end += f"after {len(inner.jobs)} inner cells, {len(inner_todo)} to measure, "
    end += f"about {total / workers:.0f} s on {workers} worker{'s' if workers > 1 else ''}"
    if unknown:
        end += f", {unknown} of unknown cost not counted"
    return f"{columns(rows)}\n\n{end}"
