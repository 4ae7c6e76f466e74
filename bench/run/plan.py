"""What to run: from the user's request to cells with keys."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.api import BenchError, Classifier, Dataset, Features, Setting, UnavailableError
from bench.data.faces import FaceSet
from bench.data.protocols import Fold, default_protocol, folds, inner_folds, twins
from bench.plugins import Registry
from bench.run.code import code_hash
from bench.run.grammar import parse_methods
from bench.run.measure import FeatureJob, Job, engine_code
from bench.run.methods import Method, Spec, dataset_spec
from bench.run.record import SCHEMA, Cell, Record
from bench.run.tuning import Contest, choices, read_rule

BUDGETS = ("smoke", "quick", "paper")
SELECTIONS = ("valid", "last", "test")


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


@dataclass(frozen=True)
class Plan:
    """The cells of a run, in order, and the data they are about.

    ``findings`` says where the data differ from the published counts; ``contests`` are cells whose
    parameters have to be chosen first.
    """

    faces: FaceSet
    protocol: str
    jobs: tuple[Job, ...]
    findings: tuple[str, ...] = ()
    contests: tuple[Contest, ...] = ()

    def inner(self) -> Plan:
        """The cells that the contests are decided by, each once."""
        jobs = {job.key: job for one in self.contests for jobs in one.inner for job in jobs}
        rules = sorted({one.rule.inner for one in self.contests})
        return Plan(self.faces, ", inner ".join([self.protocol, *rules]), tuple(jobs.values()))

    def feature_jobs(self, jobs: Iterable[Job]) -> dict[str, FeatureJob]:
        """The features that these cells need, each once."""
        return {job.features.key: job.features for job in jobs if job.features is not None}


def find_root(spec: Spec, root: Path | None) -> Path | None:
    """Where the dataset lies: ``--root``, else ``$BENCH_DATA/<dataset>``; None for an embedded one.

    Raises
    ------
    BenchError
        Neither is given, or it is no folder.
    """
    dataset = spec.entry.load()
    assert issubclass(dataset, Dataset)
    if dataset.embedded:
        if root is not None:
            raise BenchError(f"{spec.name} is made by bench itself: leave --root out")
        return None
    name = spec.entry.name.rstrip(":")
    if root is None:
        base = os.environ.get("BENCH_DATA")
        if not base:
            raise BenchError(
                f"where is {spec.name}? Give its folder with --root DIR, or set BENCH_DATA to a "
                f"folder that holds {name}/. {dataset.obtain}".strip()
            )
        root = Path(base) / name
    if not root.is_dir():
        raise BenchError(
            f"{spec.name}: {root} is no folder; give the unpacked dataset with --root DIR or as "
            f"$BENCH_DATA/{name}. {dataset.obtain}".strip()
        )
    return root


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
    spec = dataset_spec(registry, request.dataset)
    terms = parse_methods(request.methods)
    for term in terms:  # a misspelt method should not wait for the data to be read
        for part in (term.left, term.right):
            if part is not None and part.name != "all":
                registry.find("method", part.name)
    rule = read_rule(request.tune, request.inner, request.tune_by, terms)
    dataset: Dataset = spec.make()
    protocol = request.protocol or default_protocol(dataset)
    root = find_root(spec, request.root)
    faces = dataset.load(root, protocol)
    _check_names(faces)
    chosen = choices(registry, terms, faces.kind, faces.images is not None, rule)
    methods = [method for choice in chosen for method in choice.methods]
    if not methods:
        raise BenchError(f"{request.methods}: no ready method fits {request.dataset}")
    setting = Setting(
        request.budget, request.selection, _device(request.device, methods), None, root
    )
    findings = tuple(dataset.check(faces))
    jobs: list[Job] = []
    contests: list[Contest] = []
    for fold in folds(dataset, faces, protocol):
        shared = _Shared(setting, spec, faces, protocol, fold, twins(faces, fold), findings)
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
    return Plan(faces, protocol, tuple(jobs), findings, tuple(contests))


def _within(shared: _Shared, inner: str) -> list[_Shared]:
    """The same for each inner fold: its test part is a piece of the outer training part."""
    protocol = f"{shared.protocol}, inner {inner}"
    return [
        replace(shared, protocol=protocol, fold=fold, twins=None)
        for fold in inner_folds(shared.faces, shared.fold, inner)
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


def _check_names(faces: FaceSet) -> None:
    if len(set(map(str, faces.ids))) != len(faces):
        raise BenchError(f"{faces.name}: two rows have one id; a dataset plug-in must not repeat")
    if len(set(faces.label_names)) != len(faces.label_names):
        raise BenchError(f"{faces.name}: a label name stands twice in {faces.label_names}")


@dataclass(frozen=True)
class _Shared:
    """What the cells of one fold have in common."""

    setting: Setting
    dataset: Spec
    faces: FaceSet
    protocol: str
    fold: Fold
    twins: int | None
    findings: tuple[str, ...]


def _stochastic(method: Method) -> bool:
    return any(
        getattr(spec.entry.load(), "stochastic", False)
        for spec in (method.features, method.classifier)
        if spec is not None
    )


def _job(shared: _Shared, method: Method, stochastic: bool, seed: int) -> Job:
    faces, fold = shared.faces, shared.fold
    features, weights = None, None
    if method.features is not None:
        features, weights = _feature_job(shared, method.features, seed)
    trains = method.features is not None and _class(method.features).trains
    cell = Cell(
        dataset=shared.dataset.written,
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
        features_params={} if method.features is None else _told(method.features),
        classifier=None if method.classifier is None else method.classifier.name,
        classifier_params={} if method.classifier is None else method.classifier.params,
        stochastic=stochastic,
        seed=seed,
        budget=shared.setting.budget if trains else "any",
        selection=shared.setting.selection if trains else "none",
        weights=weights,
    )
    classifier = method.classifier
    key = _key(
        fingerprint=faces.fingerprint,
        split=fold.hash,
        features=None if features is None else features.key,
        classifier=None if classifier is None else _identity(classifier, Classifier),
        seed=seed if stochastic else None,
        code=engine_code(),
    )
    notes = faces.notes + shared.findings + ((fold.note,) if fold.note else ())
    return Job(key, cell, fold, features, classifier, notes)


def _feature_job(shared: _Shared, spec: Spec, seed: int) -> tuple[FeatureJob, str | None]:
    """The job, and the hash of the weights that it loads."""
    plugin, setting = _class(spec), shared.setting
    made: Features = spec.make()
    made.setting = setting
    try:
        weights = made.weights_used()
    except UnavailableError:
        weights = None  # the job will say so, and its cells are skipped
    key = _key(
        fingerprint=shared.faces.fingerprint,
        features=_identity(spec, Features),
        split=None if plugin.stateless else shared.fold.hash,
        seed=seed if plugin.stochastic else None,
        budget=setting.budget if plugin.trains else "any",
        selection=setting.selection if plugin.trains else "none",
        weights=weights,
        code=engine_code(),
    )
    job = FeatureJob(
        key,
        spec,
        shared.faces.fingerprint,
        shared.fold,
        plugin.stochastic,
        seed,
        setting,
        exclusive=plugin.accelerated and setting.device != "cpu",
    )
    return job, weights


def _identity(spec: Spec, kind: type) -> list[Any]:
    """Everything about a method that can change its result."""
    assert issubclass(spec.entry.load(), kind)
    return [spec.name, _told(spec), code_hash([spec.entry.file])]


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
            and cell.features_params == _told(job.spec)
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
