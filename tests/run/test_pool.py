"""Worker processes: results, failures, hard time limits, deaths."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tasks import add, alone, count_up, die, fail, hang, threads, whoami

from bench.run.pool import Outcome, Pool, Task


def collect(pool: Pool, tasks: list[Task]) -> dict[str, Outcome]:
    for task in tasks:
        pool.submit(task)
    try:
        return {str(outcome.task.name): outcome for outcome in pool.outcomes()}
    finally:
        pool.close()


@pytest.mark.parametrize("size", [0, 2])
def test_results_and_failures_come_back(tmp_path: Path, size: int) -> None:
    tasks = [Task(f"sum{i}", add, (i, i)) for i in range(5)] + [Task("bad", fail, ())]
    found = collect(Pool(size, tmp_path / "log", 30), tasks)
    assert [found[f"sum{i}"].value for i in range(5)] == [0, 2, 4, 6, 8]
    assert found["bad"].status == "failed"
    assert found["bad"].value.kind == "fault"
    assert found["bad"].value.sentence == "ValueError: as asked"
    assert 'raise ValueError("as asked")' in found["bad"].value.traceback


def test_a_hanging_task_is_ended_and_the_rest_goes_on(tmp_path: Path) -> None:
    tasks = [Task("hang", hang, (False,)), Task("sum", add, (1, 1)), Task("more", add, (2, 2))]
    started = time.monotonic()
    found = collect(Pool(1, tmp_path / "log", 3), tasks)
    assert found["hang"].status == "timeout"
    assert found["sum"].value == 2
    assert found["more"].value == 4
    assert time.monotonic() - started < 60


def test_a_task_that_ignores_termination_is_killed(tmp_path: Path) -> None:
    found = collect(Pool(1, tmp_path / "log", 2), [Task("hang", hang, (True,))])
    assert found["hang"].status == "timeout"


def test_a_dead_worker_is_replaced(tmp_path: Path) -> None:
    found = collect(
        Pool(1, tmp_path / "log", 30), [Task("die", die, (7,)), Task("sum", add, (1, 1))]
    )
    assert (found["die"].status, found["die"].value) == ("died", 7)
    assert found["sum"].value == 2


def test_a_worker_serves_many_tasks_and_its_threads_are_capped(tmp_path: Path) -> None:
    tasks = [Task(str(i), whoami, ()) for i in range(4)] + [Task("threads", threads, ())]
    found = collect(Pool(1, tmp_path / "log", 30, threads=1), tasks)
    assert len({found[str(i)].value for i in range(4)}) == 1
    assert found["threads"].value == "1"
    assert os.environ.get("OMP_NUM_THREADS") != "0"


def test_tasks_may_be_submitted_while_others_run(tmp_path: Path) -> None:
    pool = Pool(1, tmp_path / "log", 30)
    pool.submit(Task(0, add, (0, 1)))
    seen = []
    for outcome in pool.outcomes():
        assert outcome.status == "done"
        seen.append(outcome.value)
        if outcome.value < 3:
            pool.submit(Task(outcome.value, add, (outcome.value, 1)))
    pool.close()
    assert seen == [1, 2, 3]


def test_workers_end_with_their_coordinator(tmp_path: Path) -> None:
    script = tmp_path / "coordinator.py"
    script.write_text(
        "import time, sys\nfrom pathlib import Path\nfrom bench.run.pool import Pool, Task\n"
        "if __name__ == '__main__':\n"
        "    pool = Pool(1, Path('log'), 600)\n"
        "    pool.submit(Task('x', time.sleep, (600,)))\n"
        "    pool._feed()\n"
        "    print(pool._workers[0].process.pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    running = subprocess.Popen(
        [sys.executable, script], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    worker = int(running.stdout.readline())
    running.kill()
    running.wait()
    for _ in range(100):
        if not Path(f"/proc/{worker}").exists() or "Z" in Path(f"/proc/{worker}/stat").read_text():
            break
        time.sleep(0.1)
    else:
        os.kill(worker, signal.SIGKILL)
        pytest.fail("the worker outlived its coordinator")
    running.stdout.close()


def test_a_task_tells_how_far_it_is_and_goes_on(tmp_path: Path) -> None:
    pool = Pool(1, tmp_path / "log", 30)
    pool.submit(Task("count", count_up, (3,)))
    try:
        heard = [(outcome.status, outcome.value) for outcome in pool.outcomes()]
    finally:
        pool.close()
    told = [("progress", (done, 3, "steps")) for done in (1, 2, 3)]
    assert heard == [*told, ("done", 3)]


def test_tasks_that_share_a_resource_run_one_at_a_time_and_others_beside_them(
    tmp_path: Path,
) -> None:
    tasks = [Task(f"gpu{i}", alone, (tmp_path,), "cuda") for i in range(3)]
    tasks += [Task(f"sum{i}", add, (i, i)) for i in range(3)]
    pool = Pool(2, tmp_path / "log", 30)
    for task in tasks:
        pool.submit(task)
    try:
        order = list(pool.outcomes())
    finally:
        pool.close()
    assert all(outcome.status == "done" for outcome in order), [o.value for o in order]
    names = [str(outcome.task.name) for outcome in order]
    assert names.index("sum2") < names.index("gpu2")
