"""The mark on what bench itself generated: SYNTHETIC.json.

Every dataset plug-in passes ``synthetic=marker.is_synthetic(root) or ...`` to its FaceSet, so that
a rendered face can never pass as a photograph.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from bench.api import BenchError

FILE_NAME = "SYNTHETIC.json"


def is_synthetic(root: Path, depth: int = 3) -> bool:
    """Whether bench generated what lies in ``root``.

    True where `FILE_NAME` lies in ``root``, in a folder above it, or up to ``depth`` folders below
    it (a layout's images lie in ``Image/aligned/aligned``). What the file says does not matter: an
    empty or broken one counts too.
    """
    return _above(root) or _below(root, depth)


def _above(folder: Path) -> bool:
    # Above the path as given, and above the folder that a link leads to.
    folders = {
        path for start in (folder.absolute(), folder.resolve()) for path in (start, *start.parents)
    }
    return any(os.path.lexists(path / FILE_NAME) for path in folders)


def _below(folder: Path, depth: int) -> bool:
    if depth == 0 or not folder.is_dir():
        return False
    try:
        with os.scandir(folder) as entries:
            inside = [Path(entry.path) for entry in entries if entry.is_dir()]
    except PermissionError as error:
        raise BenchError(
            f"{folder} cannot be searched for {FILE_NAME}: permission denied; ask its owner"
        ) from error
    return any(_above(path) or _below(path, depth - 1) for path in inside)


def mark(root: Path, **what: Any) -> Path:
    """Write `FILE_NAME` into ``root``; ``what`` (seed, images, version, …) must fit in JSON."""
    path = root / FILE_NAME
    text = json.dumps({"generated_by": "bench", **what}, indent=2, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")
    return path
