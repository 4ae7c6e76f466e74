"""The base of the networks that LBAN-IL's paper compares: crops, phases, weight decay."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from bench.methods._lban import ComparedNetwork, FeatureHead
from builtin import configured
from networks import RECIPE, some_faces
from torch import nn

from bench.api import FaceSet, Setting
from bench.nn.faces import ten_crop
from bench.nn.one_class import OneClassNetwork
from bench.nn.output import Output
from bench.nn.recipe import Recipe
from bench.papers.spec import load

pytestmark = pytest.mark.usefixtures("float32")


def fit_on(faces: FaceSet, network: Any, valid: FaceSet | None = None, **setting: Any) -> Any:
    network.setting = Setting(**setting)
    return network.fit(faces, np.random.default_rng(0), valid)


class Pooled(nn.Module):
    """Four means of the image, then the head."""

    def __init__(self, labels: int, channels: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.head = FeatureHead(4 * channels, labels, dropout=0.1)

    def forward(self, x: torch.Tensor) -> Output:
        out: Output = self.head(self.pool(x).flatten(1))
        return out


class Compared(ComparedNetwork):
    """Reference: none."""

    name = "compared"
    recipes: dict[str, Recipe] = {  # type: ignore[assignment]
        "paper": replace(RECIPE, size=80, crop_from=100, epochs=1),
        "quick": replace(RECIPE, size=16, crop_from=20, epochs=1),
    }

    def network(self, labels: int, channels: int) -> nn.Module:
        return Pooled(labels, channels)


@pytest.mark.parametrize(
    ("side", "budget", "size", "crop_from"),
    [
        (48, "paper", 40, 48),
        (64, "paper", 40, 48),
        (65, "paper", 80, 100),
        (100, "paper", 80, 100),
        (48, "quick", 16, 20),
        (100, "quick", 16, 20),
    ],
)
def test_crops_follow_the_size_of_the_training_images(
    side: int, budget: str, size: int, crop_from: int
) -> None:
    faces = some_faces(24, side=side, kind="single", colour="rgb")
    found = fit_on(faces, Compared(), budget=budget)
    cut = f"input 3×{size}×{size} cut from {crop_from}"
    assert any(cut in remark for remark in found.remarks())
    # Faces of another size are cut as those of training were.
    other = some_faces(6, side=148 - side, kind="single", colour="rgb")
    assert found.scores(other).shape == (6, 3)
    assert (found.recipe.size, found.recipe.crop_from) == (size, crop_from)
    assert (Compared().recipe.size, Compared().recipe.crop_from) == (80, 100)


def test_ten_crops_average_the_softmax_at_the_papers_budget_alone() -> None:
    faces = some_faces(24, side=48, kind="single", colour="rgb")
    found = fit_on(faces, Compared(), budget="paper")
    images = torch.from_numpy(faces.images.copy()).permute(0, 3, 1, 2)
    total, vectors = 0, 0
    found.model_.eval()
    with torch.inference_mode():
        for crop in ten_crop(images, 40).unbind(dim=1):
            out = found.model_((crop.float() / 255 - 0.5) / 0.25)
            total, vectors = total + out.logits.softmax(dim=1), vectors + out.embedding
    np.testing.assert_allclose(found.scores(faces), total / 10, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.transform(faces), vectors / 10, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.distribution(faces).sum(axis=1), 1, atol=1e-5)
    assert Compared().ten_crop == "softmax"
    quick = Compared()
    quick.setting = Setting(budget="quick")
    assert quick.ten_crop == ""


@pytest.mark.parametrize(
    ("budget", "loss", "phases"),
    [
        ("quick", "islets", ["softmax", "joint"]),
        ("quick", "md", ["softmax", "joint"]),
        ("quick", "softmax", [""]),
        ("smoke", "islets", [""]),
        ("paper", "islets", [""]),
    ],
)
def test_class_centres_come_late_at_quick_alone(
    monkeypatch: pytest.MonkeyPatch, budget: str, loss: str, phases: list[str]
) -> None:
    heard: list[tuple[str, Any, Any]] = []
    monkeypatch.setattr(
        Compared,
        "phase",
        lambda self, name, model, recipe, *rest: heard.append((name, recipe, rest)),
    )
    recipes = {name: replace(RECIPE, epochs=4) for name in ("paper", "quick")}
    monkeypatch.setattr(Compared, "recipes", recipes)
    network = Compared(loss=loss)
    network.setting = Setting(budget=budget)
    network.learn(network.build(3, 3), cast(Any, None), None, 7)
    assert [name for name, _, _ in heard] == phases
    whole = network.recipe
    if len(phases) == 2:
        (_, first, (*_, seed, alone)), (_, last, (*_, later)) = heard
        assert (first.epochs or 0) + (last.epochs or 0) == whole.epochs
        assert last.optimizer.lr == pytest.approx(first.optimizer.lr / 10)
        assert (seed, later) == (7, 8)
        assert alone.__func__ is OneClassNetwork.loss
    else:
        assert heard[0][1] == whole


@pytest.mark.parametrize("loss", ["softmax", "islets"])
@pytest.mark.parametrize("budget", ["paper", "quick", "smoke"])
def test_rates_and_weight_decay_of_every_weight(budget: str, loss: str) -> None:
    for params, decay in (({}, 1e-3), ({"weight_decay": 0.25}, 0.25)):
        network = Compared(loss=loss, **params)
        network.setting = Setting(budget=budget)
        model = network.build(3, 3)
        optimizer = network.recipe.optimizer.make(network.groups(model))
        found = {
            id(p): (group["lr"], group["weight_decay"])
            for group in optimizer.param_groups
            for p in group["params"]
        }
        assert sum(len(group["params"]) for group in optimizer.param_groups) == len(found)
        for name, parameter in model.named_parameters():
            assert found[id(parameter)] == pytest.approx((0.05, decay)), name
        assert len(found) == len(list(model.parameters()))


# -- ResNet-18 as LBAN-IL's paper trains it -------------------------------------------------------


def resnet18(budget: str = "paper", **params: Any) -> Any:
    return configured("resnet18", budget, loss="islets", trained_as="lban-il", **params)


def test_resnet18_is_trained_by_section_4_2_as_vgg19_is() -> None:
    ours, compared = resnet18(), configured("vgg19", "paper")
    assert ours.recipe == compared.recipe
    assert ours.ten_crop == compared.ten_crop == "softmax"
    recipe, sgd = ours.recipe, ours.recipe.optimizer
    assert (type(sgd).__name__, sgd.lr, sgd.momentum, sgd.weight_decay) == ("SGD", 0.001, 0.9, 0.05)
    assert (recipe.batch, recipe.size, recipe.crop_from, recipe.flip) == (64, 80, 100, True)
    for epoch, power in ((0, 0), (24, 0), (25, 1), (29, 1), (30, 2), (99, 15)):
        assert recipe.schedule.factor(epoch * 200, epoch, 20_000) == pytest.approx(0.9**power)
    groups = ours.groups(ours.build(7, 3))
    assert all("weight_decay" not in group for group in groups)  # so that all decay by 0.05


@pytest.mark.parametrize(("side", "crop"), [(48, (40, 48)), (64, (40, 48)), (100, (80, 100))])
def test_resnet18_has_the_papers_crops_of_small_faces(side: int, crop: tuple[int, int]) -> None:
    made = resnet18()
    made.check(some_faces(4, side=side, kind="single", colour="rgb"))
    assert (made.recipe.size, made.recipe.crop_from) == crop


def test_resnet18_follows_mf_jle_unless_it_is_told() -> None:
    plain = configured("resnet18", "paper")
    assert (plain.recipe.size, plain.recipe.epochs, plain.ten_crop) == (224, 218, "")
    quick = resnet18("quick")
    assert (quick.recipe, quick.ten_crop) == (configured("resnet18", "quick").recipe, "")
    twice = resnet18(length=2.0)
    assert (twice.recipe.epochs, resnet18().recipe.epochs) == (200, 100)


def test_rows_of_the_papers_tables_follow_its_recipe() -> None:
    """Section 4.2: the same augmentation in all experiments."""
    rows = {one.run for table in load("lban-il").tables for one in table.entries}
    networks = {run for run in rows if run.startswith("resnet18")}
    assert networks == {
        "resnet18[loss=softmax,trained_as=lban-il]",
        "resnet18[loss=islets,trained_as=lban-il]",
    }
