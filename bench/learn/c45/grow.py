"""Growing one C4.5 tree: compiled code over feature lists that were sorted once for all trees.

A split partitions the tree's sorted lists stably, so that nothing is sorted again. Counts are whole
numbers, so x log2 x comes from a table; its entries are whole numbers too (fixed point), which
makes sums exact, and equal whatever the order of equal values. All of it stands in one file, since
Numba notices no edit of another file.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from bench.learn.c45.nodes import Nodes
from bench.learn.c45.presort import GAP, SortedFeatures
from bench.learn.c45.problem import TreeProblem
from bench.learn.compiled import compiled

_SLACK = 1e-6  # J48 (weka.core.Utils) takes numbers closer than this as equal
_MEAN_SLACK = 1e-3
_MOST_PER_SIDE = 25
_NONE = np.int64(-(2**61))  # below all scores


class _Tables(NamedTuple):
    """What the cuts of one node are scored with; in units of 1 / ``scale``.

    A cut above all rows scores 0. When a row of a class moves to the right of the cut, the score
    rises by the class's last entry of ``steps``, before ``ends[class]``, which is then used up (in
    the copy ``left``). ``split[l]``, to be taken off, is for l rows on the left in all. ``total``
    makes a gain of it. ``scores`` has room for the scores of the cuts of one feature.
    """

    size: int
    side: int
    steps: np.ndarray
    ends: np.ndarray
    left: np.ndarray
    split: np.ndarray
    scores: np.ndarray
    total: int
    scale: float


class _Slots(NamedTuple):
    """Nodes that wait to be split, and the lists of their rows.

    Attributes
    ----------
    node : int32 (slots,)
        The node in each slot.
    lists : uint32 (d, rows of the tree + 2)
    begin, end : int32 (slots, d)
        ``lists[f, begin[slot, f]:end[slot, f]]`` is the slot's list of feature f.
    """

    node: np.ndarray
    lists: np.ndarray
    begin: np.ndarray
    end: np.ndarray


class _Scratch(NamedTuple):
    """What every division of a node writes anew.

    Attributes
    ----------
    goes_left : uint8 (n,)
        1 for the rows of the node that go to its left child.
    spare : uint32 (rows of the tree,)
        Keeps what goes right during a partition.
    kept : bool (2,)
        Whether the left and the right child may be split further, so that their lists are kept.
    target : int32 (2,)
        The slot that the lists of each child go to.
    """

    goes_left: np.ndarray
    spare: np.ndarray
    kept: np.ndarray
    target: np.ndarray


@compiled
def _may_split(counts: np.ndarray, min_leaf: int) -> bool:
    """Whether a node has enough rows, and of more than one class."""
    size = counts.sum()
    return size >= 2 * min_leaf and counts.max() < size


@compiled
def _least_side(size: int, classes: int, min_leaf: int) -> int:
    """Rows that each side of a cut must have at least."""
    share = 0.1 * size / classes
    if share - min_leaf < _SLACK:
        return min_leaf
    if share - _MOST_PER_SIDE > _SLACK:
        return _MOST_PER_SIDE
    return math.ceil(share - _SLACK)


@compiled
def _fill_tables(size: int, counts: np.ndarray, problem: TreeProblem) -> _Tables:
    """Tables of a node with ``counts`` rows of each class."""
    xlogx = problem.xlogx
    steps, ends = np.empty(size, np.int64), np.empty(len(counts), np.uint64)
    split = np.empty(size + 1, np.int64)
    place = 0
    for c in range(len(counts)):
        for on_left in range(1, counts[c] + 1):
            on_right = counts[c] - on_left
            before = xlogx[on_left] + xlogx[on_right]
            steps[place] = xlogx[on_left - 1] + xlogx[on_right + 1] - before
            place += 1
        ends[c] = place
    for on_left in range(size + 1):
        split[on_left] = xlogx[on_left] + xlogx[size - on_left]
    side = _least_side(size, problem.classes, problem.min_leaf)
    left, scores = np.empty(len(counts), np.uint64), np.empty(size + 1, np.int64)
    return _Tables(size, side, steps, ends, left, split, scores, xlogx[size], problem.scale)


@compiled
def _score_cuts(
    entries: np.ndarray, features: SortedFeatures, f: int, y: np.ndarray, tables: _Tables
) -> int:
    """Score the cuts of feature f at a node, but for ``split``; their number.

    ``entries`` is the node's list, at least ``side`` long, after one entry for its rows that are
    not in it. The score goes to ``scores``, at the number of rows on the left; `_NONE` where there
    is no cut. ``left`` is used up. (Unsigned numbers spare a look at the sign of every index.)
    """
    X, close, mask = features.X, features.close[f], features.mask
    size, side, steps = tables.size, tables.side, tables.steps
    ends, scores, one = tables.left, tables.scores, np.uint64(1)
    i = np.uint64(len(entries) - 1)
    last = np.uint64(max(len(entries) - 1 - size + side, 0))
    score, cuts = np.int64(0), 0
    for _ in range(side - 1):
        c = y[entries[i] & mask]
        place = ends[c] - one
        score += steps[place]
        ends[c] = place
        i -= one
    position = np.uint64(size - side + 1)
    entry = entries[i]
    while i > last:
        c = y[entry & mask]
        place = ends[c] - one
        score += steps[place]
        ends[c] = place
        i -= one
        position -= one
        below = entries[i]
        differ = (entry ^ below) > mask
        if close and not differ:
            differ = np.float64(X[below & mask, f]) + GAP < X[entry & mask, f]
        scores[position] = score if differ else _NONE
        cuts += differ
        entry = below
    return cuts


@compiled
def _lowest_best(scores: np.ndarray, split: np.ndarray, slack: np.int64) -> int:
    """Where the best score is, less ``split``: going up, it must beat those before by ``slack``."""
    best, bar = 0, 2 * _NONE
    for i in range(len(scores)):
        if scores[i] - split[i] > bar:
            best, bar = i, scores[i] - split[i] + slack
    return best


@compiled
def _best_cut(
    entries: np.ndarray,
    a: int,
    b: int,
    features: SortedFeatures,
    f: int,
    y: np.ndarray,
    tables: _Tables,
) -> tuple[float, int]:
    """The best cut of feature f at a node: its gain, 0 without a cut, and the rows on its left.

    ``entries[a:b]`` is the node's list.
    """
    size, side = tables.size, tables.side
    if b - a < side:
        return 0.0, 0
    for c in range(len(tables.ends)):
        tables.left[c] = tables.ends[c]
    # Rows move to the right of the cut one by one, so that those on the floor never need to.
    kept = entries[a - 1]
    entries[a - 1] = features.lists[f, 0]
    cuts = _score_cuts(entries[a - 1 : b], features, f, y, tables)
    entries[a - 1] = kept
    if cuts == 0:
        return 0.0, 0
    lowest = max(side, size - (b - a))
    scores = tables.scores[lowest : size - side + 1]
    split = tables.split[lowest : size - side + 1]
    best = _NONE
    for i in range(len(scores)):
        best = max(best, scores[i] - split[i])
    penalty = math.log2(cuts)
    if ((tables.total + best) / tables.scale - penalty) / size < _SLACK:
        return 0.0, 0
    i = _lowest_best(scores, split, np.int64(_SLACK * size * tables.scale))
    gain = ((tables.total + scores[i] - split[i]) / tables.scale - penalty) / size
    return (gain, lowest + i) if gain >= _SLACK else (0.0, 0)


@compiled
def _choose(gains: np.ndarray, ratios: np.ndarray) -> int:
    """The feature to split by: the best gain ratio among gains not below their mean; or -1."""
    total, valid = 0.0, 0
    for f in range(len(gains)):
        if gains[f] > 0:
            total += gains[f]
            valid += 1
    chosen, best = -1, 0.0
    for f in range(len(gains)):
        if gains[f] > 0 and gains[f] >= total / valid - _MEAN_SLACK and ratios[f] - best > _SLACK:
            chosen, best = f, ratios[f]
    return chosen


@compiled
def _threshold(
    features: SortedFeatures, f: int, member: np.ndarray, low: float, high: float
) -> float:
    """The largest value of the tree's rows that is not above the middle of ``low`` and ``high``."""
    rows, mask = features.lists[f], features.mask
    middle = (np.float64(low) + np.float64(high)) / 2
    if not middle < high:  # neighbouring floats, or an overflow
        middle = np.float64(low)
    start, end = 0, len(rows)
    while start < end:
        i = (start + end) // 2
        if features.X[rows[i] & mask, f] <= middle:
            start = i + 1
        else:
            end = i
    i = start - 1
    while not member[rows[i] & mask]:  # ends: a row with the value ``low`` is a member
        i -= 1
    return np.float64(features.X[rows[i] & mask, f])


