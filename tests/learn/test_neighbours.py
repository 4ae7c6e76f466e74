"""Nearest neighbours against all distances in float64 and a stable sort."""

from __future__ import annotations

from typing import Any

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.api import BenchError
from bench.learn.neighbours import nearest


def slow(rows: np.ndarray, k: int, queries: np.ndarray | None = None) -> np.ndarray:
    """The obvious way: every distance in float64, a stable sort, the first k."""
    points = rows if queries is None else queries
    found = []
    for i, point in enumerate(points):
        distances = ((rows.astype(np.float64) - point.astype(np.float64)) ** 2).sum(axis=1)
        order = distances.argsort(kind="stable")
        if queries is None:
            order = order[order != i]
        found.append(np.sort(order[:k]))
    return np.array(found).reshape(len(points), k)


def both_ways(rows: np.ndarray, k: int, queries: np.ndarray, block_elements: int = 1 << 22) -> None:
    np.testing.assert_array_equal(
        nearest(rows, k, queries, block_elements=block_elements), slow(rows, k, queries)
    )
    if k < len(rows):
        np.testing.assert_array_equal(
            nearest(rows, k, block_elements=block_elements), slow(rows, k)
        )


@st.composite
def grids(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Few values, so that distances are exact in float64 and tie often; a scale; a far centre."""
    d = draw(st.integers(1, 6))
    dtype: Any = draw(st.sampled_from([np.float32, np.float64]))
    values = st.integers(-2, 2)
    rows = draw(arrays.arrays(dtype, (draw(st.integers(2, 14)), d), elements=values))
    queries = draw(arrays.arrays(dtype, (draw(st.integers(1, 5)), d), elements=values))
    scale = dtype(2.0 ** draw(st.sampled_from([-60, 0, 9])))
    shift = dtype(draw(st.sampled_from([0, 4096])))
    k = draw(st.integers(1, len(rows)))
    return (rows + shift) * scale, (queries + shift) * scale, k, draw(st.integers(1, 40))


@given(grids())
@settings(deadline=None, max_examples=150)
def test_ties_go_to_the_lower_row(case: tuple[np.ndarray, np.ndarray, int, int]) -> None:
    rows, queries, k, block_elements = case
    both_ways(rows, k, queries, block_elements)


@given(st.integers(0, 2**32 - 1), st.sampled_from([np.float32, np.float64]), st.integers(1, 300))
@settings(deadline=None, max_examples=60)
def test_gaussian_rows(seed: int, dtype: type, d: int) -> None:
    rng = np.random.default_rng(seed)
    rows = (rng.normal(size=(60, d)) * rng.choice([1e-3, 1, 1e3], size=d)).astype(dtype)
    both_ways(rows, 7, rows[:9] + rng.normal(size=(9, d)).astype(dtype), 300)


@pytest.mark.parametrize("power", [-900, -100, 0, 100, 900])
@pytest.mark.parametrize("gap", [1e-7, 1e-10, 1e-12])
def test_near_ties_that_float32_cannot_see(gap: float, power: int) -> None:
    rng = np.random.default_rng(0)
    direction = rng.normal(size=(80, 200))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    # 80 rows at radius 1, 1 + gap, 1 + 2 gap, … around the query, in shuffled order.
    place = rng.permutation(80)
    rows = direction * (1 + gap * place)[:, None]
    query = np.zeros((1, 200))
    both_ways(rows, 30, query)
    # Far below and above what float32 holds, and whose squares float64 does not.
    found = nearest(np.ldexp(rows, power), 30, query)
    assert found[0].tolist() == np.flatnonzero(place < 30).tolist()


def test_far_outlier_and_far_centre() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(50, 20)) + 1e6
    rows[17] = 1e12
    both_ways(rows, 5, rows[10:20] + 0.5)


def test_constant_rows_and_duplicates() -> None:
    constant = np.full((12, 3), 0.1, dtype=np.float32)
    assert nearest(constant, 3, constant[:2]).tolist() == [[0, 1, 2]] * 2
    # A row is left out by its number, its duplicates are not.
    assert nearest(constant, 3)[:4].tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]


def test_all_rows_and_read_only_input() -> None:
    rows = np.random.default_rng(3).normal(size=(5, 2)).astype(np.float32)
    rows.flags.writeable = False
    assert nearest(rows, 5, rows[:2]).tolist() == [[0, 1, 2, 3, 4]] * 2
    assert nearest(rows, 4)[0].tolist() == [1, 2, 3, 4]
    assert nearest(rows, 2, rows[:0]).shape == (0, 2)


@pytest.mark.parametrize(("k", "self_excluded"), [(0, False), (6, False), (5, True)])
def test_too_few_rows(k: int, self_excluded: bool) -> None:
    rows = np.zeros((5, 2))
    with pytest.raises(BenchError, match=f"{k} neighbours were asked for"):
        nearest(rows, k, None if self_excluded else rows)
