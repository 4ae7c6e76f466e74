"""DBM-CNN's loss against loops, its variants and its placebo."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from builtin import configured, method_class

from bench.api import InputError
from bench.nn.output import Batch, Output

N, D, L = 12, 5, 4


def method(**params: Any) -> Any:
    return configured("dbm-cnn", "smoke", k=3, **params)


def example() -> tuple[Output, Batch]:
    generator = torch.Generator().manual_seed(0)
    labels = (torch.rand(N, L, generator=generator) < 0.5).double()
    labels[labels.sum(dim=1) == 0, 0] = 1
    shares = labels * torch.randint(1, 4, (N, L), generator=generator)  # with ties
    distribution = shares / shares.sum(dim=1, keepdim=True)
    embedding = torch.rand(N, D, generator=generator, dtype=torch.float64)
    logits = torch.randn(N, L, generator=generator, dtype=torch.float64)
    return Output(embedding, logits), Batch(torch.zeros(0), labels, distribution)


def neighbours(vectors: np.ndarray, i: int, k: int = 3) -> list[int]:
    far = [
        (float(((vectors[i] - v) ** 2).sum() ** 0.5), j) for j, v in enumerate(vectors) if j != i
    ]
    return [j for _, j in sorted(far)[:k]]


def slow(manifold: str, target: str, weight: float) -> float:
    out, batch = example()
    x, z = out.embedding.numpy(), out.logits.numpy()
    y, p = batch.labels.numpy(), batch.distribution.numpy()
    total = 0.0
    for i in range(N):
        aims = {"distribution": p[i], "khot": y[i], "normalised": y[i] / y[i].sum()}[target]
        log_softmax = z[i] - np.log(np.exp(z[i]).sum())
        total -= sum(aims[j] * log_softmax[j] for j in range(L)) / N
        sets = {
            "feature": [neighbours(x, i)],
            "label": [neighbours(p, i)],
            "both": [neighbours(x, i), neighbours(p, i)],
            "concatenated": [neighbours(np.hstack([x, p]), i)],
            "none": [],
        }[manifold]
        apart = np.zeros(D)
        for one in sets:
            apart += x[i] - sum(x[j] for j in one) / len(one)
        total += weight * (apart**2).sum() / (2 * N)
    return total


@pytest.mark.parametrize("manifold", ["both", "feature", "label", "none", "concatenated"])
@pytest.mark.parametrize("target", ["distribution", "khot", "normalised"])
def test_the_loss_is_the_papers(manifold: str, target: str) -> None:
    made = method(manifold=manifold, target=target, lam=0.3, gradient="loss")
    assert float(made.loss(*example()).loss) == pytest.approx(
        slow(manifold, target, 0.3), rel=1e-12
    )


def test_the_printed_gradient_is_half_of_the_losss() -> None:
    # Algorithm 2 updates by Eq. 7: that is the default.
    halved = method(lam=0.3).loss(*example()).loss
    assert float(halved) == pytest.approx(slow("both", "distribution", 0.15), rel=1e-12)


def test_lam_0_and_no_manifold_are_the_baseline() -> None:
    losses = [method(lam=0.0).loss(*example()).loss, method(manifold="none").loss(*example()).loss]
    assert float(losses[0]) == float(losses[1])


def test_terms_and_overlap_are_told() -> None:
    parts = method().loss(*example()).parts
    out, batch = example()
    x, p = out.embedding.numpy(), batch.distribution.numpy()
    shares = [len({*neighbours(x, i)} & {*neighbours(p, i)}) / 3 for i in range(N)]
    assert float(parts["overlap"]) == pytest.approx(np.mean(shares))
    assert set(parts) == {"cross_entropy", "bi_manifold", "overlap"}
    assert set(method(manifold="none").loss(*example()).parts) == {"cross_entropy", "overlap"}


def test_random_neighbours_are_others_and_differ_from_call_to_call() -> None:
    made = method(manifold="random")
    out, batch = example()
    nearest = torch.zeros(N, 3, dtype=torch.int64)
    torch.manual_seed(0)
    first = made._neighbours(out.embedding, batch, nearest, nearest)
    second = made._neighbours(out.embedding, batch, nearest, nearest)
    assert len(first) == 2  # as many as the method that it stands in for
    for rows in (*first, *second):
        assert rows.shape == (N, 3)
        assert all(i not in row and len({*row}) == 3 for i, row in enumerate(rows.tolist()))
    assert not torch.equal(torch.stack(first), torch.stack(second))
    assert not torch.equal(first[0], first[1])


def test_gradients_flow_into_the_features() -> None:
    out, batch = example()
    embedding = out.embedding.clone().requires_grad_()
    method(lam=0.3).loss(Output(embedding, out.logits), batch).loss.backward()
    assert embedding.grad is not None
    assert (embedding.grad != 0).any()


def test_a_batch_without_k_neighbours_is_refused() -> None:
    made = method_class("dbm-cnn")(k=64)
    with pytest.raises(InputError, match=r"dbm-cnn\[k=64\] searches k neighbours in batches of 64"):
        made.check(np.zeros(100))  # type: ignore[attr-defined]
    made.set_params(k=63)
    made.check(np.zeros(100))  # type: ignore[attr-defined]
