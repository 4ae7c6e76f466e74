"""One class per face: the predominant emotion of its distribution.

Four datasets offer it as ``labels=predominant``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bench.api import BenchError, FaceSet


def tied(distribution: np.ndarray) -> np.ndarray:
    """Rows of ``distribution`` float (n, L) whose largest share stands twice, bool (n,)."""
    return np.asarray((distribution == distribution.max(axis=1, keepdims=True)).sum(axis=1) > 1)


def predominant(faces: FaceSet) -> FaceSet:
    """The same faces in the same parts, each with the label of its largest share alone.

    The first label where shares tie; a note counts such rows. S. Li and W. Deng, IJCV 127 (2019)
    884–906, Sec. 3.5 and Table 1, try single-label methods on blended expressions in this way.

    Raises
    ------
    BenchError
        The faces have no distribution.
    """
    shares = faces.distribution
    if shares is None:
        raise BenchError(
            f"{faces.name} has no label distribution to take a predominant label from; use "
            "labels=set"
        )
    labels = np.arange(shares.shape[1]) == shares.argmax(axis=1)[:, None]
    ties = int(tied(shares).sum())
    note = (
        "one class per image, the largest share of its distribution; "
        f"{ties} of {len(faces)} rows tie and have the first label"
    )
    return replace(faces, kind="single", labels=labels, notes=(*faces.notes, note))


def kind_with(kind: str, params: Mapping[str, Any]) -> str:
    """The kind of a dataset's faces under these parameters of its plug-in.

    ``labels=predominant`` is how every plug-in of label sets spells `predominant`.
    """
    return "single" if params.get("labels") == "predominant" else kind
