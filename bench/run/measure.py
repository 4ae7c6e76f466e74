"""Measures one cell: features, fit, scores, criteria."""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from math import inf, isfinite
from pathlib import Path
from typing import Any

import numpy as np

from bench.api import BenchError, FaceSet, Features, Network, Setting, UnavailableError
from bench.data import prepare as prepare_module
from bench.data.files import DiskFullError
from bench.data.mapping import in_columns
from bench.data.prepare import prepare
from bench.data.protocols import Fold
from bench.run import worker
from bench.run.cache import CHUNK, open_faces, open_features, save_features, with_landmarks
from bench.run.code import code_hash
from bench.run.memory import peak_memory_mb, reset_peak_memory
from bench.run.methods import Spec
from bench.run.provenance import provenance
from bench.run.record import Cell, Record
from bench.run.scoring import Stored, criteria_code, scored
from bench.run.store import Store
from bench.score.criteria import evaluate
from bench.score.distribution import check_shares

_SPEED = ("seconds", "images_per_second")  # of an epoch: no two runs agree on them


@dataclass(frozen=True)
class FeatureJob:
    """Features of every face, fitted on one training part; shared by every classifier."""

    key: str
    spec: Spec
    fingerprint: str
    fold: Fold
    stochastic: bool
    seed: int
    setting: Setting
    exclusive: bool  # uses the device named in ``setting``
    tested: np.ndarray  # rows that the method's own measures are about
    source: str | None  # fingerprint of the faces that ``fold`` is about, where they are others
    columns: tuple[int, ...]  # of the source's labels: those of the faces
    tuning: Fold | None  # of the faces: where the trained network goes on
    others: Mapping[str, str]  # fingerprints of other datasets, by parameter
    alone: bool = False  # only the method's own output on ``tested`` is wanted

    def place(self, store: Store) -> Path:
        """The folder with vectors of every face or, where those of ``tested`` will do, of these."""
        whole = store.cache / "features" / self.key
        part = whole.with_name(f"{self.key}-tested")
        return part if self.alone and not whole.exists() else whole


@dataclass(frozen=True)
class Job:
    """One cell with all that is needed to measure it."""

    key: str
    cell: Cell
    fold: Fold
    features: FeatureJob | None
    classifier: Spec | None
    notes: tuple[str, ...] = ()
    footnotes: tuple[str, ...] = ()


class MethodError(BenchError):
    """A plug-in failed; carries the sentence, and the traceback for the record."""


@contextmanager
def blame(name: str, step: str) -> Iterator[None]:
    """Turn whatever a plug-in raises into one sentence that names it."""
    try:
        yield
    except (UnavailableError, DiskFullError):
        raise
    except BenchError as error:
        raise MethodError(f"{name} failed in {step}: {error}") from error
    except MemoryError as error:
        raise MethodError(f"{name} ran out of memory in {step}: {error}") from error
    except Exception as error:
        said = " ".join(str(error).split()) or "no message"
        if isinstance(error, ValueError) and re.search(r"read-?only", said):
            said += " (a method must not write into its inputs: work on a copy)"
        raise MethodError(f"{name} failed in {step}: {type(error).__name__}: {said}") from error


