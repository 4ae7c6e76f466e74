"""bench: the benchmark suite of multi-label facial expression recognition."""

from pathlib import Path

__version__ = "0.1.0"

# In a clone (or an editable install) the plug-in folders lie beside this package, not inside it:
# extending the path makes them importable as bench.methods and bench.datasets there too.
_parent = Path(__file__).resolve().parent.parent
if (_parent / "methods").is_dir() and (_parent / "pyproject.toml").is_file():
    __path__.append(str(_parent))
