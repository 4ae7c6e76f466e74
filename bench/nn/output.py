"""The values that pass between networks, losses and the training loop: outputs, batches, terms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor


class Output(NamedTuple):
    """The value of a network's `forward`.

    Attributes
    ----------
    embedding : float (n, d)
        The penultimate layer, whose vectors classifiers take.
    logits : float (n, L)
    parts : float (n, M, L), or None
        The logits of the M networks that ``logits`` are made of.
    other : float (n, ...), or None
        Further values for the loss: vectors of other faces, outputs of other heads.
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
        The images as the network's `forward` takes them.
    labels : float (n, L)
        Label sets as 0 and 1.
    distribution : float (n, L)
        The dataset's label distributions; where it has none, label sets divided by their size.
    """

    inputs: Tensor
    labels: Tensor
    distribution: Tensor


@dataclass(frozen=True)
class Terms:
    """The loss of a batch and the terms that it is made of.

    Attributes
    ----------
    loss : float ()
        The value that is minimised, a mean over the batch.
    parts : dict of str to float ()
        Its terms and other figures for the log, each a mean over the batch.
    """

    loss: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)
