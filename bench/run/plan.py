"""What to run: from the user's request to cells with keys."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.api import BenchError, Classifier, FaceSet, Features, Network, Setting, UnavailableError
from bench.data.mapping import mapping_told, onto
from bench.data.protocols import Fold, default_protocol, folds, inner_folds, twins
from bench.plugins import Registry
from bench.run.code import code_hash
from bench.run.grammar import parse_methods
from bench.run.measure import FeatureJob, Job, engine_code
from bench.run.methods import Method, Spec, dataset_spec
from bench.run.record import SCHEMA, Cell, Record
from bench.run.sources import PEOPLE, Source, Sources
from bench.run.tuning import Contest, choices, read_rule

BUDGETS = ("smoke", "quick", "paper")
SELECTIONS = ("valid", "last", "test")
CROSS = "cross"  # the protocol that trains on one dataset and measures on another


@dataclass(frozen=True)
class Request:
    """What the user asked for, as written."""

    dataset: str
    methods: str
    root: Path | None = None
    protocol: str | None = None
    seeds: int = 1
    budget: str = "paper"
    selection: str = "valid"
    device: str = "auto"
    tune: str | None = None
    inner: str | None = None
    tune_by: str | None = None
    target: str | None = None
    target_protocol: str | None = None


@dataclass(frozen=True)
class Plan:
    """The cells of a run, in order, and the data they are about.

    ``faces`` are those that are asked about; ``sets`` holds them and all others that methods learn
    from, by fingerprint. ``findings`` says where the data differ from the published counts, and how
    labels of a second dataset were mapped; ``contests`` are cells whose parameters have to be
    chosen first.
    """

    faces: FaceSet
    protocol: str
    jobs: tuple[Job, ...]
    findings: tuple[str, ...] = ()
    contests: tuple[Contest, ...] = ()
    sets: Mapping[str, FaceSet] = field(default_factory=dict)

    def inner(self) -> Plan:
        """The cells that the contests are decided by, each once."""
        jobs = {job.key: job for one in self.contests for jobs in one.inner for job in jobs}
        rules = sorted({one.rule.inner for one in self.contests})
        protocol = ", inner ".join([self.protocol, *rules])
        return Plan(self.faces, protocol, tuple(jobs.values()), sets=self.sets)

    def feature_jobs(self, jobs: Iterable[Job]) -> dict[str, FeatureJob]:
        """The features that these cells need, each once."""
        return {job.features.key: job.features for job in jobs if job.features is not None}


def make_plan(registry: Registry, request: Request) -> Plan:
    """Load the dataset and lay out every cell; nothing is computed yet.

    Raises
    ------
    BenchError
        Anything wrong with the request or the data, in one sentence.
    """
    if request.budget not in BUDGETS:
        raise BenchError(f"--budget {request.budget}: one of {', '.join(BUDGETS)}")
    if request.selection not in SELECTIONS:
        raise BenchError(f"--selection {request.selection}: one of {', '.join(SELECTIONS)}")
    if request.seeds < 1:
        raise BenchError(f"--seeds {request.seeds}: at least 1")
    _check_target(request)
    terms = parse_methods(request.methods)
    for term in terms:  # a misspelt method should not wait for the data to be read
        for part in (term.left, term.right):
            if part is not None and part.name != "all":
                registry.find("method", part.name)
    rule = read_rule(request.tune, request.inner, request.tune_by, terms)
    sources = Sources(registry)
    _check_measurable(dataset_spec(registry, request.dataset))
    crossed = request.protocol == CROSS
    read = sources.named(request.dataset, request.root, None if crossed else request.protocol)
    findings = tuple(read.dataset.check(read.faces))
    training = _training_part(read) if crossed else None
    columns: tuple[int, ...] = ()
    if training is None:
        protocol = request.protocol or default_protocol(read.dataset)
        asked = read
    else:
        asked, columns, protocol = _target(sources, request, read)
    faces = asked.faces
    has = faces.images is not None, faces.distribution is not None
    chosen = choices(registry, terms, faces.kind, has[0], rule, read.faces.kind, has[1])
    methods = [method for choice in chosen for method in choice.methods]
    if not methods:
        raise BenchError(f"{request.methods}: no ready method fits {request.dataset}")
    device = _device(request.device, methods)
    setting = Setting(request.budget, request.selection, device, None, asked.root)
    jobs: list[Job] = []
    contests: list[Contest] = []
    parts = folds(asked.dataset, faces, protocol)
    origin = None if training is None else _Origin(read, training, columns, parts)
    written = protocol if origin is None else f"{CROSS} from {read.told}, {protocol}"
    sets = {faces.fingerprint: faces, read.faces.fingerprint: read.faces}
    mapped: dict[str, str] = {}
    for fold in parts:
        shared = _Shared(
            setting,
            asked,
            written,
            fold,
            twins(faces, fold),
            findings,
            sources,
            sets,
            mapped,
            origin,
        )
        within = [] if rule is None else _within(shared, rule.inner)
        for choice in chosen:
            stochastic = _stochastic(choice.methods[0])
            for seed in range(request.seeds if stochastic else 1):
                outer = [_job(shared, method, stochastic, seed) for method in choice.methods]
                if choice.rule is None:
                    jobs += outer
                    continue
                inner = [
                    [_job(part, method, stochastic, seed) for part in within]
                    for method in choice.methods
                ]
                contests.append(Contest.of(choice, outer, inner))
    told = (*findings, *(f"{at}: {words}" for at, words in mapped.items()))
    return Plan(faces, written, tuple(jobs), told, tuple(contests), sets)


def _check_measurable(spec: Spec) -> None:
    if getattr(spec.entry.load(), "kind", "") == PEOPLE:
        raise BenchError(
            f"{spec.name} says who is seen and has no expression labels, so that nothing can be "
            "measured on it: take another dataset, and give this one to a method that learns "
            f"identities, as tfe-jl[people={spec.name}:DIR]"
        )


def _check_target(request: Request) -> None:
    if request.protocol == CROSS:
        if request.target is None:
            raise BenchError(
                f"--protocol {CROSS} trains on --dataset and measures on another: name that with "
                "--target NAME:DIR"
            )
        if request.selection == "test":
            raise BenchError(
                f"--selection test does not go with --protocol {CROSS}: the epoch would be chosen "
                "on other data than the test part"
            )
        return
    for option, value in (
        ("--target", request.target),
        ("--target-protocol", request.target_protocol),
    ):
        if value is not None:
            raise BenchError(f"{option} {value} needs --protocol {CROSS}")


def _training_part(source: Source) -> Fold:
    """What methods are trained on under ``cross``: the source's own training and validation part.

    All of it where it has no split of its own.
    """
    protocol = default_protocol(source.dataset)
    parts = folds(source.dataset, source.faces, protocol)
    if len(parts) == 1:
        return parts[0]
    every, nothing = np.arange(len(source.faces)), np.empty(0, np.int64)
    return Fold("all", every, nothing, nothing)


def _target(
    sources: Sources, request: Request, source: Source
) -> tuple[Source, tuple[int, ...], str]:
    """The target, the source's columns that its labels are, and its protocol."""
    assert request.target is not None
    target = sources.placed(request.target, request.target_protocol)
    _check_measurable(target.spec)
    for one in (source, target):
        if one.faces.images is None:
            raise BenchError(f"--protocol {CROSS} needs images, and {one.faces.name} holds none")
    faces, columns, told = onto(source.faces, target.faces)
    faces = replace(faces, notes=(*source.faces.notes, *faces.notes, told))
    protocol = request.target_protocol or default_protocol(target.dataset)
    return replace(target, faces=faces), columns, protocol


