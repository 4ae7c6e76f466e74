"""Every command on terminals that know few characters: the same exit codes as on UTF-8."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Bench
from rich.console import Console
from rich.progress import Progress
from runs import plugin_file

from bench.cli.progress import Live
from bench.data.streams import make_readable

WORDS = (
    "--help",
    "run --help",
    "tables --help",
    "paper --help",
    "data align --help",
    "list",
    "list methods",
    "list --json",
    "info ml2",
    "info coverage",
    "info raf-ml",
    "info mf-jle",
    "paper list",
    "paper show mf-jle",
    "info …",
)
# One process for all: starting one for each would take most of the time.
PROGRAM = """
import sys
from bench.cli.main import main
for words in sys.argv[1:]:
    try:
        code = main(words.split())
    except SystemExit as end:
        code = end.code or 0
    print(f"code {code} of {words}")
"""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_every_command_ends_as_on_utf_8(encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *WORDS],
        env={"PYTHONUTF8": "0", "PYTHONIOENCODING": encoding, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        timeout=120,
        check=False,
    )
    out, err = done.stdout.decode(encoding), done.stderr.decode(encoding)
    assert "Traceback" not in err, err
    codes = [line.split()[1] for line in out.splitlines() if line.startswith("code ")]
    assert codes == ["0"] * (len(WORDS) - 1) + ["2"]
    assert "bench: nothing is named '...'" in err or encoding == "cp1252"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_what_a_method_prints_costs_no_cell(
    bench: Bench, tiny: Path, tmp_path: Path, encoding: str
) -> None:
    done = bench(
        *("run", "--dataset", "tiny", "--methods", "halves+loud", "--workers", 1),
        *("--plugins", tiny, "--plugins", plugin_file("loud", tmp_path)),
        PYTHONUTF8="0",
        PYTHONIOENCODING=encoding,
    )
    assert done.returncode == 0, done.stderr
    log = (tmp_path / "here/bench-results/worker.log").read_bytes().decode(encoding)
    assert log.count(r"\u8868\u60c5") == 2
    assert log.count(r"\udcff") == 2


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_bars_are_drawn(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    behind = io.BytesIO()
    stream = io.TextIOWrapper(behind, encoding=encoding, write_through=True)
    monkeypatch.setattr(sys, "stderr", stream)
    make_readable()
    with Progress(console=Console(file=stream, force_terminal=True, width=60)) as bars:
        live = Live(bars)
        live.progressed("網 λ…", 3, 10, "iterations")
        live.said("a × b …")
    assert "iterations" in behind.getvalue().decode(encoding)
