"""The entropy of a softmax: low where one label has nearly all the probability."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import log_softmax


def entropy(logits: Tensor) -> Tensor:
    """−(1/n) Σ_i Σ_j p_ij log p_ij, p = softmax(logits), in nats.

    S. Li and W. Deng, IJCV 127 (2019) 884–906, Eq. 16. Its gradient is
    −(1/n) p_j (log p_j − Σ_m p_m log p_m). The last line of Eq. 17 has the opposite sign, which
    would spread the probability of each row over all labels; the line before it is right.

    Parameters
    ----------
    logits : float (n, L)
        Finite and of any size: a probability of 0 adds 0.

    Returns
    -------
    float ()
        In [0, log L].
    """
    log_p = log_softmax(logits, dim=1)
    return -(log_p.exp() * log_p).sum(dim=1).mean()
