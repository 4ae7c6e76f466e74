"""Six ResNets as one: the same numbers, gradients and running statistics as six."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bench.nn.resnet import GroupedResNets, ResNet18, SeparateResNets

NETWORKS, LABELS = 3, 4


@pytest.fixture
def both() -> tuple[SeparateResNets, GroupedResNets]:
    torch.manual_seed(0)
    separate = SeparateResNets(NETWORKS, LABELS).double()
    return separate, GroupedResNets(list(separate.networks)).double()  # type: ignore[arg-type]


def images() -> Tensor:
    return torch.rand(5, NETWORKS, 3, 33, 33, dtype=torch.float64)


def close(first: Tensor, second: Tensor) -> bool:
    return torch.allclose(first, second, rtol=1e-9, atol=1e-11)


def test_outputs_are_those_of_each_network_alone(
    both: tuple[SeparateResNets, GroupedResNets],
) -> None:
    separate, grouped = both
    x = images()
    for module in (*both, *separate.networks):
        module.eval()
    embeddings, logits = grouped(x)
    assert embeddings.shape == (5, NETWORKS, 512)
    assert all(close(a, b) for a, b in zip(separate(x), (embeddings, logits), strict=True))
    for m, network in enumerate(separate.networks):
        out = network(x[:, m])
        assert close(out.embedding, embeddings[:, m])
        assert close(out.logits, logits[:, m])


def test_gradients_and_running_statistics_agree(
    both: tuple[SeparateResNets, GroupedResNets],
) -> None:
    separate, grouped = both
    x = images()
    for module in both:
        module.train()
        module(x)[1].square().sum().backward()
    first = [dict(network.named_parameters()) for network in separate.networks]
    for name, parameter in grouped.named_parameters():
        key = {"weight": "fc.weight", "bias": "fc.bias"}.get(name, name.removeprefix("body."))
        gradients = [own[key].grad for own in first]
        together = torch.stack(gradients) if key.startswith("fc.") else torch.cat(gradients)
        assert parameter.grad is not None
        scale = together.abs().max()
        assert (parameter.grad - together).abs().max() < 1e-8 * scale, name
    for name, buffer in grouped.named_buffers():
        if "running" in name:
            key = name.removeprefix("body.")
            assert close(buffer, torch.cat([n.get_buffer(key) for n in separate.networks])), name


def test_networks_share_nothing(both: tuple[SeparateResNets, GroupedResNets]) -> None:
    for module in both:
        module.eval()
        x = images()
        before = module(x)[1]
        x[:, 1] = 0
        after = module(x)[1]
        assert close(before[:, 0], after[:, 0])
        assert close(before[:, 2], after[:, 2])
        assert not close(before[:, 1], after[:, 1])


def test_the_embedding_is_the_mean_over_places() -> None:
    network = ResNet18(2).eval()
    seen: list[Tensor] = []
    network.layer4.register_forward_hook(lambda module, given, out: seen.append(out))
    out = network(torch.rand(2, 3, 70, 70))
    assert torch.allclose(out.embedding, nn.functional.adaptive_avg_pool2d(seen[0], 1).flatten(1))
