"""From names to exact methods: `all`, pairs, sweeps, and the sentences for what does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.api import BenchError
from bench.plugins import Registry
from bench.run.grammar import parse_methods
from bench.run.methods import Method, dataset_spec, resolve


def names(methods: list[Method]) -> list[tuple[str | None, str | None]]:
    return [
        (m.features.name if m.features else None, m.classifier.name if m.classifier else None)
        for m in methods
    ]


def resolved(tiny: Path, text: str, kind: str = "multi", images: bool = True) -> list[Method]:
    return resolve(Registry([tiny]), parse_methods(text), kind, images)


def test_a_pair_a_network_and_a_method_without_features(tiny: Path) -> None:
    found = resolved(tiny, "halves+nearest,net,alone,net+nearest")
    assert names(found) == [
        ("halves", "nearest"),
        ("net", None),
        (None, "alone"),
        ("net", "nearest"),
    ]


def test_all_pairs_built_in_features_with_built_in_classifiers(tiny: Path) -> None:
    found = names(resolved(tiny, "all"))
    assert ("lbp", "mlknn") in found
    assert ("hog", "linear-svm") in found
    assert (None, "prior") in found
    assert len(found) == len(set(found))
    # what the user added runs when named, what needs precomputed features never on images
    assert not {"halves", "net", "identity"} & {features for features, _ in found if features}


def test_all_stands_for_identity_where_features_are_given(tiny: Path) -> None:
    found = names(resolved(tiny, "all", images=False))
    assert ("identity", "mlknn") in found
    assert {features for features, _ in found} == {"identity", None}


def test_all_on_one_side(tiny: Path) -> None:
    assert ("halves", "mlknn") in names(resolved(tiny, "halves+all"))
    found = names(resolved(tiny, "all+nearest"))
    assert {("hog", "nearest"), ("lbp", "nearest")} <= set(found)
    assert {classifier for _, classifier in found} == {"nearest"}


def test_a_sweep_gives_one_method_each_and_none_twice(tiny: Path) -> None:
    found = resolved(tiny, "halves[scale=1|2]+nearest,halves+nearest")
    assert [m.features.params["scale"] for m in found if m.features] == [1.0, 2.0]


def test_single_label_data_takes_only_what_is_meant_for_it(tiny: Path) -> None:
    assert ("lbp", "mlknn") not in names(resolved(tiny, "all", kind="single"))
    with pytest.raises(BenchError, match="not meant for single"):
        resolved(tiny, "halves+nearest", kind="single")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("halvs+nearest", "halves"),
        ("halves+nearst", "nearest"),
        ("nearest", "needs features"),
        ("halves", "gives features, not scores"),
        ("nearest+nearest", "is a classifier"),
        ("halves+halves", "no classifier"),
        ("halves[scal=2]+nearest", "scale"),
        ("halves[scale=0]+nearest", "> 0"),
        ("halves[scale=big]+nearest", "> 0"),
        ("halves[scale=nan]+nearest", "> 0"),
        ("halves+dice[random_state=3]", "--seeds"),
        ("all[k=1]+nearest", "name, not all"),
    ],
)
def test_what_does_not_fit_is_one_sentence(tiny: Path, text: str, message: str) -> None:
    with pytest.raises(BenchError, match=message) as error:
        resolved(tiny, text)
    assert "\n" not in str(error.value)


def test_a_dataset_takes_one_value_for_each_parameter(tiny: Path) -> None:
    registry = Registry([tiny])
    assert dataset_spec(registry, "tiny[images=20]").params == {"images": 20}
    with pytest.raises(BenchError, match="no sweep"):
        dataset_spec(registry, "tiny[images=20|30]")
    with pytest.raises(BenchError, match=r"unknown dataset 'tini'.*tiny"):
        dataset_spec(registry, "tini")
