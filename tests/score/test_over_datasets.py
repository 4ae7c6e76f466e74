"""Tests over datasets against published statistics, scipy and tests taken one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from bench.api import BenchError
from bench.score.over_datasets import compare_over_datasets, critical_difference

# Ranks of C4.5 and three variants of it (m, cf, both) on 14 datasets by their AUC: Demšar, JMLR 7
# (2006), Table 6. Two AUC that the table prints alike have different ranks there.
DEMSAR = np.array(
    [
        [4, 3, 2, 1],
        [1, 2, 3, 4],
        [4, 1, 2, 3],
        [4, 1, 3, 2],
        [4, 2, 3, 1],
        [1, 2.5, 4, 2.5],
        [3, 2, 4, 1],
        [2.5, 2.5, 4, 1],
        [4, 3, 2, 1],
        [2.5, 2.5, 2.5, 2.5],
        [4, 2.5, 1, 2.5],
        [3, 2, 4, 1],
        [4, 1, 2, 3],
        [3, 1, 4, 2],
    ]
)


def test_the_published_example() -> None:
    found = compare_over_datasets(DEMSAR, higher_is_better=False)
    assert found.mean.round(3).tolist() == [3.143, 2.0, 2.893, 1.964]
    assert found.friedman is not None
    assert round(found.friedman.chi2, 2) == 9.28
    assert round(found.friedman.f, 2) == 3.69
    assert found.friedman.df == (3, 39)
    # the paper: the critical value of F(3, 39) at .05 is 2.85
    assert found.friedman.p < 0.05
    assert stats.f.sf(2.85, 3, 39) == pytest.approx(0.05, abs=0.001)
    assert round(found.critical, 2) == 1.25


def test_the_critical_difference_of_ten_methods_on_five_datasets() -> None:
    assert round(critical_difference(5, 10), 1) == 6.1


@pytest.mark.parametrize("higher", [True, False])
def test_without_ties_scipy_says_the_same(higher: bool) -> None:
    values = np.random.default_rng(0).random((12, 5))
    found = compare_over_datasets(values, higher)
    assert found.friedman is not None
    assert found.friedman.chi2 == pytest.approx(stats.friedmanchisquare(*values.T).statistic)
    better = np.greater if higher else np.less
    by_count = [1 + better(values, of_one[:, None]).sum(axis=1).mean() for of_one in values.T]
    assert found.mean == pytest.approx(by_count)


def test_pairs_by_wilcoxon_with_holm_by_hand() -> None:
    values = np.random.default_rng(1).random((11, 4)) + np.array([0, 0.1, 0.3, 0.6])
    pairs = list(itertools.combinations(range(4), 2))
    single = [stats.wilcoxon(values[:, i], values[:, j]).pvalue for i, j in pairs]
    wanted, least = np.eye(4), 0.0
    for place, index in enumerate(np.argsort(single)):
        least = max(least, min(1.0, (len(pairs) - place) * single[index]))
        i, j = pairs[index]
        wanted[i, j] = wanted[j, i] = least
    assert compare_over_datasets(values, True).p == pytest.approx(wanted)
    assert (wanted < 0.05).any()


def test_two_methods_have_one_test_and_equal_ones_none_to_find() -> None:
    values = np.random.default_rng(2).random((10, 1)).repeat(2, axis=1)
    found = compare_over_datasets(values, True)
    assert found.friedman is None
    assert found.mean.tolist() == [1.5, 1.5]
    assert found.p.tolist() == [[1, 1], [1, 1]]


def test_datasets_that_all_rank_alike() -> None:
    values = np.random.default_rng(3).random((10, 1)) + np.arange(3)
    found = compare_over_datasets(values, True)
    assert found.mean.tolist() == [3, 2, 1]
    assert found.friedman is not None
    assert (found.friedman.chi2, found.friedman.f, found.friedman.p) == (20, np.inf, 0)


def test_nine_datasets_are_refused_with_the_reason() -> None:
    values = np.random.default_rng(0).random((9, 10))
    with pytest.raises(
        BenchError, match=r"at least 10 of them, and here are 9: .* differ by 4\.5 of at most 9"
    ):
        compare_over_datasets(values, True)
    assert compare_over_datasets(np.vstack([values, values[:1]]), True).mean.sum() == pytest.approx(
        55
    )
