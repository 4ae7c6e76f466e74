"""The same work for each label, on several threads; for what lets others run meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_info, threadpool_limits

Given = TypeVar("Given")
Made = TypeVar("Made")


def threads() -> int:
    """Threads that BLAS may use in this process."""
    pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return max(pools, default=1)


def in_threads(function: Callable[[Given], Made], work: Sequence[Given]) -> list[Made]:
    """``[function(one) for one in work]``, on as many threads as BLAS may use.

    BLAS itself keeps to one thread in each of them, so that the sums inside do not depend on how
    many there are.
    """
    workers = threads()
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(workers) as executor:
        return list(executor.map(function, work))
