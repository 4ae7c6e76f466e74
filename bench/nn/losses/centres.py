"""Class centres of the center, island and islets losses, moved by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.nn.losses.center import center, center_step
from bench.nn.losses.island import island, island_step
from bench.nn.losses.islets import islets, islets_step


class ClassCentres(nn.Module):
    """LBAN-IL, Neurocomputing 2021, Eqs. 1–4: the center, island or islets loss of one batch.

    With ``lam1 = lam2 = 0`` it is the center loss, with ``lam2 = 0`` the island loss. Features get
    the gradient of the center loss alone (Eq. 3). The two terms between centres act on the centres,
    which no optimiser moves: `update` does, by Eq. 4. It also moves the centres of classes that the
    batch lacks, by the terms between centres.

    The paper sums the center loss over the batch, yet means the softmax cross-entropy; here both
    are means (`bench.nn.losses.center` says what that does to λ).

    A batch must come whole (``sums_over_samples = False`` in a network): in pieces, each would move
    the centres. It may be of one class.

    Parameters
    ----------
    classes, width : int
        C and d, the shape of the centres.
    lam1, lam2 : float
        Weights of the cosines (island) and of the distances (islets); 0.2 and 0.9 in the paper.
    alpha : float
        α, the centres' rate; the paper does not give it, 0.5 is that of the center loss.
    moving : bool
        False leaves the centres where they start: a placebo.

    Attributes
    ----------
    centres : float (C, d)
        A buffer, so that checkpoints hold it. Starts as normal noise of deviation 0.01, drawn from
        torch's generator: `islets` is alive only near the origin.
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

    def forward(self, features: Tensor, classes_index: Tensor) -> Tensor:
        """(1/2n) Σ_i ‖x_i − c_{y_i}‖², float (), the centres being constants.

        Parameters
        ----------
        features : float (n, d)
            In the centres' precision.
        classes_index : int64 (n,)
            In [0, C).

        Raises
        ------
        InputError
            Shapes that do not belong together, no row, half precision.
        """
        return center(features, self.centres, classes_index)

    @torch.no_grad()
    def terms(self) -> dict[str, Tensor]:
        """The two terms between the centres as they are now, unweighted, for the log."""
        return {"island": island(self.centres), "islets": islets(self.centres)}

    @torch.no_grad()
    def update(self, features: Tensor, classes_index: Tensor) -> None:
        """c ← c − α Δc by Eq. 4, once a batch, in training only; parameters as in `forward`.

        It may come before the backward pass: the loss keeps what it needs.
        """
        if not self.moving:
            return
        step = center_step(features, self.centres, classes_index)
        step += self.lam1 * island_step(self.centres)
        step += self.lam2 * islets_step(self.centres)
        self.centres -= self.alpha * step
