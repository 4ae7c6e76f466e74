"""The criteria against stored cases, scikit-learn, and a twin that computes them by loops."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import shared
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bench.api import BenchError
from bench.score.criteria import (
    BY_NAME,
    CONVENTIONS,
    COVERAGE_ONE_BASED,
    CRITERIA,
    SINGLE_CRITERIA,
    Evaluation,
    evaluate,
)

MULTI = (*CRITERIA, COVERAGE_ONE_BASED)
RANKING = [criterion.name for criterion in MULTI if criterion.needs == "scores"]
SETS = [criterion.name for criterion in MULTI if criterion.needs == "labels"]


# --- the twin: one row, one label, one pair at a time ---


def ranks_of(row, by_index):
    """Rank of each label from 1: the later column first among equals, or the worst rank."""
    ranks = []
    for j, score in enumerate(row):
        ahead = 0
        for k, other in enumerate(row):
            if other > score or (other == score and (k >= j or not by_index)):
                ahead += 1
        ranks.append(ahead)
    return ranks


def mean(values):
    values = list(values)
    return math.fsum(values) / len(values) if values else None


def area(pairs):
    """The share of (positive, negative) pairs in order, equal scores one half; or None."""
    positives = [score for truth, score in pairs if truth]
    negatives = [score for truth, score in pairs if not truth]
    won = [(p > q) + 0.5 * (p == q) for p in positives for q in negatives]
    return mean(won)


def f1(pairs, convention):
    tp = sum(1 for truth, label in pairs if truth and label)
    fp = sum(1 for truth, label in pairs if not truth and label)
    fn = sum(1 for truth, label in pairs if truth and not label)
    if tp + fp + fn == 0:
        return 1.0 if convention == "mulan" else 0.0
    return 2 * tp / (2 * tp + fp + fn)


def twin(truth, scores, labels, convention):
    """Every criterion of the multi kind by loops over plain Python numbers."""
    truth, scores, labels = truth.tolist(), scores.tolist(), labels.tolist()
    columns = range(len(truth[0]))
    by_index = convention in ("matlab", "mulan")
    coverage, one_based, one_error, ranking_loss, precision = [], [], [], [], []
    for y, f in zip(truth, scores, strict=True):
        relevant = [j for j in columns if y[j]]
        irrelevant = [j for j in columns if not y[j]]
        rank = ranks_of(f, by_index)
        deepest = max([rank[j] for j in relevant], default=0)
        one_based.append(deepest)
        if not relevant:
            coverage.append(-1 if convention == "matlab" else 0)
        else:
            coverage.append(deepest - 1)
        skipped = convention == "matlab" and (not relevant or not irrelevant)
        if not skipped:
            top = [j for j in columns if f[j] == max(f)]
            if convention == "matlab":
                one_error.append(0 if any(y[j] for j in top) else 1)
            else:
                one_error.append(0 if y[top[-1 if convention == "mulan" else 0]] else 1)
            wrong = 0
            for r, i in product(relevant, irrelevant):
                if convention == "mulan":
                    wrong += rank[r] > rank[i]
                elif convention == "raf-ml":
                    wrong += f[r] < f[i]
                else:
                    wrong += f[r] <= f[i]
            pairs = len(relevant) * len(irrelevant)
            ranking_loss.append(wrong / pairs if pairs else 0)
        if not skipped and relevant:
            precision.append(
                mean(sum(rank[k] <= rank[j] for k in relevant) / rank[j] for j in relevant)
            )
        elif not skipped and convention != "mulan":
            precision.append(1)
    by_label = [[(y[j], f[j]) for y, f in zip(truth, scores, strict=True)] for j in columns]
    decided = [[(y[j], h[j]) for y, h in zip(truth, labels, strict=True)] for j in columns]
    areas = [area(pairs) for pairs in by_label]
    return {
        "hamming_loss": mean(y != h for pairs in decided for y, h in pairs),
        "coverage": mean(coverage),
        "one_error": mean(one_error),
        "ranking_loss": mean(ranking_loss),
        "average_precision": mean(precision),
        "micro_f1": f1([pair for pairs in decided for pair in pairs], convention),
        "macro_f1": mean(f1(pairs, convention) for pairs in decided),
        "micro_auc": area([pair for pairs in by_label for pair in pairs]),
        "macro_auc": mean(value for value in areas if value is not None),
        "coverage_one_based": mean(one_based),
    }


def single_twin(truth, scores):
    right: dict[int, list[int]] = {}
    for y, f in zip(truth.tolist(), scores.tolist(), strict=True):
        right.setdefault(y.index(True), []).append(int(f.index(max(f)) == y.index(True)))
    return {
        "accuracy": mean(value for values in right.values() for value in values),
        "mean_recall": mean(mean(values) for values in right.values()),
    }


def agree(ours, theirs, tolerance=1e-12):
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        if value is None or ours[name] is None:
            assert ours[name] is value, name
        else:
            assert ours[name] == pytest.approx(value, rel=0, abs=tolerance), name


# --- cases ---


@st.composite
def problems(draw, fewest_labels=1, single=False):
    """Truth, scores and labels; few score levels make ties, few rows make degenerate columns."""
    n, count = draw(st.integers(1, 7)), draw(st.integers(fewest_labels, 6))
    if single:
        classes = draw(hnp.arrays(int, n, elements=st.integers(0, count - 1)))
        truth = np.eye(count, dtype=bool)[classes]
    else:
        truth = draw(hnp.arrays(bool, (n, count)))
        for row in range(n):
            fill = draw(st.sampled_from([None, None, None, False, True]))
            if fill is not None:
                truth[row] = fill
    grid = draw(st.sampled_from([[0.5], [0.0, 1.0], [-1.0, -0.5, 0.0, 2.0]]))
    elements = draw(st.sampled_from([st.sampled_from(grid), st.floats(-1e6, 1e6)]))
    scores = draw(hnp.arrays(float, (n, count), elements=elements))
    labels = draw(hnp.arrays(bool, (n, count)))
    return truth, scores, labels


def distinct(shape, rng):
    """Scores without any tie."""
    return rng.permutation(math.prod(shape)).reshape(shape).astype(float)


NONE, ALL = np.zeros((2, 3), dtype=bool), np.ones((2, 3), dtype=bool)
FLAT = np.zeros((2, 3))


@pytest.mark.parametrize("convention", CONVENTIONS)
@given(problem=problems())
@example(problem=(NONE, FLAT, NONE))
@example(problem=(ALL, FLAT, ALL))
@example(problem=(NONE, FLAT, ALL))
@example(problem=(ALL, FLAT, NONE))
@settings(max_examples=150, deadline=None)
def test_twin(convention: str, problem) -> None:
    truth, scores, labels = problem
    found = evaluate(truth, scores, labels, convention)
    agree(found.values, twin(truth, scores, labels, convention))
    rows = scores.tolist()
    assert found.tied_rows == mean(len(set(row)) < len(row) for row in rows)
    assert found.left_out == sum(len(set(column)) == 1 for column in truth.T.tolist())


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_twin_on_larger_data(convention: str) -> None:
    rng = np.random.default_rng(5)
    truth = rng.random((60, 9)) < rng.random(9)
    scores = rng.integers(0, 12, (60, 9)) / 12
    labels = scores > 0.6
    found = evaluate(truth, scores, labels, convention)
    agree(found.values, twin(truth, scores, labels, convention))


@given(problem=problems(single=True))
@settings(max_examples=150, deadline=None)
def test_single_twin(problem) -> None:
    truth, scores, labels = problem
    found = evaluate(truth, scores, labels, kind="single")
    agree(found.values, single_twin(truth, scores))
    assert found.left_out == sum(not any(column) for column in truth.T.tolist())
    assert found.values.keys() == {criterion.name for criterion in SINGLE_CRITERIA}
    assert evaluate(truth, None, labels, kind="single").values == dict.fromkeys(found.values)


@pytest.mark.shared(shared.REFERENCE)
@pytest.mark.parametrize(
    ("stored", "convention"), [("primary", "sklearn"), ("matlab", "matlab"), ("mulan", "mulan")]
)
def test_stored_cases(stored, convention: str) -> None:
    cases = shared.reference("metric_cases")["cases"]
    assert len(cases) == 24
    for case in cases:
        truth, labels = np.array(case["Y"], dtype=bool), np.array(case["P"], dtype=bool)
        found = evaluate(truth, np.array(case["S"], dtype=float), labels, convention)
        ours = dict(found.values)
        one_based = ours.pop("coverage_one_based")
        if stored == "primary":
            ours["coverage"] = one_based
        agree(ours, case[stored], tolerance=1e-12)  # stored with 12 decimals: off by half of one
        assert found.left_out == case["constant_label_columns"]


@given(problem=problems(fewest_labels=2))
@settings(max_examples=80, deadline=None)
def test_scikit_learn(problem) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    truth, scores, labels = problem
    ours = evaluate(truth, scores, labels).values
    theirs = {
        "hamming_loss": metrics.hamming_loss(truth, labels),
        "coverage_one_based": metrics.coverage_error(truth, scores),
        "ranking_loss": metrics.label_ranking_loss(truth, scores),
        "average_precision": metrics.label_ranking_average_precision_score(truth, scores),
        "micro_f1": metrics.f1_score(truth, labels, average="micro", zero_division=0),
        "macro_f1": metrics.f1_score(truth, labels, average="macro", zero_division=0),
    }
    if 0 < truth.sum() < truth.size:
        theirs["micro_auc"] = metrics.roc_auc_score(truth.ravel(), scores.ravel())
    mixed = truth.any(axis=0) & ~truth.all(axis=0)
    if mixed.any():
        theirs["macro_auc"] = np.mean(
            [metrics.roc_auc_score(truth[:, j], scores[:, j]) for j in np.flatnonzero(mixed)]
        )
    agree({name: ours[name] for name in theirs}, theirs)


@given(problem=problems(fewest_labels=2, single=True))
@settings(max_examples=50, deadline=None)
def test_scikit_learn_single(problem) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    truth, scores, _ = problem
    actual, predicted = truth.argmax(axis=1), scores.argmax(axis=1)
    present = np.unique(actual)
    theirs = {
        "accuracy": metrics.accuracy_score(actual, predicted),
        "mean_recall": metrics.recall_score(actual, predicted, labels=present, average="macro"),
    }
    agree(evaluate(truth, scores, None, kind="single").values, theirs)


# --- the conventions beside one another ---

TIED = {
    "truth": np.array([[False, True, True, False]]),
    "scores": np.array([[0.5, 0.5, 0.2, 0.5]]),
    "labels": np.array([[True, True, False, False]]),
}


@pytest.mark.parametrize(
    ("convention", "coverage", "one_error", "ranking_loss", "average_precision"),
    [
        # ranks of the two relevant labels: 3 (worst of the tie) and 4, or 2 (by column) and 4
        ("sklearn", 3, 1, 4 / 4, (1 / 3 + 2 / 4) / 2),
        ("matlab", 3, 0, 4 / 4, (1 / 2 + 2 / 4) / 2),
        ("mulan", 3, 1, 3 / 4, (1 / 2 + 2 / 4) / 2),
        ("raf-ml", 3, 1, 2 / 4, (1 / 3 + 2 / 4) / 2),
    ],
)
def test_ties_by_hand(
    convention: str, coverage, one_error, ranking_loss, average_precision
) -> None:
    values = evaluate(**TIED, convention=convention).values
    assert values["coverage"] == coverage
    assert values["coverage_one_based"] == coverage + 1
    assert values["one_error"] == one_error
    assert values["ranking_loss"] == ranking_loss
    assert values["average_precision"] == pytest.approx(average_precision, abs=1e-15)
    assert values["micro_auc"] == 1 / 4


@pytest.mark.parametrize(
    ("convention", "empty", "full"),
    [
        ("sklearn", (0, 1, 0, 1), (2, 0, 0, 1)),
        ("matlab", (-1, None, None, None), (2, None, None, None)),
        ("mulan", (0, 1, 0, None), (2, 0, 0, 1)),
        ("raf-ml", (0, 1, 0, 1), (2, 0, 0, 1)),
    ],
)
@pytest.mark.filterwarnings("error")
def test_empty_and_full_rows_by_hand(convention: str, empty, full) -> None:
    names = ("coverage", "one_error", "ranking_loss", "average_precision")
    scores = np.array([[0.1, 0.2, 0.3]])
    for row, expected in ((NONE[:1], empty), (ALL[:1], full)):
        values = evaluate(row, scores, row, convention).values
        assert tuple(values[name] for name in names) == expected
        assert values["coverage_one_based"] == (3 if row.any() else 0)
        assert values["micro_auc"] is None
        assert values["macro_auc"] is None


@pytest.mark.parametrize(("convention", "value"), [("mulan", 1.0), ("sklearn", 0.0)])
def test_f1_where_nothing_is_relevant_or_predicted(convention: str, value) -> None:
    values = evaluate(NONE, FLAT, NONE, convention).values
    assert values["micro_f1"] == values["macro_f1"] == value


@given(problem=problems())
@settings(max_examples=50, deadline=None)
def test_raf_ml_is_sklearn_but_for_ranking_loss(problem) -> None:
    loose, printed = evaluate(*problem).values, evaluate(*problem, "raf-ml").values
    assert printed.pop("ranking_loss") <= loose.pop("ranking_loss")
    assert printed == loose


@given(n=st.integers(1, 9), count=st.integers(2, 6), seed=st.integers(0, 999))
@settings(max_examples=50, deadline=None)
def test_without_ties_and_bare_rows_and_unused_labels_the_conventions_agree(n, count, seed) -> None:
    rng = np.random.default_rng(seed)
    truth = distinct((n, count), rng) % count < rng.integers(1, count)
    truth[:, 0] = ~truth[:, 1]
    scores = distinct((n, count), rng)
    labels = rng.random((n, count)) < 0.5
    labels[0] = True
    first = evaluate(truth, scores, labels).values
    assert first["coverage_one_based"] == pytest.approx(first["coverage"] + 1, abs=1e-12)
    for convention in CONVENTIONS[1:]:
        agree(evaluate(truth, scores, labels, convention).values, first)


# --- invariances, range and direction ---


@pytest.mark.parametrize("convention", CONVENTIONS)
@given(problem=problems(), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_order_of_rows_and_of_untied_labels_does_not_matter(convention: str, problem, seed) -> None:
    truth, scores, labels = problem
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(len(truth)), rng.permutation(truth.shape[1])
    before = evaluate(truth, scores, labels, convention).values
    agree(evaluate(truth[rows], scores[rows], labels[rows], convention).values, before)
    scores = distinct(truth.shape, rng)
    before = evaluate(truth, scores, labels, convention).values
    moved = evaluate(truth[:, columns], scores[:, columns], labels[:, columns], convention)
    agree(moved.values, before)


@pytest.mark.parametrize("convention", CONVENTIONS)
@given(problem=problems())
@settings(max_examples=40, deadline=None)
def test_only_the_order_of_scores_counts(convention: str, problem) -> None:
    truth, scores, labels = problem
    levels = np.unique(scores)
    steps = (2.0 ** np.searchsorted(levels, scores)).astype(np.float32)
    before = evaluate(truth, scores, labels, convention).values
    assert evaluate(truth, steps, labels, convention).values == before


@pytest.mark.parametrize("convention", CONVENTIONS)
@given(problem=problems())
@settings(max_examples=40, deadline=None)
def test_range_and_direction(convention: str, problem) -> None:
    truth, scores, labels = problem
    found = evaluate(truth, scores, labels, convention).values
    untied = truth + np.linspace(0, 0.5, truth.shape[1])
    perfect = evaluate(truth, untied, truth, convention).values
    for name, value in found.items():
        if value is None:
            assert perfect[name] is None
            continue
        low, high = BY_NAME[name].range
        assert low <= value <= (truth.shape[1] if high is None else high)
        if BY_NAME[name].direction == "lower":
            assert perfect[name] <= value + 1e-12
        else:
            assert perfect[name] >= value - 1e-12


def test_perfect_and_reversed_predictions() -> None:
    truth = np.array([[True, False, False], [False, True, True], [True, False, True]])
    for convention in CONVENTIONS:
        for sign, end in ((1.0, 0), (-1.0, 1)):
            values = evaluate(truth, sign * truth, truth == (sign > 0), convention).values
            assert values["ranking_loss"] == values["one_error"] == values["hamming_loss"] == end
            for name in ("micro_f1", "macro_f1", "micro_auc", "macro_auc"):
                assert values[name] == 1 - end


# --- what is missing, and what is refused ---


def test_missing_inputs_give_none_and_nothing_else_changes() -> None:
    truth, scores, labels = TIED["truth"], TIED["scores"], TIED["labels"]
    both = evaluate(truth, scores, labels).values
    sets, ranks = evaluate(truth, None, labels), evaluate(truth, scores, None)
    assert sets.tied_rows is None
    assert ranks.tied_rows == 1.0
    for name in SETS:
        assert sets.values[name] == both[name]
        assert ranks.values[name] is None
    for name in RANKING:
        assert sets.values[name] is None
        assert ranks.values[name] == both[name]
    assert sets.left_out == ranks.left_out == 4


def test_float_types_are_compared_as_they_are() -> None:
    truth = np.array([[True, False]])
    scores = np.array([[1.0, 1.0 + 1e-9]])
    assert evaluate(truth, scores, None).tied_rows == 0
    assert evaluate(truth, scores.astype(np.float32), None).tied_rows == 1


SCORES = np.zeros((2, 3))
ONE_THEN_TWO = np.array([[True, False, False], [True, True, False]])
NOT_FINITE = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, np.inf]])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((NONE.astype(int), SCORES, NONE), r"truth is int64 \(2, 3\); criteria need bool"),
        ((NONE[0], SCORES[0], NONE[0]), r"truth is bool \(3,\); criteria need bool"),
        ((NONE[:0], SCORES[:0], NONE[:0]), r"truth is bool \(0, 3\); .* at least one row"),
        ((NONE[:, :0], SCORES[:, :0], NONE[:, :0]), r"truth is bool \(2, 0\)"),
        ((NONE, NONE, NONE), r"scores are bool \(2, 3\); they must be float \(2, 3\)"),
        ((NONE, NONE.astype(int), NONE), r"scores are int64 \(2, 3\); they must be float"),
        ((NONE, SCORES[:1], NONE), r"scores are float64 \(1, 3\); they must be float \(2, 3\)"),
        ((NONE, SCORES * np.nan, NONE), "scores of row 0 are not finite"),
        ((NONE, NOT_FINITE, NONE), "scores of row 1 are not finite"),
        ((NONE, SCORES, SCORES), r"labels are float64 \(2, 3\); they must be bool \(2, 3\)"),
        ((NONE, SCORES, NONE[:, :2]), r"labels are bool \(2, 2\); they must be bool \(2, 3\)"),
        ((NONE, SCORES, NONE, "matlap"), "no convention 'matlap': did you mean matlab"),
        ((NONE, SCORES, NONE, "sklearn", "many"), "no kind of data 'many': known: multi, single"),
        ((NONE, SCORES, None, "sklearn", "single"), "exactly one class per row"),
        ((ALL, SCORES, None, "sklearn", "single"), "exactly one class per row"),
        ((ONE_THEN_TWO, SCORES, None, "sklearn", "single"), "exactly one class per row"),
    ],
)
def test_refused(arguments, sentence) -> None:
    with pytest.raises(BenchError, match=sentence):
        evaluate(*arguments)


def test_an_evaluation_cannot_be_changed() -> None:
    found = evaluate(NONE, SCORES, NONE)
    assert isinstance(found, Evaluation)
    with pytest.raises(AttributeError):
        found.left_out = 0


# --- how the criteria describe themselves ---


def test_names_and_order() -> None:
    assert [criterion.name for criterion in CRITERIA] == [
        "hamming_loss",
        "coverage",
        "one_error",
        "ranking_loss",
        "average_precision",
        "micro_f1",
        "macro_f1",
        "micro_auc",
        "macro_auc",
    ]
    assert [criterion.title for criterion in CRITERIA] == [
        "Hamming loss",
        "Coverage",
        "One-error",
        "Ranking loss",
        "Average precision",
        "Micro-F1",
        "Macro-F1",
        "Micro-AUC",
        "Macro-AUC",
    ]
    assert COVERAGE_ONE_BASED.title == "Coverage (one-based)"
    assert [criterion.title for criterion in SINGLE_CRITERIA] == ["Accuracy", "Mean recall"]
    assert list(BY_NAME) == [c.name for c in (*CRITERIA, COVERAGE_ONE_BASED, *SINGLE_CRITERIA)]
    assert all(BY_NAME[name].name == name for name in BY_NAME)
    assert CONVENTIONS == ("sklearn", "matlab", "mulan", "raf-ml")


@pytest.mark.parametrize("criterion", BY_NAME.values(), ids=BY_NAME)
def test_every_criterion_says_its_rules(criterion) -> None:
    lower = {"hamming_loss", "coverage", "coverage_one_based", "one_error", "ranking_loss"}
    labels = {"hamming_loss", "micro_f1", "macro_f1"}
    assert criterion.direction == ("lower" if criterion.name in lower else "higher")
    assert criterion.needs == ("labels" if criterion.name in labels else "scores")
    ranges = {"coverage": (-1, None), "coverage_one_based": (0, None)}
    assert criterion.range == ranges.get(criterion.name, (0, 1))
    assert criterion.reference
    assert type(criterion).__doc__.endswith((".", ")", "1.", ")."))
    for rules in (
        criterion.ties,
        criterion.empty_rows,
        criterion.full_rows,
        criterion.absent_classes,
    ):
        assert tuple(rules) == CONVENTIONS
        assert all(rules.values())


def grouped(values):
    """Conventions with one value, as sets."""
    return {frozenset(c for c in values if values[c] == values[d]) for d in values}


@pytest.mark.parametrize("criterion", MULTI, ids=[criterion.name for criterion in MULTI])
def test_the_rules_for_ties_differ_where_the_numbers_do(criterion) -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((200, 5)) < 0.5
    truth[:, 0] = ~truth[:, 1]  # no row without relevant or irrelevant labels
    scores = rng.integers(0, 3, (200, 5)) / 2
    labels = scores > 0.2
    found = {
        convention: evaluate(truth, scores, labels, convention).values[criterion.name]
        for convention in CONVENTIONS
    }
    if criterion.name == "coverage":
        assert criterion.ties == COVERAGE_ONE_BASED.ties
    assert grouped(found) == grouped(criterion.ties)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_rules_for_bare_rows_say_the_number(convention: str) -> None:
    scores = np.array([[0.1, 0.2, 0.3]])
    for row, rules in ((NONE[:1], "empty_rows"), (ALL[:1], "full_rows")):
        values = evaluate(row, scores, row, convention).values
        for criterion in MULTI:
            rule = getattr(criterion, rules)[convention]
            if rule == "skipped":
                assert values[criterion.name] is None
            elif rule != "counts like any other row":
                assert values[criterion.name] == float(rule.split(",")[0])


@pytest.mark.parametrize("name", ["micro_f1", "macro_f1"])
def test_the_rule_for_unused_labels_says_the_number(name) -> None:
    for convention, rule in BY_NAME[name].absent_classes.items():
        value = evaluate(NONE, FLAT, NONE, convention).values[name]
        assert value == float(rule.split()[0])