def _within(shared: _Shared, inner: str) -> list[_Shared]:
    """The same for each inner fold: its test part is a piece of the outer training part."""
    protocol = f"{shared.protocol}, inner {inner}"
    parts = inner_folds(shared.asked.faces, shared.fold, inner)
    origin = None if shared.origin is None else replace(shared.origin, parts=parts)
    return [
        replace(shared, protocol=protocol, fold=fold, twins=None, origin=origin) for fold in parts
    ]


def _device(asked: str, methods: Iterable[Method]) -> str:
    """The device of the methods that can choose; ``cpu``, and torch not imported, without any."""
    if asked == "cpu" or not any(
        method.features is not None and _class(method.features).accelerated for method in methods
    ):
        return "cpu"
    from bench.nn.device import find_device

    return find_device(asked)


def _class(spec: Spec) -> type[Features]:
    plugin = spec.entry.load()
    assert issubclass(plugin, Features)
    return plugin


@dataclass(frozen=True)
class _Origin:
    """Under ``cross``: what methods are trained on, before they are asked about the target.

    ``columns`` are those of its labels that the target's are, ``parts`` the target's folds.
    """

    source: Source
    fold: Fold
    columns: tuple[int, ...]
    parts: list[Fold]


@dataclass(frozen=True)
class _Shared:
    """What the cells of one fold have in common; ``asked`` is the dataset that is asked about.

    ``mapped``, shared by all folds, collects how labels of second datasets meet those to be learnt.
    """

    setting: Setting
    asked: Source
    protocol: str
    fold: Fold
    twins: int | None
    findings: tuple[str, ...]
    sources: Sources
    sets: dict[str, FaceSet]
    mapped: dict[str, str]
    origin: _Origin | None


