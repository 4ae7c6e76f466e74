from __future__ import annotations

import csv
import dataclasses
import io
import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
from cells import comparable
from csv_files import read_csv
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records import Make
from tex import compiled

from bench.api import BenchError
from bench.plugins import Registry
from bench.publish.criteria_tables import tables_of
from bench.publish.frames import cells, csv_text, summary
from bench.publish.layout import Line, Table, letter
from bench.publish.names import written
from bench.publish.ranking import trivial_methods
from bench.publish.tables import write
from bench.run.record import Record
from bench.score.criteria import CRITERIA

CONTRACT = (
    "dataset,protocol,split,features,classifier,params,seed,budget,status,synthetic,weights,"
    "convention,n_train,n_test,hamming_loss,coverage,one_error,ranking_loss,average_precision,"
    "micro_f1,macro_f1,micro_auc,macro_auc,seconds_features,seconds_fit,seconds_predict,"
    "peak_memory_mb,device,version,key"
)
FILES = ["cells.csv", "summary.csv", "table.tex", "table.md"]
NASTY = "a|b`*_~^\\{}$&%#<i>[1]\"'=1\n\r\t\x1b\u202e é 表 --x"


def lines_of(table: Table) -> dict[str, Line]:
    return {line.label: line for block in table.blocks for line in block.lines}


# -- marks, by hand ---------------------------------------------------------------------------


def marked(make: Make, values: dict[str, np.ndarray], name: str = "hamming_loss") -> dict[str, str]:
    """Marks of rows whose replicates are ``values`` and whose criterion is their mean."""
    records = [
        make(key, "svm", criteria={name: float(np.mean(v))}, values={name: v})
        for key, v in values.items()
    ]
    (table,) = tables_of(records, "toy")
    column = [criterion.name for criterion in CRITERIA].index(name)
    return {key: line.values[column].mark for key, line in lines_of(table).items()}


FLAT = np.zeros(101)
TILT = np.linspace(-1, 1, 101)  # mean 0, standard deviation .59


@pytest.mark.parametrize(
    ("values", "marks"),
    [
        # all three differ surely: the best stands alone, and "second" is no mark
        ({"a": FLAT + 1, "b": FLAT + 2, "c": FLAT + 3}, ("best", "", "")),
        # first and second cannot be told apart
        ({"a": FLAT + 1, "b": FLAT + 1.9 + TILT, "c": FLAT + 9}, ("best", "alike", "")),
        ({"a": FLAT + 1, "b": FLAT + 2.2 + TILT, "c": FLAT + 9}, ("best", "", "")),
        # rows far below the best are not held against each other
        ({"a": FLAT + 1, "b": FLAT + 5, "c": FLAT + 5.5 + TILT}, ("best", "", "")),
        # the best beats the second surely, but not the noisy third
        ({"a": FLAT + 1, "b": FLAT + 1.5, "c": FLAT + 2 + 2 * TILT}, ("best", "", "alike")),
        # an exact tie
        ({"a": FLAT + 1, "b": FLAT + 1, "c": FLAT + 2}, ("best", "best", "")),
        # common noise cancels in pairs
        ({"a": TILT, "b": TILT + 0.1, "c": TILT + 0.2}, ("best", "", "")),
        ({"a": FLAT + 1, "b": FLAT + 2}, ("best", "")),
        ({"a": FLAT + 1}, ("",)),
    ],
)
def test_marks(make: Make, values, marks) -> None:
    assert marked(make, values) == dict(zip(values, marks, strict=True))
    upside = {key: -v for key, v in values.items()}
    found = marked(make, upside, "micro_f1")  # here higher is better
    assert found == dict(zip(values, marks, strict=True))


NAME = "hamming_loss"


def row_of(make: Make, features: str | None, classifier: str, value: float, seeds: int, **changes):
    """A row whose seeds give nearly the same value."""
    return [
        make(
            features,
            classifier,
            seed=seed,
            stochastic=True,
            criteria={NAME: value + 0.001 * seed},
            values={NAME: 0.01 * TILT + value},
            **changes,
        )
        for seed in range(seeds)
    ]


