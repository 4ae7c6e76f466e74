"""Protocol cross, and datasets that methods learn from beside the run's own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import BenchError
from bench.plugins import Registry
from bench.publish import tables
from bench.run.plan import Plan, Request, make_plan
from bench.run.record import Record
from bench.run.runner import run
from bench.run.store import Store

PLUGINS = '''
"""Datasets of two label sets, and methods that say what they were given."""
import numpy as np
from bench.api import Dataset, Features, Network, param
from bench.api import TEST, TRAIN, FaceSet


def made(name, names, kind, n, seed, split=True):
    rng = np.random.default_rng(seed)
    if kind == "single":
        labels = np.eye(len(names), dtype=bool)[np.arange(n) % len(names)]
    else:
        # Two of eight faces show the third label alone.
        bits = np.array([[i & 1, i & 2, i & 4 or i % 8 == 0] for i in range(n)]).reshape(n, 3)
        labels = bits[:, : len(names)] > 0
    images = rng.integers(0, 255, (n, 12, 12), dtype=np.uint8)
    part = np.where(np.arange(n) % 4 == 3, TEST, TRAIN).astype(np.int8) if split else None
    ids = np.array([f"{name}-{i:03d}" for i in range(n)])
    return FaceSet(name, kind, names, ids, labels, images=images, split=part, synthetic=True)


class From(Dataset):
    name = "from"
    embedded = True
    seed: int = param(0, ge=0)

    def load(self, root, protocol=""):
        return made("from", ("joy", "awe", "fear"), "multi", 40, self.seed)


class To(Dataset):
    name = "to"
    embedded = True
    kind_of: str = param("multi", choices=("multi", "single"))

    def load(self, root, protocol=""):
        return made("to", ("fear", "joy", "calm"), self.kind_of, 48, 7)


class Ones(Dataset):
    name = "ones"
    kind = "single"
    embedded = True

    def load(self, root, protocol=""):
        return made("ones", ("joy", "fear"), "single", 24, 3)


class Elsewhere(Dataset):
    """In a folder."""
    name = "elsewhere"
    protocols = ()
    obtain = "Ask."

    def load(self, root, protocol=""):
        seed = int((root / "seed.txt").read_text())
        return made("elsewhere", ("joy", "awe", "fear"), "multi", 30, seed, split=False)


class Strange(Dataset):
    name = "strange"
    embedded = True

    def load(self, root, protocol=""):
        return made("strange", ("x", "y"), "multi", 20, 1)


class Nobody(Dataset):
    name = "nobody"
    embedded = True

    def load(self, root, protocol=""):
        return made("nobody", ("joy", "awe", "fear"), "multi", 0, 1)


class Told(Network):
    """Scores that are the column's number; remembers what it saw in its remarks."""
    name = "told"
    kinds = ("multi", "single")
    companions = {"second": "labelled", "target": "unlabelled"}
    second: str | None = param(None)
    target: str | None = param(None)
    needed: bool = param(False)
    tuned: bool = param(False)

    def requires(self):
        return ("second",) if self.needed else ()

    def tunes(self):
        return self.tuned

    def fit(self, faces, rng, valid=None):
        self.seen_ = [f"fit {faces.name} {len(faces)} {faces.kind}"]
        for name, other in sorted(self.setting.others.items()):
            self.seen_.append(f"{name} {other.name} {len(other)} {other.kind} {other.labels.any()}")
        self.labels_ = len(faces.label_names)
        return self

    def tune(self, faces, rng, valid=None):
        names = ",".join(faces.label_names)
        shown = faces.labels.any(axis=0).astype(int).tolist()
        self.seen_.append(f"tune {faces.name} {len(faces)} {faces.kind} {names} {shown}")
        return self

    def transform(self, faces):
        return faces.images.reshape(len(faces), -1)[:, :3].astype(np.float32)

    def scores(self, faces):
        return np.tile(np.arange(self.labels_) / 10 + 0.1, (len(faces), 1))

    def labels(self, faces):
        return self.scores(faces) >= 0.25

    def remarks(self):
        return tuple(self.seen_)

    def measures(self, faces):
        return {"tested": float(len(faces)), "labels": float(len(faces.label_names))}


class Looks(Told):
    """Scores that are the first pixels."""
    name = "looks"

    def scores(self, faces):
        return faces.images.reshape(len(faces), -1)[:, : self.labels_] / 256.0
