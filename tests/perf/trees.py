"""Seconds of `rakel` and `clr` over C4.5 beside the same ensembles of scikit-learn's entropy trees.

    python tests/perf/trees.py [--train N] [--test N] [--features D] [--repeats R]

One run for all, in turn, medians, everybody at its default threads; the processor seconds beside
them tell how far other programs were in the way. Our compile time stands apart:
that of a first fit on few rows, in this process (seconds once, then read from the cache). The
peers are the loops that a user would write around `sklearn.tree.DecisionTreeClassifier`, over the
very problems that ours solve. Both ensembles grow exact trees to their own end, so the labels are
compared by their Hamming loss, and the exit code is 1 where ours is worse by more than 0.02.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from itertools import combinations
from statistics import median
from typing import Any

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from bench.learn.parallel import threads
from bench.plugins import Registry

FREQUENCIES = (0.445, 0.241, 0.544, 0.288, 0.341, 0.387)  # of RAF-ML's labels
BARS = {"rakel": 12.0, "clr": 10.0}
WORSE = 0.02


def problem(rows: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """ReLU-like features float32 (n, d), half of them 0, and labels bool (n, 6) they tell of."""
    rng = np.random.default_rng(0)
    causes = rng.normal(size=(rows, 20))
    X = causes @ rng.normal(size=(20, features)) / 4 + rng.normal(size=(rows, features))
    margins = causes @ rng.normal(size=(20, len(FREQUENCIES))) / 4
    margins += rng.normal(size=margins.shape)
    least = [np.quantile(m, 1 - f) for m, f in zip(margins.T, FREQUENCIES, strict=True)]
    return np.maximum(X, 0).astype(np.float32), margins > least


def tree(X: np.ndarray, y: np.ndarray) -> DecisionTreeClassifier:
    """What a user would take."""
    return DecisionTreeClassifier(criterion="entropy", random_state=0).fit(X, y)


def their_rakel(
    X: np.ndarray, Y: np.ndarray, T: np.ndarray, labelsets: list[tuple[int, ...]]
) -> np.ndarray:
    """Label powerset of each set, mean of the votes, labels bool (m, L)."""
    votes, voters = np.zeros((len(T), Y.shape[1])), np.zeros(Y.shape[1])
    for labelset in labelsets:
        powers = 2 ** np.arange(len(labelset))
        answer = tree(X, Y[:, labelset] @ powers).predict(T)
        votes[:, labelset] += answer[:, None] // powers % 2
        voters[list(labelset)] += 1
    return votes / voters >= 0.5


def their_clr(X: np.ndarray, Y: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Pairs and binary relevance, labels bool (m, L)."""
    votes = np.stack([tree(X, y).predict(T) for y in Y.T], axis=1).astype(int)
    virtual = Y.shape[1] - votes.sum(axis=1, keepdims=True)
    for i, j in combinations(range(Y.shape[1]), 2):
        rows = Y[:, i] != Y[:, j]
        answer = tree(X[rows], Y[rows, i]).predict(T)
        votes[:, i] += answer
        votes[:, j] += ~answer
    return votes >= virtual


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=4090)
    parser.add_argument("--test", type=int, default=818)
    parser.add_argument("--features", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=1)
    args = parser.parse_args()
    X, Y = problem(args.train + args.test, args.features)
    train, test, truth, Y = X[: args.train], X[args.train :], Y[args.train :], Y[: args.train]
    rakel: Any = Registry().find("method", "rakel")[0].load()
    clr: Any = Registry().find("method", "clr")[0].load()
    start = time.perf_counter()
    few = clr().fit(train[:60], Y[:60])
    few.labels(test)
    compiling = time.perf_counter() - start
    labelsets = rakel(base="nn").fit(train, Y).labelsets_

    runs: dict[str, dict[str, Callable[[], np.ndarray]]] = {
        "rakel": {
            "bench": lambda: rakel().fit(train, Y).labels(test),
            "scikit-learn": lambda: their_rakel(train, Y, test, labelsets),
        },
        "clr": {
            "bench": lambda: clr().fit(train, Y).labels(test),
            "scikit-learn": lambda: their_clr(train, Y, test),
        },
    }
    print(f"{args.train} x {args.test} x {args.features} float32, {Y.shape[1]} labels, ", end="")
    print(f"{os.cpu_count()} cores, {threads()} threads, median of {args.repeats} (least to most)")
    print(f"compiled, or read from the cache, in {compiling:.1f} s")
    good = True
    for method, ways in runs.items():
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        busy: dict[str, list[float]] = {way: [] for way in ways}
        loss = {}
        for _ in range(args.repeats):
            for way, run in ways.items():
                start, begun = time.perf_counter(), time.process_time()
                labels = run()
                seconds[way].append(time.perf_counter() - start)
                busy[way].append(time.process_time() - begun)
                loss[way] = float((labels != truth).mean())
        for way, times in seconds.items():
            print(f"  {method:5} {way:12} {median(times):8.2f} s", end="")
            print(
                f" ({min(times):.2f} to {max(times):.2f}), processor {median(busy[way]):.2f} s",
                end="",
            )
            print(f", Hamming loss {loss[way]:.4f}")
        ratio = median(seconds["scikit-learn"]) / median(seconds["bench"])
        print(f"  {method:5} scikit-learn / bench: {ratio:.1f} (bar: at least {BARS[method]:g})")
        good &= loss["bench"] <= loss["scikit-learn"] + WORSE
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
