from __future__ import annotations

import math

import pytest

from bench.api import BenchError
from bench.papers import margins as module
from bench.papers.files import catalogue, papers
from bench.papers.margins import Margin, between, margins, worse_than_trivial
from bench.papers.published import by_id, numbers

PAPERS = papers()
HEADLINE = {paper.id: paper.method for paper in catalogue().paper}


def margin_of(
    paper: str, table: str, metric: str, against: str = "second best", **wanted: str
) -> Margin:
    found = [
        margin
        for margin in margins(paper, table)
        if (margin.metric, margin.against) == (metric, against)
        and all(getattr(margin, name) == value for name, value in wanted.items())
    ]
    assert len(found) == 1
    return found[0]


def pair(first: str, second: str, deviation: dict[str, float] | None = None) -> Margin:
    rows = [by_id(name.partition(":")[0])[name] for name in (first, second)]
    return between(*rows, deviation)


def test_tfe_jl_gains_less_than_one_and_a_half_standard_errors_on_fer_plus() -> None:
    margin = margin_of("tfe-jl", "Table 4", "accuracy")
    assert (margin.best, margin.second, margin.n) == ("tfe-jl", "resnet18-tfe", 3589)
    assert margin.margin == pytest.approx(0.0120)
    assert margin.se == pytest.approx(math.sqrt(0.8429 * 0.1571 / 3589 + 0.8309 * 0.1691 / 3589))
    assert margin.ratio == pytest.approx(1.4, abs=0.05)
    assert margin.images == pytest.approx(43, abs=0.1)
    assert "unpaired standard error on 3,589 images 0.87" in by_id("tfe-jl")["tfe-jl:0246"].notes
    assert 100 * (margin.se or 0) == pytest.approx(0.87, abs=0.005)


def test_mf_jle_gains_one_image_of_one_error_over_its_resnet() -> None:
    margin = margin_of("mf-jle", "Table 1", "one_error", "same protocol")
    assert (margin.best, margin.second, margin.n) == ("mf-jle", "resnet18", 982)  # 20 % of 4908
    assert margin.images == pytest.approx(1, abs=0.05)
    assert margin.ratio == pytest.approx(0.067, abs=0.001)
    assert not margin.at_most


def test_a_headline_that_is_not_best_has_a_negative_margin() -> None:
    best = margin_of("mf-jle", "Table 1", "one_error")
    ours = margin_of("mf-jle", "Table 1", "one_error", "other method")
    assert (best.best, best.second) == ("dbm-cnn; classifier=lift", "mf-jle")
    assert (ours.best, ours.second) == (best.second, best.best)
    assert best.margin == pytest.approx(0.004)
    assert ours.margin == -best.margin
    assert ours.se == best.se == pytest.approx(math.sqrt((0.119 * 0.881 + 0.123 * 0.877) / 982))


def test_every_headline_meets_another_method_in_each_column_that_has_both() -> None:
    assert tuple(HEADLINE) == PAPERS
    columns: dict[tuple[str, ...], set[str]] = {}
    compared = set()
    for paper in PAPERS:
        for row in numbers(paper):
            if row.kind == "result" and row.metric in module._DIRECTIONS:
                column = (paper, row.table, row.part, row.dataset, row.metric, module.pick(row))
                columns.setdefault(column, set()).add(row.method)
        for margin in margins(paper):
            methods = {label.partition(";")[0] for label in (margin.best, margin.second)}
            if HEADLINE[paper] in methods and len(methods) == 2:
                key = (margin.table, margin.part, margin.dataset, margin.metric, margin.pick)
                compared.add((paper, *key))
            if margin.against == "second best":
                assert margin.margin >= 0
            else:
                assert margin.best.partition(";")[0] == HEADLINE[paper]
    both = {
        column
        for column, methods in columns.items()
        if HEADLINE[column[0]] in methods and len(methods) > 1
    }
    assert compared == both
    assert len(both) > 100


def test_a_pair_stands_once_in_a_column() -> None:
    for paper in PAPERS:
        found = [(margin.best_id, margin.second_id) for margin in margins(paper)]
        assert len(found) == len(set(found))


