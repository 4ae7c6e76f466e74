"""Networks with class centres: the joint loss slowly, what moves the centres, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import RECIPE, Layers, some_faces, weights
from torch import Tensor, nn

from bench.api import BenchError, FaceSet, InputError, Setting
from bench.nn import checkpoints
from bench.nn import train as train_module
from bench.nn.centred import (
    Centred,
    CentredNetwork,
    class_distance,
    strongest,
)
from bench.nn.losses.centres import ClassCentres
from bench.nn.losses.md import md_loss
from bench.nn.output import Batch, Output, Terms

LOSSES = ("softmax", "center", "island", "islets", "md")
N, D, L = 9, 5, 4


pytestmark = pytest.mark.usefixtures("float32")


class Near(CentredNetwork):
    """Reference: none."""

    name = "near"
    width = 125
    recipes = {"paper": RECIPE, "quick": RECIPE}

    def network(self, labels: int, channels: int) -> nn.Module:
        return Layers(labels, channels, 0.2, norm=True)


class Vectors(CentredNetwork):
    """Reference: none."""

    name = "vectors"
    width = D

    def network(self, labels: int, channels: int) -> nn.Module:
        return nn.Identity()


def fit_on(faces: FaceSet, network: Any, valid: FaceSet | None = None, **setting: Any) -> Any:
    network.setting = Setting(**setting)
    return network.fit(faces, np.random.default_rng(0), valid)


def fitted(network: Any, **setting: Any) -> Any:
    faces = some_faces(60, kind="single")
    return fit_on(faces.take(slice(0, 40)), network, faces.take(slice(40, 60)), **setting)


# -- the loss -------------------------------------------------------------------------------------


def example(kind: str = "single", **params: Any) -> tuple[Any, Output, Batch]:
    """A network with centres that are drawn, and a batch, all in float64."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    made = Vectors(**params)
    made.kind_ = kind
    made.model_ = made.build(L, 1).double()
    if made.centred:
        made.model_.centres.centres = 0.02 * draw(L, D)
    labels = torch.eye(L, dtype=torch.float64)[torch.arange(N) % 3]  # one class without a row
    out = Output(draw(N, D).requires_grad_(), draw(N, L).requires_grad_())
    return made, out, Batch(torch.zeros(0), labels, labels)


def slow(made: Any, out: Output, classes: list[int]) -> dict[str, float]:
    x, z = out.embedding.detach().numpy(), out.logits.detach().numpy()
    found = {"cross_entropy": 0.0}
    for i, y in enumerate(classes):
        found["cross_entropy"] -= (z[i, y] - np.log(np.exp(z[i]).sum())) / N
    total = found["cross_entropy"]
    if made.loss_name != "softmax":
        c = made.model_.centres.centres.numpy()
    if made.loss_name == "md":
        found["md"] = slow_md(x, c, classes)
        total += made.lam * found["md"]
    elif made.loss_name != "softmax":
        found["center"] = sum(((x[i] - c[y]) ** 2).sum() for i, y in enumerate(classes)) / (2 * N)
        total += made.lam * found["center"]
        pairs = [(j, k) for j in range(L) for k in range(L) if j != k]
        if made.loss_name != "center":
            found["island"] = sum(
                c[j] @ c[k] / np.sqrt((c[j] @ c[j]) * (c[k] @ c[k])) + 1 for j, k in pairs
            )
            total += made.lam * made.lam1 * found["island"]
        if made.loss_name == "islets":
            apart = sum(np.sqrt(((c[j] - c[k]) ** 2).sum()) for j, k in pairs)
            found["islets"] = float(np.exp(-apart / 2))
            total += made.lam * made.lam2 * found["islets"]
    return {"loss": total, **found}


