"""What the committed numbers prove about one another, recomputed from the CSV files alone."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from printed import find
from scipy.optimize import linprog

from bench.papers.published import Number, by_id, numbers

LABELS = 6
RANKING = ("one_error", "coverage", "ranking_loss")
EMOTIONS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger")


def results(paper: str, table: str, metric: str) -> list[Number]:
    rows = [one for one in numbers(paper) if (one.table, one.metric) == (table, metric)]
    return [one for one in rows if one.kind == "result"]


def value(paper: str, id: str) -> float:
    found = by_id(paper)[f"{paper}:{id}"].value
    assert found is not None
    return found


def picked(row: Number, key: str) -> str:
    found = re.search(rf"\b{key}=([^;]+)", row.variant)
    return found[1] if found else ""


def close(one: Number, wanted: float) -> bool:
    """Whether ``wanted``, as a fraction, prints as ``one``."""
    return one.fraction is not None and abs(one.fraction - wanted) <= one.rounding * (1 + 1e-9)


def whole(recall: Number, total: int, truncated: bool = False) -> list[int]:
    """The counts of ``total`` that print as ``recall``."""
    low, high = (0, 2) if truncated else (1, 1)
    share, half = recall.fraction, recall.rounding
    assert share is not None
    slack = 1e-9
    return [
        count
        for count in range(total + 1)
        if share - low * half - slack <= count / total <= share + high * half + slack
    ]


# -- the ranking criteria must fit one another ---------------------------------------------------


def kinds_of_image(cardinalities: tuple[int, ...]) -> dict[str, np.ndarray]:
    """The criteria of every way in which the labels of one image can be ranked."""
    found = []
    for size in cardinalities:
        for ranks in itertools.combinations(range(1, LABELS + 1), size):
            wrong = sum(rank - place for place, rank in enumerate(ranks, start=1))
            precision = np.mean([place / rank for place, rank in enumerate(ranks, start=1)])
            found.append(
                (ranks[0] > 1, ranks[-1] - 1, wrong / (size * (LABELS - size)), precision, size)
            )
    columns = np.array(found, dtype=float).T
    return dict(zip((*RANKING, "average_precision", "size"), columns, strict=True))


def least(
    row: dict[str, Number],
    cardinalities: tuple[int, ...],
    goal: str,
    fixed: tuple[str, ...] = RANKING,
    minus_one: bool = True,
) -> float | None:
    """Least mean of ``goal`` over mixtures of images that print as ``row``; None without one."""
    images = kinds_of_image(cardinalities)
    rows, bounds = [], []
    for metric in fixed:
        one, column = row[metric], images[metric]
        assert one.value is not None
        if metric == "coverage" and not minus_one:
            column = column + 1
        rows += [column, -column]
        bounds += [one.value + one.rounding, one.rounding - one.value]
    total = np.ones((1, len(images[goal])))
    found = linprog(images[goal], A_ub=np.array(rows), b_ub=bounds, A_eq=total, b_eq=[1.0])
    assert found.status in (0, 2)  # solved, or nothing fits
    return float(found.fun) if found.status == 0 else None


def rankings(paper: str, table: str) -> Iterator[dict[str, Number]]:
    """The ranking criteria of each row of a table."""
    found: dict[tuple[str, str], dict[str, Number]] = {}
    for metric in (*RANKING, "average_precision"):
        for one in results(paper, table, metric):
            found.setdefault((one.method, one.variant), {})[metric] = one
    yield from found.values()


TABLES = [
    pytest.param("dbm-cnn", "Table 3", (2, 3, 4), 36, id="RAF-ML"),
    pytest.param("dbm-cnn", "Table 4", (2, 3, 4), 4, id="RAF-ML, manifolds"),
    pytest.param("dbm-cnn", "Table 5", (1, 2, 3, 4, 5), 28, id="JAFFE"),
    pytest.param("mf-jle", "Table 1", (2, 3, 4), 7, id="RAF-ML, MF-JLE"),
]


@pytest.mark.parametrize(("paper", "table", "cardinalities", "count"), TABLES)
def test_coverage_is_rank_minus_one_in_every_table(
    paper: str, table: str, cardinalities: tuple[int, ...], count: int
) -> None:
    """Whatever the mixture of images: no shares of cardinalities are assumed."""
    # MF-JLE's average precision fits no ranking at all: a test below
    fixed = RANKING if paper == "mf-jle" else (*RANKING, "average_precision")
    rows = list(rankings(paper, table))
    assert len(rows) == count
    for row in rows:
        assert least(row, cardinalities, "size", fixed) is not None
        assert least(row, cardinalities, "size", fixed, minus_one=False) is None


def test_no_coverage_is_below_the_labels_that_an_image_has() -> None:
    raf_ml = value("dbm-cnn", "0720")  # labels of a mean image
    note = re.search(r"mean (\d\.\d+) labels", by_id("mf-jle")["mf-jle:0073"].notes)
    assert note
    jaffe = float(note[1])
    printed = [one.value for table in ("Table 3", "Table 4") for one in coverage("dbm-cnn", table)]
    printed += [one.value for one in coverage("mf-jle", "Table 1")]
    assert min(printed) >= raf_ml - 1
    assert sum(one < raf_ml for one in printed) == 17  # impossible without the minus one
    assert value("dbm-cnn", "0721") == pytest.approx(raf_ml - 1, abs=0.0005)
    on_jaffe = [one.value for one in coverage("dbm-cnn", "Table 5")]
    assert min(on_jaffe) >= jaffe - 1
    assert sum(one < jaffe for one in on_jaffe) == 25


def coverage(paper: str, table: str) -> list[Number]:
    return results(paper, table, "coverage")


def test_rafml_counts_agree_with_its_mean_cardinality_and_constant_answers() -> None:
    rows = numbers("dbm-cnn")
    images = value("dbm-cnn", "0581")
    classes = [one.value for one in rows if one.metric == "images_with_label"]
    sizes = {picked(one, "labels"): one.value for one in rows if "by_cardinality" in one.metric}
    labels = sum(classes)
    assert labels == sum(int(size) * count for size, count in list(sizes.items())[:3])
    assert labels == value("dbm-cnn", "0719")
    assert value("dbm-cnn", "0720") == pytest.approx(labels / images, abs=5e-5)
    share = np.array(classes) / images
    assert value("dbm-cnn", "0722") == pytest.approx(share.mean(), abs=5e-4)
    most = share.max()
    assert value("dbm-cnn", "0723") == pytest.approx(share.mean() + (1 - 2 * most) / 6, abs=5e-4)
    assert value("dbm-cnn", "0724") == pytest.approx(1 - most, abs=5e-4)
    assert value("dbm-cnn", "0725") == pytest.approx(2 * share.sum() / (6 + share.sum()), abs=5e-4)
    assert value("dbm-cnn", "0726") == pytest.approx((2 * share / (1 + share)).mean(), abs=5e-4)


def test_the_average_precision_of_mf_jle_contradicts_its_other_criteria() -> None:
    rows = {row["coverage"].method: row for row in rankings("mf-jle", "Table 1")}
    assert len(rows) == 7
    for method, row in rows.items():
        printed = row["average_precision"]
        bound = least(row, (2, 3, 4), "average_precision")
        assert bound is not None
        assert printed.value is not None
        impossible = printed.value + printed.rounding < bound
        assert impossible == (method in ("mf-jle", "resnet18"))
        assert impossible == (printed.why_not == "impossible value")
        if impossible:  # the note prints the bounds of both
            assert f"{bound:.3f}" in printed.notes


# -- percentages are counts ----------------------------------------------------------------------


def test_the_confusion_table_of_rafml_decodes_to_whole_images_and_no_fewer() -> None:
    rows = results("dbm-cnn", "Table 1", "confusion")
    assert len(rows) == 36
    totals, right, recalls = [], 0, []
    for true in EMOTIONS:
        line = [one for one in rows if picked(one, "true") == true]
        assert [picked(one, "predicted") for one in line] == list(EMOTIONS)

        def sums(total: int, line: list[Number] = line) -> bool:
            found = [whole(one, total) for one in line]
            return all(found) and total in {sum(of) for of in itertools.product(*found)}

        total = next(total for total in range(1, 400) if sums(total))
        totals.append(total)
        (correct,) = whole(line[EMOTIONS.index(true)], total)
        right += correct
        recalls.append(correct / total)
        assert all(f"= {whole(one, total)[0]}/{total};" in one.notes for one in line)
    assert totals == [233, 65, 221, 102, 171, 190]
    assert totals == [int(value("dbm-cnn", f"{at:04}")) for at in range(706, 712)]
    assert sum(totals) == value("dbm-cnn", "0712") == 982
    assert right == value("dbm-cnn", "0714") == 426
    assert close(by_id("dbm-cnn")["dbm-cnn:0715"], right / 982)
    assert close(by_id("dbm-cnn")["dbm-cnn:0716"], float(np.mean(recalls)))


def test_the_accuracies_of_rafml_are_of_982_images_and_not_of_818() -> None:
    rows = results("dbm-cnn", "text 3.5", "accuracy")
    assert {one.method: whole(one, 982) for one in rows} == {"vgg": [427], "alexnet": [421]}
    assert [whole(one, 818) for one in rows] == [[], []]


def raf_db_classes() -> dict[str, int]:
    """Images of each class in RAF-DB's test part, as a note gives them."""
    note = re.search(r"official ([\d/]+) test images", by_id("lban-il")["lban-il:0251"].notes)
    assert note
    counts = [int(count) for count in note[1].split("/")]
    assert sum(counts) == value("lban-il", "0194")
    return dict(zip((*EMOTIONS, "neutral"), counts, strict=True))


