"""Gradients of losses, for tests that compare them with a computation by loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor


def gradient(loss: Callable[..., Tensor], variable: Tensor, *rest: Any, **options: Any) -> Tensor:
    """The gradient of ``loss(variable, ...)`` by ``variable``, which stays as it is."""
    leaf = variable.clone().requires_grad_()
    loss(leaf, *rest, **options).backward()
    assert leaf.grad is not None
    return leaf.grad
