"""The multi-dataset (MD) loss: nearer to the centre of the own class than to other centres.

The loss of the multi-dataset network (Radioengineering 2020), read as the magnet loss (O. Rippel et
al., ICLR 2016) with one cluster for each class, from which it comes. Its paper prints:

- Eqs. 6 and 9: the numerator exp(+d/φ − λ), which drives features from their own centre.
- Eq. 6: j ≠ i, which compares a class with a sample; here j ≠ y_i.
- Eq. 9: below the fraction the distances to the own centre again, the same for all j.
- Eq. 8: φ = ½ Σ_i d_{i,y_i}, which grows with the batch, and whose k counts samples in Eq. 1 and
  classes in Eq. 6. Here φ = 2 s², the variance for each sample that its text names.
- Eqs. 6 and 9: a sum over samples; the mean here.
- Eq. 4: α Σ (x_i − c)/(1 + n_j) taken off a centre, which moves it away from its class; the step
  here has c − x_i.
- Algorithm 1: line 3 without the minus before the logarithm.

The paper does not give its P, said to skip centres "far away from the current center". Here the
centres nearest to the sample are taken, since theirs are the largest terms of the sum. There is no
hinge, nor is there one in the paper.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.api import InputError
from bench.nn.losses.center import check
from bench.nn.losses.island import cosines

_LEAST = 1e-8  # the least variance, since all features may lie on their centres


def md_loss(
    features: Tensor, centres: Tensor, classes: Tensor, nearest: int = 3, margin: bool = True
) -> Tensor:
    """(1/n) Σ_i −log [exp(−d_{i,y_i}/2s² − m) / Σ_j exp(−d_ij/2s²)], d_ij = ‖x_i − c_j‖².

    j runs over the ``nearest`` centres of other classes than y_i, s² = 1/(n − 1) Σ_i d_{i,y_i} and
    m = Σ_i Σ_{j≠i} cos(c_i, c_j) is the margin. Centres, s² and m are constants, so that m only
    shifts the value. The gradient is (Σ_j w_ij c_j − c_{y_i})/(n s²), w the softmax of −d_ij/2s²:
    x_i cancels, so that no feature comes to rest at its own centre; only s² lessens the pull as
    features scatter. `bench.nn.losses.centres.ClassCentres` holds and moves the centres. Where the
    equations of the paper are misprinted, the module says.

    Parameters
    ----------
    features : float32 or float64 (n, d)
        n >= 2. All may be of one class: they are compared with centres, not with each other.
    centres : float (C, d)
        C >= 2.
    classes : int64 (n,)
        In [0, C).
    nearest : int
        P, at least 1; C − 1 where that is less. Of equal distances the lower class counts.
    margin : bool
        Whether m is added.

    Returns
    -------
    float ()
        Of either sign. s² is at least 1e-8, so that the loss is finite where all features lie on
        their centres.

    Raises
    ------
    InputError
        There is one row or one centre, ``nearest`` is below 1, shapes do not belong together, or
        the precision is half.
    """
    check(features, centres, classes)
    if len(features) < 2 or len(centres) < 2 or nearest < 1:
        raise InputError(
            f"the MD loss got {len(features)} row(s), {len(centres)} class centre(s) and "
            f"nearest={nearest}; give two rows, two centres and nearest=1 at least"
        )
    centres = centres.detach()
    distances = (features[:, None] - centres).square().sum(dim=2)
    own = distances.gather(1, classes[:, None])
    variance = own.detach().sum().div(len(features) - 1).clamp(min=_LEAST)
    # The own centre is put infinitely far away: it comes last and adds nothing.
    others = distances.scatter(1, classes[:, None], torch.inf).sort(dim=1, stable=True).values
    log_sum = torch.logsumexp(-others[:, :nearest] / (2 * variance), dim=1)
    loss = (own[:, 0] / (2 * variance) + log_sum).mean()
    return loss + cosines(centres) if margin else loss
