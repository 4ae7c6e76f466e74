"""Wheel, editable install and plain clone all work, and none gets in the way of ``datasets``."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import bench

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
# Another package of the name of our plug-in folder, as Hugging Face has one.
OTHER = "OTHER = True\n"


def source_files(root: Path) -> set[str]:
    """Files of the package as the repository has them, by their place below ``bench``."""
    found = set()
    for folder in ("bench", "methods", "datasets", "results/published"):
        for path in (root / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                place = path.relative_to(root).as_posix()
                found.add(place if folder == "bench" else f"bench/{place}")
    return found


# -- what pyproject.toml says --------------------------------------------------------------------


def test_packages_name_every_folder() -> None:
    folders = {place.rpartition("/")[0].replace("/", ".") for place in source_files(ROOT)}
    assert sorted(SETUPTOOLS["packages"]) == sorted(folders)
    code = {path.parent for path in (ROOT / "bench").rglob("*.py")}
    assert all((folder / "__init__.py").is_file() for folder in code)


@pytest.mark.parametrize("folder", ["methods", "datasets"])
def test_plugin_folders_are_flat_and_no_packages(folder: str) -> None:
    files = [path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob("*.py")]
    assert files
    assert [path for path in files if len(path.parts) > 1 or path.name == "__init__.py"] == []


def test_versions_agree() -> None:
    version = PROJECT["project"]["version"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert bench.__version__ == version
    assert f"\nversion: {version}\n" in citation
    assert f"\n## [{version}]" in changelog


def test_lowest_environment_installs_the_lower_bounds() -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    tested = {}
    for line in tox["testenv:lowest"]["deps"].split():
        name, version = line.split("==")
        tested[name] = version
    stated = {}
    for text in PROJECT["project"]["dependencies"]:
        requirement = Requirement(text)
        bounds = {one.operator: one.version for one in requirement.specifier}
        assert bounds.keys() in ({"=="}, {">=", "<"}), text
        stated[requirement.name] = bounds.get(">=", bounds.get("=="))
    assert tested == stated


# -- what gets installed -------------------------------------------------------------------------


@dataclass(frozen=True)
class Environment:
    """A virtual environment that sees the libraries of this one, but not its ``bench``."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def site(self) -> Path:
        return next((self.folder / "lib").glob("python*/site-packages"))

    def pip(self, *arguments: str) -> None:
        """Install there, without network."""
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "-q"]
        options = ["--no-index", "--no-deps", "--no-build-isolation"]
        run(*command, *options, *arguments, cwd=self.folder)

    def python_says(self, *arguments: str, cwd: Path) -> str:
        """What Python prints, started in ``cwd`` with that folder on its path."""
        return run(str(self.python), *arguments, cwd=cwd)


