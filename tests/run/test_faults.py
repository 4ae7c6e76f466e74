"""One plug-in's fault, whatever and wherever it is, is one failed cell; all others are measured."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import run_plan

from bench.api import BenchError
from bench.data.files import DiskFullError
from bench.plugins import Registry
from bench.run.index import FaceIndex
from bench.run.options import RunOptions
from bench.run.plan import Plan, make_plan
from bench.run.store import Store
from bench.run.worker import Failure

HEAD = """
import os, sys
from pathlib import Path
import numpy as np
from bench.api import BenchError, Classifier, Dataset, FaceInput, FaceSet, Features, Network, param

class Two(Exception):
    def __init__(self, a, b):
        super().__init__(a)

class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")
"""
CLASSIFIER = (
    HEAD
    + """
class Evil(Classifier):
    name = "evil"
    def fit(self, X, Y):
        self.p_ = Y.mean(0)
        return self
    def scores(self, X):
        return np.tile(self.p_, (len(X), 1))
    def labels(self, X):
        return self.scores(X) >= 0.5
"""
)
FEATURES = (
    HEAD
    + """
class EvilFeatures(Features):
    name = "evil-features"
    stateless = True
    def transform(self, faces):
        return faces.images.reshape(len(faces), -1).astype(np.float32)
"""
)
DATASET = (
    HEAD
    + """
class EvilData(Dataset):
    name = "evil-data"
    embedded = True
    protocols = ()
    def load(self, root=None, protocol=""):
        rng = np.random.default_rng(0)
        values = dict(
            name="evil-data", kind="multi", label_names=("a", "b", "c"),
            ids=np.array([f"i{k}" for k in range(30)]),
            images=rng.integers(0, 255, (30, 12, 12), np.uint8), labels=rng.random((30, 3)) < 0.5,
        )
