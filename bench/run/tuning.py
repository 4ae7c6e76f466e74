"""Chooses parameters on the training part: the candidates, their inner folds, the verdict.

Each candidate is measured on inner folds of an outer fold's training rows, and only the one with
the best mean runs on the outer fold. No row that validates or tests there takes part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.api import BenchError, near
from bench.data.protocols import DEFAULT_INNER, check_inner
from bench.plugins import Registry
from bench.run.grammar import Part, Term
from bench.run.job import Cell, Job, key_of
from bench.run.methods import Method, Spec, resolve
from bench.run.options import OWN, RunOptions
from bench.run.record import Record, failed_record
from bench.score.criteria import BY_NAME, SINGLE_CRITERIA, Criterion

DEFAULT_BY = {"multi": "average_precision", "single": "accuracy"}
SIDES = ("features", "classifier")


@dataclass(frozen=True)
class Rule:
    """Which parameters are chosen, on which inner folds, by which criterion (None: the kind's)."""

    names: tuple[str, ...]
    inner: str
    by: str | None

    def criterion(self, kind: str) -> Criterion:
        """What candidates are compared by on data of a kind; raises `BenchError` for a misfit."""
        criterion = BY_NAME[self.by or DEFAULT_BY[kind]]
        if (criterion in SINGLE_CRITERIA) != (kind == "single"):
            fitting = {c for c in BY_NAME if (BY_NAME[c] in SINGLE_CRITERIA) == (kind == "single")}
            raise BenchError(
                f"--tune-by {criterion.name} is not for {kind}-label data: one of "
                f"{', '.join(sorted(fitting))}"
            )
        return criterion


def read_rule(options: RunOptions, terms: Iterable[Term]) -> Rule | None:
    """What ``--tune``, ``--inner`` and ``--tune-by`` ask for; None without ``--tune``.

    Without ``--inner`` the rule has `DEFAULT_INNER`, until the outer protocol is known.

    Raises
    ------
    BenchError
        ``--tune-by`` without ``--tune``, ``--inner`` without that or ``--threshold``, an unknown
        protocol or criterion, a name that no method sweeps (near ones listed), a criterion on label
        sets beside ``--threshold``.
    """
    tune, by, inner = options.tune, options.tune_by, options.inner
    if inner is not None:
        check_inner(inner)
    if tune is None:
        if by is not None:
            raise BenchError(f"--tune-by {by} needs --tune: which parameters to choose")
        if inner is not None and options.threshold == OWN:
            raise BenchError(
                f"--inner {inner} needs --tune, which parameters to choose, or --threshold, by "
                "which rule to make label sets"
            )
        return None
    names = tuple(dict.fromkeys(name.strip() for name in tune.split(",")))
    swept = set(_swept_names(terms))
    for name in names:
        if name not in swept:
            raise BenchError(
                f"--tune {name or tune!r}: no method sweeps it ({near(name, swept)}); write its "
                "candidates as in lbp+mlknn[k=10|50|100]"
            )
    if by is not None and by not in BY_NAME:
        raise BenchError(f"--tune-by {by}: no such criterion: {near(by, BY_NAME)}")
    if by is not None and options.threshold != OWN and BY_NAME[by].needs == "labels":
        raise BenchError(
            f"--tune-by {by} judges label sets by each method's own rule, which --threshold "
            f"{options.threshold} replaces: tune by a criterion of scores (average_precision)"
        )
    return Rule(names, inner or DEFAULT_INNER, by)


def _swept_names(terms: Iterable[Term]) -> Iterator[str]:
    """The parameters that have several values in some method."""
    for term in terms:
        for part in filter(None, (term.left, term.right)):
            yield from (name for name, values in part.params.items() if len(values) > 1)


@dataclass(frozen=True)
class Choice:
    """Methods that differ in nothing but the parameters named here; one becomes a row.

    ``rule`` is None where there is one method only, and nothing to choose.
    """

    methods: tuple[Method, ...]
    rule: Rule | None = None
    features: tuple[str, ...] = ()
    classifier: tuple[str, ...] = ()


def choices(
    registry: Registry,
    terms: Iterable[Term],
    kind: str,
    images: bool,
    rule: Rule | None,
    learnt: str | None = None,
    distribution: bool = False,
) -> list[Choice]:
    """`bench.run.methods.resolve`, with what is to be chosen from put together.

    Raises
    ------
    BenchError
        As `resolve`, and for a criterion that does not fit ``kind``.
    """
    if rule is None:
        found_all = resolve(registry, terms, kind, images, learnt, distribution)
        return [Choice((method,)) for method in found_all]
    rule.criterion(kind)
    found: dict[str, Choice] = {}
    for term in terms:
        left = _swept(term.left, rule)
        right = left if term.right is None else _swept(term.right, rule)  # alone: either kind
        groups: dict[str, list[Method]] = {}
        for method in resolve(registry, [term], kind, images, learnt, distribution):
            rest = _rest(method.features, left), _rest(method.classifier, right)
            groups.setdefault(repr(rest), []).append(method)
        for methods in groups.values():
            open_to = (rule, left, right) if len(methods) > 1 else ()
            choice = Choice(tuple(methods), *open_to)
            found.setdefault(repr(choice), choice)
    return list(found.values())


def _swept(part: Part, rule: Rule) -> tuple[str, ...]:
    return tuple(name for name in rule.names if len(part.params.get(name, ())) > 1)


def _rest(spec: Spec | None, names: tuple[str, ...]) -> Any:
    """What the candidates of one choice have in common."""
    if spec is None:
        return None
    return spec.name, {name: value for name, value in spec.params.items() if name not in names}


@dataclass(frozen=True)
class Contest:
    """One cell whose parameters are to be chosen.

    Attributes
    ----------
    outer : tuple of Job
        The cell with each candidate's parameters.
    inner : tuple of tuple of Job
        Each candidate's cells on the inner folds.
    """

    rule: Rule
    criterion: Criterion
    outer: tuple[Job, ...]
    inner: tuple[tuple[Job, ...], ...]

    @classmethod
    def of(cls, choice: Choice, outer: Sequence[Job], inner: Iterable[Sequence[Job]]) -> Contest:
        """From each candidate's job on the outer fold, and its jobs on the inner folds."""
        rule = choice.rule
        assert rule is not None
        criterion = rule.criterion(outer[0].cell.kind)
        tuned: dict[str, Any] = {"inner": rule.inner, "by": criterion.name}
        for side in SIDES:
            given = [_params(job.cell, side) for job in outer]
            names = [name for name in getattr(choice, side) if name in given[0]]
            if names:
                tuned[side] = {name: _distinct(params[name] for params in given) for name in names}
        jobs = tuple(replace(job, cell=replace(job.cell, tuned=tuned)) for job in outer)
        return cls(rule, criterion, jobs, tuple(map(tuple, inner)))

    def decide(self, records: Mapping[str, Record]) -> Job | Record:
        """The best candidate's job, or the record of a cell that no candidate can run.

        The best has the best mean over the inner folds; of equal ones, the first written. What
        failed on an inner fold is left out, and named in the note. What the candidates reached is
        part of the key: a record says how its parameters were chosen, so that another way of
        choosing is another record.

        Parameters
        ----------
        records : mapping of str to Record
            Of all inner cells, by key.
        """
        means: dict[int, float] = {}
        faults: dict[int, Record] = {}
        for number, jobs in enumerate(self.inner):
            found = [records[job.key] for job in jobs]
            bad = next((record for record in found if self._value(record) is None), None)
            if bad is None:
                means[number] = float(np.mean([self._value(record) for record in found]))
            else:
                faults[number] = bad
        if not means:
            return self._nobody(faults)
        sign = -1 if self.criterion.direction == "lower" else 1
        best, *others = sorted(means, key=lambda number: -sign * means[number])  # stable
        job = self.outer[best]
        note = self._note(best, others, means, faults)
        failures = {number: bad.status for number, bad in faults.items()}
        return replace(
            job,
            key=key_of(cell=job.key, tuned=job.cell.tuned, means=means, failures=failures),
            notes=(*job.notes, note),
            footnotes=(*job.footnotes, self._footnote(len(faults))),
        )

    def _value(self, record: Record) -> float | None:
        return record.criteria.get(self.criterion.name) if record.status == "ok" else None

    def _nobody(self, faults: Mapping[int, Record]) -> Record:
        """The record of a cell without a winner: its tuned parameters have no value."""
        status, *others = _distinct(bad.status for bad in faults.values())
        reasons = _distinct(self._fault(bad) for bad in faults.values())
        if len(reasons) > 1:
            reasons = [f"{self._words(n)}: {self._fault(bad)}" for n, bad in faults.items()]
        first = self.outer[0]
        none = [
            {**_params(first.cell, side), **dict.fromkeys(first.cell.tuned.get(side, ()))}
            for side in SIDES
        ]
        cell = replace(first.cell, features_params=none[0], classifier_params=none[1])
        key = key_of(cell=first.key, tuned=cell.tuned, means={})
        return failed_record(
            replace(first, key=key, cell=cell),
            "error" if others or status == "ok" else status,
            f"none of {len(faults)} candidates could be measured in inner {self.rule.inner}: "
            f"{'; '.join(reasons)}",
        )

    def _fault(self, bad: Record) -> str:
        if bad.status == "ok":
            return f"it gives no {self.criterion.name}"
        return bad.reason

    def _note(
        self,
        best: int,
        others: list[int],
        means: Mapping[int, float],
        faults: Mapping[int, Record],
    ) -> str:
        rows = self.outer[best].cell.n_train
        shown = others[:1] + [number for number in others[1:] if self._is_default(number)]
        compared = [
            f"{what}{means[number]:.4f}: {self._words(number)}"
            for what, number in zip(("next ", ""), shown, strict=False)
        ]
        left_out = [
            f"{self._words(n)} ({bad.status}: {self._fault(bad)})" for n, bad in faults.items()
        ]
        return (
            f"{self._words(best)} chosen among {len(self.outer)} by inner {self.rule.inner} on the "
            f"{rows:,} training rows: {self.criterion.name} {means[best]:.4f}"
            + (f" ({'; '.join(compared)})" if compared else "")
            + (f"; left out: {'; '.join(left_out)}" if left_out else "")
        )

    def _footnote(self, lost: int) -> str:
        tuned = _tuned(self.outer[0].cell)
        values = [f"{name} ({'|'.join(map(str, found))})" for name, _, found in tuned]
        return (
            f"{', '.join(values)} chosen by {self.criterion.name.replace('_', ' ')} in inner "
            f"{self.rule.inner} on train"
            + (f"; {lost} of {len(self.outer)} candidates failed there" if lost else "")
        )

    def _words(self, number: int) -> str:
        """A candidate as ``k=10, lam=0.01``, said so where it is the plug-ins' default."""
        default = " (default)" if self._is_default(number) else ""
        tuned = _tuned(self.outer[number].cell)
        return ", ".join(f"{name}={value}" for name, value, _ in tuned) + default

    def _is_default(self, number: int) -> bool:
        job = self.outer[number]
        specs = (None if job.features is None else job.features.spec, job.classifier)
        return all(
            spec.params[name] == spec.entry.load().params[name].default
            for side, spec in zip(SIDES, specs, strict=True)
            if spec is not None
            for name in job.cell.tuned.get(side, ())
        )


def _tuned(cell: Cell) -> list[tuple[str, Any, list[Any]]]:
    """Name, value and candidates of each tuned parameter; a name on both sides with its method."""
    twice = set(cell.tuned.get("features", ())) & set(cell.tuned.get("classifier", ()))
    return [
        (
            f"{getattr(cell, side)} {name}" if name in twice else name,
            _params(cell, side)[name],
            all_,
        )
        for side in SIDES
        for name, all_ in cell.tuned.get(side, {}).items()
    ]


def _params(cell: Cell, side: str) -> dict[str, Any]:
    return cell.features_params if side == "features" else cell.classifier_params


def _distinct(values: Iterable[Any]) -> list[Any]:
    """Each value once, in order."""
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found