def slow_md(x: np.ndarray, c: np.ndarray, classes: list[int], nearest: int = 3) -> float:
    """Radioengineering 2020, Eq. 9 as it must be meant."""
    d = [[float(((row - centre) ** 2).sum()) for centre in c] for row in x]
    variance = sum(d[i][y] for i, y in enumerate(classes)) / (len(x) - 1)
    margin = sum(
        float(c[j] @ c[k] / np.sqrt((c[j] @ c[j]) * (c[k] @ c[k])))
        for j in range(len(c))
        for k in range(len(c))
        if j != k
    )
    total = 0.0
    for i, y in enumerate(classes):
        others = sorted(d[i][j] for j in range(len(c)) if j != y)[:nearest]
        beside = sum(np.exp(-one / (2 * variance)) for one in others)
        total -= np.log(np.exp(-d[i][y] / (2 * variance) - margin) / beside) / len(x)
    return total


@pytest.mark.parametrize("loss", LOSSES)
def test_the_joint_loss_and_its_terms_by_loops(loss: str) -> None:
    made, out, batch = example(loss=loss, lam=0.7, lam1=0.3, lam2=0.8)
    expected = slow(made, out, batch.labels.argmax(dim=1).tolist())
    terms = made.loss(out, batch)
    found = {"loss": terms.loss, **terms.parts}
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert float(found[name].detach()) == pytest.approx(value, rel=1e-12), name
    if loss == "islets":
        assert float(found["islets"]) > 0.01  # or nobody would see it missing


@pytest.mark.parametrize("nearest", [1, 2])
def test_the_md_loss_looks_at_the_nearest_centres(nearest: int) -> None:
    made, out, batch = example(loss="md", lam=0.7, nearest=nearest)
    expected = slow_md(
        out.embedding.detach().numpy(),
        made.model_.centres.centres.numpy(),
        batch.labels.argmax(dim=1).tolist(),
        nearest,
    )
    assert float(made.loss(out, batch).parts["md"]) == pytest.approx(expected, rel=1e-10)


