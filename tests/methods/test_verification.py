"""Verification by slow loops; no threshold looks at the pairs that it is tried on."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from bench.methods import _verification as module
from bench.methods._verification import FOLDS, Pairs, best_threshold, draw_pairs, verify


def people(
    persons: int = 12, pictures: int = 5, noise: float = 0.8
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    subject = np.repeat(np.arange(persons), pictures)
    centres = rng.normal(size=(persons, 6))
    return subject, centres[subject] + noise * rng.normal(size=(len(subject), 6))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / (
        sum(x * x for x in a) ** 0.5 * sum(y * y for y in b) ** 0.5
    )


def slow(embedding: np.ndarray, pairs: Pairs) -> tuple[list[float], list[float]]:
    """Accuracy and threshold of each fold."""
    values = [
        cosine(embedding[i], embedding[j]) for i, j in zip(pairs.first, pairs.second, strict=True)
    ]
    accuracies, thresholds = [], []
    for fold in range(10):
        rest = [k for k in range(len(values)) if pairs.fold[k] != fold]
        ordered = sorted({values[k] for k in rest})
        edges = [ordered[0] - 1, *[(a + b) / 2 for a, b in itertools.pairwise(ordered)]]
        edges.append(ordered[-1] + 1)
        best, chosen = -1, 0.0
        for edge in edges:
            right = sum((values[k] >= edge) == pairs.same[k] for k in rest)
            if right > best:
                best, chosen = right, edge
        tested = [k for k in range(len(values)) if pairs.fold[k] == fold]
        thresholds.append(chosen)
        accuracies.append(sum((values[k] >= chosen) == pairs.same[k] for k in tested) / len(tested))
    return accuracies, thresholds


def test_accuracy_is_that_of_plain_loops() -> None:
    subject, embedding = people()
    pairs = draw_pairs(subject)
    assert pairs is not None
    found = verify(embedding, pairs)
    accuracies, thresholds = slow(embedding, pairs)
    assert found.accuracy == pytest.approx(np.mean(accuracies))
    assert found.deviation == pytest.approx(np.std(accuracies, ddof=1))
    assert found.thresholds == pytest.approx(thresholds)
    assert 0.6 < found.accuracy < 1


def test_pairs_are_balanced_in_every_fold_and_never_repeat() -> None:
    subject, _ = people()
    pairs = draw_pairs(subject)
    assert pairs is not None
    assert len(pairs) == 2 * (12 * 10 // FOLDS * FOLDS)
    np.testing.assert_array_equal(pairs.same, subject[pairs.first] == subject[pairs.second])
    for fold in range(FOLDS):
        here = pairs.fold == fold
        assert (pairs.same[here].sum(), (~pairs.same[here]).sum()) == (12, 12)
    assert len({frozenset(p) for p in zip(pairs.first, pairs.second, strict=True)}) == len(pairs)
    assert (pairs.first != pairs.second).all()
    again = draw_pairs(subject)
    assert again is not None
    np.testing.assert_array_equal(again.first, pairs.first)


def test_pairs_are_at_most_as_many_as_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, _ = people()
    monkeypatch.setattr(module, "PAIRS_AT_MOST", 25)
    pairs = draw_pairs(subject)
    assert pairs is not None
    assert len(pairs) == 40
    monkeypatch.setattr(module, "_IMAGES_AT_MOST", 30)
    pairs = draw_pairs(subject)
    assert pairs is not None
    assert len(np.union1d(pairs.first, pairs.second)) <= 30


def test_too_few_pictures_give_no_pairs() -> None:
    assert draw_pairs(np.array(["a"] * 3 + ["b"] * 3)) is None  # six pairs of one person
    assert draw_pairs(np.array(["a"] * 9)) is None
    assert draw_pairs(np.array(["a"] * 5 + ["b"] * 5)) is not None
    assert draw_pairs(np.array([], dtype=str)) is None


def test_a_threshold_never_sees_the_fold_it_is_tried_on() -> None:
    subject, embedding = people(persons=10, pictures=5)
    pairs = draw_pairs(subject)
    assert pairs is not None
    before = verify(embedding, pairs)
    for fold in (0, 7):
        # The truth of this fold turned round: its own threshold must not move, its answers do.
        turned = Pairs(pairs.first, pairs.second, pairs.same ^ (pairs.fold == fold), pairs.fold)
        after = verify(embedding, turned)
        assert after.thresholds[fold] == before.thresholds[fold]
        assert after.thresholds != before.thresholds


@pytest.mark.parametrize(
    ("cosines", "same", "wanted"),
    [
        ([0.1, 0.9], [0, 1], 0.5),
        ([0.1, 0.9], [1, 1], -0.9),
        ([0.1, 0.9], [0, 0], 1.9),
        ([0.1, 0.9], [1, 0], -0.9),  # three are equally good: the lowest
        ([0.3, 0.3, 0.5], [1, 0, 1], -0.7),
    ],
)
def test_the_best_threshold(cosines: list[float], same: list[int], wanted: float) -> None:
    found = best_threshold(np.array(cosines), np.array(same, dtype=bool))
    assert found == pytest.approx(wanted)


def test_length_does_not_matter_and_zeros_are_at_cosine_0() -> None:
    subject, embedding = people()
    pairs = draw_pairs(subject)
    assert pairs is not None
    scaled = embedding * np.random.default_rng(1).uniform(0.1, 9, (len(embedding), 1))
    assert verify(scaled, pairs).accuracy == pytest.approx(verify(embedding, pairs).accuracy)
    nothing = verify(np.zeros((60, 3)), pairs)
    assert nothing.accuracy == 0.5
    assert np.isfinite(nothing.thresholds).all()
