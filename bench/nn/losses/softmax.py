"""The multi-label softmax cross-entropy: a distribution over the labels as the target."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import log_softmax


def multilabel_softmax(logits: Tensor, target: Tensor) -> Tensor:
    """−(1/n) Σ_i Σ_j y_ij log softmax(f(x_i))_j.

    S. Li and W. Deng, IJCV 127 (2019) 884–906, Eq. 1. Its gradient is −(y_j − |y| p_j)/n with
    |y| = Σ_j y_j; the printed −(y_j − p_j)/n holds for targets that sum to 1.

    Parameters
    ----------
    logits : float (n, L)
    target : float (n, L)
        At least 0: label distributions, or label sets as 0 and 1.

    Returns
    -------
    float ()
    """
    return -(target * log_softmax(logits, dim=1)).sum(dim=1).mean()