def test_features_feel_the_md_loss_with_centres_as_they_were() -> None:
    made, out, batch = example(loss="md", lam=0.7)
    centres = made.model_.centres.centres.clone()
    made.model_.train()
    made.loss(out, batch).loss.backward()  # the centres have moved by then
    assert not torch.equal(made.model_.centres.centres, centres)
    x = out.embedding.detach().clone().requires_grad_()
    (0.7 * md_loss(x, centres, batch.labels.argmax(dim=1), 3)).backward()
    torch.testing.assert_close(out.embedding.grad, x.grad, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("loss", LOSSES[:-1])
def test_features_feel_the_distance_to_their_own_centre_alone(loss: str) -> None:
    made, out, batch = example(loss=loss, lam=0.7)
    centres = made.model_.centres.centres.clone() if made.centred else None
    made.model_.train()
    made.loss(out, batch).loss.backward()  # the centres have moved by then
    assert out.embedding.grad is not None or not made.centred
    if centres is not None:
        own = centres[batch.labels.argmax(dim=1)]
        expected = 0.7 * (out.embedding.detach() - own) / N
        torch.testing.assert_close(out.embedding.grad, expected, rtol=1e-12, atol=1e-14)
    p = out.logits.detach().softmax(dim=1)
    torch.testing.assert_close(out.logits.grad, (p - batch.labels) / N, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("loss", LOSSES[1:])
def test_centres_move_in_training_alone_and_by_equation_4(loss: str) -> None:
    made, out, batch = example(loss=loss, lam1=0.3, lam2=0.8, alpha=0.25)
    start = made.model_.centres.centres.clone()
    made.model_.eval()
    made.loss(out, batch)
    assert torch.equal(made.model_.centres.centres, start)
    made.model_.train()
    made.loss(out, batch)
    lam1, lam2 = {"island": (0.3, 0), "islets": (0.3, 0.8)}.get(loss, (0, 0))
    other = ClassCentres(L, D, lam1=lam1, lam2=lam2, alpha=0.25).double()
    other.centres = start.clone()
    other.update(out.embedding.detach(), batch.labels.argmax(dim=1))
    assert not torch.equal(other.centres, start)
    assert torch.equal(made.model_.centres.centres, other.centres)
    # The class without a row moves by the terms between centres, where there are any.
    assert torch.equal(other.centres[3], start[3]) == (loss in ("center", "md"))


def test_placebos_leave_out_what_they_say() -> None:
    made, out, batch = example(loss="islets", centres="fixed")
    start = made.model_.centres.centres.clone()
    made.model_.train()
    terms = made.loss(out, batch)
    assert torch.equal(made.model_.centres.centres, start)
    assert float(terms.parts["center"]) > 0  # and still draw
    without, as_island = (fitted(Near(**one)) for one in ({"lam2": 0.0}, {"loss": "island"}))
    assert weights(without) == weights(as_island)
    assert weights(fitted(Near())) != weights(as_island)
    fixed = fitted(Near(centres="fixed"))
    with train_module.seeded("cpu", int(np.random.default_rng(0).integers(2**62))):
        first = fixed.build(3, 1)
    assert torch.equal(fixed.model_.centres.centres, first.centres.centres)
    assert not torch.equal(fitted(Near()).model_.centres.centres, first.centres.centres)


def test_lam_0_trains_the_network_that_softmax_trains() -> None:
    plain, weightless = fitted(Near(loss="softmax")), fitted(Near(lam=0.0))
    assert not any(name.startswith("centres") for name in weights(plain))
    inside = {
        name.removeprefix("network."): value
        for name, value in weights(weightless).items()
        if name.startswith("network.")
    }
    assert inside == weights(plain)
    assert weights(fitted(Near())) != weights(weightless)


def test_centres_end_up_among_their_features() -> None:
    faces = some_faces(200, kind="single")
    network = Near(loss="center", lam=0.01)
    network.recipes = {"paper": replace(RECIPE, epochs=10, flip=False)}
    fit_on(faces, network, selection="last")
    assert isinstance(network.model_, Centred)
    features = torch.from_numpy(network.transform(faces))
    centres = network.model_.centres.centres
    nearest = torch.cdist(features, centres).argmin(dim=1).numpy()
    assert (nearest == faces.labels.argmax(axis=1)).mean() > 0.8
    assert network.history_[-1]["cross_entropy"] < network.history_[0]["cross_entropy"]


def test_terms_are_logged_and_the_loss_is_their_sum() -> None:
    rows = fitted(Near()).history_
    for row in rows:
        apart = row["center"] + 0.2 * row["island"] + 0.9 * row["islets"]
        assert row["loss"] == pytest.approx(row["cross_entropy"] + 0.6 * apart, rel=1e-5)


def test_a_phase_may_have_a_loss_of_its_own() -> None:
    class Phased(Near):
        name = "near"

        def learn(self, model: nn.Module, train: FaceSet, valid: Any, seed: int) -> Any:
            def nothing(out: Output, batch: Batch) -> Terms:
                return Terms(0 * out.logits.sum(), {"nothing": torch.zeros(())})

            self.first = self.phase("first", model, RECIPE, train, valid, seed, nothing)
            return self.phase("second", model, RECIPE, train, valid, seed)

    found = fitted(Phased())
    assert all(row["nothing"] == row["loss"] == 0 for row in found.first.history)
    assert all(row["center"] > 0 for row in found.history_)


def test_batches_are_taken_whole_where_centres_move() -> None:
    assert not any(Near(loss=loss).sums_over_samples for loss in LOSSES[1:])
    assert Near(loss="softmax").sums_over_samples
    assert all(Near(loss=loss, centres="fixed").sums_over_samples for loss in LOSSES[:-1])
    assert not Near(loss="md", centres="fixed").sums_over_samples  # a variance of the batch


def test_centres_are_in_checkpoints_and_training_goes_on_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fitted(Near())

    class Stopped(Near):
        name = "near"
        left = 2 * 3 + 1  # batches of 40 images, until the middle of the third epoch

        def loss(self, out: Output, batch: Batch) -> Any:
            if self.model_.training:
                self.left -= 1
                if not self.left:
                    raise KeyboardInterrupt
            return super().loss(out, batch)

    monkeypatch.setattr(checkpoints, "SAVING_SHARE", 1e9)  # a checkpoint each epoch
    with pytest.raises(KeyboardInterrupt):
        fitted(Stopped(), folder=tmp_path)
    assert list(tmp_path.glob("epoch-0002.json"))
    # Whatever centres a new model starts with, those of the checkpoint count.
    with monkeypatch.context() as patch:
        patch.setattr("bench.nn.losses.centres.torch.randn", lambda *shape: torch.full(shape, 7.0))
        resumed = fitted(Near(), folder=tmp_path)
    assert weights(resumed) == weights(whole)


# -- batches and parts with few classes -----------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_a_batch_of_one_class_or_of_one_face_is_no_trouble(loss: str) -> None:
    for rows in (slice(0, 1), slice(0, N, 3)):
        made, out, batch = example(loss=loss)
        made.model_.train()
        few = Batch(batch.inputs, batch.labels[rows], batch.distribution[rows])
        assert len(few.labels.argmax(dim=1).unique()) == 1
        terms = made.loss(Output(out.embedding[rows], out.logits[rows]), few)
        terms.loss.backward()
        assert all(bool(value.isfinite()) for value in (terms.loss, *terms.parts.values()))
        assert bool(out.logits.grad.isfinite().all())
        if made.centred:
            assert bool(made.model_.centres.centres.isfinite().all())


def test_rows_of_one_class_follow_one_another_without_harm() -> None:
    faces = some_faces(32, kind="single")
    order = np.argsort(faces.labels.argmax(axis=1), kind="stable")
    network = Near()
    network.recipes = {"paper": replace(RECIPE, batch=4)}
    found = fit_on(faces.take(order), network, selection="last")
    assert np.isfinite(found.scores(faces)).all()


def test_fewer_than_two_classes_are_refused() -> None:
    faces = some_faces(30, kind="single")
    labels = np.zeros_like(faces.labels)
    labels[:, 1] = True
    with pytest.raises(InputError) as caught:
        fit_on(replace(faces, labels=labels), Near())
    assert str(caught.value) == (
        "near: the training part of noise shows only right; it takes faces of two classes or more"
    )
    none = some_faces(30)
    with pytest.raises(InputError, match="near: the training part of noise shows no class; it"):
        fit_on(replace(none, labels=np.zeros_like(none.labels)), Near(target="argmax"))


# -- multi-label data -----------------------------------------------------------------------------


def test_multi_label_faces_are_refused_unless_argmax_is_asked_for() -> None:
    sentence = (
        "near gives a face one class: on multi-label data write near[target=argmax], which learns "
        "each face's strongest label"
    )
    with pytest.raises(InputError) as caught:
        fit_on(some_faces(30), Near())
    assert str(caught.value) == sentence
    assert Near().unsuited("multi") == sentence
    assert Near().unsuited("single") is None
    assert Near(target="argmax").unsuited("multi") is None
    assert Near(target="argmax").unsuited("single") is None


def test_the_strongest_label_is_the_first_of_the_largest() -> None:
    shares = torch.tensor([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4], [0, 0.5, 0.5], [0, 0, 0]])
    classes, known = strongest(shares)
    assert classes.tolist()[:3] == [1, 0, 1]
    assert known.tolist() == [True, True, True, False]


@pytest.mark.parametrize("loss", LOSSES)
def test_faces_without_a_class_say_nothing(loss: str) -> None:
    made, out, batch = example("multi", loss=loss, target="argmax", lam1=0.0, lam2=0.0)
    shares = torch.rand(N, L, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    empty = [0, 5]
    shares[empty] = 0
    classes = shares.argmax(dim=1).tolist()
    made.model_.train()
    start = made.model_.centres.centres.clone() if made.centred else None
    terms = made.loss(out, Batch(batch.inputs, batch.labels, shares))
    terms.loss.backward()
    rows = [i for i in range(N) if i not in empty]
    z = out.logits.detach()
    expected = -sum(float(z[i].log_softmax(dim=0)[classes[i]]) for i in rows) / N
    assert float(terms.parts["cross_entropy"]) == pytest.approx(expected, rel=1e-12)
    assert not bool(out.logits.grad[empty].any())
    if start is not None:
        x = out.embedding.detach()
        if loss == "md":
            expected = slow_md(x[rows].numpy(), start.numpy(), [classes[i] for i in rows])
            assert float(terms.parts["md"]) == pytest.approx(expected, rel=1e-10)
        else:
            apart = sum(float((x[i] - start[classes[i]]).square().sum()) for i in rows)
            assert float(terms.parts["center"]) == pytest.approx(apart / (2 * len(rows)), rel=1e-12)
        assert not bool(out.embedding.grad[empty].any())
        first = [i for i in rows if classes[i] == classes[rows[0]]]
        step = sum(start[classes[rows[0]]] - x[i] for i in first) / (1 + len(first))
        moved = made.model_.centres.centres[classes[rows[0]]]
        torch.testing.assert_close(moved, start[classes[rows[0]]] - 0.5 * step)


def test_a_batch_without_any_class_is_survived() -> None:
    made, out, batch = example("multi", target="argmax")
    made.model_.train()
    terms = made.loss(out, Batch(batch.inputs, 0 * batch.labels, 0 * batch.labels))
    terms.loss.backward()
    assert float(terms.loss.detach()) == 0
    assert not bool(out.logits.grad.any())


def test_on_multi_label_data_scores_are_a_softmax_with_a_threshold() -> None:
    faces = some_faces(60)
    found = fit_on(faces.take(slice(0, 40)), Near(target="argmax"), faces.take(slice(40, 60)))
    scores, labels = found.scores(faces), found.labels(faces)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    assert np.array_equal(labels, scores >= found.threshold_)
    assert any("(best micro-F1)" in one for one in found.remarks())
    # What counts is the strongest label: the second of two equal ones makes no difference.
    labels = faces.labels.copy()
    both = labels[:, 0] & labels[:, 1]
    assert both.any()
    labels[both, 1] = False
    one = replace(faces, labels=labels)
    again = fit_on(
        one.take(slice(0, 40)), Near(target="argmax"), faces.take(slice(40, 60)), selection="last"
    )
    same = fit_on(
        faces.take(slice(0, 40)), Near(target="argmax"), faces.take(slice(40, 60)), selection="last"
    )
    assert weights(again) == weights(same)


@pytest.mark.parametrize(
    "wrong",
    [{"loss": "triplet"}, {"lam": -0.1}, {"alpha": 1.5}, {"centres": "still"}, {"target": "max"}],
)
def test_values_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BenchError, match=f"{next(iter(wrong))} takes"):
        Near(**wrong)


# Figures of the embedding -------------------------------------------------------------------------


def test_class_distance_by_loops() -> None:
    draw = np.random.default_rng(0)
    X, classes = draw.normal(size=(30, 5)), draw.integers(0, 3, 30) * 2  # class 1, 3 are absent
    means = {c: X[classes == c].mean(axis=0) for c in (0, 2, 4)}
    pairs = [(0, 2), (0, 4), (2, 4)]
    between = np.mean([np.linalg.norm(means[a] - means[b]) for a, b in pairs])
    within = np.mean([np.linalg.norm(x - means[c]) for x, c in zip(X, classes, strict=True)])
    Y = torch.from_numpy(np.arange(5) == classes[:, None])
    value = class_distance(torch.from_numpy(X), Y)
    assert value == pytest.approx(between / within, rel=1e-6)
    assert class_distance(torch.from_numpy(7 * X), Y) == pytest.approx(value, rel=1e-6)


def test_class_distance_needs_two_classes_that_spread() -> None:
    Y = torch.tensor([[True, False]] * 3)
    assert class_distance(torch.randn(3, 2), Y) is None
    Y = torch.tensor([[True, False], [False, True]])
    assert class_distance(torch.randn(2, 2), Y) is None