def _stochastic(method: Method) -> bool:
    return any(
        getattr(spec.entry.load(), "stochastic", False)
        for spec in (method.features, method.classifier)
        if spec is not None
    )


def _job(shared: _Shared, method: Method, stochastic: bool, seed: int) -> Job:
    faces, fold, classifier = shared.asked.faces, shared.fold, method.classifier
    made = None if method.features is None else _features(shared, method.features, seed)
    trains = made is not None and made.plugin.trains
    learnt = made is not None and not made.plugin.stateless
    source = shared.origin if learnt else None
    cell = Cell(
        dataset=shared.asked.spec.written,
        kind=faces.kind,
        fingerprint=faces.fingerprint,
        synthetic=faces.synthetic,
        label_names=faces.label_names,
        protocol=shared.protocol,
        split=fold.name,
        split_hash=fold.hash,
        n_train=len(fold.train),
        n_valid=len(fold.valid),
        n_test=len(fold.test),
        twins=shared.twins,
        features=None if method.features is None else method.features.name,
        features_params={} if made is None else made.told,
        classifier=None if classifier is None else classifier.name,
        classifier_params={} if classifier is None else classifier.params,
        stochastic=stochastic,
        seed=seed,
        budget=shared.setting.budget if trains else "any",
        selection=shared.setting.selection if trains else "none",
        weights=None if made is None else made.weights,
        source={} if source is None else _about(source),
        others={} if made is None else made.others,
    )
    key = _key(
        fingerprint=faces.fingerprint,
        split=fold.hash,
        features=None if made is None else made.job.key,
        classifier=None if classifier is None else _identity(classifier, Classifier),
        seed=seed if stochastic else None,
        code=engine_code(),
    )
    notes = faces.notes + shared.findings + ((fold.note,) if fold.note else ())
    footnotes = () if made is None else made.footnotes(source, classifier is None)
    return Job(key, cell, fold, None if made is None else made.job, classifier, notes, footnotes)


def _about(origin: _Origin) -> dict[str, Any]:
    parts = {"n_train": len(origin.fold.train), "n_valid": len(origin.fold.valid)}
    return {**origin.source.about(), **parts}


@dataclass(frozen=True)
class _Made:
    """Features to be computed, and what their cells say of them."""

    job: FeatureJob
    plugin: Features
    told: dict[str, Any]
    weights: str | None
    others: dict[str, Any]

    def footnotes(self, origin: _Origin | None, alone: bool) -> tuple[str, ...]:
        """Which other data took part."""
        found = []
        if origin is not None:
            faces = origin.source.faces
            what = f"trained on {origin.source.spec.written}, {len(origin.fold.train)} images"
            if self.job.tuning is not None:
                what += ", then on the training part"
            elif alone:
                what += ", asked as it is"
            if faces.synthetic:
                what += " (SYNTHETIC)"
            found.append(what)
        for name, other in self.others.items():
            made = " (SYNTHETIC)" if other["synthetic"] else ""
            found.append(f"{name}: {other['dataset']}, {other['n']} images{made}")
        return tuple(found)


