"""The six 3×3 convolutions and the 2000-d layer of RAF-ML's networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.api import FaceInput, FaceSet, param
from bench.nn.embedding import neighbour_agreement
from bench.nn.network import TrainedNetwork
from bench.nn.output import Output
from bench.nn.recipe import SGD, OneCycle, Recipe, Steps

_WIDTHS = (64, 96, 128, 128, 256, 256)
_POOLED_AFTER = (0, 1, 3)  # convolutions that a 2×2 max pool follows

# Caffe takes whole batches through the end of an epoch: there is no smaller one.
PAPER = Recipe(
    SGD(0.01, momentum=0.9, weight_decay=5e-4),
    batch=64,
    iterations=20_000,
    schedule=Steps((5_000, 18_000)),
    size=90,
    crop_from=100,
    drop_last=True,
)
# Of ours, for a laptop: FER2013's own 48 pixels, one cycle of the rate.
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
    """What the networks on `DCNN` share: layers, schedules, weight decay, a distribution."""

    kinds = ("multi", "single")
    input = FaceInput(colour="grey")
    recipes = {"paper": PAPER, "quick": QUICK}
    seconds_per_1000 = {"smoke": 3.0, "quick": 60.0, "paper": 4_000.0}

    dropout: float = param(0.3, ge=0, lt=1, help="share of the 2000-d layer dropped in training")

    def build(self, labels: int, channels: int) -> DCNN:
        """Six convolutions, the embedding, the output."""
        return DCNN(labels, channels, self.recipe.size, self.dropout)

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Heavier weight decay on the last layer."""
        assert isinstance(model, DCNN)
        return model.groups()

    def measures(self, faces: FaceSet) -> dict[str, float]:
        """``neighbour_agreement`` (`bench.nn.embedding`)."""
        labels = torch.from_numpy(np.array(faces.labels))
        found = neighbour_agreement(self._forward(faces).embedding.cpu(), labels)
        return {} if found is None else {"neighbour_agreement": found}

    def distribution(self, faces: FaceSet) -> np.ndarray:
        """Softmax, float32 (n, L), rows summing to 1."""
        return self.scores(faces)
