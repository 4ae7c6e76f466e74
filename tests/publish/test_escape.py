from __future__ import annotations

import csv
import io
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.publish import escape

# any code point, lone surrogates too: file names bring them
texts = st.text(st.characters(categories=None), max_size=40) | st.text(
    "\\{}$&#%_^~<>|\"'`*[]=+-@\t\r\n/.cont0aé表\x1b\u202e ", max_size=20
)


@given(texts)
def test_terminal_text_is_one_visible_line(text: str) -> None:
    shown = escape.terminal(text)
    assert len(shown.splitlines()) <= 1
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in shown)
    shown.encode("utf-8")


def test_terminal_shows_what_was_there() -> None:
    assert escape.terminal("a\x1b[31mb\n\u202ec") == "a\\x1b[31mb\\n\\u202ec"
    assert escape.terminal("naïve 表情 [k=5]") == "naïve 表情 [k=5]"


@given(texts)
def test_csv_cell_is_no_formula_and_one_cell(text: str) -> None:
    cell = escape.csv_cell(text)
    if cell.lstrip()[:1] in ("=", "+", "-", "@"):
        float(cell)  # only a plain number may start so
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(["a", cell, "b"])
    assert list(csv.reader(io.StringIO(buffer.getvalue()))) == [["a", cell, "b"]]


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-1+1", "'-1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\\t=1"),
        ("\rx", "'\\rx"),
        ("  =1", "'  =1"),
        ("-0.25", "-0.25"),
        ("+1e-05", "+1e-05"),
        ("-", "'-"),
        ("lbp[k=1]", "lbp[k=1]"),
        ("", ""),
    ],
)
def test_csv_cells(text: str, cell: str) -> None:
    assert escape.csv_cell(text) == cell


@given(texts)
def test_markdown_leaves_no_markup(text: str) -> None:
    cell = escape.markdown(text)
    assert not re.search(r"[<>\n\r]", cell)
    assert re.sub(r"\\[\\`*_\[\]|~$]", "", cell).translate(str.maketrans("", "", "`*_[]|~$\\")) == (
        re.sub(r"\\[\\`*_\[\]|~$]", "", cell)
    )


def test_markdown_cells() -> None:
    assert escape.markdown("a|b`c`") == r"a\|b\`c\`"
    assert escape.markdown("<img src=x>\n&") == r"&lt;img src=x&gt;\\n&amp;"


@given(texts)
@example("\\\\[1cm]*")
def test_latex_is_ascii_without_live_commands(text: str) -> None:
    written = escape.latex(text)
    assert written.isascii()
    assert "\n" not in written
    # braces balance, and % # & _ ^ ~ never stand unescaped (the accent commands apart)
    bare = re.sub(r"\\[a-zA-Z]+|\\[{}$&#%_`'^~=.\"]", "", written)
    assert not re.search(r"[%#&_^\\]", bare)
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    assert "--" not in written


def test_latex_spells_letters() -> None:
    assert escape.latex("Gård_1 & é") == r"G\r{a}rd\_1 \& \'{e}"
    assert escape.latex("表") == "U+8868"
    assert escape.latex("mlknn[k=5]") == "mlknn{[}k=5{]}"


@given(texts)
def test_folder_stays_below(name: str) -> None:
    made = escape.folder(name)
    assert re.fullmatch(r"[a-z0-9_][a-z0-9._-]*", made)
    assert len(made) <= escape.LONGEST_FOLDER + 9
    assert ".." not in Path(made).parts
    assert not made.endswith(".")
    assert made.split(".")[0] not in {"con", "prn", "aux", "nul", "com0", "lpt0"}


@given(st.lists(texts | st.from_regex(r"[aA/.]{0,3}(-[0-9a-f]{8})?", fullmatch=True), unique=True))
def test_folders_differ_where_names_differ(names: list[str]) -> None:
    folders = [escape.folder(name) for name in names]
    assert len(set(folders)) == len(names)
    # a folder's own name as a data set's name must not lead to it either
    for name, made in zip(names, folders, strict=True):
        assert made == name or escape.folder(made) != made


@pytest.mark.parametrize("name", ["fer-plus-ml", "raf-ml", "synthetic", "a.b_c"])
def test_plain_names_are_kept(name: str) -> None:
    assert escape.folder(name) == name


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("fer-plus[labels=majority]", "fer-plus-labels-majority-"),
        ("mulan:yeast", "mulan-yeast-"),
        ("../../etc", "etc-"),
        ("..", "unnamed-"),
        ("/", "unnamed-"),
        ("Con", "con-"),
        ("con.x", "con-x-"),
        ("RAF-ML", "raf-ml-"),
        ("a" * 500, "a" * 64 + "-"),
    ],
)
def test_other_names_are_simplified(name: str, start: str) -> None:
    assert re.fullmatch(re.escape(start) + "[0-9a-f]{8}", escape.folder(name))