def test_people_trivial_rows_and_few_seeds_have_no_rank(make: Make) -> None:
    """Each of them has the best value of all, and none stops the others from being marked."""
    records = [
        dataclasses.replace(make(None, "human", criteria={NAME: 0.1}, values={}), bootstrap={}),
        make(None, "prior", criteria={NAME: 0.1}, values={NAME: FLAT + 0.1}),
        *row_of(make, "one", "svm", 0.1, seeds=1),
        *row_of(make, "two", "svm", 0.1, seeds=2),
        *row_of(make, "three", "svm", 0.5, seeds=3),
        make("good", "svm", criteria={NAME: 0.3}, values={NAME: FLAT + 0.3}),
    ]
    (table,) = tables_of(records, "toy", trivial={"prior"})
    lines = lines_of(table)
    assert {key: line.values[0].mark for key, line in lines.items()} == {
        **dict.fromkeys(("human", "prior", "one", "two", "three"), ""),
        "good": "best",
    }
    assert [table.notes[i] for i in lines["one"].notes] == [
        "1 seed of a stochastic method: its interval is over test images alone, and it has no rank"
    ]
    assert table.notes[lines["two"].notes[0]].startswith("2 seeds of a stochastic method:")
    assert lines["three"].notes == ()
    assert (
        "Bold: best; underlined: cannot be told from the best on other test images and with other "
        "seeds (95 %, all rows compared at once); without a rank: rows without resamples (people), "
        "rows that look at no face, stochastic methods of fewer than 3 seeds."
    ) in table.caption


def test_trivial_methods_are_known_by_their_plug_ins(make: Make) -> None:
    records = [make(None, name) for name in ("prior", "constant", "human", "gone")]
    records += [make("lbp", "mlknn"), make("net", None)]
    assert trivial_methods(records, Registry()) == {"prior", "constant"}


def test_rows_on_other_resamples_have_no_rank(make: Make) -> None:
    records = [
        make(key, "svm", criteria={NAME: v}, values={NAME: FLAT + v})
        for key, v in (("a", 0.3), ("b", 0.4), ("other", 0.1))
    ]
    drawn = {**records[2].bootstrap, "clusters": 7, "of": "subjects"}
    records[2] = dataclasses.replace(records[2], bootstrap=drawn)
    (table,) = tables_of(records, "toy")
    marks = {key: line.values[0].mark for key, line in lines_of(table).items()}
    assert marks == {"a": "best", "b": "", "other": ""}
    assert "without a rank: rows whose test images were resampled otherwise" in table.caption


def test_nothing_is_marked_where_nothing_has_a_rank(make: Make) -> None:
    records = row_of(make, "a", "svm", 0.1, 1) + row_of(make, "b", "svm", 0.2, 1)
    (table,) = tables_of(records, "toy")
    assert {line.values[0].mark for line in lines_of(table).values()} == {""}
    assert "Nothing is marked, since fewer than two rows have a rank; without" in table.caption


def test_rare_labels_are_flagged_where_labels_are_averaged(make: Make, tmp_path: Path) -> None:
    counts = [40, 9, 30, 0, 50, 10]
    records = [
        dataclasses.replace(make(key, "svm", quality=q), positives=counts)
        for key, q in (("a", 3.0), ("b", 0.5))
    ]
    (table,) = tables_of(records, "toy")
    assert table.remarks[0] == (
        "No reliable interval, and no marks, of Macro-F1 and Macro-AUC: labels with fewer than 10 "
        "test images: fear 9, happiness 0."
    )
    marks = [value.mark for value in lines_of(table)["a"].values]
    assert [bool(mark) for mark in marks] == [True] * 6 + [False, True, False]
    path = write(records, tmp_path, formats=["csv"])[1]
    for row in read_csv(path):
        assert row["rare_labels"] == "fear 9; happiness 0"
        assert row["macro_f1_low"] == row["macro_auc_high"] == row["macro_f1_mark"] == ""
        assert float(row["micro_f1_low"]) < float(row["micro_f1_mean"])
    (table,) = tables_of([make("a", "svm"), make("b", "svm")], "toy")
    assert not any("interval" in remark for remark in table.remarks)  # nobody knows


