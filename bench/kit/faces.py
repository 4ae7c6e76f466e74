"""What the test kit shows features and networks: noise in the shape of faces, and its setting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bench.api import TRAIN, FaceSet, Setting
from bench.data.mapping import unlabelled
from bench.kit.general import Subject

FACES, LABELS = 12, 4


def faces_for(subject: Subject, side: int | None = None, kind: str = "") -> FaceSet:
    """Noise of the size and colour that the plug-in takes; read-only.

    Parameters
    ----------
    side : int, optional
        Another size.
    kind : {"multi", "single"}, optional
        Another kind than the first of those that it is meant for.
    """
    plugin: Any = subject.plugin
    rng = np.random.default_rng(0)
    kind = kind or plugin.kinds[0]
    if kind == "single":
        labels = np.eye(LABELS, dtype=bool)[np.arange(FACES) % LABELS]
    else:
        labels = rng.random((FACES, LABELS)) < 0.5
    distribution = labels + rng.random((FACES, LABELS))
    parts: dict[str, Any] = {
        "ids": np.array([f"{row:04d}" for row in range(FACES)]),
        "labels": labels,
        "distribution": distribution / distribution.sum(axis=1, keepdims=True),
        "split": np.full(FACES, TRAIN, np.int8),
    }
    if plugin.needs_images:
        side = side or plugin.input.crop_from or plugin.input.size or 48
        shape = (FACES, side, side) + ((3,) if plugin.input.colour == "rgb" else ())
        eyes_nose_mouth = np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
        parts["images"] = rng.integers(0, 256, shape, dtype=np.uint8)
        parts["landmarks"] = np.tile(eyes_nose_mouth * side, (FACES, 1, 1))
    else:
        parts["features"] = rng.normal(size=(FACES, 9))
    for array in parts.values():
        array.flags.writeable = False
    return FaceSet("noise", kind, tuple("abcd"), **parts)


def setting_for(subject: Subject) -> Setting:
    """The shortest budget, and noise for every dataset that the method may name."""
    plugin: Any = subject.plugin
    faces = faces_for(subject)
    handed = {
        "labelled": faces,
        "unlabelled": unlabelled(faces),
        "people": replace(
            faces,
            kind="people",
            label_names=(),
            labels=np.zeros((FACES, 0), bool),
            distribution=None,
            subject=np.array([f"person-{row % 4}" for row in range(FACES)]),
        ),
    }
    others = {name: handed[how] for name, how in plugin.companions.items()}
    return Setting(budget="smoke", others=others)
