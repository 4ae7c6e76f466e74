"""What networks take and give while they train."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor


class Output(NamedTuple):
    """What a network's `forward` returns.

    Attributes
    ----------
    embedding : float (n, d)
        The penultimate layer: the vectors for classifiers.
    logits : float (n, L)
    parts : float (n, M, L), or None
        Logits of the M networks that ``logits`` are put together from.
    other : float (n, ...), or None
        What else the loss looks at: vectors of other faces, other heads.
    """

    embedding: Tensor
    logits: Tensor
    parts: Tensor | None = None
    other: Tensor | None = None


@dataclass(frozen=True)
class Batch:
    """Training images with their targets, on the device.

    Attributes
    ----------
    inputs : float tensor
        As the network's `forward` takes them.
    labels : float (n, L)
        0 or 1.
    distribution : float (n, L)
        The dataset's label distributions; label sets divided by their size where it has none.
    """

    inputs: Tensor
    labels: Tensor
    distribution: Tensor


@dataclass(frozen=True)
class Terms:
    """A loss and what it is made of.

    Attributes
    ----------
    loss : float ()
        What is minimised: the mean over the batch.
    parts : dict of str to float ()
        Its terms and other figures to log, each a mean over the batch.
    """

    loss: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)
