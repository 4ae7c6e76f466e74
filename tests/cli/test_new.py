"""``bench new`` writes plug-ins that run as they are written."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Bench
from csv_files import read_csv

METHODS = {
    "features": ("tiny", "my-own+nearest"),
    "classifier": ("tiny", "halves+my-own"),
    "network": ("tiny", "my-own,my-own+nearest"),
    "dataset": ("my-own", "alone"),
}


@pytest.mark.parametrize("kind", METHODS)
def test_each_template_runs_as_written(bench: Bench, tiny: Path, tmp_path: Path, kind: str) -> None:
    made = bench("new", kind, "my-own")
    assert made.returncode == 0, made.stderr
    assert "--plugins my_own.py" in made.stdout
    dataset, methods = METHODS[kind]
    files = ("--plugins", tiny, "--plugins", "my_own.py")
    done = bench("run", "--dataset", dataset, "--methods", methods, "--budget", "smoke", *files)
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "here/bench-results/tables").glob("*/cells.csv")
    assert all(row["status"] == "ok" for row in read_csv(path))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("classifier", "mlknn"), "mlknn is taken by"),
        (("classifier", "../evil"), "lower-case letters"),
        (("classifier", "Mine"), "lower-case letters"),
        (("classifier", "mine", "--out", "gone"), "gone"),
    ],
)
def test_wrong_names_are_refused(bench: Bench, words: tuple[str, ...], message: str) -> None:
    done = bench("new", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_is_overwritten(bench: Bench, tmp_path: Path) -> None:
    assert bench("new", "classifier", "mine").returncode == 0
    (tmp_path / "here/mine.py").write_text("kept")
    done = bench("new", "classifier", "mine")
    assert done.returncode == 2
    assert "there already" in done.stderr
    assert (tmp_path / "here/mine.py").read_text() == "kept"
