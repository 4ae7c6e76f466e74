"""Where a number was made: versions, commit, processor. Stored beside results, never in a key."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

import bench

LIBRARIES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "scikit-image",
    "pandas",
    "numba",
    "pillow",
    "torch",
    "torchvision",
    "timm",
    "facenet-pytorch",
)


@lru_cache(maxsize=1)
def provenance() -> dict[str, Any]:
    """Versions of bench and its libraries, commit and dirty flag, processor.

    No host name and no path: a record may be published.
    """
    return {
        "version": bench.__version__,
        **_commit(),
        "python": platform.python_version(),
        "libraries": {name: version for name in LIBRARIES if (version := _version(name))},
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "device": "cpu",
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> dict[str, Any]:
    """Commit of the clone that bench runs from; empty for an installed wheel."""
    clone = Path(bench.__file__).resolve().parent.parent
    if not (clone / ".git").exists():
        return {"commit": None, "dirty": None}
    try:
        head = _git(clone, "rev-parse", "HEAD").strip()
        # Ignored files (results, environments) do not make a tree dirty.
        return {"commit": head, "dirty": bool(_git(clone, "status", "--porcelain").strip())}
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}


def _git(clone: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(clone), *words], capture_output=True, text=True, check=True, timeout=30
    ).stdout


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        return platform.processor()
    return platform.processor()
