"""The island loss's term between class centres: their cosines."""

from __future__ import annotations

import torch
from torch import Tensor

EPS = 1e-8  # a vector shorter than this has no direction


def directions(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Unit vectors float (..., d) and inverse lengths float (..., 1); both 0 below `EPS`."""
    length = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    known = length > EPS
    inverse = torch.where(known, 1 / torch.where(known, length, 1), 0)
    return vectors * inverse, inverse


def cosines(centres: Tensor) -> Tensor:
    """Σ_j Σ_{k≠j} cos(c_j, c_k), over ordered pairs.

    Parameters
    ----------
    centres : float (C, d)
        A centre shorter than 1e-8 has cosine 0 with all others.

    Returns
    -------
    float ()
        In [−C, C (C − 1)].
    """
    unit, _ = directions(centres)
    between = unit @ unit.T
    return between.sum() - between.diagonal().sum()


def island(centres: Tensor) -> Tensor:
    """Σ_j Σ_{k≠j} (cos(c_j, c_k) + 1), over ordered pairs.

    J. Cai et al., FG 2018: λ_1 times this is added to the center loss. It counts all classes,
    whatever the batch holds, and reaches features only through the centres.

    Parameters
    ----------
    centres : float (C, d)
        A centre shorter than 1e-8 has cosine 0 with all others.

    Returns
    -------
    float ()
        At least 0 up to rounding; 0 for one class.
    """
    return cosines(centres) + len(centres) * (len(centres) - 1)


def island_step(centres: Tensor) -> Tensor:
    """1/(C − 1) Σ_{k≠j} [c_k / (|c_j||c_k|) − (c_j·c_k) c_j / (|c_j|³|c_k|)], for each centre j.

    J. Cai et al., FG 2018, and the second term of LBAN-IL's Eq. 4. The latter prints no brackets,
    so that the subtracted term lies outside the sum, where k is not defined. The gradient of
    `island` is 2 (C − 1) times this step. α λ_1 times the step is taken off the centres. The step
    is at right angles to c_j and proportional to 1/|c_j|, so that it never shortens a centre.

    Parameters
    ----------
    centres : float (C, d)
        For a centre shorter than 1e-8 the step is 0.

    Returns
    -------
    float (C, d)
    """
    unit, inverse = directions(centres)
    others = unit.sum(dim=0) - unit
    along = (unit * others).sum(dim=1, keepdim=True)
    return inverse * (others - along * unit) / max(len(centres) - 1, 1)
