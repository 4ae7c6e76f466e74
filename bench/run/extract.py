"""Computes the features of one job: fits a method on its training part, asks it about every face.

With a network's own scores, labels and label distributions, which come with its vectors.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from typing import Any

import numpy as np

from bench.api import FaceSet, Features, Network
from bench.data.mapping import in_columns
from bench.data.prepare import prepare
from bench.data.protocols import Fold
from bench.run import worker
from bench.run.cache import CHUNK, open_faces, save_features, with_landmarks
from bench.run.contract import blame, check_distribution, check_outputs, check_vectors, sentences
from bench.run.job import FeatureJob
from bench.run.sealed import discard, is_kept
from bench.run.store import Store
from bench.score.criteria import evaluate

_SPEED = ("seconds", "images_per_second")  # of an epoch: no two runs agree on them

Outputs = Mapping[str, np.ndarray | None]


@dataclass(frozen=True)
class _Data:
    """The faces of a job, with landmarks where its method needs them.

    Attributes
    ----------
    faces : FaceSet
        Whose features are computed.
    training : FaceSet
        The dataset that the method is trained on; ``faces`` itself but under protocol ``cross``.
    """

    faces: FaceSet
    training: FaceSet


def ensure_features(job: FeatureJob, store: Store) -> None:
    """Compute and keep the features of a job unless they are there and in order.

    Raises
    ------
    MethodError, UnavailableError, DiskFullError
        The method fails; what it needs is not there; no room for its vectors.
    """
    for _ in range(2):  # vectors of every face, of which those of the tested ones are a part
        folder = job.place(store.cache)
        if is_kept(folder):
            return
        discard(folder)
    started = time.perf_counter()
    method, data = _configured(job, store)
    if not method.stateless:
        _learn(job, method, data)
    fitted = time.perf_counter()
    faces = data.faces.take(job.tested) if job.alone else data.faces

    def about() -> dict[str, Any]:
        measures = _measures(job, method, data)
        ended = time.perf_counter()
        earlier = method.earlier_seconds if isinstance(method, Network) else 0.0
        name = job.spec.name
        with blame(name, "remarks"):
            notes = list(sentences(name, "remarks", method.remarks()))
            footnotes = sentences(name, "footnotes", method.footnotes())
            learned = int(method.learned_weights())
            curve = _curve_as_csv(method.learning_curve())
        if method.accelerated:
            speed = len(faces) / (ended - fitted)
            notes.append(
                f"{job.spec.name}: {speed:.3g} images/s when its vectors and scores were computed"
            )
        return {
            "seconds": ended - started + earlier,
            "device": _device_in_words(method),
            "notes": notes,
            "footnotes": [*footnotes, *_without_landmarks(method, data.faces)],
            "measures": measures,
            "learned_weights": learned,
            "curve": curve,
        }

    save_features(folder, len(faces), _transformed(job, method, faces, data.training), about)


def _configured(job: FeatureJob, store: Store) -> tuple[Features, _Data]:
    """The method of a job, made and told its setting, with the faces that it will see."""
    faces = open_faces(store.cache, job.fingerprint)
    training = faces if job.source is None else open_faces(store.cache, job.source)
    others = {name: open_faces(store.cache, mark) for name, mark in job.others.items()}
    with blame(job.spec.name, "construction"):
        method: Features = job.spec.make()
        method.setting = replace(
            job.setting,
            folder=store.training / job.key if method.trains else None,
            judge=partial(epoch_quality, training.kind),
            report=worker.report,
            others=others,
        )
    if method.needs_landmarks and faces.landmarks is None:
        faces = with_landmarks(store.cache / "landmarks", faces, job.setting.device)
    if method.needs_landmarks and training.landmarks is None:
        training = with_landmarks(store.cache / "landmarks", training, job.setting.device)
    return method, _Data(faces, training)


def _learn(job: FeatureJob, method: Features, data: _Data) -> None:
    """Fit the method; under ``cross`` train it further on the target where the job says so."""
    rng = np.random.default_rng(job.seed)
    test_chooses = job.setting.selection == "test"
    train, valid = _parts(data.training, job.fold, method, test_chooses)
    with blame(job.spec.name, "fit"):
        if isinstance(method, Network):
            method.fit(train, rng, valid)
        else:
            method.fit(train, rng)
    if job.tuning is None:
        return
    assert isinstance(method, Network)
    mapped = in_columns(data.faces, data.training.label_names, job.columns)
    train, valid = _parts(mapped, job.tuning, method, test_chooses)
    method.setting = replace(method.setting, judge=partial(epoch_quality, data.faces.kind))
    with blame(job.spec.name, "tune"):
        method.tune(train, rng, valid)


def _parts(
    faces: FaceSet, fold: Fold, method: Features, test_chooses: bool
) -> tuple[FaceSet, FaceSet | None]:
    """The training part, and the part that epochs are chosen on (None where that is empty)."""
    chosen_on = fold.test if test_chooses else fold.valid
    valid = prepare(faces.take(chosen_on), method.input) if len(chosen_on) else None
    return prepare(faces.take(fold.train), method.input), valid


def _measures(job: FeatureJob, method: Features, data: _Data) -> dict[str, float]:
    """What a method measures of itself on the test part."""
    if type(method).measures is Features.measures:
        return {}  # most do not, and images need not be prepared for nothing
    test = data.faces.take(job.tested)
    if job.source is not None:
        test = in_columns(test, data.training.label_names, job.columns)
    with blame(job.spec.name, "measures"):
        measures = method.measures(prepare(test, method.input))
        return {str(name): float(value) for name, value in measures.items() if isfinite(value)}


def _transformed(
    job: FeatureJob, method: Features, faces: FaceSet, training: FaceSet
) -> Iterator[tuple[np.ndarray, Outputs]]:
    """In chunks: vectors, and a network's scores, labels and label distributions.

    Under ``cross`` of those labels alone that the faces have too; without label distributions
    where these are not all that the network knows.
    """
    columns = None if job.source is None else job.columns
    known = len(training.label_names)
    for start in range(0, len(faces), CHUNK):
        chunk = _unlabelled(faces.take(slice(start, start + CHUNK)), method)
        vectors, outputs = _asked(job.spec.name, method, chunk, known)
        if columns is not None:
            outputs = _of_columns(outputs, columns, faces.kind, known)
        yield vectors, outputs


def _unlabelled(chunk: FaceSet, method: Features) -> FaceSet:
    """Faces as a method sees them: what it has not been given it cannot leak."""
    hidden = np.zeros_like(chunk.labels)
    if chunk.kind == "single":
        hidden[:, 0] = True
    if method.input.size is not None or chunk.images is not None:
        chunk = prepare(chunk, method.input)
    return replace(chunk, labels=hidden, distribution=None, votes=None)


def _asked(name: str, method: Features, chunk: FaceSet, known: int) -> tuple[np.ndarray, Outputs]:
    """Vectors and outputs of some faces, checked; ``known`` labels have been learnt."""
    scores = labels = distribution = None
    with blame(name, "transform"):
        if isinstance(method, Network):
            vectors, scores, labels = method.outputs(chunk)
            as_scores = method.scores_are_distributions()
            distribution = scores if as_scores else method.distribution(chunk)
        else:
            vectors = method.transform(chunk)
    check_vectors(name, vectors, len(chunk))
    check_outputs(name, scores, labels, (len(chunk), known))
    check_distribution(name, distribution, (len(chunk), known))
    return vectors, {"scores": scores, "labels": labels, "distribution": distribution}


def _of_columns(
    outputs: Mapping[str, np.ndarray | None], columns: Sequence[int], kind: str, known: int
) -> Outputs:
    """What a network says of some of its labels; of one class per face, the highest score."""

    def part(name: str) -> np.ndarray | None:
        array = outputs[name]
        return None if array is None else np.ascontiguousarray(array[:, columns])

    scores, labels = part("scores"), part("labels")
    if kind == "single" and scores is not None:
        labels = np.arange(len(columns)) == scores.argmax(axis=1)[:, None]
    distribution = part("distribution") if len(columns) == known else None
    return {"scores": scores, "labels": labels, "distribution": distribution}


def epoch_quality(kind: str, truth: np.ndarray, scores: np.ndarray) -> float:
    """What epochs are compared by: average precision, accuracy where rows have one class.

    Parameters
    ----------
    kind : {"multi", "single"}
    truth : bool (n, L)
    scores : float (n, L)
    """
    labels = np.arange(scores.shape[1]) == scores.argmax(axis=1)[:, None]
    values = evaluate(truth, scores, labels, "sklearn", kind).values
    value = values["average_precision" if kind == "multi" else "accuracy"]
    assert value is not None
    return value


def _curve_as_csv(rows: list[dict[str, float | str]]) -> str:
    """A learning curve to six digits, without how fast it went."""
    columns = [name for name in dict.fromkeys(k for row in rows for k in row) if name not in _SPEED]
    lines = [columns] if rows else []
    lines += [[_six_digits(row.get(name, "")) for name in columns] for row in rows]
    return "".join(",".join(line) + "\n" for line in lines)


def _six_digits(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def _device_in_words(method: Features) -> str:
    if method.setting.device == "cpu" or not method.accelerated:
        return "cpu"
    from bench.nn.device import device_label

    return device_label(method.setting.device)


def _without_landmarks(method: Features, faces: FaceSet) -> list[str]:
    if not method.needs_landmarks or faces.landmarks_found is None or faces.landmarks_found.all():
        return []
    share = 100 * (1 - faces.landmarks_found.mean())
    return [f"no face found in {share:.1f} % of the images: landmarks of the template there"]
