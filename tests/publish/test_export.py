"""Exported scores recount to the committed criteria without bench, and hold no truth."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.cli.main import main

SCRIPT = Path(__file__).resolve().parents[2] / "results" / "recount.py"
METHODS = "prior, prior[predicts=nothing], hog+mlknn[k=5], lbp+lift, hog+clr[base=cart]"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scores of label sets and of one class per image, with their truth beside them."""
    root = tmp_path_factory.mktemp("export")
    for dataset, methods in (
        ("synthetic[images=90]", METHODS),
        ("synthetic-single[images=140]", "prior, hog+linear-svm"),
    ):
        words = ["run", "--dataset", dataset, "--methods", methods, "--budget", "smoke"]
        assert main([*words, "--results", str(root / "results"), "--workers", "1"]) == 0
        out = root / f"{dataset.partition('[')[0]}.csv"
        assert main(["data", "truth", "--dataset", dataset, "--out", str(out)]) == 0
    words = ["tables", "--results", str(root / "results"), "--export-scores", str(root / "scores")]
    assert main(words) == 0
    return root


def recount(root: Path, kind: str) -> subprocess.CompletedProcess[str]:
    (scores,) = (root / "scores").glob(f"{kind}-images*")
    # -I: neither this folder nor the environment's variables; a package bench would not be found
    words = [sys.executable, "-I", str(SCRIPT), str(scores), str(root / f"{kind}.csv")]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("kind", "message"),
    [("synthetic", "5 cells, 45 numbers, 0 differ"), ("synthetic-single", "2 cells, 4 numbers")],
)
def test_the_recount_agrees(exported: Path, kind: str, message: str) -> None:
    done = recount(exported, kind)
    assert (done.returncode, done.stderr) == (0, "")
    assert message in done.stdout


@pytest.mark.parametrize("changed", ["scores", "labels", "criteria"])
def test_a_change_is_named(exported: Path, tmp_path: Path, changed: str) -> None:
    (folder,) = (exported / "scores").glob("synthetic-images*")
    copied = tmp_path / "scores" / folder.name
    copied.mkdir(parents=True)
    for path in folder.iterdir():
        (copied / path.name).write_bytes(path.read_bytes())
    (tmp_path / "synthetic.csv").write_bytes((exported / "synthetic.csv").read_bytes())
    index = json.loads((copied / "index.json").read_text("utf-8"))
    cell = next(one for one in index if "mlknn" in one["method"])
    if changed == "criteria":
        cell["criteria"]["coverage"] += 1e-6
        (copied / "index.json").write_text(json.dumps(index), "utf-8")
    else:
        path = copied / f"{cell['key']}.npz"
        with np.load(path) as kept:
            arrays = dict(kept)
        arrays[changed] = arrays[changed][::-1]
        np.savez(path, **arrays)
    done = recount(tmp_path, "synthetic")
    assert done.returncode == 1
    assert cell["key"] in done.stdout
    assert done.stdout.count(cell["key"]) == len(done.stdout.splitlines()) - 1


def test_no_truth_is_exported(exported: Path) -> None:
    for path in (exported / "scores").rglob("*.npz"):
        with np.load(path) as kept:
            assert set(kept) <= {"ids", "label_names", "scores", "labels"}


def test_the_script_is_short_and_stands_alone() -> None:
    text = SCRIPT.read_text("utf-8")
    assert len(text.splitlines()) <= 60
    imports = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([one.name for one in node.names] if isinstance(node, ast.Import) else [])
        + ([node.module] if isinstance(node, ast.ImportFrom) and node.module else [])
    }
    assert imports == {"csv", "json", "sys", "pathlib", "numpy", "sklearn"}
