"""``bench paper`` on a small specification, as a user types it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from csv_files import read_csv
from printed import forget

from bench.papers import files

STAND_IN = ("--stand-in", "synthetic[images=90]", "--budget", "smoke", "--workers", "1")


def rows(folder: Path) -> list[dict[str, str]]:
    return read_csv(folder / "dbm-cnn" / "reproduction.csv")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test that measures leaves its results and tables for the others."""
    return tmp_path_factory.mktemp("kept") / "first"


@pytest.fixture
def tables(small: dict[str, str], run_paper: Any, tmp_path: Path, kept: Path) -> Path:
    """Tables of the small paper on rendered faces."""
    if not kept.exists():
        out = kept.with_name("measured") / "tables"
        where = ("--results", str(out.parent / "results"), "--out", str(out))
        code, printed, errors = run_paper("run", "dbm-cnn", *STAND_IN, *where)
        assert code == 0, errors
        assert str(out / "dbm-cnn" / "table-3.tex") in printed
        out.parent.rename(kept)
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    return tmp_path / "tables"


def test_run_writes_what_was_measured_beside_what_is_printed(tables: Path) -> None:
    found = {(row["row"], row["column"]): row for row in rows(tables)}
    row = found["LBP", "Hamming loss"]
    assert (row["published_id"], row["run"]) == ("dbm-cnn:0147", "lbp+mlknn[k=5]")
    assert 0 < float(row["measured"]) < 1
    assert float(row["difference"]) == float(row["measured"]) - float(row["published"])
    assert row["verdict"] == "not comparable"
    assert "synthetic[images=90] for raf-ml" in row["why"]
    assert row["synthetic"] == "true"
    assert found["VGG", "Hamming loss"]["measured"] == ""
    assert found["VGG", "Hamming loss"]["why"].startswith("skipped: vgg16 needs")
    assert found["Theirs", "Hamming loss"]["verdict"] == ""
    assert "bench has no loader for it yet" in found["HOG", "Accuracy"]["why"] or (
        found["HOG", "Accuracy"]["verdict"] == ""
    )
    yardstick = found["no label predicted", "Micro-F1"]
    assert (yardstick["run"], float(yardstick["measured"])) == ("prior[predicts=nothing]", 0.0)


def test_every_line_about_rendered_faces_says_so(tables: Path) -> None:
    text = (tables / "dbm-cnn" / "table-3.md").read_text(encoding="utf-8")
    own, beside = text.split("published beside measured")
    for line in own.splitlines():
        if line.startswith(("| LBP", "| HOG", "| VGG", "| label", "| no label", "| most")):
            assert "(SYNTHETIC)" in line
    assert own.count("(SYNTHETIC)") >= 6
    assert "STAND-IN DATA" in own
    assert "Budget smoke (SHORTENED training)" in own or "No method here follows" in own
    assert "(SYNTHETIC)" in beside


def test_a_second_run_measures_nothing_again(
    tables: Path, small: dict[str, str], run_paper: Any, tmp_path: Path
) -> None:
    kept = sorted((tmp_path / "results" / "runs").glob("*/record.json"))
    times = [path.stat().st_mtime_ns for path in kept if "skipped" not in path.read_text()]
    before = (tables / "dbm-cnn" / "reproduction.csv").read_bytes()
    where = ("--results", str(tmp_path / "results"), "--out", str(tables))
    assert run_paper("run", "dbm-cnn", *STAND_IN, *where)[0] == 0
    assert (tables / "dbm-cnn" / "reproduction.csv").read_bytes() == before
    kept = sorted((tmp_path / "results" / "runs").glob("*/record.json"))
    assert times == [p.stat().st_mtime_ns for p in kept if "skipped" not in p.read_text()]
    code, _, errors = run_paper("run", "dbm-cnn", "--no-run", "--table", "3", *STAND_IN, *where)
    assert code == 0, errors
    assert {row["table"] for row in rows(tables)} == {"Table 3"}


