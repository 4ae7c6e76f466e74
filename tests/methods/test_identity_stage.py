"""The identity stage: who is learnt, killed and taken up again, shared, recorded."""

from __future__ import annotations

import json
import multiprocessing
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import identities
import numpy as np
import pytest
import torch
from bench.methods import _deepid as module
from bench.methods._deepid import RECORD, embeddings, identity_recipe
from bench.methods._verification import draw_pairs, split_people, verify
from identities import RECIPE, some_people, stage, weights
from networks import Killed

from bench.api import BenchError, FaceSet, Setting
from bench.nn.checkpoints import CheckpointClock
from bench.nn.faces import Pixels
from bench.nn.updates import Updater

pytestmark = pytest.mark.usefixtures("float32")


@pytest.fixture(autouse=True)
def saved_in_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CheckpointClock, "due", lambda self: True)


def folder_of(root: Path) -> Path:
    (found,) = root.glob("identity-*")
    return found


# -- who is learnt --------------------------------------------------------------------------------


def test_one_picture_of_each_is_for_validation_and_a_tenth_of_the_persons_is_held_out() -> None:
    people = some_people(persons=30, pictures=4)
    parts = split_people(people)
    assert people.subject is not None
    assert (len(parts.persons), parts.held_out, parts.single) == (27, 3, 0)
    assert sorted(people.subject[parts.valid]) == sorted(parts.persons)
    held = set(people.subject[parts.verification])
    assert len(held) == 3
    assert not held & set(parts.persons)
    assert len(parts.verification) == 12
    rows = np.concatenate([parts.train, parts.valid, parts.verification])
    assert sorted(rows) == list(range(120))
    names, counts = np.unique(people.subject[parts.train], return_counts=True)
    assert names.tolist() == parts.persons.tolist()
    assert (counts == 3).all()
    # Drawn at random, not the first or the last of each.
    assert len({int(row) % 4 for row in parts.valid}) > 1


def test_whoever_has_one_picture_is_left_out() -> None:
    people = some_people(persons=6, pictures=3)
    rows = np.setdiff1d(np.arange(18), [1, 2])  # the first person keeps one
    parts = split_people(people.take(rows))
    assert (len(parts.persons), parts.held_out, parts.single) == (3, 2, 1)
    used = np.concatenate([parts.train, parts.valid, parts.verification])
    assert 0 not in used
    assert len(used) == 15


@pytest.mark.parametrize(("persons", "held"), [(2, 0), (3, 0), (4, 2), (20, 2), (25, 2), (40, 4)])
def test_at_least_two_are_held_out_where_two_are_left(persons: int, held: int) -> None:
    parts = split_people(some_people(persons=persons, pictures=2))
    assert (parts.held_out, len(parts.persons)) == (held, persons - held)


def test_what_identities_cannot_be_learnt_from_is_refused() -> None:
    people = some_people(persons=3, pictures=2)
    with pytest.raises(BenchError, match=r"people has 1 person\(s\) with two pictures or more"):
        split_people(people.take(np.array([0, 1, 2, 4])))
    with pytest.raises(BenchError, match=r"people has 1 person\(s\) with two"):
        split_people(people.take(np.array([0, 1])))
    labelled = FaceSet(
        "joy", "multi", ("a",), people.ids, np.ones((6, 1), bool), images=people.images
    )
    with pytest.raises(BenchError, match="joy does not say who is seen"):
        split_people(labelled)


# -- what it learns and measures ------------------------------------------------------------------


