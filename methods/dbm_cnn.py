"""DBM-CNN: deep features that keep two manifolds, of faces and of label distributions."""

from __future__ import annotations

from bench.methods._dcnn import BiManifoldNetwork
from torch import Tensor

from bench.api import param
from bench.nn.output import Batch


class DBMCNN(BiManifoldNetwork):
    """S. Li and W. Deng, IJCV 127 (2019) 884–906, Eq. 8: L = L_c + λ L_bm.

    Network, input and schedule are those of ``base-dcnn`` (`_dcnn`). L_c is the multi-label
    softmax cross-entropy (Eq. 1); L_bm (Eq. 6) draws each 2000-d feature to the mean features of
    its k nearest neighbours on the manifold of features and on that of label distributions. Both
    are searched in the mini-batch, without the face itself (Algorithm 2), and the means are
    constants to the gradient (`bench.nn.losses.bi_manifold`).

    Labels: softmax >= the threshold with the best micro-F1 on the validation part.

    The gradient is that of Algorithm 2, Eq. 7, which is half of Eq. 6's (``gradient=loss``); the
    loss that is logged is Eq. 6.

    Deviations: the paper calls the targets binary in one place and L_c the KL loss in another;
    ``target=distribution`` fits its gradient. Of equally near label distributions the lower place
    in the batch counts. Open in the paper and ours: the feature is taken before dropout; what
    ``base-dcnn`` lists; ``manifold=concatenated``, which it mentions, takes one set of neighbours
    on both vectors joined. ``manifold=random`` is a placebo: two sets of random neighbours.
    """

    name = "dbm-cnn"

    target: str = param(
        "distribution",
        choices=("distribution", "normalised", "khot"),
        help="of L_c: the label distribution, or the label set divided by its size, or as it is",
    )

    def cross_entropy_target(self, batch: Batch) -> Tensor:
        """The label distributions, or the label sets, as ``target`` says."""
        if self.target == "distribution":
            return batch.distribution
        if self.target == "khot":
            return batch.labels
        return batch.labels / batch.labels.sum(dim=1, keepdim=True).clamp(min=1)