def test_ablations_and_other_methods_are_set_against_apart() -> None:
    ablation = margin_of("lban-il", "Table 6", "accuracy")
    assert (ablation.best, ablation.second) == ("lban-il; loss=islets", "lban-il; loss=island")
    assert ablation.images == pytest.approx(2624 - 2583, abs=0.2)
    unknown = margin_of("lban-il", "Table 6", "accuracy", "other method")
    assert (unknown.second, unknown.n, unknown.se) == ("dnnrl", None, None)
    assert unknown.why == "lban-il:0142: how many images it was tested on is not known"
    known = margin_of("lban-il", "Table 6", "accuracy", "same protocol")
    assert (known.second, known.n) == ("dlsvm-l2", 3589)


def test_hamming_loss_counts_images_and_says_that_this_is_the_most() -> None:
    margin = margin_of("mf-jle", "Table 1", "hamming_loss")
    assert margin.at_most
    assert margin.images is None
    assert margin.se == pytest.approx(math.sqrt((0.155 * 0.845 + 0.161 * 0.839) / 982))
    measured = pair("mf-jle:0055", "mf-jle:0046", {"hamming_loss": 0.2})
    assert not measured.at_most
    assert measured.se == pytest.approx(0.2 * math.sqrt(2 / 982))
    assert measured.se < margin.se


def test_mean_recall_adds_the_classes() -> None:
    margin = margin_of("lban-il", "Table 4", "mean_recall")
    assert (margin.second, margin.n, margin.images) == ("lban-il; loss=island", 3068, None)
    counts = (329, 74, 160, 1185, 478, 162, 680)
    islets = (0.8663, 0.6216, 0.5625, 0.9536, 0.8285, 0.7901, 0.8235)
    island = (0.8450, 0.5405, 0.4813, 0.9418, 0.8347, 0.7654, 0.8662)
    variance = sum(
        p * (1 - p) / n for row in (islets, island) for p, n in zip(row, counts, strict=True)
    )
    assert margin.se == pytest.approx(math.sqrt(variance) / 7)
    assert margin.ratio == pytest.approx(1.47, abs=0.01)
    without = margin_of("lban-il", "Table 1", "mean_recall")
    assert (without.n, without.se, without.ratio) == (3068, None, None)
    assert without.why == "lban-il:0007: Table 1 does not print the recall of each class"


def test_a_recall_is_of_its_class() -> None:
    fear = margin_of("lban-il", "Table 4", "recall", pick="class=fear")
    assert (fear.second, fear.n) == ("lban-il; loss=island", 74)
    assert fear.images == pytest.approx(6, abs=0.01)
    assert fear.se == pytest.approx(math.sqrt((0.6216 * 0.3784 + 0.5405 * 0.4595) / 74))


def test_equal_rows_stand_with_the_headline_first() -> None:
    happy = margin_of("lban-il", "Table 3", "recall", pick="class=happiness")
    assert (happy.best, happy.second) == ("lban-il; loss=islets", "resnet18; loss=softmax")
    assert (happy.margin, happy.ratio, happy.images) == (0, 0, 0)


@pytest.mark.parametrize(
    ("id", "images", "units"),
    [
        ("dbm-cnn:0456", 188, 188),  # cv5: every image is tested once
        ("dbm-cnn:0548", 309, 309),
        ("dbm-cnn:0572", 528, 176),  # three frames of each of 176 sequences
        ("dbm-cnn:0556", 427, 427),
        ("lban-il:0132", 436, 436),
        ("lban-il:0190", 41748, 41748),  # mean over the folds
        ("lban-il:0180", 4175, 4175),  # one fold
        ("tfe-jl:0018", 1308, 327),
        ("tfe-jl:0026", 3589, 3589),
        ("tfe-jl:0019", None, None),
        ("multi-dataset:0154", None, None),  # 30 % of an unknown number
    ],
)
def test_sizes_come_from_the_papers_own_counts(
    id: str, images: int | None, units: int | None
) -> None:
    row = by_id(id.partition(":")[0])[id]
    assert module.tested_on(row) == images
    margin = between(row, row)
    assert (margin.n, margin.units, margin.margin) == (images, units, 0)


def test_frames_of_a_sequence_count_once() -> None:
    margin = margin_of("tfe-jl", "Table 2", "accuracy")
    assert margin.images == pytest.approx(0.0175 * 1308)
    assert margin.se == pytest.approx(math.sqrt((0.9931 * 0.0069 + 0.9756 * 0.0244) / 327))


