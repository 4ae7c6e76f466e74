"""The same work for each label, on several threads.

For work that holds no interpreter lock (compiled kernels, BLAS, scikit-learn's trees): other work
would only wait in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_info, threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")


def threads() -> int:
    """Threads that BLAS may use in this process."""
    pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return max(pools, default=1)


def in_threads(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """``[function(item) for item in items]``, on as many threads as BLAS may use.

    BLAS itself keeps to one thread in each of them, so that the sums inside do not depend on the
    number of threads.
    """
    workers = threads()
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(workers) as executor:
        return list(executor.map(function, items))
