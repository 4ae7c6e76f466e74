"""On a GPU: the same numbers as on the processor, the same bytes for the same seed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builtin import method_class

from bench.api import FaceSet, Setting

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU"),
]


def faces(count: int, channels: int) -> FaceSet:
    """Noise that is brighter above for the first label and below for the second."""
    rng = np.random.default_rng(0)
    labels = rng.random((count, 3)) < 0.5
    labels[:, 2] |= ~labels.any(axis=1)
    images = rng.integers(0, 120, (count, 48, 48), dtype=np.uint8)
    images[labels[:, 0], :24] += 100
    images[labels[:, 1], 24:] += 100
    if channels == 3:
        images = np.repeat(images[..., None], 3, axis=3)
    ids = np.array([f"{row:04d}" for row in range(count)])
    landmarks = np.tile(np.array([[15, 17], [33, 17], [24, 28], [16, 36], [32, 36]]), (count, 1, 1))
    return FaceSet(
        "noise", "multi", ("a", "b", "c"), ids, labels, images, landmarks=landmarks.astype(float)
    )


def fitted(name: str, device: str, folder: Path | None = None, budget: str = "smoke") -> Any:
    network: Any = method_class(name)()
    network.setting = Setting(budget=budget, device=device, folder=folder)
    colour = 3 if network.input.colour == "rgb" else 1
    return network.fit(faces(96, colour), np.random.default_rng(0), faces(40, colour))


@pytest.mark.parametrize("name", ["base-dcnn", "dbm-cnn", "resnet18", "mf-jle"])
def test_outputs_are_those_of_the_processor(name: str) -> None:
    network = fitted(name, "cuda")
    assert any("bfloat16 on cuda" in note for note in network.remarks())
    part = faces(30, network.channels_)
    on_gpu = network.outputs(part)
    network.setting = dataclasses.replace(network.setting, device="cpu")
    network.model_.to("cpu")
    on_cpu = network.outputs(part)
    for gpu, cpu in zip(on_gpu[:2], on_cpu[:2], strict=True):
        assert np.allclose(gpu, cpu, rtol=1e-3, atol=1e-4 * np.abs(cpu).max())


@pytest.mark.parametrize("name", ["base-dcnn", "dbm-cnn", "resnet18"])
def test_the_same_seed_gives_the_same_bytes(name: str) -> None:
    part = faces(30, 3 if name == "resnet18" else 1)
    first, second = (fitted(name, "cuda").outputs(part) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_finished_training_is_taken_from_its_folder(tmp_path: Path) -> None:
    part = faces(30, 1)
    first = fitted("base-dcnn", "cuda", tmp_path)
    again = fitted("base-dcnn", "cuda", tmp_path)
    assert again.earlier_seconds > 0
    assert np.array_equal(first.scores(part), again.scores(part))


def test_it_learns() -> None:
    network = fitted("base-dcnn", "cuda", budget="quick")
    part = faces(40, 1)
    shown = part.labels[:, :2]
    scores = network.scores(part)[:, :2]
    assert scores[shown].mean() > scores[~shown].mean() + 0.1
