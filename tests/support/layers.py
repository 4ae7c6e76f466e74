"""Networks of the registry with their layers as they run.

Layers are found by type and in the order in which they run, never by the name of an attribute.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch
from builtin import configured, method_class
from torch import nn

from bench.plugins import Registry

REGISTRY = Registry()
CHANNELS = {"base-dcnn": 1, "dbm-cnn": 1, "resnet18": 3, "mf-jle": 3}


def method(name: str, budget: str | None = None, **params: Any) -> Any:
    """A network with these parameters; without a budget it is as a user makes it."""
    return method_class(name)(**params) if budget is None else configured(name, budget, **params)


def on_meta(network: Any, labels: int = 6, channels: int = 1) -> nn.Module:
    """The model without its weights: shapes and counts cost nothing."""
    with torch.device("meta"):
        return network.build(labels, channels)


@cache
def paper_model(name: str, labels: int = 6, channels: int | None = None) -> nn.Module:
    """The model of the paper's schedule without its weights; not to be changed."""
    return on_meta(method(name), labels, channels or CHANNELS[name]).eval()


def count(model: nn.Module) -> int:
    """How many weights a model learns."""
    return sum(parameter.numel() for parameter in model.parameters())


class Step(NamedTuple):
    """One convolution or linear layer as it ran."""

    layer: nn.Conv2d | nn.Linear
    given: torch.Tensor
    gave: torch.Tensor


def run(model: nn.Module, images: torch.Tensor) -> tuple[Any, list[Step]]:
    """What a model gives, and its convolutions and linear layers in the order they ran."""
    steps: list[Step] = []

    def note(layer: Any, given: tuple[torch.Tensor], gave: torch.Tensor) -> None:
        # Copies: a ReLU that works in place would change what was seen.
        steps.append(Step(layer, given[0].clone(), gave.clone()))

    hooks = [
        layer.register_forward_hook(note)
        for layer in model.modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    try:
        with torch.no_grad():
            return model(images), steps
    finally:
        for hook in hooks:
            hook.remove()


def images_for(name: str, n: int, size: int, device: str = "cpu") -> torch.Tensor:
    faces = (6,) if name == "mf-jle" else ()
    shape = (n, *faces, CHANNELS[name], size, size)
    return torch.rand(
        shape, generator=None if device == "meta" else seeded_generator(), device=device
    )


def seeded_generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
