from __future__ import annotations

from math import comb

import numpy as np
import pytest
from statsmodels.stats import contingency_tables

from bench.api import BenchError
from bench.score.mcnemar import mcnemar


def by_hand(corrected: int, broken: int) -> float:
    """Twice the smaller tail of a fair coin, at most 1."""
    n, least = corrected + broken, min(corrected, broken)
    return min(1.0, 2 * sum(comb(n, k) for k in range(least + 1)) / 2**n)


@pytest.mark.parametrize(
    ("corrected", "broken"), [(0, 1), (5, 0), (9, 1), (1, 9), (6, 6), (12, 5), (40, 61)]
)
def test_the_exact_binomial_sum(corrected: int, broken: int) -> None:
    first = np.array([False] * corrected + [True] * broken + [True] * 7 + [False] * 3)
    second = np.array([True] * corrected + [False] * broken + [True] * 7 + [False] * 3)
    found = mcnemar(first, second)
    assert found[:2] == (corrected, broken)
    assert found[2] == pytest.approx(by_hand(corrected, broken), rel=1e-12)
    assert mcnemar(second, first) == (broken, corrected, pytest.approx(found[2]))


def test_methods_that_agree_on_every_image() -> None:
    right = np.array([True, False, True])
    assert mcnemar(right, right) == (0, 0, 1.0)
    assert mcnemar(np.zeros(0, bool), np.zeros(0, bool)) == (0, 0, 1.0)


def test_other_images_are_refused() -> None:
    with pytest.raises(BenchError, match=r"the same images: got \(3,\) and \(2,\)"):
        mcnemar(np.ones(3, bool), np.ones(2, bool))


@pytest.mark.parametrize(("corrected", "broken"), [(0, 0), (3, 0), (9, 1), (12, 12), (140, 101)])
def test_statsmodels_says_the_same(corrected: int, broken: int) -> None:
    first = np.array([False] * corrected + [True] * broken + [True] * 20)
    second = np.array([True] * corrected + [False] * broken + [True] * 20)
    table = [[20, broken], [corrected, 0]]
    wanted = contingency_tables.mcnemar(table, exact=True)
    assert mcnemar(first, second)[2] == pytest.approx(wanted.pvalue, rel=1e-9)
