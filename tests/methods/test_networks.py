"""What holds for every network of the RAF-ML and MF-JLE papers, and what a fitted one gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from layers import CHANNELS, count, images_for, method, on_meta, paper_model, run
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from bench.api import FaceSet
from bench.nn.output import Output

NETWORKS = ("base-dcnn", "dbm-cnn", "resnet18", "mf-jle")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.mark.parametrize("budget", ["smoke", "quick", "paper"])
@pytest.mark.parametrize("name", NETWORKS)
def test_each_budget_has_a_schedule_and_a_model_that_fits_it(name: str, budget: str) -> None:
    network = method(name, budget)
    recipe = network.recipe
    assert (recipe.epochs is None) != (recipe.iterations is None)
    assert (recipe.epochs or recipe.iterations) >= 1
    assert recipe.batch >= 1
    assert recipe.crop_from is None or recipe.crop_from >= recipe.size
    model = on_meta(network, labels=4, channels=CHANNELS[name]).eval()
    found, _ = run(model, images_for(name, 2, recipe.size, "meta"))
    assert isinstance(found, Output)
    assert found.logits.shape == (2, 4)
    assert found.embedding.shape[0] == 2
    assert found.embedding.ndim == 2


@pytest.mark.parametrize("name", NETWORKS)
def test_without_a_word_the_budget_is_the_papers(name: str) -> None:
    def length(budget: str | None) -> tuple[int | None, int | None]:
        recipe = method(name, budget).recipe
        return recipe.epochs, recipe.iterations

    assert length(None) == length("paper")
    assert length("smoke") != length("paper")
    assert length("quick") != length("paper")


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("labels", [1, 8])
def test_the_head_has_one_output_per_label(name: str, labels: int) -> None:
    six = count(paper_model(name))
    embedding, heads = {"base-dcnn": (2000, 1), "dbm-cnn": (2000, 1), "resnet18": (512, 1)}.get(
        name, (512, 6)
    )
    # A label more is a row of weights and a bias more in each head.
    expected = six + heads * (labels - 6) * (embedding + 1)
    assert count(paper_model(name, labels)) == expected


@pytest.mark.parametrize("name", NETWORKS)
def test_groups_hold_each_parameter_once(name: str) -> None:
    network = method(name)
    model = paper_model(name)
    groups = network.groups(model)
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(held) == len(set(held))
    assert set(held) == {id(parameter) for parameter in model.parameters()}
    assert all(parameter.requires_grad for parameter in model.parameters())
    torch.optim.SGD(network.groups(model), lr=0.1)


# What a fitted network hands on -------------------------------------------------------------------


def faces(n: int, side: int, rgb: bool) -> FaceSet:
    rng = np.random.default_rng(n)
    labels = rng.random((n, 6)) < 0.4
    labels[np.arange(n), np.arange(n) % 6] = True
    template = np.array([[20, 30], [80, 30], [50, 52], [32, 75], [68, 75]], dtype=float)
    return FaceSet(
        name="noise",
        kind="multi",
        label_names=tuple("abcdef"),
        ids=np.array([f"{row:02d}" for row in range(n)], dtype=str),
        labels=labels,
        images=rng.integers(0, 256, (n, side, side, *((3,) if rgb else ())), dtype=np.uint8),
        distribution=labels / labels.sum(1, keepdims=True),
        landmarks=np.tile(template * side / 100, (n, 1, 1)),
        synthetic=True,
    )


@contextmanager
def watched() -> Iterator[dict[int, tuple[nn.Module, list[torch.Tensor]]]]:
    """What goes into each convolution and each linear layer of any model, in order."""
    seen: dict[int, tuple[nn.Module, list[torch.Tensor]]] = {}

    def note(layer: nn.Module, given: tuple[Any, ...]) -> None:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            seen.setdefault(id(layer), (layer, []))[1].append(given[0].detach().float().cpu())

    hook = register_module_forward_pre_hook(note)
    try:
        yield seen
    finally:
        hook.remove()


@cache
def fitted(name: str) -> tuple[Any, FaceSet]:
    """A network trained as `--budget smoke` does, and four faces that it did not learn from."""
    network = method(name, "smoke")
    # Images of the side that the schedule crops from: nothing has to be resized.
    side = network.recipe.crop_from or network.recipe.size
    train, valid = (faces(n, side, CHANNELS[name] == 3) for n in (8, 4))
    return network.fit(train, np.random.default_rng(0), valid), valid


@pytest.mark.parametrize("name", ["base-dcnn", "resnet18", "mf-jle"])
def test_transform_gives_the_embedding_that_the_head_reads(name: str) -> None:
    network, valid = fitted(name)
    with watched() as seen:
        vectors, scores, labels = network.outputs(valid)
    assert vectors.dtype == np.float32
    assert scores.shape == labels.shape == (4, 6)
    assert (vectors >= 0).all()
    np.testing.assert_allclose(network.transform(valid), vectors, rtol=1e-5, atol=1e-6)
    read = [
        torch.cat(given).numpy()
        for layer, given in seen.values()
        if isinstance(layer, nn.Linear) and layer.out_features == 6
    ]
    assert len(read) == (6 if name == "mf-jle" else 1)
    width = read[0].shape[1]
    parts = [vectors[:, start : start + width] for start in range(0, vectors.shape[1], width)]
    assert len(parts) in (1, len(read))
    for part in parts:
        assert any(np.allclose(part, given, rtol=1e-5, atol=1e-6) for given in read)


@pytest.mark.parametrize("name", ["base-dcnn", "resnet18"])
def test_test_images_are_scaled_and_cut_from_the_centre(name: str) -> None:
    network, valid = fitted(name)
    with watched() as seen:
        network.transform(valid)
    first = next(given for layer, given in seen.values() if isinstance(layer, nn.Conv2d))
    assert valid.images is not None
    size = network.recipe.size
    edge = (valid.images.shape[1] - size) // 2
    centre = valid.images[:, edge : edge + size, edge : edge + size].astype(np.float64) / 255
    if CHANNELS[name] == 3:
        expected = ((centre - MEAN) / STD).transpose(0, 3, 1, 2)
    else:
        expected = centre[:, np.newaxis]  # divided by 255 and nothing else (Section 6.2)
    np.testing.assert_allclose(torch.cat(first).numpy(), expected, rtol=0, atol=2e-6)