def test_summary_says_what_intervals_cover_and_what_is_best(make: Make, tmp_path: Path) -> None:
    records = [
        make("good", "svm", criteria={NAME: 0.3}, values={NAME: 0.3 + 0.1 * TILT}),
        make("near", "svm", criteria={NAME: 0.31}, values={NAME: 0.31 - 0.1 * TILT}),
        make("bad", "svm", criteria={NAME: 9.0}, values={NAME: FLAT + 9}),
        *row_of(make, "one", "svm", 0.5, seeds=1),
    ]
    rows = {row["features"]: row for row in read_csv(write(records, tmp_path)[1])}
    assert {key: row[f"{NAME}_mark"] for key, row in rows.items()} == {
        "good": "best",
        "near": "alike",
        "bad": "",
        "one": "",
    }
    assert rows["one"]["interval_over"] == "images"
    assert rows["good"]["interval_over"] == "images and seeds"
    assert {(row["resampled"], row["clusters"]) for row in rows.values()} == {("images", "80")}


def test_ranks_stand_beside_the_table_where_wanted(make: Make, tmp_path: Path) -> None:
    records = [
        make("near", "svm", criteria={NAME: 0.31}, values={NAME: 0.31 - 0.1 * TILT}),
        make("good", "svm", criteria={NAME: 0.3}, values={NAME: 0.3 + 0.1 * TILT}),
        make("bad", "svm", criteria={NAME: 9.0}, values={NAME: FLAT + 9}),
        make(None, "prior", criteria={NAME: 0.1}, values={NAME: FLAT + 0.1}),
    ]
    assert "ranks.csv" not in {path.name for path in write(records, tmp_path)}
    paths = {path.name: path for path in write(records, tmp_path, ranks=True)}
    rows = [row for row in read_csv(paths["ranks.csv"]) if row["criterion"] == NAME]
    assert {row["table"] for row in rows} == {"toy-1"}
    assert [row["features"] or row["classifier"] for row in rows] == [
        "good",
        "near",
        "bad",
        "prior",
    ]
    assert [row["rank"] for row in rows] == ["1.0", "2.0", "3.0", ""]
    assert [(row["rank_low"], row["rank_high"]) for row in rows[:3]] == [
        ("1.0", "2.0"),
        ("1.0", "2.0"),
        ("3.0", "3.0"),
    ]
    chances = [float(row["chance_best"]) for row in rows[:3]]
    assert chances[0] > 0.5
    assert chances == pytest.approx([chances[0], 1 - chances[0], 0])
    assert [row["mark"] for row in rows] == ["best", "alike", "", ""]
    assert rows[3]["unranked"] == "trivial"
    again = write(records, tmp_path / "again", ranks=True)
    assert {path.name: path.read_bytes() for path in again} == {
        name: path.read_bytes() for name, path in paths.items()
    }
    assert not any(
        p.suffix == ".csv" for p in write(records, tmp_path, formats=["latex"], ranks=True)
    )


def test_a_row_in_two_tables_has_the_marks_of_both(make: Make) -> None:
    values = [("quick", 0.1), ("paper", 0.9)]
    records = [
        make("net", None, budget=b, selection="valid", criteria={NAME: v}, values={NAME: FLAT + v})
        for b, v in values
    ]
    records.append(make("lbp", "svm", criteria={NAME: 0.5}, values={NAME: FLAT + 0.5}))
    found = summary(records).set_index(["features", "budget"])[f"{NAME}_mark"]
    assert found.to_dict() == {
        ("net", "quick"): "best",
        ("net", "paper"): "",
        ("lbp", "any"): "best|",
    }


def test_incomplete_rows_are_not_ranked(make: Make) -> None:
    name = "hamming_loss"
    records = [
        make(f, "svm", test=t, protocol="cv2", criteria={name: v}, values={name: FLAT + v})
        for f, v in [("bad", 0.5), ("good", 0.3)]
        for t in (1, 2)
    ]
    best = {"test": 1, "protocol": "cv2", "criteria": {name: 0.1}, "values": {name: FLAT + 0.1}}
    records.append(make("partial", "svm", **best))
    (table,) = tables_of(records, "toy")
    lines = lines_of(table)
    assert [lines[key].values[0].mark for key in ("partial", "good", "bad")] == [
        "",
        "best",
        "",
    ]
    assert "without a rank: rows with missing cells" in table.caption
    assert table.notes[lines["partial"].notes[0]] == "run on 1 of 2 splits"
    broken = make("partial", "svm", test=2, protocol="cv2", status="timeout", reason="too\nslow")
    (table,) = tables_of([*records, broken], "toy")
    line = lines_of(table)["partial"]
    assert [table.notes[i] for i in line.notes] == ["mean of 1 of 2 cells", "timeout: too slow"]
    assert line.values[0].text == "0.100"


