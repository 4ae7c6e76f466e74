"""What is skipped for want of ``../shared`` is counted and said at the end of a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import shared

TESTS = """
import pytest, shared

@pytest.mark.shared("data/nowhere")
@pytest.mark.parametrize("number", [1, 2])
def test_data(number): raise AssertionError("it runs without its data")

@pytest.mark.shared("facts/lost")
@pytest.mark.parametrize("bar", [])
def test_bars(bar): raise AssertionError("it runs without its bars")

def test_of_nothing(): pass

@pytest.mark.skip(reason="for another reason")
def test_passed_over(): pass
"""


def test_skipped_tests_are_counted_by_what_they_need(tmp_path: Path) -> None:
    """In another process, as `tox` runs the tests."""
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = shared")
    support = Path(shared.__file__).parent
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "shared", "-n", "1", tmp_path],
        env={"PYTHONPATH": str(support), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed, 4 skipped" in done.stdout
    assert "3 tests skipped for want of data in ../shared" in done.stdout
    assert "   2 need data/nowhere\n   1 need facts/lost\n" in done.stdout


def test_only_one_file_knows_the_place() -> None:
    tests = Path(__file__).parent
    needle = '"' + "shared" + '"'
    knowing = {path.name for path in tests.rglob("*.py") if needle in path.read_text("utf-8")}
    assert knowing == {"shared.py", Path(__file__).name}