@compiled
def _find_split(
    features: SortedFeatures,
    problem: TreeProblem,
    lists: np.ndarray,
    begin: np.ndarray,
    end: np.ndarray,
    counts: np.ndarray,
) -> tuple[int, float]:
    """The feature and the threshold to split a node by; -1 for a leaf.

    ``lists[f, begin[f]:end[f]]`` are the node's lists, ``counts`` its rows of each class.
    """
    if not _may_split(counts, problem.min_leaf):
        return -1, 0.0
    size = counts.sum()
    d, X, mask = len(lists), features.X, features.mask
    tables = _fill_tables(size, counts, problem)
    gains, ratios = np.zeros(d), np.zeros(d)
    low, high = np.empty(d, np.uint32), np.empty(d, np.uint32)
    for f in range(d):
        a, b = begin[f], end[f]
        gains[f], position = _best_cut(lists[f], a, b, features, f, problem.y, tables)
        if gains[f] > 0:
            i = b - size + position
            high[f] = lists[f, i] & mask
            low[f] = (lists[f, i - 1] if i > a else features.lists[f, 0]) & mask
            ratios[f] = gains[f] * size / ((tables.total - tables.split[position]) / problem.scale)
    f = _choose(gains, ratios)
    if f < 0:
        return -1, 0.0
    return f, _threshold(features, f, problem.member, X[low[f], f], X[high[f], f])


