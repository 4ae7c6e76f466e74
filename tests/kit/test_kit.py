"""Every built-in plug-in goes through the test kit, and the kit finds what it is meant to find."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest
from runs import PLUGINS

from bench.kit.classifier import Samples
from bench.kit.examine import CHECKS, Finding, examine, subjects, title, verdict
from bench.kit.general import Subject
from bench.kit.hooks import overridden
from bench.plugins import Entry, Registry

ENTRIES = [entry for entry in Registry() if entry.builtin and entry.state == "ready"]
SLOW = ("skml:ProbabilisticClassifierChain",)  # tries every label set for each row, in Python


def failures(subject: Subject, kind: str) -> list[Finding]:
    findings = [verdict(subject, kind, check) for check in CHECKS[kind]]
    assert {finding.status for finding in findings} <= {"ok", "failed", "does not apply"}
    assert sum(finding.status == "ok" for finding in findings) >= 4
    return [finding for finding in findings if finding.status == "failed"]


@pytest.mark.filterwarnings("ignore")  # of the libraries, on data as small as this
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_built_in_plugins_pass(entry: Entry) -> None:
    quick = [subject for subject in subjects(entry) if subject.name not in SLOW]
    assert quick
    assert [failure for one in quick for failure in failures(one, entry.kind)] == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SLOW)
def test_slow_members_pass(name: str) -> None:
    entry = Registry().find("method", name)[0]
    (subject,) = (one for one in subjects(entry) if one.name == name)
    assert failures(subject, entry.kind) == []


@pytest.mark.parametrize(
    "entry",
    [
        one
        for one in ENTRIES
        if one.kind == "Classifier"
        and not one.name.endswith(":")
        and one.load().learns != "distribution"  # no label set varies in a distribution
    ],
    ids=lambda entry: entry.name,
)
@pytest.mark.parametrize("value", [False, True])
def test_labels_that_do_not_vary_are_predicted_as_in_training(entry: Entry, value: bool) -> None:
    (subject,) = subjects(entry)
    data = Samples()
    data.Y[:, 1] = value
    assert (subject.make().fit(data.X, data.Y).labels(data.X_test)[:, 1] == value).all()
    data.Y[:] = value
    assert (subject.make().fit(data.X, data.Y).labels(data.X_test) == value).all()


@pytest.mark.filterwarnings("ignore")
def test_exemptions_are_needed_and_explained() -> None:
    exempted = [
        (verdict(subject, entry.kind, check, exempt=False), reason)
        for entry in ENTRIES
        for subject in subjects(entry)
        for name, reason in subject.plain().exempt().items()
        for check in CHECKS[entry.kind]
        if title(check) == name
    ]
    assert exempted
    assert [finding for finding, _ in exempted if finding.status != "failed"] == []
    assert all(len(reason) > 20 for _, reason in exempted)


# Plug-ins with one fault each, and the check that has to find it.
FAULTLESS = (PLUGINS / "faultless.py").read_text(encoding="utf-8")
FAULTS = {
    "shapes types and finite scores": ("return self.scores(X) >= 0.5", "return self.scores(X)"),
    "labels follow the threshold": (
        "return self.scores(X) >= 0.5",
        "S = self.scores(X); return S >= S.mean(axis=1, keepdims=True)",
    ),
    "same seed gives the same bytes": (
        "self.mean_ = Y",
        "self.noise_ = np.random.rand(); self.mean_ = self.noise_ * 1e-9 + Y",
    ),
    "clone and deep copy": ("self.n_features_in_ =", "self.ridge = 2.0; self.n_features_in_ ="),
    "prediction before fit refused": ("        require_fitted(self)\n", ""),
    "inputs are not written to": ("X = checked_features(X, self.name)\n", "X -= X.mean(axis=0)\n"),
    "unseen labels": ("self.mean_ =", "assert Y[:, 1:].any(); self.mean_ ="),
    "all zero and all one columns": (
        "self.mean_ =",
        "assert not Y.all(axis=0).any(); self.mean_ =",
    ),
    "distributions are shares": (
        "    def labels",
        "    def scores_are_distributions(self):\n        return True\n\n    def labels",
    ),
    "one class per row": (
        "return self.scores(X) >= 0.5",
        "assert self.kind == 'multi'; return self.scores(X) >= 0.5",
    ),
    "one label": ("self.mean_ =", "assert Y.shape[1] > 1; self.mean_ ="),
    "constant and duplicate features": ("X.std(dtype=float) or 1.0", "X.std(axis=0)"),
    "duplicate rows": (
        "self.n_features_in_ =",
        "assert len(np.unique(X, axis=0)) in (1, len(X)); self.n_features_in_ =",
    ),
    "one row predicted": ("self.coef_) +", "self.coef_).squeeze() +"),
    "few training rows": ("self.n_features_in_ =", "X[9]; self.n_features_in_ ="),
    "float32 and float64": (
        "self.n_features_in_ =",
        "assert X.dtype == np.float64; self.n_features_in_ =",
    ),
    "memory layout does not matter": (
        "X = checked_features(X, self.name)\n",
        "Y = Y if X.flags.c_contiguous else Y[::-1]; X = checked_features(X, self.name)\n",
    ),
    "wrong input refused": (
        "X = checked_features(X, self.name, self.n_features_in_)",
        "X = np.nan_to_num(X)",
    ),
    "fit twice equals fit once": (
        "self.mean_ = Y.mean(axis=0)",
        "self.n_ = getattr(self, 'n_', 0) + 1; self.mean_ = Y.mean(axis=0) + self.n_",
    ),
    "rows do not depend on the batch": (
        "+ self.mean_",
        "+ self.mean_ + (X - X.mean(axis=0))[:, :1]",
    ),
    "name is well formed": ('name = "good"', 'name = "Not Good"'),
    "docstring names a reference": (" Reference: none.", ""),
    "parameters have help": (', help="weight"', ""),
    "parameters round trip": (
        "    def scores",
        "    def set_params(self, **params):\n        vars(self).update(params)\n"
        "        return self\n\n    def scores",
    ),
    "repr is one line": (
        "    def scores",
        "    def __repr__(self):\n        return 'a\\nb'\n\n    def scores",
    ),
}


def entry_of(path: Path, code: str) -> Entry:
    path.write_text(code, encoding="utf-8")
    return next(entry for entry in Registry([path]) if not entry.builtin)


def failed_checks(path: Path, code: str) -> list[str]:
    entry = entry_of(path, code)
    (subject,) = subjects(entry)
    return [finding.check for finding in failures(subject, entry.kind)]


def test_every_classifier_check_has_a_fault_that_it_finds() -> None:
    assert set(FAULTS) == {title(check) for check in CHECKS["Classifier"]}


@pytest.mark.filterwarnings("ignore")  # what they do is wrong
@pytest.mark.parametrize("name", ["", *FAULTS])
def test_faults_are_found(tmp_path: Path, name: str) -> None:
    code = FAULTLESS
    if name:
        old, new = FAULTS[name]
        assert code.count(old) == 1
        code = code.replace(old, new)
    found = failed_checks(tmp_path / "faulty.py", code)
    assert name in found if name else found == []


# The same for the other kinds; what `bench new` writes is good but for its docstring.
OTHER_FAULTS = {
    "features": {
        "shape type and finite values": ("return squares", "return list(squares), squares"),
        "inputs are not written to": ("/ 255\n", "/ 255\n        faces.images[:] = 0\n"),
        "same seed gives the same bytes": ("squares.mean(", "np.random.rand() + squares.mean("),
        "fit twice equals fit once": (
            "    def transform",
            "    def fit(self, faces, rng):\n        self.n_ = getattr(self, 'n_', 0) + 1\n"
            "        return self\n\n    def transform",
        ),
        "chunks do not matter": ("squares.mean(", "squares.mean() + squares.mean("),
        "labels are not looked at": ("squares.mean(", "faces.labels.sum() + squares.mean("),
        "other image sizes refused": ("100 // self.step", "faces.images.shape[1] // self.step"),
    },
    "network": {
        "scores and labels": (
            "    def loss",
            "    def labels(self, faces):\n        return ~super().labels(faces)\n\n    def loss",
        ),
        "measures are finite figures": (
            "    def loss",
            "    def measures(self, faces):\n        return {'error': float('nan')}\n\n"
            "    def loss",
        ),
        "a validation part is taken": (
            "    def loss",
            "    def fit(self, faces, rng):\n        return super().fit(faces, rng)\n\n"
            "    def loss",
        ),
        "overridden hooks are called": (
            "    def loss",
            "    def learn(self, model, train, valid, seed):\n"
            "        plain = super().loss\n"
            "        return self.phase('', model, self.recipe, train, valid, seed, plain)\n\n"
            "    def loss",
        ),
    },
    "dataset": {
        "metadata is complete": ("Say here how to get the data.", ""),
        "an empty folder is refused": ("embedded = True", "embedded = False"),
        "the same faces every time": ("default_rng(0)", "default_rng()"),
        "names and shares hold": ('f"{row:04d}"', '"0000"'),
        "protocols split the faces": ("% 5 == 0, TEST", "% 5 == 9, TEST"),
    },
}


def template(kind: str) -> str:
    path = resources.files("bench.cli").joinpath("templates", f"{kind}.txt")
    return path.read_text(encoding="utf-8").replace("NAME", "my-own").replace("CLASS", "MyOwn")


@pytest.mark.parametrize("kind", ["classifier", *OTHER_FAULTS])
def test_what_bench_new_writes_lacks_a_reference_only(tmp_path: Path, kind: str) -> None:
    assert failed_checks(tmp_path / "my_own.py", template(kind)) == ["docstring names a reference"]


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, faults in OTHER_FAULTS.items() for name in faults]
)
def test_other_faults_are_found(tmp_path: Path, kind: str, name: str) -> None:
    old, new = OTHER_FAULTS[kind][name]
    code = template(kind)
    assert code.count(old) == 1
    code = code.replace(old, new)
    if name == "fit twice equals fit once":
        code = code.replace("return squares.mean(", "return self.n_ + squares.mean(")
    assert name in failed_checks(tmp_path / "my_own.py", code)


def test_every_other_check_has_a_fault_that_it_finds() -> None:
    known = {*FAULTS, *(name for faults in OTHER_FAULTS.values() for name in faults)}
    assert {title(check) for checks in CHECKS.values() for check in checks} == known


CRUEL = (PLUGINS / "cruel.py").read_text(encoding="utf-8")


def test_hanging_and_dying_checks_fail_and_the_rest_goes_on(tmp_path: Path) -> None:
    entry = entry_of(tmp_path / "cruel.py", CRUEL)
    found = {one.check: one for one in examine(entry, tmp_path / "log", seconds=10)}
    assert list(found) == ["import", *map(title, CHECKS["Classifier"])]
    assert found["import"].status == "ok"
    assert found["one label"].reason == "it took longer than 10 s and was ended"
    assert "the process died (exit code 7" in found["few training rows"].reason
    assert found["float32 and float64"].reason == "KeyError (cruel.py:24): 'no luck'"
    assert found["duplicate rows"].status == "does not apply"
    assert found["duplicate rows"].reason == "they are all the same to it"
    assert found["parameters have help"].status == "ok"


def test_an_unknown_exemption_is_refused(tmp_path: Path) -> None:
    entry = entry_of(tmp_path / "cruel.py", CRUEL.replace('"duplicate rows"', '"everything"'))
    found = verdict(subjects(entry)[0], "Classifier", CHECKS["Classifier"][0])
    assert found.status == "failed"
    assert "'everything', which is no check" in found.reason


def test_missing_weights_are_no_failure(tmp_path: Path) -> None:
    code = CRUEL.replace('KeyError("no luck")', 'UnavailableError("give --weights PATH")')
    code = code.replace("import Classifier", "import Classifier, UnavailableError")
    (subject,) = subjects(entry_of(tmp_path / "cruel.py", code))
    (check,) = (one for one in CHECKS["Classifier"] if title(one) == "float32 and float64")
    found = verdict(subject, "Classifier", check)
    assert (found.status, found.reason) == ("does not apply", "give --weights PATH")


# -- networks derived from others -----------------------------------------------------------------

DERIVED = (PLUGINS / "derived.py").read_text(encoding="utf-8")


def hooks_check(entry: Entry) -> Finding:
    (subject,) = subjects(entry)
    (check,) = (one for one in CHECKS["Network"] if title(one) == "overridden hooks are called")
    return verdict(subject, "Network", check)


def test_a_loss_that_is_heard_passes(tmp_path: Path) -> None:
    found = hooks_check(entry_of(tmp_path / "derived.py", DERIVED))
    assert (found.status, found.reason) == ("ok", "")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (
            "return super().loss(out, batch)",
            'raise RuntimeError("no loss")',
            r"RuntimeError \(derived\.py:\d+\): no loss",
        ),
        (
            "    def loss(self",
            "    def keep(self, faces):\n"
            "        self.loss = super().loss\n"
            "        return super().keep(faces)\n\n"
            "    def loss(self",
            r"Derived\.loss: never called, neither in training nor in an answer, and so without "
            "effect; override what the class above calls in its place, or take it out",
        ),
        (
            "    def loss(self",
            "    def network(self, labels, channels):\n"
            "        raise RuntimeError('nobody asks for it')\n\n"
            "    def build(self, labels, channels):\n"
            "        return Above.network(self, labels, channels)\n\n"
            "    def loss(self",
            r"Derived\.network: never called, .*",
        ),
        (
            "    def loss(self",
            "    def groups(self, model):\n        return super().groups(model)\n\n"
            "    def takes_sets(self):\n        return True\n\n"
            "    def budgeted(self, recipes):\n        raise KeyError('no recipe')\n\n"
            "    def loss(self",
            r"KeyError \(derived\.py:\d+\): 'no recipe'",
        ),
    ],
)
def test_a_hook_that_breaks_or_is_not_heard_fails(
    tmp_path: Path, old: str, new: str, reason: str
) -> None:
    assert DERIVED.count(old) == 1
    found = hooks_check(entry_of(tmp_path / "derived.py", DERIVED.replace(old, new)))
    assert found.status == "failed"
    assert re.fullmatch(reason, found.reason)


def test_hooks_are_those_that_its_own_file_overrides(tmp_path: Path) -> None:
    (subject,) = subjects(entry_of(tmp_path / "derived.py", DERIVED))
    assert {name: owner.__name__ for name, owner in overridden(subject.plugin).items()} == {
        "loss": "Derived"
    }
    families = {
        entry.name: set(overridden(entry.load())) for entry in ENTRIES if entry.kind == "Network"
    }
    assert families["resnet18"] >= {"network", "loss", "takes_sets"}
    assert families["dbm-cnn"] >= {"build", "loss", "groups", "check"}
    assert all(families.values())
