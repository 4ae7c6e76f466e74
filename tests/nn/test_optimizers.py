"""The optimisers against their formulas, with the weights in the order that networks keep."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bench.api import Setting
from bench.nn.output import Batch, Output, Terms
from bench.nn.recipe import SGD, Adam, Optimizer, Recipe
from bench.nn.train import Judgement, TrainingLoop
from bench.nn.updates import TrainingData

OPTIMIZERS = [SGD(0.05, weight_decay=0.01), Adam(0.01, weight_decay=0.01)]


def by_formula(rule: Optimizer, w: Tensor, gradients: list[Tensor]) -> Tensor:
    """The weights after the steps, in float64."""
    w, first, second = w.double(), torch.zeros(w.shape).double(), torch.zeros(w.shape).double()
    for number, gradient in enumerate(gradients, start=1):
        g = gradient.double() + 0.01 * w
        if isinstance(rule, SGD):
            first = 0.9 * first + g
            w = w - 0.05 * first
        else:
            first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
            spread = (second / (1 - 0.999**number)).sqrt() + 1e-8
            w = w - 0.01 * first / (1 - 0.9**number) / spread
    return w


@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_steps_follow_the_formula_whatever_the_order_in_memory(rule: Optimizer) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 8, 3, bias=False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    start = conv.weight.detach().clone()
    optimizer = rule.make([{"params": [conv.weight]}])
    gradients = []
    for _ in range(3):
        optimizer.zero_grad()
        (conv(torch.randn(2, 4, 6, 6)) ** 2).mean().backward()
        assert conv.weight.grad is not None
        gradients.append(conv.weight.grad.clone())
        optimizer.step()
    expected = by_formula(rule, start, gradients)
    torch.testing.assert_close(conv.weight.detach().double(), expected, rtol=0, atol=1e-6)


class Small(nn.Module):
    """One convolution and a mean."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3)

    def forward(self, x: Tensor) -> Output:
        maps = self.conv(x)
        return Output(maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3)))


class Problem:
    """What the loop asks of a network."""

    name = "small"
    sums_over_samples = True

    def get_params(self) -> dict[str, object]:
        return {}

    def groups(self, model: nn.Module) -> list[dict[str, object]]:
        return [{"params": [model.conv.bias]}, {"params": [model.conv.weight]}]

    def loss(self, out: Output, batch: Batch) -> Terms:
        return Terms(((out.logits - batch.labels) ** 2).mean())


class StoppedError(Exception):
    """What ends a training early."""


@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_resumed_training_gives_each_weight_its_own_momentum(
    rule: Optimizer, tmp_path: Path
) -> None:
    images, labels = torch.rand(12, 3, 7, 7), torch.rand(12, 5)
    data = TrainingData(labels, labels, lambda rows, generator: images[rows])
    recipe = Recipe(rule, batch=4, size=7, epochs=3)

    def trained(folder: Path | None, stop_in: int = 0) -> Tensor:
        torch.manual_seed(0)
        model = Small().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        seen = []

        def judge(_: nn.Module) -> Judgement:
            seen.append(1)
            if len(seen) == stop_in:
                raise StoppedError
            return Judgement(float(len(seen)))

        TrainingLoop(Problem(), model, recipe, data, judge, Setting(folder=folder), seed=1).run()
        return model.conv.weight.detach()

    whole = trained(None)
    with pytest.raises(StoppedError):
        trained(tmp_path, stop_in=2)
    assert list(tmp_path.glob("epoch-0001.json"))
    assert torch.equal(trained(tmp_path), whole)
