"""DBM-DACNN: its loss against loops; a target whose images are seen and whose labels are not."""

from __future__ import annotations

from dataclasses import replace
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench.methods._dcnn import BiManifoldNetwork
from builtin import method_class
from networks import Killed, some_faces, weights

from bench.api import BenchError, FaceSet, Setting
from bench.nn import train as training
from bench.nn.checkpoints import CheckpointClock
from bench.nn.output import Batch, Output
from bench.nn.recipe import SGD, OneCycle, Recipe
from bench.nn.updates import Updater

N, M, D, L = 9, 9, 4, 3
Adapted = method_class("dbm-dacnn")
Plain = method_class("dbm-cnn")
# Few pixels: the 2000-d layer is most of the network.
SIZE = 8
RECIPE = Recipe(
    SGD(0.01), batch=8, epochs=2, schedule=OneCycle(), size=SIZE, crop_from=10, flip=True
)


def target_of(n: int = 30, **more: Any) -> FaceSet:
    """Other noise, darker."""
    faces = some_faces(n, seed=7, **more)
    assert faces.images is not None
    return replace(faces, name="dark noise", images=faces.images // 2)


def hidden(faces: FaceSet) -> FaceSet:
    """As the engine hands it over."""
    return replace(faces, labels=np.zeros_like(faces.labels), kind="multi")


def small(plugin: Any = Adapted, target: FaceSet | None = None, **params: Any) -> Any:
    class Small(plugin):  # type: ignore[misc]
        """Reference: none."""

        recipes = {"paper": RECIPE, "quick": RECIPE}

    others = {} if target is None else {"target": target}
    method = Small(k=3, **params)
    method.setting = Setting(others=others)
    return method


def fit(method: Any, seed: int = 0, folder: Path | None = None) -> Any:
    faces = some_faces(32)
    method.setting = replace(method.setting, folder=folder)
    valid = faces.take(slice(24, 32))
    return method.fit(faces.take(slice(0, 24)), np.random.default_rng(seed), valid)


# -- the loss -------------------------------------------------------------------------------------


def example(target_rows: int = M) -> tuple[Output, Batch]:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    distribution = draw(N, L).softmax(dim=1)
    other = torch.cat([1 + draw(target_rows, D), 2 * draw(target_rows, L)], dim=1)
    output = Output(draw(N, D).relu(), draw(N, L), other=other)
    return output, Batch(torch.zeros(0), (distribution > 0.3).double(), distribution)


def slow_mmd(s: list[list[float]], t: list[list[float]], linear: bool = False) -> float:
    """Eq. 12, or its estimate in linear time, with bandwidths of both batches together."""

    def apart(a: list[float], b: list[float]) -> float:
        return sum((p - q) ** 2 for p, q in zip(a, b, strict=True))

    both = s + t
    pairs = [(i, j) for i in range(len(both)) for j in range(len(both)) if i != j]
    mean = sum(apart(both[i], both[j]) for i, j in pairs) / len(pairs)

    def k(a: list[float], b: list[float]) -> float:
        return sum(exp(-apart(a, b) / (2 * mean * f)) for f in (0.25, 0.5, 1, 2, 4)) / 5

    if linear:
        terms = [
            k(s[i], s[i + 1]) + k(t[i], t[i + 1]) - k(s[i], t[i + 1]) - k(s[i + 1], t[i])
            for i in range(0, len(s) - 1, 2)
        ]
        return sum(terms) / len(terms)

    def within(rows: list[list[float]]) -> float:
        n = len(rows)
        found = [k(rows[i], rows[j]) for i in range(n) for j in range(n) if i != j]
        return sum(found) / (n * (n - 1))

    across = sum(k(a, b) for a in s for b in t)
    return within(s) + within(t) - 2 * across / (len(s) * len(t))


def slow_entropy(logits: list[list[float]]) -> float:
    total = 0.0
    for row in logits:
        shares = [exp(z) / sum(exp(other) for other in row) for z in row]
        total -= sum(p * log(p) for p in shares) / len(logits)
    return total


@pytest.mark.parametrize("mmd", ["quadratic", "linear"])
@pytest.mark.parametrize(("gamma", "eta"), [(1.0, 0.0), (0.7, 0.2), (0.0, 0.3)])
def test_the_loss_is_the_papers(mmd: str, gamma: float, eta: float) -> None:
    out, batch = example()
    source = small(Plain, lam=0.3).loss(out, batch)
    terms = small(lam=0.3, gamma=gamma, eta=eta, mmd=mmd).loss(out, batch)
    assert out.other is not None
    embedding, logits = out.other[:, :D].tolist(), out.other[:, D:].tolist()
    distance = slow_mmd(out.embedding.tolist(), embedding, linear=mmd == "linear")
    assert float(terms.parts["mmd"]) == pytest.approx(distance, rel=1e-10)
    assert float(terms.parts["entropy"]) == pytest.approx(slow_entropy(logits), rel=1e-10)
    total = float(source.loss) + gamma * distance + eta * slow_entropy(logits)
    assert float(terms.loss) == pytest.approx(total, rel=1e-10)
    assert set(terms.parts) == {*source.parts, "mmd", "entropy"}


def test_cross_entropy_and_bi_manifold_are_the_sources_alone() -> None:
    out, batch = example()
    found = small(gamma=2.0, eta=1.0).loss(out, batch).parts
    alone = small(Plain).loss(out, batch).parts
    for name, value in alone.items():
        assert float(found[name]) == float(value), name


def test_the_target_is_moved_by_the_discrepancy_and_by_its_entropy() -> None:
    for gamma, eta, moved in ((1.0, 0.0, slice(0, D)), (0.0, 1.0, slice(D, D + L))):
        out, batch = example()
        assert out.other is not None
        other = out.other.clone().requires_grad_()
        small(gamma=gamma, eta=eta).loss(out._replace(other=other), batch).loss.backward()
        assert other.grad is not None
        still = other.grad.clone()
        assert (still[:, moved] != 0).any()
        still[:, moved] = 0
        assert not still.any()


def test_a_step_down_brings_the_domains_together_and_sharpens_the_answers() -> None:
    out, batch = example()
    assert out.other is not None
    other = out.other.clone().requires_grad_()
    before = small(gamma=1.0, eta=1.0, lam=0.0).loss(out._replace(other=other), batch)
    before.loss.backward()
    assert other.grad is not None
    stepped = out._replace(other=(other - 0.1 * other.grad).detach())
    after = small(gamma=1.0, eta=1.0, lam=0.0).loss(stepped, batch)
    for name in ("mmd", "entropy"):
        assert after.parts[name].item() < before.parts[name].item()


def test_bandwidths_are_no_constants_unless_asked_for() -> None:
    pulls = []
    for params in ({}, {"sigma": "moving"}, {"sigma": "constant"}):
        out, batch = example()
        assert out.other is not None
        both = torch.cat([out.embedding, out.other[:, :D]]).requires_grad_()
        other = torch.cat([both[N:], out.other[:, D:]], dim=1)
        terms = small(gamma=1.0, lam=0.0, **params).loss(
            out._replace(embedding=both[:N], other=other), batch
        )
        terms.loss.backward()
        assert both.grad is not None
        centred = both.detach() - both.detach().mean(dim=0)
        pulls.append(float((centred * both.grad).sum()))
    assert abs(pulls[0]) < 1e-12
    assert abs(pulls[1]) < 1e-12
    assert pulls[2] > 0.01  # towards one point


def test_outside_training_there_is_no_target_and_the_loss_is_dbm_cnns() -> None:
    out, batch = example()
    out = out._replace(other=None)
    assert float(small().loss(out, batch).loss) == float(small(Plain).loss(out, batch).loss)


# -- two domains through one network --------------------------------------------------------------


def test_both_domains_pass_through_the_same_layers() -> None:
    torch.manual_seed(0)
    model = small(dropout=0.0).build(L, 1).double()
    source, target = torch.rand(2, 5, 1, SIZE, SIZE, dtype=torch.float64)
    both = model(torch.stack([source, target], dim=1))
    alone, other = model(source), model(target)
    torch.testing.assert_close(both.embedding, alone.embedding)
    torch.testing.assert_close(both.logits, alone.logits)
    torch.testing.assert_close(both.other, torch.cat([other.embedding, other.logits], dim=1))
    assert alone.other is None


def test_dropout_acts_on_logits_of_both_and_on_no_embedding() -> None:
    torch.manual_seed(0)
    model = small(dropout=0.5).build(L, 1)
    images = torch.rand(4, 2, 1, SIZE, SIZE)
    first, second = model(images), model(images)
    assert torch.equal(first.embedding, second.embedding)
    assert torch.equal(first.other[:, :2000], second.other[:, :2000])
    assert not torch.equal(first.logits, second.logits)
    assert not torch.equal(first.other[:, 2000:], second.other[:, 2000:])


class Watched(Exception):  # noqa: N818
    """Enough was seen."""


def views(method: Any, monkeypatch: pytest.MonkeyPatch, steps: int) -> list[torch.Tensor]:
    """What the network gets in its first steps."""
    seen: list[torch.Tensor] = []
    real = Updater._gradients

    def watched(self: Any, *arguments: Any) -> Any:
        inputs = self.data.inputs

        def noted(rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
            seen.append(inputs(rows, generator))
            if len(seen) == steps:
                raise Watched
            return seen[-1]

        object.__setattr__(self.data, "inputs", noted)
        try:
            return real(self, *arguments)
        finally:
            object.__setattr__(self.data, "inputs", inputs)

    with monkeypatch.context() as patch:
        patch.setattr(Updater, "_gradients", watched)
        with pytest.raises(Watched):
            fit(method)
    return seen


def test_the_sources_batches_are_dbm_cnns(monkeypatch: pytest.MonkeyPatch) -> None:
    adapted = views(small(target=target_of()), monkeypatch, 5)
    plain = views(small(Plain), monkeypatch, 5)  # three in an epoch
    for one, other in zip(adapted, plain, strict=True):
        assert one.shape == (8, 2, 1, SIZE, SIZE)
        assert torch.equal(one[:, 0], other)


def numbered(n: int) -> FaceSet:
    """Faces that are grey all over, each in its own shade."""
    faces = target_of(n)
    shades = np.arange(n, dtype=np.uint8)[:, None, None]
    return replace(faces, images=np.broadcast_to(shades, (n, 14, 14)).copy())


def test_each_step_draws_other_images_of_the_whole_target(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = views(small(target=numbered(20), length=5), monkeypatch, 12)
    rows = [(255 * one[:, 1, 0, 0, 0]).round().int().tolist() for one in seen]
    assert all(len({*row}) == 8 for row in rows)  # no image twice in a batch
    assert len({tuple(row) for row in rows}) == 12
    assert {one for row in rows for one in row} == {*range(20)}


def test_a_target_smaller_than_a_batch_appears_several_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (seen,) = views(small(target=numbered(3)), monkeypatch, 1)
    rows = (255 * seen[:, 1, 0, 0, 0]).round().int().tolist()
    assert sorted(np.bincount(rows).tolist()) == [2, 3, 3]
    noisy = views(small(target=target_of(2)), monkeypatch, 1)[0][:, 1]
    assert len({one.numpy().tobytes() for one in noisy}) > 2  # cropped and mirrored differently


# -- training -------------------------------------------------------------------------------------


def test_labels_of_the_target_are_never_seen() -> None:
    target = target_of()
    one, other = fit(small(target=target, eta=0.2)), fit(small(target=hidden(target), eta=0.2))
    assert weights(one) == weights(other)
    assert weights(fit(small(target=target_of(29), eta=0.2))) != weights(one)


def test_without_weights_it_is_dbm_cnn_to_the_byte() -> None:
    plain = fit(small(Plain))
    placebo = fit(small(gamma=0.0, target=target_of()))
    assert weights(placebo) == weights(plain)
    assert placebo.threshold_ == plain.threshold_
    assert weights(fit(small(gamma=0.0))) == weights(plain)  # asks for no target
    assert weights(fit(small(gamma=1.0, target=target_of()))) != weights(plain)
    assert placebo.footnotes() == ()
    assert "dbm-dacnn: no target took part in training (γ = η = 0)" in placebo.remarks()


def test_the_gap_to_the_target_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    # How much of it closes in so few steps depends on the rounding.
    monkeypatch.setattr(training, "trains_in_bfloat16", lambda device: False)
    dark, gaps = target_of(60), []
    for method in (small(Plain, length=6), small(target=target_of(), gamma=5.0, length=6)):
        method.recipes = {"paper": replace(RECIPE, optimizer=SGD(0.03))}
        method.setting = replace(method.setting, selection="last")
        gaps.append(fit(method).measures(dark)["mmd"])
    assert gaps[1] < gaps[0] / 2
    assert method.history_[-1]["mmd"] < method.history_[0]["mmd"] / 2


@pytest.mark.parametrize("step", [2, 4, 6])
def test_killed_it_goes_on_to_the_same_weights(
    tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "trains_in_bfloat16", lambda device: False)
    monkeypatch.setattr(CheckpointClock, "due", lambda self: True)
    wanted = fit(small(target=target_of(), eta=0.1))
    real, calls = Updater.update, iter(range(1, 99))

    def dying(self: Any, *arguments: Any) -> Any:
        if next(calls) == step:
            raise Killed
        return real(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Updater, "update", dying)
        with pytest.raises(Killed):
            fit(small(target=target_of(), eta=0.1), folder=tmp_path)
    found = fit(small(target=target_of(), eta=0.1), folder=tmp_path)
    assert weights(found) == weights(wanted)
    assert [row["mmd"] for row in found.history_] == [row["mmd"] for row in wanted.history_]


def test_the_record_says_that_the_target_took_part() -> None:
    found = fit(small(target=target_of()))
    (remark,) = [one for one in found.remarks() if "transductive" in one]
    assert remark.startswith("dbm-dacnn: adapted from noise to dark noise: its 30 images took part")
    assert found.footnotes() == (
        "unlabelled target images, those of the test part included, took part in training",
    )


def test_colour_of_the_target_is_the_sources() -> None:
    grey = target_of()
    assert grey.images is not None
    coloured = replace(grey, images=np.repeat(grey.images[..., None], 3, axis=3))
    assert weights(fit(small(target=coloured))) == weights(fit(small(target=grey)))


# -- what is refused ------------------------------------------------------------------------------


def test_a_target_is_needed() -> None:
    assert Adapted.companions == {"target": "unlabelled"}
    assert Adapted().requires() == Adapted(gamma=0.0, eta=0.1).requires() == ("target",)
    assert Adapted(gamma=0.0).requires() == ()
    with pytest.raises(BenchError, match=r"name one, dbm-dacnn\[target=NAME:DIR\]"):
        fit(small())


@pytest.mark.parametrize("n", [0, 1])
def test_a_target_without_two_images_is_refused(n: int) -> None:
    with pytest.raises(BenchError, match=rf"the target dark noise has {n} image\(s\)"):
        fit(small(target=target_of().take(slice(0, n))))


def test_a_batch_without_k_neighbours_is_refused_by_its_own_name() -> None:
    with pytest.raises(BenchError, match=r"dbm-dacnn\[k=8\] searches k neighbours in batches of 8"):
        fit(small(target=target_of()).set_params(k=8))


# -- the distance between domains -----------------------------------------------------------------


@pytest.mark.parametrize("plugin", [Plain, Adapted])
def test_the_discrepancy_is_measured_between_training_part_and_faces(plugin: Any) -> None:
    found = fit(small(plugin, target=target_of()))
    train, dark = some_faces(32).take(slice(0, 24)), target_of(12)
    s, t = (found.transform(faces).astype(float).tolist() for faces in (train, dark))
    measured = found.measures(dark)
    assert set(measured) == {"mmd", "neighbour_agreement"}
    assert measured["mmd"] == pytest.approx(slow_mmd(s, t), rel=1e-3, abs=1e-6)
    assert found.measures(dark.take(slice(0, 1))) == {}


def test_many_faces_are_measured_on_some_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.methods import _dcnn

    monkeypatch.setattr(_dcnn, "DISCREPANCY_FACES", 5)
    found = fit(small(Plain))
    dark = target_of(12)
    few = dark.take(np.array([0, 3, 6, 8, 11]))
    assert found.sample_.ids.tolist() == ["0000", "0006", "0012", "0017", "0023"]
    assert found.measures(dark)["mmd"] == found.measures(few)["mmd"]
    assert isinstance(found, BiManifoldNetwork)