def run(*command: str, cwd: Path) -> str:
    """Output of a command, which has to succeed."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def make_environment(folder: Path) -> Environment:
    """A fresh environment that holds another package named ``datasets``."""
    venv.create(folder, symlinks=True)
    environment = Environment(folder)
    libraries = folder / "libraries"
    libraries.mkdir()
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(place).iterdir():
            if not entry.name.startswith(("bench", "fer_bench", "__editable__")):
                (libraries / entry.name).symlink_to(entry)
    (environment.site / "libraries.pth").write_text(f"{libraries}\n")
    (environment.site / "datasets").mkdir()
    (environment.site / "datasets" / "__init__.py").write_text(OTHER)
    return environment


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git would hand out, so that no build leaves anything in the repository."""
    copy = tmp_path_factory.mktemp("clone") / "bench"
    copy.mkdir()
    for name in ("bench", "methods", "datasets", "results/published"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    return copy


def built(kind: str, source: Path, out: Path) -> Path:
    """The wheel or sdist that setuptools makes of ``source``."""
    code = f"import setuptools.build_meta as b; b.build_{kind}({str(out)!r})"
    run(sys.executable, "-c", code, cwd=source)
    (made,) = out.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return made


@pytest.fixture(scope="module")
def wheel(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by way of the source archive as a package index would get them."""
    folder = tmp_path_factory.mktemp("dist")
    shutil.unpack_archive(built("sdist", clone, folder), folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    return built("wheel", unpacked, folder)


@pytest.fixture(scope="module")
def listing(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What ``python -m bench list`` says in a plain clone, nothing installed."""
    environment = make_environment(tmp_path_factory.mktemp("plain") / "env")
    text = environment.python_says("-m", "bench", "list", cwd=clone)
    assert_other_datasets_found(environment, clone)
    return text


def assert_other_datasets_found(environment: Environment, clone: Path) -> None:
    """``import datasets`` finds the other package, in the repository root too."""
    for cwd in (clone, environment.folder):
        code = "import datasets; print(datasets.OTHER)"
        assert environment.python_says("-c", code, cwd=cwd).strip() == "True"


def test_clone_lists_every_plugin(listing: str) -> None:
    words = set(listing.replace("NAME", "").split())
    # A file that begins with _ is no plug-in: it holds what one family shares.
    for path in [*(ROOT / "methods").glob("[!_]*.py"), *(ROOT / "datasets").glob("[!_]*.py")]:
        name = re.search(r'^    name(?:: .*)? = "(.+)"$', path.read_text("utf-8"), re.MULTILINE)
        assert name is not None, path
        assert name[1] in words
    assert "broken" not in listing


def test_wheel_holds_every_source_file(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == source_files(ROOT)


def test_wheel_runs_elsewhere(wheel: Path, clone: Path, listing: str, tmp_path: Path) -> None:
    environment = make_environment(tmp_path / "env")
    environment.pip(str(wheel))
    assert environment.python_says("-m", "bench", "list", cwd=tmp_path) == listing
    assert run(str(environment.folder / "bin" / "bench"), "list", cwd=tmp_path) == listing
    where = environment.python_says("-c", "import bench; print(bench.__path__)", cwd=tmp_path)
    assert where.strip() == str([str(environment.site / "bench")])
    assert (environment.site / "datasets" / "__init__.py").read_text() == OTHER
    assert_other_datasets_found(environment, clone)


def test_editable_install_runs_elsewhere(clone: Path, listing: str, tmp_path: Path) -> None:
    environment = make_environment(tmp_path / "env")
    copy = tmp_path / "editable"
    shutil.copytree(clone, copy)
    environment.pip("--editable", str(copy))
    assert environment.python_says("-m", "bench", "list", cwd=tmp_path) == listing
    code = "import bench.plugins; print(bench.plugins.__file__)"
    where = environment.python_says("-c", code, cwd=tmp_path)
    assert where.strip() == str(copy / "bench" / "plugins.py")
    assert_other_datasets_found(environment, copy)


# -- what the files say --------------------------------------------------------------------------

# Put together here, so that this file does not hold what it looks for.
_FOLDERS = "|".join(["work", "root", "tmp", "opt", "home", "Users", "mnt"])
MACHINE_PATH = re.compile(rf"(?<![\w.}})\]*])/(?:{_FOLDERS})/\w")
REGISTRY_HOST = re.compile(
    "|".join(
        [
            r"\b(?:test\.)?py" + r"pi\.(?:org|python\.org)",
            r"python" + r"hosted\.org",
            r"(?:conda\.)?ana" + r"conda\.(?:org|com)",
            r"download\." + r"pytorch\.org",
            r"registry\." + r"npmjs\.org",
        ]
    )
)


def text_files() -> list[Path]:
    """Files that git tracks or would track, as far as they are text."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: no list of the repository's files")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    paths = [ROOT / name.decode() for name in done.stdout.split(b"\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:8192]]


def places(text: str) -> list[str]:
    """Machine paths and hosts of package registries in ``text``."""
    return [found[0] for what in (MACHINE_PATH, REGISTRY_HOST) for found in what.finditer(text)]


def test_no_file_names_a_machine() -> None:
    found: dict[str, Any] = {}
    for path in text_files():
        hits = places(path.read_text(encoding="utf-8", errors="replace"))
        if hits:
            found[str(path.relative_to(ROOT))] = hits
    assert found == {}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("see /" + "work/data", 1),
        ('open("/' + 'tmp/x")', 1),
        ("file:///" + "home/me", 1),
        ("pip install --index-url https://py" + "pi.org/simple", 1),
        ("../beside/data and framework/tmp/x", 0),
        ("/path/to/RAF-ML", 0),
    ],
)
def test_places_sees_what_it_should(text: str, count: int) -> None:
    assert len(places(text)) == count
