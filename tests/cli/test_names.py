"""Misspelt words: whatever is wrong with them, the sentence names what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.api import alike, near
from bench.cli.main import main

RUN = ("run", "--dataset", "synthetic", "--methods")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "--dataset", "FER-PLUS-ML", "--methods", "prior"), "did you mean fer-plus-ml?"),
        (("run", "--dataset", "Raf_ML", "--methods", "prior"), "did you mean raf-ml?"),
        (("run", "--dataset", "Mulan:yeast", "--methods", "prior"), "did you mean mulan:?"),
        ((*RUN, "LBP+MLkNN"), "did you mean lbp?"),
        ((*RUN, "lbp+MLkNN"), "did you mean mlknn?"),
        ((*RUN, "lbp+ml_loc"), "did you mean ml-loc?"),
        ((*RUN, "lbp+mlknn[K=5]"), "did you mean k?"),
        ((*RUN, "lbp+mlknn(k=10)"), "parameters stand in square brackets, mlknn[k=10]"),
        ((*RUN, "mlknn{k=10}"), "parameters stand in square brackets, mlknn[k=10]"),
        ((*RUN, "lbp+mlknn[k=10"), "a [ is not closed; in a shell, put what holds [ ] or | in"),
        ((*RUN, "lbp+mlknn[k=10,", "s=2]"), "nothing takes s=2]: in a shell, put what holds blank"),
        ((*RUN, "lbp+mlknn,", "hog+mlknn"), "nothing takes hog+mlknn: in a shell"),
        ((*RUN, "prior", "--budgte", "quick"), "no option --budgte: did you mean --budget"),
        ((*RUN, "prior", "--BUDGET=quick"), "no option --BUDGET: did you mean --budget?"),
        (("tables", "--conventoin", "mulan"), "no option --conventoin: did you mean --convention"),
        (("paper", "run", "all", "--stand_in", "x"), "no option --stand_in: did you mean --stand-"),
        (("--debgu", "list"), "no option --debgu: did you mean --debug?"),
        ((*RUN, "raf-ml"), "raf-ml is no method but a dataset: give it with --dataset"),
        ((*RUN, "lbp+fer-plus"), "fer-plus is no method but a dataset: give it with --dataset"),
        ((*RUN, "mulan:yeast"), "mulan:yeast is no method but a dataset"),
        ((*RUN, "rafml"), "did you mean the dataset raf-ml, which --dataset takes?"),
        (
            ("run", "--dataset", "mlknn", "--methods", "prior"),
            "mlknn is no dataset but a classifier: give it with --methods",
        ),
        (("run", "--dataset", "lbp", "--methods", "prior"), "lbp is no dataset but features: give"),
        (("run", "--dataset", "dbmcnn", "--methods", "prior"), "did you mean the network dbm-cnn"),
        (("info", "FER-PLUS-ML"), "did you mean fer-plus-ml?"),
        (("info", "Hamming-Loss"), "did you mean hamming_loss?"),
    ],
)
def test_what_was_meant_is_named(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    try:
        code: object = main([*words, *(["--results", str(tmp_path)] if words[0] == "run" else [])])
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert message in capsys.readouterr().err


def test_names_that_look_alike() -> None:
    assert alike("K", ["k", "s"]) == ["k"]
    assert alike("ML_KNN", ["lift", "ml-knn"]) == ["ml-knn"]
    assert near("zzz", ["b", "a"]) == "known: a, b"
    assert near("x", []) == "there are none"
