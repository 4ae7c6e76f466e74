"""By which convention a paper's tables are judged, and what in them hangs on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.papers.conventions import depends, hanging_print, hanging_rows
from bench.papers.files import papers
from bench.papers.published import by_id
from bench.papers.spec import Conditions, PaperColumn, PaperEntry, PaperRow, PaperTable, load
from bench.papers.yardsticks import BLOCK
from bench.publish.rows import Row, as_far_as_held, in_convention
from bench.run.record import Record
from bench.run.scoring import Stored, scored
from bench.score import bootstrap
from bench.score.criteria import CONVENTIONS, CRITERIA, evaluate

CONDITIONS = Conditions("raf-ml", "official", "", "", "last", "paper", 3)


def votes(seed: int, levels: int = 3) -> Stored:
    """Truth without empty and full rows, and scores of a few levels, which tie often."""
    rng = np.random.default_rng(seed)
    truth = np.array([rng.permutation(6) < size for size in rng.integers(1, 6, size=80)])
    scores = np.round(levels * (truth * 0.4 + rng.random(truth.shape) * 0.6)) / levels
    return Stored(truth, scores, scores > 0.5)


@pytest.fixture
def voted(make: Callable[..., Any]) -> Record:
    """A record of tied scores, as a run writes it."""
    return scored(make(), *votes(0))


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_record_holds_criteria_and_replicates_of_every_convention(
    voted: Record, convention: str
) -> None:
    found = in_convention(voted, convention, None)  # no scores are stored
    truth, scores, labels = votes(0)[:3]
    assert scores is not None
    assert labels is not None
    assert found.convention == convention
    assert found.criteria == evaluate(truth, scores, labels, convention).values
    again = bootstrap.replicates(truth, scores, labels, convention, "multi", seed=0, count=1000)
    values = bootstrap.unpack(found.bootstrap["values"])
    assert values.keys() == again.keys()
    assert all(np.array_equal(values[name], again[name], equal_nan=True) for name in again)


def test_what_is_equal_by_every_convention_is_stored_once(make: Callable[..., Any]) -> None:
    truth, scores, labels = votes(0)[:3]
    assert scores is not None
    untied = scored(make(), truth, scores + np.arange(6) / 100, labels)
    assert untied.tied_rows == 0
    assert untied.conventions == {"matlab": {}, "mulan": {}, "raf-ml": {}}
    tied = scored(make(), truth, scores, labels)
    assert set(tied.conventions["raf-ml"]["criteria"]) == {"ranking_loss"}
    assert tied.conventions["raf-ml"].keys() == {"criteria", "values"}


def test_one_class_per_image_has_no_conventions(make: Callable[..., Any]) -> None:
    truth = np.eye(6, dtype=bool)[np.arange(80) % 6]
    record = scored(make(kind="single"), truth, truth + 0.0, truth)
    assert record.conventions == {}
    assert in_convention(record, "raf-ml", None).criteria == record.criteria


def test_a_record_of_before_keeps_what_its_convention_has_in_common(voted: Record) -> None:
    before = replace(voted, conventions={})
    found = as_far_as_held(before, "raf-ml", None)
    assert set(voted.criteria) - set(found.criteria) == {"ranking_loss"}
    assert set(voted.bootstrap["values"]) - set(found.bootstrap["values"]) == {"ranking_loss"}
    assert found.convention == "raf-ml"
    assert as_far_as_held(before, "raf-ml", lambda record: votes(0)).criteria == (
        evaluate(*votes(0)[:3], "raf-ml").values
    )
    untied = replace(before, tied_rows=0.0)  # raf-ml parts from sklearn at ties alone
    assert as_far_as_held(untied, "raf-ml", None).criteria == voted.criteria
    assert "one_error" not in as_far_as_held(untied, "mulan", None).criteria


def test_each_paper_is_judged_by_the_formulas_that_it_prints() -> None:
    assert {paper: load(paper).convention for paper in papers()} == {
        "mf-jle": "sklearn",  # Equation 7: a tie is an error
        "dbm-cnn": "raf-ml",  # section 6.3.3: strictly less
        "lban-il": "sklearn",
        "multi-dataset": "sklearn",
        "tfe-jl": "sklearn",
    }
    assert all(load(paper).convention_why for paper in papers())


def test_f1_and_auc_hang_on_no_tie() -> None:
    names = {criterion.name for criterion in CRITERIA if depends(criterion.name)}
    ranking = {"coverage", "one_error", "ranking_loss", "average_precision"}
    assert ranking < names
    assert {"hamming_loss", "micro_auc", "macro_auc", "accuracy", "recall"}.isdisjoint(names)


# -- what hangs on it -----------------------------------------------------------------------------


class Found:
    """In the place of a finder: a value of each method, as records of one convention give it."""

    def __init__(self, make: Callable[..., Any], values: dict[str, float]) -> None:
        self.make, self.values = make, values

    def row(self, conditions: Conditions, run: str) -> Row | None:
        if run not in self.values:
            return None
        return Row((self.make(run, None, criteria={"ranking_loss": self.values[run]}, values={}),))


def finders(make: Callable[..., Any], **raf_ml: float) -> Any:
    """CLR votes and ties: .234 by all conventions but raf-ml, as measured on HOG."""
    common = {"clr": 0.234, "rakel": 0.210, "lift": 0.150}
    by_convention = {name: Found(make, common) for name in CONVENTIONS}
    return by_convention | {"raf-ml": Found(make, {**common, **raf_ml})}


def table() -> PaperTable:
    rows = [
        PaperRow("", name, (PaperEntry(CONDITIONS, name, "", "ranking_loss"),))
        for name in ("clr", "rakel", "lift", "other")
    ]
    columns = (PaperColumn("Ranking loss", "lower"),)
    return PaperTable("dbm-cnn", "Table 3", "T", "table", columns, tuple(rows), "", "", {})


def test_pairs_of_rows_that_change_places_are_counted_and_named(make: Callable[..., Any]) -> None:
    (remark,) = hanging_rows(table(), finders(make, clr=0.141))
    assert remark.startswith("Ranking loss: 2 of 3 pairs of rows change places")
    assert "clr less rakel +0.024 by sklearn and matlab and mulan, -0.069 by raf-ml" in remark
    assert "clr less lift +0.084 by sklearn and matlab and mulan, -0.009 by raf-ml" in remark


def test_yardsticks_take_no_part(make: Callable[..., Any]) -> None:
    made = table()
    rows = (replace(made.rows[0], block=BLOCK), *made.rows[1:])
    assert hanging_rows(replace(made, rows=rows), finders(make, clr=0.141)) == []


def test_rows_that_keep_their_places_are_not_named(make: Callable[..., Any]) -> None:
    assert hanging_rows(table(), finders(make, clr=0.220)) == []
    partly = finders(make)
    del partly["mulan"].values["clr"]  # one convention is not known: nothing is said
    assert hanging_rows(table(), partly | {"raf-ml": Found(make, {"clr": 0.1})}) == []


@pytest.mark.parametrize(("raf_ml", "hangs"), [(0.141, True), (0.233, False)])
def test_a_difference_from_a_printed_number_says_that_its_sign_hangs(
    make: Callable[..., Any], raf_ml: float, hangs: bool
) -> None:
    number = replace(by_id("dbm-cnn")["dbm-cnn:0042"], value=0.2, printed="0.200")
    entry = PaperEntry(CONDITIONS, "clr", "", "ranking_loss", published=number)
    result: Any = SimpleNamespace(published=number, difference=0.034, entry=entry, beside="x")
    if not hangs:
        assert hanging_print(result, finders(make, clr=raf_ml)) is result
        return
    from bench.papers.measured import Measured
    from bench.papers.reproduction import Reproduction

    whole = Reproduction(
        table(), table().rows[0], table().columns[0], entry, CONDITIONS, Measured(0.234), "", "", ""
    )
    said = hanging_print(whole, finders(make, clr=raf_ml)).beside
    assert said == (
        "the sign hangs on the convention: +0.034 by sklearn and matlab and mulan, -0.059 by raf-ml"
    )
