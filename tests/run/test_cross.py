"""Protocol cross, and datasets that methods learn from beside the run's own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from runs import plugin_file, records_of

from bench.api import BenchError
from bench.plugins import Registry
from bench.publish import tables
from bench.publish.frames import cells, csv_text
from bench.run.options import RunOptions
from bench.run.plan import Plan, make_plan
from bench.run.record import Record
from bench.run.store import Store


@pytest.fixture
def registry(tmp_path: Path, tiny: Path) -> Registry:
    return Registry([tiny, plugin_file("domains", tmp_path)])


def done(registry: Registry, tmp_path: Path, request: RunOptions) -> tuple[Plan, list[Record]]:
    plan = make_plan(registry, request)
    records = records_of(plan, Store(tmp_path / "results"))
    for record in records:
        assert record.status == "ok", record.reason
    return plan, records


def test_a_network_is_trained_on_the_source_and_asked_about_the_target(
    registry: Registry, tmp_path: Path
) -> None:
    request = RunOptions("from", "echo", protocol="cross", target="to")
    plan, [record] = done(registry, tmp_path, request)
    cell = record.cell
    assert (cell.dataset, str(cell.protocol)) == ("to", "cross from from, official")
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
    request = RunOptions(
        "from", "echo+nearest, echo, alone", protocol="cross", target="to", target_protocol="cv3"
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
    request = RunOptions(
        "from", "echo[tuned=true]", protocol="cross", target="to", target_protocol="cv3"
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
    request = RunOptions("from", "echo", protocol="cross", target="to[kind_of=single]")
    _, [record] = done(registry, tmp_path, request)
    assert record.cell.kind == "single"
    assert set(record.criteria) == {"accuracy", "mean_recall"}
    assert record.criteria["accuracy"] == pytest.approx(
        float(np.mean(Store(tmp_path / "results").scores(record).truth[:, 1]))  # type: ignore[union-attr]
    )


def test_what_does_not_fit_is_refused_in_a_sentence(registry: Registry) -> None:
    cases = [
        (RunOptions("from", "echo", protocol="cross"), "name that with --target"),
        (RunOptions("from", "echo", target="to"), "--target to needs --protocol cross"),
        (RunOptions("from", "echo", target_protocol="cv5"), "--target-protocol cv5 needs"),
        (RunOptions("from", "echo", protocol="cross", target="strange"), "no label"),
        (
            RunOptions("from", "echo", protocol="cross", target="to", selection="test"),
            "--selection test does not go with",
        ),
        (RunOptions("from", "echo[tuned=true]"), "only with --protocol cross"),
        (RunOptions("from", "echo[needed=true]"), r"write echo\[second=NAME:DIR\]"),
        (RunOptions("from", "echo[second=nowhere]"), "nowhere"),
        (RunOptions("from", "echo[second=strange]"), r"strange \(x, y\) have no label"),
        (RunOptions("from", "echo[second=nobody]"), "nobody holds no image"),
        (RunOptions("from", "echo", protocol="cross", target="nobody"), "nobody holds no image"),
        (RunOptions("from", "echo[second=elsewhere:/no/such/place]"), "is no folder"),
        (RunOptions("from", "echo[second=to[kind_of=single|multi]]"), "no sweep"),
        (RunOptions("from", "echo[second=to]", protocol="cross", target="to"), "is the target"),
        (RunOptions("ones", "echo", protocol="cross", target="to"), "as it is"),
        (
            RunOptions("from", "echo", protocol="cross", target="to", target_protocol="cv"),
            "protocol",
        ),
    ]
    for request, words in cases:
        with pytest.raises(BenchError, match=words):
            make_plan(registry, request)


def test_labels_of_a_second_dataset_are_mapped_in_sight(registry: Registry) -> None:
    request = RunOptions(
        "from", "echo[second=to], echo[target=to], echo[second=from[seed=5]]", seeds=2
    )
    assert make_plan(registry, request).findings == (
        "echo[second=to]: labels mapped by name: joy, fear; left out: awe (only from); "
        "calm (only to)",
        "echo[second=from[seed=5]]: labels mapped by name: joy, awe, fear",
    )


def test_another_dataset_is_part_of_the_key_and_of_the_record_without_its_folder(
    registry: Registry, tmp_path: Path
) -> None:
    keys, dataset = [], tmp_path / "some where"
    dataset.mkdir()
    for seed in (1, 2):
        (dataset / "seed.txt").write_text(f"{seed}")
        methods = f"echo[second=elsewhere:{dataset},target=from[seed=5]]"
        plan, [record] = done(registry, tmp_path, RunOptions("from", methods))
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
    rows = csv_text(cells(Store(tmp_path / "results").records())).splitlines()
    assert len(rows) == 3


def test_measures_are_published_apart(registry: Registry, tmp_path: Path) -> None:
    _, records = done(registry, tmp_path, RunOptions("from", "echo, echo+nearest"))
    written = tables.write(records, tmp_path / "tables")
    file = next(path for path in written if path.name == "measures.csv")
    lines = file.read_text().splitlines()
    assert lines[0].endswith("measure,value")
    assert len(lines) == 5
    assert sum(line.endswith("tested,10.0") for line in lines) == 2
    _, others = done(registry, tmp_path, RunOptions("from", "alone"))
    assert not any(
        path.name == "measures.csv" for path in tables.write(others, tmp_path / "without")
    )


def test_a_network_alone_is_asked_about_test_faces_only_and_never_trained_twice(
    registry: Registry, tmp_path: Path
) -> None:
    store = Store(tmp_path / "results")
    _, [alone] = done(registry, tmp_path, RunOptions("from", "echo"))
    [place] = (store.cache / "features").iterdir()
    assert place.name.endswith("-tested")
    assert len(np.load(place / "scores.npy")) == alone.cell.n_test
    _, pair = done(registry, tmp_path, RunOptions("from", "echo, echo+nearest"))
    assert pair[0] == alone  # the same cell, not measured again
    sizes = {path.name: len(np.load(path / "matrix.npy")) for path in place.parent.iterdir()}
    assert sizes == {place.name: 10, place.name.removesuffix("-tested"): 40}


def test_scores_of_tested_faces_fall_on_the_right_rows(registry: Registry, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    request = RunOptions(
        "from", "first-pixels", protocol="cross", target="to", target_protocol="cv3"
    )
    both = replace(request, methods="first-pixels, first-pixels+nearest")
    _, alone = done(registry, tmp_path, request)
    _, pairs = done(registry, whole, both)
    own = [record for record in pairs if record.cell.classifier is None]
    assert [record.scores_sha256 for record in alone] == [r.scores_sha256 for r in own]
