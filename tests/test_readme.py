"""The README's commands, lists and example are real."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.cli.main import main, parser
from bench.plugins import Registry

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHELL = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
COMMANDS = [line for block in SHELL for line in block.splitlines()]
EXAMPLE = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_two_commands_make_their_environment_themselves() -> None:
    starts = [line for line in COMMANDS if line.startswith("python3 -m venv .venv && ")]
    assert starts == COMMANDS[:2]
    assert [block.count("\n") for block in SHELL[:2]] == [1, 1]
    assert starts[0].endswith("--dataset synthetic --methods all --budget smoke")
    assert starts[1].endswith("&& .venv/bin/tox")


def test_ci_runs_the_test_command_word_for_word() -> None:
    script = ROOT / ".ci" / "run"
    assert COMMANDS[1] in script.read_text(encoding="utf-8").splitlines()
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize(
    "line", [line for line in COMMANDS if "bench run" in line or line[:5] == "bench"]
)
def test_bench_commands_parse(line: str) -> None:
    words = shlex.split(line.rpartition("&& ")[2], comments=True)
    assert Path(words[0]).name == "bench"
    assert parser().parse_args(words[1:]).command == words[1]


@pytest.mark.parametrize("table", ["datasets", "methods"])
def test_lists_name_every_plugin(table: str) -> None:
    registry = Registry()
    entries = getattr(registry, table).values()
    names = {e.name + ("NAME" if e.name.endswith(":") else "") for e in entries if e.builtin}
    heading = f"| {table[:-1]} |"
    (block,) = (part for part in README.split("\n\n") if part.startswith(heading))
    assert set(re.findall(r"^\| `(.+?)` \|", block, re.MULTILINE)) == names


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_example_runs_as_written(tmp_path: Path) -> None:
    (code,) = EXAMPLE
    (tmp_path / "label_centroids.py").write_text(code, encoding="utf-8")
    (line,) = (line for line in COMMANDS if "label_centroids.py" in line)
    words = shlex.split(line.replace("synthetic", "synthetic[images=200]"))
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (cells,) = tmp_path.glob("bench-results/tables/*/cells.csv")
    rows = cells.read_text(encoding="utf-8").splitlines()[1:]
    assert len(rows) == 2
    assert all(",ok," in row for row in rows)


def test_example_agrees_with_distances_taken_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "label_centroids.py"
    path.write_text(EXAMPLE[0], encoding="utf-8")
    method = Registry([path]).methods["label-centroids"].load()(shrink=0.0)
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(30, 4)), rng.random((30, 3)) < 0.4
    scores = method.fit(X, Y).scores(X)  # type: ignore[attr-defined]
    for i, x in enumerate(X):
        for label, members in enumerate(Y.T):
            far = ((x - X[~members].mean(axis=0)) ** 2).sum()
            near = ((x - X[members].mean(axis=0)) ** 2).sum()
            assert scores[i, label] == pytest.approx(far - near)


def test_help_lists_only_commands_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    named = set(re.findall(r"`bench (\w+)", README))
    assert named - set(re.findall(r"^    (\w+)", capsys.readouterr().out, re.MULTILINE)) == set()
