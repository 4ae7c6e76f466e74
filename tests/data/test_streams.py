"""Output on terminals that know few characters."""

from __future__ import annotations

import io
import sys

import pytest

from bench.data.streams import make_readable


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("cp1252, …", "cp1252, ..."),
        ("2 × 1½ – 3 → 4", "2 x 1 1/2 - 3 -> 4"),
        ("Fürnkranz, é", "Furnkranz, e"),
        ("λ and Ω", "lambda and omega"),
        ("10²", "10^2"),  # not 102
        ("表 ⅓ \udcff", r"\u8868 \u2153 \udcff"),
    ],
)
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_words_arrive_with_what_the_encoding_knows(
    monkeypatch: pytest.MonkeyPatch, encoding: str, text: str, plain: str
) -> None:
    for name in ("stdout", "stderr"):
        behind = io.BytesIO()
        stream = io.TextIOWrapper(behind, encoding=encoding, write_through=True)
        monkeypatch.setattr(sys, name, stream)
        make_readable()
        print(text, file=stream)
        arrived = behind.getvalue().decode(encoding)
        known = text.encode(encoding, "ignore").decode(encoding)
        if known == text:
            assert arrived == f"{text}\n"
        elif encoding == "ascii":
            assert arrived == f"{plain}\n"
        # Whatever the encoding knows is as it was.
        assert set(known) <= set(arrived)


def test_a_stream_that_is_no_file_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    make_readable()
    print("…")
    assert stream.getvalue() == "…\n"
