"""md-cnn: two datasets, whose labels and rows count, who learns what and when."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from bench.methods._md_landmarks import THRESHOLDS
from bench.methods.md_cnn import PRETRAINING, standardised
from builtin import configured, method_class
from networks import some_faces

from bench.api import TEST, TRAIN, VALID, BenchError, FaceSet, InputError, Setting

CLASS = method_class("md-cnn")
POINTS = np.array([[4, 5], [10, 5], [7, 8], [5, 11], [9, 11]], dtype=float)


def first(n: int = 40, **more: Any) -> FaceSet:
    return some_faces(n, kind="single", **more)


def second(n: int = 36, names: tuple[str, ...] = ("left", "right", "none"), **more: Any) -> FaceSet:
    return replace(some_faces(n, kind="single", seed=1, **more), name="other", label_names=names)


def method(other: FaceSet | None, **params: Any) -> Any:
    made: Any = CLASS(length=0.25, **params)
    others = {} if other is None else {"second": other}
    made.setting = Setting(budget="smoke", others=others)
    return made


def fitted(other: FaceSet | None, faces: FaceSet | None = None, **params: Any) -> Any:
    valid = first(12, seed=2)
    return method(other, **params).fit(faces or first(), np.random.default_rng(0), valid)


def checked(other: FaceSet | None, faces: FaceSet | None = None, **params: Any) -> Any:
    made = method(other, **params)
    made.notes_ = []
    made.check(faces or first())
    return made


# Labels -------------------------------------------------------------------------------------------


def test_labels_are_matched_by_name_whatever_the_capitals_and_the_order() -> None:
    other = second(30, ("None", "surprised", "LEFT"))
    made = checked(other)
    assert made.common_ == (0, 2)
    kept = other.labels[:, 0] | other.labels[:, 2]
    assert made.second_.label_names == ("left", "right", "none")
    assert np.array_equal(made.second_.labels[:, 0], other.labels[kept, 2])
    assert np.array_equal(made.second_.labels[:, 2], other.labels[kept, 0])
    assert not made.second_.labels[:, 1].any()
    assert np.array_equal(made.second_.ids, other.ids[kept])
    assert made.notes_ == [
        "md-cnn: second=other: labels mapped by name: LEFT, None; left out: right (only noise); "
        f"surprised (only other); {(~kept).sum()} of 30 images of other show nothing else"
    ]


def test_labels_that_all_agree_are_said_in_few_words() -> None:
    made = checked(second())
    assert made.common_ == (0, 1, 2)
    assert made.notes_ == ["md-cnn: second=other: labels mapped by name: left, right, none"]


@pytest.mark.parametrize(("names", "count"), [(("a", "b", "c"), "no"), (("a", "b", "none"), "1")])
def test_disjoint_labels_are_refused(names: tuple[str, ...], count: str) -> None:
    message = rf"noise \(left, right, none\) and other \(.*\) have {count} label\(s\) in common"
    with pytest.raises(BenchError, match=message):
        checked(second(20, names))


def test_the_second_dataset_must_be_there() -> None:
    with pytest.raises(BenchError, match=r"name the other one, md-cnn\[second=NAME:DIR\]"):
        checked(None)


def test_multi_label_data_are_learned_by_their_strongest_label_on_request() -> None:
    assert "md-cnn[target=argmax]" in method(None).unsuited("multi")
    assert method(None).unsuited("single") is None
    assert method(None, target="argmax").unsuited("multi") is None
    with pytest.raises(InputError, match="target=argmax"):
        checked(second(), some_faces(20))
    # The other dataset may be multi-label without a word: it is not scored.
    shares = np.random.default_rng(0).dirichlet(np.ones(3), 30)
    made = checked(replace(some_faces(30), name="other", distribution=shares))
    assert np.array_equal(made.second_.labels.argmax(axis=1), shares.argmax(axis=1))
    assert made.second_.kind == "single"


# Rows ---------------------------------------------------------------------------------------------


def test_the_official_training_part_is_learned_where_there_is_one() -> None:
    split = np.array([TRAIN, TRAIN, TEST, VALID] * 9, dtype=np.int8)
    train, valid = checked(second(split=split)).second_parts(first(), 0)
    assert np.array_equal(train.ids, second().ids[split == TRAIN])
    assert np.array_equal(valid.ids, second().ids[split == VALID])
    train, valid = checked(second()).second_parts(first(), 0)
    assert sorted([*train.ids, *valid.ids]) == sorted(second().ids)
    assert len(valid) == 4


@pytest.mark.parametrize("parts", [None, "official"])
def test_test_images_of_the_run_are_never_learned(parts: str | None) -> None:
    whole = first(60, seed=5)
    mine = whole.take(np.arange(0, 60, 2))  # every other image is a test image
    split = None if parts is None else np.array([TRAIN, TRAIN, TEST] * 20, dtype=np.int8)
    # The same images in another order, under other names, and labels in other columns.
    order = np.random.default_rng(0).permutation(60)
    other = replace(
        whole.take(order),
        name="again",
        ids=np.array([f"x{row}" for row in range(60)]),
        label_names=("none", "right", "left"),
        labels=whole.labels[order][:, ::-1],
        split=split,
    )
    made = checked(other, mine)
    train, valid = made.second_parts(mine, 0)
    learned = [*train.images, *(valid.images if valid is not None else [])]
    own = {image.tobytes() for image in mine.images}
    assert learned
    assert all(image.tobytes() in own for image in learned)
    assert len(learned) == (30 if split is None else (split[order % 2 == 0] == TRAIN).sum())
    assert any("only those 30 are learned" in note for note in made.notes_)
    assert any("and 30 are left out" in note for note in made.notes_)


def test_a_second_dataset_of_which_nothing_may_be_learned_is_refused() -> None:
    whole = first(40)
    made = checked(replace(whole, split=np.full(40, TEST, np.int8)))
    with pytest.raises(BenchError, match=r"0 image\(s\) of noise are left to learn from"):
        made.second_parts(whole, 0)


# Pixels ------------------------------------------------------------------------------------------


def test_standardised_images_have_one_light_and_one_contrast() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(40, 200, (3, 2, 5, 4), dtype=np.uint8)
    images[2] = 90  # one grey value
    images[2, 0, 0, 0] = 91
    found = standardised(torch.from_numpy(images))
    for n, image in enumerate(images):
        values = [float(v) for v in image.reshape(-1)]
        mean = sum(values) / len(values)
        deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))
        expected = (image - mean) / max(deviation, 8.0)
        assert np.allclose(found[n].numpy(), expected, atol=1e-5)
    brighter = torch.from_numpy(images // 2 + 30)
    assert torch.allclose(standardised(brighter)[:2], found[:2], atol=0.03)
    assert float(found[2].abs().max()) < 0.2


# Who learns what ----------------------------------------------------------------------------------


class Recorder(CLASS):  # type: ignore[misc, valid-type]
    """Notes each phase in place of training it."""

    def phase(self, name: str, model: Any, recipe: Any, train: Any, valid: Any, *more: Any) -> Any:
        (seed,) = more
        self.seen.append((name, model, recipe, train, valid, seed))
        return "the last" if len(self.seen) == 4 else "another"


def recorded(exchange: str, budget: str = "quick") -> Recorder:
    made = Recorder(exchange=exchange)
    made.setting = Setting(budget=budget, others={"second": second(36, ("x", "left", "none"))})
    made.seen, made.notes_, made.labels_ = [], [], 3
    made.check(first())
    made.model_ = made.build(3, 1)
    made.told = made.learn(made.model_, first(), first(12, seed=2), 7)
    return made


@pytest.mark.parametrize(
    ("exchange", "order"),
    [
        ("swap", [(0, 0), (1, 1), (0, 1), (1, 0)]),
        ("stay", [(0, 0), (1, 1), (0, 0), (1, 1)]),
        ("none", [(0, 0), (1, 1)]),
    ],
)
def test_fine_tuning_takes_the_other_s_dataset(exchange: str, order: list[tuple[int, int]]) -> None:
    made = recorded(exchange)
    assert len(made.seen) == len(order)
    for (_, lesson, _, train, valid, _), (component, dataset) in zip(made.seen, order, strict=True):
        assert lesson.network is made.model_.components[component].network
        assert lesson.centres is made.model_.components[component].centres[dataset]
        assert lesson.columns == ([0, 1, 2], [0, 2])[dataset]
        assert train.name == ("noise", "other")[dataset]
        assert valid.name == train.name
        assert train.label_names == ("left", "right", "none")
    assert len({name for name, *_ in made.seen}) == len(order)
    assert len({seed for *_, seed in made.seen}) == len(order)
    assert made.told == ("the last" if len(order) == 4 else "another")


def test_the_placebo_trains_as_long() -> None:
    lengths = {}
    for exchange in ("swap", "stay"):
        steps = [(recipe, len(train)) for _, _, recipe, train, *_ in recorded(exchange).seen]
        lengths[exchange] = sum(recipe.length(images) for recipe, images in steps)
        rates = [recipe.optimizer.lr for recipe, _ in steps]
        assert rates[0] == rates[1] > rates[2] == rates[3]
    assert lengths["swap"] == lengths["stay"]


def test_the_paper_s_schedules() -> None:
    seen = [recipe for _, _, recipe, *_ in recorded("swap", "paper").seen]
    assert [recipe.epochs for recipe in seen] == [200, 311, 200, 200]
    assert [recipe.optimizer.lr for recipe in seen] == [0.01, 0.01, 0.001, 0.001]
    assert {(recipe.batch, recipe.size) for recipe in seen} == {(256, 48)}
    factors = [seen[0].schedule.factor(step, 0, 0) for step in (9_999, 10_000, 20_000, 35_000)]
    assert factors == pytest.approx([1, 0.1, 0.01, 0.001])


def test_who_decides_alone_learned_the_run_s_dataset_last() -> None:
    assert recorded("swap").model_.whole == 1
    assert recorded("stay").model_.whole == 0
    assert recorded("none").model_.whole == 0
    assert recorded("swap").model_.common == [0, 2]
    assert recorded("swap").model_.weights == [0.5, 0.5]


@pytest.mark.parametrize(
    ("mine", "theirs", "exchange", "expected"),
    [
        (True, True, "swap", [0.3, 0.7]),
        (True, False, "swap", [0.0, 1.0]),
        (True, False, "stay", [1.0, 0.0]),
        (False, True, "swap", [1.0, 0.0]),
        (False, False, "swap", []),
    ],
)
def test_landmarks_come_from_those_who_learned_them(
    mine: bool, theirs: bool, exchange: str, expected: list[float]
) -> None:
    def with_landmarks(faces: FaceSet, known: bool) -> FaceSet:
        return replace(faces, landmarks=np.tile(POINTS, (len(faces), 1, 1)) if known else None)

    made = checked(
        with_landmarks(second(), theirs),
        with_landmarks(first(), mine),
        exchange=exchange,
        weight=0.3,
    )
    model = made.build(3, 1)
    has_head = [component.network.points is not None for component in model.components]
    assert has_head == [bool(expected)] * 2
    if expected:
        assert model.located == pytest.approx(expected)
    without = checked(
        with_landmarks(second(), theirs), with_landmarks(first(), mine), landmark=0
    ).build(3, 1)
    assert without.components[0].network.points is None


# The whole of it ----------------------------------------------------------------------------------


def test_both_components_train_and_answer_as_one() -> None:
    landmarks = np.tile(POINTS, (40, 1, 1))
    made = fitted(second(36, ("x", "left", "none")), first(landmarks=landmarks))
    test = first(10, seed=3, landmarks=landmarks[:10])
    embedding, scores, labels = made.outputs(test)
    assert embedding.shape == (10, 4096)
    assert embedding.dtype == np.float32
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-5)
    assert (labels.sum(axis=1) == 1).all()
    assert {"cross_entropy", "md", "landmarks"} <= set(made.history_[-1])
    message = " ".join(made.remarks())
    for phase in ("component-1", "component-2", "component-1-tuned", "component-2-tuned"):
        assert f"md-cnn: {phase}: trained on" in message
    assert "labels mapped by name: left, none" in message
    measures = made.measures(test)
    right = labels == test.labels
    assert measures["tp_tn_accuracy"] == pytest.approx(right.mean())
    for column, name in enumerate(test.label_names):
        assert measures[f"tp_tn_accuracy_{name}"] == pytest.approx(right[:, column].mean())
    with torch.no_grad():
        found = 14 * made.forward(test).other.numpy()
    errors = np.linalg.norm(found - POINTS, axis=2).mean(axis=1) / 6
    assert measures["normalised_mean_error"] == pytest.approx(errors.mean(), rel=1e-4)
    assert measures["ced_0.1"] == pytest.approx((errors <= 0.1).mean())
    assert len([name for name in measures if name.startswith("ced_")]) == len(THRESHOLDS)
    # What a face is called must not change with what is known of it.
    blind = made.outputs(first(10, seed=3))
    assert np.array_equal(blind[1], scores)
    assert set(made.measures(first(10, seed=3))) == {
        "tp_tn_accuracy", *(f"tp_tn_accuracy_{name}" for name in test.label_names)
    }  # fmt: skip


def test_faces_without_landmarks_have_no_head() -> None:
    made = fitted(second(), loss="softmax", exchange="none")
    assert "landmarks" not in made.history_[-1]
    assert "md" not in made.history_[-1]
    assert made.model_.components[0].network.points is None


def test_multi_label_data_get_label_sets() -> None:
    faces = some_faces(40)
    shares = np.where(faces.labels, 1.0, 0.01)
    faces = replace(faces, distribution=shares / shares.sum(axis=1, keepdims=True))
    made = method(second(), target="argmax")
    made.fit(faces.take(slice(0, 30)), np.random.default_rng(0), faces.take(slice(30, 40)))
    _, scores, labels = made.outputs(faces)
    assert labels.dtype == bool
    assert np.array_equal(labels, scores >= made.threshold_)


def test_one_component_alone_needs_no_second_dataset() -> None:
    made = fitted(None, exchange="none", weight=1.0)
    assert made.requires() == ()
    assert made.transform(first(3)).shape == (3, 2048)
    assert method(None).requires() == ("second",)
    assert method(None, weight=1.0).requires() == ("second",)
    assert method(None, exchange="none").requires() == ("second",)


def test_it_goes_on_with_another_dataset() -> None:
    made = fitted(second(), finetune=0.5)
    before = [parameter.clone() for parameter in made.model_.parameters()]
    notes = made.notes_.count(made.notes_[0])
    made.tune(first(24, seed=8), np.random.default_rng(1), first(12, seed=9))
    pairs = zip(before, made.model_.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)
    assert made.notes_.count(made.notes_[0]) == notes


def test_one_component_alone_has_the_schedule_of_either() -> None:
    """Section 4: 200 epochs of component 1, 311 of component 2, and tenths at the same places."""
    for component, epochs in ((1, 200), (2, 311)):
        made = configured("md-cnn", "paper", exchange="none", weight=1.0, component=component)
        (lesson,) = made.lessons()
        recipe = made.budgeted(lesson.recipes)
        assert (lesson.name, recipe.epochs) == (f"component-{component}", epochs)
        assert recipe.schedule == made.budgeted(PRETRAINING[0]).schedule
    with pytest.raises(InputError, match=r"component=2\] has both components' schedules"):
        configured("md-cnn", "paper", component=2)