# -- what a table says ------------------------------------------------------------------------


def test_layout_is_a_block_per_classifier_and_a_row_per_feature(make: Make) -> None:
    records = [make(f, c) for f in ("lbp", "hog") for c in ("mlknn", "lift")]
    records += [make(None, "prior"), make("net", None)]
    (table,) = tables_of(records, "toy")
    assert [(block.title, [line.label for line in block.lines]) for block in table.blocks] == [
        ("no features", ["prior"]),
        ("lift", ["hog", "lbp"]),
        ("mlknn", ["hog", "lbp"]),
        ("networks with their own output", ["net"]),
    ]
    assert [title for title, _ in table.columns] == [criterion.title for criterion in CRITERIA]


def test_footnotes_are_numbered_as_printed(make: Make) -> None:
    failed = {"status": "error"}
    records = [make(f, c, reason=f"{f}+{c}", **failed) for f in ("b", "a") for c in ("y", "x")]
    records += [make("net", None, reason="net", **failed), make(None, "p", reason="p", **failed)]
    (table,) = tables_of(records, "toy")
    assert table.notes == tuple(f"error: {r}" for r in ("p", "a+x", "b+x", "a+y", "b+y", "net"))
    assert [line.notes for block in table.blocks for line in block.lines] == [
        (i,) for i in range(6)
    ]


def test_only_varying_parameters_stand_in_labels(make: Make) -> None:
    records = [
        make("lbp", "mlknn", classifier_params={"k": k, "s": 1.0, "on": True, "none": None})
        for k in (100, 5)
    ]
    (table,) = tables_of(records, "toy")
    assert [block.title for block in table.blocks] == ["mlknn[k=5]", "mlknn[k=100]"]
    assert "Parameters: lbp[cell=10]; mlknn[k=5|100,s=1.0,on=true,none=none]." in table.remarks
    assert written("PATH") == "PATH"


def test_a_tuned_method_is_one_line_whatever_its_splits_chose(make: Make) -> None:
    tuned = {"inner": "cv5", "by": "average_precision", "classifier": {"k": [5, 10]}}
    records = [
        dataclasses.replace(
            make(test=test, classifier_params={"k": k, "s": 1.0}, tuned=tuned, key=f"t{test}"),
            footnotes=("k (5|10) chosen on train",),
        )
        for test, k in ((1, 5), (2, 10))
    ]
    plain = [make(test=test, classifier_params={"k": 5, "s": 1.0}) for test in (1, 2)]
    (table,) = tables_of([*records, *plain], "toy")
    assert [block.title for block in table.blocks] == ["mlknn[k=5]", "mlknn[k=tuned]"]
    assert table.blocks[0].lines[0].notes == ()
    assert table.notes[table.blocks[1].lines[0].notes[0]] == "k (5|10) chosen on train"
    assert "mlknn[k=5|tuned,s=1.0]" in table.remarks[-1]
    (alone,) = tables_of(records, "toy")
    assert [block.title for block in alone.blocks] == ["mlknn[k=tuned]"]  # always told
    rows = list(csv.DictReader(io.StringIO(csv_text(summary(records)))))
    assert [json.loads(row["params"])["classifier"]["k"] for row in rows] == ["tuned"]
    rows = list(csv.DictReader(io.StringIO(csv_text(cells(records)))))
    assert [json.loads(row["params"])["classifier"]["k"] for row in rows] == [5, 10]


def test_random_weights_are_always_told(make: Make) -> None:
    tuned = {"features": {"weights": ["imagenet", "random"]}}
    found = [
        make("vgg", "lift", test=test, weights=weights, tuned=tuned)
        for test, weights in ((0, "ab" * 32), (1, "random"))
    ]
    (table,) = tables_of(found, "toy")
    assert list(lines_of(table)) == ["vgg[weights=tuned] (random weights)"]  # on one of its splits
    (table,) = tables_of([make("vgg", "lift", weights="random")], "toy")
    assert list(lines_of(table)) == ["vgg (random weights)"]
    two = [make("vgg", "lift", weights=w * 8) for w in ("abcdefgh", "12345678")]
    (table,) = tables_of(two, "toy")
    assert list(lines_of(table)) == ["vgg (weights 12345678)", "vgg (weights abcdefgh)"]


