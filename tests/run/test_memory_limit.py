"""`--max-memory`: what says it needs more is not started, and says so in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from builtin import method_class
from commands import Bench
from runs import plugin_file, records_of

from bench.api import Classifier
from bench.plugins import Registry
from bench.run.memory import machine_memory
from bench.run.options import RunOptions
from bench.run.plan import make_plan
from bench.run.record import Record
from bench.run.store import Store

NEEDED = 12_960  # bytes that `hungry` asks for


@pytest.fixture
def hungry(tmp_path: Path) -> Path:
    return plugin_file("hungry", tmp_path)


def measured(tiny: Path, hungry: Path, methods: str, **limits: float) -> list[Record]:
    plan = make_plan(Registry([tiny, hungry]), RunOptions("tiny", methods))
    return records_of(plan, Store(hungry.with_name("results")), **limits)


def test_a_method_that_needs_more_is_not_started(tiny: Path, hungry: Path) -> None:
    methods = "halves+hungry,halves+nearest"
    refused, other = measured(tiny, hungry, methods, max_memory=NEEDED - 1)
    assert other.status == "ok"
    assert refused.status == "error"
    assert refused.reason.startswith("hungry needs 1.3e-05 GB for 36 training rows")
    assert "--max-memory" in refused.reason
    assert not hungry.with_name("started").exists()


def test_as_much_as_allowed_is_enough_and_the_limit_is_not_in_the_key(
    tiny: Path, hungry: Path
) -> None:
    (refused,) = measured(tiny, hungry, "halves+hungry", max_memory=1)
    (allowed,) = measured(tiny, hungry, "halves+hungry", max_memory=NEEDED)
    assert (refused.status, allowed.status) == ("error", "ok")
    assert refused.key == allowed.key
    (again,) = measured(tiny, hungry, "halves+hungry", max_memory=1)
    assert again == allowed


def test_a_method_that_cannot_tell_fails_in_one_sentence(tiny: Path, hungry: Path) -> None:
    (record,) = measured(tiny, hungry, "halves+confused")
    assert record.reason == "confused failed in memory_needed: ValueError: how many?"


def test_the_command_line_sets_the_limit(bench: Bench, tiny: Path, hungry: Path) -> None:
    words = ("run", "--dataset", "tiny", "--methods", "halves+hungry")
    files = ("--plugins", tiny, "--plugins", hungry)
    done = bench(*words, *files, "--max-memory", "0.01 mb")
    assert done.returncode == 1
    assert "hungry needs 1.3e-05 GB for 36 training rows and may take 1e-05 GB" in done.stderr
    done = bench(*words, *files)  # a machine that runs this has more
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("written", ["8", "much", "0GB", "-1GB", "8GiB"])
def test_a_limit_that_cannot_be_read_is_one_sentence(
    bench: Bench, tiny: Path, written: str
) -> None:
    words = ("run", "--dataset", "tiny", "--methods", "alone", "--plugins", tiny)
    done = bench(*words, f"--max-memory={written}")
    assert done.returncode == 2
    assert done.stderr.strip().endswith(f"--max-memory {written}: write 500MB or 8GB")


def test_a_run_file_may_hold_the_limit(bench: Bench, tiny: Path, hungry: Path) -> None:
    config = hungry.with_name("run.toml")
    config.write_text(
        'dataset = "tiny"\nmethods = "halves+hungry"\nmax_memory = "0.01MB"\n'
        'plugins = ["tiny.py", "hungry.py"]\n'
    )
    done = bench("run", "--config", config)
    assert done.returncode == 1
    assert "may take 1e-05 GB" in done.stderr


def test_the_machine_has_memory() -> None:
    assert 1e8 < machine_memory() < 1e15


@pytest.mark.parametrize("name", ["lift", "ml-loc", "ml2", "linear-svm"])
def test_what_holds_a_matrix_of_all_pairs_says_so(name: str) -> None:
    method = method_class(name)
    assert issubclass(method, Classifier)
    needed = method().memory_needed(100_000, 10, 6)
    assert needed >= 4e10
    assert method().memory_needed(200_000, 10, 6) == pytest.approx(4 * needed, rel=0.01)
    assert method().memory_needed(1000, 2000, 6) > method().memory_needed(1000, 1000, 6)
    assert " n²" in (method.__doc__ or "") or "n × n" in (method.__doc__ or "")


@pytest.mark.parametrize("name", ["mlknn", "rakel", "clr", "br", "prior"])
def test_what_grows_with_the_data_only_says_nothing(name: str) -> None:
    method = method_class(name)
    assert issubclass(method, Classifier)
    assert method().memory_needed(100_000, 10, 6) == 0
