"""What a record's resamples draw, end to end: subjects where the faces have names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from runs import records_of

from bench.plugins import Registry
from bench.publish.rows import rows_of
from bench.run.options import RunOptions
from bench.run.plan import make_plan
from bench.run.record import Record
from bench.run.scoring import rescored
from bench.run.store import Store
from bench.score import bootstrap
from bench.score.criteria import evaluate

PEOPLE = "synthetic-single[images=40,identities=8]"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("results"))


def measured(store: Store, dataset: str, protocol: str) -> list[Record]:
    options = RunOptions(dataset=dataset, protocol=protocol, methods="lbp+linear-svm")
    return records_of(make_plan(Registry(), options), store)


@pytest.mark.parametrize(
    ("protocol", "clusters", "joint"),
    [("cv2-subject", [4, 4], False), ("cv2", [8, 8], True)],
)
def test_subjects_are_drawn_whole(
    store: Store, protocol: str, clusters: list[int], joint: bool
) -> None:
    records = measured(store, PEOPLE, protocol)
    assert [record.status for record in records] == ["ok", "ok"]
    assert [record.bootstrap["clusters"] for record in records] == clusters
    assert {record.bootstrap["of"] for record in records} == {"subjects"}
    assert (len({record.bootstrap["seed"] for record in records}) == 1) == joint
    (row,) = rows_of(records)
    found = row.estimate("accuracy")
    assert found is not None
    assert (found.drawn.clusters, found.drawn.splits) == ((8, 1) if joint else (8, 2))
    for record in records:
        stored = store.scores(record)
        assert stored is not None
        assert stored.clusters is not None
        # by hand: the accuracy on the images of the subjects that one resample drew
        seed = record.bootstrap["seed"]
        drawn = next(bootstrap.resamples(record.bootstrap["clusters"], seed, 1000, 1000))[:, 0]
        rows = np.repeat(np.arange(len(stored.truth)), drawn[stored.clusters].astype(int))
        exact = evaluate(stored.truth[rows], stored.scores[rows], None, kind="single").values
        values = bootstrap.unpack(record.bootstrap["values"])
        assert values["accuracy"][0] == pytest.approx(exact["accuracy"])
        assert record.positives == stored.truth.sum(axis=0).tolist()


def test_scores_that_are_judged_again_draw_the_same(store: Store, monkeypatch) -> None:
    (record, _) = measured(store, PEOPLE, "cv2-subject")
    monkeypatch.setattr("bench.run.scoring.criteria_code", lambda: "another")
    again = rescored(record, store.scores)
    assert again is not None
    assert again.criteria_code == "another"
    assert again.bootstrap == record.bootstrap


def test_faces_without_names_are_drawn_each_for_itself(store: Store) -> None:
    (record,) = measured(store, "synthetic[images=60]", "official")
    assert record.bootstrap["of"] == "images"
    assert record.bootstrap["clusters"] == record.cell.n_test
    stored = store.scores(record)
    assert stored is not None
    assert stored.clusters is None


def test_datasets_made_of_fer2013_say_that_photographs_come_again() -> None:
    """Their rule for copies across parts is the one for copies within a part."""
    registry = Registry()
    for name in ("fer-plus", "fer-plus-ml"):
        assert registry.datasets[name].load().copies == 0.9
    assert registry.datasets["jaffe"].load().copies is None


def test_copies_in_a_test_part_are_drawn_together(tmp_path: Path) -> None:
    plugin = tmp_path / "photographs.py"
    plugin.write_text(
        '''"""photographs: faces of which each comes twice."""
from dataclasses import replace

import numpy as np
from bench.datasets.synthetic import Synthetic


class Photographs(Synthetic):
    """Each picture twice. Reference: none."""

    name = "photographs"
    copies = 0.9

    def load(self, root, protocol=""):
        faces = super().load(root, protocol)
        images = faces.images.copy()
        images[1::2] = images[::2][:, :, ::-1]
        return replace(faces, images=images)
'''
    )
    store = Store(tmp_path / "results")
    options = RunOptions(
        dataset="photographs[images=60]", protocol="cv2-blocks", methods="lbp+linear-svm"
    )
    for record in records_of(make_plan(Registry([plugin]), options), store):
        assert (record.bootstrap["of"], record.bootstrap["clusters"]) == ("photographs", 15)
