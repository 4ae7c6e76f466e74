"""C4.5 against a slow literal J48, against Weka's own results, and cases worked out by hand."""

from __future__ import annotations

import math
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
import shared
from builtin import dataset_class
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from bench.api import TEST, TRAIN, BenchError
from bench.learn.c45 import C45, Presorted, Tree, grow
from bench.learn.c45.prune import leaf_errors

# ------------------------------------------------------------------ J48, slowly

Rows = list[int]


class SlowNode:
    """A node of the slow tree; a leaf without ``children``."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.feature, self.threshold = -1, 0.0
        self.children: list[SlowNode] = []


class SlowJ48:
    """Weka's J48 in lists and logarithms, one step after the other as it takes them."""

    def __init__(
        self, X: np.ndarray, y: list[int], classes: int, min_leaf: int, confidence: float
    ) -> None:
        self.X, self.y, self.classes = X.astype(float), y, classes
        self.min_leaf, self.confidence = min_leaf, float(np.float32(confidence))
        self.raised = 0
        self.root = self.grown(list(range(len(y))))
        self.collapse(self.root)

    def count(self, rows: Rows) -> list[int]:
        found = Counter(self.y[row] for row in rows)
        return [found[c] for c in range(self.classes)]

    def entropy(self, rows: Rows) -> float:
        return -sum(c / len(rows) * math.log2(c / len(rows)) for c in self.count(rows) if c)

    def cut(self, rows: Rows, feature: int) -> tuple[float, float, float, float] | None:
        """Gain, gain ratio and the values beside the best cut."""
        value = {row: self.X[row, feature] for row in rows}
        rows, n = sorted(rows, key=value.__getitem__), len(rows)
        side = 0.1 * n / self.classes
        side = self.min_leaf if side <= self.min_leaf else min(side, 25)
        best, cuts, found = 0.0, 0, None
        for i in range(1, n):
            low, high = rows[:i], rows[i:]
            if value[low[-1]] + 1e-5 < value[high[0]] and min(i, n - i) >= side:
                cuts += 1
                rest = (i * self.entropy(low) + (n - i) * self.entropy(high)) / n
                gain = self.entropy(rows) - rest
                if gain - best > 1e-6:
                    best, found = gain, (i, value[low[-1]], value[high[0]])
        if found is None or best - math.log2(cuts) / n < 1e-6:
            return None
        i, below, above = found
        gain = best - math.log2(cuts) / n
        info = -(i / n * math.log2(i / n) + (n - i) / n * math.log2((n - i) / n))
        return gain, gain / info, below, above

    def grown(self, rows: Rows) -> SlowNode:
        node = SlowNode(rows)
        if len(rows) < 2 * self.min_leaf or max(self.count(rows)) == len(rows):
            return node
        cuts = {f: self.cut(rows, f) for f in range(self.X.shape[1])}
        valid = {f: cut for f, cut in cuts.items() if cut is not None}
        mean = sum(cut[0] for cut in valid.values()) / max(len(valid), 1)
        ratio = 0.0
        for f, cut in valid.items():
            if cut[0] >= mean - 1e-3 and cut[1] - ratio > 1e-6:
                ratio, node.feature = cut[1], f
                middle = (cut[2] + cut[3]) / 2
                node.threshold = max(v for v in self.X[:, f] if v <= middle)
        if node.feature >= 0:
            node.children = [self.grown(part) for part in self.parted(node, rows)]
        return node

    def parted(self, node: SlowNode, rows: Rows) -> list[Rows]:
        left = [row for row in rows if self.X[row, node.feature] <= node.threshold]
        return [left, [row for row in rows if row not in left]]

    def wrong(self, rows: Rows) -> int:
        return len(rows) - max(self.count(rows))

    def training_errors(self, node: SlowNode) -> int:
        if not node.children:
            return self.wrong(node.rows)
        return sum(self.training_errors(child) for child in node.children)

    def collapse(self, node: SlowNode) -> None:
        if node.children and self.training_errors(node) >= self.wrong(node.rows) - 1e-3:
            node.children = []
        for child in node.children:
            self.collapse(child)

    def leaf(self, rows: Rows) -> float:
        """Errors plus J48's addErrs."""
        n, e, cf = len(rows), self.wrong(rows), self.confidence
        if n == 0 or cf > 0.5:
            return e
        if e == 0:
            return n * (1 - cf ** (1 / n))
        if e + 0.5 >= n:
            return n
        z, f = NormalDist().inv_cdf(1 - cf), (e + 0.5) / n
        root = math.sqrt(f / n - f * f / n + z * z / (4 * n * n))
        return n * (f + z * z / (2 * n) + z * root) / (1 + z * z / n)

    def estimate(self, node: SlowNode, rows: Rows) -> float:
        if not node.children:
            return self.leaf(rows)
        parts = self.parted(node, rows)
        return sum(self.estimate(c, part) for c, part in zip(node.children, parts, strict=True))

    def refill(self, node: SlowNode, rows: Rows) -> None:
        node.rows = rows
        if node.children:
            for child, part in zip(node.children, self.parted(node, rows), strict=True):
                self.refill(child, part)

    def prune(self, node: SlowNode) -> None:
        if not node.children:
            return
        for child in node.children:
            self.prune(child)
        larger = node.children[len(node.children[1].rows) >= len(node.children[0].rows)]
        raised, kept = self.estimate(larger, node.rows), self.estimate(node, node.rows)
        cut = self.leaf(node.rows)
        if cut <= kept + 0.1 + 1e-6 and cut <= raised + 0.1 + 1e-6:
            node.children = []
        elif raised <= kept + 0.1 + 1e-6:
            self.raised += 1
            node.children = larger.children
            node.feature, node.threshold = larger.feature, larger.threshold
            self.refill(node, node.rows)
            self.prune(node)

    def listed(self, node: SlowNode | None = None) -> list[tuple[Any, ...]]:
        """Parent, left subtree, right subtree: feature, threshold, counts."""
        node = node or self.root
        if not node.children:
            return [(-1, None, self.count(node.rows))]
        lines = [(node.feature, node.threshold, self.count(node.rows))]
        return lines + [line for child in node.children for line in self.listed(child)]


