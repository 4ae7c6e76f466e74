"""LBAN-IL: the paper's numbers as defaults, its tables as sweeps, its fixed filters."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench.methods import lban_il as lban
from bench.methods.lban_il import BLOCKS, BinaryConv
from builtin import configured, method_class
from networks import some_faces
from torch import nn

from bench.api import BenchError, InputError, Setting
from bench.nn.centred import Centred
from bench.plugins import Registry
from bench.run.grammar import parse_methods
from bench.run.methods import resolve

REGISTRY = Registry()


def method(budget: str = "smoke", **params: Any) -> Any:
    return configured("lban-il", budget, **params)


def on_meta(made: Any, labels: int = 7) -> nn.Module:
    with torch.device("meta"):
        return made.build(labels, 3)


def filters(model: nn.Module) -> list[torch.Tensor]:
    return [m.weight.clone() for m in model.modules() if isinstance(m, BinaryConv)]


def alike(some: list[torch.Tensor], others: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(some, others, strict=True))


def test_defaults_are_the_papers() -> None:
    made = method("paper")
    numbers = (made.lam, made.lam1, made.lam2, made.alpha, made.dropout)
    assert numbers == (0.6, 0.2, 0.9, 0.5, 0.5)
    assert (made.loss_name, made.centres, made.block, made.attention) == (
        "islets",
        "moving",
        "lbc+std+skip",
        True,
    )
    recipe = made.recipe
    optimizer = recipe.optimizer
    assert (optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (0.001, 0.9, 0.05)
    assert (recipe.batch, recipe.size, recipe.crop_from, recipe.flip) == (64, 80, 100, True)
    assert (recipe.epochs, recipe.iterations) == (100, None)
    # "decreased by 0.9 every five epochs since the 20th epoch"
    for epoch, power in ((0, 0), (19, 0), (20, 0), (24, 0), (25, 1), (29, 1), (30, 2), (99, 15)):
        assert recipe.schedule.factor(0, epoch, 1) == pytest.approx(0.9**power)
    assert made.input.colour == "rgb"
    assert made.ten_crop == "softmax"


def test_the_model_is_the_network_beside_its_centres() -> None:
    model = on_meta(method())
    assert isinstance(model, Centred)
    assert model.centres.centres.shape == (7, 128)
    assert (model.centres.lam1, model.centres.lam2, model.centres.alpha) == (0.2, 0.9, 0.5)
    assert sum(p.numel() for p in model.parameters()) == 19_247_175
    assert len(filters(model)) == 14
    assert isinstance(on_meta(method(loss="softmax")), lban.LBAN)


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("block", BLOCKS)
def test_variants_reach_the_network(block: str, attention: bool) -> None:
    model: Any = on_meta(method(loss="softmax", block=block, attention=attention))
    with torch.device("meta"):
        expected = lban.LBAN(7, 3, block, attention)
    shapes = {name: t.shape for name, t in model.state_dict().items()}
    assert shapes == {name: t.shape for name, t in expected.state_dict().items()}
    assert model.head.dropout.p == 0.5


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("lban-il[loss=softmax|center|island|islets]", 4),  # Table 4
        ("lban-il[block=lbc|lbc+skip|sc+std|sc+std+skip|lbc+std+skip]", 5),  # Table 2
        ("lban-il[block=conv|lbc+std+skip,attention=false|true]", 4),  # Table 1
        ("lban-il[centres=moving|fixed],lban-il[lam2=0]", 3),  # placebos
        ("vgg19[loss=softmax|islets],resnet18[loss=softmax|islets]", 4),
    ],
)
def test_the_papers_tables_are_sweeps(text: str, count: int) -> None:
    found = resolve(REGISTRY, parse_methods(text), "single", True)
    assert len(found) == count
    assert len({one.features.written for one in found if one.features}) == count


@pytest.mark.parametrize("name", ["lban-il", "vgg19", "resnet18[loss=islets]"])
def test_multi_label_data_are_met_by_name_alone(name: str) -> None:
    bare = name.split("[")[0]
    with pytest.raises(BenchError) as caught:
        resolve(REGISTRY, parse_methods(name), "multi", True)
    assert str(caught.value) == (
        f"{bare} gives a face one class: on multi-label data write {bare}[target=argmax], which "
        "learns each face's strongest label"
    )
    with pytest.raises(BenchError, match="gives a face one class"):
        resolve(REGISTRY, parse_methods(f"{name}+mlknn"), "multi", True)
    (found,) = resolve(REGISTRY, parse_methods(f"{bare}[target=argmax,loss=islets]"), "multi", True)
    assert found.features is not None
    assert found.features.params["target"] == "argmax"


def test_all_leaves_single_label_networks_to_single_label_data() -> None:
    for kind, expected in (("multi", set()), ("single", {"lban-il", "vgg19"})):
        found = resolve(REGISTRY, parse_methods("all"), kind, True)
        names = {one.features.name for one in found if one.features}
        assert names & {"lban-il", "vgg19"} == expected
        assert "resnet18" in names


def test_fixed_filters_stay_fixed_and_come_back_from_checkpoints(tmp_path: Path) -> None:
    faces = some_faces(24, side=28, kind="single", colour="rgb")

    def fit(change: Callable[[nn.Module], None]) -> Any:
        made = method(length=0.5, block="lbc+skip")
        made.setting = Setting(budget="smoke", folder=tmp_path, selection="last")
        draw = made.network

        def network(labels: int, channels: int) -> nn.Module:
            model: nn.Module = draw(labels, channels)
            change(model)
            return model

        made.network = network
        return made.fit(faces, np.random.default_rng(0))

    built: list[nn.Module] = []
    first = fit(lambda model: built.append(copy.deepcopy(model)))
    assert len(filters(built[0])) == 14
    assert alike(filters(first.model_), filters(built[0]))
    learned, before = (model.layers[0].weight for model in (first.model_.network, built[0]))
    assert not torch.equal(learned, before)

    def emptied(model: nn.Module) -> None:
        for one in model.modules():
            if isinstance(one, BinaryConv):
                one.weight.zero_()

    # A model that starts with other filters takes those of the checkpoint.
    again = fit(emptied)
    assert alike(filters(again.model_), filters(first.model_))
    assert "lban-il: 11,132,928 fixed weights besides" in again.remarks()


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("lban-il", 20, "its blocks halve and double maps; take a multiple of 8"),
        ("vgg19", 24, "five poolings leave nothing of it; take 32 or more"),
    ],
)
def test_inputs_that_do_not_fit_the_layers_are_refused(name: str, size: int, message: str) -> None:
    made: Any = method_class(name)(size=size)
    made.setting = Setting(budget="smoke")
    faces = some_faces(24, side=28, kind="single", colour="rgb")
    with pytest.raises(InputError) as caught:
        made.fit(faces, np.random.default_rng(0))
    assert str(caught.value) == f"{name}[size={size}]: {message}"
