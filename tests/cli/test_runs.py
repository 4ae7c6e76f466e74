"""``bench runs``: what a results folder holds is listed, and removed only where somebody agrees."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from commands import Bench
from runs import plugin_file, run_plan

from bench.cli import terminal
from bench.cli.main import main
from bench.plugins import Registry
from bench.run.options import RunOptions
from bench.run.plan import make_plan
from bench.run.store import Store

METHODS = "halves+nearest[wait=0|0.001],halves[scale=2]+dice,centred+dice,alone,net,halves+raises"


@pytest.fixture
def filled(tiny: Path, broken: Path, store: Store) -> Store:
    """Eleven records in a results folder, one of them of a failure."""
    options = RunOptions("tiny", METHODS, seeds=2, budget="smoke")
    run_plan(make_plan(Registry([tiny, broken]), options), store)
    return store


def runs(store: Store, *words: str) -> int:
    return main(["runs", *words, "--results", str(store.root)])


def names(store: Store) -> list[str]:
    return sorted(
        f"{record.cell.features}+{record.cell.classifier}/{record.cell.seed}"
        for record in store.records()
    )


def test_each_record_has_a_line(filled: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert runs(filled, "list") == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["key", "status", "dataset", "split", "method", "seed", "reason"]
    assert len(lines) == len(filled.records())
    fields = [line.split() for line in lines]
    assert {line[0] for line in fields} == {record.key[:8] for record in filled.records()}
    assert sum(line[1] == "error" for line in fields) == 1
    assert runs(filled, "list", "--failed") == 0
    (line,) = capsys.readouterr().out.splitlines()[1:]
    assert line.split()[1:5] == ["error", "tiny", "official", "halves[scale=1.0]+raises"]
    assert "raises failed in fit: RuntimeError" in line


@pytest.mark.parametrize(
    ("words", "left_out"),
    [
        (["halves+nearest"], ["halves+nearest/0"] * 2),
        (["halves+nearest[wait=0.001]"], ["halves+nearest/0"]),
        (["halves[scale=1.0] + nearest[wait=0.001]"], ["halves+nearest/0"]),  # as tables name it
        (["alone", "net"], ["None+alone/0", "net+None/0", "net+None/1"]),
        (["all+dice"], ["centred+dice/0", "centred+dice/1", "halves+dice/0", "halves+dice/1"]),
        (["centred+dice", "--seed", "1"], ["centred+dice/1"]),
        (["--failed"], ["halves+raises/0"]),
        (["--failed", "--dataset", "tiny"], ["halves+raises/0"]),
    ],
)
def test_what_is_named_is_removed_and_nothing_else(
    filled: Store, words: list[str], left_out: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before, everything = names(filled), set(filled.root.rglob("*"))
    assert runs(filled, "rm", *words, "--yes") == 0
    said = capsys.readouterr()
    assert [line.startswith("removed: ") for line in said.out.splitlines()] == [True] * len(
        left_out
    )
    assert sorted(names(filled) + left_out) == before
    gone = everything - set(filled.root.rglob("*"))
    assert {path.parent.parent.name for path in gone if path.suffix} == {"runs"}
    assert {path.name for path in gone if path.suffix} <= {"record.json", "scores.npz"}
    # The index knows no more than the folder: a run measures the cells again.
    assert len(filled._indexed()) == len(filled.records())


def test_a_key_or_its_beginning_names_one(filled: Store) -> None:
    first, second, *others = (record.key for record in filled.records())
    assert runs(filled, "rm", first, second[:8], "--yes") == 0
    assert [record.key for record in filled.records()] == others


def test_a_damaged_record_goes_by_its_key(
    filled: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    key, *others = (record.key for record in filled.records())
    (filled.runs / key / "record.json").write_text("{")
    assert runs(filled, "list") == 0
    assert f"{key}: damaged" in capsys.readouterr().err
    assert runs(filled, "rm", key, "--yes") == 0
    assert [record.key for record in filled.records()] == others


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "bench runs rm removes what is named"),
        (["halves+nearst"], "did you mean halves[scale=1.0]+nearest"),
        (["halves+nearest[wait=7]"], "no record is named"),
        (["0123456789abcdef"], "no record is named"),
        (["alone", "--dataset", "raf-ml"], "no record is like that"),
        (["alone"], "1 records would be removed: say so with --yes"),
        (["alone["], "a [ is not closed"),
    ],
)
def test_a_wrong_word_removes_nothing(
    filled: Store, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = names(filled)
    assert runs(filled, "rm", *words) == 2
    assert message in capsys.readouterr().err
    assert names(filled) == before


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 1), ("\n", 1), ("", 1)])
def test_a_terminal_is_asked(
    filled: Store, monkeypatch: pytest.MonkeyPatch, answer: str, left: int
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(terminal.sys, "stderr", shown := Terminal())
    assert runs(filled, "rm", "alone") == 0
    assert "Remove this 1? [y/N]" in shown.getvalue()
    assert names(filled).count("None+alone/0") == left


def test_no_folder_of_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "list", "--results", str(tmp_path / "none")]) == 2
    assert "is no results folder" in capsys.readouterr().err


def test_hours_of_training_are_not_begun_unasked(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    """``net`` says that it takes ten hours at ``paper``."""
    words = ("run", "--dataset", "tiny", "--methods", "net,halves+nearest", "--plugins", tiny)
    config = tmp_path / "run.toml"
    config.write_text('budget = "paper"\n')
    refused = bench(*words, "--workers", 1)
    assert refused.returncode == 2
    assert "bench: training may take about 10 h at --budget paper on this machine" in refused.stderr
    assert "--budget paper or --yes" in refused.stderr
    assert not list((tmp_path / "here/bench-results/runs").iterdir())
    for more in (("--yes",), ("--budget", "paper"), ("--config", config)):
        done = bench(*words, "--results", f"r{more[0]}", *more)
        assert done.returncode == 0, done.stderr
    # What is trained already costs nothing more.
    assert bench(*words, "--results", "r--yes").returncode == 0


def test_what_is_cheap_runs_first(bench: Bench, tiny: Path) -> None:
    done = bench(
        *("run", "--dataset", "tiny", "--methods", "net,halves+slow,halves+quick,halves+nearest"),
        *("--plugins", tiny, "--plugins", plugin_file("priced", tiny.parent), "--workers", 1),
        *("--budget", "paper"),
    )
    assert done.returncode == 0, done.stderr
    ended = [line.split()[1].rstrip(",:") for line in done.stderr.splitlines() if line[:1] == "["]
    assert ended.index("halves+quick") < ended.index("halves+nearest")  # of unknown cost
    assert ended.index("halves+nearest") < ended.index("halves+slow") < ended.index("net")