'''


@pytest.fixture
def registry(tmp_path: Path, tiny: Path) -> Registry:
    file = tmp_path / "told.py"
    file.write_text(PLUGINS)
    return Registry([tiny, file])


class Quiet:
    """A listener."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def done(registry: Registry, tmp_path: Path, request: Request) -> tuple[Plan, list[Record]]:
    plan = make_plan(registry, request)
    store = Store(tmp_path / "results")
    store.open()
    records = run(plan, store, Quiet(), workers=0, timeout=60).records
    for record in records:
        assert record.status == "ok", record.reason
    return plan, records


def test_a_network_is_trained_on_the_source_and_asked_about_the_target(
    registry: Registry, tmp_path: Path
) -> None:
    request = Request("from", "told", protocol="cross", target="to")
    plan, [record] = done(registry, tmp_path, request)
    cell = record.cell
    assert (cell.dataset, cell.protocol) == ("to", "cross from from, official")
    assert cell.label_names == ("joy", "fear")  # in the order of the source
    assert cell.source["dataset"] == "from"
    assert cell.source["n_train"] == 30
    assert "fit from 30 multi" in record.notes
    assert "target to 36 multi False" in record.notes  # twelve images show calm alone
    assert any("labels mapped by name: joy, fear" in note for note in plan.faces.notes)
    # Its scores of the columns 0 and 2 of the source, in that order: 0.1 and 0.3.
    stored = Store(tmp_path / "results").scores(record)
    assert stored is not None
    scores, labels = stored.scores, stored.labels
    assert scores is not None
    assert labels is not None
    assert np.allclose(scores, [0.1, 0.3])
    assert (labels == [False, True]).all()
    assert record.measures == {"tested": float(cell.n_test), "labels": 3.0}
    assert any("trained on from, 30 images, asked as it is" in note for note in record.footnotes)


def test_a_classifier_learns_on_the_targets_folds(registry: Registry, tmp_path: Path) -> None:
    request = Request(
        "from", "told+nearest, told, alone", protocol="cross", target="to", target_protocol="cv3"
    )
    plan, records = done(registry, tmp_path, request)
    assert len(records) == 9
    assert len({job.features.key for job in plan.jobs if job.features}) == 1  # one training
    first = next(record for record in records if record.cell.classifier == "nearest")
    assert first.cell.n_train == 24
    assert first.footnotes[0] == "trained on from, 30 images (SYNTHETIC)"
    alone = next(record for record in records if record.cell.classifier == "alone")
    assert (alone.footnotes, alone.cell.source) == ((), {})


def test_fine_tuning_goes_on_with_each_folds_training_part(
    registry: Registry, tmp_path: Path
) -> None:
    request = Request(
        "from", "told[tuned=true]", protocol="cross", target="to", target_protocol="cv3"
    )
    plan, records = done(registry, tmp_path, request)
    assert len({job.features.key for job in plan.jobs if job.features}) == 3
    for record in records:
        assert "tune to 24 multi joy,awe,fear [1, 0, 1]" in record.notes
        assert record.measures["tested"] == 12
        assert "then on the training part" in record.footnotes[0]


def test_from_label_sets_to_one_class_the_highest_score_is_the_class(
    registry: Registry, tmp_path: Path
) -> None:
    request = Request("from", "told", protocol="cross", target="to[kind_of=single]")
    _, [record] = done(registry, tmp_path, request)
    assert record.cell.kind == "single"
    assert set(record.criteria) == {"accuracy", "mean_recall"}
    assert record.criteria["accuracy"] == pytest.approx(
        float(np.mean(Store(tmp_path / "results").scores(record).truth[:, 1]))  # type: ignore[union-attr]
    )


def test_what_does_not_fit_is_refused_in_a_sentence(registry: Registry) -> None:
    cases = [
        (Request("from", "told", protocol="cross"), "name that with --target"),
        (Request("from", "told", target="to"), "--target to needs --protocol cross"),
        (Request("from", "told", target_protocol="cv5"), "--target-protocol cv5 needs"),
        (Request("from", "told", protocol="cross", target="strange"), "no label"),
        (
            Request("from", "told", protocol="cross", target="to", selection="test"),
            "--selection test does not go with",
        ),
        (Request("from", "told[tuned=true]"), "only with --protocol cross"),
        (Request("from", "told[needed=true]"), r"write told\[second=NAME:DIR\]"),
        (Request("from", "told[second=nowhere]"), "nowhere"),
        (Request("from", "told[second=strange]"), r"strange \(x, y\) have no label"),
        (Request("from", "told[second=nobody]"), "nobody holds no image"),
        (Request("from", "told", protocol="cross", target="nobody"), "nobody holds no image"),
        (Request("from", "told[second=elsewhere:/no/such/place]"), "is no folder"),
        (Request("from", "told[second=to[kind_of=single|multi]]"), "no sweep"),
        (Request("from", "told[second=to]", protocol="cross", target="to"), "is the target"),
        (Request("ones", "told", protocol="cross", target="to"), "as it is"),
        (Request("from", "told", protocol="cross", target="to", target_protocol="cv"), "protocol"),
    ]
    for request, words in cases:
        with pytest.raises(BenchError, match=words):
            make_plan(registry, request)


def test_labels_of_a_second_dataset_are_mapped_in_sight(registry: Registry) -> None:
    request = Request(
        "from", "told[second=to], told[target=to], told[second=from[seed=5]]", seeds=2
    )
    assert make_plan(registry, request).findings == (
        "told[second=to]: labels mapped by name: joy, fear; left out: awe (only from); "
        "calm (only to)",
        "told[second=from[seed=5]]: labels mapped by name: joy, awe, fear",
    )


def test_another_dataset_is_part_of_the_key_and_of_the_record_without_its_folder(
    registry: Registry, tmp_path: Path
) -> None:
    keys, dataset = [], tmp_path / "some where"
    dataset.mkdir()
    for seed in (1, 2):
        (dataset / "seed.txt").write_text(f"{seed}")
        methods = f"told[second=elsewhere:{dataset},target=from[seed=5]]"
        plan, [record] = done(registry, tmp_path, Request("from", methods))
        keys.append(record.key)
        text = json.dumps({**record.cell.features_params, **record.cell.others})
        assert str(tmp_path) not in text
        assert record.cell.features_params["second"].startswith("elsewhere@")
        assert record.cell.features_params["target"] == "from[seed=5]"
        assert record.cell.others["second"]["n"] == 30
        assert "second elsewhere 30 multi True" in record.notes
        assert "target from 40 multi False" in record.notes
        assert "second: elsewhere, 30 images (SYNTHETIC)" in record.footnotes
        assert len(plan.sets) == 3
    assert keys[0] != keys[1]
    rows = tables.cells_csv(Store(tmp_path / "results").records()).splitlines()
    assert len(rows) == 3


def test_measures_are_published_apart(registry: Registry, tmp_path: Path) -> None:
    _, records = done(registry, tmp_path, Request("from", "told, told+nearest"))
    written = tables.write(records, tmp_path / "tables")
    file = next(path for path in written if path.name == "measures.csv")
    lines = file.read_text().splitlines()
    assert lines[0].endswith("measure,value")
    assert len(lines) == 5
    assert sum(line.endswith("tested,10.0") for line in lines) == 2
    _, others = done(registry, tmp_path, Request("from", "alone"))
    assert not any(
        path.name == "measures.csv" for path in tables.write(others, tmp_path / "without")
    )


def test_a_network_alone_is_asked_about_test_faces_only_and_never_trained_twice(
    registry: Registry, tmp_path: Path
) -> None:
    store = Store(tmp_path / "results")
    _, [alone] = done(registry, tmp_path, Request("from", "told"))
    [place] = (store.cache / "features").iterdir()
    assert place.name.endswith("-tested")
    assert len(np.load(place / "scores.npy")) == alone.cell.n_test
    _, pair = done(registry, tmp_path, Request("from", "told, told+nearest"))
    assert pair[0] == alone  # the same cell, not measured again
    sizes = {path.name: len(np.load(path / "matrix.npy")) for path in place.parent.iterdir()}
    assert sizes == {place.name: 10, place.name.removesuffix("-tested"): 40}


def test_scores_of_tested_faces_fall_on_the_right_rows(registry: Registry, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    request = Request("from", "looks", protocol="cross", target="to", target_protocol="cv3")
    both = replace(request, methods="looks, looks+nearest")
    _, alone = done(registry, tmp_path, request)
    _, pairs = done(registry, whole, both)
    own = [record for record in pairs if record.cell.classifier is None]
    assert [record.scores_sha256 for record in alone] == [r.scores_sha256 for r in own]
