"""The networks of RAF-ML's paper: six convolutions, and the bi-manifold loss on their features.

``base-dcnn``, ``dbm-cnn`` and ``dbm-dacnn`` are built of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.api import FaceInput, FaceSet, InputError, param
from bench.nn.losses.bi_manifold import bi_manifold, nearest, overlap
from bench.nn.losses.mmd import mk_mmd
from bench.nn.losses.softmax import multilabel_softmax
from bench.nn.network import TrainedNetwork
from bench.nn.output import Batch, Output, Terms
from bench.nn.recipe import SGD, OneCycle, Recipe, Steps
from bench.nn.train import TrainingSummary

_WIDTHS = (64, 96, 128, 128, 256, 256)  # channels of the convolutions
_POOLED_AFTER = (0, 1, 3)  # the convolutions that a 2×2 max pool follows
DISCREPANCY_FACES = 500  # faces of each domain that the discrepancy is estimated on
_NEIGHBOURS = 10  # of `neighbour_agreement`
_ROWS = 512  # rows whose distances to all others are held at a time

# Caffe fills the last batch of an epoch from the next epoch, so that no batch is smaller.
PAPER = Recipe(
    SGD(0.01, momentum=0.9, weight_decay=5e-4),
    batch=64,
    iterations=20_000,
    schedule=Steps((5_000, 18_000)),
    size=90,
    crop_from=100,
    drop_last=True,
)
# Ours, for a laptop: FER2013's own 48 pixels, one cycle of the rate.
QUICK = Recipe(
    SGD(0.02, momentum=0.9, weight_decay=5e-4),
    batch=64,
    epochs=16,
    schedule=OneCycle(),
    size=44,
    crop_from=48,
    flip=True,
    drop_last=True,
)


class DCNN(nn.Module):
    """S. Li and W. Deng, IJCV 127 (2019) 884–906, Table 2.

    conv 64 – pool – conv 96 – pool – conv 128 – conv 128 – pool – conv 256 – conv 256 – fc 2000 –
    fc L; 3×3 kernels with ReLU, 2×2 pools. The table is garbled in the copies that we have; the
    layers are those of the authors' other papers, and the pools round up as Caffe's do, so that
    90×90 pixels end in 12×12. Dropout acts on the 2000-d layer in training; the embedding is that
    layer after ReLU and before dropout.

    Parameters
    ----------
    labels, channels, size : int
        L, channels of the input, and its side in pixels.
    dropout : float
    """

    def __init__(self, labels: int, channels: int, size: int, dropout: float = 0.3) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number, width in enumerate(_WIDTHS):
            layers.append(nn.Conv2d(channels, width, 3, padding=1))
            channels = width
            if number in _POOLED_AFTER:
                # Before the ReLU: the same numbers, and a quarter of the pixels for the ReLU.
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
                size = -(-size // 2)
            layers.append(nn.ReLU(inplace=True))
        self.convolutions = nn.Sequential(*layers)
        self.embedding = nn.Linear(size * size * channels, 2000)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(2000, labels)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")  # "MSRA"
                nn.init.zeros_(module.bias)

    def embed(self, images: Tensor) -> Tensor:
        """The 2000-d layer, float (n, 2000), from float (n, C, size, size)."""
        maps = self.convolutions(images).flatten(1)
        return torch.relu(self.embedding(maps))

    def forward(self, images: Tensor) -> Output:
        """From float (n, C, size, size)."""
        embedding = self.embed(images)
        return Output(embedding, self.output(self.dropout(embedding)))

    def groups(self) -> list[dict[str, Any]]:
        """Weight decay 5e-4, and 2.5e-3 on the last layer, as the paper has it.

        Biases decay too: the paper says nothing of Caffe's multipliers.
        """
        last = list(self.output.parameters())
        ids = {id(parameter) for parameter in last}
        return [
            {"params": [p for p in self.parameters() if id(p) not in ids], "weight_decay": 5e-4},
            {"params": last, "weight_decay": 2.5e-3},
        ]


class DCNNNetwork(TrainedNetwork):
    """Base of the methods on `DCNN`: its layers, schedules, weight decay and distribution."""

    kinds = ("multi", "single")
    input = FaceInput(colour="grey")
    recipes = {"paper": PAPER, "quick": QUICK}
    seconds_per_1000 = {"smoke": 3.0, "quick": 60.0, "paper": 4_000.0}

    dropout: float = param(0.3, ge=0, lt=1, help="share of the 2000-d layer dropped in training")

    def build(self, labels: int, channels: int) -> DCNN:
        """Six convolutions, the embedding, the output."""
        return DCNN(labels, channels, self.recipe.size, self.dropout)

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """The parameter groups of `DCNN`: the last layer has a heavier weight decay."""
        assert isinstance(model, DCNN)
        return model.groups()

    def measures(self, faces: FaceSet) -> dict[str, float]:
        """``neighbour_agreement`` of the embedding; nothing for fewer than two faces."""
        labels = torch.from_numpy(np.array(faces.labels))
        agreement = neighbour_agreement(self.forward(faces).embedding.cpu(), labels)
        return {} if agreement is None else {"neighbour_agreement": agreement}

    def distribution(self, faces: FaceSet) -> np.ndarray:
        """The softmax of the logits, float32 (n, L), rows summing to 1."""
        return self.scores(faces)


class BiManifoldNetwork(DCNNNetwork):
    """Base of the methods with the bi-manifold loss on `DCNN`: L = L_c + λ L_bm.

    S. Li and W. Deng, IJCV 127 (2019) 884–906, Eq. 8. Algorithm 2, which the authors ran, updates
    by Eq. 2 and Eq. 7, and Eq. 7 is half of the derivative of Eq. 6: ``gradient=printed``, the
    default. ``gradient=loss`` is the derivative of Eq. 6, as if λ were doubled; bench 0.1.0 had it
    as its default, and tables name it.
    """

    sums_over_samples = False
    changed_defaults = {"gradient": "printed"}
    small = {**DCNNNetwork.small, "k": 3}

    k: int = param(10, ge=1, help="neighbours on each manifold, searched in the mini-batch")
    lam: float = param(0.01, ge=0, help="λ, weight of the bi-manifold loss")
    manifold: str = param(
        "both",
        choices=("both", "feature", "label", "none", "concatenated", "random"),
        help="where neighbours are searched; random is the placebo",
    )
    gradient: str = param(
        "printed",
        choices=("loss", "printed"),
        help="printed: Eq. 7, by which Algorithm 2 updates; loss: that of Eq. 6, twice as large",
    )

    @property
    def recipe(self) -> Recipe:
        """The schedule of the budget; at ``smoke`` a batch is large enough for k neighbours."""
        recipe = super().recipe
        if self.setting.budget == "smoke" and self.manifold != "none":
            recipe = replace(recipe, batch=max(recipe.batch, self.k + 1))
        return recipe

    def check(self, train: FaceSet) -> None:
        """Raise `InputError` where a batch has no k neighbours for each face."""
        batch = min(self.recipe.batch, len(train))
        if self.manifold != "none" and batch <= self.k:
            raise InputError(
                f"{self.name}[k={self.k}] searches k neighbours in batches of {batch} images; take "
                f"k below {batch}"
            )

    def cross_entropy_target(self, batch: Batch) -> Tensor:
        """The label distributions that L_c compares the softmax with, float (n, L)."""
        return batch.distribution

    def loss(self, out: Output, batch: Batch) -> Terms:
        """L_c + λ L_bm; the overlap of the two sets of neighbours is logged beside them."""
        cross_entropy = multilabel_softmax(out.logits, self.cross_entropy_target(batch))
        by_feature = nearest(out.embedding, self.k)
        by_label = nearest(batch.distribution, self.k)
        parts = {"cross_entropy": cross_entropy, "overlap": overlap(by_feature, by_label)}
        neighbours = self._neighbours(out.embedding, batch, by_feature, by_label)
        if not neighbours:
            return Terms(cross_entropy, parts)
        parts["bi_manifold"] = bi_manifold(out.embedding, neighbours)
        weight = self.lam / 2 if self.gradient == "printed" else self.lam
        return Terms(cross_entropy + weight * parts["bi_manifold"], parts)

    def learn(
        self, model: nn.Module, train: FaceSet, valid: FaceSet | None, seed: int
    ) -> TrainingSummary:
        """One phase; `measures` later compares other faces with a sample of the training part."""
        self.sample_ = evenly_spread(train)
        return super().learn(model, train, valid, seed)

    def measures(self, faces: FaceSet) -> dict[str, float]:
        """Beside those of `DCNNNetwork`, ``mmd`` between the training part and these faces.

        ``mmd`` is the square of the discrepancy of their embeddings, by the unbiased quadratic
        estimate (Eq. 12) with the kernels of `mk_mmd`: 0 on average where both are of one domain.
        Of either side at most `DISCREPANCY_FACES` faces count, evenly spread.
        """
        measures = super().measures(faces)
        if min(len(faces), len(self.sample_)) < 2:
            return measures
        sides = [self.forward(part).embedding for part in (self.sample_, evenly_spread(faces))]
        return measures | {"mmd": float(mk_mmd(*sides))}

    def _neighbours(
        self, embedding: Tensor, batch: Batch, by_feature: Tensor, by_label: Tensor
    ) -> list[Tensor]:
        """The sets of neighbours that L_bm draws to, each int64 (n, k); none for ``none``."""
        if self.manifold == "concatenated":
            return [nearest(torch.cat([embedding, batch.distribution], dim=1), self.k)]
        if self.manifold == "random":
            shape = (2, len(embedding), len(embedding))
            draws = torch.rand(shape, device=embedding.device)
            # Sorted by their draws, the face itself comes last.
            draws.diagonal(dim1=1, dim2=2).fill_(2)
            return list(draws.argsort(dim=2)[..., : by_feature.shape[1]])
        searched = {
            "both": [by_feature, by_label],
            "feature": [by_feature],
            "label": [by_label],
            "none": [],
        }
        return searched[self.manifold]


def evenly_spread(faces: FaceSet) -> FaceSet:
    """At most `DISCREPANCY_FACES` faces, at equal steps from the first to the last."""
    if len(faces) <= DISCREPANCY_FACES:
        return faces
    return faces.take(np.linspace(0, len(faces) - 1, DISCREPANCY_FACES).round().astype(int))


def neighbour_agreement(embedding: Tensor, labels: Tensor) -> float | None:
    """How alike the labels of a face are to those of its ten nearest neighbours in the embedding.

    The mean over faces and neighbours of the Jaccard index of the two label sets (1 where both are
    empty): a figure for what RAF-ML's Figure 6 shows as pictures of embeddings. In [0, 1]. Faces in
    random order give a value that depends on the dataset, so that only networks on the same test
    part can be compared.

    Parameters
    ----------
    embedding : float (n, d)
    labels : bool (n, L)

    Returns
    -------
    float or None
        None for fewer than two faces.
    """
    if len(embedding) < 2:
        return None
    count = min(_NEIGHBOURS, len(embedding) - 1)
    sets, agreements = labels.float(), []
    for rows in torch.arange(len(embedding)).split(_ROWS):
        distances = torch.cdist(embedding[rows], embedding)
        distances[torch.arange(len(rows)), rows] = torch.inf  # not the face itself
        near = sets[distances.topk(count, largest=False).indices]
        own = sets[rows][:, None]
        both, either = torch.minimum(own, near).sum(2), torch.maximum(own, near).sum(2)
        agreements.append(torch.where(either > 0, both / either.clamp(min=1), 1.0).mean(1))
    return float(torch.cat(agreements).mean())
