"""What to run: from the user's options to cells with keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bench.api import BenchError, FaceSet, Setting
from bench.data.protocols import (
    Fold,
    default_protocol,
    folds,
    inner_folds,
    inner_protocol,
    stratified,
)
from bench.plugins import Registry
from bench.run.cells import Cells, Layout, Training, device_of
from bench.run.contract import blame_faults
from bench.run.grammar import Term, parse_methods
from bench.run.index import FaceIndex
from bench.run.job import STRATIFIED, FeatureJob, Job, Protocol
from bench.run.methods import Spec, dataset_spec
from bench.run.options import CROSS, OWN, RunOptions
from bench.run.sources import PEOPLE, Source, Sources
from bench.run.thresholds import with_threshold
from bench.run.tuning import Choice, Contest, choices, read_rule


@dataclass(frozen=True)
class Plan:
    """The cells of a run, in order, and the data that they read.

    Attributes
    ----------
    faces : FaceSet
        The dataset that is measured.
    findings : tuple of str
        Where the data differ from the published counts, and how labels of a second dataset were
        mapped.
    contests : tuple of Contest
        Cells whose parameters have to be chosen first.
    sets : dict of str to FaceSet
        ``faces`` and all others that methods learn from, by fingerprint.
    fitting : tuple of Job
        Cells on inner folds that thresholds are fitted on.
    index : FaceIndex
        Where they come from.
    """

    faces: FaceSet
    protocol: Protocol
    jobs: tuple[Job, ...]
    findings: tuple[str, ...] = ()
    contests: tuple[Contest, ...] = ()
    sets: Mapping[str, FaceSet] = field(default_factory=dict)
    fitting: tuple[Job, ...] = ()
    index: FaceIndex = field(default_factory=FaceIndex)

    def inner(self) -> Plan:
        """The cells that contests are decided by and thresholds fitted on, each once."""
        jobs = {job.key: job for contest in self.contests for jobs in contest.inner for job in jobs}
        jobs |= {job.key: job for job in self.fitting}
        protocols = {job.cell.protocol.inner for job in jobs.values()}
        assert len(protocols) <= 1  # a run has one --inner
        protocol = replace(self.protocol, inner=next(iter(protocols), None))
        return Plan(self.faces, protocol, tuple(jobs.values()), sets=self.sets, index=self.index)

    def feature_jobs(self, jobs: Iterable[Job]) -> dict[str, FeatureJob]:
        """The features that these cells need, each once."""
        return {job.features.key: job.features for job in jobs if job.features is not None}


@dataclass(frozen=True)
class _Data:
    """The data of a run.

    Attributes
    ----------
    training : Source
        What features and networks are trained on: the measured dataset but under ``cross``.
    """

    layout: Layout
    training: Source
    findings: tuple[str, ...]


def make_plan(registry: Registry, options: RunOptions, index: FaceIndex | None = None) -> Plan:
    """Read the data, or their index, and lay out every cell; nothing is computed yet.

    Parameters
    ----------
    index : FaceIndex or None
        Of the results folder; without one every dataset is read whole.

    Raises
    ------
    BenchError
        Anything wrong with the options or the data, in one sentence.
    """
    options.check()
    terms = parse_methods(options.methods)
    _check_names(registry, terms)
    rule = read_rule(options, terms)
    sources = Sources(registry, index)
    data = _read(sources, options)
    layout, training = data.layout, data.training.faces
    faces = layout.measured.faces
    _check_threshold(options, faces)
    inner = options.inner or inner_protocol(_outer(layout), faces, layout.folds)
    rule = rule and replace(rule, inner=inner)
    has_images, has_distribution = faces.images is not None, faces.distribution is not None
    alternatives = choices(
        registry, terms, faces.kind, has_images, rule, training.kind, has_distribution
    )
    methods = [method for choice in alternatives for method in choice.methods]
    if not methods:
        raise BenchError(f"{options.methods}: no ready method fits {options.dataset}")
    device = device_of(options.device, methods)
    setting = Setting(options.budget, options.selection, device, None, layout.measured.root)
    sets = {faces.fingerprint: faces, training.fingerprint: training}
    cells = Cells(sources, setting, data.findings, sets)
    laid = _Cells(cells, layout, options, inner)
    for fold in layout.folds:
        laid.lay_out(fold, alternatives)
    mappings = (f"{at}: {words}" for at, words in cells.mappings.items())
    findings = (*data.findings, *mappings)
    jobs, contests, fitting = tuple(laid.jobs), tuple(laid.contests), tuple(laid.fitting)
    return Plan(faces, layout.protocol, jobs, findings, contests, sets, fitting, sources.index)


def _outer(layout: Layout) -> str:
    """The protocol that divides the measured dataset."""
    return layout.protocol.target or layout.protocol.name


def _check_threshold(options: RunOptions, faces: FaceSet) -> None:
    """Raise `BenchError` for a common threshold where images have one class each."""
    if options.threshold != OWN and faces.kind == "single":
        raise BenchError(
            f"--threshold {options.threshold} makes label sets, and each image of {faces.name} has "
            "one class, the one with the highest score: leave it out"
        )


@dataclass
class _Cells:
    """The cells of a plan while it is made, with what has to be measured before them.

    Attributes
    ----------
    inner : str
        The protocol of inner folds.
    """

    cells: Cells
    layout: Layout
    options: RunOptions
    inner: str
    jobs: list[Job] = field(default_factory=list)
    contests: list[Contest] = field(default_factory=list)
    fitting: list[Job] = field(default_factory=list)

    def lay_out(self, fold: Fold, alternatives: Iterable[Choice]) -> None:
        """Add the cells of one fold."""
        inside = self.options.threshold != OWN and not len(fold.valid)
        parts: Layout | None = None  # inner folds need not be possible where nobody needs them
        for choice in alternatives:
            if parts is None and (inside or choice.rule is not None):
                parts = _inner(self.layout, fold, self.inner)
            seeds = self.options.seeds if choice.methods[0].stochastic else 1
            for seed in range(seeds):
                self._add(fold, choice, seed, parts, inside)

    def _add(
        self, fold: Fold, choice: Choice, seed: int, parts: Layout | None, inside: bool
    ) -> None:
        """Add the cell of one seed; ``inside``: its threshold is fitted on inner folds."""
        jobs = [self.cells.job(self.layout, fold, method, seed) for method in choice.methods]
        of_inner: list[list[Job]] = [[] for _ in jobs]
        if inside or choice.rule is not None:
            assert parts is not None
            of_inner = _candidates(self.cells, parts, choice, seed)
        if self.options.threshold != OWN:
            fitted_on = of_inner if inside else [[] for _ in jobs]
            self.fitting += [job for of_one in fitted_on for job in of_one]
            rule = self.options.threshold
            jobs = [
                with_threshold(job, rule, of_one)
                for job, of_one in zip(jobs, fitted_on, strict=True)
            ]
        if choice.rule is None:
            self.jobs += jobs
        else:
            self.contests.append(Contest.of(choice, jobs, of_inner))


def _check_names(registry: Registry, terms: Iterable[Term]) -> None:
    """Raise `BenchError` for a misspelt method before the data are read."""
    for term in terms:
        for part in (term.left, term.right):
            if part is not None and part.name != "all":
                registry.find("method", part.name)


def _inner(layout: Layout, fold: Fold, protocol: str) -> Layout:
    """The inner folds of a fold: their test parts are pieces of its training part."""
    return replace(
        layout,
        protocol=replace(layout.protocol, inner=protocol),
        folds=inner_folds(layout.measured.faces, fold, protocol),
    )


def _candidates(cells: Cells, inner: Layout, choice: Choice, seed: int) -> list[list[Job]]:
    """The jobs on the inner folds, for each candidate of a choice."""
    return [
        [cells.job(inner, fold, method, seed) for fold in inner.folds] for method in choice.methods
    ]


def _read(sources: Sources, options: RunOptions) -> _Data:
    """Read what the options name."""
    _check_measurable(dataset_spec(sources.registry, options.dataset))
    crossed = options.protocol == CROSS
    source = sources.named(options.dataset, options.root, None if crossed else options.protocol)
    findings = sources.findings(source)
    if crossed:
        return _Data(_crossed(sources, options, source), source, findings)
    name = options.protocol or default_protocol(source.dataset)
    parts = _divided(source, source.faces, name)
    protocol = Protocol(name, folds=_folds(source, name))
    return _Data(Layout(source, protocol, parts), source, findings)


def _divided(source: Source, faces: FaceSet, protocol: str) -> Sequence[Fold]:
    """`bench.data.protocols.folds`, which may ask the dataset."""
    with blame_faults(source.spec.name, "split"):
        return folds(source.dataset, faces, protocol)


def _folds(source: Source, protocol: str) -> str:
    """What a record says of how folds were drawn."""
    by_labels = stratified(source.dataset, protocol, source.faces.kind)
    return STRATIFIED if by_labels else ""


def _crossed(sources: Sources, options: RunOptions, source: Source) -> Layout:
    """Protocol ``cross``: the folds of the target, with what methods are trained on."""
    assert options.target is not None
    target = sources.placed(options.target, options.target_protocol)
    _check_measurable(target.spec)
    for side in (source, target):
        if side.faces.images is None:
            raise BenchError(f"--protocol {CROSS} needs images, and {side.faces.name} holds none")
    faces, columns, words = sources.mapped(source.faces, target.faces)
    faces = faces.noted(*source.faces.notes, *faces.notes, words)
    name = options.target_protocol or default_protocol(target.dataset)
    return Layout(
        replace(target, faces=faces),
        Protocol(CROSS, source.public_name, name, folds=_folds(target, name)),
        _divided(target, faces, name),
        Training(source, _training_part(source), columns),
    )


def _training_part(source: Source) -> Fold:
    """What methods are trained on under ``cross``: the source's own training and validation part.

    All of it where it has no split of its own.
    """
    parts = _divided(source, source.faces, default_protocol(source.dataset))
    if len(parts) == 1:
        return parts[0]
    every, nothing = np.arange(len(source.faces)), np.empty(0, np.int64)
    return Fold("all", every, nothing, nothing)


def _check_measurable(spec: Spec) -> None:
    if getattr(spec.entry.load(), "kind", "") == PEOPLE:
        raise BenchError(
            f"{spec.name} says who is seen and has no expression labels, so that nothing can be "
            "measured on it: take another dataset, and give this one to a method that learns "
            f"identities, as METHOD[people={spec.name}:DIR]"
        )
