"""DBM-CNN: deep features that keep two manifolds, of faces and of label distributions."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.api import InputError, param
from bench.data.faces import FaceSet
from bench.nn.dcnn import DCNNNetwork
from bench.nn.losses.bi_manifold import bi_manifold, nearest, overlap
from bench.nn.losses.softmax import multilabel_softmax
from bench.nn.output import Batch, Output, Terms


class DBMCNN(DCNNNetwork):
    """S. Li and W. Deng, IJCV 127 (2019) 884–906, Eq. 8: L = L_c + λ L_bm.

    Network, input and schedule are those of ``base-dcnn`` (`bench.nn.dcnn`). L_c is the multi-label
    softmax cross-entropy (Eq. 1); L_bm (Eq. 6) draws each 2000-d feature to the mean features of
    its k nearest neighbours on the manifold of features and on that of label distributions. Both
    are searched in the mini-batch, without the face itself (Algorithm 2), and the means are
    constants to the gradient.

    Labels: softmax >= the threshold with the best micro-F1 on the validation part.

    Deviations: the printed gradient (Eq. 7) is half of that of Eq. 6; Eq. 6 counts here, and
    ``gradient=printed`` halves λ to match Eq. 7. The paper calls the targets binary in one place
    and L_c the KL loss in another; ``target=distribution`` fits its gradient. Of equally near label
    distributions the lower place in the batch counts. Open in the paper and ours: the feature is
    taken before dropout; what ``base-dcnn`` lists; ``manifold=concatenated``, which it mentions,
    takes one set of neighbours on both vectors joined. ``manifold=random`` is a placebo: two sets
    of random neighbours.
    """

    name = "dbm-cnn"
    sums_over_samples = False
    small = {**DCNNNetwork.small, "k": 3}

    k: int = param(10, ge=1, help="neighbours on each manifold, searched in the mini-batch")
    lam: float = param(0.01, ge=0, help="λ, weight of the bi-manifold loss")
    manifold: str = param(
        "both",
        choices=("both", "feature", "label", "none", "concatenated", "random"),
        help="where neighbours are searched; random is the placebo",
    )
    target: str = param(
        "distribution",
        choices=("distribution", "normalised", "khot"),
        help="of L_c: the label distribution, or the label set divided by its size, or as it is",
    )
    gradient: str = param(
        "loss", choices=("loss", "printed"), help="that of Eq. 6, or the half of it in Eq. 7"
    )

    def check(self, train: FaceSet) -> None:
        """Raise `InputError` where a batch holds no k neighbours."""
        batch = min(self.recipe.batch, len(train))
        if self.manifold != "none" and batch <= self.k:
            raise InputError(
                f"dbm-cnn[k={self.k}] searches k neighbours in batches of {batch} images; take k "
                f"below {batch}"
            )

    def loss(self, out: Output, batch: Batch) -> Terms:
        """L_c + λ L_bm; the overlap of the two sets of neighbours is logged beside them."""
        cross_entropy = multilabel_softmax(out.logits, self._target(batch))
        by_feature = nearest(out.embedding, self.k)
        by_label = nearest(batch.distribution, self.k)
        parts = {"cross_entropy": cross_entropy, "overlap": overlap(by_feature, by_label)}
        groups = self._groups(out.embedding, batch, by_feature, by_label)
        if not groups:
            return Terms(cross_entropy, parts)
        parts["bi_manifold"] = bi_manifold(out.embedding, groups)
        weight = self.lam / 2 if self.gradient == "printed" else self.lam
        return Terms(cross_entropy + weight * parts["bi_manifold"], parts)

    def _target(self, batch: Batch) -> Tensor:
        if self.target == "distribution":
            return batch.distribution
        if self.target == "khot":
            return batch.labels
        return batch.labels / batch.labels.sum(dim=1, keepdim=True).clamp(min=1)

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
