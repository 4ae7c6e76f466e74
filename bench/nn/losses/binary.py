"""The binary cross-entropy: each label has a probability of its own."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def binary_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """−(1/(n L)) Σ_i Σ_j [y_ij log p_ij + (1 − y_ij) log(1 − p_ij)], p = sigmoid(logit).

    MF-JLE, IEEE Access 9 (2021), Eq. 2. Its second term is printed as (1 − log p) log(1 − y), a
    misprint, since that is not defined at y = 1.

    Parameters
    ----------
    logits : float (n, L)
        Of any size: the loss does not overflow.
    labels : float (n, L)
        Label sets as 0 and 1.

    Returns
    -------
    float ()
    """
    return binary_cross_entropy_with_logits(logits, labels)