@compiled
def _partition(
    entries: np.ndarray, mask: np.uint32, scratch: _Scratch, keep_left: bool, keep_right: bool
) -> np.int64:
    """Stable partition of ``entries`` by the side that their rows go to; how many come first.

    Where only one side is kept, its entries come first and the others are lost.
    """
    left, spare = scratch.goes_left, scratch.spare
    on_left, on_right = np.uint64(0), np.uint64(0)
    if keep_left and keep_right:
        for entry in entries:
            entries[on_left] = entry
            spare[on_right] = entry
            goes_left = np.uint64(left[entry & mask])
            on_left += goes_left
            on_right += np.uint64(1) - goes_left
        right = entries[on_left:]
        for i in range(len(right)):
            right[i] = spare[i]
        return np.int64(on_left)
    if keep_left:
        for entry in entries:
            entries[on_left] = entry
            on_left += np.uint64(left[entry & mask])
        return np.int64(on_left)
    for entry in entries:
        entries[on_right] = entry
        on_right += np.uint64(1 - left[entry & mask])
    return np.int64(on_right)


@compiled
def _empty_nodes(limit: int, classes: int) -> Nodes:
    """Room for ``limit`` nodes, all of them leaves without rows."""
    none, zero = np.full((3, limit), -1, np.int32), np.zeros((2, limit), np.int32)
    counts = np.zeros((limit, classes), np.int32)
    return Nodes(none[0], none[1], none[2], np.zeros(limit), zero[0], zero[1], counts)


@compiled
def _empty_slots(rows: int, lists: np.ndarray, lengths: np.ndarray) -> _Slots:
    """Slots for a tree of ``rows`` rows; the first has the root's lists, ``lengths`` (d,) long.

    The smaller of two children is split first, the larger one waits: in slot s with at most
    rows / 2**s rows, so few slots do.
    """
    slots = 2
    while rows >> (slots - 2):
        slots += 1
    d = len(lengths)
    begin, end = np.ones((slots, d), np.int32), np.zeros((slots, d), np.int32)
    for f in range(d):
        end[0, f] = lengths[f] + 1
    return _Slots(np.zeros(slots, np.int32), lists, begin, end)