def test_without_data_each_gap_is_named_and_nothing_stands_in(
    small: dict[str, str], run_paper: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BENCH_DATA", raising=False)
    out = tmp_path / "tables"
    code, _, errors = run_paper(
        "run", "dbm-cnn", "--results", str(tmp_path / "results"), "--out", str(out)
    )
    assert code == 0
    assert "left out: raf-ml is not here: Ask its authors. Give its folder with --root" in errors
    assert "left out: ck-plus is not here: bench has no loader for it yet. Ask its" in errors
    assert {row["measured"] for row in rows(out)} == {""}


def test_verify_names_what_has_changed(
    tables: Path, small: dict[str, str], run_paper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_paper("verify", "dbm-cnn", "--tables", tables) == (0, "dbm-cnn: holds\n", "")
    # a method's parameter
    about = tables / "dbm-cnn" / "about.json"
    kept = about.read_text(encoding="utf-8")
    data = json.loads(kept)
    data["parameters"]["lbp+mlknn[k=5]"]["classifier"]["s"] = 2.0
    about.write_text(json.dumps(data), encoding="utf-8")
    code, printed, _ = run_paper("verify", "dbm-cnn", "--tables", tables)
    assert code == 1
    assert "lbp+mlknn[k=5]: parameter s of mlknn is 1.0, and 2.0 in these tables" in printed
    about.write_text(kept, encoding="utf-8")
    # a criterion's definition
    from bench.score.criteria import Coverage

    with monkeypatch.context() as patch:
        rule = Coverage.rows
        patch.setattr(Coverage, "rows", lambda self, outcome: rule(self, outcome) + 1)
        code, printed, _ = run_paper("verify", "dbm-cnn", "--tables", tables)
    assert code == 1
    assert "criterion coverage gives" in printed
    assert "criterion hamming_loss" not in printed
    # a published number
    printed_before = files.text("dbm-cnn.csv")
    line = next(one for one in printed_before.splitlines() if one.endswith("dbm-cnn:0147,"))
    value = line.split(",")[7]
    small["dbm-cnn.csv"] = printed_before.replace(line, line.replace(value, "0.999", 1))
    forget()
    code, printed, _ = run_paper("verify", "dbm-cnn", "--tables", tables)
    assert code == 1
    assert printed == (
        "dbm-cnn: Table 3, (c) MLkNN, LBP, Hamming loss: published is 0.999, and these tables have "
        f"{value}\n"
    )


def rewrite(folder: Path, entries: list[dict[str, str]]) -> None:
    path = folder / "dbm-cnn" / "reproduction.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, entries[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(entries)


def test_verify_against_other_tables(tables: Path, run_paper: Any, tmp_path: Path) -> None:
    here, other = tmp_path / "here", tmp_path / "other"
    shutil.copytree(tables, here)
    entries = rows(here)
    entries[2]["synthetic"] = "false"
    rewrite(here, entries)
    shutil.copytree(here, other)
    words = ("verify", "dbm-cnn", "--tables", str(here), "--against", str(other))
    assert run_paper(*words)[0] == 0
    entries[0]["measured"] = str(float(entries[0]["measured"]) + 0.01)  # within the tolerance
    entries[1]["measured"] = str(float(entries[1]["measured"]) + 0.5)
    entries[2]["fingerprint"] = "0" * 64
    entries[3]["fingerprint"] = "0" * 64  # rendered on another processor
    rewrite(other, entries)
    markdown = other / "dbm-cnn" / "table-3.md"
    markdown.write_text(markdown.read_text("utf-8").replace("| LBP (", "| LPB ("), "utf-8")
    code, printed, _ = run_paper(*words)
    assert code == 1
    assert "Table 3, (c) MLkNN, LBP, Hamming loss:" not in printed
    assert "Table 3, (c) MLkNN, LBP, Coverage:" in printed
    assert "LBP, One-error: data " in printed
    assert "LBP, Ranking loss: data " not in printed
    assert "-| LPB (SYNTHETIC)" in printed
    assert "+| LBP (SYNTHETIC)" in printed
    code, printed, _ = run_paper(*words, "--accept")
    assert (code, printed) == (0, "dbm-cnn: accepted\n")
    assert run_paper(*words)[0] == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("show", "dbm-cn"), "no paper 'dbm-cn': did you mean dbm-cnn?"),
        (("show", "dbm-cnn", "--table", "9"), "dbm-cnn has no '9'"),
        (("run", "dbm-cnn", "--root", "raf-ml"), "--root raf-ml: write --root NAME=DIR"),
        (("run", "dbm-cnn", "--root", "raf-lm=."), "no dataset 'raf-lm': did you mean raf-ml?"),
        (("run", "dbm-cnn", "--root", "raf-ml=nowhere"), "--root raf-ml=nowhere: no such folder"),
        (("run", "dbm-cnn", "--stand-in", "synthetik"), "synthetic"),
        (("run", "dbm-cnn", "--stand-in", "fer-plus-ml"), "give its folder with --root"),
        (("run", "dbm-cnn", "--seeds", "0"), "--seeds 0: expected int >= 1"),
        (("verify", "dbm-cnn", "--tables", "nowhere"), "holds no reproduction.csv"),
        (("verify", "dbm-cnn", "--accept"), "name both"),
    ],
)
def test_wrong_input_is_one_sentence(
    small: dict[str, str],
    run_paper: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BENCH_DATA", raising=False)
    code, printed, errors = run_paper(*words)
    assert code == 2
    assert printed == ""
    assert sentence in errors
    assert errors.count("\n") == 1


def test_show_prints_the_number_its_source_and_its_cell(
    small: dict[str, str], run_paper: Any
) -> None:
    code, printed, _ = run_paper("show", "dbm-cnn", "--table", "table 3")
    assert code == 0
    (line,) = (one for one in printed.splitlines() if "LBP, Hamming loss" in one)
    assert "dbm-cnn:0147" in line
    assert line.endswith("lbp+mlknn[k=5]")
    assert "nothing: quoted from another paper" in printed
    assert "Ask its authors." in printed


def unsealed(path: Path) -> dict[str, Any]:
    """What a record says, without the hash that a changed one would not have."""
    record = json.loads(path.read_text("utf-8"))
    del record["sha256"]
    return dict(record)


def test_a_record_without_scores_keeps_what_its_convention_has_in_common(
    tables: Path, small: dict[str, str], run_paper: Any, tmp_path: Path
) -> None:
    for path in (tmp_path / "results" / "runs").glob("*/record.json"):
        record = unsealed(path)
        if record["cell"]["features"] == "lbp":
            record |= {"convention": "matlab", "conventions": {}}
            path.write_text(json.dumps(record), "utf-8")
            (path.parent / "scores.npz").unlink()
    where = ("--results", str(tmp_path / "results"), "--out", str(tables))
    code, _, _ = run_paper("run", "dbm-cnn", "--no-run", *STAND_IN, *where)
    assert code == 0
    found = {(row["row"], row["column"]): row for row in rows(tables)}
    why = "no coverage by the raf-ml convention is stored"
    assert (found["LBP", "Coverage"]["measured"], found["LBP", "Coverage"]["why"]) == ("", why)
    assert found["LBP", "Hamming loss"]["measured"]
    assert found["HOG", "Coverage"]["measured"]


def test_the_convention_is_the_papers_own_unless_another_is_asked_for(
    tables: Path, small: dict[str, str], run_paper: Any, tmp_path: Path
) -> None:
    def written(*options: str) -> tuple[dict[str, float], str, str]:
        where = ("--results", str(tmp_path / "results"), "--out", str(tables))
        code, _, errors = run_paper("run", "dbm-cnn", "--no-run", *STAND_IN, *where, *options)
        assert code == 0, errors
        of_lbp = [row for row in rows(tables) if row["row"] == "LBP"]
        assert len({row["convention"] for row in of_lbp}) == 1
        caption = (tables / "dbm-cnn" / "table-3.md").read_text("utf-8")
        values = {row["column"]: float(row["measured"]) for row in of_lbp}
        return values, of_lbp[0]["convention"], caption

    changed = 0.125  # in the place of a tie, of which these scores have none
    for path in (tmp_path / "results" / "runs").glob("*/record.json"):
        record = unsealed(path)
        if record["cell"]["features"] == "lbp":
            assert set(record["conventions"]) == {"matlab", "mulan", "raf-ml"}
            record["conventions"]["raf-ml"] = {"criteria": {"ranking_loss": changed}, "values": {}}
            before = record["criteria"]["ranking_loss"]
            path.write_text(json.dumps(record), "utf-8")
    own, name, caption = written()
    assert name == "raf-ml"
    assert "Criteria by the raf-ml convention" in caption
    other, name, caption = written("--convention", "sklearn")
    assert name == "sklearn"
    assert "Criteria by the sklearn convention" in caption
    assert (own["Ranking loss"], other["Ranking loss"]) == (changed, pytest.approx(before))
    assert {c: own[c] for c in own if c != "Ranking loss"} == {
        c: other[c] for c in other if c != "Ranking loss"
    }


def test_a_criterion_that_is_missing_or_undefined_is_a_gap(
    tables: Path, small: dict[str, str], run_paper: Any, tmp_path: Path
) -> None:
    for path in (tmp_path / "results" / "runs").glob("*/record.json"):
        record = unsealed(path)
        if record["cell"]["features"] == "hog":
            record["criteria"]["coverage"] = None
            del record["criteria"]["one_error"]
            path.write_text(json.dumps(record), "utf-8")
    where = ("--results", str(tmp_path / "results"), "--out", str(tables))
    code, _, errors = run_paper("run", "dbm-cnn", "--no-run", *STAND_IN, *where)
    assert code == 0, errors
    found = {(row["row"], row["column"]): row for row in rows(tables)}
    for column, why in (
        ("Coverage", "not defined here"),
        ("One-error", "no one_error by"),
    ):
        assert found["HOG", column]["measured"] == ""
        assert why in found["HOG", column]["why"]
    assert found["HOG", "Hamming loss"]["measured"]


def test_records_of_another_version_are_one_sentence(
    tables: Path, run_paper: Any, tmp_path: Path
) -> None:
    path = next((tmp_path / "results" / "runs").glob("*/record.json"))
    path.write_text(json.dumps({**unsealed(path), "schema": 99}), "utf-8")
    where = ("--results", str(tmp_path / "results"), "--out", str(tables))
    code, printed, errors = run_paper("run", "dbm-cnn", "--no-run", *STAND_IN, *where)
    assert code == 0
    (line,) = (line for line in (printed + errors).splitlines() if "left out" in line)
    assert str(path) in line
    assert "written by another version of bench, schema 99" in line
