"""Which test images hang together, so that they count less than as many others.

Images of one subject, and copies of one photograph, are right or wrong together: an interval that
draws each for itself is too short (of 10 subjects with 5 images each and an intra-class correlation
of .2 it covers 86 %, not 95).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bench.api import FaceSet
from bench.data.duplicates import groups_of_copies, in_order
from bench.data.protocols import Fold

SUBJECTS, PHOTOGRAPHS = "subjects", "photographs"


@dataclass(frozen=True, eq=False)
class Clusters:
    """Test images by what they hang together by.

    Attributes
    ----------
    of_rows : int (n_test,)
        Number of each test image's cluster, from 0.
    count : int
        How many clusters there are: in the test part or, where ``shared``, in the dataset.
    kind : str
        ``subjects``, ``photographs``, or both.
    shared : bool
        Whether other folds test images of these clusters too, so that all folds have to draw them
        at once.
    """

    of_rows: np.ndarray
    count: int
    kind: str
    shared: bool = False


def clusters_of(
    faces: FaceSet, fold: Fold, copies: float | None, one_of_many: bool
) -> Clusters | None:
    """The clusters of a fold's test part; None where each image stands for itself.

    Parameters
    ----------
    copies : float or None
        See `bench.api.Dataset.copies`.
    one_of_many : bool
        Whether the protocol has more folds; they share subjects where the parts of one do.
    """
    rows = fold.test
    photographs = np.arange(len(rows))
    if copies is not None and faces.images is not None:
        photographs = groups_of_copies(np.asarray(faces.images[rows]), copies)
    many = len(np.unique(photographs)) < len(rows)
    if faces.subject is None or len(np.unique(faces.subject)) == len(faces):
        if not many:
            return None
        return Clusters(photographs, int(photographs.max()) + 1, PHOTOGRAPHS)
    if one_of_many and np.isin(faces.subject[rows], faces.subject[fold.train]).any():
        subjects = in_order(faces.subject)
        return Clusters(subjects[rows], int(subjects.max()) + 1, SUBJECTS, shared=True)
    subjects = in_order(faces.subject[rows])
    joined = _joined(subjects, photographs)
    count = int(joined.max()) + 1
    more = count < subjects.max() + 1
    return Clusters(joined, count, f"{SUBJECTS} and {PHOTOGRAPHS}" if more else SUBJECTS)


def _joined(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Rows that either grouping, or a chain of both, puts together: int (n,)."""
    size = int(left.max()) + int(right.max()) + 2
    edges = coo_array(
        (np.ones(len(left), dtype=bool), (left, right + left.max() + 1)), shape=(size, size)
    )
    return in_order(connected_components(edges, directed=False)[1][left])
