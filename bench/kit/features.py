"""The test kit's checks of features and networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from bench.api import BenchError, FaceSet
from bench.kit.classifier import follow_threshold
from bench.kit.faces import LABELS, faces_for, setting_for
from bench.kit.general import Check, InapplicableError, Subject, refused, require, same
from bench.kit.hooks import overridden_hooks_are_called
from bench.run.contract import check_distribution, check_outputs

TOLERANCE = 1e-5  # of float32 that is computed in batches of other sizes


def fitted(subject: Subject, faces: FaceSet) -> Any:
    """A fresh object after ``fit`` with the shortest budget."""
    made = subject.make()
    made.setting = setting_for(subject)
    require(made.fit(faces, np.random.default_rng(0)) is made, "fit does not return the object")
    return made


def vectors(made: Any, faces: FaceSet) -> np.ndarray:
    """What ``transform`` gives, of the right shape and type, finite."""
    found = made.transform(faces)
    right = isinstance(found, np.ndarray) and found.ndim == 2 and len(found) == len(faces)
    require(
        right and found.dtype in (np.float32, np.float64),
        f"transform must give float32 ({len(faces)}, d), not "
        f"{getattr(found, 'dtype', type(found).__name__)} {getattr(found, 'shape', '')}",
    )
    require(bool(np.isfinite(found).all()), "transform gives values that are not finite")
    return np.asarray(found)


def _hidden(faces: FaceSet) -> FaceSet:
    """As the engine hands faces to ``transform``."""
    labels = np.zeros_like(faces.labels)
    if faces.kind == "single":
        labels[:, 0] = True
    return replace(faces, labels=labels, distribution=None, votes=None)


def _outputs(subject: Subject) -> dict[str, Callable[[Any, FaceSet], np.ndarray]]:
    """What the plug-in computes from faces."""
    found: dict[str, Callable[[Any, FaceSet], np.ndarray]] = {"vectors": vectors}
    if hasattr(subject.plugin, "scores"):
        found["scores"] = lambda made, faces: made.scores(faces)
        found["labels"] = lambda made, faces: made.labels(faces)
    return found


def shape_type_and_finite_values(subject: Subject) -> None:
    """float32 (n, d), or float64 where a dataset's own vectors are handed on."""
    faces = faces_for(subject)
    vectors(fitted(subject, faces), faces)


def inputs_are_not_written_to(subject: Subject) -> None:
    """The arrays of a `FaceSet` may be read-only, and stay as they are."""
    faces = faces_for(subject)
    writable = faces.take(np.arange(len(faces)))
    for one in (faces, writable):
        before = one.fingerprint
        made = fitted(subject, one)
        for output in _outputs(subject).values():
            output(made, one)
        after = replace(one).fingerprint  # computed again
        require(after == before, "fit or transform writes into the faces; work on a copy")


def same_seed_gives_the_same_bytes(subject: Subject) -> None:
    """Two fresh objects fitted with one generator's state."""
    faces = faces_for(subject)
    first, second = fitted(subject, faces), fitted(subject, faces)
    for what, output in _outputs(subject).items():
        same(output(first, faces), output(second, faces), f"one seed gives other {what}")


def fit_twice_equals_fit_once(subject: Subject) -> None:
    """Nothing is left of an earlier fit."""
    faces = faces_for(subject)
    once, twice = fitted(subject, faces), fitted(subject, faces.take(slice(0, 8)))
    twice.fit(faces, np.random.default_rng(0))
    for what, output in _outputs(subject).items():
        same(output(twice, faces), output(once, faces), f"a second fit gives other {what}")


def chunks_do_not_matter(subject: Subject) -> None:
    """A face's answer does not depend on the faces beside it."""
    faces = faces_for(subject)
    made = fitted(subject, faces)
    for what, output in _outputs(subject).items():
        whole = output(made, faces)
        parts = [
            output(made, faces.take(rows)) for rows in (slice(0, 1), slice(1, 6), slice(6, 12))
        ]
        same(np.concatenate(parts), whole, f"in chunks other {what}", TOLERANCE)


def labels_are_not_looked_at(subject: Subject) -> None:
    """The engine hides the labels of the faces that are transformed."""
    faces = faces_for(subject)
    made = fitted(subject, faces)
    for what, output in _outputs(subject).items():
        same(output(made, _hidden(faces)), output(made, faces), f"hidden labels give other {what}")


def other_image_sizes_refused(subject: Subject) -> None:
    """Images of another size are no excuse for vectors of another length."""
    plugin: Any = subject.plugin
    if not plugin.needs_images:
        refused("a dataset of images", lambda: fitted(subject, _images()).transform(_images()))
        return
    if plugin.input.size is None:
        raise InapplicableError("it takes images of any size")
    faces = faces_for(subject)
    made = fitted(subject, faces)
    other = faces_for(subject, side=2 * faces.images.shape[1] if faces.images is not None else 0)
    try:
        found = made.transform(other)
    except (BenchError, ValueError, RuntimeError):
        return  # the engine hands over the size that is asked for: any refusal will do
    width = vectors(made, faces).shape[1]
    require(found.shape[1] == width, f"{found.shape[1]} and not {width} values for larger images")


def _images() -> FaceSet:
    return FaceSet(
        "noise",
        "multi",
        ("a",),
        np.array(["0", "1"]),
        np.zeros((2, 1), bool),
        images=np.zeros((2, 8, 8), np.uint8),
    )


def scores_and_labels(subject: Subject) -> None:
    """Scores float (n, L), finite; labels bool (n, L), by the threshold; rows of shares."""
    faces = faces_for(subject)
    made = fitted(subject, faces)
    scores, labels = made.scores(faces), made.labels(faces)
    check_outputs(subject.name, scores, labels, (len(faces), LABELS))
    if scores is not None and labels is not None:
        follow_threshold(scores, labels, made.threshold)
    shares = made.distribution(faces)
    check_distribution(subject.name, shares, (len(faces), LABELS))
    if made.scores_are_distributions():
        same(made.distribution(faces), made.scores(faces), "the distribution is not the scores")


def a_validation_part_is_taken(subject: Subject) -> None:
    """`fit` with faces to choose epochs and thresholds on."""
    faces = faces_for(subject)
    made = subject.make()
    made.setting = setting_for(subject)
    rows = [faces.take(slice(0, 8)), faces.take(slice(8, 12))]
    made.fit(rows[0], np.random.default_rng(0), rows[1])
    check_outputs(subject.name, made.scores(faces), made.labels(faces), (len(faces), LABELS))


def measures_are_finite_figures(subject: Subject) -> None:
    """`measures` gives finite numbers by name, the same ones when asked again."""
    faces = faces_for(subject)
    made = fitted(subject, faces)
    found = made.measures(faces)
    require(
        all(isinstance(name, str) and np.isfinite(value) for name, value in found.items()),
        f"measures gives {found}; finite numbers by name are wanted",
    )
    require(found == made.measures(faces), "measures gives other figures when asked again")


CHECKS: tuple[Check, ...] = (
    shape_type_and_finite_values,
    inputs_are_not_written_to,
    same_seed_gives_the_same_bytes,
    fit_twice_equals_fit_once,
    chunks_do_not_matter,
    labels_are_not_looked_at,
    other_image_sizes_refused,
    measures_are_finite_figures,
)
NETWORK_CHECKS: tuple[Check, ...] = (
    scores_and_labels,
    a_validation_part_is_taken,
    overridden_hooks_are_called,
)
