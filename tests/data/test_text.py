"""Label files: what is accepted, and the line that is named where something is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.api import BenchError
from bench.data import text

FIELD = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=9)


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "labels.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@given(
    rows=st.lists(st.tuples(FIELD, FIELD, FIELD), max_size=6),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    separator=st.sampled_from([" ", "\t", "   ", " \t"]),
    mark=st.booleans(),
    last=st.booleans(),
    blank=st.booleans(),
)
def test_every_way_to_write_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, str]],
    end: str,
    separator: str,
    mark: bool,
    last: bool,
    blank: bool,
) -> None:
    content = (end * 2 if blank else end).join(separator.join(row) for row in rows)
    content = ("\ufeff" if mark else "") + content + (end if last else "")
    path = write(tmp_path_factory.mktemp("rows"), content)
    found = list(text.read_rows(path, 3))
    assert [tuple(fields) for _, fields in found] == rows
    step = 2 if blank else 1
    assert [line for line, _ in found] == [1 + step * row for row in range(len(rows))]


def test_a_wrong_number_of_columns_names_file_and_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a 1\n\nb 2 3\n")
    message = rf"{path}:3: 3 columns where 2 \(NAME FLAG\) are expected: 'b 2 3'"
    with pytest.raises(BenchError, match=message):
        list(text.read_rows(path, 2, "NAME FLAG"))


def test_names_keep_the_file_s_order_and_may_not_repeat(tmp_path: Path) -> None:
    assert text.read_named(write(tmp_path, "b 1\na 2\n"), 2) == {"b": (1, ["1"]), "a": (2, ["2"])}
    with pytest.raises(BenchError, match=r"labels.txt:3: 'b' stands in line 1 already"):
        text.read_named(write(tmp_path, "b 1\na 2\nb 1\n"), 2)


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff", "\r\n"])
def test_a_file_without_rows(tmp_path: Path, content: str) -> None:
    with pytest.raises(BenchError, match="has no lines"):
        text.read_named(write(tmp_path, content), 2)


def test_what_is_not_utf8_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"labels.txt:2: this is not UTF-8 text"):
        list(text.read_lines(write(tmp_path, b"a\n\xff\xfe\n")))
    assert list(text.read_lines(write(tmp_path, b"\xe9\n"), "latin-1")) == [(1, "é")]
    with pytest.raises(BenchError, match=r"none.txt does not exist"):
        list(text.read_lines(tmp_path / "none.txt"))
    with pytest.raises(BenchError, match="cannot be read"):
        list(text.read_lines(tmp_path))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_read_what_was_written(values: list[float]) -> None:
    assert text.numbers(map(repr, values), Path("x"), 1) == values


@pytest.mark.parametrize(
    "field", ["nan", "NaN", "inf", "-Infinity", "1e999", "1_0", "", "x", "1,5", "٣", "0x1", "--"]
)
def test_what_is_no_number(field: str) -> None:
    with pytest.raises(BenchError, match=r"x\.txt:7: .* is not a number"):
        text.numbers(["0.5", field], Path("x.txt"), 7)


def test_numbers_out_of_bounds() -> None:
    assert text.numbers(["0", "1"], Path("x"), 1, low=0, high=1) == [0.0, 1.0]
    for field in ("-0.1", "1.1"):
        with pytest.raises(BenchError, match=r"x:4: .* is outside 0 to 1"):
            text.numbers([field], Path("x"), 4, low=0, high=1)


def test_flags() -> None:
    assert text.flags(["0", "1", "1.0"], Path("x"), 1) == [False, True, True]
    for field in ("2", "-1", "0.5"):
        with pytest.raises(BenchError, match=r"x:9: .* is neither 0 nor 1"):
            text.flags([field], Path("x"), 9)
    with pytest.raises(BenchError, match="is not a number"):
        text.flags(["yes"], Path("x"), 9)


def test_names_must_agree_both_ways() -> None:
    one: text.Rows = {"a": (1, []), "b": (2, [])}
    two: text.Rows = {"b": (5, []), "a": (6, [])}
    text.same_names({Path("one"): one, Path("two"): two})
    with pytest.raises(BenchError, match=r"one:2: 'b' has no line in two"):
        text.same_names({Path("one"): one, Path("two"): {"a": (1, [])}})
    with pytest.raises(BenchError, match=r"three:4: 'c' has no line in one"):
        text.same_names({Path("one"): one, Path("three"): {**one, "c": (4, [])}})


def test_differences_lists_only_what_differs() -> None:
    counts = {"images": ([3], [3]), "labels": ((1, 2), [1, 3])}
    assert text.differences(counts) == ["labels: 1 2, published 1 3"]


def test_shortened_is_safe_on_a_terminal() -> None:
    assert text.shortened("\x1b[31mred") == r"'\x1b[31mred'"
    assert len(text.shortened("x" * 500)) == 62


def test_root_at_the_wrong_level(tmp_path: Path) -> None:
    right = tmp_path / "RAF-ML"
    (right / "EmoLabel").mkdir(parents=True)
    (right / "Image" / "aligned" / "aligned").mkdir(parents=True)
    entries = ("EmoLabel", "Image")
    assert text.find_root(right, "raf-ml", entries) == right
    for wrong in (".", "RAF-ML/EmoLabel", "RAF-ML/Image", "RAF-ML/Image/aligned/aligned"):
        with pytest.raises(BenchError, match=rf"pass --root {right}$"):
            text.find_root(tmp_path / wrong, "raf-ml", entries)


def test_root_that_is_nothing_of_the_kind(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="needs --root DIR, the folder that holds a and b"):
        text.find_root(None, "d", ("a", "b"))
    with pytest.raises(BenchError, match="does not exist"):
        text.find_root(tmp_path / "none", "d", ("a",))
    (tmp_path / "some.zip").write_bytes(b"")
    with pytest.raises(BenchError, match="is a file; pass the unpacked folder"):
        text.find_root(tmp_path / "some.zip", "d", ("a",))
    with pytest.raises(BenchError, match=r"it lacks a and \*b\.txt \(it holds some\.zip\)"):
        text.find_root(tmp_path, "d", ("a", "*b.txt"))
    (tmp_path / "xb.txt").write_bytes(b"")
    assert text.find_root(tmp_path, "d", ("*b.txt",)) == tmp_path


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.44, "0.4 s"),
        (4, "4 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (185, "3 min 5 s"),
        (3599.7, "1 h"),
        (7200, "2 h"),
        (7290, "2 h 2 min"),
        (86_399, "1 d"),
        (360_000, "4 d 4 h"),
        (86_400_000, "1,000 d"),
    ],
)
def test_durations_are_for_people(seconds: float, words: str) -> None:
    assert text.duration(seconds) == words
