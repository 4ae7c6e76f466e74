"""The binary cross-entropy: each label a question of its own."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def binary_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """−(1/(n L)) Σ_i Σ_j [y_ij log p_ij + (1 − y_ij) log(1 − p_ij)], p = sigmoid(logit).

    MF-JLE, IEEE Access 9 (2021), Eq. 2, whose second term is printed (1 − log p) log(1 − y): a
    misprint, for it is not defined at y = 1.

    Parameters
    ----------
    logits : float (n, L)
        Any size: nothing overflows.
    labels : float (n, L)
        0 or 1.

    Returns
    -------
    float ()
    """
    return binary_cross_entropy_with_logits(logits, labels)
