"""What a paper's cells are measured on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from runs import PLUGINS, plugin_file

from bench.api import BenchError
from bench.papers.places import Gap, MissingDataError, Place, Places, roots_of
from bench.papers.spec import Conditions
from bench.plugins import Registry

CONDITIONS = Conditions("raf-ml", "holdout-60-20-20", "", "", "valid", "paper", 5)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENCH_DATA", raising=False)


def test_the_papers_own_data_come_first(registry: Registry, tmp_path: Path) -> None:
    places = Places(registry, {"raf-ml": tmp_path}, ("synthetic",))
    assert places.find("raf-ml") == Place("raf-ml", "raf-ml", tmp_path, stands_in=False)
    found = places.find("raf-ml[labels=predominant]")
    assert isinstance(found, Place)
    assert (found.text, found.root) == ("raf-ml[labels=predominant]", tmp_path)
    assert found.placed == f"raf-ml[labels=predominant]:{tmp_path}"


def test_a_folder_under_bench_data(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "people").mkdir()
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))
    found = Places(registry).find("casia-webface")  # by its plug-in's name
    assert found == Place("casia-webface", "people", tmp_path / "people", stands_in=False)
    assert isinstance(Places(registry).find("raf-ml"), Gap)


def test_stand_ins_go_by_kind_and_only_by_request(registry: Registry) -> None:
    names = ("synthetic", "synthetic-single", "synthetic-people")
    places = Places(registry, {}, names)
    for asked, text in (
        ("raf-ml", "synthetic"),
        ("raf-ml[labels=predominant]", "synthetic-single"),
        ("ck-plus+mmi+mte", "synthetic-single"),
        ("casia-webface", "synthetic-people"),
    ):
        assert places.find(asked) == Place(asked, text, None, stands_in=True)
    none = Places(registry).find("raf-ml")
    assert isinstance(none, Gap)
    assert "raf-ml is not here" in none.why
    assert "--root raf-ml=DIR" in none.why
    no_loader = Places(registry, {}, ("synthetic",)).find("ck-plus")
    assert isinstance(no_loader, Gap)
    assert "no loader for it yet" in no_loader.why
    assert "--root" not in no_loader.why


def test_a_plugin_of_the_users_reads_a_papers_dataset(tmp_path: Path) -> None:
    """Where bench has no loader, and before one of another name that bench has."""
    registry = Registry([PLUGINS / "laboratory.py"])
    places = Places(registry, {"ck-plus": tmp_path, "casia-webface": tmp_path})
    for name in ("ck-plus", "casia-webface"):
        assert places.find(name) == Place(name, name, tmp_path, stands_in=False)
    gap = Places(registry).find("ck-plus")
    assert isinstance(gap, Gap)
    assert gap.why.endswith("Give its folder with --root ck-plus=DIR.")
    assert "no loader" not in gap.why


def test_a_plugin_of_another_kind_than_the_papers_dataset_is_refused(tmp_path: Path) -> None:
    path = plugin_file("laboratory", tmp_path)
    path.write_text(path.read_text("utf-8").replace('"single"', '"multi"'), "utf-8")
    places = Places(Registry([path]), {"ck-plus": tmp_path})
    with pytest.raises(
        BenchError, match=r"ck-plus is of kind single in the papers.*laboratory\.py of kind"
    ):
        places.find("ck-plus")


def test_a_target_is_of_another_domain_than_its_source(registry: Registry) -> None:
    one = Places(registry, {}, ("synthetic[images=90]",))
    source, target = one.find("raf-ml"), one.find("jaffe", target=True)
    assert isinstance(source, Place)
    assert isinstance(target, Place)
    assert source.text == "synthetic[images=90]"
    assert target.text == "synthetic[images=90,seed=1,lighting=0.5,style=0.5]"
    two = Places(registry, {}, ("synthetic", "synthetic[seed=7]"))
    found = [two.find("raf-ml"), two.find("jaffe", target=True)]
    assert [one.text for one in found if isinstance(one, Place)] == [
        "synthetic",
        "synthetic[seed=7]",
    ]


def test_a_stand_in_is_divided_by_its_own_split(registry: Registry, tmp_path: Path) -> None:
    places = Places(registry, {"fer-plus-ml": tmp_path}, ("fer-plus-ml",))
    stand_in = places.find("raf-ml")
    assert isinstance(stand_in, Place)
    assert places.protocol("holdout-60-20-20", stand_in) == "official"
    assert places.protocol("cv5", stand_in) == "cv5"
    own = Place("raf-ml", "raf-ml", tmp_path, stands_in=False)
    assert places.protocol("holdout-60-20-20", own) == "holdout-60-20-20"


def test_second_datasets_are_put_into_methods(registry: Registry, tmp_path: Path) -> None:
    run = "tfe-jl[people={casia-webface}]"
    roots = {"raf-ml": tmp_path, "casia-webface": tmp_path}
    here = Places(registry, roots).locate(CONDITIONS, run)
    assert here.run == f"tfe-jl[people=people:{tmp_path}]"
    assert (here.used, here.stand_ins) == (("raf-ml",), ())
    stand_in = Places(registry, {"raf-ml": tmp_path}, ("synthetic-people",)).locate(CONDITIONS, run)
    assert stand_in.run == "tfe-jl[people=synthetic-people]"
    assert stand_in.stand_ins == ("synthetic-people for casia-webface",)
    with pytest.raises(MissingDataError, match="casia-webface is not here"):
        Places(registry, {"raf-ml": tmp_path}).locate(CONDITIONS, run)
    assert Places(registry, roots).locate(CONDITIONS, "lbp+clr").run == "lbp+clr"


def test_an_entry_is_located_with_its_target_and_the_split_of_its_stand_in(
    registry: Registry, tmp_path: Path
) -> None:
    cross = replace(CONDITIONS, protocol="cross", target="jaffe", target_protocol="cv5")
    located = Places(registry, {"raf-ml": tmp_path}, ("synthetic[images=90]",)).locate(cross, "hog")
    shifted = "synthetic[images=90,seed=1,lighting=0.5,style=0.5]"
    assert (located.source.text, located.measured.text) == ("raf-ml", shifted)
    assert located.used == ("raf-ml", shifted)
    assert located.stand_ins == (f"{shifted} for jaffe",)
    alone = Places(registry, {}, ("synthetic",)).locate(CONDITIONS, "hog")
    assert (alone.measured, alone.conditions.protocol) == (alone.source, "official")
    with pytest.raises(MissingDataError) as missing:
        Places(registry).locate(cross, "tfe-jl[people={casia-webface}]")
    assert [gap.dataset for gap in missing.value.gaps] == ["raf-ml", "jaffe", "casia-webface"]
    assert str(missing.value) == missing.value.gaps[0].why


def test_roots_are_read_from_words(tmp_path: Path) -> None:
    assert roots_of([f"raf-ml={tmp_path}", "jaffe=~"]) == {
        "raf-ml": tmp_path,
        "jaffe": Path.home(),
    }
    for words, message in (
        (["raf-ml"], "write --root NAME=DIR"),
        (["raf-ml="], "write --root NAME=DIR"),
        (["raf-ml=a", "raf-ml=b"], "raf-ml stands twice"),
    ):
        with pytest.raises(BenchError, match=message):
            roots_of(words)
