"""``bench run --tune`` as a user meets it: one row, its footnote, resume, a dry run, sentences."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cells import comparable
from commands import Bench
from csv_files import read_csv

TUNED = ("--dataset", "tiny", "--methods", "halves+nearest[wait=0.01|0.02],alone", "--tune", "wait")


def rows(results: Path, name: str = "cells.csv") -> list[dict[str, str]]:
    return read_csv(results / "tables/tiny" / name)


def test_a_tuned_method_is_one_row_that_says_so(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    words = ("run", *TUNED, "--inner", "cv3", "--protocol", "cv2", "--plugins", tiny)
    plan = bench(*words, "--dry-run")
    assert plan.returncode == 0, plan.stderr
    assert "halves+nearest[wait=0.02], fold2 inner fold3" in plan.stdout
    assert "halves+nearest[wait=0.01], fold2 (or another of 2)" in plan.stdout
    assert "4 cells, 4 to measure, after 12 inner cells, 12 to measure" in plan.stdout
    results = tmp_path / "here/bench-results"
    assert not results.exists()

    done = bench(*words)
    assert done.returncode == 0, done.stderr
    assert "tiny, cv2, inner cv3: 12 cells, 0 finished already" in done.stderr
    alone, *tuned = sorted(rows(results, "summary.csv"), key=lambda row: row["classifier"])
    (tuned,) = tuned
    assert (alone["n_cells"], tuned["n_cells"], tuned["n_folds"]) == ("2", "2", "2")
    assert json.loads(tuned["params"])["classifier"] == {"wait": "tuned"}
    cells = [row for row in rows(results) if row["classifier"] == "nearest"]
    params = [json.loads(row["params"]) for row in cells]
    assert [one["classifier"]["wait"] for one in params] == [0.01, 0.01]
    assert params[0]["tuned"]["classifier"] == {"wait": [0.01, 0.02]}
    assert "wait=0.01 chosen among 2 by inner cv3 on the 30 training rows" in cells[0]["notes"]
    table = (results / "tables/tiny/table.md").read_text(encoding="utf-8")
    assert "nearest\\[wait=tuned\\]" in table
    assert "wait (0.01\\|0.02) chosen by average precision in inner cv3 on train" in table
    assert "inner fold" not in table

    again = bench(*words)
    assert "4 cells, 4 finished already" in again.stderr
    assert "4 cells, 0 to measure, after 12 inner" in bench(*words, "--dry-run").stdout
    inside = bench("tables", "--results", results / "tuning", "--out", "looked-at")
    assert inside.returncode == 0, inside.stderr
    assert "protocol cv2, inner cv3" in (tmp_path / "here/looked-at/tiny/table.md").read_text()


def test_a_run_file_may_say_it(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text(
        'dataset = "tiny"\nmethods = "halves+nearest[wait=0|0.001]"\nplugins = ["tiny.py"]\n'
        'tune = "wait"\ninner = "holdout-80-20"\ntune_by = "micro_f1"\n'
    )
    done = bench("run", "--config", config)
    assert done.returncode == 0, done.stderr
    (cell,) = rows(tmp_path / "here/bench-results")
    assert "chosen among 2 by inner holdout-80-20" in cell["notes"]
    assert ": micro_f1 0." in cell["notes"]


def test_killed_while_it_chooses_it_goes_on_and_ends_the_same(tiny: Path, tmp_path: Path) -> None:
    methods = "centred+nearest[wait=0.3|0.2],net+nearest[wait=0.2]"

    def command(results: Path) -> list[str]:
        words = ["run", "--dataset", "tiny", "--plugins", str(tiny), "--methods", methods]
        words += [
            "--yes",
            "--tune",
            "wait",
            "--inner",
            "cv3",
            "--seeds",
            "2",
            "--results",
            str(results),
        ]
        return [sys.executable, "-m", "bench", *words]

    def tables(results: Path) -> dict[str, str]:
        texts = {path.name: path.read_text() for path in (results / "tables/tiny").iterdir()}
        return {**texts, "cells.csv": comparable(texts["cells.csv"])}

    subprocess.run(command(tmp_path / "whole"), check=True, capture_output=True, timeout=120)
    results = tmp_path / "killed"
    running = subprocess.Popen(command(results), stderr=subprocess.DEVNULL)
    while len(list(results.glob("tuning/runs/*/record.json"))) < 3:
        assert running.poll() is None
        time.sleep(0.05)
    running.kill()
    running.wait()
    before = len(list(results.glob("tuning/runs/*/record.json")))
    assert before < 12
    done = subprocess.run(command(results), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert f"12 cells, {before} finished already" in done.stderr
    assert tables(results) == tables(tmp_path / "whole")
    assert not list(results.rglob(".*.tmp"))


def test_without_any_candidate_the_exit_code_is_1(
    bench: Bench,
    tiny: Path,
    broken: Path,
    tmp_path: Path,
) -> None:
    broken.write_text(
        broken.read_text()
        .replace("import Classifier,", "import Classifier, param,")
        .replace('name = "raises"', 'name = "raises"\n    k: int = param(1)')
    )
    words = ("--dataset", "tiny", "--methods", "halves+raises[k=1|2]", "--tune", "k")
    done = bench("run", *words, "--plugins", tiny, "--plugins", broken)
    assert done.returncode == 1, done.stderr
    assert "error: halves+raises (official): none of 2 candidates could be measured" in done.stderr
    assert "Traceback" not in done.stderr
    assert [row["status"] for row in rows(tmp_path / "here/bench-results")] == ["error"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--tune", "wai"), "--tune 'wai': no method sweeps it (did you mean wait?)"),
        (("--inner", "cv5"), "--inner cv5 needs --tune"),
        (("--tune", "wait", "--inner", "loo"), "--inner loo: no such protocol"),
        (("--tune", "wait", "--tune-by", "accuracy"), "not for multi-label data"),
    ],
)
def test_a_wrong_command_is_one_sentence_and_exit_code_2(
    bench: Bench,
    tiny: Path,
    words: tuple[str, ...],
    message: str,
) -> None:
    done = bench("run", *TUNED[:4], *words, "--plugins", tiny)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
