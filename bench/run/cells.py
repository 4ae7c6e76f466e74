"""From a method, a fold and a seed to a job: the cell, its key, the features that it needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bench.api import BenchError, FaceSet, Features, Network, Setting, UnavailableError
from bench.data.mapping import mapping_in_words
from bench.data.protocols import Fold
from bench.run.code import code_hash, engine_code
from bench.run.job import Cell, FeatureJob, Job, Protocol, key_of
from bench.run.methods import Method, Spec
from bench.run.options import CROSS
from bench.run.sources import Source, Sources


@dataclass(frozen=True)
class Training:
    """Under protocol ``cross``: what methods are trained on, before the target is measured.

    Attributes
    ----------
    fold : Fold
        Training and validation part of the source.
    columns : tuple of int
        For each label of the target, its column among the labels of the source.
    """

    source: Source
    fold: Fold
    columns: tuple[int, ...]

    def about(self) -> dict[str, Any]:
        """What a record says of it."""
        parts = {"n_train": len(self.fold.train), "n_valid": len(self.fold.valid)}
        return {**self.source.about(), **parts}


@dataclass(frozen=True)
class Layout:
    """The folds of one protocol on the dataset that is measured.

    ``training`` is None but under protocol ``cross``.
    """

    measured: Source
    protocol: Protocol
    folds: Sequence[Fold]
    training: Training | None = None


@dataclass(frozen=True)
class _PlannedFeatures:
    """A feature job, and what the cells that need it say of it; empty where none is needed.

    Attributes
    ----------
    trains : bool
        Whether the method follows a schedule.
    chooses_epoch : bool
        Whether it asks ``selection`` which epoch to take.
    params : dict
        The parameters as records show them: without folders.
    others : dict of str to dict
        What a record says of the other datasets that the method learns from, by parameter.
    training : Training or None
        Where the method learns from another dataset than the one that is measured.
    """

    job: FeatureJob | None = None
    trains: bool = False
    chooses_epoch: bool = False
    params: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None
    others: dict[str, Any] = field(default_factory=dict)
    training: Training | None = None

    @property
    def key(self) -> str | None:
        """That of the job."""
        return None if self.job is None else self.job.key

    @property
    def source(self) -> dict[str, Any]:
        """What a record says of the dataset that the method learns from, where it is another."""
        return {} if self.training is None else self.training.about()

    def footnotes(self, alone: bool) -> tuple[str, ...]:
        """Which other data took part; ``alone``: the network is asked without a classifier."""
        footnotes = []
        if self.training is not None:
            source = self.training.source
            words = f"trained on {source.spec.written}, {len(self.training.fold.train)} images"
            if self.job is not None and self.job.tuning is not None:
                words += ", then on the training part"
            elif alone:
                words += ", asked as it is"
            footnotes.append(words + (" (SYNTHETIC)" if source.faces.synthetic else ""))
        for name, other in self.others.items():
            synthetic = " (SYNTHETIC)" if other["synthetic"] else ""
            footnotes.append(f"{name}: {other['dataset']}, {other['n']} images{synthetic}")
        return tuple(footnotes)


@dataclass
class Cells:
    """Makes the jobs of one plan; what several cells share is made once.

    Attributes
    ----------
    setting : Setting
        What every method is told.
    findings : tuple of str
        What all records note of the data.
    sets : dict of str to FaceSet
        Every set of faces that some job reads, by fingerprint.
    mappings : dict of str to str
        How the labels of second datasets were mapped, in words, by the method that learns them.
    """

    sources: Sources
    setting: Setting
    findings: tuple[str, ...]
    sets: dict[str, FaceSet] = field(default_factory=dict)
    mappings: dict[str, str] = field(default_factory=dict)
    _features: dict[tuple[Any, ...], _PlannedFeatures] = field(default_factory=dict)

    def job(self, layout: Layout, fold: Fold, method: Method, seed: int) -> Job:
        """The job of one cell.

        Raises
        ------
        BenchError
            A method that the data do not suit, or that needs a dataset which is not named.
        """
        faces, classifier = layout.measured.faces, method.classifier
        features = self._planned(layout, fold, method.features, seed)
        cell = Cell(
            dataset=layout.measured.spec.written,
            kind=faces.kind,
            fingerprint=faces.fingerprint,
            synthetic=faces.synthetic,
            label_names=faces.label_names,
            protocol=layout.protocol,
            split=fold.name,
            split_hash=fold.hash,
            n_train=len(fold.train),
            n_valid=len(fold.valid),
            n_test=len(fold.test),
            twins=None if layout.protocol.inner else self.sources.twins(faces, fold),
            features=None if method.features is None else method.features.name,
            features_params=features.params,
            classifier=None if classifier is None else classifier.name,
            classifier_params={} if classifier is None else classifier.params,
            stochastic=method.stochastic,
            seed=seed,
            budget=self.setting.budget if features.trains else "any",
            selection=self.setting.selection if features.chooses_epoch else "none",
            weights=features.weights,
            source=features.source,
            others=features.others,
        )
        key = key_of(
            fingerprint=faces.fingerprint,
            split=fold.hash,
            features=features.key,
            classifier=None if classifier is None else _identity(classifier),
            seed=seed if method.stochastic else None,
            code=engine_code(),
        )
        notes = (*faces.notes, *self.findings, *((fold.note,) if fold.note else ()))
        footnotes = features.footnotes(alone=classifier is None)
        copies = layout.measured.dataset.copies
        return Job(key, cell, fold, features.job, classifier, notes, footnotes, copies=copies)

    def _planned(
        self, layout: Layout, fold: Fold, spec: Spec | None, seed: int
    ) -> _PlannedFeatures:
        """The features of a fold, planned once for all classifiers that take them."""
        if spec is None:
            return _PlannedFeatures()
        known = (spec.written, layout.protocol, fold.name, fold.hash, seed)
        if known not in self._features:
            self._features[known] = self._new_features(layout, fold, spec, seed)
        return self._features[known]

    def _new_features(self, layout: Layout, fold: Fold, spec: Spec, seed: int) -> _PlannedFeatures:
        method: Features = spec.plugin
        method.setting = self.setting
        measured, training = layout.measured, None if method.stateless else layout.training
        companions = self._companions(layout, spec, method)
        params = spec.published_params()
        params |= {name: source.public_name for name, (source, _) in companions.items()}
        others = {name: faces.fingerprint for name, (_, faces) in companions.items()}
        try:
            weights = spec.asked("weights_used", _weights, None)
        except UnavailableError:
            weights = None  # the job will say so, and its cells are skipped
        tunes = _tunes(spec, method, layout)
        job = FeatureJob(
            key="",
            spec=spec,
            fingerprint=measured.faces.fingerprint,
            fold=fold,
            stochastic=Method(spec, None).stochastic,
            seed=seed,
            setting=self.setting,
            exclusive=bool(method.accelerated) and self.setting.device != "cpu",
            tested=fold.test,
            others=others,
        )
        if training is not None:
            tested = [fold.test] if tunes else [part.test for part in layout.folds]
            job = replace(
                job,
                fold=training.fold,
                tested=np.unique(np.concatenate(tested)),
                source=training.source.faces.fingerprint,
                columns=training.columns,
                tuning=fold if tunes else None,
            )
        job = replace(job, key=_features_key(job, method, _identity(spec, params), weights))
        about = {name: source.about() for name, (source, _) in companions.items()}
        trains = bool(method.trains)
        chooses = trains and bool(method.chooses_epoch)
        return _PlannedFeatures(job, trains, chooses, params, weights, about, training)

    def _companions(
        self, layout: Layout, spec: Spec, method: Features
    ) -> dict[str, tuple[Source, FaceSet]]:
        """The other datasets that a method learns from, with their faces as it will see them."""
        training = layout.training
        target = None if training is None else layout.measured
        companions = self.sources.companions(spec, method, target)
        learned = layout.measured if training is None else training.source
        for name, (source, faces) in companions.items():
            self.sets[faces.fingerprint] = faces
            if method.companions[name] == "labelled":
                at = f"{spec.name}[{name}={source.spec.written}]"
                self.mappings[at] = mapping_in_words(learned.faces, source.faces)
        return companions


def _weights(method: Features) -> str | None:
    """`Features.weights_used`, which goes into keys and records."""
    used = method.weights_used()
    if used is None or isinstance(used, str):
        return used
    raise TypeError(f"64 hexadecimal digits, random or None expected, got {type(used).__name__}")


def _tunes(spec: Spec, method: Features, layout: Layout) -> bool:
    """Whether the trained network is trained further on the target's training part."""
    tunes = isinstance(method, Network) and spec.asked("tunes", lambda m: bool(m.tunes()), False)
    if tunes and layout.training is None:
        raise BenchError(
            f"{spec.written}: it goes on to the target's training part only with --protocol {CROSS}"
        )
    return tunes