@compiled
def _divide_rows(
    parent: int,
    child: int,
    nodes: Nodes,
    rows: np.ndarray,
    features: SortedFeatures,
    y: np.ndarray,
    scratch: _Scratch,
) -> int:
    """Give the rows of ``parent`` to its children ``child`` and ``child + 1``, left and right.

    Which of the two is smaller: 0 for the left, 1 for the right.
    """
    begin, end = nodes.begin[parent], nodes.end[parent]
    feature, threshold = nodes.feature[parent], nodes.threshold[parent]
    for i in range(begin, end):
        scratch.goes_left[rows[i]] = features.X[rows[i], feature] <= threshold
    middle = begin + _partition(rows[begin:end], features.mask, scratch, True, True)
    nodes.left[parent], nodes.right[parent] = child, child + 1
    nodes.begin[child], nodes.end[child] = begin, middle
    nodes.begin[child + 1], nodes.end[child + 1] = middle, end
    for i in range(begin, end):
        nodes.counts[child + (i >= middle), y[rows[i]]] += 1
    return int(2 * middle > begin + end)


@compiled
def _divide_lists(mask: np.uint32, source: int, slots: _Slots, scratch: _Scratch) -> None:
    """Divide the lists of the slot ``source`` among those children whose lists are kept."""
    lists, begin, end = slots.lists, slots.begin, slots.end
    kept, target = scratch.kept, scratch.target
    for f in range(len(lists)):
        a, b = begin[source, f], end[source, f]
        middle = a + _partition(lists[f, a:b], mask, scratch, kept[0], kept[1])
        if kept[0]:
            begin[target[0], f], end[target[0], f] = a, middle
        if kept[1]:
            begin[target[1], f], end[target[1], f] = (middle, b) if kept[0] else (a, middle)


@compiled
def _queue(
    node: int,
    slot: int,
    top: int,
    nodes: Nodes,
    features: SortedFeatures,
    problem: TreeProblem,
    slots: _Slots,
) -> int:
    """Find the split of ``node``, whose lists are in ``slot``; where it has one, it waits on top.

    The new top of the waiting nodes.
    """
    begin, end = slots.begin, slots.end
    nodes.feature[node], nodes.threshold[node] = _find_split(
        features, problem, slots.lists, begin[slot], end[slot], nodes.counts[node]
    )
    if nodes.feature[node] < 0:
        return top
    top += 1
    slots.node[top] = node
    for f in range(len(slots.lists)):
        begin[top, f], end[top, f] = begin[slot, f], end[slot, f]
    return top


@compiled
def grow_nodes(
    features: SortedFeatures,
    problem: TreeProblem,
    lists: np.ndarray,
    lengths: np.ndarray,
    rows: np.ndarray,
) -> Nodes:
    """Grow a tree over ``rows`` uint32 (m,), which are then sorted by node.

    ``lists`` and ``lengths`` as `bench.learn.c45.problem.pose` gives them; the lists are used up.
    Each node comes after its parent. The result has room for more nodes than there are: the tree is
    what hangs on the first one.
    """
    y, m = problem.y, len(rows)
    nodes = _empty_nodes(2 * (m // min(problem.min_leaf, _MOST_PER_SIDE)) + 3, problem.classes)
    slots = _empty_slots(m, lists, lengths)
    goes_left, spare = np.zeros(len(y), np.uint8), np.empty(m, np.uint32)
    scratch = _Scratch(goes_left, spare, np.zeros(2, np.bool_), np.zeros(2, np.int32))
    nodes.end[0] = m
    for row in rows:
        nodes.counts[0, y[row]] += 1
    count, top = 1, _queue(0, 0, -1, nodes, features, problem, slots)
    while top >= 0:
        smaller = _divide_rows(slots.node[top], count, nodes, rows, features, y, scratch)
        for side in range(2):
            scratch.kept[side] = _may_split(nodes.counts[count + side], problem.min_leaf)
            scratch.target[side] = top
        if scratch.kept[0] and scratch.kept[1]:
            scratch.target[smaller] = top + 1
        if scratch.kept[0] or scratch.kept[1]:
            _divide_lists(features.mask, top, slots, scratch)
        top -= 1
        for side in (1 - smaller, smaller):
            if scratch.kept[side]:
                slot = scratch.target[side]
                top = _queue(count + side, slot, top, nodes, features, problem, slots)
        count += 2
    return nodes
