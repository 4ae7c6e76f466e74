"""ARFF and MULAN's XML: written and read back, and every mistake named with its line."""

from __future__ import annotations

import math
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from bench.datasets._arff import features_and_labels, read_arff, read_label_names
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.api import BenchError

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.floats(allow_nan=False, allow_infinity=False)


def quoted(draw: st.DrawFn, text: str) -> str:
    """A word as Weka writes it: quoted where it must be, and sometimes where it need not."""
    if re.fullmatch(r"[^\x00-\x20,{}%'\"\\]+", text) and draw(st.booleans()):
        return text
    for plain, escaped in (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        text = text.replace(plain, escaped)
    quote = draw(st.sampled_from("'\""))
    if draw(st.booleans()):
        text = text.replace("%", "\\%")
    return quote + text.replace(quote, "\\" + quote) + quote


def cased(draw: st.DrawFn, keyword: str) -> str:
    return draw(st.sampled_from([keyword, keyword.upper(), keyword.title()]))


@st.composite
def tables(draw: st.DrawFn) -> tuple[bytes, list[tuple[str, tuple[str, ...] | None]], list]:
    """A file, its attributes, and its rows."""
    names = draw(st.lists(words, min_size=1, max_size=5, unique=True))
    value_lists = st.lists(words, min_size=1, max_size=4, unique=True).map(tuple)
    attributes = [(name, draw(st.none() | value_lists)) for name in names]
    gap = st.sampled_from([",", ", ", " ,\t", " "])
    lines = ["% made by a test", f"{cased(draw, '@relation')} {quoted(draw, draw(words))}"]
    for name, values in attributes:
        if values is None:
            kind = cased(draw, draw(st.sampled_from(["numeric", "real", "integer"])))
        else:
            kind = "{" + draw(gap).join(quoted(draw, value) for value in values) + "}"
        lines.append(f"{cased(draw, '@attribute')} {quoted(draw, name)}\t{kind}")
    lines.append(cased(draw, "@data"))
    rows = []
    for _ in range(draw(st.integers(1, 5))):
        row = [
            draw(numbers if values is None else st.integers(0, len(values) - 1))
            for _, values in attributes
        ]
        rows.append(row)
        cells = [
            repr(cell) if values is None else quoted(draw, values[cell])
            for cell, (_, values) in zip(row, attributes, strict=True)
        ]
        if draw(st.booleans()):
            cells = [f"{i} {cell}" for i, cell in enumerate(cells) if row[i] or draw(st.booleans())]
            lines.append("{" + ", ".join(cells) + "}")
        else:
            lines.append(draw(gap).join(cells))
        lines += draw(st.sampled_from([[], [""], ["  % between rows"]]))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    text = end.join(lines) + draw(st.sampled_from(["", end]))
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text.encode(), attributes, rows


@settings(max_examples=150, deadline=None)
@given(tables())
def test_what_is_written_is_read(table: tuple[bytes, list, list]) -> None:
    content, attributes, rows = table
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.arff"
        path.write_bytes(content)
        arff = read_arff(path)
    assert [(a.name, a.values) for a in arff.attributes] == attributes
    np.testing.assert_array_equal(arff.data, np.array(rows, dtype=float))


def arff_file(folder: Path, header: str, *rows: str) -> Path:
    path = folder / "t.arff"
    path.write_text("\n".join(["@relation t", *header.split(";"), "@data", *rows]) + "\n")
    return path


def test_encoding_of_features_and_labels(tmp_path: Path) -> None:
    path = arff_file(
        tmp_path,
        "@attribute y2 {0,1};@attribute size numeric;@attribute hue {red,green,blue};"
        "@attribute on {no,yes};@attribute down {1,0};@attribute one {only};@attribute y1 {1,0}",
        "0,2.5,green,yes,1,only,0",
        "{0 1, 2 blue}",
        "1,-1e-3,red,no,0,only,1",
    )
    features, labels, label_names = features_and_labels(read_arff(path), ("y1", "y2"))
    assert label_names == ("y2", "y1")  # the ARFF file's order
    np.testing.assert_array_equal(labels, [[0, 0], [1, 1], [1, 1]])  # left out: first value, "1"
    # size, hue red, hue green, hue blue, on, down, one
    np.testing.assert_array_equal(
        features,
        [[2.5, 0, 1, 0, 1, 1, 0], [0, 0, 0, 1, 0, 1, 0], [-0.001, 1, 0, 0, 0, 0, 0]],
    )
    assert features.dtype == np.float64


def test_escapes_and_comments_as_java_reads_them(tmp_path: Path) -> None:
    path = arff_file(
        tmp_path,
        r"@attribute 'a\'b\101\q' {'x y',\z,''} % note",
        r"'x y' % 'not closed",
        r"\z",
        "''",
    )
    arff = read_arff(path)
    assert (arff.attributes[0].name, arff.attributes[0].values) == ("a'bAq", ("x y", "\\z", ""))
    np.testing.assert_array_equal(arff.data, [[0], [1], [2]])
    np.testing.assert_array_equal(arff.lines, [4, 5, 6])


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("@attribute a numeric", "?", r"t.arff:4: the attribute 'a' has a missing value"),
        ("@attribute a {x}", "?", r":4: the attribute 'a' has a missing value"),
        ("@attribute a numeric", "one", r":4: the attribute 'a' is 'one', not a number"),
        ("@attribute a numeric", "nan", r":4: 'a' is not a finite number"),
        ("@attribute a numeric", "1e999", r":4: 'a' is not a finite number"),
        ("@attribute a {cat,dog}", "dgo", r":4: the attribute 'a' is 'dgo': did you mean dog\?"),
        ("@attribute a numeric", "1,2", r":4: 2 values for 1 attributes"),
        ("@attribute a numeric;@attribute b numeric", "1", r":5: 1 values for 2 attributes"),
        ("@attribute a numeric", "{0}", r":4: a sparse row is a list of INDEX VALUE pairs"),
        ("@attribute a numeric", "{1 2}", r":4: .*indices from 0 to 0"),
        ("@attribute a numeric", "{-1 2}", r":4: .*indices from 0 to 0"),
        ("@attribute a numeric", "{x 2}", r":4: a sparse row"),
        ("@attribute a numeric", "{0 1,0 2}", r":4: a sparse row names an index twice"),
        ("@attribute a numeric", "1,{2}", r":4: .*instance weights are not supported"),
        ("@attribute a numeric", "{0 1},{2}", r":4: .*instance weights are not supported"),
        ("@attribute a numeric", "}0 1{", r":4: braces"),
        ("@attribute a numeric", "'1", r":4: a quote is never closed: close it"),
        ("@attribute a numeric", "", r"t.arff has no rows after @data"),
        ("@attribute a string", "x", r":2: the attribute 'a' is neither numeric"),
        ("@attribute a date 'yyyy'", "x", r":2: the attribute 'a' is neither numeric"),
        ("@attribute a {x", "x", r":2: the attribute 'a' is neither numeric"),
        ("@attribute a {x,x}", "x", r":2: the values of 'a' are empty or repeated"),
        ("@attribute a {}", "x", r":2: the values of 'a' are empty or repeated"),
        ("@attribute a", "x", r":2: an attribute needs a name and a type"),
        ("@attribute a numeric;@attribute a real", "1,1", r":3: .*'a' is declared twice"),
        ("@atribute a numeric", "1", r":2: '@atribute' where @relation"),
        ("% nothing", "1", r":3: @data comes before any @attribute"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, header: str, row: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        read_arff(arff_file(tmp_path, header, row))


def test_other_unreadable_files(tmp_path: Path) -> None:
    path = tmp_path / "t.arff"
    with pytest.raises(BenchError, match=r"t\.arff cannot be read: No such file"):
        read_arff(path)
    path.write_bytes(b"")
    with pytest.raises(BenchError, match="has no @data line"):
        read_arff(path)
    path.write_bytes(b"@relation t\n@attribute \xff numeric\n@data\n1\n")
    with pytest.raises(BenchError, match="is not UTF-8"):
        read_arff(path)


@pytest.mark.parametrize(
    ("header", "row", "names", "message"),
    [
        ("@attribute a numeric", "1", ("happy",), r"t.arff has no attribute for the label 'happy'"),
        ("@attribute y {0,1}", "1", ("y",), "every attribute is a label"),
        (
            "@attribute a numeric;@attribute y {no,yes}",
            "1,no",
            ("y",),
            r"the label 'y' has the values \{'no','yes'\}, not \{0,1\}",
        ),
        ("@attribute a numeric;@attribute y numeric", "1,2", ("y",), r":5: the label 'y' is 2"),
    ],
)
def test_labels_that_do_not_fit(
    tmp_path: Path, header: str, row: str, names: tuple[str, ...], message: str
) -> None:
    with pytest.raises(BenchError, match=message):
        features_and_labels(read_arff(arff_file(tmp_path, header, row)), names)


def test_numeric_labels_of_zero_and_one(tmp_path: Path) -> None:
    path = arff_file(tmp_path, "@attribute a numeric;@attribute y numeric", "5,1", "6,0")
    _, labels, _ = features_and_labels(read_arff(path), ("y",))
    np.testing.assert_array_equal(labels, [[True], [False]])


def test_xml_names_nested_and_prefixed(tmp_path: Path) -> None:
    path = tmp_path / "t.xml"
    path.write_text(
        '<?xml version="1.0"?><m:labels xmlns:m="u"><m:label name="b &amp; c">'
        '<m:label name="a"/></m:label><other name="x"/><m:label name="d"/></m:labels>'
    )
    assert read_label_names(path) == ("b & c", "a", "d")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('<!DOCTYPE labels><labels><label name="a"/></labels>', "t.xml:1: a DTD or an entity"),
        (
            '<!DOCTYPE l [<!ENTITY a "b"><!ENTITY c "&a;&a;">]>\n<l><label name="&c;"/></l>',
            "t.xml:1: a DTD or an entity",
        ),
        ('<labels>\n<label name="a"/>\n<label name="a"/></labels>', "t.xml:3: the label 'a' is"),
        ("<labels>\n<label/></labels>", "t.xml:2: a label has no name"),
        ("<labels></labels>", "lists no labels"),
        ('<labels><label name="a">', "is no valid XML"),
        ('<labels><label name="&a;"/></labels>', "is no valid XML"),
        ("", "is no valid XML"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_that_is_refused(tmp_path: Path, content: str, message: str, encoding: str) -> None:
    path = tmp_path / "t.xml"
    path.write_text(content, encoding=encoding)
    with pytest.raises(BenchError, match=message):
        read_label_names(path)


def test_a_missing_xml_file(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"t\.xml cannot be read: No such file"):
        read_label_names(tmp_path / "t.xml")


def test_floats_are_read_exactly(tmp_path: Path) -> None:
    values = [0.1, math.pi, 5e-324, -1.7976931348623157e308]
    path = arff_file(tmp_path, "@attribute a numeric", *map(repr, values))
    assert read_arff(path).data[:, 0].tolist() == values


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (r"TAG_m\'usica", r"TAG_m\'usica"),  # MULAN's delicious
        ("don't", "don't"),
        ("O'Hara", "O'Hara"),
        ("rock'n'roll", "rock'n'roll"),
        ('5"disk"', '5"disk"'),
        ("boys'", "boys'"),
        (r"'it\'s'", "it's"),
        ('"it\'s so"', "it's so"),
    ],
)
def test_a_quote_inside_a_word_opens_nothing(tmp_path: Path, written: str, name: str) -> None:
    path = tmp_path / "t.arff"
    lines = (f"@relation {written}", f"@attribute {written} {{{written},x}}", "@attribute b real")
    path.write_text("\n".join([*lines, "@data", f"{written},1", f"x, 2 % {written}"]))
    arff = read_arff(path)
    assert arff.attributes[0].name == name
    assert arff.attributes[0].values == (name, "x")
    assert arff.data.tolist() == [[0, 1], [1, 2]]
    assert arff.relation == name


def test_lines_of_delicious(tmp_path: Path) -> None:
    """The list of labels writes the second as the table does, with the backslash."""
    (tmp_path / "d.arff").write_text(
        "@relation d\n@attribute a numeric\n@attribute TAG_musica {0,1}\n"
        "@attribute TAG_m\\'usica {0,1}\n@data\n0.5,1,0\n0.25,0,1\n"
    )
    (tmp_path / "d.xml").write_text(
        '<labels xmlns="u"><label name="TAG_musica"></label>'
        '<label name="TAG_m\\\'usica"></label></labels>'
    )
    names = read_label_names(tmp_path / "d.xml")
    table = features_and_labels(read_arff(tmp_path / "d.arff"), names)
    assert table.label_names == ("TAG_musica", "TAG_m\\'usica")
    assert table.labels.tolist() == [[True, False], [False, True]]
