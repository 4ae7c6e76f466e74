"""TrainedNetwork: outputs, thresholds, parts, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from builtin import method_class
from networks import RECIPE, Little, LittleAdam, fit, some_faces, weights

from bench.api import BenchError, FaceSet, InputError, Setting
from bench.nn import device as device_module
from bench.nn import train as train_module
from bench.nn.device import device_label, find_device
from bench.nn.losses.binary import binary_cross_entropy
from bench.nn.output import Batch, Output, Terms
from bench.score.thresholds import best_micro_f1

pytestmark = pytest.mark.usefixtures("float32")


@pytest.fixture(scope="module")
def trained() -> Any:
    """A network that no test changes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_module, "trains_in_bfloat16", lambda device: False)
        return fit(Little())


class Sigmoids(Little):
    """Reference: none."""

    name = "sigmoids"
    sigmoid = True

    def loss(self, out: Output, batch: Batch) -> Terms:
        if self.kind_ == "single":
            return super().loss(out, batch)
        return Terms(binary_cross_entropy(out.logits, batch.labels))


def fit_on(
    faces: FaceSet, network: Any = None, valid: FaceSet | None = None, **setting: Any
) -> Any:
    network = Little() if network is None else network
    network.setting = Setting(**setting)
    return network.fit(faces, np.random.default_rng(0), valid)


# -- outputs --------------------------------------------------------------------------------------


def test_one_pass_gives_the_three_outputs(trained: Any) -> None:
    faces = some_faces(20, seed=3)
    vectors, scores, labels = trained.outputs(faces)
    assert vectors.dtype == scores.dtype == np.float32
    assert (vectors.shape, scores.shape, labels.shape) == ((20, 125), (20, 3), (20, 3))
    assert np.array_equal(vectors, trained.transform(faces))
    assert np.array_equal(scores, trained.scores(faces))
    assert np.array_equal(labels, trained.labels(faces))
    assert np.array_equal(labels, scores >= trained.threshold_)
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-6)


def test_it_learns_what_the_faces_show() -> None:
    train, test = some_faces(200), some_faces(100, seed=1)
    network = Sigmoids()
    network.recipes = {"paper": replace(RECIPE, epochs=12, flip=False)}
    right = fit_on(train, network).labels(test) == test.labels
    assert right[:, :2].mean() > 0.9  # the third label shows nothing


def test_outputs_do_not_hang_on_the_faces_beside(trained: Any) -> None:
    faces = some_faces(300, seed=3)  # more than go into the network at once
    whole = trained.outputs(faces)
    parts = [trained.outputs(faces.take(slice(a, b))) for a, b in ((0, 1), (1, 130), (130, 300))]
    for one, pieces in zip(whole, zip(*parts, strict=True), strict=True):
        np.testing.assert_allclose(np.concatenate(pieces), one, rtol=1e-5, atol=1e-6)


def test_no_faces_give_no_rows(trained: Any) -> None:
    found = trained.outputs(some_faces(20).take(slice(0, 0)))
    assert [one.shape for one in found] == [(0, 125), (0, 3), (0, 3)]


def test_labels_and_distribution_of_the_faces_are_not_looked_at(trained: Any) -> None:
    faces = some_faces(20)
    hidden = replace(faces, labels=np.zeros_like(faces.labels))
    assert np.array_equal(trained.scores(hidden), trained.scores(faces))


def test_single_label_faces_get_one_class() -> None:
    faces = some_faces(40, kind="single")
    for network in (Little(), Sigmoids()):
        found = fit_on(faces, network, some_faces(20, kind="single", seed=1))
        scores, labels = found.scores(faces), found.labels(faces)
        assert np.allclose(scores.sum(axis=1), 1, atol=1e-6)
        assert np.array_equal(labels.argmax(1), scores.argmax(1))
        assert (labels.sum(axis=1) == 1).all()
        assert not any("threshold" in remark for remark in found.remarks())


# -- thresholds and parts -------------------------------------------------------------------------


def remark(network: Any, word: str) -> str:
    (found,) = [one for one in network.remarks() if word in one]
    return found


@pytest.mark.parametrize("selection", ["valid", "last"])
def test_the_threshold_is_that_of_the_validation_part(selection: str) -> None:
    found = fit(Little(), selection=selection)
    valid = some_faces().take(slice(40, 60))
    assert found.threshold_ == best_micro_f1(valid.labels, found.scores(valid))
    assert remark(found, "threshold").endswith("(best micro-F1)")


