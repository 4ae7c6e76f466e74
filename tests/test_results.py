"""The committed tables are what the committed records say, to the byte."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import shared
from csv_files import read_csv

from bench.cli.main import main
from bench.publish import tables
from bench.run.store import Store

RESULTS = Path(__file__).resolve().parents[1] / "results"
SCORES = sorted(path.parent for path in (RESULTS / "scores").glob("*/index.json"))


def test_the_committed_tables_come_from_the_committed_records(tmp_path: Path) -> None:
    written = tables.write(Store(RESULTS / "records").records(), tmp_path)
    assert written
    for path in written:
        committed = RESULTS / "tables" / path.relative_to(tmp_path)
        assert committed.read_bytes() == path.read_bytes(), committed
    names = {path.relative_to(tmp_path) for path in written}
    stray = [
        p
        for p in (RESULTS / "tables").rglob("*.*")
        if p.is_file()
        and p.relative_to(RESULTS / "tables") not in names
        and "papers" not in p.parts  # those have a test of their own
    ]
    assert stray == []


def _scores_only(path: Path) -> bool:
    """What methods said of test images, without the truth."""
    if path.suffix != ".npz" or RESULTS / "scores" not in path.parents:
        return False
    with np.load(path, allow_pickle=False) as kept:
        return set(kept) <= {"ids", "label_names", "scores", "labels"}


@pytest.mark.parametrize("path", sorted(RESULTS.rglob("*")), ids=lambda path: path.name)
def test_no_image_score_or_other_per_image_data_is_committed(path: Path) -> None:
    texts = {".json", ".csv", ".tex", ".md", ".png", ".toml"}
    assert path.is_dir() or path.suffix in texts or path.name == "recount.py" or _scores_only(path)
    if path.name == "record.json":
        record = json.loads(path.read_text(encoding="utf-8"))
        assert record["status"] in ("ok", "skipped")
        assert record["provenance"]["dirty"] is False, "measure from a clean commit"
        assert "scores" not in record


@pytest.mark.parametrize("folder", SCORES, ids=lambda path: path.name)
def test_every_measured_cell_of_the_dataset_can_be_recounted(folder: Path) -> None:
    """People's votes apart, which are no method's scores."""
    found = {cell["key"]: cell for cell in json.loads((folder / "index.json").read_text("utf-8"))}
    wanted = {
        record.key: record
        for record in Store(RESULTS / "records").records()
        if record.cell.dataset == folder.name
        and record.status == "ok"
        and record.cell.classifier != "human"
    }
    assert set(found) == set(wanted) == {path.stem for path in folder.glob("*.npz")}
    for key, cell in found.items():
        assert cell["criteria"].items() <= wanted[key].criteria.items()
        assert (cell["kind"] == "single") == (set(cell["criteria"]) == {"accuracy", "mean_recall"})


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared.unpacked_fer_plus(tmp_path_factory.mktemp("faces"))


@shared.needs_fer_plus
@pytest.mark.parametrize("folder", SCORES, ids=lambda path: path.name)
def test_the_recount_finds_the_committed_criteria_on_real_faces(
    folder: Path, faces: Path, tmp_path: Path
) -> None:
    truth, root = tmp_path / "truth.csv", str(faces)
    assert (
        main(["data", "truth", "--dataset", folder.name, "--root", root, "--out", str(truth)]) == 0
    )
    words = [sys.executable, "-I", str(RESULTS / "recount.py"), str(folder), str(truth)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(" 0 differ\n")


@pytest.mark.parametrize("path", sorted((RESULTS / "curves").glob("*.csv")), ids=lambda p: p.stem)
def test_learning_curves_are_whole(path: Path) -> None:
    trainings: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for row in read_csv(path):
        trainings[row["method"], row["seed"]].append(row)
    assert trainings
    for rows in trainings.values():
        assert [int(row["epoch"]) for row in rows] == list(range(1, len(rows) + 1))
        values = [float(row["valid_average_precision"]) for row in rows]
        assert all(0 < value < 1 for value in values)
        (chosen,) = (i for i, row in enumerate(rows) if row["chosen"] == "1")
        assert chosen == values.index(max(values))