def test_spread_only_where_there_is_one(make: Make) -> None:
    seeds = [make("net", None, seed=s, stochastic=True) for s in range(3)]
    (table,) = tables_of([*seeds, make("lbp", "mlknn")], "toy")
    lines = lines_of(table)
    values = [record.criteria["hamming_loss"] for record in seeds]
    assert lines["net"].values[0].spread == pytest.approx(np.std(values, ddof=1))
    assert lines["lbp"].values[0].spread is None
    assert "Seeds of stochastic methods: 3; ± the standard deviation over them" in table.caption
    (table,) = tables_of(seeds[:1], "toy")
    assert lines_of(table)["net"].values[0].spread is None
    assert "±" not in table.caption


def test_missing_values_say_why(make: Make) -> None:
    record = make("lib", "noscore", values={})
    for criterion in CRITERIA:
        if criterion.needs == "scores":
            record.criteria[criterion.name] = None
    record = dataclasses.replace(record, tied_rows=None)
    undefined = make("lbp", "mlknn")
    undefined.criteria["macro_auc"] = None
    broken = make("hog", "mlknn", status="error", reason="fit raised ValueError: " + "x" * 500)
    (table,) = tables_of([record, undefined, broken], "toy")
    lines = lines_of(table)
    noted = {
        value.text: table.notes[value.note]
        for value in lines["lib"].values
        if value.note is not None
    }
    assert noted == {"--": "the method gives no scores"}
    assert lines["lib"].values[0].text != "--"
    assert lines["lbp"].values[8].note is not None
    assert table.notes[lines["lbp"].values[8].note] == "not defined on this test part"
    assert {value.text for value in lines["hog"].values} == {"--"}
    reason = table.notes[lines["hog"].notes[0]]
    assert reason.startswith("error: fit raised ValueError: xxx")
    assert reason.endswith(" …")
    assert len(reason) < 160


def test_a_table_per_budget_and_selection(make: Make) -> None:
    trained = [
        make("net", None, budget=b, selection=s, stochastic=True)
        for b, s in [("quick", "valid"), ("paper", "valid"), ("paper", "test")]
    ]
    tables = tables_of([*trained, make("lbp", "mlknn")], "toy")
    assert [set(lines_of(table)) for table in tables] == [{"net", "lbp"}] * 3
    assert [table.name for table in tables] == ["toy-1", "toy-2", "toy-3"]
    assert "Budget paper (the papers' schedules), epoch chosen ON THE TEST PART" in (
        tables[0].caption
    )
    assert "Budget paper (the papers' schedules), epoch chosen on the valid" in tables[1].caption
    assert "Budget quick (SHORTENED training)" in tables[2].caption
    (alone,) = tables_of([make("lbp", "mlknn")], "toy")
    assert "No method here follows a schedule" in alone.caption


def test_other_data_is_another_table(make: Make) -> None:
    records = [make(fingerprint=f, synthetic=s) for f, s in [("a" * 8, False), ("b" * 8, True)]]
    real, drawn = tables_of(records, "toy")
    assert "toy (not synthetic)" in real.caption
    assert "SYNTHETIC faces rendered by bench, not toy" in drawn.caption


def test_caption_by_hand(make: Make) -> None:
    (table,) = tables_of([make(), make("hog")], "toy")
    assert table.caption == (
        "toy (not synthetic), protocol official, n train/valid/test = 300/40/80. "
        "Test images with a pixel-identical twin in train: 3. "
        "Criteria by the sklearn convention, coverage = rank − 1. "
        "No method here follows a schedule. No method here depends on a seed. "
        "Bold: best; underlined: cannot be told from the best on other test images (95 %, all rows "
        "compared at once). "
        "Made by bench 0.1.0 from data 01234567."
    )


def test_ties_are_shown_when_asked_for(make: Make) -> None:
    records = [make("lbp", tied_rows=0.25), make("hog")]
    (table,) = tables_of(records, "toy", ties=True)
    assert table.columns[-1] == ("Tied rows", "")
    assert lines_of(table)["lbp"].values[-1].text == "0.250"
    assert "Test rows with tied scores: 0.0–25.0 %" in table.caption


