"""What a plan will cost, before it runs: from earlier records, else from rules of thumb."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan

from bench.run.costs import Costs
from bench.run.job import FeatureJob, Job
from bench.run.plan import Plan
from bench.run.runner import foreseen, pending
from bench.run.store import Store


@dataclass(frozen=True)
class Estimate:
    """What one piece of work will take.

    Attributes
    ----------
    seconds : float
        NaN where nothing is known.
    basis : str
        Where the figure comes from, or ``finished``.
    """

    work: str
    seconds: float
    basis: str


@dataclass(frozen=True)
class Forecast:
    """What a plan will take.

    Attributes
    ----------
    estimates : tuple of Estimate
        Features, inner cells and cells still to come, then what is finished.
    cells, to_measure, inner, inner_to_measure : int
        Cells of the plan, and those that help to choose parameters.
    """

    estimates: tuple[Estimate, ...]
    cells: int
    to_measure: int
    inner: int
    inner_to_measure: int

    @property
    def seconds(self) -> float:
        """Of all work whose cost is known, on one core."""
        return sum(e.seconds for e in self.estimates if not isnan(e.seconds))

    @property
    def unknown(self) -> int:
        """Pieces of work whose cost is not known."""
        return sum(isnan(e.seconds) for e in self.estimates)


def forecast(plan: Plan, store: Store) -> Forecast:
    """What is still to be done of a plan, and what it will take."""
    inner = plan.inner()
    inner_todo, inner_done = pending(inner, store.tuning)
    plan, undecided = foreseen(plan, inner_done)
    todo, done = pending(plan, store)
    costs = Costs.of(store)
    features = {**plan.feature_jobs(inner_todo), **plan.feature_jobs(todo)}
    estimates = []
    work: list[Job | FeatureJob] = [*features.values(), *inner_todo, *todo]
    for job in work:
        rows = len(plan.faces) if isinstance(job, FeatureJob) else job.cell.n_train
        seconds, basis = costs.estimate(job, rows)
        others = f" (or another of {undecided[job.key]})" if job.key in undecided else ""
        estimates.append(Estimate(job.label + others, seconds, basis))
    finished = [job for job in inner.jobs if job.key in inner_done]
    finished += [job for job in plan.jobs if job.key in done]
    estimates += [Estimate(job.label, 0.0, "finished") for job in finished]
    return Forecast(tuple(estimates), len(plan.jobs), len(todo), len(inner.jobs), len(inner_todo))


def training_seconds(plan: Plan, store: Store, workers: int) -> float:
    """How long the networks of a plan that are still to be trained will take at the least.

    As far as `bench.run.costs` knows, on as many processes, of which one at a time has an
    accelerator.
    """
    inner = plan.inner()
    inner_todo, inner_done = pending(inner, store.tuning)
    plan, _ = foreseen(plan, inner_done)
    todo, _ = pending(plan, store)
    costs = Costs.of(store)
    shared, alone = [0.0], [0.0]
    jobs = {**plan.feature_jobs(inner_todo), **plan.feature_jobs(todo)}
    for job in jobs.values():
        seconds, _ = costs.estimate(job, len(plan.faces))
        if job.spec.plugin.trains and not isnan(seconds):
            (alone if job.exclusive else shared).append(seconds)
    return max(sum(alone), sum(shared) / workers, *shared)
