"""``bench compare`` on records of rendered faces: words, JSON, refusals; nothing is trained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from records import Make, make

from bench.cli.main import main
from bench.publish.rows import rows_of
from bench.run.store import Store

__all__ = ["make"]  # the fixture

METHODS = "prior, hog+mlknn[k=5|10], lbp+mlknn[k=20], hog+rakel[models=2]"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Label sets by three seeds, and one class per image."""
    folder = tmp_path_factory.mktemp("compare") / "results"
    for dataset, methods, seeds in (
        ("synthetic[images=120]", METHODS, "3"),
        ("synthetic-single[images=140]", "prior, hog+linear-svm", "1"),
    ):
        words = ["run", "--dataset", dataset, "--methods", methods, "--seeds", seeds]
        assert main([*words, "--budget", "smoke", "--results", str(folder), "--workers", "1"]) == 0
    return folder


def compare(results: Path, *words: str) -> int:
    return main(["compare", *words, "--results", str(results)])


def test_two_rows(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(results, "hog+mlknn[k=5]", "prior", "--per-label") == 0
    out = capsys.readouterr().out
    first = out.splitlines()[0]
    assert first.startswith(
        "On synthetic[images=120] (SYNTHETIC faces rendered by bench), hog+mlknn"
    )
    assert (
        "hog+mlknn[k=5] is better, and practically so (by more than .01) with probability" in first
    )
    assert "four times in five." in out
    assert "alone gets the whole label set right on" in out
    assert out.count("\n") > 25
    for title in ("Average precision ↑", "Hamming loss ↓", "Macro-AUC ↑", "happiness"):
        assert f"\n{title}" in out
    assert "SYNTHETIC faces rendered by bench" in out.splitlines()[-2]


def test_the_numbers_are_those_of_the_table(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(results, "hog+rakel", "lbp+mlknn", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)["comparisons"]
    assert found["left"]["seeds"] == [0, 1, 2]
    rows = {
        row.cell.classifier: row
        for row in rows_of(Store(results).records())
        if row.cell.kind == "multi" and row.cell.classifier_params.get("k") in (3, 20)
    }
    for one in found["criteria"]:
        for side, name in (("left", "rakel"), ("right", "mlknn")):
            estimate = rows[name].estimate(one["criterion"])
            assert one[side] == (None if estimate is None else estimate.mean)


def test_one_class_per_image(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    single = ["--dataset", "synthetic-single[images=140]"]
    assert compare(results, "hog+linear-svm", "prior", *single, "--per-label") == 0
    out = capsys.readouterr().out
    assert out.startswith("On synthetic-single[images=140]")
    assert "'s accuracy is ." in out.splitlines()[0]
    assert "alone gets the class right on" in out
    assert "\nMean recall ↑" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["hog+mlknn[k=5]"], "hog+mlknn[k=5] alone: name two ROWs"),
        (["hog+mlknn", "prior"], "write one of them so: hog+mlknn[k=5]; hog+mlknn[k=10]"),
        (["hog+mlkn", "prior", "--dataset", "synthetic[images=120]"], "did you mean"),
        (["prior", "prior", "--dataset", "synthetic[images=120]"], "are the same row"),
        (["prior", "lbp+mlknn", "--dataset", "synthetik"], "nothing was run on it here; did you"),
        (["prior", "lbp+mlknn", "--rope", "-1"], "--rope -1.0: a margin from 0 to 1"),
        (["prior", "lbp+mlknn", "--rope", "nan"], "--rope nan: a margin from 0 to 1"),
        (["prior", "lbp+mlknn", "--convention", "mulam"], "did you mean mulan"),
        (["prior", "lbp+mlknn", "--out", "a.png"], "name a file that ends in .svg"),
        (["prior", "lbp+mlknn", "--out", "a.svg"], "at least 10 of them, and here are 1"),
        (["prior", "lbp+mlknn", "hog+mlknn[k=5]"], "at least 10 of them, and here are 1"),
        (["prior", "lbp+mlknn", "--criterion", "accuracy"], "none on label sets"),
        (["prior", "vgg16+mlknn"], "no dataset has all of these rows (prior on synthetic"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    results: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert compare(results, *words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert message in said.err
    assert said.err.count("\n") == 1


def test_without_scores_the_rest_is_there(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = Path(shutil.copytree(results, tmp_path / "copied"))
    for path in copied.glob("runs/*/scores.npz"):
        path.unlink()
    assert compare(copied, "hog+mlknn[k=5]", "prior") == 0
    out = capsys.readouterr().out
    assert "Images are not counted: the scores of cell " in out
    assert "hog+mlknn[k=5] is better" in out


def test_ten_datasets_are_ranked_and_drawn(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "results")
    store.open()
    rng = np.random.default_rng(0)
    for i in range(10):
        values = np.array([0.8, 0.7, 0.4]) + rng.normal(0, 0.01, 3)
        for place, features in enumerate(("hog", "lbp", "id")):
            about = {"dataset": f"d{i}", "fingerprint": f"{i:016d}", "split_hash": f"{i:016d}"}
            store.write(
                make(
                    features,
                    "mlknn",
                    criteria={"average_precision": float(values[place])},
                    key=f"{i:031d}{place}",
                    **about,
                )
            )
    picture = tmp_path / "ranks.svg"
    three = ["hog+mlknn", "lbp+mlknn", "id+mlknn"]
    assert compare(store.root, *three, "--out", str(picture)) == 0
    said = capsys.readouterr()
    assert said.out.startswith("Mean ranks by average precision over 10 datasets, 1 is best: hog+")
    assert "hog+mlknn is better than id+mlknn (p = .00" in said.out
    assert "is the critical-difference diagram" in said.err
    first = picture.read_bytes()
    assert b"id+mlknn (3.00)" in first
    assert compare(store.root, *three, "--json", "--out", str(picture)) == 0
    assert picture.read_bytes() == first
    read = json.loads(capsys.readouterr().out)
    assert (read["comparisons"], read["over_datasets"]["datasets"][9]) == ([], "d9")
    assert compare(store.root, *three, "--dataset", "d1", "--dataset", "d2") == 2
    assert "at least 10 of them, and here are 2" in capsys.readouterr().err
    assert compare(store.root, *three[:2], "--dataset", "d1", "--dataset", "d2") == 0
    said = capsys.readouterr()
    assert "On d1, hog+mlknn's average precision" in said.out
    assert "On d2, " in said.out
    assert "No test over datasets: " in said.err


def test_another_convention(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(results, "hog+rakel", "prior", "--convention", "mulan") == 0
    assert "Criteria by the mulan convention" in capsys.readouterr().out
