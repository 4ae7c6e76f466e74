"""Rows by name: what is found, and what is said where none or several are."""

from __future__ import annotations

import pytest
from records import Make

from bench.api import BenchError
from bench.publish.named_rows import fitting, row_named, term_of, title_of
from bench.publish.rows import Row, rows_of


@pytest.fixture(scope="module")
def rows(make: Make) -> list[Row]:
    """Two k, two budgets of a network in two epochs' choices, tuned, failed, two weights."""
    few: dict[str, object] = {"classifier_params": {"k": 5, "s": 1.0}}
    net = {"classifier": None, "stochastic": True, "features_params": {"lam": 0.5}}
    tuned = {"classifier_params": {"k": 7}, "tuned": {"classifier": {"k": [5, 7]}}}
    weights = "vgg.pth"
    return rows_of(
        [
            make("hog", "mlknn"),
            make("hog", "mlknn", key="few", **few),
            make("hog", "mlknn", key="cv", protocol="cv2", test=1),
            make("dbm", budget="quick", selection="valid", **net),
            make("dbm", budget="quick", selection="test", key="test", **net),
            make("dbm", budget="paper", selection="valid", **net),
            make("lbp", "mlknn", key="tuned", **tuned),
            make("lbp", "lift", status="error", reason="no memory"),
            make("vgg16", "lift", key="w", weights="0" * 64, features_params={"weights": weights}),
            make("vgg16", "lift", key="v", weights="f" * 64, features_params={"weights": weights}),
            make(None, "prior"),
        ]
    )


def find(rows: list[Row], text: str, **wanted: str) -> str:
    return row_named(rows, term_of(text), wanted).records[0].key


def test_parameters_and_conditions_choose(rows: list[Row]) -> None:
    assert find(rows, "hog+mlknn[k=5]") == "few"
    assert find(rows, "hog + mlknn[k=5.0, s=1]") == "few"
    assert find(rows, "hog+mlknn[k=100]", protocol="cv2") == "cv"
    assert find(rows, "dbm[lam=.5]", budget="quick", selection="test") == "test"
    assert find(rows, "lbp+mlknn[k=tuned]") == "tuned"
    assert find(rows, "prior", budget="quick", selection="valid").startswith("None-prior")


@pytest.mark.parametrize(
    ("text", "wanted", "message"),
    [
        ("hog+mlknnn", {}, r"hog\+mlknnn: no such row on toy: did you mean hog\+mlknn"),
        ("mlknn", {}, "mlknn: no such row on toy"),
        ("hog", {}, "hog: no such row on toy"),
        ("hog+mlknn[k=9]", {}, r"k=9\]: on toy there are hog\+mlknn\[k=100\] --protocol cv2; "),
        ("hog+mlknn[q=9]", {}, r"q=9\]: on toy there are"),
        ("hog+mlknn", {"protocol": "cv9"}, "hog.mlknn --protocol cv9: on toy there are"),
        (
            "hog+mlknn[k=100]",
            {},
            r"fits 2 rows on toy: write one of them so: "
            r"hog\+mlknn --protocol cv2; hog\+mlknn --protocol official$",
        ),
        (
            "dbm",
            {"selection": "valid"},
            "fits 2 rows on toy: write one of them so: dbm --budget paper; dbm --budget quick$",
        ),
        (
            "vgg16+lift[C=1]",
            {},
            r"on toy there are vgg16\+lift \(weights 00000000\); vgg16\+lift \(weights ffffffff\)",
        ),
        ("vgg16[weights=/x/vgg.pth]+lift", {}, r"\(no option chooses weights: keep the others"),
        ("lbp+lift", {}, r"lbp\+lift has no result on toy: no memory"),
    ],
)
def test_what_is_said_of_none_and_of_several(
    rows: list[Row], text: str, wanted: dict[str, str], message: str
) -> None:
    with pytest.raises(BenchError, match=message):
        row_named(rows, term_of(text), wanted)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" ", "an empty ROW"),
        ("a+b, c", "a ROW is one method"),
        ("a[k=1|2]", "one value for each parameter"),
        ("a+b+c", r"one \+ at most"),
        ("a[k", "not closed"),
    ],
)
def test_what_is_no_row(text: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        term_of(text)


def test_titles_are_as_written_without_spaces() -> None:
    assert title_of(term_of(" hog + mlknn[k=5] ")) == "hog+mlknn[k=5]"


def test_fitting_knows_no_conditions(rows: list[Row]) -> None:
    assert len(fitting(rows, term_of("dbm"))) == 3
    assert fitting(rows, term_of("hog+lift")) == []
