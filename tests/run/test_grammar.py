"""The method grammar: what it reads, what it refuses, and that it never breaks."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.api import BenchError
from bench.run.grammar import Part, Term, parse_methods, parse_part


def test_the_forms_of_the_design() -> None:
    assert parse_methods("all") == [Term(Part("all"))]
    assert parse_methods("lbp+mlknn, lbp+all") == [
        Term(Part("lbp"), Part("mlknn")),
        Term(Part("lbp"), Part("all")),
    ]
    assert parse_methods("dbm-cnn[k=5|10|20]+lift") == [
        Term(Part("dbm-cnn", {"k": ["5", "10", "20"]}), Part("lift"))
    ]
    assert parse_methods("identity+mlknn[k=10,s=1]") == [
        Term(Part("identity"), Part("mlknn", {"k": ["10"], "s": ["1"]}))
    ]
    assert parse_methods("timm:resnet50+lift") == [Term(Part("timm:resnet50"), Part("lift"))]


def test_a_quoted_value_may_hold_any_separator() -> None:
    part = parse_part('vgg16[weights="a,b+c|d]e.pt",layer=fc7]')
    assert part.params == {"weights": ["a,b+c|d]e.pt"], "layer": ["fc7"]}


def test_a_sweep_gives_every_combination_in_order() -> None:
    choices = list(parse_part("m[a=1|2,b=x|y]").choices())
    assert choices == [
        {"a": "1", "b": "x"},
        {"a": "1", "b": "y"},
        {"a": "2", "b": "x"},
        {"a": "2", "b": "y"},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "missing"),
        ("lbp,,hog", "missing"),
        ("lbp+", "name is missing"),
        ("a+b+c", "one + at most"),
        ("lbp[k=1", "not closed"),
        ("lbp]k=1[", "closes no"),
        ("lbp[k]", "parameter=value"),
        ("lbp[k=]", "value is missing"),
        ("lbp[k=1|]", "value is missing"),
        ("lbp[k=1,k=2]", "stands twice"),
        ("lbp[k=1]x", "follow"),
        ("lbp[a=1][b=2]", "follow"),
        ('lbp[k="1]', "not closed"),
        ("../x+lbp", "not a name"),
        ("l bp", "not a name"),
    ],
)
def test_what_cannot_be_read_is_quoted_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(BenchError, match=message.replace("+", r"\+")) as error:
        parse_methods(text)
    assert "\n" not in str(error.value)


_NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
_VALUES = st.text(string.ascii_letters + string.digits + ".-_/", min_size=1, max_size=8)
_PARTS = st.builds(
    Part,
    _NAMES,
    st.dictionaries(
        st.from_regex(r"[a-z_]\w{0,5}", fullmatch=True).filter(str.isascii),
        st.lists(_VALUES, min_size=1, max_size=3),
        max_size=3,
    ),
)


@given(st.lists(st.tuples(_PARTS, st.none() | _PARTS), min_size=1, max_size=4))
def test_what_is_written_is_read_back(pairs: list[tuple[Part, Part | None]]) -> None:
    text = ",".join(str(left) + (f"+{right}" if right else "") for left, right in pairs)
    assert parse_methods(text) == [Term(left, right) for left, right in pairs]


@given(st.text(st.sampled_from('ab[]+,|="=1 :\n'), max_size=20))
def test_no_text_breaks_it(text: str) -> None:
    try:
        names = [term.left.name for term in parse_methods(text)]
    except BenchError:
        names = ["refused"]
    assert names
    assert all(names)
