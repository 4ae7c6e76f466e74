"""The bootstrap against `evaluate` on the resampled rows, and its packed form."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bench.api import BenchError
from bench.score import bootstrap
from bench.score.bootstrap import Clusters, pack, replicates, resamples, unpack
from bench.score.criteria import CONVENTIONS, evaluate


def drawn_rows(n, seed, count):
    """Row numbers of each resample, spelled out."""
    weights = np.hstack(list(resamples(n, seed, count, chunk=7)))
    return [np.repeat(np.arange(n), column.astype(int)) for column in weights.T]


def by_hand(truth, scores, labels, convention, kind, seed, count):
    """Every criterion evaluated on the rows of every resample; NaN for None."""
    found = []
    for rows in drawn_rows(len(truth), seed, count):
        values = evaluate(
            truth[rows],
            None if scores is None else scores[rows],
            None if labels is None else labels[rows],
            convention,
            kind,
        ).values
        found.append(values)
    return {
        name: np.array([np.nan if v[name] is None else v[name] for v in found], dtype=np.float32)
        for name in found[0]
    }


def same(ours, theirs):
    assert ours.dtype == theirs.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    np.testing.assert_allclose(ours, theirs, rtol=2e-7, atol=0)  # one step of float32


def rare_problem(n=12, count=4):
    """Few rows with rare labels, empty and full rows, and ties: undefined resamples occur."""
    rng = np.random.default_rng(3)
    truth = rng.random((n, count)) < 0.4
    truth[:, 0] = np.arange(n) == 0  # in one row: absent from every third resample
    truth[1], truth[2:4] = True, False
    scores = rng.integers(0, 4, (n, count)) / 4
    return truth, scores, scores > 0.5


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_replicates_are_the_criteria_of_the_resampled_rows(convention: str) -> None:
    problem = rare_problem()
    ours = replicates(*problem, convention, "multi", seed=11, count=60)
    theirs = by_hand(*problem, convention, "multi", seed=11, count=60)
    assert ours.keys() == theirs.keys()
    for name in ours:
        same(ours[name], theirs[name])


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.filterwarnings("error")
def test_resamples_in_which_a_criterion_is_undefined(convention: str) -> None:
    truth, scores, labels = rare_problem(n=3, count=2)
    ours = replicates(truth, scores, labels, convention, "multi", seed=2, count=80)
    theirs = by_hand(truth, scores, labels, convention, "multi", seed=2, count=80)
    for name in ours:
        same(ours[name], theirs[name])
    assert 0 < np.isnan(ours["macro_auc"]).sum() < 80
    assert not np.isnan(ours["hamming_loss"]).any()


def test_single_label() -> None:
    rng = np.random.default_rng(8)
    truth = np.eye(4, dtype=bool)[rng.choice(4, 25, p=[0.5, 0.3, 0.16, 0.04])]
    scores = rng.integers(0, 5, (25, 4)) + truth * 1.5
    ours = replicates(truth, scores, None, "sklearn", "single", seed=5, count=50)
    theirs = by_hand(truth, scores, None, "sklearn", "single", seed=5, count=50)
    assert list(ours) == ["accuracy", "mean_recall"]
    for name in ours:
        same(ours[name], theirs[name])


def test_resamples_hold_n_rows_each_and_do_not_depend_on_the_chunk() -> None:
    whole = np.hstack(list(resamples(10, 4, 23, chunk=23)))
    assert whole.shape == (10, 23)
    np.testing.assert_array_equal(whole.sum(axis=0), np.full(23, 10.0))
    for chunk in (1, 5, 100):
        np.testing.assert_array_equal(np.hstack(list(resamples(10, 4, 23, chunk))), whole)
    np.testing.assert_array_equal(np.hstack(list(resamples(10, 4, 9, 3))), whole[:, :9])
    assert (np.hstack(list(resamples(10, 5, 23, 23))) != whole).any()


def test_every_row_is_drawn_equally_often() -> None:
    drawn = np.hstack(list(resamples(20, 0, 4000, 1000)))
    # A row's total is binomial(80000, 1/20): mean 4000, standard deviation 62.
    np.testing.assert_allclose(drawn.sum(axis=1), 4000, atol=5 * 62)
    np.testing.assert_allclose(drawn.var(axis=1), 0.95, atol=0.12)


def test_replicates_do_not_depend_on_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = rare_problem()
    whole = replicates(*problem, "sklearn", "multi", seed=1, count=40)
    monkeypatch.setattr(bootstrap, "CHUNK", problem[0].size * 3)
    pieces = replicates(*problem, "sklearn", "multi", seed=1, count=40)
    for name in whole:
        np.testing.assert_array_equal(whole[name], pieces[name])


def test_more_rows_than_a_chunk_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "CHUNK", 1)
    problem = rare_problem()
    ours = replicates(*problem, "mulan", "multi", seed=1, count=5)
    theirs = by_hand(*problem, "mulan", "multi", seed=1, count=5)
    for name in ours:
        same(ours[name], theirs[name])


def test_two_methods_share_their_resamples() -> None:
    truth, scores, labels = rare_problem()
    worse = labels.copy()
    worse[5] = ~truth[5]  # row 5 alone differs: the difference is that row's share
    rows = drawn_rows(len(truth), 9, 30)
    first = replicates(truth, scores, labels, "sklearn", "multi", seed=9, count=30)
    second = replicates(truth, None, worse, "sklearn", "multi", seed=9, count=30)
    change = (worse[5] != truth[5]).mean() - (labels[5] != truth[5]).mean()
    expected = [change * (drawn == 5).sum() / len(truth) for drawn in rows]
    np.testing.assert_allclose(
        second["hamming_loss"] - first["hamming_loss"], expected, rtol=0, atol=1e-6
    )


def test_missing_inputs_are_left_out() -> None:
    truth, scores, labels = rare_problem()
    sets = replicates(truth, None, labels, "sklearn", "multi", seed=1, count=3)
    ranks = replicates(truth, scores, None, "sklearn", "multi", seed=1, count=3)
    assert set(sets) == {"hamming_loss", "micro_f1", "macro_f1"}
    assert not set(sets) & set(ranks)
    assert len(sets) + len(ranks) == 10


def test_a_thousand_by_default() -> None:
    truth, scores, labels = rare_problem(n=4, count=2)
    values = replicates(truth, scores, labels, "sklearn", "multi", seed=1)
    assert {array.shape for array in values.values()} == {(1000,)}


def test_bad_input_is_refused() -> None:
    truth, _, labels = rare_problem()
    with pytest.raises(BenchError, match="scores are bool"):
        replicates(truth, labels, labels, "sklearn", "multi", seed=1, count=3)


def test_replicates_lie_about_the_value_measured() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random((300, 6)) < 0.4
    scores = truth * 0.5 + rng.random((300, 6))
    measured = evaluate(truth, scores, scores > 0.75).values
    values = replicates(truth, scores, scores > 0.75, "sklearn", "multi", seed=1, count=300)
    for name, array in values.items():
        low, high = np.quantile(array, [0.025, 0.975])
        assert low < measured[name] < high, name


@given(
    arrays=st.dictionaries(
        st.text(min_size=1),
        hnp.arrays(np.float32, st.integers(0, 9), elements=st.floats(width=32)),
        max_size=3,
    )
)
@settings(max_examples=50, deadline=None)
def test_packed_and_unpacked(arrays) -> None:
    packed = pack(arrays)
    back = unpack(json.loads(json.dumps(packed)))
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        assert back[name].dtype == np.float32
        assert back[name].tobytes() == array.tobytes()
    assert pack(back) == packed


def test_packing_makes_a_thousand_replicates_small() -> None:
    values = replicates(*rare_problem(), "sklearn", "multi", seed=1)
    assert pack(values) == pack({name: array.copy() for name, array in values.items()})
    assert sum(map(len, pack(values).values())) < 40_000


@pytest.mark.parametrize("text", ["&&&", "AAAA", "eJxLTEoGAAJNASc=", "eJxLBAAAYgBi"])
def test_damaged_text_is_refused(text) -> None:
    with pytest.raises(BenchError, match="replicates of coverage cannot be read"):
        unpack({"coverage": text})


def test_rows_of_a_cluster_are_drawn_together() -> None:
    truth, scores, labels = rare_problem()
    of_rows = np.array([0, 0, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4])
    together = Clusters(of_rows, 6)  # the last has no row here
    ours = replicates(truth, scores, labels, "sklearn", "multi", 11, 40, together)
    draws = np.hstack(list(resamples(6, 11, 40, chunk=40)))
    for name in ("hamming_loss", "micro_f1", "average_precision"):
        for column, value in zip(draws.T, ours[name], strict=True):
            rows = np.repeat(np.arange(12), column[of_rows].astype(int))
            exact = evaluate(truth[rows], scores[rows], labels[rows]).values[name]
            assert value == pytest.approx(exact, rel=1e-6)


def test_clusters_of_one_row_are_the_rows() -> None:
    problem = rare_problem()
    alone = Clusters(np.arange(12), 12)
    ours = replicates(*problem, "sklearn", "multi", 11, 40, alone)
    theirs = replicates(*problem, "sklearn", "multi", 11, 40)
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])