def recalls(table: str, method: str, loss: str = "") -> list[Number]:
    rows = [one for one in results("lban-il", table, "recall") if one.method == method]
    return [one for one in rows if picked(one, "loss") == loss]


@pytest.mark.parametrize("loss", ["softmax", "center", "island", "islets"])
def test_recalls_on_raf_db_decode_to_the_accuracy(loss: str) -> None:
    classes = raf_db_classes()
    rows = recalls("Table 4", "lban-il", loss)
    counts = {picked(one, "class"): whole(one, classes[picked(one, "class")]) for one in rows}
    assert counts.keys() == classes.keys()
    assert all(len(found) == 1 for found in counts.values())
    right = sum(found[0] for found in counts.values())
    variant = f"loss={loss}"
    assert find("lban-il", "Table 4", "lban-il", variant, "correct").value == right
    share = right / sum(classes.values())
    assert close(find("lban-il", "Table 4", "lban-il", variant, "accuracy"), share)
    mean = np.mean([found[0] / classes[name] for name, found in counts.items()])
    printed = find("lban-il", "Table 4", "lban-il", variant, "mean_recall")
    assert printed.fraction == pytest.approx(mean, abs=0.0001)  # mean of two-digit recalls
    if loss == "islets":
        in_table_5 = find("lban-il", "Table 5", "lban-il", variant, "accuracy", dataset="raf-db")
        assert close(in_table_5, share)
        copies = zip(rows, recalls("Table 3", "lban-il", "islets"), strict=True)
        assert all(one.printed == two.printed for one, two in copies)


