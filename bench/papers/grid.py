"""Which runs stand behind the papers' tables: each once, grouped as `bench run` takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from bench.api import BenchError
from bench.papers.measured import Overrides
from bench.papers.methods import HUMAN, method_of
from bench.papers.places import Located, MissingDataError, Place, Places
from bench.papers.reading import TIME
from bench.papers.spec import Conditions, PaperTable
from bench.plugins import Registry
from bench.run.grammar import split_outside
from bench.run.index import FaceIndex
from bench.run.options import RunOptions
from bench.run.plan import Plan, make_plan


@dataclass(frozen=True)
class Group:
    """Methods under the same conditions, which are planned and run together.

    Attributes
    ----------
    options : RunOptions
        With all methods.
    runs : tuple of str
        The methods one by one.
    data : str
        The papers' datasets, in words.
    """

    options: RunOptions
    runs: tuple[str, ...]
    data: str

    @property
    def measured(self) -> str:
        """The dataset that is measured, without its folder."""
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
        Methods whose time per image is wanted, with the faces that they are shown.
    gaps : dict of str to str
        Datasets that are not there, with the sentence why.
    """

    groups: list[Group] = field(default_factory=list)
    timed: list[tuple[str, Place]] = field(default_factory=list)
    gaps: dict[str, str] = field(default_factory=dict)


def grid_of(
    tables: Iterable[PaperTable],
    extras: Iterable[tuple[Conditions, str]],
    places: Places,
    overrides: Overrides,
    device: str,
) -> Grid:
    """The runs behind these tables, each once, in their order.

    Parameters
    ----------
    extras : iterable of (Conditions, str)
        Further methods: what claims ask for.
    """
    grid = Grid()
    runs: dict[tuple[RunOptions, str], dict[str, None]] = {}
    for conditions, run, metric in _wanted(tables, extras):
        try:
            located = places.locate(overrides.over(conditions), run)
        except MissingDataError as missing:
            grid.gaps |= {gap.dataset: gap.why for gap in missing.gaps}
            continue
        if metric != TIME:
            key = (_options(located, device), conditions.data)
            runs.setdefault(key, {})[located.run] = None
        elif (located.run, located.source) not in grid.timed:
            grid.timed.append((located.run, located.source))
    grid.groups = [
        Group(replace(options, methods=", ".join(methods)), tuple(methods), data)
        for (options, data), methods in runs.items()
    ]
    return grid


def _wanted(
    tables: Iterable[PaperTable], extras: Iterable[tuple[Conditions, str]]
) -> Iterator[tuple[Conditions, str, str]]:
    """Conditions, method and metric of what is to be run; people come with data that have votes."""
    for table in tables:
        for entry in table.entries:
            if entry.run not in ("", HUMAN):
                yield entry.conditions, entry.run, entry.metric
    for conditions, run in extras:
        yield conditions, run, ""


def _options(located: Located, device: str) -> RunOptions:
    """Options of a run without its methods."""
    conditions, source, target = located.conditions, located.source, located.target
    return RunOptions(
        dataset=source.text,
        root=source.root,
        protocol=conditions.protocol,
        seeds=conditions.seeds,
        budget=conditions.budget,  # type: ignore[arg-type]
        selection=conditions.selection,  # type: ignore[arg-type]
        device=device,
        target=None if target is None else target.placed,
        target_protocol=conditions.target_protocol or None,
    )


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
            make_plan(registry, replace(group.options, methods=run), index)
        except BenchError as error:
            refuse(run, str(error))
        else:
            fitting.append(run)
    if not fitting:
        return None
    return make_plan(registry, replace(group.options, methods=", ".join(fitting)), index)
