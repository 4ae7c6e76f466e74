"""The test kit's checks of datasets: what an embedded one makes, what any one says."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.api import BenchError, FaceSet
from bench.data.protocols import default_protocol, folds
from bench.kit.general import Check, InapplicableError, Subject, refused, require


def _loaded(subject: Subject) -> tuple[Any, FaceSet]:
    plugin: Any = subject.plugin
    if not plugin.embedded:
        raise InapplicableError("it reads files that the kit has not")
    made = subject.make()
    faces = made.load(None)
    require(isinstance(faces, FaceSet), f"load gives {type(faces).__name__}, not a FaceSet")
    return made, faces


def metadata_is_complete(subject: Subject) -> None:
    """Kind, protocols, and how to get the data."""
    plugin: Any = subject.plugin
    kinds = ("multi", "single", "people")
    require(plugin.kind in kinds, f"kind is {plugin.kind!r}, not one of {', '.join(kinds)}")
    require(bool(plugin.obtain.strip()), "obtain does not say how to get the data")
    named = all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", one) for one in plugin.protocols)
    require(named, f"protocols {plugin.protocols} are not lower-case words joined by hyphens")
    require(plugin.obtain in subject.plain().describe(), "describe() leaves out how to obtain it")


def an_empty_folder_is_refused(subject: Subject) -> None:
    """So are a folder that is not there and none at all, each in a sentence."""
    plugin: Any = subject.plugin
    if plugin.embedded:
        raise InapplicableError("it needs no folder")
    with tempfile.TemporaryDirectory() as folder:
        refused("an empty folder", lambda: subject.make().load(Path(folder)))
        refused("a folder that is not there", lambda: subject.make().load(Path(folder, "gone")))
    refused("no folder", lambda: subject.make().load(None))


def the_same_faces_every_time(subject: Subject) -> None:
    """Two objects load the same content."""
    _, faces = _loaded(subject)
    require(faces.fingerprint == _loaded(subject)[1].fingerprint, "loading twice gives other data")


def names_and_shares_hold(subject: Subject) -> None:
    """Unique ids and labels, shares that sum to 1, landmarks inside the image."""
    made, faces = _loaded(subject)
    require(len(faces) > 0, "there are no faces")
    require(faces.kind == made.kind, f"the faces are {faces.kind}-label, the class {made.kind}")
    require(len(np.unique(faces.ids)) == len(faces), "two rows have one id")
    require(all(faces.label_names), "a label has no name")
    require(len(set(faces.label_names)) == len(faces.label_names), "two labels have one name")
    if faces.distribution is not None:
        shares = faces.distribution
        sums = np.allclose(shares.sum(axis=1), 1) and bool((shares >= 0).all())
        require(shares.shape == faces.labels.shape and sums, "distribution rows are no shares")
    if faces.landmarks is not None and faces.images is not None:
        height, width = faces.images.shape[1:3]
        inside = (faces.landmarks >= 0) & (faces.landmarks <= [width, height])
        require(faces.landmarks.shape == (len(faces), 5, 2), "landmarks are not (n, 5, 2)")
        require(bool(inside.all()), "landmarks lie outside the image")
    findings = made.check(faces)
    require(all(isinstance(one, str) for one in findings), "check does not give sentences")


def protocols_split_the_faces(subject: Subject) -> None:
    """Each of its protocols, or the general one where it has none, trains and tests."""
    made, faces = _loaded(subject)
    if made.kind == "people":
        raise InapplicableError("nothing is measured on people without labels")
    for protocol in made.protocols or (default_protocol(made),):
        try:
            parts = folds(made, faces, protocol)
        except BenchError as error:
            require(False, str(error))
        for fold in parts:
            rows = np.concatenate([fold.train, fold.valid, fold.test])
            require(len(np.unique(rows)) == len(rows), f"{protocol}: a row is in two parts")


CHECKS: tuple[Check, ...] = (
    metadata_is_complete,
    an_empty_folder_is_refused,
    the_same_faces_every_time,
    names_and_shares_hold,
    protocols_split_the_faces,
)
