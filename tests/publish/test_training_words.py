"""What captions say of training, against what records say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from records import Make

from bench.publish.criteria_tables import tables_of
from bench.publish.training import training

BEST = "net: trained on 270 images, 5 epochs of 9 batches of 32 in 1 s, epoch 3 (the best) used"
HELD = (
    "net: {} of the {} training images held out of training, for the choice of the epoch and the "
    "threshold"
)
FEW = "net: too few images to choose an epoch; the last is taken"
SOURCE = {"dataset": "other", "fingerprint": "f", "synthetic": False, "n_train": 500}


def net(make: Make, notes: Sequence[str] = (BEST,), **changes: Any) -> Any:
    about = {"budget": "quick", "selection": "valid", "stochastic": True, **changes}
    return replace(make("net", None, **about), notes=tuple(notes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "epoch chosen on the validation part"),
        (
            {"n_valid": 0, "notes": [HELD.format(30, 300), BEST]},
            "epoch chosen on 30 training images held out of training",
        ),
        (
            {"n_valid": 0, "n_train": 12, "notes": [FEW]},
            "last epoch where there were too few images to hold any out",
        ),
        ({"n_valid": 0, "notes": []}, "no validation part to choose an epoch on"),
        ({"selection": "last"}, "last epoch"),
        ({"selection": "last", "n_valid": 0}, "last epoch"),
        ({"selection": "test"}, "epoch chosen ON THE TEST PART"),
        ({"selection": "test", "n_valid": 0}, "epoch chosen ON THE TEST PART"),
        # cross: n_valid is the target's, on which nothing is chosen
        (
            {"source": {**SOURCE, "n_valid": 60}, "n_valid": 0},
            "epoch chosen on the validation part of other",
        ),
        (
            {"source": {**SOURCE, "n_valid": 0}, "notes": [HELD.format(50, 500), BEST]},
            "epoch chosen on 50 training images of other held out of training",
        ),
        # then on the target, whose training part has no validation part
        (
            {"source": {**SOURCE, "n_valid": 60}, "notes": [BEST, HELD.format(30, 300)]},
            "epoch chosen on the validation part of other, epoch chosen on 30 images of a second "
            "dataset held out of training",
        ),
        (
            {"notes": [BEST, HELD.format(11, 110)]},
            "epoch chosen on 11 images of a second dataset held out of training, epoch chosen on "
            "the validation part",
        ),
    ],
)
def test_the_choice_of_the_epoch(make: Make, changes: dict[str, Any], words: str) -> None:
    said = training([net(make, **changes)])
    prefix = "Budget quick (SHORTENED training), "
    assert said.startswith(prefix)
    assert sorted(said.removeprefix(prefix).split(", ")) == sorted(words.split(", "))


def test_folds_of_several_sizes(make: Make) -> None:
    records = [
        net(make, [HELD.format(n // 10, n)], n_train=n, n_valid=0, test=n) for n in (300, 310, 290)
    ]
    assert training(records).endswith("epoch chosen on 29–31 training images held out of training")


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([("any", "none")], "No method here follows a schedule"),
        ([("paper", "none")], "Budget paper (the papers' schedules)"),
        ([("paper", "last"), ("any", "none")], "Budget paper (the papers' schedules), last epoch"),
        (
            [("paper", "last"), ("smoke", "last")],
            "Budget paper (the papers' schedules) and smoke (SHORTENED training), last epoch",
        ),
    ],
)
def test_budgets(make: Make, cells: list[tuple[str, str]], words: str) -> None:
    assert training([net(make, budget=b, selection=s) for b, s in cells]) == words


def test_cells_without_a_result_choose_nothing(make: Make) -> None:
    failed = net(make, status="error", reason="it broke")
    assert training([failed]) == "Budget quick (SHORTENED training)"
    (table,) = tables_of([failed], "toy")
    assert "Seeds of stochastic methods: none has a result" in table.caption


def test_a_caption_does_not_contradict_itself(make: Make) -> None:
    """A tenth of train was held out beside ``n valid = 0``, and the caption spoke of that part."""
    held = [HELD.format(34, 340), BEST]
    (table,) = tables_of([net(make, held, n_train=340, n_valid=0), make("lbp", n_valid=0)], "toy")
    assert "n train/valid/test = 300–340/0/80" in table.caption
    assert "on 34 training images held out of training" in table.caption
    assert "validation part" not in table.caption
