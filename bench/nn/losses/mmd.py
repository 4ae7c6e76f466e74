"""The multi-kernel maximum mean discrepancy (MK-MMD) between two batches of features."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.api import InputError

_LEAST = 1e-30  # the least mean squared distance, since all features may be equal


def mk_mmd(
    source: Tensor,
    target: Tensor,
    kernels: int = 5,
    linear: bool = False,
    constant: bool = True,
) -> Tensor:
    """An unbiased estimate of the squared MMD of the distributions that two batches come from.

    S. Li and W. Deng, IJCV 127 (2019) 884–906, Eq. 12::

        Σ_{i≠j} k(s_i, s_j) / (n_s (n_s − 1)) + Σ_{i≠j} k(t_i, t_j) / (n_t (n_t − 1))
        − 2 / (n_s n_t) Σ_ij k(s_i, t_j)

    with k = Σ_l β_l exp(−‖·‖²/2σ_l²). The paper gives neither kernels nor weights and follows DAN
    (M. Long et al., ICML 2015), whose own code differs from its text. Here β_l = 1/K, and
    σ_l² = the mean squared distance of any two rows of both batches × 2^(l − ⌊K/2⌋),
    l = 0 … K − 1: × {¼, ½, 1, 2, 4} for five.

    The gradient is that of Eq. 12. Eqs. 13 and 14 print the factor 1/(n (n − 1)) for the terms
    within a domain; it is 2/(n (n − 1)), for x_i is an argument of k twice.

    Parameters
    ----------
    source, target : float32 or float64 (n_s, d), (n_t, d)
        At least two rows each.
    kernels : int
        K, at least 1.
    linear : bool
        Whether to take the estimate in linear time (A. Gretton et al., JMLR 13 (2012), section 6):
        rows 2i − 1 and 2i of both sides make one term, k(s, s') + k(t, t') − k(s, t') − k(s', t),
        and terms are averaged. Unbiased for rows in random order, noisier; rows without a partner
        are left out.
    constant : bool
        Whether σ is a constant to the gradient, as in DAN's code. The gradient then draws all rows
        to one point, at every scale anew, since σ follows them: features that no other loss holds
        apart end there. False: the gradient is that of the whole expression, whose value does not
        depend on the scale of the features, so that it does not shrink them.

    Returns
    -------
    float ()
        Below 0 by chance where the distributions are alike.

    Raises
    ------
    InputError
        A side has fewer than two rows, widths differ, the precision is half, or there is no kernel.
    """
    _check(source, target, kernels)
    both = torch.cat([source, target])
    bandwidths = _bandwidths(both.detach() if constant else both, kernels)

    def k(squared: Tensor) -> Tensor:
        return torch.stack([torch.exp(-squared / (2 * s2)) for s2 in bandwidths]).mean(dim=0)

    if linear:
        return _linear_estimate(source, target, k)
    within = [_off_diagonal_mean(k(_squared(side, side))) for side in (source, target)]
    return within[0] + within[1] - 2 * k(_squared(source, target)).mean()


def _bandwidths(both: Tensor, kernels: int) -> list[Tensor]:
    """σ_l² of each kernel, from the mean squared distance of any two rows float (N, d)."""
    # The mean of ‖z_i − z_j‖² over all pairs is 2/(N − 1) Σ_i ‖z_i − z‖², z the mean: linear time.
    spread = 2 * (both - both.mean(dim=0)).square().sum() / (len(both) - 1)
    factors = 2.0 ** (torch.arange(kernels) - kernels // 2)
    return [spread.clamp(min=_LEAST) * factor for factor in factors.tolist()]


def _linear_estimate(source: Tensor, target: Tensor, k: Callable[[Tensor], Tensor]) -> Tensor:
    """The mean over pairs of neighbouring rows, k being a function of squared distances."""
    pairs = min(len(source), len(target)) // 2
    s, s2 = source[: 2 * pairs].unflatten(0, (pairs, 2)).unbind(dim=1)
    t, t2 = target[: 2 * pairs].unflatten(0, (pairs, 2)).unbind(dim=1)
    terms = [k((a - b).square().sum(dim=1)) for a, b in ((s, s2), (t, t2), (s, t2), (s2, t))]
    return (terms[0] + terms[1] - terms[2] - terms[3]).mean()


def _check(source: Tensor, target: Tensor, kernels: int) -> None:
    widths = {tuple(side.shape[1:]) for side in (source, target)}
    if min(len(source), len(target)) < 2 or len(widths) > 1 or source.ndim != 2 or kernels < 1:
        raise InputError(
            f"MK-MMD got source features {tuple(source.shape)}, target features "
            f"{tuple(target.shape)} and kernels={kernels}; give two rows or more on each side, all "
            "of one width, and at least one kernel"
        )
    if source.dtype != target.dtype or source.dtype not in (torch.float32, torch.float64):
        raise InputError(
            f"MK-MMD got source rows in {source.dtype} and target rows in {target.dtype}; give "
            "both in full precision, float32 or float64"
        )


def _squared(first: Tensor, second: Tensor) -> Tensor:
    """Squared distances float (n, m), from differences, so that rounding makes none negative."""
    return torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist").square()


def _off_diagonal_mean(kernel: Tensor) -> Tensor:
    """The mean of float (n, n) without its diagonal."""
    n = len(kernel)
    return (kernel.sum() - kernel.diagonal().sum()) / (n * (n - 1))
