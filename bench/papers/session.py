"""``bench paper run``: measures what tables ask for in one results folder, and judges it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from bench.api import BenchError
from bench.papers.claim_tests import load_tests
from bench.papers.claims import Verdict, evaluate, needs
from bench.papers.comparing import Evidence
from bench.papers.contrasts import Need
from bench.papers.conventions import hanging_print, hanging_rows
from bench.papers.convergence import of_all_lengths
from bench.papers.grid import Group, grid_of, planned
from bench.papers.human import has_panel, human_records, write_half_panels
from bench.papers.margins import worse_than_trivial
from bench.papers.measured import Finder, Overrides
from bench.papers.methods import HUMAN, method_of
from bench.papers.pairs import pairs_of
from bench.papers.places import Place, Places
from bench.papers.published import claims
from bench.papers.reproduction import counted, reproductions
from bench.papers.spec import Conditions, Paper, PaperTable
from bench.papers.timing import FACES, read_timings, time_per_image, write_timing
from bench.papers.write import PaperResults, write
from bench.papers.yardsticks import with_yardsticks
from bench.plugins import Registry
from bench.publish.rows import Row, ScoresOf, as_far_as_held, newest
from bench.run.cache import with_landmarks
from bench.run.index import FaceIndex
from bench.run.plan import Plan
from bench.run.record import Record
from bench.run.runner import Limits, Listener
from bench.run.runner import run as run_plan
from bench.run.sources import Sources
from bench.run.store import Store
from bench.score.criteria import CONVENTIONS

Chosen = Sequence[tuple[Paper, Sequence[PaperTable]]]


@dataclass(frozen=True)
class SessionResults:
    """What a session measured, ready to be written.

    Attributes
    ----------
    failed : list of Record
        Cells that failed or ran out of time.
    """

    registry: Registry
    overrides: Overrides
    papers: list[PaperResults]
    failed: list[Record]

    def write(self, out: Path) -> list[Path]:
        """Write the tables of every paper into ``out/<paper>/``; returns the files."""
        return [
            path
            for results in self.papers
            for path in write(results, self.registry, self.overrides, out)
        ]

    def summary(self) -> list[str]:
        """A line for each paper, how many numbers have which verdict, and for each failure."""
        return [*map(_verdicts_in_words, self.papers), *map(_failure_in_words, self.failed)]


def _verdicts_in_words(results: PaperResults) -> str:
    counts = counted(results.reproductions)
    verdicts = [f"{count} {verdict}" for verdict, count in counts.items()]
    tested = [verdict.verdict for verdict in results.verdicts]
    verdicts += [f"claims: {tested.count(name)} {name}" for name in dict.fromkeys(tested)]
    return f"{results.paper.id}: {', '.join(verdicts) or 'nothing is printed'}"


def _failure_in_words(record: Record) -> str:
    name = "+".join(filter(None, (record.cell.features, record.cell.classifier)))
    return f"{record.status}: {name} ({record.cell.dataset}): {record.reason}"


@dataclass(frozen=True)
class Session:
    """One call of the command.

    Parameters
    ----------
    limits : Limits
        What the run may take.
    device : str
    times : bool
        Whether times per image are taken too.
    """

    registry: Registry
    places: Places
    overrides: Overrides
    store: Store
    listener: Listener
    limits: Limits
    device: str
    times: bool = True

    def run(self, chosen: Chosen, measure: bool = True) -> SessionResults:
        """Run what is missing of these tables, then judge them; the caller holds the lock.

        Parameters
        ----------
        measure : bool
            False takes the records as they are.
        """
        papers = [(paper, [with_yardsticks(table) for table in tables]) for paper, tables in chosen]
        runs = _Runs(self)
        if measure:
            runs.all(papers)
        found = self.store.records(damaged=lambda e: self.listener.said(f"left out: {e}"))
        kept = newest(found).kept
        timings = read_timings(self.store.root)
        finders = {
            convention: Finder(
                self.registry,
                [as_far_as_held(record, convention, self.store.scores) for record in kept],
                self.places,
                self.overrides,
                timings,
                runs.refused,
            )
            for convention in CONVENTIONS
        }
        results = [self._judged(paper, tables, finders) for paper, tables in papers]
        return SessionResults(self.registry, self.overrides, results, runs.failed)

    def _judged(
        self, paper: Paper, tables: Sequence[PaperTable], finders: Mapping[str, Finder]
    ) -> PaperResults:
        """The results of a paper from what is measured, by its own convention of the criteria."""
        finder = finders[self.convention(paper)]
        worse = worse_than_trivial(paper.id)
        judged = [result for table in tables for result in reproductions(table, finder, worse)]
        return PaperResults(
            paper,
            [hanging_print(result, finders) for result in judged],
            _verdicts(paper, tables, finders, self.convention(paper), self.store.scores),
            {
                table.name: pairs_of(table, finder, self.store.scores)
                for table in tables
                if table.kind == "mcnemar"
            },
            {table.name: hanging_rows(table, finders) for table in tables},
        )

    def convention(self, paper: Paper) -> str:
        """Which convention of the criteria the paper's tables are by."""
        return self.overrides.convention or paper.convention