def _features(shared: _Shared, spec: Spec, seed: int) -> _Made:
    """The job that computes the features, with the hash of the weights and the data it needs."""
    setting, origin = shared.setting, shared.origin
    made: Features = spec.make()
    made.setting = setting
    target = None if origin is None else shared.asked
    found = shared.sources.companions(spec, made, target)
    learnt = shared.asked if origin is None else origin.source
    for name, (source, _) in found.items():
        if made.companions[name] == "labelled":
            at = f"{spec.name}[{name}={source.spec.written}]"
            shared.mapped[at] = mapping_told(learnt.faces, source.faces)
    others = {name: source.about() for name, (source, _) in found.items()}
    handed = {name: faces.fingerprint for name, (_, faces) in found.items()}
    shared.sets.update({faces.fingerprint: faces for _, faces in found.values()})
    told = _told(spec) | {name: source.told for name, (source, _) in found.items()}
    try:
        weights = made.weights_used()
    except UnavailableError:
        weights = None  # the job will say so, and its cells are skipped
    tuned = isinstance(made, Network) and made.tunes()
    if tuned and shared.origin is None:
        raise BenchError(
            f"{spec.written}: it goes on to the target's training part only with --protocol {CROSS}"
        )
    fold, tested = shared.fold, shared.fold.test
    if made.stateless:
        origin = None
    came: dict[str, Any] = {}
    if origin is not None:
        fold = origin.fold
        parts = [shared.fold] if tuned else origin.parts
        tested = np.unique(np.concatenate([part.test for part in parts]))
        came = {
            "source": origin.source.faces.fingerprint,
            "columns": origin.columns,
            "tuned": shared.fold.hash if tuned else None,
            "tested": Fold("", tested, tested[:0], tested[:0]).hash,
        }
    key = _key(
        fingerprint=shared.asked.faces.fingerprint,
        features=_identity(spec, Features, told),
        split=None if made.stateless else fold.hash,
        seed=seed if made.stochastic else None,
        budget=setting.budget if made.trains else "any",
        selection=setting.selection if made.trains else "none",
        weights=weights,
        others=handed,
        code=engine_code(),
        **came,
    )
    job = FeatureJob(
        key,
        spec,
        shared.asked.faces.fingerprint,
        fold,
        made.stochastic,
        seed,
        setting,
        exclusive=made.accelerated and setting.device != "cpu",
        tested=tested,
        source=None if origin is None else origin.source.faces.fingerprint,
        columns=() if origin is None else origin.columns,
        tuning=shared.fold if tuned else None,
        others=handed,
    )
    return _Made(job, made, told, weights, others)


def _identity(spec: Spec, kind: type, told: dict[str, Any] | None = None) -> list[Any]:
    """Everything about a method that can change its result."""
    assert issubclass(spec.entry.load(), kind)
    return [spec.name, _told(spec) if told is None else told, code_hash([spec.entry.file])]


def _told(spec: Spec) -> dict[str, Any]:
    """The parameters without the folders of files: their hash counts, and a record is published."""
    told = dict(spec.params)
    if isinstance(weights := told.get("weights"), str) and os.sep in weights:
        told["weights"] = Path(weights).name
    return told


def _key(**parts: Any) -> str:
    text = json.dumps({"schema": SCHEMA, **parts}, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def estimate(job: Job | FeatureJob, rows: int, records: Iterable[Record]) -> tuple[float, str]:
    """Seconds that a piece of work will take, and where that figure comes from.

    From earlier records of the same method in this results folder (scaled by the number of rows; a
    network's with the same parameters and budget), else from the plug-in's own rule of thumb for
    one core; NaN where there is neither.
    """
    if isinstance(job, FeatureJob):
        measured = [
            record.seconds["features"] / max(cell.n_train + cell.n_valid + cell.n_test, 1)
            for record in records
            if (cell := record.cell).features == job.spec.name
            and record.status == "ok"
            and "features" in record.seconds
            and _own(job.spec, cell.features_params) == _own(job.spec, _told(job.spec))
            and cell.budget in ("any", job.setting.budget)
        ]
        rough = _rough(job.spec, job.setting)
    elif job.classifier is None:
        return 0.0, "with the features"
    else:
        measured = [
            (sum(record.seconds.values()) - record.seconds.get("features", 0.0))
            / max(record.cell.n_train, 1)
            for record in records
            if record.status == "ok"
            and record.cell.classifier == job.classifier.name
            and "fit" in record.seconds
        ]
        rough = _rough(job.classifier, None)
    if measured:
        return sorted(measured)[len(measured) // 2] * rows, "measured before"
    return (float("nan"), "unknown") if rough is None else (rough * rows / 1000, "rule of thumb")


def _own(spec: Spec, params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters but those that name other datasets."""
    return {name: v for name, v in params.items() if name not in _class(spec).companions}


def _rough(spec: Spec, setting: Setting | None) -> float | None:
    """The plug-in's rule of thumb, in seconds per 1,000 rows."""
    rough = spec.entry.load().seconds_per_1000
    if not isinstance(rough, Mapping):
        return rough
    assert setting is not None
    # The rules are those of a processor.
    return rough.get(setting.budget) if setting.device == "cpu" else None


def training_seconds(plan: Plan, todo: Iterable[Job], records: Sequence[Record]) -> float:
    """What the networks among these cells may take to train, as far as `estimate` knows."""
    found = [
        estimate(job, len(plan.faces), records)[0]
        for job in plan.feature_jobs(todo).values()
        if _class(job.spec).trains
    ]
    return sum(seconds for seconds in found if seconds == seconds)
