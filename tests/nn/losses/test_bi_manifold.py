"""Neighbours in the batch, the bi-manifold loss and the overlap, against loops over samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses import gradient

from bench.nn.losses.bi_manifold import bi_manifold, nearest, overlap

DTYPES = [torch.float32, torch.float64]
CLOSE = {torch.float32: 2e-5, torch.float64: 1e-12}


def distances(vectors: torch.Tensor, i: int) -> list[tuple[float, int]]:
    """Squared distance and index of every other row: Python sorts pairs, so ties go by index."""
    rows = vectors.tolist()
    return sorted(
        (math.fsum((a - b) ** 2 for a, b in zip(rows[i], rows[j], strict=True)), j)
        for j in range(len(rows))
        if j != i
    )


def slow_nearest(vectors: torch.Tensor, k: int) -> list[list[int]]:
    return [[j for _, j in distances(vectors, i)[:k]] for i in range(len(vectors))]


def slow_loss(features: torch.Tensor, groups: list[torch.Tensor]) -> float:
    """RAF-ML, Eq. 6: 1/(2n) times the squared norm of x_i minus each centre, added over centres."""
    rows = features.double().tolist()
    n, d = features.shape
    total = 0.0
    for i in range(n):
        for column in range(d):
            pull = 0.0
            for group in groups:
                members = group[i].tolist()
                pull += rows[i][column] - sum(rows[j][column] for j in members) / len(members)
            total += pull**2
    return total / (2 * n)


def slow_gradient(features: torch.Tensor, groups: list[torch.Tensor]) -> torch.Tensor:
    """(G / n) (G x_i - sum of the G centres), the derivative with the centres held fixed.

    L = 1/(2n) sum_i |G x_i - c_i|^2 with c_i constant, so dL/dx_i = 1/(2n) 2 G (G x_i - c_i). For
    the paper's two groups that is (2/n)(2 x_i - m^f - m^l), twice what its Eq. 7 prints.
    """
    x = features.double()
    n, count = len(x), len(groups)
    out = torch.empty_like(x)
    for i in range(n):
        centres = sum(x[group[i]].mean(0) for group in groups)
        out[i] = count / n * (count * x[i] - centres)
    return out


def random_groups(n: int, k: int, count: int, rng: np.random.Generator) -> list[torch.Tensor]:
    """Any members but the row itself: the loss must not care how they were found."""
    return [
        torch.tensor(
            np.array([rng.choice(np.delete(np.arange(n), i), k, replace=False) for i in range(n)])
        )
        for _ in range(count)
    ]


def relu_features(
    n: int, d: int, dtype: torch.dtype, seed: int, scale: float = 1.0
) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.tensor(np.maximum(rng.normal(size=(n, d)), 0) * scale, dtype=dtype)


# Neighbours ---------------------------------------------------------------------------------------


@settings(max_examples=120, deadline=None)
@given(
    n=st.integers(1, 40),
    d=st.integers(1, 4),
    k=st.integers(1, 45),
    values=st.integers(1, 4),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 9_999),
)
def test_neighbours_equal_the_loops_in_spite_of_ties(
    n: int, d: int, k: int, values: int, dtype: torch.dtype, seed: int
) -> None:
    # Few small integers: most distances tie, many rows are duplicates, and all is exact in float32.
    rng = np.random.default_rng(seed)
    vectors = torch.tensor(rng.integers(0, values, (n, d)), dtype=dtype)
    found = nearest(vectors, k)
    assert found.dtype == torch.int64
    assert found.shape == (n, min(k, n - 1))
    assert found.tolist() == slow_nearest(vectors, k)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n", "d", "k"), [(2, 3, 1), (12, 5, 4), (64, 2000, 10), (64, 6, 63)])
def test_neighbours_of_noise(n: int, d: int, k: int, dtype: torch.dtype) -> None:
    vectors = torch.tensor(np.random.default_rng(n + d).normal(size=(n, d)), dtype=dtype)
    exact = torch.cdist(
        vectors.double(), vectors.double(), compute_mode="donot_use_mm_for_euclid_dist"
    )
    found = nearest(vectors, k)
    for i in range(n):
        others = exact[i][torch.arange(n) != i].sort().values
        own = exact[i][found[i]]
        # Equal up to rounding: two distances closer than that may change places.
        torch.testing.assert_close(own, others[:k], rtol=1e-5, atol=0)
        assert len(set(found[i].tolist())) == k
        assert i not in found[i].tolist()


@pytest.mark.parametrize("dtype", DTYPES)
def test_exact_duplicates_name_each_other_and_never_themselves(dtype: torch.dtype) -> None:
    vectors = torch.full((30, 7), 0.1, dtype=dtype)
    found = nearest(vectors, 10)
    for i in range(30):
        assert found[i].tolist() == [j for j in range(30) if j != i][:10]


@pytest.mark.parametrize("dtype", DTYPES)
def test_duplicates_come_before_everything_else(dtype: torch.dtype) -> None:
    # Rows 0, 20 and 39 are one vector whose components no binary fraction holds exactly.
    rng = np.random.default_rng(0)
    vectors = torch.tensor(rng.normal(size=(40, 300)), dtype=dtype)
    vectors[20] = vectors[39] = vectors[0]
    found = nearest(vectors, 3)
    assert found[0, :2].tolist() == [20, 39]
    assert found[20, :2].tolist() == [0, 39]
    assert found[39, :2].tolist() == [0, 20]


@pytest.mark.parametrize("dtype", DTYPES)
def test_label_distributions_tie_by_index(dtype: torch.dtype) -> None:
    # Of 64 images 32 are pure joy: their ten nearest are the first ten others of their kind.
    target = torch.zeros(64, 6, dtype=dtype)
    target[::2, 3] = 1
    target[1::2, 0] = target[1::2, 1] = 0.5
    found = nearest(target, 10)
    for i in range(64):
        assert found[i].tolist() == [j for j in range(i % 2, 64, 2) if j != i][:10]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_common_offset_does_not_hide_small_distances(dtype: torch.dtype) -> None:
    # |x|^2 + |y|^2 - 2 x.y would have to hold 1.6e11 and differences of 1 in one float32.
    line = torch.arange(40, dtype=torch.float64)[torch.randperm(40, generator=_generator(1))]
    vectors = torch.full((40, 1600), 10_000.0, dtype=torch.float64)
    vectors[:, 5] += line
    assert nearest(vectors.to(dtype), 4).tolist() == slow_nearest(vectors, 4)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_zeros_are_vectors_like_others(dtype: torch.dtype) -> None:
    vectors = torch.zeros(5, 3, dtype=dtype)
    vectors[1, 0] = 2
    vectors[3, 1] = 1
    assert nearest(vectors, 2).tolist() == [[2, 4], [0, 2], [0, 4], [0, 2], [0, 2]]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [3, 4, 10, 1000])
def test_k_is_clipped_to_the_other_rows(dtype: torch.dtype, k: int) -> None:
    vectors = torch.tensor([[0.0], [5.0], [1.0], [-2.0]], dtype=dtype)
    assert nearest(vectors, k).tolist() == [[2, 3, 1], [2, 0, 3], [0, 3, 1], [0, 2, 1]]


@pytest.mark.parametrize("k", [1, 10])
def test_one_sample_has_no_neighbours(k: int) -> None:
    found = nearest(torch.ones(1, 4), k)
    assert found.shape == (1, 0)
    assert found.dtype == torch.int64


def test_scale_does_not_matter_and_the_input_stays() -> None:
    vectors = relu_features(20, 8, torch.float64, seed=7)
    kept = vectors.clone()
    found = nearest(vectors, 5)
    assert torch.equal(vectors, kept)
    for scale in (2.0**-20, 2.0**20):
        assert torch.equal(nearest(vectors * scale, 5), found)


def test_distance_and_not_angle_decides() -> None:
    vectors = torch.tensor([[1.0, 0.0], [9.0, 0.0], [0.5, 0.5]])
    assert nearest(vectors, 1).tolist() == [[2], [0], [0]]


def test_features_still_in_the_graph_are_taken() -> None:
    # As a training step hands them over: no leaf, and a gradient to come.
    leaf = relu_features(6, 3, torch.float32, seed=8).requires_grad_()
    features = leaf * 2
    found = nearest(features, 2)
    assert found.tolist() == slow_nearest(features.detach(), 2)
    features.sum().backward()
    assert leaf.grad is not None
    assert (leaf.grad == 2).all()


# The loss -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(("n", "d", "k"), [(2, 3, 1), (5, 4, 4), (12, 7, 5), (64, 20, 10)])
def test_loss_and_gradient_equal_the_loops(
    n: int, d: int, k: int, count: int, dtype: torch.dtype
) -> None:
    features = relu_features(n, d, dtype, seed=n)
    groups = random_groups(n, k, count, np.random.default_rng(count))
    loss = bi_manifold(features, groups)
    assert loss.shape == ()
    assert loss.dtype == dtype
    assert loss.item() == pytest.approx(slow_loss(features, groups), rel=CLOSE[dtype])
    torch.testing.assert_close(
        gradient(bi_manifold, features, groups).double(),
        slow_gradient(features, groups),
        rtol=CLOSE[dtype],
        atol=CLOSE[dtype],
    )


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(2, 9),
    d=st.integers(1, 5),
    k=st.integers(1, 12),
    scale=st.sampled_from([0.0, 1e-6, 1.0, 1e4]),
    seed=st.integers(0, 9_999),
)
def test_searched_groups(n: int, d: int, k: int, scale: float, seed: int) -> None:
    features = relu_features(n, d, torch.float64, seed, scale)
    target = torch.tensor(np.random.default_rng(seed).integers(0, 2, (n, 3)), dtype=torch.float64)
    groups = [nearest(features, k), nearest(target, k)]
    assert bi_manifold(features, groups).item() == pytest.approx(
        slow_loss(features, groups), rel=1e-10, abs=1e-30
    )
    torch.testing.assert_close(
        gradient(bi_manifold, features, groups),
        slow_gradient(features, groups),
        rtol=1e-9,
        atol=1e-12 * scale,
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_by_hand(dtype: torch.dtype) -> None:
    # n = 3, d = 1, x = 0, 1, 4. Feature neighbours 1, 0, 1; label neighbours 2, 2, 0 (k = 1).
    x = torch.tensor([[0.0], [1.0], [4.0]], dtype=dtype)
    near, alike = torch.tensor([[1], [0], [1]]), torch.tensor([[2], [2], [0]])
    # 2x - m^f - m^l: 0 - 1 - 4 = -5, 2 - 0 - 4 = -2, 8 - 1 - 0 = 7; (25 + 4 + 49) / 6 = 13.
    assert bi_manifold(x, [near, alike]).item() == pytest.approx(13, rel=1e-6)
    # x - m^f: -1, 1, 3; (1 + 1 + 9) / 6.
    assert bi_manifold(x, [near]).item() == pytest.approx(11 / 6, rel=1e-6)
    # (2/3)(-5, -2, 7) for two groups and (1/3)(-1, 1, 3) for one.
    two = torch.tensor([[-10.0], [-4.0], [14.0]], dtype=dtype) / 3
    one = torch.tensor([[-1.0], [1.0], [3.0]], dtype=dtype) / 3
    torch.testing.assert_close(gradient(bi_manifold, x, [near, alike]), two)
    torch.testing.assert_close(gradient(bi_manifold, x, [near]), one)


def test_gradient_is_twice_the_printed_equation_7() -> None:
    features = relu_features(16, 9, torch.float64, seed=9)
    first, second = random_groups(16, 4, 2, np.random.default_rng(9))
    printed = (2 * features - features[first].mean(1) - features[second].mean(1)) / 16
    torch.testing.assert_close(gradient(bi_manifold, features, [first, second]), 2 * printed)


def test_the_same_group_twice_is_four_times_the_group_once() -> None:
    features = relu_features(8, 5, torch.float64, seed=10)
    (group,) = random_groups(8, 3, 1, np.random.default_rng(10))
    once = bi_manifold(features, [group]).item()
    assert bi_manifold(features, [group, group]).item() == pytest.approx(4 * once, rel=1e-12)


def test_gradcheck_on_a_row_that_is_nobodys_neighbour() -> None:
    # Its derivative is the same with and without detached centres, so numbers can check it.
    features = relu_features(6, 4, torch.float64, seed=11) + 0.1
    near = torch.tensor([[1, 2], [2, 3], [3, 4], [4, 5], [5, 1], [1, 2]])
    alike = torch.tensor([[3, 5], [4, 5], [1, 5], [1, 2], [2, 3], [3, 4]])
    rest = features[1:]

    def loss(row: torch.Tensor) -> torch.Tensor:
        return bi_manifold(torch.cat([row, rest]), [near, alike])

    assert torch.autograd.gradcheck(loss, features[:1].clone().requires_grad_())
    assert torch.autograd.gradcheck(
        lambda row: bi_manifold(torch.cat([row, rest]), [near]),
        features[:1].clone().requires_grad_(),
    )


@pytest.mark.parametrize("count", [1, 2])
def test_a_row_that_everybody_follows_is_moved_by_its_own_term_alone(count: int) -> None:
    # Row 0 sits on its centre (row 1 equals it) and is the centre of all others, which are far off.
    features = torch.tensor([[3.0, 4.0], [3.0, 4.0], [50.0, 0.0], [0.0, 70.0]])
    group = torch.tensor([[1], [0], [0], [0]])
    found = gradient(bi_manifold, features, [group] * count)
    assert not found[:2].any()
    assert (found[2:].abs().amax(1) > 1).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_equal_samples_cost_nothing(dtype: torch.dtype) -> None:
    for value in (0.0, 0.5, 1024.0):
        features = torch.full((7, 5), value, dtype=dtype)
        groups = [nearest(features, 4)] * 2
        assert bi_manifold(features, groups).item() == 0
        assert not gradient(bi_manifold, features, groups).any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_it_is_a_mean_over_samples_and_a_sum_over_dimensions(dtype: torch.dtype) -> None:
    features = relu_features(6, 5, dtype, seed=12)
    groups = random_groups(6, 2, 2, np.random.default_rng(12))
    once = bi_manifold(features, groups).item()
    batch = torch.cat([features, features])
    twice = [torch.cat([group, group + 6]) for group in groups]
    assert bi_manifold(batch, twice).item() == pytest.approx(once, rel=1e-5)
    wide = torch.cat([features, features], 1)
    assert bi_manifold(wide, groups).item() == pytest.approx(2 * once, rel=1e-5)
    assert bi_manifold(10 * features, groups).item() == pytest.approx(100 * once, rel=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_large_features_stay_finite(dtype: torch.dtype) -> None:
    features = relu_features(8, 2000, dtype, seed=13, scale=1e4)
    groups = [nearest(features, 3)] * 2
    assert bi_manifold(features, groups).item() == pytest.approx(
        slow_loss(features, groups), rel=1e-4
    )
    assert torch.isfinite(gradient(bi_manifold, features, groups)).all()


def test_order_and_size_of_groups_may_differ() -> None:
    features = relu_features(7, 4, torch.float64, seed=14)
    rng = np.random.default_rng(14)
    (few,), (many,) = random_groups(7, 2, 1, rng), random_groups(7, 5, 1, rng)
    loss = bi_manifold(features, [few, many]).item()
    assert loss == pytest.approx(slow_loss(features, [few, many]), rel=1e-12)
    assert bi_manifold(features, [many, few]).item() == pytest.approx(loss, rel=1e-12)
    assert bi_manifold(features, (few.flip(1), many.flip(1))).item() == pytest.approx(
        loss, rel=1e-12
    )


def test_one_sample_is_pulled_nowhere() -> None:
    # The last batch of an epoch may hold one image; the mean of no neighbours must not be NaN.
    features = torch.tensor([[3.0, 4.0]])
    groups = [nearest(features, 10)] * 2
    assert bi_manifold(features, groups).item() == 0
    assert not gradient(bi_manifold, features, groups).any()


# The overlap --------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(n=st.integers(2, 12), k=st.integers(1, 11), seed=st.integers(0, 9_999))
def test_overlap_equals_the_loops(n: int, k: int, seed: int) -> None:
    k = min(k, n - 1)
    first, second = random_groups(n, k, 2, np.random.default_rng(seed))
    share = sum(
        len(set(a) & set(b)) / k for a, b in zip(first.tolist(), second.tolist(), strict=True)
    )
    found = overlap(first, second)
    assert isinstance(found, torch.Tensor)
    assert found.shape == ()
    assert found.item() == pytest.approx(share / n, rel=1e-6)
    assert 0 <= found.item() <= 1
    assert overlap(second, first).item() == pytest.approx(found.item(), rel=1e-6)


def test_overlap_of_the_same_and_of_disjoint_neighbours() -> None:
    first = torch.tensor([[1, 2, 3], [0, 2, 3], [4, 0, 1]])
    assert overlap(first, first).item() == 1
    assert overlap(first, first.flip(1)).item() == 1
    assert overlap(first, torch.tensor([[4, 5, 6], [4, 5, 6], [5, 2, 3]])).item() == 0


def test_overlap_counts_members_and_not_places() -> None:
    first = torch.tensor([[1, 2, 3, 4], [0, 2, 3, 4]])
    second = torch.tensor([[4, 9, 8, 1], [9, 8, 7, 4]])
    # Two of four and one of four: (1/2 + 1/4) / 2.
    assert overlap(first, second).item() == pytest.approx(3 / 8)