@dataclass
class _Runs:
    """The runs of a session.

    Attributes
    ----------
    refused : dict of (str, str) to str
        Data and methods that could not be planned, and why.
    failed : list of Record
    """

    session: Session
    refused: dict[tuple[str, str], str] = field(default_factory=dict)
    failed: list[Record] = field(default_factory=list)

    def all(self, papers: Chosen) -> None:
        """Run every group of methods that these tables and their claims need."""
        session = self.session
        tables = [table for _, of_paper in papers for table in of_paper]
        extras = [extra for paper, of_paper in papers for extra in _extras(paper, of_paper)]
        grid = grid_of(tables, extras, session.places, session.overrides, session.device)
        for why in grid.gaps.values():
            session.listener.said(f"left out: {why}")
        index = FaceIndex(session.store.cache, session.listener.said)
        for group in grid.groups:
            plan = planned(session.registry, group, index, partial(self._refuse, group.data))
            if plan is not None:
                self._run(group, plan)
        if session.times:
            _time(session, grid.timed)

    def _refuse(self, data: str, run: str, why: str) -> None:
        self.refused[data, run] = why
        self.session.listener.said(f"left out: {run} on {data}: {why}")

    def _run(self, group: Group, plan: Plan) -> None:
        """Run a group's plan, then add people's row where the data have votes."""
        session = self.session
        if plan.faces.synthetic:
            session.listener.said(f"{plan.faces.name} is SYNTHETIC: bench made these faces")
        for note in plan.findings:
            session.listener.said(note)
        self.failed += run_plan(plan, session.store, session.listener, session.limits).bad
        if not has_panel(session.registry, group.measured, plan.faces):
            self.refused[group.data, HUMAN] = "no votes of single people here"
            return
        for record in human_records(session.registry, group.measured, plan, session.store.has):
            session.store.write(record)
        said = session.listener.said
        write_half_panels(session.registry, group.measured, plan, session.store, said)


def _time(session: Session, timed: Sequence[tuple[str, Place]]) -> None:
    """Time methods that are not timed yet, one after the other."""
    sources = Sources(session.registry)
    known = {(timing.method, timing.dataset) for timing in read_timings(session.store.root)}
    for run, place in timed:
        features, _ = method_of(session.registry, run)
        assert features is not None
        if (features.written, place.text) in known:
            continue
        try:
            faces = sources.placed(place.placed).faces.take(slice(0, FACES))
            landmarks = getattr(features.entry.load(), "needs_landmarks", False)
            if landmarks and faces.landmarks is None:
                faces = with_landmarks(session.store.cache / "landmarks", faces, "cpu")
            timing = time_per_image(features, place.text, faces, session.device, sources)
            write_timing(session.store.root, timing)
        except BenchError as error:
            session.listener.said(f"left out: {run} is not timed: {error}")


# -- claims ---------------------------------------------------------------------------------------


def _extras(paper: Paper, tables: Sequence[PaperTable]) -> Iterable[tuple[Conditions, str]]:
    """What claims about these tables need besides them."""
    names = {table.name for table in tables}
    tests = load_tests()
    for claim in claims(paper.id):
        for need in needs(tests[claim.id]):
            if need.table in names:
                yield conditions_of(paper, need), need.run


def _verdicts(
    paper: Paper,
    tables: Sequence[PaperTable],
    finders: Mapping[str, Finder],
    convention: str,
    scores_of: ScoresOf,
) -> list[Verdict]:
    """Every claim about these tables, tested by each convention of the criteria."""
    names = {table.name for table in tables}
    tests = load_tests()
    by_name = {name: _evidence(paper, finder, scores_of) for name, finder in finders.items()}
    evidence = by_name.pop(convention)
    return [
        evaluate(claim, tests[claim.id], evidence, by_name)
        for claim in claims(paper.id)
        if len(names) == len(paper.tables)
        or names & {need.table for need in needs(tests[claim.id])}
    ]


def _evidence(paper: Paper, finder: Finder, scores_of: ScoresOf) -> Evidence:
    """What is measured, for claims of a paper."""

    def row(need: Need) -> Row | None:
        return finder.row(conditions_of(paper, need), need.run)

    def seconds(need: Need) -> float | None:
        return finder.seconds(conditions_of(paper, need), need.run)

    lengths = partial(of_all_lengths, records=finder.records)
    return Evidence(row, seconds=seconds, scores_of=scores_of, lengths=lengths)


def conditions_of(paper: Paper, need: Need) -> Conditions:
    """The conditions that a table has for a run on a dataset.

    Those of the same run, else of another with the same method, else of any; where the table has no
    such dataset, its first ones with that dataset in them. A dataset's name alone is the table's
    version of it: ``jaffe`` where that has ``jaffe[align=mtcnn]``. What a table has beside its
    paper's rows stands below them, so that their conditions count.
    """
    table = next(table for table in paper.tables if table.name == need.table)
    method = _method(need.run)
    entries = sorted(
        (entry for entry in table.entries if need.dataset in _datasets(entry.conditions)),
        key=lambda entry: (entry.run != need.run, _method(entry.run) != method),
    )
    if entries:
        return entries[0].conditions
    first = table.entries[0].conditions
    if first.target:
        return replace(first, target=need.dataset)
    return replace(first, dataset=need.dataset)


def _datasets(conditions: Conditions) -> set[str]:
    """The datasets, and their names without what tells their versions apart."""
    names = set(filter(None, (conditions.dataset, conditions.target)))
    return names | {name.partition("[")[0] for name in names}


def _method(run: str) -> str:
    """The first name of a run."""
    return re.split(r"[\[+]", run)[0]
