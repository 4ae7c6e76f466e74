"""The bi-manifold loss: each deep feature near the means of two sets of neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def nearest(vectors: Tensor, k: int) -> Tensor:
    """The k nearest other rows of each row, by Euclidean distance.

    Parameters
    ----------
    vectors : float (n, d)
    k : int
        At least 1; n − 1 where that is less.

    Returns
    -------
    int64 (n, min(k, n − 1))
        Nearest first; of equal distances the lower row. A row is never its own neighbour, not even
        among exact duplicates.
    """
    vectors = vectors.detach()
    # Differences, not |a|² + |b|² − 2ab: label distributions are full of equal distances, and
    # rounding must not order them.
    distances = torch.cdist(vectors, vectors, compute_mode="donot_use_mm_for_euclid_dist")
    distances.fill_diagonal_(torch.inf)
    return distances.sort(dim=1, stable=True).indices[:, : min(k, len(vectors) - 1)]


def bi_manifold(features: Tensor, groups: Sequence[Tensor]) -> Tensor:
    """(1/2n) Σ_i ‖Σ_g (x_i − m_i^g)‖², m_i^g the mean feature of group g of row i.

    S. Li and W. Deng, IJCV 127 (2019) 884–906, Eq. 6 for two groups: ‖2 x_i − m_i^f − m_i^l‖². The
    means are constants: no gradient flows through them, as in the paper's Eq. 7. That equation is
    printed as (1/n)(2 x_i − m^f − m^l), half of the derivative of Eq. 6.

    Parameters
    ----------
    features : float (n, d)
    groups : sequence of int64 (n, k)
        For each row the rows of its neighbours; at least one group. With k = 0 (a batch of one) no
        row has neighbours, and the loss is 0.

    Returns
    -------
    float ()
    """
    if not groups[0].shape[1]:
        return 0 * features.sum()
    means = [features.detach()[rows].mean(dim=1) for rows in groups]
    offsets = len(means) * features - torch.stack(means).sum(dim=0)
    return offsets.square().sum() / (2 * len(features))


def overlap(first: Tensor, second: Tensor) -> Tensor:
    """The mean share of neighbours that two sets int64 (n, k) have in common, float () in [0, 1].

    The paper says that this share grows as training goes on (section 4.2).
    """
    return (first[:, :, None] == second[:, None, :]).any(dim=2).float().mean()
