"""Growing a C4.5 tree: compiled code over feature lists that were sorted once.

A split partitions the sorted lists of `bench.learn.c45.presort` stably, so that nothing is sorted
again. Counts are whole numbers, so x log2 x comes from a table; its entries are whole numbers too
(fixed point), which makes sums exact, and equal whatever the order of equal values.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from bench.learn.c45.presort import GAP, Features
from bench.learn.compiled import compiled

_SLACK = 1e-6  # J48 (weka.core.Utils) takes numbers closer than this as equal
_MEAN_SLACK = 1e-3
_MOST_PER_SIDE = 25
_NONE = np.int64(-(2**61))  # below all scores


class Nodes(NamedTuple):
    """Nodes of a tree, the root first.

    Attributes
    ----------
    feature, left, right : int32 (nodes,)
        -1 in a leaf.
    threshold : float64 (nodes,)
        A value up to it goes left.
    begin, end : int32 (nodes,)
        ``rows[begin:end]`` are the node's.
    counts : int32 (nodes, classes)
        Its rows of each class.
    """

    feature: np.ndarray
    left: np.ndarray
    right: np.ndarray
    threshold: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    counts: np.ndarray


class Task(NamedTuple):
    """What one tree is to tell.

    Attributes
    ----------
    y : unsigned (n,)
        Classes, also of rows that are not the tree's.
    classes, min_leaf : int
    member : uint8 (n,)
        1 for the rows of the tree.
    xlogx : int64 (rows of the tree + 1,)
        x log2 x in units of 1 / ``one``.
    one : float
    """

    y: np.ndarray
    classes: int
    min_leaf: int
    member: np.ndarray
    xlogx: np.ndarray
    one: float


class _Tables(NamedTuple):
    """What the cuts of one node are scored with; in units of 1 / ``one``.

    A cut above all rows scores 0. When a row of a class moves to its right, the score rises by the
    class's last entry of ``steps``, before ``ends[class]``, which is then used up. ``split[l]``, to
    be taken off, is for l rows on the left in all. ``total`` makes a gain of it.
    """

    size: int
    side: int
    steps: np.ndarray
    ends: np.ndarray
    split: np.ndarray
    total: int
    one: float


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
def _fill_tables(size: int, counts: np.ndarray, task: Task) -> _Tables:
    """Tables of a node with ``counts`` rows of each class."""
    xlogx = task.xlogx
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
    side = _least_side(size, task.classes, task.min_leaf)
    return _Tables(size, side, steps, ends, split, xlogx[size], task.one)


@compiled
def _score_cuts(
    entries: np.ndarray,
    close: bool,
    X: np.ndarray,
    f: int,
    y: np.ndarray,
    mask: np.uint32,
    tables: _Tables,
    ends: np.ndarray,
    scores: np.ndarray,
) -> int:
    """Score the cuts of feature f at a node, but for ``split``; their number.

    ``entries`` is the node's list, at least ``side`` long, after one entry for its rows that are
    not in it. The score goes to ``scores``, at the number of rows on the left; `_NONE` where there
    is no cut. ``ends`` is used up. (Unsigned numbers spare a look at the sign of every index.)
    """
    size, side, steps = tables.size, tables.side, tables.steps
    one = np.uint64(1)
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
    features: Features,
    f: int,
    y: np.ndarray,
    mask: np.uint32,
    tables: _Tables,
    ends: np.ndarray,
    scores: np.ndarray,
) -> tuple[float, int]:
    """The best cut of feature f at a node: its gain, 0 without a cut, and the rows on its left.

    ``entries[a:b]`` is the node's list; ``ends`` and ``scores`` are scratch.
    """
    size, side = tables.size, tables.side
    if b - a < side:
        return 0.0, 0
    for c in range(len(ends)):
        ends[c] = tables.ends[c]
    # Rows move to the right of the cut one by one, so that those on the floor never need to.
    kept = entries[a - 1]
    entries[a - 1] = features.lists[f, 0]
    cuts = _score_cuts(
        entries[a - 1 : b], features.close[f], features.X, f, y, mask, tables, ends, scores
    )
    entries[a - 1] = kept
    if cuts == 0:
        return 0.0, 0
    lowest = max(side, size - (b - a))
    scores = scores[lowest : size - side + 1]
    split = tables.split[lowest : size - side + 1]
    best = _NONE
    for i in range(len(scores)):
        best = max(best, scores[i] - split[i])
    penalty = math.log2(cuts)
    if ((tables.total + best) / tables.one - penalty) / size < _SLACK:
        return 0.0, 0
    i = _lowest_best(scores, split, np.int64(_SLACK * size * tables.one))
    gain = ((tables.total + scores[i] - split[i]) / tables.one - penalty) / size
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
def _threshold(features: Features, f: int, member: np.ndarray, low: float, high: float) -> float:
    """The largest value of the tree's rows that is not above the middle of ``low`` and ``high``."""
    rows, mask = features.lists[f], np.uint32((1 << features.shift) - 1)
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
    features: Features,
    task: Task,
    lists: np.ndarray,
    begin: np.ndarray,
    end: np.ndarray,
    counts: np.ndarray,
) -> tuple[int, float]:
    """The feature and the threshold to split a node by; -1 for a leaf.

    ``lists[f, begin[f]:end[f]]`` are the node's lists, ``counts`` its rows of each class.
    """
    if not _may_split(counts, task.min_leaf):
        return -1, 0.0
    size = counts.sum()
    d, X, mask = len(lists), features.X, np.uint32((1 << features.shift) - 1)
    tables = _fill_tables(size, counts, task)
    ends, scores = np.empty(len(counts), np.uint64), np.empty(size + 1, np.int64)
    gains, ratios = np.zeros(d), np.zeros(d)
    low, high = np.empty(d, np.uint32), np.empty(d, np.uint32)
    for f in range(d):
        a, b = begin[f], end[f]
        gains[f], position = _best_cut(
            lists[f], a, b, features, f, task.y, mask, tables, ends, scores
        )
        if gains[f] > 0:
            i = b - size + position
            high[f] = lists[f, i] & mask
            low[f] = (lists[f, i - 1] if i > a else features.lists[f, 0]) & mask
            ratios[f] = gains[f] * size / ((tables.total - tables.split[position]) / task.one)
    f = _choose(gains, ratios)
    if f < 0:
        return -1, 0.0
    return f, _threshold(features, f, task.member, X[low[f], f], X[high[f], f])


