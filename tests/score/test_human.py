"""Half of the votes against the other half, against counting every way to halve them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, hamming_loss, label_ranking_average_precision_score

from bench.score.human import against_halves, halves

VOTES = np.array([[3, 1, 0, 0], [1, 1, 2, 0], [0, 0, 0, 4], [2, 0, 1, 1]])
PRIOR = np.array([0.5, 0.3, 0.2])


def panel(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares of the first three choices; the fourth is no label."""
    total = votes[:, :3].sum(axis=1, keepdims=True)
    shares = votes[:, :3] / np.maximum(total, 1)
    return shares, (shares >= 0.4) & (total > 0), total[:, 0] > 0


def every_half(row: np.ndarray) -> list[np.ndarray]:
    """What two of four voters said, for each two of them."""
    voters = np.repeat(np.arange(len(row)), row)
    chosen = itertools.combinations(range(len(voters)), len(voters) // 2)
    return [np.bincount(voters[list(one)], minlength=len(row)) for one in chosen]


def test_the_mean_over_random_halves_is_that_over_all_halves() -> None:
    hamming, ranked = [], []
    for drawn in itertools.product(*map(every_half, VOTES)):
        first = np.array(drawn)
        scores, labels, usable = panel(first)
        _, truth, usable_too = panel(VOTES - first)
        kept = usable & usable_too
        hamming.append(hamming_loss(truth[kept], labels[kept]))
        ranked.append(
            label_ranking_average_precision_score(truth[kept], scores[kept] + 0.001 * PRIOR)
        )
    found = halves(VOTES, panel, PRIOR, "multi", seed=1, splits=3000)
    assert found.mean["hamming_loss"] == pytest.approx(np.mean(hamming), abs=0.01)
    assert found.mean["average_precision"] == pytest.approx(np.mean(ranked), abs=0.01)
    assert found.sd["hamming_loss"] == pytest.approx(np.std(hamming), abs=0.01)


def test_a_method_is_judged_by_the_same_halves() -> None:
    rng = np.random.default_rng(2)
    scores, labels = rng.random((4, 3)), rng.random((4, 3)) < 0.5
    hamming, ranked = [], []
    for drawn in itertools.product(*map(every_half, VOTES)):
        first = np.array(drawn)
        _, _, usable = panel(first)
        _, truth, usable_too = panel(VOTES - first)
        kept = usable & usable_too
        hamming.append(hamming_loss(truth[kept], labels[kept]))
        ranked.append(label_ranking_average_precision_score(truth[kept], scores[kept]))
    found = against_halves(VOTES, panel, scores, labels, "multi", seed=1, splits=3000)
    assert found["hamming_loss"] == pytest.approx(np.mean(hamming), abs=0.01)
    assert found["average_precision"] == pytest.approx(np.mean(ranked), abs=0.01)
    without = against_halves(VOTES, panel, None, labels, "multi", seed=1, splits=30)
    assert "hamming_loss" in without
    assert "average_precision" not in without


def test_who_says_what_the_other_half_says_is_judged_as_people_are() -> None:
    """Where all voters agree, every half is the same truth, for people and methods alike."""
    votes = np.array([[4, 0, 0, 0], [0, 4, 0, 0], [0, 2, 2, 0]])
    scores, labels, _ = panel(votes)
    method = against_halves(votes[:2], panel, scores[:2], labels[:2], "multi", 0, 20)
    people = halves(votes[:2], panel, PRIOR, "multi", 0, 20)
    assert method["hamming_loss"] == people.mean["hamming_loss"] == 0
    # Where they do not, the whole panel's answer is nearer to a half than another half is.
    method = against_halves(votes[2:], panel, scores[2:], labels[2:], "multi", 0, 500)
    assert (
        0
        < method["hamming_loss"]
        < halves(votes[2:], panel, PRIOR, "multi", 0, 500).mean["hamming_loss"]
    )


def test_faces_without_a_usable_half_are_left_out() -> None:
    found = halves(VOTES, panel, PRIOR, "multi", seed=0, splits=50)
    assert found.skipped >= 0.25  # the third face, always
    alone = halves(VOTES[:2], panel, PRIOR, "multi", seed=0, splits=50)
    assert alone.skipped == 0


def test_one_class() -> None:
    def largest(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        best = np.arange(3) == votes[:, :3].argmax(axis=1)[:, None]
        return votes[:, :3] / 2.0, best, votes[:, :3].sum(axis=1) > 0

    votes = np.array([[4, 0, 0, 0], [0, 4, 0, 0], [2, 2, 0, 0]])
    found = halves(votes, largest, PRIOR, "single", seed=0, splits=2000)
    # two of 2 + 2 voters: both of one kind in 2 of 6 ways, and then the other half says the other
    right = accuracy_score([0, 1, 0], [0, 1, 0]) * (4 / 6) + (2 / 3) * (2 / 6)
    assert found.mean["accuracy"] == pytest.approx(right, abs=0.01)


def test_the_same_seed_gives_the_same() -> None:
    one, two, other = (halves(VOTES, panel, PRIOR, "multi", s, 20).mean for s in (3, 3, 4))
    assert one == two
    assert one != other
