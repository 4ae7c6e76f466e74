"""Measures one cell: features, fit, scores, criteria, record."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import inf
from typing import Any

import numpy as np

from bench.api import BenchError, Classifier, FaceSet, UnavailableError
from bench.data.clusters import Clusters, clusters_of
from bench.data.files import DiskFullError
from bench.run.cache import NO_FEATURES, KeptFeatures, open_faces, open_features
from bench.run.contract import (
    MethodError,
    blame,
    check_distribution,
    check_outputs,
    sentences,
)
from bench.run.job import Job
from bench.run.memory import peak_memory_mb, reset_peak_memory
from bench.run.record import Record, failed_record, new_record
from bench.run.scoring import Stored, criteria_code, scored
from bench.run.sealed import DamagedError
from bench.run.store import Store
from bench.run.thresholds import cut, pooled_inner
from bench.run.worker import Failure


@dataclass(frozen=True)
class _Answer:
    """What the method of a cell says of its test images.

    Attributes
    ----------
    scores, distribution : float (n_test, L) or None
    labels : bool (n_test, L) or None
    seconds : dict
        ``fit`` and ``predict`` of a classifier.
    notes : tuple of str
        What a classifier says of itself after `fit`, and how a threshold was fitted.
    footnotes : tuple of str
        What it says beside its row of a table.
    validated : float (n_valid, L) or None
        Scores of the validation part, where a threshold is fitted on it.
    """

    scores: np.ndarray | None
    labels: np.ndarray | None
    distribution: np.ndarray | None
    seconds: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    footnotes: tuple[str, ...] = ()
    validated: np.ndarray | None = None


def measure(job: Job, store: Store, max_memory: float = inf) -> Record:
    """Measure a cell, store its scores and record, return the record.

    A classifier that says it needs more than ``max_memory`` bytes is not started. A method that
    fails gives a record that says so; only a full disk (`DiskFullError`), damage in the cache
    (`DamagedError`) and interrupts come through.
    """
    started = datetime.now(UTC)
    reset_peak_memory()
    try:
        record = _measured(job, store, max_memory, started)
    except (DiskFullError, DamagedError):
        raise
    except UnavailableError as error:
        record = failed_record(job, "skipped", str(error), started=started)
    except Exception as error:
        failure = Failure.of(error)
        record = failed_record(job, "error", failure.sentence, failure.traceback, started=started)
    record = replace(record, peak_memory_mb=peak_memory_mb())
    store.write(record)
    return record


def _measured(job: Job, store: Store, max_memory: float, started: datetime) -> Record:
    """The record of a cell whose method works."""
    faces = open_faces(store.cache, job.cell.fingerprint)
    features = NO_FEATURES if job.features is None else _features(job, store)
    if job.classifier is None:
        answer = _own_answer(job, features, len(faces))
    else:
        answer = _classified(job, faces, features, max_memory)
    if job.fit is not None:
        answer = _by_common_rule(job, faces, answer, store)
    clusters = _clusters(job, faces)
    stored = _stored(faces, job.fold.test, answer, clusters)
    record = new_record(
        job.key,
        job.cell,
        "ok",
        started=started,
        seconds={**features.seconds, **answer.seconds},
        scores_sha256=store.write_scores(job.key, faces.ids[job.fold.test], *stored),
        measures=features.measures,
        learned_weights=features.learned_weights,
        curve=features.curve,
        notes=(*job.notes, *features.notes, *answer.notes),
        footnotes=(*job.footnotes, *features.footnotes, *answer.footnotes),
        provenance={"device": features.device},
        criteria_code=criteria_code(),
        bootstrap={} if clusters is None else _drawn(job, clusters),
    )
    return scored(record, *stored)


_known_clusters: dict[tuple[str, str, float | None], Clusters | None] = {}


def _clusters(job: Job, faces: FaceSet) -> Clusters | None:
    """`bench.data.clusters.clusters_of`, found once in a process for all cells of a test part."""
    known = (job.cell.fingerprint, job.fold.hash, job.copies)
    if known not in _known_clusters:
        _known_clusters.clear()  # jobs come test part by test part
        one_of_many = "fold" in job.fold.name  # else it is named like its protocol
        _known_clusters[known] = clusters_of(faces, job.fold, job.copies, one_of_many)
    return _known_clusters[known]


def _drawn(job: Job, clusters: Clusters) -> dict[str, Any]:
    """What resamples draw; under one seed in all folds where these share what is drawn."""
    drawn: dict[str, Any] = {"clusters": clusters.count, "of": clusters.kind}
    if clusters.shared:
        drawn["seed"] = int(job.cell.fingerprint[:8], 16)
    return drawn


def _features(job: Job, store: Store) -> KeptFeatures:
    """The features of a cell; `DamagedError` where a worker before this one has lost them."""
    assert job.features is not None
    needed = replace(job.features, alone=not job.asks_every_face)
    return open_features(needed.place(store.cache))


def _own_answer(job: Job, features: KeptFeatures, images: int) -> _Answer:
    """What a network says without a classifier: its kept scores, which may be of test rows only."""
    assert job.features is not None
    assert features.scores is not None
    assert features.labels is not None
    rows = job.fold.test
    if len(features.scores) < images:
        rows = np.searchsorted(job.features.tested, rows)
    distribution = None if features.distribution is None else features.distribution[rows]
    validated = features.scores[job.fold.valid] if job.asks_every_face else None
    return _Answer(features.scores[rows], features.labels[rows], distribution, validated=validated)


def _by_common_rule(job: Job, faces: FaceSet, answer: _Answer, store: Store) -> _Answer:
    """The answer with label sets by one threshold, in place of those by the method's own rule."""
    assert job.fit is not None
    if job.fit.inner:
        truth, scores = pooled_inner(job.fit, store)
    elif answer.validated is not None:
        truth, scores = faces.labels[job.fold.valid], answer.validated
    else:
        raise BenchError(f"--threshold {job.fit.rule} needs scores: {job.label} gives none")
    labels, words = cut(job, truth, scores, faces.labels[job.fold.train], answer.scores)
    return replace(answer, labels=labels, notes=(*answer.notes, words))


