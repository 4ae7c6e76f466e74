"""A network small enough to be trained within a test."""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn

from bench.api import param
from bench.nn.network import TrainedNetwork
from bench.nn.output import Batch, Output, Terms
from bench.nn.recipe import SGD, OneCycle, Recipe


class Layers(nn.Module):
    """One hidden layer on the pixels, with dropout."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(100, 8)
        self.dropout = nn.Dropout(0.2)
        self.output = nn.Linear(8, labels)

    def forward(self, x: Tensor) -> Output:
        embedding = torch.relu(self.hidden(x.flatten(1)))
        return Output(embedding, self.output(self.dropout(embedding)))


class Mini(TrainedNetwork):
    """Reference: none."""

    name = "mini"
    recipes = dict.fromkeys(
        ("quick", "paper"),
        Recipe(SGD(0.1), batch=8, epochs=6, schedule=OneCycle(), size=10, crop_from=12),
    )
    wait: float = param(0.0, ge=0, help="seconds of a step")
    blow_up: float = param(1.0, help="what the loss is multiplied with")

    def build(self, labels: int, channels: int) -> nn.Module:
        return Layers(labels)

    def loss(self, out: Output, batch: Batch) -> Terms:
        time.sleep(self.wait)
        terms = super().loss(out, batch)
        return type(terms)(terms.loss * self.blow_up)
