"""Figures of an embedding, against loops over faces."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.nn import embedding as module
from bench.nn.embedding import class_distance, neighbour_agreement


@pytest.mark.parametrize("faces", [2, 7, 40])
def test_agreement_by_loops(monkeypatch: pytest.MonkeyPatch, faces: int) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", 9)
    draw = np.random.default_rng(faces)
    X, Y = draw.normal(size=(faces, 3)), draw.random((faces, 4)) < 0.4
    found = []
    for i in range(faces):
        order = sorted((float(np.linalg.norm(X[i] - X[j])), j) for j in range(faces) if j != i)
        for _, j in order[:10]:
            either = np.count_nonzero(Y[i] | Y[j])
            found.append(np.count_nonzero(Y[i] & Y[j]) / either if either else 1.0)
    expected = np.mean(found)
    value = neighbour_agreement(torch.from_numpy(X), torch.from_numpy(Y))
    assert value == pytest.approx(expected, rel=1e-6)


def test_agreement_is_one_where_neighbours_share_their_labels() -> None:
    X = torch.cat([torch.randn(12, 2), torch.randn(12, 2) + 100])
    Y = torch.tensor([[True, False]] * 12 + [[False, True]] * 12)
    assert neighbour_agreement(X, Y) == 1.0
    assert neighbour_agreement(X[:1], Y[:1]) is None


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
