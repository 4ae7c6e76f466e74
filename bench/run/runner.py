"""Runs a plan: what is missing, on the pool, and nothing twice."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isnan
from typing import Protocol

from bench.data.files import DiskFullError
from bench.data.text import duration
from bench.run.cache import save_faces
from bench.run.costs import Costs
from bench.run.extract import ensure_features
from bench.run.job import FeatureJob, Job
from bench.run.measure import measure
from bench.run.memory import machine_memory
from bench.run.options import RunOptions
from bench.run.plan import Plan
from bench.run.pool import Outcome, Pool, Task
from bench.run.record import Record, RecordError, failed_record
from bench.run.scoring import rescored
from bench.run.sealed import DamagedError, check, discard, is_kept
from bench.run.store import DamagedScoresError, Store
from bench.run.worker import Failure

TIMEOUTS = {"smoke": 600.0, "quick": 3600.0, "paper": 24 * 3600.0}
SHARE = 0.8  # of the machine's memory, for all workers together
UNKNOWN = 60.0  # seconds that work of unknown cost counts as, in the order of work
TRIES = 2  # a worker that dies under a task (killed, out of memory) is given one more


@dataclass(frozen=True)
class Limits:
    """What a run may take.

    Attributes
    ----------
    workers : int
        Processes; 0 measures in this one (no time limit).
    timeout : float
        Seconds for one piece of work (features, or one cell).
    threads : int
        Of each process.
    max_memory : float
        Bytes that a classifier may say it needs (`bench.api.Classifier.memory_needed`).
    """

    workers: int
    timeout: float
    threads: int = 1
    max_memory: float = inf

    @classmethod
    def of(cls, options: RunOptions) -> Limits:
        """As the options say, else what this machine has and the budget allows.

        Raises
        ------
        BenchError
            A time or a size that cannot be read.
        """
        workers = options.workers or len(os.sched_getaffinity(0))
        timeout, memory = options.seconds, options.memory
        return cls(
            workers,
            TIMEOUTS[options.budget] if timeout is None else timeout,
            options.threads,
            SHARE * machine_memory() / workers if memory is None else memory,
        )


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

    @property
    def failed(self) -> bool:
        """Whether a cell failed, or there is no result at all since every one was skipped."""
        return bool(self.bad) or not any(record.status == "ok" for record in self.records)


def pending(
    plan: Plan, store: Store, said: Callable[[str], None] = lambda sentence: None
) -> tuple[list[Job], dict[str, Record]]:
    """The cells still to measure, and the records of the others by key.

    Failures are measured again, and so is what cannot be trusted any more: a damaged record, or
    damaged scores that its criteria have to be computed from. A cell whose criteria were computed
    by other code than today's is scored again from its stored scores.

    Parameters
    ----------
    said : callable
        Called with a sentence on each damaged file.
    """
    todo, done = [], {}
    for job in plan.jobs:
        try:
            record = store.read(job.key)
            current = None if record is None else _current(record, store)
        except RecordError as error:
            said(
                f"{error.where}: not a record of bench ({error.why}): {job.label} is measured again"
            )
            record = current = None
        except DamagedScoresError as error:
            said(f"{error.where} is damaged: {job.label} is measured again")
            record = current = None
        if current is None:
            todo.append(job)
            continue
        if current is not record:
            store.write(current)
        done[job.key] = current
    return todo, done


def _current(record: Record, store: Store) -> Record | None:
    """The record with today's criteria; None where the cell has to be measured again."""
    return rescored(record, store.scores) if record.status == "ok" else None