"""
)
RAISED = [
    "ValueError('bad file \\udcff.png')", "Two(1, 2)", "Mute()", "SystemExit(5)", "KeyError('k')",
    "BaseException('base')", "GeneratorExit()", "BenchError('a sentence')", "MemoryError()",
    "RecursionError('deep')", "OSError(28, 'No space left on device')", "UnicodeError('u')",
    "StopIteration()", "AssertionError()",
]  # fmt: skip


def plan_of(tmp_path: Path, tiny: Path, text: str, methods: str, **options: object) -> Plan:
    evil = tmp_path / "evil.py"
    evil.write_text(text, "utf-8")
    return make_plan(Registry([tiny, evil]), RunOptions("tiny", methods, **options))  # type: ignore[arg-type]


def one_fails(plan: Plan, store: Store, workers: int = 0) -> str:
    """The reason of the first cell, which fails; the second is measured."""
    outcomes, _ = run_plan(plan, store, workers=workers)
    bad, good = outcomes.records
    assert (bad.status, good.status) == ("error", "ok"), bad
    assert {record.key for record in store.records()} == {bad.key, good.key}
    assert "\n" not in bad.reason
    return bad.reason


@pytest.mark.parametrize("hook", ["fit", "remarks", "footnotes", "memory_needed"])
@pytest.mark.parametrize("raised", RAISED)
def test_whatever_a_classifier_raises(
    tmp_path: Path, tiny: Path, store: Store, hook: str, raised: str
) -> None:
    text = CLASSIFIER + f"    def {hook}(self, *values):\n        raise {raised}\n"
    assert "evil" in one_fails(plan_of(tmp_path, tiny, text, "halves+evil,halves+nearest"), store)


@pytest.mark.parametrize(
    "hook", ["fit", "transform", "remarks", "footnotes", "learned_weights", "learning_curve"]
)
@pytest.mark.parametrize("raised", RAISED[:6])
def test_whatever_features_raise(
    tmp_path: Path, tiny: Path, store: Store, hook: str, raised: str
) -> None:
    text = FEATURES.replace("stateless = True", "stateless = False")
    text += f"    def {hook}(self, *values):\n        raise {raised}\n"
    plan = plan_of(tmp_path, tiny, text, "evil-features+nearest,halves+nearest")
    assert "evil-features" in one_fails(plan, store)


@pytest.mark.parametrize(
    "hook", ["__init__", "get_params", "unsuited", "weights_used", "requires", "stochastic"]
)
@pytest.mark.parametrize("raised", [one for one in RAISED if "BenchError" not in one])
def test_whatever_a_plan_hears(
    tmp_path: Path, tiny: Path, store: Store, hook: str, raised: str
) -> None:
    text = (
        FEATURES + '    companions = {"other": "labelled"}\n    other: str | None = param(None)\n'
    )
    text += "    @property\n" if hook == "stochastic" else ""
    text += f"    def {hook}(self, *values, **more):\n        raise {raised}\n"
    plan = plan_of(tmp_path, tiny, text, "evil-features+nearest,halves+nearest")
    reason = one_fails(plan, store)
    assert reason.startswith("evil-features failed in ") or "out of memory" in reason


def test_what_a_plugin_refuses_is_told_at_once(tmp_path: Path, tiny: Path) -> None:
    text = FEATURES + "    def weights_used(self):\n        raise BenchError('no such weights')\n"
    with pytest.raises(BenchError, match=r"^no such weights$"):
        plan_of(tmp_path, tiny, text, "evil-features+nearest,halves+nearest")


@pytest.mark.parametrize(
    ("hook", "value"),
    [
        *(("remarks", value) for value in ("None", "'text'", "(1, 2)", "np.array(['a'])", "7")),
        *(("footnotes", value) for value in ("None", "(np.float32(1),)", "{'a': 1}")),
        *(("weights_used", value) for value in ("Path('a')", "b'bytes'", "7", "np.bool_(True)")),
        *(("measures", value) for value in ("None", "{'a': 'b'}", "[1]")),
        *(("learned_weights", value) for value in ("None", "'many'")),
        *(("learning_curve", value) for value in ("None", "[1]", "[{'a': None}]")),
        *(("transform", value) for value in ("None", "np.zeros(3)", "[[1.0]]")),
    ],
)
def test_whatever_features_return(
    tmp_path: Path, tiny: Path, store: Store, hook: str, value: str
) -> None:
    text = FEATURES + f"    def {hook}(self, *values):\n        return {value}\n"
    plan = plan_of(tmp_path, tiny, text, "evil-features+nearest,halves+nearest")
    assert "evil-features" in one_fails(plan, store)


@pytest.mark.parametrize(
    ("hook", "value"),
    [
        *(("remarks", value) for value in ("None", "'text'", "(1, 2)", "(b'a',)")),
        *(("memory_needed", value) for value in ("None", "'much'")),
        *(("scores_and_labels", value) for value in ("None", "1", "(1, 2)", "(1, 2, 3)")),
        ("scores", "np.ma.masked_array(np.ones((12, 3)), mask=True)"),
        ("scores", "np.full((12, 3), 1 + 1j)"),
        ("labels", "np.ones((12, 3), object)"),
    ],
)
def test_whatever_a_classifier_returns(
    tmp_path: Path, tiny: Path, store: Store, hook: str, value: str
) -> None:
    text = CLASSIFIER + f"    def {hook}(self, *values):\n        return {value}\n"
    assert "evil" in one_fails(plan_of(tmp_path, tiny, text, "halves+evil,halves+nearest"), store)


def test_numbers_of_numpy_are_numbers(tmp_path: Path, tiny: Path, store: Store) -> None:
    text = FEATURES.replace("stateless = True", "stateless = np.bool_(True)") + (
        "    stochastic = np.bool_(False)\n    trains = np.bool_(False)\n"
        "    seconds_per_1000 = 'a day'\n"
        "    def learned_weights(self):\n        return np.int64(7)\n"
        "    def measures(self, faces):\n        return {np.str_('a'): np.float32(0.5)}\n"
    )
    plan = plan_of(tmp_path, tiny, text, "evil-features+nearest")
    (record,) = run_plan(plan, store)[0].records
    assert (record.status, record.learned_weights, record.measures) == ("ok", 7, {"a": 0.5})


@pytest.mark.parametrize(
    "body", ["raise Two(1, 2)", "sys.exit(3)", "raise ValueError('\\udcff')", "raise Mute()",
             "os.chdir('/')"],
)  # fmt: skip
def test_in_a_worker_too(
    tmp_path: Path, tiny: Path, store: Store, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    text = CLASSIFIER + f"    def fit(self, X, Y):\n        {body}\n        self.p_ = Y.mean(0)\n"
    text += "        return self\n"
    plan = plan_of(tmp_path, tiny, text, "halves+evil,halves+nearest")
    if "chdir" not in body:
        assert one_fails(plan, store, workers=1).startswith("evil failed in fit: ")
        return
    monkeypatch.chdir(tmp_path)
    outcomes, _ = run_plan(plan, Store(Path("here")), workers=1)
    assert [record.status for record in outcomes.records] == ["ok", "ok"]
    assert len(list((tmp_path / "here/runs").iterdir())) == 2


@pytest.mark.parametrize("body", ["sys.exit(5)", "raise BaseException('x')", "raise Two(1, 2)"])
def test_a_fault_at_import_is_a_sentence(tmp_path: Path, tiny: Path, body: str) -> None:
    text = CLASSIFIER.replace("class Evil", body + "\n\nclass Evil")
    with pytest.raises(BenchError, match=r"plug-in file .*evil\.py:\d+ fails on import"):
        plan_of(tmp_path, tiny, text, "halves+evil,halves+nearest")


def test_the_working_folder_survives_an_import(
    tmp_path: Path, tiny: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = CLASSIFIER.replace("class Evil", "os.chdir('/')\n\nclass Evil")
    plan = plan_of(tmp_path, tiny, text, "halves+evil,halves+nearest")
    assert Path.cwd() == tmp_path
    outcomes, _ = run_plan(plan, store)
    assert [record.status for record in outcomes.records] == ["ok", "ok"]
    assert Path.cwd() == tmp_path


@pytest.mark.parametrize(
    ("kind", "default"),
    [
        ("float", "np.float32(0.5)"),
        ("int", "np.int64(3)"),
        ("object", "Path('/a')"),
        ("object", "np.zeros(3)"),
        ("object", "b'bytes'"),
        ("object", "{1, 2}"),
        ("object", "float('nan')"),
        ("object", "0.5, choices=(0.5, np.float32(1))"),
    ],
)
def test_a_parameter_has_to_fit_into_a_record(
    tmp_path: Path, tiny: Path, kind: str, default: str
) -> None:
    text = CLASSIFIER + f"    x: {kind} = param({default}, help='x')\n"
    with pytest.raises(BenchError, match=r"Evil\.x: .* cannot stand in a record"):
        plan_of(tmp_path, tiny, text, "halves+evil")


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("raise ValueError('boo')", "evil-data failed in load: ValueError: boo"),
        ("raise Two(1, 2)", "evil-data failed in load: Two: 1"),
        ("sys.exit(3)", "evil-data failed in load: SystemExit: 3"),
        ("raise BenchError('line 3 is wrong')", "line 3 is wrong"),
        ("return None", "evil-data failed in load: TypeError: a FaceSet expected, got NoneType"),
        ("return FaceSet(**values, notes=(1, 2))", "evil-data: notes must give a tuple of str"),
        ("return FaceSet(**values, notes=None)", "evil-data: notes must give a tuple of str"),
        ("return FaceSet(**values, synthetic='no')", "synthetic must be bool, not str"),
    ],
)
def test_a_datasets_fault_is_a_sentence(tmp_path: Path, tiny: Path, end: str, words: str) -> None:
    (tmp_path / "data.py").write_text(DATASET + f"        {end}\n")
    with pytest.raises(BenchError) as caught:
        make_plan(Registry([tiny, tmp_path / "data.py"]), RunOptions("evil-data", "alone"))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("end", ["raise KeyError(3)", "return None", "return 'text'", "return [1]"])
def test_a_fault_in_check_is_a_sentence(tmp_path: Path, tiny: Path, end: str) -> None:
    text = DATASET + "        return FaceSet(**values)\n    def check(self, faces):\n"
    (tmp_path / "data.py").write_text(text + f"        {end}\n")
    with pytest.raises(BenchError, match=r"evil-data.*check"):
        make_plan(Registry([tiny, tmp_path / "data.py"]), RunOptions("evil-data", "alone"))


@pytest.mark.parametrize("end", ["raise KeyError(3)", "return None", "sys.exit(1)"])
def test_a_fault_in_split_is_a_sentence(tmp_path: Path, tiny: Path, end: str) -> None:
    text = DATASET.replace("protocols = ()", 'protocols = ("official",)')
    text += "        return FaceSet(**values)\n    def split(self, faces, protocol):\n"
    (tmp_path / "data.py").write_text(text + f"        {end}\n")
    with pytest.raises(BenchError, match=r"evil-data.*split"):
        make_plan(Registry([tiny, tmp_path / "data.py"]), RunOptions("evil-data", "alone"))


def test_names_of_any_bytes_are_escaped(tmp_path: Path, tiny: Path, store: Store) -> None:
    end = (
        "        values['ids'] = np.array([f'caf\\udce9{k}' for k in range(30)])\n"
        "        return FaceSet(**values, synthetic=np.bool_(True), notes=('caf\\udce9',))\n"
    )
    (tmp_path / "data.py").write_text(DATASET + end)
    registry = Registry([tiny, tmp_path / "data.py"])
    options = RunOptions("evil-data", "halves+nearest", protocol="holdout-60-20-20")
    store.open()
    plan = make_plan(registry, options, FaceIndex(store.cache))
    (record,) = run_plan(plan, store)[0].records
    assert record.status == "ok", record.reason
    assert record.cell.synthetic is True
    assert record.notes[0] == r"caf\xe9"
    assert str(store.ids(record)[0]).startswith(r"caf\xe9")


def test_a_failure_says_what_the_coordinator_has_to_know() -> None:
    kinds = [Failure.of(error).kind for error in (DiskFullError("x"), BenchError("y"), OSError())]
    assert kinds == ["disk full", "refused", "fault"]