def test_single_label_data_has_its_own_columns(make: Make, tmp_path: Path) -> None:
    (table,) = tables_of([make(kind="single")], "toy")
    assert [title for title, _ in table.columns] == ["Accuracy", "Mean recall"]
    assert "convention" not in table.caption
    write([make(kind="single")], tmp_path)
    (row,) = read_csv(tmp_path / "toy" / "cells.csv")
    assert row["hamming_loss"] == ""
    assert 0 < float(row["accuracy"]) <= 1


def test_letters() -> None:
    assert [letter(i) for i in (0, 25, 26, 27, 52)] == ["a", "z", "aa", "ab", "ba"]


# -- the files --------------------------------------------------------------------------------


def everything(make: Make) -> list[Record]:
    records = [make(f, c, q) for f, q in [("lbp", 1.0), ("hog", 2.0)] for c in ("mlknn", "lift")]
    records += [make("net", None, 3, seed=s, stochastic=True, budget="quick") for s in range(2)]
    records += [make("hog", "mlknn", 2, protocol="cv2", test=t) for t in (1, 2)]
    return [*records, make("vgg", "lift", status="skipped", reason="no weights | <here>")]


def test_columns_are_the_contract(make: Make, tmp_path: Path) -> None:
    paths = write(everything(make), tmp_path)
    assert paths == [tmp_path / "toy" / name for name in FILES]
    assert sorted(path.name for path in (tmp_path / "toy").iterdir()) == sorted(FILES)
    text = paths[0].read_bytes()
    assert text.startswith(CONTRACT.encode() + b",")
    assert b"\r" not in text


def test_cells_are_in_full_precision(make: Make, tmp_path: Path) -> None:
    records = everything(make)
    write(records, tmp_path, formats=["csv"])
    rows = {row["key"]: row for row in read_csv(tmp_path / "toy" / "cells.csv")}
    assert len(rows) == len(records)
    for record in records:
        row = rows[record.key]
        for criterion in CRITERIA:
            found = row[criterion.name]
            assert (float(found) if found else None) == record.criteria.get(criterion.name)
    skipped = next(row for row in rows.values() if row["status"] == "skipped")
    assert (skipped["convention"], skipped["seconds_fit"], skipped["device"]) == ("", "", "cpu")
    assert skipped["reason"] == "no weights | <here>"
    assert rows["lbp-mlknn-0-0-any-none"]["params"] == (
        '{"classifier":{"k":100,"s":1.0},"features":{"cell":10}}'
    )


def test_summary_by_hand(make: Make, tmp_path: Path) -> None:
    records = everything(make)
    write(records, tmp_path, formats=["csv"])
    rows = read_csv(tmp_path / "toy" / "summary.csv")
    # 4 pairs, 1 network, 1 cross-validated, 1 skipped
    assert [row["n_cells"] for row in rows] == ["2", "2", "1", "1", "0", "1", "1"]
    folds, net, skipped = rows[0], rows[1], rows[4]
    assert (folds["n_folds"], folds["n_seeds"], net["n_folds"], net["n_seeds"]) == tuple("2112")
    assert (skipped["missing"], skipped["coverage_mean"]) == ("1", "")
    values = [r.criteria["coverage"] for r in records if r.cell.features == "net"]
    assert float(net["coverage_mean"]) == pytest.approx(np.mean(values))
    assert float(net["coverage_sd_seeds"]) == pytest.approx(np.std(values, ddof=1))
    assert net["coverage_sd_folds"] == ""
    for row in (folds, net):
        assert float(row["coverage_low"]) < float(row["coverage_mean"])
        assert float(row["coverage_mean"]) < float(row["coverage_high"])


def test_same_records_same_bytes(make: Make, tmp_path: Path) -> None:
    records = everything(make)
    first = [path.read_bytes() for path in write(records, tmp_path / "1")]
    again = [Record.from_json(record.to_json(), tmp_path) for record in records]
    random.Random(1).shuffle(again)
    assert [path.read_bytes() for path in write(again, tmp_path / "2")] == first


