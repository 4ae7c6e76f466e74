"""``bench data make``: a RAF-ML-shaped folder that the loader reads, and that says what it is."""

from __future__ import annotations

import json
from pathlib import Path

from commands import Bench
from csv_files import read_csv


def test_the_synthetic_twin_of_raf_ml_runs_and_every_row_says_synthetic(
    bench: Bench, tmp_path: Path
) -> None:
    made = bench("data", "make", "synthetic", "--layout", "raf-ml", "--images", 60, "--out", "twin")
    assert made.returncode == 0, made.stderr
    twin = tmp_path / "here/twin"
    assert json.loads((twin / "SYNTHETIC.json").read_text())
    done = bench(
        "run", "--dataset", "raf-ml", "--root", "twin", "--methods", "hog+mlknn[k=5],prior"
    )
    assert done.returncode == 0, done.stderr
    tables = tmp_path / "here/bench-results/tables/raf-ml"
    rows = read_csv(tables / "cells.csv")
    assert [row["synthetic"] for row in rows] == ["true", "true"]
    for name in ("table.md", "table.tex", "summary.csv"):
        assert "synthetic" in (tables / name).read_text().lower()
    (twin / "SYNTHETIC.json").unlink()  # the images themselves still say so
    again = bench("run", "--dataset", "raf-ml", "--root", "twin", "--methods", "prior")
    assert again.returncode == 0, again.stderr
    assert {row["synthetic"] for row in read_csv(tables / "cells.csv")} == {"true"}


def test_what_cannot_be_made_is_one_sentence(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here/full").mkdir()
    (tmp_path / "here/full/file").write_text("mine")
    for words, message in (
        (("raf-ml", "--out", "x"), "not made by bench"),
        (("synthetic", "--layout", "raf", "--out", "x"), "raf-ml"),
        (("synthetic", "--images", "0", "--out", "x"), "images"),
        (("synthetic", "--images", "20", "--out", "full"), "full"),
        (("synthetik", "--out", "x"), "did you mean synthetic"),
    ):
        done = bench("data", "make", *words)
        assert done.returncode == 2, done.stderr
        assert message in done.stderr
        assert "Traceback" not in done.stderr
    assert (tmp_path / "here/full/file").read_text() == "mine"


def test_rendered_people_can_be_written_but_not_measured(bench: Bench, tmp_path: Path) -> None:
    words = ("synthetic-people[identities=3]", "--layout", "people", "--images", "9")
    made = bench("data", "make", *words, "--out", "people")
    assert made.returncode == 0, made.stderr
    people = tmp_path / "here/people"
    assert [path.name for path in sorted(people.iterdir())] == [
        "SYNTHETIC.json",
        *("person-001", "person-002", "person-003"),
    ]
    done = bench("run", "--dataset", "people", "--root", "people", "--methods", "prior")
    assert done.returncode == 2
    assert "people says who is seen and has no expression labels" in done.stderr
    assert done.stderr.count("\n") == 1
    listed = bench("list", "datasets")
    assert "people-label" not in listed.stdout