def test_recalls_that_are_no_share_of_their_class_are_barred() -> None:
    classes = raf_db_classes()
    impossible = [
        one
        for one in results("lban-il", "Table 3", "recall")
        if one.protocol != "unknown"
        and not whole(one, classes[picked(one, "class")], one.method == "visual-attention")
    ]
    found = [(one.method, picked(one, "class")) for one in impossible]
    assert found == [("vgg19", "neutral"), ("resnet18", "neutral"), ("dlp-cnn", "disgust")]
    assert all(one.why_not.startswith("impossible value") for one in impossible)


def test_visual_attention_is_truncated_and_gives_the_accuracy_of_table_5() -> None:
    classes = raf_db_classes()
    rows = recalls("Table 3", "visual-attention")
    right = [whole(one, classes[picked(one, "class")], truncated=True) for one in rows]
    assert [len(found) for found in right] == [1] * 7
    total = sum(found[0] for found in right)
    accuracy = find("lban-il", "Table 5", "visual-attention", "", "accuracy", dataset="raf-db")
    assert close(accuracy, total / sum(classes.values()))


def test_folds_average_to_the_printed_means() -> None:
    rows = results("lban-il", "Table 7", "accuracy")
    for loss in ("softmax", "center", "island", "islets"):
        of_loss = [one for one in rows if picked(one, "loss") == loss]
        folds = [one.value for one in of_loss if picked(one, "fold") != "mean"]
        (mean,) = (one.value for one in of_loss if picked(one, "fold") == "mean")
        assert len(folds) == 10
        assert abs(np.mean(folds) - mean) < 0.01  # one is truncated


@pytest.mark.parametrize("table", ["Table 1", "Table 2", "Table 3"])
def test_the_confusion_tables_of_the_multi_dataset_network_are_none(table: str) -> None:
    rows = results("multi-dataset", table, "confusion")
    assert len(rows) == 49
    assert not any(one.comparable for one in rows)
    sums: Counter[str] = Counter()
    for one in rows:
        sums[picked(one, "true")] += one.value or 0.0
    assert len(sums) == 7
    # seven cells of one decimal each can be off by 0.35 together
    assert sum(abs(total - 100) > 0.35 + 1e-9 for total in sums.values()) >= 4
    if table == "Table 1":
        printed = "/".join(f"{total:.1f}" for total in sums.values())
        assert f"rows sum to {printed}" in rows[0].notes
    diagonal = [one.value for one in rows[::8]]  # one is labelled neutral down, contempt across
    derived = find("multi-dataset", table, "md-cnn", "loss=md", "mean_recall")
    assert derived.fraction is not None
    assert close(derived, float(np.mean(diagonal)) / 100)
