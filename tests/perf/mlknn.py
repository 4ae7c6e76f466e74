"""Seconds of `mlknn` beside scikit-multilearn's MLkNN and the bare matrix products, one run.

    python tests/perf/mlknn.py [--train N] [--test N] [--features D] [--repeats R]

All at their default threads, in turn, medians. Nothing is compiled, so there is no compile time.
Fails (exit code 1) where a result is not the same for the rows that are computed the slow way.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from skmultilearn.adapt import MLkNN as TheirMLkNN

from bench.learn.neighbours import nearest
from bench.plugins import Registry

K, S, LABELS = 100, 1.0, 6
BAR, AIM = 3.0, 2.0


def problem(rows: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """ReLU-like features float32 (n, d), half of them 0, and labels bool (n, 6) they tell of."""
    rng = np.random.default_rng(0)
    causes = rng.normal(size=(rows, 20))
    X = causes @ rng.normal(size=(20, features)) / 4 + rng.normal(size=(rows, features))
    margins = causes @ rng.normal(size=(20, LABELS)) / 4 + rng.normal(size=(rows, LABELS))
    return np.maximum(X, 0).astype(np.float32), margins > 0.4


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=4090)
    parser.add_argument("--test", type=int, default=818)
    parser.add_argument("--features", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    X, Y = problem(args.train + args.test, args.features)
    train, test, Y = X[: args.train], X[args.train :], Y[: args.train]
    mlknn: Any = Registry().find("method", "mlknn")[0].load()

    def ours() -> Any:
        return mlknn(k=K, s=S).fit(train, Y).scores_and_labels(test)

    def theirs() -> Any:
        return TheirMLkNN(k=K, s=S).fit(train, Y.astype(int)).predict_proba(test)

    def products() -> Any:
        return train @ train.T, test @ train.T

    # numpy computes half of A Aᵀ and mirrors it; a copy makes it compute what distances need.
    other = train.copy()

    def whole_products() -> Any:
        return train @ other.T, test @ train.T

    runs: dict[str, Callable[[], Any]] = {
        "bench mlknn, fit + scores and labels": ours,
        "scikit-multilearn MLkNN, fit + predict_proba": theirs,
        "float32 products, train trainᵀ as half": products,
        "float32 products, train trainᵀ in full": whole_products,
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(args.repeats):
            for name, run in runs.items():
                start = time.perf_counter()
                run()
                seconds[name].append(time.perf_counter() - start)

    print(f"{args.train} x {args.test} x {args.features}, {LABELS} labels, k = {K}, ", end="")
    print(f"{os.cpu_count()} cores, median of {args.repeats} runs in turn (least to most)")
    for name, times in seconds.items():
        print(f"  {name:45} {median(times):6.2f} s ({min(times):.2f} to {max(times):.2f})")
    our, their, half, full = (median(times) for times in seconds.values())
    print(f"scikit-multilearn / bench: {their / our:.1f} (bar: at least {BAR:g})")
    print(f"bench / products: {our / full:.1f} in full, {our / half:.1f} as half (aim: {AIM:g})")

    rows = np.random.default_rng(1).choice(args.test, min(20, args.test), replace=False)
    slow = []
    for query in test[rows].astype(np.float64):
        distances = ((train - query) ** 2).sum(axis=1)
        slow.append(np.sort(distances.argsort(kind="stable")[:K]))
    same = bool((nearest(train, K, test)[rows] == np.array(slow)).all())
    print(f"neighbours of {len(rows)} rows equal those of the float64 distances: {same}")
    return 0 if same else 1


if __name__ == "__main__":
    raise SystemExit(main())
