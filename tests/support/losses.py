"""What tests share that compare a loss with its computation by loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor


def gradient(loss: Callable[..., Tensor], variable: Tensor, *rest: Any, **options: Any) -> Tensor:
    """The gradient of ``loss(variable, ...)`` by ``variable``, which stays as it is."""
    leaf = variable.clone().requires_grad_()
    loss(leaf, *rest, **options).backward()
    assert leaf.grad is not None
    return leaf.grad


def random_centres(count: int, width: int, dtype: torch.dtype, scale: float = 1.0) -> Tensor:
    """Centres (count, width) drawn from a normal distribution of this deviation."""
    rng = np.random.default_rng(count + width)
    return torch.tensor(scale * rng.normal(size=(count, width)), dtype=dtype)
