"""`constant`: the best of all label sets, by trying them all."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import shared
from builtin import dataset_class, method_class
from sklearn.metrics import f1_score

from bench.api import TEST, TRAIN, BenchError
from bench.plugins import Registry

Constant = method_class("constant")


@pytest.mark.parametrize("seed", range(8))
def test_no_label_set_is_better(seed: int) -> None:
    rng = np.random.default_rng(seed)
    Y = (rng.random((30, 5)) < rng.uniform(0, 0.7, 5)).astype(int)

    def value(answer: np.ndarray) -> float:
        return float(f1_score(Y, answer, average="micro", zero_division=0))

    method = Constant().fit(np.empty((30, 0)), Y)
    answer = method.labels(np.empty((30, 0))).astype(int)
    tried = [value(np.tile(one, (30, 1))) for one in itertools.product((0, 1), repeat=5)]
    assert (answer == answer[0]).all()
    assert value(answer) == pytest.approx(max(tried), abs=1e-12)
    np.testing.assert_array_equal(method.scores(np.empty((1, 0)))[0], Y.mean(axis=0))


@pytest.mark.parametrize(
    ("Y", "chosen"),
    [
        ([[1, 0, 1], [1, 0, 0]], [True, False, True]),  # 4/5 for {0}, 6/7 for {0, 2}
        ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [True, True, True]),  # 2/6, 4/9, 6/12
        ([[1, 0], [1, 0]], [True, False]),
        ([[0, 0], [0, 0]], [False, False]),  # nothing to find
    ],
)
def test_by_hand(Y: list[list[int]], chosen: list[bool]) -> None:
    method = Constant().fit(np.empty((len(Y), 0)), np.array(Y))
    assert method.labels(np.empty((1, 0))).tolist() == [chosen]


def test_prior_and_constant_are_the_trivial_methods() -> None:
    ready = [entry for entry in Registry().methods.values() if entry.state == "ready"]
    assert {entry.name for entry in ready if entry.load().trivial} == {"prior", "constant"}


def test_unfitted_is_one_sentence() -> None:
    with pytest.raises(BenchError, match="constant predicts only after fit"):
        Constant().labels(np.empty((3, 0)))


@shared.needs_fer_plus
def test_micro_f1_on_fer_plus_ml(tmp_path: Path) -> None:
    faces = dataset_class("fer-plus-ml")().load(shared.unpacked_fer_plus(tmp_path))
    train, test = (faces.labels[faces.split == part] for part in (TRAIN, TEST))
    method = Constant().fit(np.empty((len(train), 0)), train)
    answer = method.labels(np.empty((len(test), 0)))
    assert f1_score(test, answer, average="micro") == pytest.approx(0.560, abs=0.0005)
