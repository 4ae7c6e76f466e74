"""Compiles LaTeX where there is an engine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ENGINES = ("pdflatex", "lualatex", "xelatex", "tectonic")


def compiled(tables: str, folder: Path) -> str:
    """Compile tables in ``folder``, in a document of their own; returns the engine's messages.

    Skips the test where no engine is installed, fails it where the engine does.
    """
    engine = next(filter(shutil.which, ENGINES), None)
    if engine is None:
        pytest.skip(f"no TeX engine ({', '.join(ENGINES)}) on this machine")
    document = (
        "\\documentclass{article}\n"
        "\\usepackage[a4paper,margin=2cm]{geometry}\n"
        "\\usepackage{booktabs,graphicx,longtable}\n"
        f"\\begin{{document}}\n{tables}\\end{{document}}\n"
    )
    (folder / "all.tex").write_text(document, "utf-8")
    options = [] if engine == "tectonic" else ["-interaction=nonstopmode", "-halt-on-error"]
    done = subprocess.run(
        [engine, *options, "all.tex"],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert (folder / "all.pdf").stat().st_size > 1000
    return done.stdout
