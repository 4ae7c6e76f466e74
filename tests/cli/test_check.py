"""``bench check``: a line per check, and the exit code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands import Bench

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_readme_example_keeps_the_contract(bench: Bench, tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "label_centroids.py").write_text(code, encoding="utf-8")
    done = bench("check", tmp_path / "label_centroids.py")
    assert done.returncode == 0, done.stdout + done.stderr
    *lines, last = done.stdout.splitlines()
    assert len(lines) > 20
    # It is for label sets, and its scores are no shares.
    spared = [line for line in lines if "does not apply" in line]
    assert [line.split(": ")[1] for line in spared] == [
        "distributions are shares",
        "one class per row",
    ]
    assert all(line.endswith(": ok") for line in lines if line not in spared)
    assert lines[0] == "label-centroids: import: ok"
    assert last == f"{len(lines)} checks: {len(lines) - 2} ok, 2 does not apply"


def test_failures_are_sentences_and_give_1(bench: Bench, broken: Path) -> None:
    code = broken.read_text()
    start = code.index("class GivesNaN")
    few = code[: code.index("class Raises")] + code[start : code.index("class WrongShape")]
    broken.write_text(few)
    done = bench("check", broken)
    assert done.returncode == 1
    (line,) = (line for line in done.stdout.splitlines() if ": shapes types and" in line)
    assert line == (
        "gives-nan: shapes types and finite scores: failed: gives-nan gave NaN or infinite scores "
        "for 1 of 20 samples"
    )
    assert "gives-nan: inputs are not written to: failed" in done.stdout
    assert "gives-nan: name is well formed: ok" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert re.fullmatch(r"\d+ checks: .*\d+ failed.*", done.stdout.splitlines()[-1])


def test_a_file_that_cannot_be_imported_is_a_failed_check(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text("def (:\n")
    done = bench("check", tmp_path / "odd.py")
    assert done.returncode == 1
    assert "odd: import: failed" in done.stdout
    assert "odd.py:1" in done.stdout
    code = "import no_such_thing\nfrom bench.api import Features\n"
    (tmp_path / "odd.py").write_text(code + "class Odd(Features):\n    name = 'odd'\n")
    done = bench("check", tmp_path / "odd.py")
    assert done.returncode == 1
    assert "pip install no_such_thing" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 checks: 1 failed"


def test_only_the_plugins_of_the_file_are_checked(bench: Bench, tiny: Path) -> None:
    methods = README.parent / "methods"
    done = bench("check", methods / "prior.py", "--plugins", tiny)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {line.split(":")[0] for line in done.stdout.splitlines()[:-1]} == {"prior"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("gone.py",), "no such file"),
        ((), "required: FILE"),
        (("empty.py",), "no plug-in in this file"),
    ],
)
def test_wrong_commands_give_2(
    bench: Bench, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here/empty.py").write_text("x = 1\n")
    done = bench("check", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