def test_the_test_part_never_chooses_the_threshold() -> None:
    faces = some_faces()
    test = faces.take(slice(40, 60))
    turned = replace(test, labels=~test.labels)
    found = [
        fit_on(faces.take(slice(0, 40)), None, one, selection="test") for one in (test, turned)
    ]
    assert [one.threshold_ for one in found] == [1 / 3, 1 / 3]
    assert remark(found[0], "threshold").endswith("threshold 0.333333 (1/L)")


def test_a_sigmoid_is_compared_with_a_half() -> None:
    found = fit(Sigmoids())
    scores = found.scores(some_faces())
    assert not np.allclose(scores.sum(axis=1), 1)
    assert np.array_equal(found.labels(some_faces()), scores >= 0.5)
    assert remark(found, "threshold").endswith("threshold 0.5 (of a sigmoid)")


def test_a_softmax_is_a_label_distribution_and_sigmoids_are_none(trained: Any) -> None:
    faces = some_faces()
    assert trained.scores_are_distributions()
    shares = trained.distribution(faces)
    np.testing.assert_array_equal(shares, trained.scores(faces))
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)

    class Sigmoid(Little):
        sigmoid = True

    assert fit(Sigmoid(), budget="smoke").distribution(faces) is None
    single = Sigmoid()
    single.setting = Setting(budget="smoke")
    single.fit(some_faces(kind="single"), np.random.default_rng(0))
    np.testing.assert_allclose(single.distribution(faces).sum(axis=1), 1, atol=1e-5)


def test_a_tenth_is_held_out_where_there_is_no_validation_part() -> None:
    seen: list[int] = []

    class Watching(Little):
        name = "watching"

        def inputs(self, pixels: Any, faces: FaceSet, rows: Any, generator: Any) -> Any:
            if generator is not None:
                seen.extend(int(one) for one in faces.ids[rows.numpy()])
            return super().inputs(pixels, faces, rows, generator)

    faces = some_faces()
    found = fit_on(faces, Watching())
    held = sorted(set(range(60)) - set(seen))
    assert len(held) == 6
    assert remark(found, "held out").startswith("watching: 6 of the 60 training images held out")
    part = faces.take(np.array(held))
    assert found.threshold_ == best_micro_f1(part.labels, found.scores(part))
    assert "54 images" in remark(found, "trained on")


def test_the_last_epoch_needs_no_held_out_part() -> None:
    found = fit_on(some_faces(), selection="last")
    assert "trained on 60 images" in remark(found, "trained on")
    assert found.threshold_ == 1 / 3
    assert not any("held out" in one for one in found.remarks())


def test_of_few_faces_none_are_held_out() -> None:
    found = fit_on(some_faces(19))
    assert "too few images to choose an epoch" in remark(found, "too few")
    assert remark(found, "threshold").endswith("(1/L)")


def test_a_class_that_training_does_not_show_is_named() -> None:
    faces = some_faces(40)
    labels = faces.labels.copy()
    labels[:, 1:] = False
    found = fit_on(replace(faces, labels=labels), None, some_faces(20, seed=1))
    assert remark(found, "no training image") == "little: no training image shows right, none"
    assert np.isfinite(found.scores(faces)).all()


def test_no_face_with_a_label_at_all_is_survived() -> None:
    faces = some_faces(40)
    found = fit_on(replace(faces, labels=np.zeros_like(faces.labels)))
    assert np.isfinite(found.scores(faces)).all()


def test_a_second_fit_starts_anew(trained: Any) -> None:
    again = fit(fit_on(some_faces(30, seed=5)))
    assert weights(again) == weights(trained)
    assert len(again.remarks()) == len(trained.remarks())


def test_targets_are_the_distribution_where_there_is_one() -> None:
    given: list[torch.Tensor] = []

    class Watching(Little):
        name = "watching"

        def loss(self, out: Output, batch: Batch) -> Terms:
            given.append(batch.distribution)
            return super().loss(out, batch)

    faces = some_faces(20)
    fit_on(faces, Watching(), selection="last")
    sums = {0.0, 1.0}
    assert {round(float(one), 5) for batch in given for one in batch.sum(1)} <= sums
    given.clear()
    third = np.full((20, 3), 1 / 3)
    fit_on(replace(faces, distribution=third), Watching(), selection="last")
    assert all(torch.allclose(batch, torch.tensor(1 / 3)) for batch in given)


# -- budgets --------------------------------------------------------------------------------------


class Budgets(Little):
    """Reference: none."""

    name = "budgets"
    recipes = {
        "paper": replace(RECIPE, epochs=None, iterations=100, batch=64),
        "quick": replace(RECIPE, epochs=10, batch=64),
    }


def recipe(budget: str, **params: Any) -> Any:
    network = Budgets(**params)
    network.setting = Setting(budget=budget)
    return network.recipe


