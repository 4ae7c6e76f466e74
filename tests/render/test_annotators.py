"""The simulated crowd and the rule from votes to labels."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from builtin import dataset_class
from hypothesis import given
from hypothesis import strategies as st

from bench.render.annotators import CLASSES, Ballots, Crowd, hire, poll, select

Synthetic = dataset_class("synthetic")


def by_hand(row: list[int]) -> tuple[bool, list[Fraction], list[bool]]:
    """RAF-ML's rule in exact fractions, one image at a time."""
    mean = Fraction(sum(row), 7)
    valid = sum(count > mean for count in row)
    emotions = row[:6]
    total = sum(emotions)
    if total == 0:
        return False, [Fraction(0)] * 6, [False] * 6
    shares = [Fraction(count, total) for count in emotions]
    labels = [share >= Fraction(1, 6) for share in shares]
    return valid >= 2 and sum(labels) >= 2, shares, labels


@given(st.lists(st.lists(st.integers(0, 40), min_size=7, max_size=7), min_size=1, max_size=20))
def test_selection_against_exact_fractions(rows: list[list[int]]) -> None:
    kept, distribution, labels = select(np.array(rows))
    for i, row in enumerate(rows):
        expected, shares, chosen = by_hand(row)
        assert kept[i] == expected
        assert labels[i].tolist() == chosen
        np.testing.assert_allclose(distribution[i], [float(share) for share in shares], atol=1e-15)


def test_selection_at_its_edges() -> None:
    rows = [
        [6, 6, 0, 0, 0, 24, 0],  # 6/36 is a sixth: a label
        [5, 7, 0, 0, 0, 24, 0],  # 5/36 is none
        [36, 0, 0, 0, 0, 0, 0],  # one valid class
        [20, 0, 0, 0, 0, 0, 16],  # neutral is valid too, but one emotion remains
        [0, 0, 0, 0, 0, 0, 36],  # no vote for an emotion
        [5, 5, 5, 5, 5, 5, 5],  # nothing exceeds the mean
    ]
    kept, distribution, labels = select(np.array(rows))
    assert kept.tolist() == [True, True, False, False, False, False]
    assert labels[0].tolist() == [True, True, False, False, False, True]
    assert labels[1].tolist() == [False, True, False, False, False, True]
    assert distribution[4].tolist() == [0.0] * 6


def test_a_crowd_of_known_make_up() -> None:
    crowd = hire(np.random.default_rng(0))
    assert len(crowd) == 315
    assert crowd.honest.sum() == 285
    assert ((crowd.reliability[crowd.honest] > 0.3) & (crowd.reliability[crowd.honest] < 1)).all()
    assert abs(crowd.reliability[crowd.honest].mean() - (0.3 + 0.7 * 9 / 11)) < 0.02
    bad = ~crowd.honest
    assert (crowd.favourite[bad] >= 0).sum() == 6
    assert (crowd.reliability[bad] < 0).sum() == 6
    assert (crowd.reliability[bad] == 0.25).sum() == 6
    assert np.flatnonzero(bad).max() > 250  # spammers are not the first ones


def test_everyone_votes_at_most_once_on_an_image() -> None:
    rng = np.random.default_rng(1)
    truth = rng.dirichlet(np.ones(7), 50)
    ballots = poll(truth, hire(rng), rng)
    pairs = set(zip(ballots.image.tolist(), ballots.annotator.tolist(), strict=True))
    assert len(pairs) == len(ballots.image)
    seats = np.bincount(ballots.image, minlength=50)
    assert seats.min() >= 38
    assert seats.max() <= 42


def test_votes_follow_truth_and_reliability() -> None:
    """Each kind of annotator against the chances that define it."""
    truth = np.tile([0.5, 0.3, 0.2, 0, 0, 0, 0], (10_000, 1))
    crowd = Crowd(np.array([1.0, 0.0, 0.5, -1 / 6] + [0.0] * 38), np.array([-1] * 41 + [3]))
    ballots = poll(truth, crowd, np.random.default_rng(2))

    def shares(annotator: int) -> np.ndarray:
        chosen = ballots.choice[ballots.annotator == annotator]
        return np.asarray(np.bincount(chosen, minlength=7) / len(chosen))

    np.testing.assert_allclose(shares(0), truth[0], atol=0.015)
    np.testing.assert_allclose(shares(1), np.full(7, 1 / 7), atol=0.015)
    np.testing.assert_allclose(shares(2), 0.5 * truth[0] + 0.5 / 7, atol=0.015)
    np.testing.assert_allclose(shares(3), (1 - truth[0]) / 6, atol=0.015)
    assert shares(41)[3] == 1


def test_count_leaves_out_who_is_not_kept() -> None:
    ballots = Ballots(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 2]), np.array([6, 2, 2, 2]))
    counts = ballots.count(3, np.array([True, True, False]))
    expected = np.zeros((3, 7), int)
    expected[0, 6] = expected[0, 2] = expected[1, 2] = 1
    np.testing.assert_array_equal(counts, expected)


def test_agreement_with_others_recovers_reliability() -> None:
    """Mean share of co-voters who chose alike ranks annotators as their known reliability does."""
    rng = np.random.default_rng(3)
    crowd = hire(rng)
    truth = rng.dirichlet(np.full(7, 0.25), 6000)
    ballots = poll(truth, crowd, rng)
    everyone = ballots.count(len(truth), np.ones(len(crowd), bool))
    alike = everyone[ballots.image, ballots.choice] - 1
    votes = np.bincount(ballots.annotator, minlength=len(crowd))
    agreement = np.bincount(ballots.annotator, alike, minlength=len(crowd)) / votes
    assert np.corrcoef(agreement, crowd.reliability)[0, 1] > 0.97
    assert agreement[~crowd.honest].max() < agreement[crowd.honest].min()


def test_profile_of_the_embedded_dataset_is_raf_mls() -> None:
    """Label counts and cardinalities of S. Li and W. Deng, IJCV 127 (2019), at the same size."""
    _, votes = Synthetic(images=4908).polled()
    assert votes.shape == (4908, len(CLASSES))
    kept, distribution, labels = select(votes)
    assert kept.all()
    np.testing.assert_allclose(distribution.sum(axis=1), 1, atol=1e-12)
    counts = labels.sum(axis=0)
    np.testing.assert_allclose(counts, [2093, 1197, 2607, 1330, 1647, 1937], rtol=0.06)
    sizes = np.bincount(labels.sum(axis=1), minlength=7)
    np.testing.assert_allclose(sizes[2:5], [3954, 913, 41], atol=60)
    assert sizes[[0, 1, 5, 6]].sum() <= 1
