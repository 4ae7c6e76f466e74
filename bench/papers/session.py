"""``bench paper run``: measures what tables ask for in one results folder, and writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from bench.api import BenchError
from bench.papers.claim_tests import load_tests
from bench.papers.claims import Verdict, evaluate, needs
from bench.papers.comparing import Need
from bench.papers.grid import grid_of, planned
from bench.papers.human import has_panel, human_records
from bench.papers.margins import worse_than_trivial
from bench.papers.measured import HUMAN, Finder, Setting, method_of
from bench.papers.pairs import pairs_of
from bench.papers.places import Place, Places
from bench.papers.published import claims
from bench.papers.reproduction import counted, outcomes
from bench.papers.spec import Paper, Table, Where
from bench.papers.write import Findings, write
from bench.papers.yardsticks import with_yardsticks
from bench.plugins import Registry
from bench.publish.rows import Row, ScoresOf, in_convention, newest
from bench.run.cache import with_landmarks
from bench.run.index import FaceIndex
from bench.run.plan import Plan
from bench.run.record import Record
from bench.run.runner import Limits, Listener
from bench.run.runner import run as run_plan
from bench.run.sources import Sources
from bench.run.store import Store
from bench.run.timing import FACES, time_per_image

CONVENTION = "sklearn"
"""Of the criteria: without ties and empty rows all conventions agree, and RAF-ML has none."""


@dataclass
class Done:
    """What a session found, ready to be written.

    Attributes
    ----------
    bad : list of Record
        Cells that failed or ran out of time.
    """

    registry: Registry
    setting: Setting
    papers: list[Findings] = field(default_factory=list)
    bad: list[Record] = field(default_factory=list)

    def write(self, out: Path) -> list[Path]:
        """Write the tables of every paper into ``out/<paper>/``; returns the files."""
        return [
            path for found in self.papers for path in write(found, self.registry, self.setting, out)
        ]

    def summary(self) -> list[str]:
        """One line per paper: how many numbers, with which verdicts."""
        lines = []
        for found in self.papers:
            counts = counted(found.outcomes)
            said = [f"{count} {verdict}" for verdict, count in counts.items()]
            tested = [one.verdict for one in found.verdicts]
            said += [f"claims: {tested.count(one)} {one}" for one in dict.fromkeys(tested)]
            lines.append(f"{found.paper.id}: {', '.join(said) or 'nothing is printed'}")
        for record in self.bad:
            name = "+".join(filter(None, (record.cell.features, record.cell.classifier)))
            lines.append(f"{record.status}: {name} ({record.cell.dataset}): {record.reason}")
        return lines


@dataclass(frozen=True)
class Session:
    """One call of the command.

    Parameters
    ----------
    limits : Limits
        What the run may take.
    device : str
    """

    registry: Registry
    places: Places
    setting: Setting
    store: Store
    listener: Listener
    limits: Limits
    device: str
    times: bool = True

    def all(self, chosen: Sequence[tuple[Paper, Sequence[Table]]], measure: bool = True) -> Done:
        """Run what is missing of these tables, then judge them; the caller holds the lock.

        Parameters
        ----------
        measure : bool
            False takes the records as they are.
        """
        papers = [(paper, [with_yardsticks(one) for one in tables]) for paper, tables in chosen]
        done = Done(self.registry, self.setting)
        refused: dict[tuple[str, str], str] = {}
        if measure:
            tables = [table for _, of_paper in papers for table in of_paper]
            extras = [extra for paper, of_paper in papers for extra in _extras(paper, of_paper)]
            refused, done.bad = self.run(tables, extras)
        finder = Finder(
            self.registry,
            self._records(),
            self.places,
            self.setting,
            self.store.timings(),
            refused,
        )
        for paper, tables in papers:
            worse = worse_than_trivial(paper.id)
            done.papers.append(
                Findings(
                    paper,
                    [one for table in tables for one in outcomes(table, finder, worse)],
                    _verdicts(paper, tables, finder, self.store.scores),
                    {
                        table.name: pairs_of(table, finder, self.store.scores)
                        for table in tables
                        if table.kind == "mcnemar"
                    },
                )
            )
        return done

    def run(
        self, tables: Sequence[Table], extras: Iterable[tuple[Where, str]]
    ) -> tuple[dict[tuple[str, str], str], list[Record]]:
        """Run what is missing; returns what was refused and why, and what failed."""
        grid = grid_of(tables, extras, self.places, self.setting, self.device)
        for why in grid.gaps.values():
            self.listener.said(f"left out: {why}")
        refused: dict[tuple[str, str], str] = {}
        bad: list[Record] = []

        def refuse(asked: str, run: str, why: str) -> None:
            refused[asked, run] = why
            self.listener.said(f"left out: {run} on {asked}: {why}")

        index = FaceIndex(self.store.cache)
        for group in grid.groups:
            plan = planned(self.registry, group, index, partial(refuse, group.asked))
            if plan is None:
                continue
            self._say_of(plan)
            outcome = run_plan(plan, self.store, self.listener, self.limits)
            bad += outcome.bad
            if not has_panel(self.registry, group.votes_of, plan.faces):
                refused[group.asked, HUMAN] = "no votes of single people here"
                continue
            for record in human_records(self.registry, group.votes_of, plan, self.store.has):
                self.store.write(record)
        if self.times:
            self.time(grid.timed)
        return refused, bad

    def time(self, asked: Sequence[tuple[str, Place]]) -> None:
        """Time methods that are not timed yet, one after the other."""
        sources = Sources(self.registry)
        known = {(one.method, one.dataset) for one in self.store.timings()}
        for run, place in asked:
            features, _ = method_of(self.registry, run)
            assert features is not None
            if (features.written, place.text) in known:
                continue
            try:
                faces = sources.placed(place.placed).faces.take(slice(0, FACES))
                landmarks = getattr(features.entry.load(), "needs_landmarks", False)
                if landmarks and faces.landmarks is None:
                    faces = with_landmarks(self.store.cache / "landmarks", faces, "cpu")
                found = time_per_image(features, place.text, faces, self.device, sources)
                self.store.write_timing(found)
            except BenchError as error:
                self.listener.said(f"left out: {run} is not timed: {error}")

    def _records(self) -> list[Record]:
        """What the folder holds, in the convention of the papers' tables."""
        found = []
        for record in newest(self.store.records()).kept:
            try:
                found.append(in_convention(record, CONVENTION, self.store.scores))
            except BenchError as error:
                self.listener.said(f"left out: {error}")
        return found

    def _say_of(self, plan: Plan) -> None:
        if plan.faces.synthetic:
            self.listener.said(f"{plan.faces.name} is SYNTHETIC: bench made these faces")
        for note in plan.findings:
            self.listener.said(note)