def ensure_features(job: FeatureJob, store: Store) -> None:
    """Compute and keep the features of a job unless they are there.

    Raises
    ------
    MethodError, UnavailableError, DiskFullError
    """
    folder = job.place(store)
    if folder.exists():
        return
    faces = open_faces(store.cache / "faces" / job.fingerprint)
    learnt = faces if job.source is None else open_faces(store.cache / "faces" / job.source)
    others = {key: open_faces(store.cache / "faces" / one) for key, one in job.others.items()}
    name = job.spec.name
    started = time.perf_counter()
    with blame(name, "construction"):
        plugin: Features = job.spec.make()
        plugin.setting = replace(
            job.setting,
            folder=store.training / job.key if plugin.trains else None,
            judge=partial(judged, learnt.kind),
            report=worker.report,
            others=others,
        )
    if plugin.needs_landmarks and faces.landmarks is None:
        faces = with_landmarks(store.cache / "landmarks", faces, job.setting.device)
    if plugin.needs_landmarks and learnt.landmarks is None:
        learnt = with_landmarks(store.cache / "landmarks", learnt, job.setting.device)
    if not plugin.stateless:
        rng = np.random.default_rng(job.seed)
        test_chooses = job.setting.selection == "test"
        train, valid = _training(learnt, job.fold, plugin, test_chooses)
        with blame(name, "fit"):
            if isinstance(plugin, Network):
                plugin.fit(train, rng, valid)
            else:
                plugin.fit(train, rng)
        if job.tuning is not None:
            assert isinstance(plugin, Network)
            mapped = in_columns(faces, learnt.label_names, job.columns)
            train, valid = _training(mapped, job.tuning, plugin, test_chooses)
            plugin.setting = replace(plugin.setting, judge=partial(judged, faces.kind))
            with blame(name, "tune"):
                plugin.tune(train, rng, valid)

    fitted = time.perf_counter()
    wanted = faces.take(job.tested) if job.alone else faces

    def about() -> dict[str, Any]:
        measures = _own_measures(plugin, faces, learnt, job)
        ended, earlier = time.perf_counter(), 0.0
        notes = list(plugin.remarks())
        if isinstance(plugin, Network):
            earlier = plugin.earlier_seconds
        if plugin.accelerated:
            speed = len(wanted) / (ended - fitted)
            notes.append(f"{name}: {speed:.3g} images/s when its vectors and scores were computed")
        return {
            "seconds": ended - started + earlier,
            "device": _device_in_words(plugin),
            "notes": notes,
            "footnotes": [*plugin.footnotes(), *_without_landmarks(plugin, faces)],
            "measures": measures,
            "learned_weights": plugin.learned_weights(),
            "curve": _as_csv(plugin.learning_curve()),
        }

    columns = None if job.source is None else job.columns
    found = _transformed(plugin, name, wanted, len(learnt.label_names), columns)
    save_features(folder, len(wanted), found, about)


def _as_csv(rows: list[dict[str, float | str]]) -> str:
    """A learning curve to six digits, without how fast it went."""
    columns = [name for name in dict.fromkeys(k for row in rows for k in row) if name not in _SPEED]
    lines = [columns] if rows else []
    for row in rows:
        values = [row.get(name, "") for name in columns]
        lines.append([one if isinstance(one, str) else f"{one:.6g}" for one in values])
    return "".join(",".join(line) + "\n" for line in lines)


def _training(
    faces: FaceSet, fold: Fold, plugin: Features, test_chooses: bool
) -> tuple[FaceSet, FaceSet | None]:
    """The training part, and the one that epochs are chosen on."""
    chosen_on = fold.test if test_chooses else fold.valid
    valid = prepare(faces.take(chosen_on), plugin.input) if len(chosen_on) else None
    return prepare(faces.take(fold.train), plugin.input), valid


def _own_measures(
    plugin: Features, faces: FaceSet, learnt: FaceSet, job: FeatureJob
) -> dict[str, float]:
    """What a method measures of itself on the test part."""
    if type(plugin).measures is Features.measures:
        return {}  # most do not, and images need not be prepared for nothing
    test = faces.take(job.tested)
    if job.source is not None:
        test = in_columns(test, learnt.label_names, job.columns)
    with blame(job.spec.name, "measures"):
        found = plugin.measures(prepare(test, plugin.input))
        return {name: float(value) for name, value in found.items() if isfinite(value)}


def _transformed(
    plugin: Features, name: str, faces: FaceSet, labels_learnt: int, columns: Sequence[int] | None
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray | None]]]:
    """In chunks: vectors, and a network's scores and labels of ``columns`` (None: of all).

    And its label distributions, unless it was asked about some of its labels only.
    """
    for start in range(0, len(faces), CHUNK):
        part = faces.take(slice(start, start + CHUNK))
        # Labels are hidden: what a method has not been given it cannot leak.
        hidden = np.zeros_like(part.labels)
        if part.kind == "single":
            hidden[:, 0] = True
        if plugin.input.size is not None or part.images is not None:
            part = prepare(part, plugin.input)
        part = replace(part, labels=hidden, distribution=None, votes=None)
        scores = labels = shares = None
        with blame(name, "transform"):
            if isinstance(plugin, Network):
                matrix, scores, labels = plugin.outputs(part)
                as_scores = plugin.scores_are_distributions()
                shares = scores if as_scores else plugin.distribution(part)
            else:
                matrix = plugin.transform(part)
        if (
            not isinstance(matrix, np.ndarray)
            or matrix.ndim != 2
            or len(matrix) != len(part)
            or matrix.dtype not in (np.float32, np.float64)
        ):
            raise MethodError(
                f"{name} failed in transform: float32 ({len(part)}, d) expected, got "
                f"{_shape(matrix)}"
            )
        bad = int((~np.isfinite(matrix)).any(axis=1).sum())
        if bad:
            raise MethodError(
                f"{name} gave NaN or infinite features for {bad} of {len(part)} faces"
            )
        scores, labels = checked(name, scores, labels, (len(part), labels_learnt))
        checked_shares(name, shares, (len(part), labels_learnt))
        if columns is not None:
            scores, labels = _of_columns(scores, labels, columns, faces.kind)
            if shares is not None:
                whole = len(columns) == labels_learnt
                shares = np.ascontiguousarray(shares[:, columns]) if whole else None
        yield matrix, {"scores": scores, "labels": labels, "distribution": shares}