@compiled
def _partition(
    entries: np.ndarray,
    mask: np.uint32,
    left: np.ndarray,
    keep_left: bool,
    keep_right: bool,
    spare: np.ndarray,
) -> np.int64:
    """Stable partition of ``entries`` by ``left`` (0 or 1 per row); how many come first.

    Where only one side is kept, its entries come first and the others are lost.
    """
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
def _partition_lists(
    lists: np.ndarray,
    begin: np.ndarray,
    end: np.ndarray,
    source: int,
    target: np.ndarray,
    keep: np.ndarray,
    mask: np.uint32,
    left: np.ndarray,
    spare: np.ndarray,
) -> None:
    """Partition a node's lists; those of a child s that is kept get the slot ``target[s]``.

    ``lists[f, begin[slot, f]:end[slot, f]]`` are the lists of a slot, ``source`` is the node's.
    """
    for f in range(len(lists)):
        a, b = begin[source, f], end[source, f]
        middle = a + _partition(lists[f, a:b], mask, left, keep[0], keep[1], spare)
        if keep[0]:
            begin[target[0], f], end[target[0], f] = a, middle
        if keep[1]:
            begin[target[1], f], end[target[1], f] = (middle, b) if keep[0] else (a, middle)


@compiled
def grow_nodes(
    features: Features, task: Task, lists: np.ndarray, lengths: np.ndarray, rows: np.ndarray
) -> Nodes:
    """Grow a tree over ``rows`` uint32 (m,), which are then sorted by node.

    ``lists`` and ``lengths`` as `own_lists` fills them; the lists are used up. Each node comes
    after its parent.
    """
    X, mask = features.X, np.uint32((1 << features.shift) - 1)
    d, m = len(lists), len(rows)
    limit = 2 * (m // min(task.min_leaf, _MOST_PER_SIDE)) + 3
    feature = np.full(limit, -1, np.int32)
    left, right = np.full(limit, -1, np.int32), np.full(limit, -1, np.int32)
    begin, end = np.zeros(limit, np.int32), np.zeros(limit, np.int32)
    threshold = np.zeros(limit)
    counts = np.zeros((limit, task.classes), np.int32)

    # Nodes to be split wait in slots. The smaller of two children comes first, the larger waits: in
    # slot s with at most m / 2**s rows, so few slots do.
    slots = 2
    while m >> (slots - 2):
        slots += 1
    waiting = np.zeros(slots, np.int32)
    list_begin, list_end = np.ones((slots, d), np.int32), np.zeros((slots, d), np.int32)
    target, keep = np.zeros(2, np.int32), np.zeros(2, np.bool_)
    spare = np.empty(m, np.uint32)
    goes_left = np.zeros(len(task.y), np.uint8)

    end[0], nodes = m, 1
    for row in rows:
        counts[0, task.y[row]] += 1
    for f in range(d):
        list_end[0, f] = lengths[f] + 1
    feature[0], threshold[0] = _find_split(
        features, task, lists, list_begin[0], list_end[0], counts[0]
    )
    top = 0 if feature[0] >= 0 else -1
    while top >= 0:
        parent = waiting[top]
        for i in range(begin[parent], end[parent]):
            goes_left[rows[i]] = X[rows[i], feature[parent]] <= threshold[parent]
        middle = begin[parent] + _partition(
            rows[begin[parent] : end[parent]], mask, goes_left, True, True, spare
        )
        left[parent], right[parent] = nodes, nodes + 1
        begin[nodes], end[nodes] = begin[parent], middle
        begin[nodes + 1], end[nodes + 1] = middle, end[parent]
        for i in range(begin[parent], end[parent]):
            counts[nodes + (i >= middle), task.y[rows[i]]] += 1
        smaller = int(2 * middle > begin[parent] + end[parent])
        for s in range(2):
            keep[s] = _may_split(counts[nodes + s], task.min_leaf)
            target[s] = top
        if keep[0] and keep[1]:
            target[smaller] = top + 1
        if keep[0] or keep[1]:
            _partition_lists(lists, list_begin, list_end, top, target, keep, mask, goes_left, spare)
        top -= 1
        for s in (1 - smaller, smaller):
            if keep[s]:
                node, slot = nodes + s, target[s]
                feature[node], threshold[node] = _find_split(
                    features, task, lists, list_begin[slot], list_end[slot], counts[node]
                )
                if feature[node] >= 0:
                    top += 1
                    waiting[top] = node
                    for f in range(d):
                        list_begin[top, f] = list_begin[slot, f]
                        list_end[top, f] = list_end[slot, f]
        nodes += 2
    return Nodes(
        feature[:nodes],
        left[:nodes],
        right[:nodes],
        threshold[:nodes],
        begin[:nodes],
        end[:nodes],
        counts[:nodes],
    )