def listed(tree: Tree) -> list[tuple[Any, ...]]:
    return [
        (int(f), float(t) if f >= 0 else None, counts.tolist())
        for f, t, counts in zip(tree.feature, tree.threshold, tree.counts, strict=True)
    ]


# Neighbours closer than 1e-5, a little farther, and usual ones; all exact in single precision.
STEPS = [0.0, 2.0**-18, 2.0**-17, 2.0**-16, 2.0**-4, 0.25, 1.0]


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, list[int], int]:
    n, d, classes = draw(st.integers(1, 40)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    columns = []
    for _ in range(d):
        levels = np.cumsum(draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=12))) - 2
        at = draw(st.lists(st.integers(0, len(levels) - 1), min_size=n, max_size=n))
        columns.append(levels[at])
    y = draw(st.lists(st.integers(0, classes - 1), min_size=n, max_size=n))
    return np.stack(columns, axis=1), y, classes


def compare(X: np.ndarray, y: list[int], classes: int, min_leaf: int, confidence: float) -> int:
    """Assert that both give the same trees; how many subtrees were raised."""
    slow = SlowJ48(X, y, classes, min_leaf, confidence)
    presorted = Presorted(X)
    options: dict[str, Any] = {"min_leaf": min_leaf, "confidence": confidence}
    unpruned = slow.listed()
    assert listed(grow(presorted, np.array(y), classes, pruned=False, **options)) == unpruned
    slow.prune(slow.root)
    tree = grow(presorted, np.array(y), classes, **options)
    assert listed(tree) == slow.listed()
    assert (tree.size, tree.unpruned_size) == (len(slow.listed()), len(unpruned))
    assert tree.leaves == sum(f < 0 for f, _, _ in slow.listed())
    assert tree.unpruned_leaves == sum(f < 0 for f, _, _ in unpruned)
    return slow.raised


@settings(max_examples=300, deadline=None)
@given(problems(), st.integers(1, 5), st.sampled_from([0.01, 0.1, 0.25, 0.5, 0.7]))
def test_the_tree_is_that_of_a_slow_j48(
    problem: tuple[np.ndarray, list[int], int], min_leaf: int, confidence: float
) -> None:
    compare(*problem, min_leaf, confidence)


def test_larger_trees_with_much_pruning_and_raising_are_those_of_a_slow_j48() -> None:
    raised = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        X = np.maximum(rng.normal(size=(150, 5)), [-9, 0, 0.5, -1, -9]).round([8, 1][seed % 2])
        y = (X[:, 0] + X[:, 3] + rng.normal(size=150) > 0) + (seed % 3) * (rng.random(150) < 0.3)
        for confidence in (0.1, 0.25):
            raised += compare(X, y.astype(int).tolist(), 4, 2, confidence)
    assert raised > 3  # or this test would say little about it


# ------------------------------------------------------------------ Weka's results