def test_other_criteria_need_a_measured_deviation() -> None:
    margin = margin_of("mf-jle", "Table 1", "coverage")
    assert (margin.margin, margin.n) == (pytest.approx(0.053), 982)
    assert (margin.se, margin.ratio, margin.at_most) == (None, None, False)
    assert margin.why == "the noise of coverage does not follow from the number of images"
    (given,) = (
        found
        for found in margins("mf-jle", "Table 1", {"coverage": 1.1})
        if found.metric == "coverage"
    )
    assert given.se == pytest.approx(1.1 * math.sqrt(2 / 982))
    assert given.ratio == pytest.approx(0.053 / given.se)
    assert given.why == ""
    recalls = pair("lban-il:0007", "lban-il:0005", {"mean_recall": 0.6})
    assert recalls.se == pytest.approx(0.6 * math.sqrt(2 / 3068))


def test_a_share_of_images_keeps_its_exact_noise_whatever_is_given() -> None:
    assert pair("tfe-jl:0025", "tfe-jl:0024", {"accuracy": 9.0}) == pair(
        "tfe-jl:0025", "tfe-jl:0024"
    )


def test_parts_are_columns_of_their_own() -> None:
    found = [margin for margin in margins("dbm-cnn", "Table 3") if margin.metric == "one_error"]
    assert [margin.part[:3] for margin in found] == ["(a)", "(b)", "(c)", "(d)", "(e)", "(f)"]
    for margin in found:
        classifier = margin.best.partition("; ")[2]
        assert (margin.best, margin.second) == (
            f"dbm-cnn; {classifier}",
            f"base-dcnn; {classifier}",
        )


def test_tables_come_one_by_one_and_all_together() -> None:
    assert margins("lban-il") == tuple(
        margin for table in range(1, 8) for margin in margins("lban-il", f"Table {table}")
    )
    assert margins("multi-dataset", "Table 1") == ()  # a confusion table has no better and worse


def test_published_rows_that_a_constant_answer_beats() -> None:
    found = worse_than_trivial("dbm-cnn")
    for worse in found:
        assert worse.row.dataset == "raf-ml"
        assert worse.row.metric == worse.trivial.metric
        lower = worse.row.metric in ("hamming_loss", "one_error")
        assert (worse.row.value > worse.trivial.value) == lower
        assert worse.row.value != worse.trivial.value
    ids = [(worse.row.id[-4:], worse.trivial.method.removeprefix("constant-")) for worse in found]
    assert ids == [
        *[("0039", "none"), ("0039", "majority"), ("0041", "majority"), ("0044", "all")],
        *[("0045", "all"), ("0048", "none"), ("0048", "majority"), ("0054", "all")],
        *[("0063", "all"), ("0072", "all"), ("0093", "none"), ("0093", "majority")],
        *[("0095", "majority"), ("0098", "all"), ("0099", "all"), ("0107", "all")],
        *[("0108", "all"), ("0117", "all"), ("0126", "all"), ("0171", "all"), ("0180", "all")],
        *[("0207", "all"), ("0315", "all")],
    ]
    # HOG with CLR prints the constant's micro-F1 to the digit: no worse
    assert by_id("dbm-cnn")["dbm-cnn:0053"].printed == found[3].trivial.printed
    assert [worse_than_trivial(paper) for paper in PAPERS if paper != "dbm-cnn"] == [()] * 4


def test_wrong_input_is_named() -> None:
    with pytest.raises(BenchError, match=r"^no paper 'tfejl': did you mean tfe-jl"):
        margins("tfejl")
    with pytest.raises(BenchError, match=r"^no paper 'tfejl'"):
        worse_than_trivial("tfejl")
    with pytest.raises(BenchError, match=r"^tfe-jl has no results in 'Table 9': did you mean Tab"):
        margins("tfe-jl", "Table 9")
    with pytest.raises(BenchError, match=r"^a deviation of 'covrage': did you mean coverage"):
        margins("mf-jle", "Table 1", {"covrage": 1.0})
    for value in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(BenchError, match=r"^the deviation of coverage is .*: give a positive"):
            margins("mf-jle", "Table 1", {"coverage": value})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("mf-jle:0055", "mf-jle:0056"),  # two criteria
        ("lban-il:0080", "lban-il:0081"),  # two classes
        ("lban-il:0126", "lban-il:0132"),  # two datasets
        ("lban-il:0009", "lban-il:0012"),  # numbers of weights
    ],
)
def test_rows_that_cannot_be_compared_are_refused(first: str, second: str) -> None:
    with pytest.raises(BenchError, match=rf"^{first} .* and {second} .* cannot be compared: take"):
        pair(first, second)
