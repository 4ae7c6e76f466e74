"""A small specification in the place of a paper's, for tests that run its cells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from printed import forget
from records import make

from bench.papers import files as published
from bench.papers import session, spec

__all__ = ["make"]

PLAIN = """
title = "Small"
authors = "A. Author"
where = "Journal 1 (2019) 1–2"
convention = "raf-ml"
convention_why = "section 2 prints the formulas"

[reasons]
selection = "section 3 says so"
alignment = "section 4 says so"
test_set = "section 5 says so"

[[table]]
name = "Table 3"
title = "Features with ML-kNN"
dataset = "raf-ml"
columns = "nine"
seeds = 1
rows = [
  { block = "(c) MLkNN", label = "LBP", run = "lbp+mlknn[k=5]", published = [LBP] },
  { block = "(c) MLkNN", label = "HOG", run = "hog+mlknn[k=5]", published = [HOG] },
  { block = "(c) MLkNN", label = "VGG", run = "vgg16+mlknn[k=5]", published = [VGG] },
  { block = "others", label = "Theirs", why = "quoted from another paper" },
]

[[table]]
name = "Table 6"
title = "Accuracy on CK+"
dataset = "ck-plus"
columns = [{ title = "Accuracy", metric = "accuracy" }]
rows = [{ label = "HOG", run = "hog+linear-svm" }]
"""
for name, first in (("LBP", 147), ("HOG", 156), ("VGG", 174)):  # nine criteria of a row each
    ids = ", ".join(f'"dbm-cnn:{number:04}"' for number in range(first, first + 9))
    PLAIN = PLAIN.replace(f"[{name}]", f"[{ids}]")
DATASETS = """
[[dataset]]
name = "raf-ml"
kind = "multi"
plugin = "raf-ml"
obtain = "Ask its authors."

[[dataset]]
name = "ck-plus"
kind = "single"
obtain = "Ask its institute."
"""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Files by name; a test may change them before it loads anything."""
    files = {"dbm-cnn.toml": PLAIN, "datasets.toml": DATASETS}
    real = published.text

    def text(name: str) -> str:
        return files.get(name) or real(name)

    for module in (spec, published):
        monkeypatch.setattr(module, "text", text)
    monkeypatch.setattr(session, "claims", lambda paper: ())
    forget()
    yield files
    forget()


@pytest.fixture
def run_paper(capsys: pytest.CaptureFixture[str]) -> Any:
    """``bench paper …`` in this process: exit code, stdout, stderr."""
    from bench.cli.main import main

    def run(*words: str) -> tuple[int, str, str]:
        try:
            code = main(["paper", *map(str, words)])
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