def run(plan: Plan, store: Store, listener: Listener, limits: Limits) -> Outcomes:
    """Measure every cell of the plan that has no result yet.

    The caller holds the store's lock. Interrupting it at any point loses at most the cells in work.

    Raises
    ------
    DiskFullError
        No record can be written any more; finished ones are kept.
    """
    store.sweep()
    lost: list[Record] = []
    if plan.contests or plan.fitting:
        store.tuning.open()
        inner = run(plan.inner(), store.tuning, listener, limits)
        plan, lost = _decided(plan, inner.records, store, listener)
    todo, records = pending(plan, store, listener.said)
    listener.planned(plan, len(records))
    for fingerprint in _needed(plan, todo):
        save_faces(store.cache, plan.index.sound(plan.sets[fingerprint]), listener.said)
    pool = Pool(limits.workers, store.root / "worker.log", limits.timeout, limits.threads)
    try:
        _Run(plan, store, listener, pool, limits.max_memory).all(todo, records)
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
            store.write(found)
            lost.append(found)
        else:
            jobs.append(found)
            listener.said(f"{found.label}: {found.notes[-1]}")
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
        self.told: set[str] = set()
        self.costs = Costs.of(store)

    def all(self, todo: Sequence[Job], records: dict[str, Record]) -> None:
        """Measure these cells, each after its features, and put their records among the others."""
        for job in todo:
            if job.fault is not None:
                records[job.key] = self._fail(job, "error", *job.fault)
        todo = [job for job in todo if job.fault is None]
        self.cells = {job.key: job for job in todo}
        paired = {job.features.key for job in todo if job.features and job.asks_every_face}
        for key, features in self.plan.feature_jobs(todo).items():
            self.features[key] = replace(features, alone=key not in paired)
        ready = []
        for job in todo:
            if job.features is None or self._is_there(job.features.key):
                ready.append(job)
            else:
                self.waiting[job.features.key].append(job)
        for key in self.waiting:
            self._submit(self.features[key])
        for job in ready:
            self._submit(job)
        for outcome in self.pool.outcomes():
            for record in self._answer(outcome):
                records[record.key] = record

    def _is_there(self, key: str) -> bool:
        """Whether features have been computed before; whoever opens them looks at the vectors."""
        folder = self.features[key].place(self.store.cache)
        try:
            check(folder, ("matrix.npy",))
        except DamagedError as error:
            if discard(folder):
                self._say(str(error))
            return False
        return True

    def _say(self, sentence: str) -> None:
        """Say once what several cells may find."""
        if sentence not in self.told:
            self.told.add(sentence)
            self.listener.said(sentence)

    def _submit(self, job: Job | FeatureJob) -> None:
        if isinstance(job, FeatureJob):
            resource = job.setting.device if job.exclusive else None
            cost = self._cost(job, len(self.plan.faces))
            self.pool.submit(Task(job.key, ensure_features, (job, self.store), resource, cost))
        else:
            cost = self._cost(job, job.cell.n_train)
            task = Task(job.key, measure, (job, self.store, self.max_memory), cost=cost)
            self.pool.submit(task)
        self.listener.started(job.label)

    def _cost(self, job: Job | FeatureJob, rows: int) -> float:
        """Seconds that the work may take: what is cheap runs first, so that results come soon."""
        seconds, _ = self.costs.estimate(job, rows)
        return UNKNOWN if isnan(seconds) else seconds

    def _answer(self, outcome: Outcome) -> list[Record]:
        """What an outcome means; the records that it settles."""
        key = str(outcome.task.name)
        job: Job | FeatureJob = self.cells.get(key) or self.features[key]
        if outcome.status == "progress":
            self.listener.progressed(job.label, *outcome.value)
            return []
        if outcome.status == "failed" and outcome.value.kind == "disk full":
            raise DiskFullError(outcome.value.sentence)
        damaged = outcome.status == "failed" and outcome.value.kind == "damaged"
        if damaged or outcome.status == "died":
            self.tries[key] += 1
            if self.tries[key] < TRIES:
                if damaged:
                    self._say(outcome.value.sentence)
                    self._mend(job)
                else:
                    self.listener.said(f"a worker died on {job.label}; trying once more")
                    self._submit(job)
                return []
        if outcome.status == "done":
            if isinstance(job, FeatureJob):
                if job.setting.budget == "smoke":
                    # Seconds made them, nobody will use them, and a grid of them fills a disk.
                    self.store.remove_weights(key)
                self.listener.ended(job.label, None)
                for cell in self.waiting.pop(key, []):
                    self._submit(cell)
                return []
            self.listener.ended(job.label, outcome.value)
            return [outcome.value]
        status, reason, trace = _verdict(outcome, job.label)
        cells = self.waiting.pop(key, []) if isinstance(job, FeatureJob) else [job]
        return [self._fail(cell, status, reason, trace) for cell in cells]

    def _mend(self, job: Job | FeatureJob) -> None:
        """Make anew what a piece of work found damaged, and try it again."""
        cells = [job] if isinstance(job, Job) else self.waiting[job.key]
        for fingerprint in _needed(self.plan, cells):
            faces = self.plan.index.sound(self.plan.sets[fingerprint])
            save_faces(self.store.cache, faces, self.listener.said)
        if isinstance(job, FeatureJob) or job.features is None:
            self._submit(job)
            return
        key = job.features.key
        if is_kept(self.features[key].place(self.store.cache)):
            self._submit(job)  # another cell has seen to it
            return
        if key not in self.waiting:
            self._submit(self.features[key])
        self.waiting[key].append(job)

    def _fail(self, job: Job, status: str, reason: str, trace: str) -> Record:
        record = failed_record(job, status, reason, trace)
        self.store.write(record)
        self.listener.ended(job.label, record)
        return record


def _verdict(outcome: Outcome, what: str) -> tuple[str, str, str]:
    """Status, sentence and traceback for work that gave no result."""
    if outcome.status == "timeout":
        reason = f"{what} took longer than {duration(outcome.value)} (--timeout) and was ended"
        return "timeout", reason, ""
    if outcome.status == "died":
        code = outcome.value
        # The kernel ends whoever asks for too much memory by signal 9.
        why = ", often the kernel's, out of memory" if code == -9 else "; see worker.log"
        return "error", f"the worker process died on {what} (exit code {code}{why})", ""
    failure: Failure = outcome.value
    if failure.kind == "unavailable":
        return "skipped", failure.sentence, failure.traceback
    if failure.kind == "damaged":
        return "error", f"{failure.sentence}, in vain: is the disk in order?", failure.traceback
    sentence = failure.sentence if failure.kind == "refused" else f"{what}: {failure.sentence}"
    return "error", sentence, failure.traceback
