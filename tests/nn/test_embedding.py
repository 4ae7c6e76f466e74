"""Figures of an embedding, against loops over faces."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.nn.embedding import class_distance


def test_class_distance_by_loops() -> None:
    draw = np.random.default_rng(0)
    X, classes = draw.normal(size=(30, 5)), draw.integers(0, 3, 30) * 2  # class 1, 3 are absent
    means = {c: X[classes == c].mean(axis=0) for c in (0, 2, 4)}
    pairs = [(0, 2), (0, 4), (2, 4)]
    between = np.mean([np.linalg.norm(means[a] - means[b]) for a, b in pairs])
    within = np.mean([np.linalg.norm(x - means[c]) for x, c in zip(X, classes, strict=True)])
    Y = torch.from_numpy(np.arange(5) == classes[:, None])
    value = class_distance(torch.from_numpy(X), Y)
    assert value == pytest.approx(between / within, rel=1e-6)
    assert class_distance(torch.from_numpy(7 * X), Y) == pytest.approx(value, rel=1e-6)


def test_class_distance_needs_two_classes_that_spread() -> None:
    Y = torch.tensor([[True, False]] * 3)
    assert class_distance(torch.randn(3, 2), Y) is None
    Y = torch.tensor([[True, False], [False, True]])
    assert class_distance(torch.randn(2, 2), Y) is None
