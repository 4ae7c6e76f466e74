"""The registry: discovery, states, duplicates, and that listing imports nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from commands import Bench
from runs import PLUGINS

from bench.api import KINDS, BenchError
from bench.plugins import Registry, read
from bench.run.grammar import parse_methods
from bench.run.methods import resolve
from bench.score.criteria import CRITERIA


def write(folder: Path, file: str, name: str, **more: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file
    body = "\n".join(f"    {key} = {value}" for key, value in more.items())
    path.write_text(
        f"from bench.api import Classifier\nclass Some(Classifier):\n    name = {name!r}\n{body}\n"
    )
    return path


def test_built_in_plugins_are_found_with_kind_and_parameters() -> None:
    registry = Registry()
    assert registry.methods["lbp"].kind == "Features"
    assert registry.methods["mlknn"].kind == "Classifier"
    assert registry.datasets["raf-ml"].kind == "Dataset"
    assert set(registry.methods["mlknn"].load().params) >= {"k", "s"}
    assert not registry.broken
    assert all(entry.summary and entry.load().__doc__ for entry in registry)


def test_a_changed_default_is_that_of_today_and_is_told_without_importing() -> None:
    told = {e.name: dict(e.changed_defaults) for e in Registry().methods.values()}
    assert told["dbm-cnn"] == told["dbm-dacnn"] == {"gradient": "printed"}
    assert told["mlknn"] == {}
    for name in ("dbm-cnn", "dbm-dacnn"):
        loaded = Registry().methods[name].load()
        assert dict(loaded.changed_defaults) == told[name]
        for param, value in told[name].items():
            assert loaded.params[param].default == value


def test_listing_imports_neither_numpy_nor_torch_nor_sklearn_nor_any_plugin() -> None:
    code = (
        "import sys; from bench.cli.main import main; main(['list']); "
        "print([m for m in sys.modules if m.split('.')[0] in ('numpy', 'torch', 'sklearn', "
        "'numba', 'pandas', 'skimage') or m.startswith(('bench.methods.', 'bench.datasets.'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_file_and_a_folder_of_plugins(tmp_path: Path) -> None:
    one = write(tmp_path, "one.py", "one")
    write(tmp_path / "more", "two.py", "two")
    write(tmp_path / "more", "_private.py", "three")
    registry = Registry([one, tmp_path / "more"])
    assert {"one", "two"} <= set(registry.methods)
    assert "three" not in registry.methods
    assert not registry.methods["one"].builtin


def test_two_plugins_of_one_name_are_refused_naming_both_files(tmp_path: Path) -> None:
    first, second = write(tmp_path, "a.py", "same"), write(tmp_path, "b.py", "same")
    with pytest.raises(BenchError, match="named 'same'") as error:
        Registry([first, second])
    assert str(first) in str(error.value)
    assert str(second) in str(error.value)
    with pytest.raises(BenchError, match=r"mlknn\.py"):
        Registry([write(tmp_path, "c.py", "mlknn")])


def test_the_same_file_given_twice_is_one_plugin(tmp_path: Path) -> None:
    path = write(tmp_path, "a.py", "same")
    assert "same" in Registry([path, path]).methods


def test_a_broken_file_stops_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("class Half(:\n")
    good = write(tmp_path, "good.py", "good")
    registry = Registry([tmp_path / "bad.py", good])
    assert [entry.state for entry in registry.broken] == ["broken"]
    assert "bad.py:1" in registry.broken[0].reason
    assert registry.find("method", "good")[0].file == good
    with pytest.raises(BenchError, match=r"bad is broken.*bad\.py:1"):
        registry.find("method", "bad")


def test_a_missing_package_is_named_with_how_to_get_it(tmp_path: Path) -> None:
    path = write(tmp_path, "needy.py", "needy")
    path.write_text("import surely_not_installed\n" + path.read_text())
    entry = Registry([path]).methods["needy"]
    assert entry.state == "needs"
    assert "pip install surely_not_installed" in entry.reason
    with pytest.raises(BenchError, match=r"^needy needs: pip install surely_not_installed"):
        entry.load()


def test_benchs_own_plug_ins_are_not_advised_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "needy.py", "needy")
    path.write_text("from datasets.synthetic import Synthetic\n" + path.read_text())
    monkeypatch.delitem(sys.modules, "datasets", raising=False)
    monkeypatch.setattr(sys, "path", [])  # as where bench is installed, away from its clone
    assert Registry([path]).methods["needy"].reason == (
        f"import bench.datasets in place of datasets in {path}"
    )


def test_the_extra_that_brings_a_package_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "needy.py", "needy", extra="'speed'")
    path.write_text("import surely_not_installed\n" + path.read_text())
    assert "fer-bench[speed]" in read(path)[0].reason


def test_a_plugin_that_fails_on_import_names_file_and_line(tmp_path: Path) -> None:
    path = write(tmp_path, "late.py", "late")
    path.write_text(path.read_text() + "\n1 / 0\n")
    entry = Registry([path]).methods["late"]
    assert entry.state == "ready"  # reading the source cannot know
    with pytest.raises(BenchError, match=r"late\.py:\d+ fails on import: ZeroDivisionError"):
        entry.load()


def test_a_file_without_a_plugin_says_what_one_is(tmp_path: Path) -> None:
    (tmp_path / "none.py").write_text("x = 1\n")
    with pytest.raises(BenchError, match="no plug-in in this file"):
        Registry([tmp_path / "none.py"])
    with pytest.raises(BenchError, match="no such file"):
        Registry([tmp_path / "absent.py"])


def test_an_installed_package_offers_plugins_by_entry_point(tmp_path: Path) -> None:
    write(tmp_path, "offered_module.py", "offered")
    about = tmp_path / "offering-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: offering\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[bench.plugins]\nmine = offered_module\nlost = no_such_module\n"
    )
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from bench.plugins import Registry; "
        "r = Registry(); print(r.methods['offered'].load().name, 'offered_module' in sys.modules, "
        "[e.reason for e in r.broken])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.startswith("offered True")
    assert "no_such_module does not exist" in done.stdout


def test_list_for_programs(bench: Bench) -> None:
    done = bench("list", "--json")
    found = json.loads(done.stdout)
    assert {row["name"] for row in found["methods"]} >= {"lbp", "hog", "mlknn", "linear-svm"}
    assert [row["name"] for row in found["criteria"]][:9] == [one.name for one in CRITERIA]


# -- what a class derives from is read in its source ----------------------------------------------


def test_the_source_and_the_loaded_class_agree() -> None:
    for entry in Registry():
        plugin = entry.load()
        kinds = [name for name, kind in KINDS.items() if issubclass(plugin, kind)]
        assert entry.kind == kinds[-1]  # Network is the last, and derives from Features
        if issubclass(plugin, KINDS["Dataset"]):
            assert entry.labels == plugin.kind  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("imports", "base", "kind"),
    [
        ("from bench.api import Features", "Features", "Features"),
        ("from bench.api import Classifier as Base", "Base", "Classifier"),
        ("import bench.api", "bench.api.Dataset", "Dataset"),
        ("from bench import api", "api.Network", "Network"),
        ("import bench.api as contract", "contract.Classifier", "Classifier"),
        ("from bench.api.classifier import Classifier", "Classifier", "Classifier"),
        ("from bench.api import *", "Classifier", "Classifier"),
        ("from bench.nn.one_class import OneClassNetwork", "OneClassNetwork", "Network"),
        ("import bench.nn.backbone as nets", "nets.Backbone", "Features"),
        ("from bench.nn import network", "network.TrainedNetwork", "Network"),
        ("from bench.methods.resnet18 import ResNet18", "ResNet18", "Network"),
        ("from bench.methods.dbm_cnn import DBMCNN as Some", "Some", "Network"),
        ("import bench.methods.mlknn", "bench.methods.mlknn.MLkNN", "Classifier"),
        ("from bench.datasets.raf_ml import RafML", "RafML", "Dataset"),
        ("try:\n    from bench.api import Features\nexcept ImportError:\n    raise", "Features",
         "Features"),
        ("from enum import Enum\nfrom bench.api import Features", "Enum, Features", "Features"),
        ("from bench.nn.backbone import Backbone\nfrom bench.api import Network",
         "Backbone, Network", "Network"),
        ("from bench.api import Features\nclass Between(Features):\n    pass", "Between",
         "Features"),
    ],
)  # fmt: skip
def test_a_base_is_found_however_it_is_imported(
    tmp_path: Path, imports: str, base: str, kind: str
) -> None:
    path = tmp_path / "some.py"
    path.write_text(f"{imports}\n\n\nclass Some({base}):\n    name = 'some'\n")
    (entry,) = read(path)
    assert (entry.name, entry.kind, entry.state) == ("some", kind, "ready")


def test_a_class_may_have_the_name_of_its_base(tmp_path: Path) -> None:
    path = tmp_path / "some.py"
    path.write_text(
        "from bench.methods.mlknn import MLkNN\n\n\n"
        "class MLkNN(MLkNN):\n    name = 'mine'\n\n\n"
        "class Later(MLkNN):\n    name = 'later'\n"
    )
    assert [(one.name, one.kind) for one in read(path)] == [
        ("mine", "Classifier"),
        ("later", "Classifier"),
    ]


@pytest.mark.parametrize(
    "code",
    [
        "import torch\nclass Some(torch.nn.Module):\n    name = 'some'\n",
        "class Some(Some):\n    name = 'some'\n",
        "from bench.api import Plugin\nclass Some(Plugin):\n    name = 'some'\n",
        "from bench.api import NoSuchThing\nclass Some(NoSuchThing):\n    name = 'some'\n",
        "from bench.methods.resnet18 import ResNet18\nclass Some(ResNet18):\n    length = 2.0\n",
        "from bench.api import Features\nclass Some(Features):\n    name = 'a' + 'b'\n",
    ],
)
def test_other_classes_are_no_plug_ins(tmp_path: Path, code: str) -> None:
    path = tmp_path / "some.py"
    path.write_text(code)
    assert read(path) == []
    with pytest.raises(BenchError, match="no plug-in in this file; a plug-in is a class with a"):
        Registry([path])


def test_files_that_import_each_other_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for one, other in (("first", "second"), ("second", "first")):
        text = f"from {other}_of_two import Base\n\n\nclass Some(Base):\n    name = 'some'\n"
        (tmp_path / f"{one}_of_two.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    assert read(tmp_path / "first_of_two.py") == []


def test_a_package_may_hold_its_bases_in_a_file_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "some_package"
    package.mkdir()
    (package / "__init__.py").write_text("from .shared import Shared\n")
    (package / "shared.py").write_text(
        "from bench.api import Classifier\n\n\nclass Shared(Classifier):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for imports in (
        "from .shared import Shared",
        "from . import Shared",
        "from some_package import *",
    ):
        (package / "mine.py").write_text(f"{imports}\nclass Mine(Shared):\n    name = 'mine'\n")
        (entry,) = read(package / "mine.py", "some_package.mine")
        assert entry.kind == "Classifier"


def test_packages_that_the_files_of_its_bases_need_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needy_base.py").write_text(
        "import surely_not_installed\nfrom bench.api import Classifier\n\n\n"
        "class Base(Classifier):\n    extra = 'speed'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "mine.py"
    path.write_text("from needy_base import Base\n\n\nclass Mine(Base):\n    name = 'mine'\n")
    (entry,) = read(path)
    assert (entry.state, entry.reason) == (
        "needs",
        "pip install 'fer-bench[speed]' (brings surely_not_installed)",
    )


def test_a_name_that_changes_on_import_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "some.py", "some")
    path.write_text(path.read_text() + "\n\nSome.name = 'other'\n")
    with pytest.raises(BenchError, match="Some is named 'other' once imported, and 'some' where"):
        read(path)[0].load()


def test_what_a_class_inherits_counts() -> None:
    registry = Registry([PLUGINS / "inheriting.py"])
    assert list(registry.methods["closed"].load().params) == ["k"]
    assert registry.methods["relevance"].load().params == registry.methods["br"].load().params
    # As if it were built in: ``all`` takes what the package ships.
    for name in ("closed", "open", "relevance"):
        registry.methods[name] = replace(registry.methods[name], builtin=True)

    def classifiers(kind: str) -> set[str]:
        every = resolve(registry, parse_methods("lbp+all"), kind, images=True)
        return {method.classifier.name for method in every if method.classifier is not None}

    assert {"closed", "open", "relevance"} & classifiers("single") == {"open"}
    assert not {"closed", "open", "relevance"} & classifiers("multi")


def test_a_dataset_whose_kind_is_computed_is_listed_as_a_dataset(bench: Bench) -> None:
    path = PLUGINS / "kinds.py"
    done = bench("list", "datasets", "--json", "--plugins", path)
    kinds = {row["name"]: row["kind"] for row in json.loads(done.stdout)["datasets"]}
    assert kinds["computed"] == "dataset"
    assert (kinds["plain"], kinds["persons"]) == ("multi-label", "people")
    assert (kinds["raf-ml"], kinds["fer-plus"]) == ("multi-label", "single-label")