def _features_key(
    job: FeatureJob, method: Features, identity: list[Any], weights: str | None
) -> str:
    cross: dict[str, Any] = {}
    if job.source is not None:
        tested = job.tested
        cross = {
            "source": job.source,
            "columns": job.columns,
            "tuned": None if job.tuning is None else job.tuning.hash,
            "tested": Fold("", tested, tested[:0], tested[:0]).hash,
        }
    return key_of(
        fingerprint=job.fingerprint,
        features=identity,
        split=None if method.stateless else job.fold.hash,
        seed=job.seed if job.stochastic else None,
        budget=job.setting.budget if method.trains else "any",
        selection=job.setting.selection if method.trains and method.chooses_epoch else "none",
        weights=weights,
        others=job.others,
        code=engine_code(),
        **cross,
    )


def _identity(spec: Spec, params: Mapping[str, Any] | None = None) -> list[Any]:
    """Everything about a method that can change its result."""
    params = spec.published_params() if params is None else params
    return [spec.name, params, code_hash([spec.entry.file])]


def device_of(choice: str, methods: Iterable[Method]) -> str:
    """The device of the methods that can choose; ``cpu``, and torch not imported, without any.

    Parameters
    ----------
    choice : str
        As ``--device`` takes it; ``auto`` is a GPU where there is one.
    """
    if choice == "cpu" or not any(
        method.features is not None and method.features.plugin.accelerated for method in methods
    ):
        return "cpu"
    from bench.nn.device import find_device

    return find_device(choice)