def _classified(job: Job, faces: FaceSet, features: KeptFeatures, max_memory: float) -> _Answer:
    """What the classifier says, fitted on the training part."""
    assert job.classifier is not None
    name, fold = job.classifier.name, job.fold
    vectors = features.matrix if job.features else np.empty((len(faces), 0), np.float32)
    train, test = _frozen(vectors[fold.train]), _frozen(vectors[fold.test])
    begun = time.perf_counter()
    with blame(name, "construction"):
        classifier: Classifier = job.classifier.make()
        classifier.kind = faces.kind
        if classifier.stochastic:
            classifier.set_params(random_state=job.cell.seed)
    known = faces.distribution if classifier.learns == "distribution" else faces.labels
    assert known is not None  # no cell is planned without what its method learns
    targets = _frozen(np.array(known[fold.train]))
    _check_memory(classifier, train, targets.shape[1], max_memory)
    with blame(name, "fit"):
        classifier.fit(train, targets)
    fitted = time.perf_counter()
    with blame(name, "predict"):
        scores, labels = classifier.scores_and_labels(test)
        as_scores = classifier.scores_are_distributions()
        distribution = scores if as_scores else classifier.distribution(test)
    seconds = {"fit": fitted - begun, "predict": time.perf_counter() - fitted}
    shape = (len(test), faces.labels.shape[1])
    check_outputs(name, scores, labels, shape)
    check_distribution(name, distribution, shape)
    validated = None
    if job.fit is not None and not job.fit.inner:
        validated = _validated(classifier, _frozen(vectors[fold.valid]), shape[1])
    with blame(name, "remarks"):
        notes = sentences(name, "remarks", classifier.remarks())
        footnotes = sentences(name, "footnotes", classifier.footnotes())
    footnotes += tuple(_on_features(classifier, train))
    return _Answer(scores, labels, distribution, seconds, notes, footnotes, validated)


def _validated(classifier: Classifier, valid: np.ndarray, labels: int) -> np.ndarray | None:
    """What a fitted classifier says of the validation part."""
    with blame(classifier.name, "predict"):
        scores, _ = classifier.scores_and_labels(valid)
    check_outputs(classifier.name, scores, None, (len(valid), labels))
    return scores


def _on_features(classifier: Classifier, train: np.ndarray) -> tuple[str, ...]:
    """A footnote where the features tell no two training images apart."""
    if not classifier.needs_features or (train.max(axis=0) > train.min(axis=0)).any():
        return ()
    return (f"{classifier.name}: all features are constant on the training part",)


def _check_memory(classifier: Classifier, train: np.ndarray, labels: int, allowed: float) -> None:
    """Raise `MethodError` where a classifier says that it needs more than ``allowed`` bytes."""
    with blame(classifier.name, "memory_needed"):
        n, d = train.shape
        needed = float(classifier.memory_needed(n, d, labels, train.itemsize))
    if needed > allowed:
        raise MethodError(
            f"{classifier.name} needs {needed / 1e9:.3g} GB for {len(train)} training rows and may "
            f"take {allowed / 1e9:.3g} GB: raise --max-memory (with fewer --workers where memory "
            "is short), or take fewer rows or another method"
        )


def _stored(faces: FaceSet, test: np.ndarray, answer: _Answer, clusters: Clusters | None) -> Stored:
    """What criteria are computed from: the answer beside the truth of the test part."""
    together = None if clusters is None else clusters.of_rows
    stored = Stored(np.array(faces.labels[test]), answer.scores, answer.labels, clusters=together)
    if faces.distribution is None or answer.distribution is None:
        return stored
    truth = np.array(faces.distribution[test], dtype=float)
    return stored._replace(distribution_truth=truth, distribution=answer.distribution)


def _frozen(array: np.ndarray) -> np.ndarray:
    """Contiguous and read-only: no method may change what the next one gets."""
    array = np.ascontiguousarray(array)
    array.flags.writeable = False
    return array
