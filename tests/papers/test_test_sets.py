"""A verdict needs the paper's test set: its size, its folds, its rule of labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from bench.papers.measured import Measured
from bench.papers.published import by_id
from bench.papers.reproduction import judged
from bench.papers.spec import Conditions
from bench.papers.test_sets import unlike_test_set
from bench.publish.rows import Row

FER = "fer-plus[labels=probability,test=probability]"


@pytest.fixture
def tested(make: Callable[..., Any]) -> Callable[..., Measured]:
    """A method measured on some test parts of these sizes, as `Finder.measured` gives it."""

    def build(*sizes: int, used: str = "theirs") -> Measured:
        row = Row(
            tuple(
                make("net", None, seed=seed, n_test=size, split_hash=f"{part:016x}", budget="paper")
                for part, size in enumerate(sizes)
                for seed in range(3)
            )
        )
        return Measured(0.5, 0.01, row, used=(used,))

    return build


@pytest.mark.parametrize(
    ("id", "sizes", "why"),
    [
        ("dbm-cnn:0039", [982], ""),
        ("dbm-cnn:0039", [818], "measured on 818 test images, printed for 982"),
        ("dbm-cnn:0399", [38, 38, 38, 37, 37], ""),  # JAFFE's 188 in five folds
        ("dbm-cnn:0399", [43, 43, 43, 42, 42], "measured on 213 test images, printed for 188"),
        ("dbm-cnn:0399", [19] * 9 + [17], "measured over 10 splits, printed over 5 folds"),
        ("dbm-cnn:0399", [188], "measured over 1 splits, printed over 5 folds"),
        ("dbm-cnn:0546", [62, 62, 62, 62, 61], ""),  # CK+: the last frame of 309 sequences
        ("dbm-cnn:0546", [65, 65, 65, 66, 66], "measured on 327 test images, printed for 309"),
        ("dbm-cnn:0556", [427], ""),  # SFEW, as RAF-ML's paper counts it …
        ("dbm-cnn:0556", [436], "measured on 436 test images, printed for 427"),
        ("lban-il:0132", [436], ""),  # … and as LBAN-IL's does
        ("mf-jle:0055", [982], ""),  # a fifth of 4,908, however it is rounded
        ("mf-jle:0055", [981], ""),
        ("mf-jle:0055", [1472], "measured on 1,472 test images, printed for 982"),
        ("tfe-jl:0017", [131] * 9 + [129], ""),
        ("tfe-jl:0017", [98] * 9 + [99], "measured on 981 test images, printed for 1,308"),
    ],
)
def test_sizes_and_folds_of_test_sets(
    tested: Callable[..., Measured], id: str, sizes: list[int], why: str
) -> None:
    number = by_id(id.partition(":")[0])[id]
    assert unlike_test_set(number, tested(*sizes)) == why


@pytest.mark.parametrize(
    ("size", "used", "why"),
    [
        (3507, FER, ""),
        (3589, "fer2013", ""),
        (3137, "fer-plus", "measured on 3,137 test images, printed for 3,507 or 3,589"),
        (3507, "fer-plus", f"labels of fer-plus, and 3,507 test images are printed of {FER}"),
        (3505, FER, "measured on 3,505 test images"),  # the votes of fer2013new.csv
    ],
)
def test_a_print_that_fits_two_test_sets_wants_one_of_them_by_its_labels(
    tested: Callable[..., Measured], size: int, used: str, why: str
) -> None:
    number = by_id("tfe-jl")["tfe-jl:0024"]
    said = unlike_test_set(number, tested(size, used=used))
    assert said.startswith(why) if why.startswith("measured on") else why in said
    assert bool(said) == bool(why)


def test_another_rule_of_labels_shows_in_the_classes(make: Callable[..., Any]) -> None:
    number = by_id("lban-il")["lban-il:0087"]
    names = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
    counts = [329, 74, 160, 1185, 478, 162, 680]

    def row(counts: list[int]) -> Measured:
        about = {"kind": "single", "label_names": names, "n_test": 3068}
        confusion = [[count] + 6 * [0] for count in counts]
        record = dataclasses.replace(
            make("net", None, kind="single", budget="paper"), confusion=confusion
        )
        cell = dataclasses.replace(record.cell, **about)
        return Measured(0.5, 0.01, Row((dataclasses.replace(record, cell=cell),)))

    assert unlike_test_set(number, row(counts)) == ""
    moved = [330, 73, *counts[2:]]
    assert unlike_test_set(number, row(moved)) == "330 test images of surprise, printed for 329"


def test_no_verdict_comes_from_another_test_set(tested: Callable[..., Measured]) -> None:
    """The mean of one seed more or less would agree: 3,137 images are others than the paper's."""
    number = by_id("tfe-jl")["tfe-jl:0024"]
    where = Conditions("fer-plus", "official", "", "", "valid", "paper", 3)
    verdict, why = judged(number, tested(3137, used="fer-plus"), where)
    assert (verdict, why.partition(",")[0]) == ("not comparable", "measured on 3")
