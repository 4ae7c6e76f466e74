"""Networks that give a face one class: what is learned of multi-label faces, what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from networks import RECIPE, Layers, some_faces
from torch import nn

from bench.api import InputError, Setting
from bench.kit.classifier import follow_threshold
from bench.nn.one_class import OneClassNetwork, as_classes, strongest
from bench.nn.output import Batch, Output


class OneClass(OneClassNetwork):
    """Reference: none."""

    name = "one-class"
    recipes = {"paper": RECIPE, "quick": RECIPE}

    def build(self, labels: int, channels: int) -> nn.Module:
        return Layers(labels, channels, 0.2, norm=True)


def test_faces_become_their_strongest_label() -> None:
    faces = some_faces(5)
    shares = np.array([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4], [0, 0, 0], [0, 0.5, 0.5], [0, 0.1, 0.9]])
    found = as_classes(replace(faces, distribution=shares))
    assert found.kind == "single"
    assert found.labels.argmax(axis=1).tolist() == [1, 0, 1, 2]
    assert np.array_equal(found.ids, faces.ids[[0, 1, 3, 4]])
    assert found.distribution is None
    sets = np.array([[0, 1, 1], [0, 0, 0], [1, 0, 1], [0, 0, 1], [0, 1, 0]], dtype=bool)
    assert as_classes(replace(faces, labels=sets)).labels.argmax(axis=1).tolist() == [1, 0, 2, 1]
    single = some_faces(5, kind="single")
    assert as_classes(single) is single


def test_faces_without_a_class_say_nothing() -> None:
    shares = torch.tensor([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4], [0, 0, 0]], dtype=torch.float64)
    classes, known = strongest(shares)
    assert classes.tolist()[:2] == [1, 0]
    assert known.tolist() == [True, True, False]
    logits = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    loss = OneClass().loss(Output(logits, logits), Batch(logits, shares, shares)).loss
    p = logits.detach().log_softmax(dim=1)
    assert float(loss.detach()) == pytest.approx(-float(p[0, 1] + p[1, 0]) / 3)
    loss.backward()
    assert logits.grad is not None
    assert not bool(logits.grad[2].any())


def test_label_sets_are_refused_unless_the_strongest_label_is_asked_for() -> None:
    sentence = (
        "one-class gives a face one class: on multi-label data write one-class[target=argmax], "
        "which learns each face's strongest label"
    )
    assert OneClass().unsuited("multi") == sentence
    assert OneClass().unsuited("single") is None
    assert OneClass(target="argmax").unsuited("multi") is None
    with pytest.raises(InputError, match="gives a face one class"):
        OneClass().check(some_faces(20))
    OneClass(target="argmax").check(some_faces(20))


@pytest.mark.parametrize(("kind", "message"), [("single", "only right"), ("multi", "no class")])
def test_fewer_than_two_classes_are_refused(kind: str, message: str) -> None:
    faces = some_faces(20, kind=kind)
    labels = np.zeros_like(faces.labels)
    if kind == "single":
        labels[:, 1] = True
    network: Any = OneClass(target="argmax")
    with pytest.raises(InputError, match=f"the training part of noise shows {message}; it takes"):
        network.check(replace(faces, labels=labels))


def test_the_class_is_the_largest_score_of_each_face() -> None:
    faces = some_faces(40, kind="single")
    network: Any = OneClass(length=0.25)
    network.setting = Setting(budget="smoke")
    network.fit(faces.take(slice(0, 30)), np.random.default_rng(0), faces.take(slice(30, 40)))
    scores, labels = network.scores(faces), network.labels(faces)
    assert np.array_equal(labels.argmax(axis=1), scores.argmax(axis=1))
    # Of one label, an absent one may well score above a present one.
    follow_threshold(scores, labels, network.threshold)