def _extras(paper: Paper, tables: Sequence[Table]) -> Iterable[tuple[Where, str]]:
    """What claims about these tables need besides them."""
    names = {table.name for table in tables}
    tests = load_tests()
    for claim in claims(paper.id):
        for need in needs(tests[claim.id]):
            if need.table in names:
                yield _where(paper, need), need.run


def _verdicts(
    paper: Paper, tables: Sequence[Table], finder: Finder, scores_of: ScoresOf
) -> list[Verdict]:
    """Every claim about these tables, tested."""
    names = {table.name for table in tables}
    tests = load_tests()

    def find(need: Need) -> Row | None:
        return finder.row(_where(paper, need), need.run)

    def timed(need: Need) -> float | None:
        return finder.seconds(_where(paper, need), need.run)

    return [
        evaluate(claim, tests[claim.id], find, timed, scores_of)
        for claim in claims(paper.id)
        if len(names) == len(paper.tables) or names & {n.table for n in needs(tests[claim.id])}
    ]


def _where(paper: Paper, need: Need) -> Where:
    """The setting that a table has for a run on a dataset.

    That of the same run, else of another with the same method, else of any; where the table has no
    such dataset, its first setting with that dataset in it.
    """
    table = next(one for one in paper.tables if one.name == need.table)
    entries = [entry for line in table.lines for entry in line.entries if entry is not None]
    fitting = [
        entry
        for entry in entries
        if need.dataset in (entry.where.target or entry.where.dataset, entry.where.dataset)
    ]
    method = re.split(r"[\[+]", need.run)[0]
    fitting.sort(key=lambda e: (e.run != need.run, re.split(r"[\[+]", e.run)[0] != method))
    if fitting:
        return fitting[0].where
    first = entries[0].where
    if first.target:
        return replace(first, target=need.dataset)
    return replace(first, dataset=need.dataset)