def test_recipes_follow_the_budget() -> None:
    assert recipe("paper") == Budgets.recipes["paper"]
    assert recipe("quick") == Budgets.recipes["quick"]
    smoke = recipe("smoke")
    assert smoke.epochs is None
    assert smoke.iterations < 10
    assert smoke.batch < 64
    assert smoke.size == RECIPE.size


def test_length_stretches_every_schedule() -> None:
    assert recipe("paper", length=0.5).iterations == 50
    assert recipe("quick", length=3.0).epochs == 30
    assert recipe("smoke", length=0.25).iterations == 1
    for wrong in (0.0, -1.0, 1001.0):
        with pytest.raises(InputError, match="length takes"):
            Budgets(length=wrong)


# -- refusals -------------------------------------------------------------------------------------


def test_faces_without_images_are_refused() -> None:
    faces = replace(some_faces(30), images=None, features=np.zeros((30, 4)))
    with pytest.raises(BenchError, match="noise holds precomputed features; a network needs"):
        fit_on(faces)


def test_an_empty_training_part_is_refused() -> None:
    with pytest.raises(BenchError, match="little: the training part of noise is empty"):
        fit_on(some_faces(20).take(slice(0, 0)))


def test_images_with_other_channels_are_refused(trained: Any) -> None:
    wanted = r"little was trained on images of 1 channel\(s\) and got 3"
    with pytest.raises(BenchError, match=wanted):
        trained.scores(some_faces(4, colour="rgb"))
    with pytest.raises(BenchError, match=wanted):
        fit_on(some_faces(30), None, some_faces(10, colour="rgb"))


def test_an_untrained_network_says_so() -> None:
    with pytest.raises(BenchError, match="little is not trained yet: call fit first"):
        Little().scores(some_faces(4))


def test_images_of_any_size_are_resized(trained: Any) -> None:
    for side in (1, 5, 40):
        assert np.isfinite(trained.scores(some_faces(4, side=side))).all()


@pytest.mark.parametrize("n", [8, 11])
def test_dbm_cnn_refuses_batches_without_k_neighbours(n: int) -> None:
    network = method_class("dbm-cnn")(k=n)
    with pytest.raises(InputError) as caught:
        fit_on(some_faces(n, side=48), network, budget="smoke")
    assert str(caught.value) == (
        f"dbm-cnn[k={n}] searches k neighbours in batches of {n} images; take k below {n}"
    )


# -- the device -----------------------------------------------------------------------------------


def gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, 0)
    assert find_device("auto") == "cpu"
    gpus(monkeypatch, 2)
    assert find_device("auto") == "cuda"
    assert find_device("cpu") == "cpu"
    assert [find_device(asked) for asked in ("cuda", "cuda:0", "cuda:1", "cuda:01")] == [
        "cuda",
        "cuda:0",
        "cuda:1",
        "cuda:1",
    ]
    with pytest.raises(BenchError, match="--device cuda:2: the last GPU is cuda:1"):
        find_device("cuda:2")


@pytest.mark.parametrize("asked", ["gpu", "", "cuda:", "cuda:x", "cuda:-1", "cuda:²", "cpu:0"])
def test_no_device_by_that_name(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    gpus(monkeypatch, 1)
    with pytest.raises(BenchError) as caught:
        find_device(asked)
    assert str(caught.value) == f"--device {asked}: write cpu, cuda or cuda:N"


@pytest.mark.parametrize(
    ("built", "why"), [(None, "this torch is built for the CPU alone"), ("13.0", "torch sees no")]
)
def test_cuda_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch, built: str | None, why: str
) -> None:
    gpus(monkeypatch, 0)
    monkeypatch.setattr(torch.version, "cuda", built)
    with pytest.raises(BenchError, match=f"--device cuda: {why}.*; use --device cpu"):
        find_device("cuda")


def test_devices_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device_label("cpu") == "cpu"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    assert device_label("cuda:1") == "cuda (GPU 1)"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu amx_bf16 amx_tile", True),
        ("fpu avx512_bf16", True),
        ("fpu avx512_vnni avx512f", False),
    ],
)
def test_processors_that_multiply_bfloat16_train_in_it(
    monkeypatch: pytest.MonkeyPatch, flags: str, expected: bool
) -> None:
    monkeypatch.setattr(device_module.Path, "read_text", lambda *_, **__: f"flags : {flags}\n")
    assert device_module.trains_in_bfloat16("cpu") is expected