@shared.needs_reference
@pytest.mark.parametrize("name", ["emotions", "yeast"])
def test_it_grows_and_prunes_the_trees_of_weka(name: str) -> None:
    faces = dataset_class(f"mulan:{name}")(member=name)
    faces = faces.load(shared.path(shared.MULAN))
    train, test = faces.split == TRAIN, faces.split == TEST
    presorted = Presorted(faces.features[train])
    for label in shared.reference(f"{name}-j48-predictions")["labels"]:
        y = faces.labels[train, faces.label_names.index(label["label"])].astype(int)
        tree, unpruned = grow(presorted, y, 2), grow(presorted, y, 2, pruned=False)
        assert (tree.leaves, tree.size) == (label["leaves"], label["size"])
        for leaves, size in (
            (unpruned.leaves, unpruned.size),
            (tree.unpruned_leaves, tree.unpruned_size),
        ):
            assert (leaves, size) == (label["unpruned_leaves"], label["unpruned_size"])
        X = faces.features[test]
        assert "".join(map(str, tree.predict(X))) == label["pred"]
        assert "".join(map(str, unpruned.predict(X))) == label["unpruned_pred"]
        assert np.abs(tree.probabilities(X)[:, 1] - label["prob1"]).max() < 1e-6


# ------------------------------------------------------------------ by hand


def deviate(confidence: float) -> float:
    return NormalDist().inv_cdf(1 - confidence)


def test_pessimistic_errors_by_hand() -> None:
    z = deviate(0.25)
    assert leaf_errors(0, 0, 0.25, z) == 0
    # Quinlan 1993, section 4.2: U25(6, 0) = .206, U25(9, 0) = .143, U25(1, 0) = .75.
    assert leaf_errors(6, 0, 0.25, z) == pytest.approx(6 * 0.206, abs=0.003)
    assert leaf_errors(9, 0, 0.25, z) == pytest.approx(9 * 0.143, abs=0.003)
    assert leaf_errors(1, 0, 0.25, z) == 0.75
    assert leaf_errors(2, 0, 0.25, z) == 1
    assert leaf_errors(2, 2, 0.25, z) == leaf_errors(2, 1.5, 0.25, z) == 2
    assert leaf_errors(40, 7, 0.6, deviate(0.6)) == 7


@pytest.mark.parametrize("confidence", [0.05, 0.25, 0.5])
@pytest.mark.parametrize(("rows", "wrong"), [(10, 1), (16, 1), (50, 10), (200, 3), (200, 90)])
def test_pessimistic_errors_are_near_the_binomial_limit(
    rows: int, wrong: int, confidence: float
) -> None:
    limit = rows * beta.ppf(1 - confidence, wrong + 1, rows - wrong)
    errors = leaf_errors(rows, wrong, confidence, deviate(confidence))
    assert errors == pytest.approx(limit, rel=0.1)


def test_the_threshold_is_a_value_of_the_whole_training_set() -> None:
    """The second split, on feature 1, is between 0 and 10; 4 occurs in the other branch only."""
    X = np.array([[0, 0], [0, 0], [0, 10], [0, 10], [1, 4], [1, 4], [1, 4], [1, 4]], float)
    y = np.array([0, 0, 1, 1, 2, 2, 2, 2])
    tree = grow(Presorted(X), y, 3)
    assert tree.feature.tolist() == [0, 1, -1, -1, -1]
    assert tree.threshold[[0, 1]].tolist() == [0, 4]
    assert tree.predict(np.array([[0, 4.5], [0, 4], [1, 0]])).tolist() == [1, 0, 2]


def test_constant_features_one_class_and_equal_counts() -> None:
    X = np.ones((6, 2))
    tie = grow(Presorted(X), np.array([1, 1, 1, 0, 0, 0]), 3)
    assert (tie.leaves, tie.size, tie.predict(X).tolist()) == (1, 1, [0] * 6)
    assert tie.probabilities(X)[0].tolist() == [0.5, 0.5, 0]
    X[:, 0] = range(6)
    assert grow(Presorted(X), np.full(6, 2), 3).predict(X).tolist() == [2] * 6
    assert grow(Presorted(X[:1]), np.array([1]), 2).predict(X).tolist() == [1] * 6


def test_more_rows_than_fit_into_16_bits_and_more_values_than_groups() -> None:
    n = 70_000
    x = np.random.default_rng(0).permutation(n).astype(np.float32)
    tree = grow(Presorted(np.stack([np.zeros_like(x), x], axis=1)), (x > 40_000).astype(int), 2)
    assert tree.feature.tolist() == [1, -1, -1]
    assert tree.threshold[0] == 40_000


