"""What the networks with a bi-manifold loss share: the loss, and how far apart two domains lie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from bench.methods._dcnn import DCNNNetwork
from torch import Tensor, nn

from bench.api import FaceSet, InputError, param
from bench.nn.losses.bi_manifold import bi_manifold, nearest, overlap
from bench.nn.losses.mmd import mk_mmd
from bench.nn.losses.softmax import multilabel_softmax
from bench.nn.output import Batch, Output, Terms
from bench.nn.recipe import Recipe
from bench.nn.train import Trained

MEASURED = 500  # faces of each domain that the discrepancy is measured on


class BiManifoldNetwork(DCNNNetwork):
    """L_c + λ L_bm on `_dcnn.DCNN`: S. Li and W. Deng, IJCV 127 (2019) 884–906, Eq. 8."""

    sums_over_samples = False
    small = {**DCNNNetwork.small, "k": 3}

    k: int = param(10, ge=1, help="neighbours on each manifold, searched in the mini-batch")
    lam: float = param(0.01, ge=0, help="λ, weight of the bi-manifold loss")
    manifold: str = param(
        "both",
        choices=("both", "feature", "label", "none", "concatenated", "random"),
        help="where neighbours are searched; random is the placebo",
    )
    gradient: str = param(
        "loss", choices=("loss", "printed"), help="that of Eq. 6, or the half of it in Eq. 7"
    )

    @property
    def recipe(self) -> Recipe:
        """The schedule of the budget; at ``smoke`` batches that hold k neighbours of a face."""
        recipe = super().recipe
        if self.setting.budget == "smoke" and self.manifold != "none":
            recipe = replace(recipe, batch=max(recipe.batch, self.k + 1))
        return recipe

    def check(self, train: FaceSet) -> None:
        """Raise `InputError` where a batch holds no k neighbours."""
        batch = min(self.recipe.batch, len(train))
        if self.manifold != "none" and batch <= self.k:
            raise InputError(
                f"{self.name}[k={self.k}] searches k neighbours in batches of {batch} images; take "
                f"k below {batch}"
            )

    def aims(self, batch: Batch) -> Tensor:
        """What L_c compares the softmax with, float (n, L)."""
        return batch.distribution

    def loss(self, out: Output, batch: Batch) -> Terms:
        """L_c + λ L_bm; the overlap of the two sets of neighbours is logged beside them."""
        cross_entropy = multilabel_softmax(out.logits, self.aims(batch))
        by_feature = nearest(out.embedding, self.k)
        by_label = nearest(batch.distribution, self.k)
        parts = {"cross_entropy": cross_entropy, "overlap": overlap(by_feature, by_label)}
        groups = self._groups(out.embedding, batch, by_feature, by_label)
        if not groups:
            return Terms(cross_entropy, parts)
        parts["bi_manifold"] = bi_manifold(out.embedding, groups)
        weight = self.lam / 2 if self.gradient == "printed" else self.lam
        return Terms(cross_entropy + weight * parts["bi_manifold"], parts)

    def learn(self, model: nn.Module, train: FaceSet, valid: FaceSet | None, seed: int) -> Trained:
        """One phase; some of the training part is kept, to measure how far other faces lie off."""
        self.sample_ = _spread(train)
        return super().learn(model, train, valid, seed)

    def measures(self, faces: FaceSet) -> dict[str, float]:
        """Beside those of `DCNNNetwork`, ``mmd``: between the training part and these faces.

        The square of the discrepancy of their embeddings, by the unbiased quadratic estimate
        (Eq. 12) with the kernels of `mk_mmd`: 0 on average where both are of one domain. Of each at
        most `MEASURED` faces, evenly spread.
        """
        measured = super().measures(faces)
        if min(len(faces), len(self.sample_)) < 2:
            return measured
        sides = [self._forward(part).embedding for part in (self.sample_, _spread(faces))]
        return measured | {"mmd": float(mk_mmd(*sides))}

    def _groups(
        self, embedding: Tensor, batch: Batch, by_feature: Tensor, by_label: Tensor
    ) -> list[Tensor]:
        if self.manifold == "concatenated":
            return [nearest(torch.cat([embedding, batch.distribution], dim=1), self.k)]
        if self.manifold == "random":
            shape = (2, len(embedding), len(embedding))
            draws = torch.rand(shape, device=embedding.device)
            # The face itself comes last.
            draws.diagonal(dim1=1, dim2=2).fill_(2)
            return list(draws.argsort(dim=2)[..., : by_feature.shape[1]])
        chosen = {
            "both": [by_feature, by_label],
            "feature": [by_feature],
            "label": [by_label],
            "none": [],
        }
        return chosen[self.manifold]


def _spread(faces: FaceSet) -> FaceSet:
    """At most `MEASURED` faces, from the first to the last."""
    if len(faces) <= MEASURED:
        return faces
    return faces.take(np.linspace(0, len(faces) - 1, MEASURED).round().astype(int))
