"""Compiled kernels: where they are cached, and what they are handed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import bench
from bench.learn.compiled import read_only


@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray, lambda x: x[:, ::-1]])
def test_kernels_get_one_type_and_leave_their_input_as_it_is(layout: object) -> None:
    array = layout(np.arange(12.0).reshape(3, 4))  # type: ignore[operator]
    view = read_only(array)
    np.testing.assert_array_equal(view, array)
    assert view.flags.c_contiguous
    assert not view.flags.writeable
    assert array.flags.writeable
    assert np.shares_memory(view, array) == array.flags.c_contiguous


# --------------------------------------------------------- where nothing can be written

KERNEL = """
from bench.learn.compiled import compiled

@compiled
def total(values):
    result = 0
    for value in values:
        result += value
    return result
"""
CALL = """
import warnings
warnings.simplefilter("always")
import numpy as np
from kernel import total
print(int(total(np.arange(100))), sum(total.dispatcher.stats.cache_hits.values()))
"""


@pytest.fixture
def package() -> Iterator[Path]:
    """A copy of the package in folders that nobody may write to; outside pytest's closed ones."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "package")
        shutil.copytree(
            Path(bench.__file__).parent,
            folder / "bench",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        (folder / "kernel.py").write_text(KERNEL)
        folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
        for path in folders:
            path.chmod(0o555)
        Path(name).chmod(0o755)
        yield folder
        for path in folders:
            path.chmod(0o755)


@pytest.fixture
def as_user() -> list[str]:
    """The start of a command line that runs the rest as a user whom permissions bind."""
    if os.name != "posix":
        pytest.skip("asks for POSIX file permissions")
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root ignores permissions and setpriv is not installed")
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    tried = subprocess.run([*command, sys.executable, "-c", "import numba"], cwd="/", check=False)
    if tried.returncode != 0:
        pytest.skip("root ignores permissions and no other user can run this Python")
    return command


def test_kernels_run_from_a_read_only_folder(package: Path, as_user: list[str]) -> None:
    """Cached at home where the package is read-only; compiled each time where home is, too."""
    home = package.parent / "home"
    home.mkdir()
    home.chmod(0o777)

    def call(home: Path) -> tuple[list[str], str]:
        environment = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(package)}
        done = subprocess.run(
            [*as_user, sys.executable, "-c", CALL],
            env=environment,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split(), done.stderr

    assert call(home) == (["4950", "0"], "")
    assert call(home) == (["4950", "1"], "")
    printed, warned = call(package)
    assert printed == ["4950", "0"]
    assert "set NUMBA_CACHE_DIR to a folder that can be written" in warned


# ------------------------------------------------------------------ damaged files


def _flipped(content: bytes) -> bytes:
    changed = bytearray(content)
    changed[len(content) * 3 // 4] ^= 1
    return bytes(changed)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda content: b"",
    "cut": lambda content: content[:-9],
    "short": lambda content: content[:5],
    "random": lambda content: np.random.default_rng(0).bytes(len(content)),
    "flipped": _flipped,
    "unhashed": lambda content: content[32:],  # as Numba itself writes it
}


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", [*DAMAGE, "swapped"])
def test_damaged_machine_code_is_compiled_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, damage: str
) -> None:
    source = KERNEL + KERNEL.replace("total", "product").replace("+=", "*=").replace("= 0", "= 1")
    (tmp_path / "kernel.py").write_text(source)
    folder = tmp_path / "kept"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(folder))
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(folder))

    def call() -> tuple[int, int, int]:
        spec = importlib.util.spec_from_file_location("kernel", tmp_path / "kernel.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "kernel", module)
        spec.loader.exec_module(module)
        values = np.arange(1, 6)
        numbers = int(module.total(values)), int(module.product(values))
        kernels = [getattr(one, "dispatcher", one) for one in (module.total, module.product)]
        return *numbers, sum(sum(kernel.stats.cache_hits.values()) for kernel in kernels)

    assert call() == (15, 120, 0)
    assert call() == (15, 120, 2)
    first, second = sorted(folder.rglob(f"*.{suffix}"))
    if damage == "swapped":
        content = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(content)
    else:
        for path in (first, second):
            path.write_bytes(DAMAGE[damage](path.read_bytes()))
    assert call()[:2] == (15, 120)
    assert call() == (15, 120, 2)