def test_random_state_and_flags_are_given_back() -> None:
    before = torch.get_rng_state(), torch.backends.cudnn.deterministic
    with device_module.seeded("cpu", 3):
        first = torch.rand(3)
        assert torch.backends.cudnn.deterministic
    with device_module.seeded("cpu", 3):
        assert torch.equal(torch.rand(3), first)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.backends.cudnn.deterministic == before[1]


# -- phases, fine-tuning, ten-crop ----------------------------------------------------------------


class Phases(Little):
    """Reference: none."""

    name = "phases"

    def learn(self, model: Any, train: FaceSet, valid: FaceSet | None, seed: int) -> Any:
        def halved(out: Output, batch: Batch) -> Terms:
            return Terms(self.loss(out, batch).loss / 2)

        self.phase("first", model, self.recipe, train, valid, seed, halved)
        self.between_ = weights(self)
        return self.phase("second", model, self.recipe.stretched(0.5), train, valid, seed + 1)


def test_phases_follow_one_another_each_in_its_own_folder(tmp_path: Any) -> None:
    network = fit(Phases(), tmp_path)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"first", "second"}
    notes = network.remarks()
    assert any("phases: first: trained on 40 images, 4 epochs" in note for note in notes)
    assert any("phases: second: trained on 40 images, 2 epochs" in note for note in notes)
    assert len(network.history_) == 2
    assert [row["phase"] for row in network.learning_curve()] == ["first"] * 4 + ["second"] * 2
    again = fit(Phases(), tmp_path)  # finished phases are taken from their checkpoints
    assert again.between_ == network.between_ != weights(network)
    assert weights(again) == weights(network)
    assert again.earlier_seconds > 0


def test_the_loss_of_a_phase_counts_there_alone(tmp_path: Any) -> None:
    fit(Phases(), tmp_path)
    rows = [
        (tmp_path / name / "curve.csv").read_text().splitlines() for name in ("first", "second")
    ]
    column = rows[0][0].split(",").index("loss")
    first, second = (float(row[1].split(",")[column]) for row in rows)
    assert first < 0.8 * second  # half of it, though it is the untrained network's


def test_fine_tuning_goes_on_at_a_tenth_of_the_rate() -> None:
    network = fit(Little(finetune=0.5))
    before, rates = weights(network), [row["learning_rate"] for row in network.history_]
    train, valid = some_faces(40, seed=4), some_faces(20, seed=5)
    assert network.tunes()
    network.tune(train, np.random.default_rng(1), valid)
    assert weights(network) != before
    assert len(network.history_) == 2
    tuned = max(row["learning_rate"] for row in network.history_)
    assert tuned <= 0.1 * max(rates) * 1.5
    assert any("finetune: trained on 40 images" in note for note in network.remarks())


def test_a_single_label_target_may_follow_a_multi_label_source() -> None:
    network = fit(Little(finetune=0.5))
    network.tune(some_faces(40, seed=4, kind="single"), np.random.default_rng(1), None)
    labels = network.labels(some_faces(9, seed=6, kind="single"))
    assert (labels.sum(axis=1) == 1).all()


class Ten(Little):
    """Reference: none."""

    name = "ten"


@pytest.mark.parametrize("averaged", ["softmax", "logits"])
def test_ten_crops_are_averaged(averaged: str) -> None:
    network = fit(Ten())
    faces = some_faces(30, side=12, seed=8)
    plain = network.scores(faces)
    network.ten_crop = averaged
    vectors, scores, _ = network.outputs(faces)
    outs = []
    for mirrored in (False, True):
        images = faces.images[:, :, ::-1] if mirrored else faces.images
        for top, left in ((0, 0), (0, 2), (2, 0), (2, 2), (1, 1)):
            cut = torch.from_numpy(images[:, top : top + 10, left : left + 10].copy())
            with torch.inference_mode():
                outs.append(network.model_.eval()(cut[:, None].float() / 255))
    logits = torch.stack([out.logits for out in outs])
    wanted = logits.mean(0).softmax(1) if averaged == "logits" else logits.softmax(2).mean(0)
    assert np.allclose(scores, wanted.numpy(), atol=1e-6)
    embeddings = torch.stack([out.embedding for out in outs]).mean(0)
    assert np.allclose(vectors, embeddings.numpy(), atol=1e-5)
    assert not np.allclose(scores, plain, atol=1e-4)


def test_the_input_may_have_another_size() -> None:
    network = Little(size=20)
    assert (network.recipe.size, network.recipe.crop_from) == (20, 24)
    assert (Little().recipe.size, Little().recipe.crop_from) == (10, 12)
    assert LittleAdam(size=12).recipe.crop_from is None
    with pytest.raises(InputError, match="size"):
        Little(size=4)
