"""Seconds and peak memory of each classifier as the training rows grow, and where it stops and why.

    python tests/perf/scale.py [--methods LIST] [--seconds S] [--max-memory GB] [--features D]

Every size runs in a process of its own, fit and then scores and labels of 1,000 rows, at default
threads and the default parameters; what is compiled is compiled before the clock starts. A method
ends at the largest size, where the next one would pass its time (extrapolated, or tried and ended),
or where it needs more memory than allowed (as it says before it starts, or extrapolated). Memory
is the peak of the process; its exponent is that of the peak above what the data took before.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np

from bench.api import BenchError
from bench.plugins import Registry
from bench.run.memory import peak_memory_mb, reset_peak_memory

METHODS = ("mlknn", "rakel", "clr", "lift", "ml-loc", "ml2", "linear-svm")
SIZES = (1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)
LABELS, TEST = 6, 1000
FITTED = 4  # largest sizes that an exponent is fitted to: the small ones show the overhead


def problem(rows: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """ReLU-like features float32 (n, d), half of them 0, and labels bool (n, 6) they tell of."""
    rng = np.random.default_rng(0)
    causes = rng.normal(size=(rows, 20))
    X = rng.normal(size=(rows, features))
    X += causes @ rng.normal(size=(20, features)) / 4
    margins = causes @ rng.normal(size=(20, LABELS)) / 4 + rng.normal(size=(rows, LABELS))
    return np.maximum(X, 0).astype(np.float32), margins > 0.4


def method(name: str) -> Any:
    """The classifier with its defaults."""
    return Registry().find("method", name)[0].load()()


def child(name: str, rows: int, features: int) -> int:
    """Measure one size; prints one JSON object."""
    X, Y = problem(rows + TEST, features)
    train, labels, test = X[:rows], Y[:rows], X[rows:]
    method(name).fit(train[:300], labels[:300]).scores_and_labels(test[:10])
    reset_peak_memory()
    before = peak_memory_mb()
    start = time.perf_counter()
    try:
        fitted = method(name).fit(train, labels)
        fit = time.perf_counter() - start
        fitted.scores_and_labels(test)
    except BenchError as error:
        print(json.dumps({"failed": str(error)}))
        return 0
    seconds = time.perf_counter() - start
    found = {"fit": fit, "predict": seconds - fit, "peak": peak_memory_mb() / 1e3}
    print(json.dumps({**found, "extra": (peak_memory_mb() - before) / 1e3}))
    return 0


class Measured:
    """What was found for one method so far: rows, seconds, and GB above what the data took."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.seconds: list[float] = []
        self.extra: list[float] = []
        self.data = 0.0  # GB that the process had before

    def expected(self, values: list[float], rows: int) -> float:
        """What the last two sizes promise for ``rows``; 0 before there are two."""
        if len(values) < 2 or min(values[-2:]) <= 0:
            return 0.0
        return values[-1] * (rows / self.rows[-1]) ** max(self.exponent(values, 2), 1.0)

    def exponent(self, values: list[float], last: int = FITTED) -> float:
        """p of values ~ n^p over the ``last`` sizes, least squares in logarithms; NaN for one."""
        if len(values) < 2 or min(values[-last:]) <= 0:
            return float("nan")
        return float(np.polyfit(np.log(self.rows[-last:]), np.log(values[-last:]), 1)[0])


def attempt(name: str, rows: int, args: argparse.Namespace, left: float) -> dict[str, float] | str:
    """One size in its own process: what `child` found, or why there is nothing."""
    command = [sys.executable, __file__, "--child", name, str(rows), str(args.features)]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=left, check=False)
    except subprocess.TimeoutExpired:
        return f"it did not end in the {left:.0f} s left of {args.seconds:g}"
    if done.returncode:
        return f"its process ended with exit code {done.returncode}"
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return str(found["failed"]) if "failed" in found else found


def scaled(name: str, args: argparse.Namespace) -> None:
    """Print the sizes of one method, its exponents, and why it stopped."""
    so_far, left = Measured(), args.seconds
    stop = "no larger one was asked for"
    print(f"\n{name}\n{'rows':>9} {'fit s':>9} {'predict s':>9} {'peak GB':>8} {'says GB':>8}")
    for rows in (size for size in SIZES if size <= args.largest):
        says = method(name).memory_needed(rows, args.features, LABELS) / 1e9
        memory = so_far.data + so_far.expected(so_far.extra, rows)
        seconds = so_far.expected(so_far.seconds, rows)
        if says > args.max_memory:
            stop = f"{rows:,} rows: it says it needs {says:.3g} GB, more than --max-memory"
        elif memory > args.max_memory:
            stop = f"{rows:,} rows would take {memory:.3g} GB, more than --max-memory"
        elif seconds > left:
            stop = (
                f"{rows:,} rows would take {seconds:.0f} s, {left:.0f} of {args.seconds:g} are left"
            )
        else:
            start = time.perf_counter()
            found = attempt(name, rows, args, left)
            left -= time.perf_counter() - start
            if not isinstance(found, str):
                so_far.rows.append(rows)
                so_far.seconds.append(found["fit"] + found["predict"])
                so_far.extra.append(found["extra"])
                so_far.data = found["peak"] - found["extra"]
                print(f"{rows:>9,} {found['fit']:>9.2f} {found['predict']:>9.2f} ", end="")
                print(f"{found['peak']:>8.2f} {says:>8.2f}", flush=True)
                continue
            stop = f"{rows:,} rows: {found}"
        break
    if len(so_far.rows) > 1:
        p, q = so_far.exponent(so_far.seconds), so_far.exponent(so_far.extra)
        print(
            f"  time ~ n^{p:.2f}, memory ~ n^{q:.2f} ",
            end="",
        )
        print(f"from {so_far.rows[-FITTED:][0]:,} to {so_far.rows[-1]:,} rows")
    print(f"  stopped: {stop}", flush=True)


def main() -> int:
    """Measure and print."""
    if sys.argv[1:2] == ["--child"]:
        return child(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--seconds", type=float, default=600.0, help="for all sizes of a method")
    parser.add_argument("--max-memory", type=float, default=16.0, metavar="GB")
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="number of rows")
    args = parser.parse_args()
    print(f"{args.features} float32 features, {LABELS} labels, {os.cpu_count()} cores, ", end="")
    print(f"{args.seconds:g} s for each method, --max-memory {args.max_memory:g} GB")
    for name in args.methods.split(","):
        scaled(name, args)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
