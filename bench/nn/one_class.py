"""Networks that give a face one class."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
from torch import Tensor
from torch.nn.functional import one_hot

from bench.api import FaceSet, InputError, param
from bench.nn.faces import targets
from bench.nn.losses.softmax import multilabel_softmax
from bench.nn.network import TrainedNetwork
from bench.nn.output import Batch, Output, Terms


def as_classes(faces: FaceSet) -> FaceSet:
    """Single-label data: each face's strongest label.

    The first of the largest in its label distribution, or in its label set where the dataset has no
    distributions. Faces without any label are left out.
    """
    if faces.kind == "single":
        return faces
    shares = faces.labels if faces.distribution is None else faces.distribution
    rows = np.flatnonzero(shares.max(axis=1) > 0)
    classes = shares[rows].argmax(axis=1)
    return replace(
        faces.take(rows),
        kind="single",
        labels=np.arange(shares.shape[1]) == classes[:, None],
        distribution=None,
        votes=None,
    )


class OneClassNetwork(TrainedNetwork):
    """A network that learns one class of each face, and scores by a softmax.

    On multi-label data only with ``target=argmax``: the class of a face is the first of the largest
    in its label distribution, or in its label set; a face without any says nothing.
    """

    kinds: ClassVar[tuple[str, ...]] = ("single",)
    threshold = "row"  # the largest score of a face

    target: str = param(
        "none",
        choices=("none", "argmax"),
        help="argmax: learn each face's strongest label, on multi-label data",
    )

    def takes_sets(self) -> bool:
        """Whether label sets are learned as they are; a network of one class a face does not."""
        return False

    def unsuited(self, kind: str) -> str | None:
        """Multi-label data are for ``target=argmax``."""
        if kind == "multi" and self.target == "none" and not self.takes_sets():
            return (
                f"{self.name} gives a face one class: on multi-label data write "
                f"{self.name}[target=argmax], which learns each face's strongest label"
            )
        return None

    def check(self, train: FaceSet) -> None:
        """Raise `InputError` where there are not two classes to tell apart."""
        why = self.unsuited(train.kind)
        if why is not None:
            raise InputError(why)
        if train.kind == "multi" and self.target == "none":
            return
        classes, known = strongest(targets(train, "cpu")[1])
        shown = classes[known].unique().tolist()
        if len(shown) < 2:
            only = f"only {train.label_names[shown[0]]}" if shown else "no class"
            raise InputError(
                f"{self.name}: the training part of {train.name} shows {only}; it takes faces of "
                "two classes or more"
            )

    def loss(self, out: Output, batch: Batch) -> Terms:
        """The softmax cross-entropy of each face's class."""
        classes, known = strongest(batch.distribution)
        target = one_hot(classes, batch.labels.shape[1]) * known[:, None]
        return Terms(multilabel_softmax(out.logits, target))


def strongest(distribution: Tensor) -> tuple[Tensor, Tensor]:
    """The class of each row of a label distribution float (n, L), and whether it has any.

    Returns
    -------
    int64 (n,)
        The first of the largest shares.
    bool (n,)
        False where all shares are 0.
    """
    return distribution.argmax(dim=1), distribution.sum(dim=1) > 0
