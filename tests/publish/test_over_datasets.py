"""Rows over datasets: words, tables, and a diagram of the same bytes each time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from records import Make

from bench.api import BenchError
from bench.publish import over_datasets as several
from bench.publish.comparison import criteria_of
from bench.publish.rows import Row, rows_of

NAMES = ("hog+mlknn[k=5]", "lbp+$x^2$", "prior", "<b>&")
(AP, *_) = criteria_of("multi", [])


def rows(make: Make, datasets: int, names: int = 4, same: bool = False) -> list[list[Row]]:
    """Values of each name on each dataset: two near each other, one below, one far below."""
    rng = np.random.default_rng(0)
    found = []
    for i in range(datasets):
        values = np.array([0.7, 0.7, 0.6, 0.3])[:names] + rng.normal(0, 0.02, names)
        prints = "one" if same else f"{i:08d}"
        found.append(
            [
                rows_of(
                    [
                        make(
                            f"f{j}",
                            None,
                            criteria={AP.name: v},
                            dataset=f"d{i}",
                            fingerprint=prints,
                        )
                    ]
                )[0]
                for j, v in enumerate(values.tolist())
            ]
        )
    return found


@pytest.fixture(scope="module")
def compared(make: Make) -> several.DatasetComparison:
    return several.over_datasets(NAMES, rows(make, 12), AP)


def test_sentences(compared: several.DatasetComparison) -> None:
    ranked, friedman, pairs, nemenyi = several.sentences(compared)
    assert ranked.startswith("Mean ranks by average precision over 12 datasets, 1 is best: ")
    assert ranked.endswith("prior 3.00, <b>& 4.00.")
    assert "χ² = " in friedman
    assert "F(3, 33) = " in friedman
    assert "p < .001: the methods do not all perform alike." in friedman
    assert "hog+mlknn[k=5] is better than <b>& (p = .003)" in pairs
    assert "prior is better than <b>& (p = .003)" in pairs
    assert "hog+mlknn[k=5] is better than lbp+$x^2$" not in pairs
    assert nemenyi.endswith("differ by 1.35.")


def test_table_and_json(compared: several.DatasetComparison) -> None:
    table = several.table(compared)
    assert table[0] == ("Average precision ↑", *NAMES)
    assert [line[0] for line in table[1:]] == [*(f"d{i}" for i in range(12)), "mean rank"]
    read = json.loads(json.dumps(several.as_json(compared), allow_nan=False))
    assert read["values"] == compared.values.tolist()
    assert read["wilcoxon_holm"][0][3] < 0.05 < read["wilcoxon_holm"][0][1]


def test_two_rows_have_wilcoxons_test_alone(make: Make) -> None:
    found = several.over_datasets(NAMES[:2], rows(make, 10, names=2), AP)
    assert len(several.sentences(found)) == 3
    assert (
        "Wilcoxon's signed-rank test: they cannot be told apart (p = ."
        in several.sentences(found)[1]
    )


def test_what_is_refused(make: Make) -> None:
    with pytest.raises(BenchError, match="need at least 10 of them, and here are 9"):
        several.over_datasets(NAMES, rows(make, 9), AP)
    with pytest.raises(BenchError, match="10 datasets are 1 different ones under several names"):
        several.over_datasets(NAMES, rows(make, 10, same=True), AP)
    (macro,) = criteria_of("multi", ["macro_f1"])
    with pytest.raises(BenchError, match="f0 has no Macro-F1 on d0"):
        several.over_datasets(NAMES, rows(make, 10), macro)


def test_the_diagram_names_every_row_at_its_rank(compared: several.DatasetComparison) -> None:
    root = ElementTree.fromstring(several.diagram(compared))
    texts = [
        "".join(element.itertext()).strip() for element in root.iter() if "text" in element.tag
    ]
    for name, rank in zip(NAMES, compared.ranks.mean, strict=True):
        assert f"{name} ({rank:.2f})" in texts


def test_the_diagram_has_the_same_bytes_whatever_names_hash_to() -> None:
    code = (
        "import numpy as np, sys, hashlib\n"
        "from bench.publish.over_datasets import *\n"
        "from bench.publish.comparison import criteria_of\n"
        "from bench.score.over_datasets import compare_over_datasets\n"
        "v = np.random.default_rng(0).normal(0, .02, (12, 6)) + np.array([7, 7, 6.9, 6, 6, 5])\n"
        "names = tuple('abcdef'); sets = tuple(map(str, range(12)))\n"
        "c = criteria_of('multi', [])[0]\n"
        "d = DatasetComparison(names, sets, c, v, compare_over_datasets(v, True))\n"
        "print(hashlib.sha256(diagram(d).encode()).hexdigest(), 'Date' in diagram(d))\n"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
    assert "False" in said.pop()
