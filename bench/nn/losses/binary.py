"""The binary cross-entropy: each label has a probability of its own."""

from __future__ import annotations

import torch
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


def softmax_binary_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The same with p_i = softmax(logits_i): the labels of a face share one probability.

    MF-JLE, IEEE Access 9 (2021), as III-B has it ("p_i represents the softmax of the output"). Its
    minimum is not 0 where a face has two labels: all its p sum to 1.

    Parameters
    ----------
    logits : float (n, L)
        L >= 2; of any size: the loss does not overflow.
    labels : float (n, L)
        Label sets as 0 and 1.

    Returns
    -------
    float ()
    """
    total = torch.logsumexp(logits, dim=1, keepdim=True)
    itself = torch.eye(logits.shape[1], dtype=torch.bool, device=logits.device)
    # log(1 - p) from the other logits, since 1 - p has no digits left where p is near 1.
    others = logits[:, None].masked_fill(itself, -torch.inf).logsumexp(dim=2)
    present, absent = logits - total, others - total
    return -(labels * present + (1 - labels) * absent).mean()
