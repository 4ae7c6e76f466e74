"""Numba's kept machine code, looked at before it runs.

Numba reads its files of ``.nbi`` and ``.nbc`` as pickles and runs what is in them: a file that was
cut ends in an exception of the pickle module, a changed byte in other numbers or a crash. Here each
file begins with the SHA-256 of the rest, and what does not fit its hash is compiled anew.
"""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import Any

from numba.core.caching import IndexDataCacheFile

_LENGTH = hashlib.sha256().digest_size


class HashedFiles(IndexDataCacheFile):
    """Index and machine code of one kernel; raises nothing for a damaged file, which is a miss.

    Parameters
    ----------
    files : IndexDataCacheFile
        Numba's own, whose place and names are taken over.
    """

    def __init__(self, files: Any) -> None:
        self.__dict__.update(vars(files))

    def _load_index(self) -> dict[Any, str]:
        try:
            version, stamp, overloads = self._read(Path(self._index_path))
        except OSError:
            return {}
        return overloads if (version, stamp) == (self._version, self._source_stamp) else {}

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._write(self._index_path, (self._version, self._source_stamp, overloads))

    def _load_data(self, name: str) -> Any:
        key, data = self._read(Path(self._data_path(name)))
        if key != self._identity(name):
            raise OSError(f"{name} is the code of another kernel")
        return data

    def _save_data(self, name: str, data: Any) -> None:
        self._write(self._data_path(name), (self._identity(name), data))

    def _identity(self, name: str) -> tuple[Any, ...]:
        return name, self._version, self._source_stamp

    def _read(self, path: Path) -> Any:
        """What a file holds; `OSError`, which Numba takes for a miss, where it is damaged."""
        content = path.read_bytes()
        if hashlib.sha256(content[_LENGTH:]).digest() != content[:_LENGTH]:
            raise OSError(f"{path} is damaged")
        return pickle.loads(content[_LENGTH:])

    def _write(self, path: str, values: Any) -> None:
        content = self._dump(values)
        with self._open_for_write(path) as file:
            file.write(hashlib.sha256(content).digest() + content)