def test_time_memory_and_device_do_not_count(make: Make, tmp_path: Path) -> None:
    records = everything(make)
    slower = [
        dataclasses.replace(
            record,
            seconds={"fit": 99.0},
            peak_memory_mb=1e4,
            provenance={**record.provenance, "device": "cuda:0", "finished": "2030"},
        )
        for record in records
    ]
    one, other = write(records, tmp_path / "1"), write(slower, tmp_path / "2")
    assert [p.read_bytes() for p in one[1:]] == [p.read_bytes() for p in other[1:]]
    texts = [path.read_text("utf-8") for path in (one[0], other[0])]
    assert texts[0] != texts[1]
    assert comparable(texts[0]) == comparable(texts[1])
    changed = [dataclasses.replace(records[0], left_out=1), *records[1:]]
    (path, *_) = write(changed, tmp_path / "3")
    assert comparable(path.read_text("utf-8")) != comparable(texts[0])


def test_only_the_formats_asked_for(make: Make, tmp_path: Path) -> None:
    assert write([make()], tmp_path, formats=["markdown"]) == [tmp_path / "toy" / "table.md"]
    assert [p.name for p in (tmp_path / "toy").iterdir()] == ["table.md"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"formats": ["latx"]}, "no format 'latx': did you mean latex"),
        ({"convention": "sklern"}, "no convention 'sklern': did you mean sklearn"),
        ({"convention": "mulan"}, "needs the stored scores of cell"),
    ],
)
def test_what_cannot_be_written(make: Make, tmp_path: Path, options, sentence) -> None:
    with pytest.raises(BenchError, match=re.escape(sentence)):
        write([make()], tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_other_convention_stands_in_every_file(make: Make, parts, tmp_path: Path) -> None:
    paths = write([make()], tmp_path, convention="mulan", scores_of=lambda r: parts(1.0))
    assert all("mulan" in path.read_text("utf-8") for path in paths)
    assert read_csv(paths[0])[0]["ranking_loss"] == repr(
        make(convention="mulan").criteria["ranking_loss"]
    )


def test_markdown_by_hand(make: Make, tmp_path: Path) -> None:
    name = "hamming_loss"
    records = [
        make(f, "mlknn", criteria={name: v}, values={name: FLAT + v})
        for f, v in [("lbp", 0.25), ("hog", 0.5)]
    ]
    text = write(records, tmp_path, formats=["markdown"])[0].read_text("utf-8").splitlines()
    assert text[2].startswith("|  | Hamming loss ↓ | Coverage ↓ | One-error ↓ |")
    assert text[4].startswith("| (a) *mlknn* |  |")
    assert text[5].startswith("| hog | 0.500 | --<sup>a</sup> |")
    assert text[6].startswith("| lbp | **0.250** | --<sup>a</sup> |")
    assert "<sup>a</sup> not defined on this test part" in text


names = st.text(max_size=20) | st.text("\\{}|`$&#%_^~<>[]*=+-@/.\n\r\x1b表é", max_size=12)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(dataset=names, features=names, classifier=names, reason=names)
def test_names_from_users_do_no_harm(
    make: Make, tmp_path_factory, dataset, features, classifier, reason
) -> None:
    out = tmp_path_factory.mktemp("out") / "tables"
    records = [
        make(features, classifier, dataset=dataset, values={}, key="1", protocol=reason),
        make("lbp", classifier, dataset=dataset, status="error", reason=reason, key="2"),
    ]
    paths = write(records, out)
    for path in paths:
        assert path.resolve().parent.parent == out.resolve()
    tex = paths[2].read_text("utf-8")
    assert tex.isascii()
    assert tex.count("{") - tex.count(r"\{") == tex.count("}") - tex.count(r"\}")
    rows = [line for line in paths[3].read_text("utf-8").splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {11}
    for row in [*read_csv(paths[0]), *read_csv(paths[1])]:
        for cell in row.values():
            assert cell.lstrip()[:1] not in ("=", "@")


def test_latex_compiles(make: Make, tmp_path: Path) -> None:
    records = everything(make)
    records.append(make(NASTY, NASTY, classifier_params={"p": NASTY}))
    records.append(make("[1cm]", "*", status="error", reason=NASTY))
    path = write(records, tmp_path, formats=["latex"], ties=True)[0]
    log = compiled(path.read_text("utf-8"), tmp_path)
    assert "Overfull \\hbox" not in log


def test_people_are_left_out_of_other_conventions(make: Make, tmp_path: Path) -> None:
    human = dataclasses.replace(make(None, "human"), scores_sha256="")
    assert write([human], tmp_path, convention="mulan") == []
    assert write([human], tmp_path)
