"""``bench list`` and ``bench info``."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Bench
from runs import PLUGINS

from bench.plugins import Registry
from bench.score.criteria import CRITERIA
from bench.score.distribution import DISTRIBUTION_CRITERIA


@pytest.mark.parametrize(
    "name", ["mlknn", "lbp", "raf-ml", "mulan:yeast", "mulan:", "coverage", "clark"]
)
def test_info_tells_reference_and_parameters(bench: Bench, name: str) -> None:
    done = bench("info", name)
    assert done.returncode == 0, done.stderr
    if name == "mlknn":
        assert "Pattern Recognition 40 (2007)" in done.stdout
        assert "k" in done.stdout.split("parameters")[1]
    if name == "raf-ml":
        assert "obtain:" in done.stdout
    if name == "clark":
        assert "a label with d = p = 0 adds 0" in done.stdout
    if name == "coverage":
        assert "matlab: the later column ranks first" in done.stdout


def test_info_on_an_unknown_name_lists_near_ones(bench: Bench) -> None:
    done = bench("info", "mlkn")
    assert done.returncode == 2
    assert "did you mean mlknn" in done.stderr


def test_list_shows_states(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "needy.py").write_text(
        "import surely_not_installed\nfrom bench.api import Features\n\n\n"
        "class Needy(Features):\n    name = 'needy'\n"
    )
    (tmp_path / "odd.py").write_text("def (:\n")
    done = bench("list", "--plugins", tmp_path / "needy.py", "--plugins", tmp_path / "odd.py")
    assert done.returncode == 0, done.stderr
    assert "needs: pip install surely_not_installed" in done.stdout
    assert "odd.py:1" in done.stdout
    for name in (
        *Registry().methods,
        *Registry().datasets,
        *(c.name for c in (*CRITERIA, *DISTRIBUTION_CRITERIA)),
    ):
        assert name in done.stdout


def test_a_reader_that_goes_away_is_no_error(bench: Bench, tmp_path: Path) -> None:
    import subprocess
    import sys

    done = subprocess.run(
        f"{sys.executable} -m bench list | true; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_a_networks_schedules_are_shown(bench: Bench) -> None:
    done = bench("info", "base-dcnn")
    assert done.returncode == 0, done.stderr
    (paper,) = (line for line in done.stdout.splitlines() if line.startswith("  paper: "))
    assert "iterations=20000" in paper
    assert "SGD(lr=0.01" in paper


def test_parameters_are_those_of_the_class_and_its_bases(bench: Bench) -> None:
    done = bench("info", "weighted", "--plugins", PLUGINS / "inheriting.py")
    assert done.returncode == 0, done.stderr
    names = [line.split()[0] for line in done.stdout.split("parameters\n")[1].splitlines()]
    assert names == [*Registry().methods["mlknn"].load().params, "weight"]