def test_values_whose_middle_overflows() -> None:
    X = np.array([[-1.7e308], [1.6e308], [1.6e308], [1.7e308], [1.7e308], [1.7e308]])
    tree = grow(Presorted(X), np.array([0, 0, 0, 1, 1, 1]), 2)
    assert tree.predict(X).tolist() == [0, 0, 0, 1, 1, 1]


# ------------------------------------------------------------------ what must not matter


def noisy(seed: int, n: int = 300, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = np.maximum(rng.normal(size=(n, 6)), 0).round(2).astype(np.float32)
    return X, (X[:, :classes].argmax(axis=1) + (rng.random(n) < 0.2)) % classes


def same(one: Tree, other: Tree) -> bool:
    return listed(one) == listed(other) and one.unpruned_size == other.unpruned_size


def test_a_subset_of_the_rows_gives_the_tree_of_these_rows_alone() -> None:
    X, y = noisy(0)
    presorted = Presorted(X)
    for seed in range(5):
        rows = np.random.default_rng(seed).choice(300, 20 + 50 * seed, replace=False)
        alone = grow(Presorted(X[rows]), y[rows], 4)
        assert same(grow(presorted, y, 4, rows), alone)
        assert alone.size > 1


def test_precision_layout_order_and_duplicates_do_not_matter() -> None:
    X, y = noisy(1)
    tree = grow(Presorted(X), y, 4)
    assert tree.size > 10
    for other in (X.astype(np.float64), np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2]):
        assert same(grow(Presorted(other), y, 4), tree)
        assert (tree.predict(other) == tree.predict(X)).all()
    order = np.random.default_rng(0).permutation(300)
    assert same(grow(Presorted(X[order]), y[order], 4), tree)
    copies = grow(Presorted(np.concatenate([X, X], axis=1)), y, 4)
    assert same(copies, tree)  # the first of equal features


def test_trees_share_their_features_and_grow_in_threads() -> None:
    X, y = noisy(2)
    presorted = Presorted(X)
    targets = [(y + shift) % 4 for shift in range(8)]
    before = [array.copy() for array in presorted.features[:4]]
    with ThreadPoolExecutor(4) as pool:
        trees = list(pool.map(lambda target: grow(presorted, target, 4), targets))
    for tree, target in zip(trees, targets, strict=True):
        assert same(tree, grow(Presorted(X), target, 4))
    assert all((a == b).all() for a, b in zip(before, presorted.features[:4], strict=True))


# ------------------------------------------------------------------ the estimator, wrong input


def test_the_estimator() -> None:
    X, y = noisy(3)
    names = np.array(["d", "b", "c", "a"])[y]
    model = C45(min_leaf=3)
    assert clone(model).get_params() == {"min_leaf": 3, "confidence": 0.25, "pruned": True}
    model.fit(X, names)
    assert model.classes_.tolist() == ["a", "b", "c", "d"]
    assert (model.predict(X) == names).mean() > 0.8
    assert np.allclose(model.predict_proba(X).sum(axis=1), 1)
    unpruned = C45(min_leaf=3, pruned=False).fit(X, names)
    assert unpruned.tree_.size == model.tree_.unpruned_size > model.tree_.size


def test_the_estimator_is_one_of_scikit_learn() -> None:
    check_estimator(C45())


def test_wrong_input_is_told_in_one_sentence() -> None:
    X, y = noisy(4)
    presorted = Presorted(X)
    for match, call in {
        r"c45\[min_leaf=0\]": lambda: grow(presorted, y, 4, min_leaf=0),
        r"c45\[confidence=1.5\]": lambda: grow(presorted, y, 4, confidence=1.5),
        r"c45\[confidence=1e-09\]": lambda: grow(presorted, y, 4, confidence=1e-9),
        "several times": lambda: grow(presorted, y, 4, np.array([1, 2, 1])),
        "classes from 0 to 2": lambda: grow(presorted, y, 3),
        "whole number": lambda: grow(presorted, y / 2, 4),
        "300 rows": lambda: grow(presorted, y[1:], 4),
        "numbered 0 to 299": lambda: grow(presorted, y, 4, np.array([300])),
        "at least one row": lambda: grow(presorted, y, 4, np.array([], int)),
        "not finite": lambda: Presorted(np.array([[np.nan]])),
        "no training rows": lambda: Presorted(X[:0]),
    }.items():
        with pytest.raises(BenchError, match=match):
            call()
