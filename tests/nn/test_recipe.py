"""Recipes: lengths, batches, schedules."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from bench.nn.recipe import SGD, Adam, Constant, EveryEpochs, OneCycle, Recipe, Schedule, Steps

BY_EPOCH = Recipe(SGD(0.1), batch=16, size=10, epochs=3)
BY_ITERATION = Recipe(SGD(0.1), batch=16, size=10, iterations=50)


@pytest.mark.parametrize(
    ("images", "whole_only", "with_rest"),
    # A rest of one image has no variance, and is left out in any case; there is always a batch.
    [(1, 1, 1), (15, 1, 1), (16, 1, 1), (17, 1, 1), (18, 1, 2), (32, 2, 2), (33, 2, 2), (47, 2, 3)],
)
def test_batches_in_an_epoch(images: int, whole_only: int, with_rest: int) -> None:
    assert BY_EPOCH.batches(images) == with_rest
    assert replace(BY_EPOCH, drop_last=True).batches(images) == whole_only
    assert BY_EPOCH.length(images) == 3 * with_rest
    assert BY_ITERATION.length(images) == 50


@pytest.mark.parametrize(
    "wrong", [{"epochs": 3, "iterations": 3}, {}, {"epochs": 3, "crop_from": 9}]
)
def test_contradictions_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"epochs or iterations|larger"):
        Recipe(SGD(0.1), batch=16, size=10, **wrong)


def test_side_is_what_images_are_resized_to() -> None:
    assert BY_EPOCH.side == 10
    assert replace(BY_EPOCH, crop_from=12).side == 12


def factors(schedule: Schedule, iterations: int, per_epoch: int) -> list[float]:
    return [schedule.factor(i, i // per_epoch, iterations) for i in range(iterations)]


def test_schedules_by_hand() -> None:
    assert factors(Constant(), 4, 2) == [1, 1, 1, 1]
    assert factors(Steps((2, 5)), 6, 2) == pytest.approx([1, 1, 0.1, 0.1, 0.1, 0.01])
    assert factors(EveryEpochs(2, 0.5), 8, 1) == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]
    assert factors(EveryEpochs(2, 0.5), 8, 2) == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5]
    late = [1, 1, 1, 1, 1, 0.5, 0.5, 0.25]
    assert factors(EveryEpochs(2, 0.5, start=3), 8, 1) == late


def test_one_cycle_rises_and_falls_by_half_cosines() -> None:
    found = factors(OneCycle(), 101, 10)
    assert found[0] == pytest.approx(1 / 25)
    assert found[25] == pytest.approx(1)
    assert found[-1] == pytest.approx(0, abs=1e-12)
    assert found[:26] == sorted(found[:26])
    assert found[25:] == sorted(found[25:], reverse=True)
    assert found[10] == pytest.approx(1 / 25 + 24 / 25 * (1 - math.cos(math.pi * 10 / 25)) / 2)
    assert found[40] == pytest.approx((1 + math.cos(math.pi * 15 / 75)) / 2)
    assert all(0 <= one <= 1 for n in (1, 2, 3) for one in factors(OneCycle(), n, 1))


@pytest.mark.parametrize("by", [0.5, 2, 3.5])
def test_stretching_keeps_the_course(by: float) -> None:
    recipe = replace(BY_ITERATION, iterations=100, schedule=Steps((20, 80)))
    longer = recipe.stretched(by)
    assert longer.iterations == round(100 * by)
    assert longer.schedule == Steps((round(20 * by), round(80 * by)))
    epochs = replace(BY_EPOCH, epochs=40, schedule=EveryEpochs(10, 0.9)).stretched(by)
    assert (epochs.epochs, epochs.schedule) == (round(40 * by), EveryEpochs(round(10 * by), 0.9))
    late = replace(BY_EPOCH, epochs=40, schedule=EveryEpochs(10, 0.9, start=20)).stretched(by)
    assert late.schedule == EveryEpochs(round(10 * by), 0.9, start=round(20 * by))
    assert replace(BY_EPOCH, schedule=OneCycle()).stretched(by).schedule == OneCycle()


def test_the_shortest_stretch_is_one_step() -> None:
    assert BY_ITERATION.stretched(1e-6).iterations == 1
    assert BY_EPOCH.stretched(1e-6).epochs == 1
    assert EveryEpochs(10, 0.9).stretched(1e-6) == EveryEpochs(1, 0.9)
    assert BY_EPOCH.stretched(1) is BY_EPOCH


def test_optimisers_take_their_numbers_from_the_recipe() -> None:
    def groups() -> list[dict[str, object]]:
        parameters = [torch.nn.Parameter(torch.zeros(2)) for _ in range(2)]
        return [{"params": parameters[:1]}, {"params": parameters[1:], "weight_decay": 0.5}]

    sgd = SGD(0.1, momentum=0.8, weight_decay=0.01).make(groups())
    assert [(g["lr"], g["momentum"], g["weight_decay"]) for g in sgd.param_groups] == [
        (0.1, 0.8, 0.01),
        (0.1, 0.8, 0.5),
    ]
    adam = Adam(0.1, betas=(0.8, 0.9), weight_decay=0.01).make(groups())
    assert isinstance(adam, torch.optim.Adam)
    assert [(g["betas"], g["weight_decay"]) for g in adam.param_groups] == [
        ((0.8, 0.9), 0.01),
        ((0.8, 0.9), 0.5),
    ]
