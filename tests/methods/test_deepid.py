"""DeepID's features: those of the identity stage, whatever faces they are asked about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from bench.methods._identity import embeddings, identity_recipe, identity_stage
from identities import some_people
from networks import some_faces

from bench.api import BenchError, Setting
from bench.nn.faces import Pixels
from bench.plugins import Registry


def method(**params: Any) -> Any:
    made: Any = Registry().find("method", "deepid")[0].load()(**params)
    made.setting = Setting("smoke", others={"people": some_people(persons=12, pictures=5)})
    return made


def test_vectors_are_those_of_the_stage_with_the_methods_seed() -> None:
    faces = some_faces(12, side=32)
    made = method().fit(faces, np.random.default_rng(3))
    found = made.transform(faces)
    seed = int(np.random.default_rng(3).integers(2**62))
    people = made.setting.others["people"]
    stage = identity_stage(people, identity_recipe("smoke"), Setting("smoke"), seed)
    wanted = embeddings(stage.branch, Pixels(faces, 32, "cpu"), np.arange(12), 32)
    np.testing.assert_array_equal(found, wanted)
    assert found.shape == (12, 160)
    assert found.dtype == np.float32
    assert (found >= 0).all()
    assert made.measures(faces) == stage.record["figures"]
    assert set(made.measures(faces)) == {
        "closed_set_accuracy",
        "verification_accuracy",
        "verification_deviation",
        "verification_threshold",
    }
    assert "deepid: identity stage on people" in made.remarks()[0]


def test_nothing_is_learnt_from_the_faces_asked_about() -> None:
    faces = some_faces(12, side=32)
    first = method().fit(faces, np.random.default_rng(0)).transform(faces)
    other = method().fit(some_faces(20, side=32, seed=9), np.random.default_rng(0))
    np.testing.assert_array_equal(first, other.transform(faces))
    assert (method().fit(faces, np.random.default_rng(1)).transform(faces) != first).any()


def test_larger_faces_are_resized() -> None:
    faces = some_faces(6, side=64)
    assert faces.images is not None
    made = method().fit(faces, np.random.default_rng(0))
    halved = Pixels(faces, 32, "cpu").take(torch.arange(6)).numpy()[..., 0]
    np.testing.assert_array_equal(
        made.transform(faces), made.transform(replace(faces, images=halved))
    )


def test_the_placebo_has_first_weights_and_the_statistics_of_the_training_part() -> None:
    faces = some_faces(12, side=32)
    made = method(identity="untrained").fit(faces, np.random.default_rng(0))
    assert faces.images is not None
    own = faces.images / 255
    np.testing.assert_allclose(made.branch_.standardise.mean[0], own.mean(axis=0), rtol=1e-4)
    assert made.measures(faces) == {}
    assert made.remarks() == ("deepid: untrained weights, a placebo",)
    assert made.transform(faces).shape == (12, 160)


def test_colours_and_early_questions_are_refused() -> None:
    with pytest.raises(BenchError, match="not trained yet"):
        method().transform(some_faces(4, side=32))
    made = method().fit(some_faces(12, side=32), np.random.default_rng(0))
    with pytest.raises(BenchError, match="deepid takes grey images"):
        made.transform(some_faces(4, side=32, colour="rgb"))
