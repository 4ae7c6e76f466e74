"""ResNet-18's embedding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.nn.resnet import ResNet18Layers


def test_the_embedding_is_the_mean_over_places() -> None:
    network = ResNet18Layers(2).eval()
    seen: list[Tensor] = []
    network.layer4.register_forward_hook(lambda module, given, out: seen.append(out))
    out = network(torch.rand(2, 3, 70, 70))
    assert torch.allclose(out.embedding, nn.functional.adaptive_avg_pool2d(seen[0], 1).flatten(1))
