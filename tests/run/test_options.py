"""Options: spelled once, the same from the command line, from a TOML file and in Python."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from bench.api import BenchError
from bench.cli.options import add_options, chosen
from bench.run.options import OPTIONS, RunOptions, flag, options_of

EVERY = RunOptions(
    dataset="tiny",
    methods="all",
    root=Path("/data"),
    protocol="cross",
    seeds=3,
    budget="quick",
    selection="last",
    threshold="hamming",
    device="cpu",
    target="to:/there",
    target_protocol="cv5",
    tune="k",
    inner="cv3",
    tune_by="coverage",
    workers=2,
    threads=4,
    timeout="90s",
    max_memory="8GB",
    results=Path("/r"),
    plugins=(Path("/a.py"), Path("/b.py")),
)


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser)
    parser.add_argument("--config", type=Path)
    return parser.parse_args(words)


def test_the_command_line_a_file_and_python_agree(tmp_path: Path) -> None:
    words, lines = [], []
    for name in OPTIONS:
        value = getattr(EVERY, name)
        assert value != getattr(RunOptions(), name), f"{name} is not tried"
        if isinstance(value, tuple):
            words += [word for one in value for word in (flag(name), str(one))]
            lines.append(f"{name} = {[str(one) for one in value]}")
        else:
            words += [flag(name), str(value)]
            lines.append(f"{name} = {value if isinstance(value, int) else repr(str(value))}")
    file = tmp_path / "run.toml"
    file.write_text("\n".join(lines))
    assert chosen(parsed(*words)) == EVERY
    assert chosen(parsed("--config", str(file))) == EVERY
    assert chosen(parsed()) == RunOptions()


def test_the_command_line_wins_and_paths_of_a_file_are_meant_from_where_it_lies(
    tmp_path: Path,
) -> None:
    file = tmp_path / "run.toml"
    file.write_text('seeds = 2\nroot = "faces"\nresults = "/r"\nplugins = ["mine.py"]\n')
    options = options_of({"seeds": 5, "budget": None}, file)
    assert (options.seeds, options.budget) == (5, "paper")
    assert options.root == tmp_path / "faces"
    assert options.results == Path("/r")
    assert options.plugins == (tmp_path / "mine.py",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seedz = 1", "unknown key 'seedz': did you mean seeds"),
        ('seeds = "two"', "seeds two: expected int, got str"),
        ("seeds = true", "seeds True: expected int, got bool"),
        ("seeds = 0", "seeds 0: expected int >= 1"),
        ('budget = "huge"', "budget huge: one of smoke, quick, paper"),
        ("plugins = [1]", "plugins"),
        ("results = 3", "results 3: expected text, got int"),
        ("seeds = 1\nroot = ", "Invalid value"),
    ],
)
def test_a_wrong_file_is_one_sentence_that_names_it(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "run.toml"
    file.write_text(text)
    with pytest.raises(BenchError) as error:
        options_of({}, file)
    assert str(error.value).startswith(f"--config {file}: ")
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (RunOptions(methods="all"), "--dataset is missing"),
        (RunOptions("tiny"), "--methods is missing"),
        (RunOptions("tiny", "all", seeds=0), "--seeds 0: expected int >= 1"),
        (RunOptions("tiny", "all", protocol="cross"), "name that with --target"),
        (RunOptions("tiny", "all", target="x"), "--target x needs --protocol cross"),
        (RunOptions("tiny", "all", target_protocol="cv5"), "--target-protocol cv5 needs"),
        (
            RunOptions("tiny", "all", protocol="cross", target="x", selection="test"),
            "--selection test does not go with",
        ),
    ],
)
def test_options_that_do_not_go_together(options: RunOptions, words: str) -> None:
    with pytest.raises(BenchError, match=words):
        options.check()


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1.5d", 129600), ("7", 7)]
)
def test_times(text: str, seconds: float) -> None:
    assert RunOptions(timeout=text).seconds == seconds


@pytest.mark.parametrize("text", ["soon", "0s", "-1h", "2 h"])
def test_wrong_times(text: str) -> None:
    with pytest.raises(BenchError, match="write 90s, 30m or 2h"):
        _ = RunOptions(timeout=text).seconds


def test_sizes() -> None:
    assert RunOptions(max_memory="500MB").memory == 5e8
    assert RunOptions(max_memory="8 gb").memory == 8e9
    with pytest.raises(BenchError, match="write 500MB or 8GB"):
        _ = RunOptions(max_memory="8").memory
