"""The islets loss's term between class centres: their distances."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.nn.losses.island import directions


def islets(centres: Tensor) -> Tensor:
    """L_p = exp(−½ Σ_{j≠k} ‖c_j − c_k‖), over ordered pairs: each distance counts once.

    LBAN-IL, Neurocomputing 2021, Eq. 1: λ_2 times this is added to the island loss. The distances
    are not squared. With seven classes L_p is 7.6e-10 where all 21 distances are 1 and 5.7e-19
    where they are 2; in float32 it loses digits from a mean distance of 4.2 on and is 0 from 4.96
    on (float64: 35.5). So it acts only at distances below some 0.1: in the first few steps, where
    centres start near the origin.

    Parameters
    ----------
    centres : float (C, d)

    Returns
    -------
    float ()
        In [0, 1]; 1 for one class and for centres that coincide.
    """
    between = centres[:, None] - centres
    return torch.exp(-torch.linalg.vector_norm(between, dim=2).sum() / 2)


def islets_step(centres: Tensor) -> Tensor:
    """−1/(2C) L_p Σ_{k≠j} (c_j − c_k) / ‖c_j − c_k‖, for each centre j.

    The last term of LBAN-IL's Eq. 4. In its exponent j and k run over all pairs (Eq. 1), though
    they are printed with the letters of the centre that moves. The gradient of `islets` is 2C times
    this step. α λ_2 times the step is taken off the centres.

    Parameters
    ----------
    centres : float (C, d)
        Centres nearer than 1e-8 do not push each other.

    Returns
    -------
    float (C, d)
    """
    away, _ = directions(centres[:, None] - centres)
    return -islets(centres) * away.sum(dim=1) / (2 * len(centres))
