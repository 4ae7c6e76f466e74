"""Runs the cells that a paper's tables name: shared with every other run of the results folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from bench.api import BenchError
from bench.papers.measured import HUMAN, Setting, asked_of, method_of
from bench.papers.places import Gap, Place, Places
from bench.papers.reading import TIME
from bench.papers.spec import Table, Where
from bench.plugins import Registry
from bench.run.grammar import split_outside
from bench.run.index import FaceIndex
from bench.run.options import RunOptions
from bench.run.plan import Plan, make_plan


@dataclass(frozen=True)
class Group:
    """Methods that one request runs: those of one setting."""

    options: RunOptions
    runs: tuple[str, ...]
    asked: str

    @property
    def votes_of(self) -> str:
        """The dataset that is asked about, without its folder."""
        if self.options.target is None:
            return self.options.dataset
        return split_outside(self.options.target, ":")[0]


@dataclass
class Grid:
    """What is to be run, and what cannot be.

    Attributes
    ----------
    groups : list of Group
    timed : list of (str, Place)
        Methods whose time per image is asked for, with the faces that they are shown.
    gaps : dict of str to str
        Datasets that are not there, with the sentence why.
    """

    groups: list[Group] = field(default_factory=list)
    timed: list[tuple[str, Place]] = field(default_factory=list)
    gaps: dict[str, str] = field(default_factory=dict)


def grid_of(
    tables: Iterable[Table],
    extras: Iterable[tuple[Where, str]],
    places: Places,
    setting: Setting,
    device: str,
) -> Grid:
    """The runs behind these tables, each once, in their order.

    Parameters
    ----------
    extras : iterable of (Where, str)
        Further methods: yardsticks, what claims ask for.
    """
    found = Grid()
    runs: dict[tuple[Any, ...], dict[str, None]] = {}
    named = [
        (entry.where, entry.run, entry.metric)
        for table in tables
        for line in table.lines
        for entry in line.entries
        if entry is not None and entry.run
    ]
    for where, run, metric in (*named, *((where, run, "") for where, run in extras)):
        if run == HUMAN:
            continue  # comes with every run on data that has votes
        where = setting.over(where, places)
        source, filled = places.find(where.dataset), places.filled(run)
        target = places.find(where.target, target=True) if where.target else None
        missing = [one for one in (source, target, filled) if isinstance(one, Gap)]
        if missing or isinstance(source, Gap) or isinstance(target, Gap):
            found.gaps |= {gap.asked: gap.why for gap in missing}
            continue
        text = str(filled)
        if metric == TIME:
            if (text, source) not in found.timed:
                found.timed.append((text, source))
            continue
        key = (
            *(source.text, source.root, where.protocol),
            *(None if target is None else target.placed, where.target_protocol),
            *(where.selection, where.budget, where.seeds, asked_of(where)),
        )
        runs.setdefault(key, {})[text] = None
    for key, methods in runs.items():
        text, root, protocol, target_text, target_protocol, selection, budget, seeds, asked = key
        options = RunOptions(
            dataset=text,
            methods=", ".join(methods),
            root=root,
            protocol=protocol,
            seeds=seeds,
            budget=budget,  # type: ignore[arg-type]
            selection=selection,  # type: ignore[arg-type]
            device=device,
            target=target_text,
            target_protocol=target_protocol or None,
        )
        found.groups.append(Group(options, tuple(methods), asked))
    return found


def planned(
    registry: Registry, group: Group, index: FaceIndex, refuse: Callable[[str, str], None]
) -> Plan | None:
    """The plan of a group; methods that cannot be planned are refused one by one.

    Parameters
    ----------
    refuse : callable
        Hears of each such method, with the sentence why.

    Returns
    -------
    Plan or None
        None where nothing is left.
    """
    try:
        return make_plan(registry, group.options, index)
    except BenchError as error:
        if len(group.runs) == 1:
            refuse(group.runs[0], str(error))
            return None
    fitting = []
    for run in group.runs:
        try:
            method_of(registry, run)
            make_plan(registry, _only(group.options, run), index)
        except BenchError as error:
            refuse(run, str(error))
        else:
            fitting.append(run)
    if not fitting:
        return None
    return make_plan(registry, _only(group.options, ", ".join(fitting)), index)


def _only(options: RunOptions, methods: str) -> RunOptions:
    return replace(options, methods=methods)
