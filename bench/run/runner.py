"""Runs a plan: what is missing, on the pool, and nothing twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Protocol

from bench.api import BenchError, UnavailableError
from bench.data.files import DiskFullError
from bench.run.cache import save_faces
from bench.run.measure import FeatureJob, Job, ensure_features, failed, measure
from bench.run.plan import Plan
from bench.run.pool import Outcome, Pool, Task
from bench.run.provenance import provenance
from bench.run.record import Record
from bench.run.scoring import criteria_code, scored
from bench.run.store import Store

TIMEOUTS = {"smoke": 600.0, "quick": 3600.0, "paper": 24 * 3600.0}
TRIES = 2  # a worker that dies under a task (killed, out of memory) is given one more


class Listener(Protocol):
    """What a progress display has to hear."""

    def planned(self, plan: Plan, finished: int) -> None:
        """The plan, and how many of its cells were there already."""

    def started(self, label: str) -> None:
        """A piece of work went to a worker."""

    def ended(self, label: str, record: Record | None) -> None:
        """Features are there (None), or a cell has its record."""

    def progressed(self, label: str, done: int, steps: int, words: str) -> None:
        """How far a piece of work is."""

    def said(self, message: str) -> None:
        """Something the user should read."""


@dataclass
class Outcomes:
    """Records of a run's cells in the plan's order, those there already included."""

    records: list[Record] = field(default_factory=list)

    @property
    def bad(self) -> list[Record]:
        """Cells that failed or ran out of time."""
        return [record for record in self.records if record.status in ("error", "timeout")]


def label(job: Job | FeatureJob) -> str:
    """A piece of work in a few words, for people."""
    if isinstance(job, FeatureJob):
        seed = f", seed {job.seed}" if job.stochastic else ""
        return f"{job.spec.written} features, {job.fold.name}{seed}"
    cell = job.cell
    specs = (None if job.features is None else job.features.spec, job.classifier)
    name = "+".join(spec.written for spec in specs if spec is not None)
    seed = f", seed {cell.seed}" if cell.stochastic else ""
    return f"{name}, {cell.split}{seed}"


def pending(plan: Plan, store: Store) -> tuple[list[Job], dict[str, Record]]:
    """The cells still to measure, and the records of the others by key.

    Failures are measured again. A cell whose criteria were computed by other code than today's is
    scored again from its stored scores.
    """
    todo, done = [], {}
    for job in plan.jobs:
        record = store.read(job.key)
        if record is None or record.status != "ok":
            todo.append(job)
            continue
        if record.criteria_code != criteria_code():
            stored = store.scores(record)
            if stored is None:
                todo.append(job)
                continue
            record = scored(record, *stored)
            store.write(record)
        done[job.key] = record
    return todo, done


def run(
    plan: Plan,
    store: Store,
    listener: Listener,
    *,
    workers: int,
    timeout: float,
    threads: int = 1,
    max_memory: float = inf,
) -> Outcomes:
    """Measure every cell of the plan that has no result yet.

    The caller holds the store's lock. Interrupting it at any point loses at most the cells in work.

    Parameters
    ----------
    workers : int
        Processes; 0 measures in this one (no time limit).
    timeout : float
        Seconds for one piece of work (features, or one cell).
    max_memory : float
        Bytes that a classifier may say it needs (`bench.api.Classifier.memory_needed`).

    Raises
    ------
    DiskFullError
        No record can be written any more; finished ones are kept.
    """
    store.sweep()
    lost: list[Record] = []
    if plan.contests:
        store.tuning.open()
        inner = run(
            plan.inner(),
            store.tuning,
            listener,
            workers=workers,
            timeout=timeout,
            threads=threads,
            max_memory=max_memory,
        )
        plan, lost = _decided(plan, inner.records, store, listener)
    todo, records = pending(plan, store)
    listener.planned(plan, len(records))
    for fingerprint in _needed(plan, todo):
        save_faces(store.cache / "faces" / fingerprint, plan.sets[fingerprint])
    pool = Pool(workers, store.root / "worker.log", timeout, threads)
    try:
        _Run(plan, store, listener, pool, max_memory).all(todo, records)
    finally:
        pool.close()
    store.rebuild()
    return Outcomes([records[job.key] for job in plan.jobs] + lost)


def _needed(plan: Plan, todo: Sequence[Job]) -> set[str]:
    """Fingerprints of the faces that these cells are about or learn from."""
    found = {job.cell.fingerprint for job in todo}
    for job in plan.feature_jobs(todo).values():
        found |= {job.fingerprint, *job.others.values()}
        found |= set() if job.source is None else {job.source}
    return found


def _decided(
    plan: Plan, inner: Sequence[Record], store: Store, listener: Listener
) -> tuple[Plan, list[Record]]:
    """The plan with its contests decided, and the records of those that have no winner."""
    records = {record.key: record for record in inner}
    jobs, lost = list(plan.jobs), []
    for contest in plan.contests:
        found = contest.decide(records)
        if isinstance(found, Record):
            lost.append(_write_failed(store, found))
        else:
            jobs.append(found)
            listener.said(f"{label(found)}: {found.notes[-1]}")
    return replace(plan, jobs=tuple(jobs), contests=()), lost


def foreseen(plan: Plan, inner: Mapping[str, Record]) -> tuple[Plan, dict[str, int]]:
    """The plan as far as it is known before the inner cells are all there.

    Returns
    -------
    Plan, dict of str to int
        Contests that ``inner`` (records by key) cannot decide yet stand in it with their first
        candidate, whose key is in the second with the number of candidates.
    """
    jobs = list(plan.jobs)
    undecided: dict[str, int] = {}
    for contest in plan.contests:
        complete = all(job.key in inner for of_one in contest.inner for job in of_one)
        found = contest.decide(inner) if complete else None
        if not isinstance(found, Job):
            found = replace(contest.outer[0], key=f"undecided {len(undecided)}")
            undecided[found.key] = len(contest.outer)
        jobs.append(found)
    return replace(plan, jobs=tuple(jobs), contests=()), undecided


def _write_failed(store: Store, record: Record) -> Record:
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    record = replace(record, provenance={**provenance(), "finished": now})
    store.write(record)
    return record


class _Run:
    def __init__(
        self, plan: Plan, store: Store, listener: Listener, pool: Pool, max_memory: float
    ) -> None:
        self.plan, self.store, self.listener, self.pool = plan, store, listener, pool
        self.max_memory = max_memory
        self.cells: dict[str, Job] = {}
        self.features: dict[str, FeatureJob] = {}
        self.waiting: defaultdict[str, list[Job]] = defaultdict(list)
        self.tries: defaultdict[str, int] = defaultdict(int)

    def all(self, todo: Sequence[Job], records: dict[str, Record]) -> None:
        self.cells = {job.key: job for job in todo}
        self.features = self.plan.feature_jobs(todo)
        paired = {job.features.key for job in todo if job.features and job.classifier}
        for key, needs in self.features.items():
            self.features[key] = replace(needs, alone=key not in paired)
        for job in todo:
            if job.features and not self.features[job.features.key].place(self.store).exists():
                self.waiting[job.features.key].append(job)
        for key in self.waiting:
            self._submit(self.features[key])
        for job in todo:
            if job.features is None or job.features.key not in self.waiting:
                self._submit(job)
        for outcome in self.pool.outcomes():
            for record in self._answer(outcome):
                records[record.key] = record

    def _submit(self, job: Job | FeatureJob) -> None:
        if isinstance(job, FeatureJob):
            resource = job.setting.device if job.exclusive else None
            self.pool.submit(Task(job.key, ensure_features, (job, self.store), resource))
        else:
            self.pool.submit(Task(job.key, measure, (job, self.store, self.max_memory)))
        self.listener.started(label(job))

    def _answer(self, outcome: Outcome) -> list[Record]:
        """What an outcome means; the records that it settles."""
        key = str(outcome.task.name)
        job: Job | FeatureJob = self.cells.get(key) or self.features[key]
        if outcome.status == "progress":
            self.listener.progressed(label(job), *outcome.value)
            return []
        if isinstance(outcome.value, DiskFullError):
            raise outcome.value
        if outcome.status == "died":
            self.tries[key] += 1
            if self.tries[key] < TRIES:
                self.listener.said(f"a worker died on {label(job)}; trying once more")
                self._submit(job)
                return []
        if outcome.status == "done":
            if isinstance(job, FeatureJob):
                if job.setting.budget == "smoke":
                    # Seconds made them, nobody will use them, and a grid of them fills a disk.
                    self.store.remove_weights(key)
                self.listener.ended(label(job), None)
                for cell in self.waiting.pop(key, []):
                    self._submit(cell)
                return []
            self.listener.ended(label(job), outcome.value)
            return [outcome.value]
        status, reason = _verdict(outcome, label(job))
        cells = self.waiting.pop(key, []) if isinstance(job, FeatureJob) else [job]
        return [self._fail(cell, status, reason, outcome.traceback) for cell in cells]

    def _fail(self, job: Job, status: str, reason: str, trace: str) -> Record:
        record = _write_failed(self.store, failed(job, status, reason, trace))
        self.listener.ended(label(job), record)
        return record


def _verdict(outcome: Outcome, what: str) -> tuple[str, str]:
    """Status and sentence for work that gave no result."""
    if outcome.status == "timeout":
        return "timeout", f"{what} took longer than {outcome.value:g} s (--timeout) and was ended"
    if outcome.status == "died":
        return "error", (
            f"the worker process died on {what} (exit code {outcome.value}; -9 is often the "
            "kernel, out of memory)"
        )
    if isinstance(outcome.value, UnavailableError):
        return "skipped", str(outcome.value)
    if isinstance(outcome.value, BenchError):
        return "error", str(outcome.value)
    return "error", f"{what}: {type(outcome.value).__name__}: {outcome.value}"


def default_timeout(budget: str) -> float:
    """Seconds that a cell may take at a budget, unless ``--timeout`` says otherwise."""
    return TIMEOUTS[budget]


def results_folder(given: Path | None) -> Path:
    """``--results``, else ``./bench-results``."""
    return Path("bench-results") if given is None else given