def _of_columns(
    scores: np.ndarray | None, labels: np.ndarray | None, columns: Sequence[int], kind: str
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """What a network says of some of its labels; of one class per face, the highest score."""
    scores = None if scores is None else np.ascontiguousarray(scores[:, columns])
    if kind == "single" and scores is not None:
        labels = np.arange(len(columns)) == scores.argmax(axis=1)[:, None]
    elif labels is not None:
        labels = np.ascontiguousarray(labels[:, columns])
    return scores, labels


def _device_in_words(plugin: Features) -> str:
    if plugin.setting.device == "cpu" or not plugin.accelerated:
        return "cpu"
    from bench.nn.device import described

    return described(plugin.setting.device)


def _without_landmarks(plugin: Features, faces: FaceSet) -> list[str]:
    if not plugin.needs_landmarks or faces.landmarks_found is None or faces.landmarks_found.all():
        return []
    share = 100 * (1 - faces.landmarks_found.mean())
    return [f"no face found in {share:.1f} % of the images: landmarks of the template there"]


def judged(kind: str, truth: np.ndarray, scores: np.ndarray) -> float:
    """What epochs are compared by: average precision, accuracy where rows have one class."""
    labels = np.arange(scores.shape[1]) == scores.argmax(axis=1)[:, None]
    found = evaluate(truth, scores, labels, "sklearn", kind)
    value = found.values["average_precision" if kind == "multi" else "accuracy"]
    assert value is not None
    return value


def _shape(array: Any) -> str:
    if isinstance(array, np.ndarray):
        return f"{array.dtype} {array.shape}"
    return type(array).__name__


def checked(
    name: str, scores: np.ndarray | None, labels: np.ndarray | None, shape: tuple[int, ...]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Scores and labels as a method gave them, or a sentence on what is wrong with them."""
    if scores is not None:
        if not isinstance(scores, np.ndarray) or scores.shape != shape or scores.dtype.kind != "f":
            raise MethodError(f"{name}: scores must be float {shape}, not {_shape(scores)}")
        bad = int((~np.isfinite(scores)).any(axis=1).sum())
        if bad:
            raise MethodError(f"{name} gave NaN or infinite scores for {bad} of {shape[0]} samples")
    if labels is not None and (
        not isinstance(labels, np.ndarray) or labels.shape != shape or labels.dtype != bool
    ):
        raise MethodError(f"{name}: labels must be bool {shape}, not {_shape(labels)}")
    return scores, labels


def checked_shares(name: str, shares: np.ndarray | None, shape: tuple[int, ...]) -> None:
    """Raise `MethodError` unless label distributions, where there are any, are such."""
    if shares is not None:
        try:
            check_shares(shares, shape, f"{name}: label distributions")
        except BenchError as error:
            raise MethodError(str(error)) from error


def measure(job: Job, store: Store, max_memory: float = inf) -> Record:
    """Measure a cell, store its scores and record, return the record.

    A classifier that says it needs more than ``max_memory`` bytes is not started. A method that
    fails gives a record that says so; only a full disk (`DiskFullError`) and
    interrupts come through.
    """
    started = datetime.now(UTC)
    reset_peak_memory()
    try:
        record = _measured(job, store, max_memory)
    except DiskFullError:
        raise
    except UnavailableError as error:
        record = failed(job, "skipped", str(error))
    except Exception as error:
        said = str(error) if isinstance(error, BenchError) else f"{type(error).__name__}: {error}"
        record = failed(job, "error", said, "".join(traceback.format_exception(error)))
    finished = {
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="microseconds"),
    }
    record = replace(
        record,
        peak_memory_mb=peak_memory_mb(),
        provenance={**provenance(), **record.provenance, **finished},
    )
    store.write(record)
    return record


def failed(job: Job, status: str, reason: str, trace: str = "") -> Record:
    """The record of a cell that gave no number."""
    return Record(job.key, job.cell, status, reason=reason, traceback=trace, notes=job.notes)


def _measured(job: Job, store: Store, max_memory: float) -> Record:
    fold, notes, seconds = job.fold, list(job.notes), {}
    footnotes = job.footnotes
    device, measures, learned_weights, curve = "cpu", {}, 0, ""
    faces = open_faces(store.cache / "faces" / job.cell.fingerprint)
    truth = np.array(faces.labels[fold.test])
    scores: np.ndarray | None
    labels: np.ndarray | None
    shares: np.ndarray | None
    kept = None
    if job.features is not None:
        needs = replace(job.features, alone=job.classifier is None)
        ensure_features(needs, store)
        kept = open_features(needs.place(store))
        seconds["features"] = kept.seconds
        notes.extend(kept.notes)
        footnotes, device = footnotes + kept.footnotes, kept.device
        measures, learned_weights, curve = kept.measures, kept.learned_weights, kept.curve
    if job.classifier is None:
        assert kept is not None
        assert kept.scores is not None
        assert kept.labels is not None
        rows = fold.test
        if len(kept.scores) < len(faces):
            rows = np.searchsorted(needs.tested, fold.test)
        scores, labels = kept.scores[rows], kept.labels[rows]
        shares = None if kept.distribution is None else kept.distribution[rows]
    else:
        matrix = np.empty((len(faces), 0), np.float32) if kept is None else kept.matrix
        train, test = _frozen(matrix[fold.train]), _frozen(matrix[fold.test])
        name = job.classifier.name
        begun = time.perf_counter()
        with blame(name, "construction"):
            classifier = job.classifier.make()
            classifier.kind = faces.kind
            if classifier.stochastic:
                classifier.set_params(random_state=job.cell.seed)
        known = faces.distribution if classifier.learns == "distribution" else faces.labels
        assert known is not None  # no cell is planned without what its method learns
        targets = _frozen(np.array(known[fold.train]))
        with blame(name, "memory_needed"):
            needed = classifier.memory_needed(*train.shape, targets.shape[1], train.itemsize)
        if needed > max_memory:
            raise MethodError(
                f"{name} needs {needed / 1e9:.3g} GB for {len(train)} training rows and may take "
                f"{max_memory / 1e9:.3g} GB: raise --max-memory (with fewer --workers where memory "
                "is short), or take fewer rows or another method"
            )
        with blame(name, "fit"):
            classifier.fit(train, targets)
        fitted = time.perf_counter()
        with blame(name, "predict"):
            scores, labels = classifier.scores_and_labels(test)
            as_scores = classifier.scores_are_distributions()
            shares = scores if as_scores else classifier.distribution(test)
        seconds["fit"] = fitted - begun
        seconds["predict"] = time.perf_counter() - fitted
        scores, labels = checked(name, scores, labels, truth.shape)
        checked_shares(name, shares, truth.shape)
        notes.extend(classifier.remarks())
    found = Stored(truth, scores, labels)
    if faces.distribution is not None and shares is not None:
        true_shares = np.array(faces.distribution[fold.test], dtype=float)
        found = Stored(truth, scores, labels, true_shares, shares)
    digest = store.write_scores(job.key, faces.ids[fold.test], *found)
    record = Record(
        job.key,
        job.cell,
        "ok",
        seconds=seconds,
        scores_sha256=digest,
        measures=measures,
        learned_weights=learned_weights,
        curve=curve,
        notes=tuple(notes),
        footnotes=footnotes,
        provenance={"device": device},
        criteria_code=criteria_code(),
    )
    return scored(record, *found)


def _frozen(array: np.ndarray) -> np.ndarray:
    array = np.ascontiguousarray(array)
    array.flags.writeable = False
    return array


@cache
def engine_code() -> str:
    """Hash of the engine's code that stands between a method and its number.

    Criteria are left out: they are computed again from the stored scores where they changed.
    """
    here = Path(__file__)
    return code_hash([here, here.with_name("cache.py")], follow=False) + code_hash(
        [Path(prepare_module.__file__)]
    )
