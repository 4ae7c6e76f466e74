"""The class centres of the center, island, islets and MD losses, which no optimiser moves."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.nn.losses.center import center, center_step
from bench.nn.losses.island import island, island_step
from bench.nn.losses.islets import islets, islets_step


class ClassCentres(nn.Module):
    """LBAN-IL, Neurocomputing 2021, Eqs. 1–4: the center, island or islets loss of one batch.

    With ``lam1 = lam2 = 0`` it is the center loss, with ``lam2 = 0`` the island loss. Features get
    the gradient of the center loss alone (Eq. 3). The two terms between centres act on the centres
    alone. `update` moves the centres, by Eq. 4; centres of classes that the batch lacks move by the
    terms between centres.

    The paper takes the center loss as a sum over the batch and the softmax cross-entropy as a mean;
    here both are means (`bench.nn.losses.center` says what that does to λ).

    A batch must come whole (``sums_over_samples = False`` in a network), since each piece of it
    would move the centres. It may be of one class.

    Parameters
    ----------
    classes, width : int
        C and d, the shape of the centres.
    lam1, lam2 : float
        Weights of the cosines (island) and of the distances (islets); 0.2 and 0.9 in the paper.
    alpha : float
        α, the centres' rate. The paper does not give it; 0.5 is that of the center loss's paper.
    moving : bool
        False leaves the centres where they start: a placebo.

    Attributes
    ----------
    centres : float (C, d)
        A buffer, so that checkpoints hold it. It starts as normal noise of deviation 0.01, drawn
        from torch's generator, since `islets` acts only near the origin.
    """

    centres: Tensor

    def __init__(
        self,
        classes: int,
        width: int,
        lam1: float = 0.0,
        lam2: float = 0.0,
        alpha: float = 0.5,
        moving: bool = True,
    ) -> None:
        super().__init__()
        self.lam1, self.lam2, self.alpha, self.moving = lam1, lam2, alpha, moving
        self.register_buffer("centres", 0.01 * torch.randn(classes, width))

    def forward(self, features: Tensor, classes: Tensor) -> Tensor:
        """(1/2n) Σ_i ‖x_i − c_{y_i}‖², float (), the centres being constants.

        Parameters
        ----------
        features : float (n, d)
            In the centres' precision.
        classes : int64 (n,)
            In [0, C).

        Raises
        ------
        InputError
            Shapes do not belong together, there is no row, or the precision is half.
        """
        return center(features, self.centres, classes)

    @torch.no_grad()
    def terms(self) -> dict[str, Tensor]:
        """The two terms between the centres as they are now, unweighted, for the log."""
        return {"island": island(self.centres), "islets": islets(self.centres)}

    @torch.no_grad()
    def update(self, features: Tensor, classes: Tensor) -> None:
        """Move the centres, c ← c − α Δc by Eq. 4, once a batch, in training only.

        Parameters are those of `forward`. The centres may move before the backward pass, whose
        gradients do not depend on them any more.
        """
        if not self.moving:
            return
        step = center_step(features, self.centres, classes)
        step += self.lam1 * island_step(self.centres)
        step += self.lam2 * islets_step(self.centres)
        self.centres -= self.alpha * step