def test_it_learns_and_its_figures_are_those_of_plain_loops() -> None:
    people = some_people(persons=24, pictures=8)
    found = stage(people, recipe=replace(RECIPE, iterations=120))
    parts = split_people(people)
    pixels = Pixels(people, 32, "cpu")
    assert people.subject is not None
    assert people.images is not None
    figures, conditions = found.record["figures"], found.record["conditions"]
    assert figures["closed_set_accuracy"] > 0.6  # chance is 1/22
    assert figures["verification_accuracy"] > 0.7
    features = embeddings(found.branch, pixels, parts.verification, 32)
    pairs = draw_pairs(people.subject[parts.verification])
    assert pairs is not None
    again = verify(features, pairs)
    assert figures["verification_accuracy"] == again.accuracy
    assert figures["verification_deviation"] == again.deviation
    assert figures["verification_threshold"] == pytest.approx(np.mean(again.thresholds))
    # one by one, from the bytes
    for row, feature in zip(parts.verification[:5], features, strict=False):
        image = torch.from_numpy(people.images[row].astype(np.float32) / 255)[None, None]
        np.testing.assert_allclose(
            found.branch.embed(image)[0].detach(), feature, rtol=1e-4, atol=1e-5
        )
    assert conditions["persons_learnt"] == 22
    assert conditions["pairs"] == len(pairs) == 2 * (2 * 28 // 10 * 10)


def test_the_statistics_are_those_of_the_pictures_trained_on() -> None:
    people = some_people(persons=6, pictures=5)
    found = stage(people)
    assert people.images is not None
    trained = people.images[split_people(people).train] / 255
    np.testing.assert_allclose(found.branch.standardise.mean[0], trained.mean(axis=0), rtol=1e-4)


def test_the_epoch_is_the_best_on_the_validation_pictures(tmp_path: Path) -> None:
    found = stage(some_people(persons=8, pictures=6), tmp_path)
    lines = (folder_of(tmp_path) / "curve.csv").read_text().splitlines()
    column = lines[0].split(",").index("valid")
    values = [float(line.split(",")[column]) for line in lines[1:]]
    assert found.record["figures"]["closed_set_accuracy"] == max(values)
    assert found.record["epoch"] == 1 + values.index(max(values))


def test_with_few_persons_verification_is_not_measured_and_that_is_said() -> None:
    found = stage(some_people(persons=3, pictures=4))
    assert set(found.record["figures"]) == {"closed_set_accuracy"}
    assert found.record["conditions"]["pairs"] == 0
    assert "verification not measured" in found.remarks("m")[0]


def test_colours_and_sizes_are_brought_to_grey_faces_of_the_recipe() -> None:
    people = some_people(persons=5, pictures=4)
    assert people.images is not None
    rgb = replace(people, images=np.repeat(people.images[..., None], 3, axis=3))
    assert weights(stage(rgb, recipe=replace(RECIPE, iterations=2))) == weights(
        stage(people, recipe=replace(RECIPE, iterations=2))
    )
    larger = replace(people, images=np.kron(people.images, np.ones((1, 2, 2), np.uint8)))
    found = stage(larger, recipe=replace(RECIPE, iterations=2))
    assert found.branch.standardise.mean.shape == (1, 32, 32)


# -- its record, and sharing ----------------------------------------------------------------------


def test_its_record_says_under_what_conditions(tmp_path: Path) -> None:
    people = some_people(persons=12, pictures=5)
    found = stage(people, tmp_path, budget="quick", seed=7)
    record = json.loads((folder_of(tmp_path) / RECORD).read_text())
    assert record == json.loads(json.dumps(found.record))
    told = record["conditions"]
    assert told["people"] == "people"
    assert told["fingerprint"] == people.fingerprint
    assert (told["persons"], told["images"]) == (12, 60)
    assert (told["persons_learnt"], told["persons_held_out"]) == (10, 2)
    assert (told["images_trained"], told["budget"], told["seed"]) == (40, "quick", 7)
    assert told["synthetic"] is True
    assert "SGD" in told["recipe"]
    assert record["seconds"] > 0
    remark = found.remarks("tfe-jl")[0]
    assert "people (synthetic): 10 persons, 40 images" in remark
    assert f"closed-set accuracy {record['figures']['closed_set_accuracy']:.4f}" in remark
    assert str(tmp_path) not in remark + json.dumps(record)


def test_a_second_call_trains_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    people = some_people(persons=6, pictures=5)
    first = stage(people, tmp_path)
    assert first.earlier_seconds == 0
    steps = []
    step = Updater.update
    monkeypatch.setattr(Updater, "update", lambda *a: steps.append(1) or step(*a))
    second = stage(people, tmp_path, name="another-cell")
    assert not steps
    assert weights(second) == weights(first)
    assert second.record == first.record
    assert second.earlier_seconds == pytest.approx(first.record["seconds"])
    (folder_of(tmp_path) / RECORD).write_text("{broken")
    third = stage(people, tmp_path)
    assert third.record["figures"] == first.record["figures"]
    assert json.loads((folder_of(tmp_path) / RECORD).read_text()) == third.record


def test_whatever_changes_it_gives_another_folder(tmp_path: Path) -> None:
    people = some_people(persons=4, pictures=2)
    short = replace(RECIPE, iterations=1)
    calls: list[dict[str, Any]] = [
        {},
        {"seed": 1},
        {"budget": "quick"},
        {"recipe": replace(short, batch=4)},
        {"people": replace(people, synthetic=False)},
    ]
    for number, changed in enumerate(calls, 1):
        stage(**{"people": people, "root": tmp_path, "recipe": short, **changed})
        assert len(list(tmp_path.glob("identity-*"))) == number


@pytest.mark.parametrize("at", [3, 7, 15, 20])
def test_killed_and_taken_up_again_it_gives_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    people = some_people(persons=8, pictures=6)
    undisturbed = stage(people, tmp_path / "whole")
    step, done = Updater.update, []

    def dies(self: Updater, *rest: Any) -> Any:
        done.append(1)
        if len(done) == at:
            raise Killed
        return step(self, *rest)

    monkeypatch.setattr(Updater, "update", dies)
    with pytest.raises(Killed):
        stage(people, tmp_path / "cut")
    assert not (folder_of(tmp_path / "cut") / RECORD).exists()
    resumed = stage(people, tmp_path / "cut")
    assert weights(resumed) == weights(undisturbed)
    assert resumed.record["figures"] == undisturbed.record["figures"]


def test_one_process_trains_and_the_other_waits(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results = [context.Queue(), context.Queue()]
    workers = [
        context.Process(target=identities.train_in_turn, args=(tmp_path, f"cell{i}", results[i]))
        for i in range(2)
    ]
    for worker in workers:
        worker.start()
    found = [queue.get(timeout=120) for queue in results]
    for worker in workers:
        worker.join(60)
    assert sorted(one["steps"] for one in found) == [0, 20]
    assert found[0]["weights"] == found[1]["weights"]
    (waited,) = [one for one in found if not one["steps"]]
    assert any("waits" in words for words in waited["heard"])


def test_a_killed_process_leaves_nothing_locked(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    worker = context.Process(target=identities.hang_in_training, args=(tmp_path,))
    worker.start()
    deadline = time.monotonic() + 100
    while not list(tmp_path.glob("identity-*/begun")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    lock = folder_of(tmp_path) / "lock"
    with pytest.raises(BlockingIOError):
        identities.try_lock(lock)
    worker.kill()
    worker.join()
    identities.try_lock(lock)
    found = stage(some_people(persons=6, pictures=5), tmp_path)
    assert (folder_of(tmp_path) / RECORD).is_file()
    assert found.record["epochs"] == 20
    assert found.earlier_seconds > 0  # it went on from the checkpoint


def test_recipes_of_the_budgets() -> None:
    paper = identity_recipe("paper")
    assert (paper.batch, paper.epochs, paper.size, paper.optimizer.lr) == (128, 200, 48, 0.01)
    assert paper.flip
    assert paper.drop_last
    assert identity_recipe("quick", 0.5).iterations == module.RECIPES["quick"].iterations // 2  # type: ignore[operator]
    assert identity_recipe("smoke", 0.25).iterations == 1


def test_without_a_folder_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module.identity_stage(some_people(persons=4, pictures=3), RECIPE, Setting(budget="smoke"), 0)
    assert list(tmp_path.iterdir()) == []
