"""Confusion matrices as files: what they hold, and that multi-label data have none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from csv_files import read_csv
from records import Make

from bench.publish.confusion import tables_of
from bench.publish.latex import render
from bench.publish.tables import write
from bench.run.record import Record

COLUMNS = (
    "key,dataset,protocol,split,features,classifier,params,seed,truth,predicted,count,percent,"
    "budget,selection,synthetic"
)


def test_files_only_where_images_have_one_class(make: Make, tmp_path: Path) -> None:
    assert not any("confusion" in path.name for path in write([make()], tmp_path / "multi"))
    names = [path.name for path in write([make(kind="single")], tmp_path / "single")]
    assert names == [
        *("cells.csv", "summary.csv", "confusion.csv"),
        *("table.tex", "table.md", "confusion.tex", "confusion.md"),
    ]
    written = write([make(kind="single")], tmp_path / "one", formats=["markdown"])
    assert [path.name for path in written] == ["table.md", "confusion.md"]


def test_confusion_csv_is_tidy_and_whole(make: Make, parts, tmp_path: Path) -> None:
    records = [make("lbp", kind="single"), make("=hog", kind="single", quality=2.0)]
    records.append(make("vgg", kind="single", status="error", reason="no weights"))
    write(records, tmp_path)
    path = tmp_path / "toy" / "confusion.csv"
    assert path.read_text("utf-8").startswith(COLUMNS + "\n")
    rows = read_csv(path)
    assert len(rows) == 2 * 6 * 6
    truth, scores, _ = parts(1.0, kind="single")
    names = records[0].cell.label_names
    for row in (row for row in rows if row["features"] == "lbp"):
        of_class = truth[:, names.index(row["truth"])]
        taken = scores.argmax(axis=1) == names.index(row["predicted"])
        assert row["key"] == records[0].key
        assert int(row["count"]) == (of_class & taken).sum()
        assert float(row["percent"]) == pytest.approx(
            100 * (of_class & taken).sum() / of_class.sum()
        )
    assert {row["features"] for row in rows} == {"lbp", "'=hog"}


def test_a_class_without_images_has_no_percent(make: Make, tmp_path: Path) -> None:
    record = make(kind="single")
    record.confusion[2] = [0] * 6
    write([record], tmp_path)
    rows = [
        row for row in read_csv(tmp_path / "toy" / "confusion.csv") if row["truth"] == "disgust"
    ]
    assert [(row["count"], row["percent"]) for row in rows] == [("0", "")] * 6
    lines = tables_of([record], "toy")[0].blocks[0].lines
    assert [value.text for value in lines[2].values] == ["--"] * 6 + ["0"]


def test_counts_are_summed_over_splits_and_seeds(make: Make) -> None:
    many = {"kind": "single", "protocol": "cv2", "stochastic": True}
    records = [make("net", None, test=t, seed=s, **many) for t in (1, 2) for s in (0, 1, 2)]
    (table,) = tables_of(records, "toy")
    counts = np.sum([record.confusion for record in records], axis=0)
    for truth, line in enumerate(table.blocks[0].lines):
        total = counts[truth].sum()
        assert line.values[-1].text == str(total)
        for value, count in zip(line.values, counts[truth], strict=False):
            assert value.text == f"{100 * count / total:.2f} ({count})"
    assert "Sums over 2 splits and 3 seeds, 6 cells." in table.caption
    right = np.trace(counts)
    assert f"{right} of {counts.sum()} right ({100 * right / counts.sum():.2f} %)" in table.caption
    assert table.name == "toy-confusion-1"
    broken = make("net", None, test=1, seed=3, status="error", reason="no", **many)
    assert "6 cells; 1 cells have none" in tables_of([*records, broken], "toy")[0].caption


def test_a_table_per_method_named_as_in_the_table(make: Make) -> None:
    records = [
        make("lbp", "mlknn", kind="single", classifier_params={"k": k}, key=str(k)) for k in (5, 9)
    ]
    records += [make("net", None, kind="single", budget=b, stochastic=True) for b in ("a", "b")]
    titles = [table.blocks[0].title.partition(":")[0] for table in tables_of(records, "toy")]
    assert titles == ["lbp + mlknn[k=5]", "lbp + mlknn[k=9]", "net", "net"]
    assert "One split, one seed" in tables_of(records, "toy")[0].caption


def test_records_alone_are_enough_and_old_ones_are_taken(make: Make, tmp_path: Path) -> None:
    record = make(kind="single")
    again = Record.from_json(record.to_json(), tmp_path)
    assert again.confusion == record.confusion
    assert render(tables_of([again], "toy")) == render(tables_of([record], "toy"))
    data = json.loads(record.to_json())
    del data["confusion"], data["sha256"]  # as a record from before
    before = Record.from_json(json.dumps(data), tmp_path)
    assert before.confusion == []
    assert [path.name for path in write([before], tmp_path)] == [
        *("cells.csv", "summary.csv", "table.tex", "table.md")
    ]


def test_percentages_and_counts_in_latex_and_markdown(make: Make, tmp_path: Path) -> None:
    record = make(kind="single")
    record.confusion[:] = [[0] * 6 for _ in range(6)]
    record.confusion[0] = [3, 1, 0, 0, 0, 0]
    texts = {path.name: path.read_text("utf-8") for path in write([record], tmp_path)}
    assert r"\quad surprise & 75.00 (3) & 25.00 (1) & 0.00 (0) &" in texts["confusion.tex"]
    assert "| surprise | 75.00 (3) | 25.00 (1) | 0.00 (0) |" in texts["confusion.md"]
    assert "Confusion matrix of lbp + mlknn on toy (not synthetic)" in texts["confusion.md"]
