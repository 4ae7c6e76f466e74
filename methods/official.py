"""Official: the vectors that RAF-ML's own archive ships, so that no feature has to be rebuilt."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat, whosmat

from bench.api import BenchError, FaceInput, FaceSet, Features, UnavailableError, near
from bench.data import text
from bench.data.files import sha256_once

NUMBERS = re.compile(r"double|single|u?int\d+")  # MATLAB's classes


class Official(Features):
    """Features of S. Li and W. Deng, IJCV 127 (2019) 884–906, as released with RAF-ML.

    ``official:LBP``, ``official:baseDCNN`` and ``official:DBM_CNN`` read ``Feature/NAME.mat`` under
    ``--root``: the variable of that name (or the only matrix in the file), one row per line of
    ``EmoLabel/distribution.txt``, in its order. Half of the paper's Table 3 follows without
    training a network, so that a classifier's error can be told from a feature's.

    Deviation: none of ours; the networks behind two of them were trained on the official training
    part, so that other protocols than ``official`` test on faces that they have seen.
    """

    name = "official:"
    by_name_only = True
    stateless = True
    input = FaceInput(colour="rgb")  # as the images are: no pixel is looked at
    members = ("LBP", "baseDCNN", "DBM_CNN")

    _vectors: dict[str, np.ndarray] | None = None

    def __init__(self, *, member: str | None = None, **params: Any) -> None:
        if member is not None and not re.fullmatch(r"\w[\w-]*", member):
            raise BenchError(f"official:{member} is no name; {near(member, self.members)}")
        super().__init__(member=member, **params)

    def weights_used(self) -> str:
        """SHA-256 of the file, after a look at what it says it holds."""
        path = self._file()
        self._variable(path)
        return sha256_once(path)

    def footnotes(self) -> tuple[str, ...]:
        """Says that the network behind the vectors has seen the official training part."""
        if self.member == "LBP":
            return ()
        return ("vectors of a network that was trained on the official training part",)

    def transform(self, faces: FaceSet) -> np.ndarray:
        """The released rows of these faces, found by their ids: float32 (n, d)."""
        if self._vectors is None:
            self._vectors = self._read()
        for name in faces.ids:
            if str(name) not in self._vectors:
                raise BenchError(
                    f"official:{self.member}: {name} of {faces.name} is not in "
                    "EmoLabel/distribution.txt, whose rows the file has; use it with raf-ml"
                )
        width = len(next(iter(self._vectors.values())))
        rows = [self._vectors[str(name)] for name in faces.ids]
        return np.array(rows, dtype=np.float32).reshape(len(faces), width)

    def _file(self) -> Path:
        """The released file in the dataset's folder."""
        root = self.setting.root
        if root is None:
            raise UnavailableError(
                f"official:{self.member} reads the dataset's own folder: use it in bench run "
                "--dataset raf-ml --root DIR"
            )
        path = root / "Feature" / f"{self.member}.mat"
        if not path.is_file():
            there = ", ".join(sorted(file.stem for file in path.parent.glob("*.mat")))
            raise UnavailableError(
                f"the dataset's folder has no Feature/{path.name} (in Feature: {there or 'none'}): "
                f"RAF-ML's archive ships {', '.join(self.members)}"
            )
        return path

    def _names(self) -> list[str]:
        """The image of each row, in their order."""
        assert self.setting.root is not None
        listed = self.setting.root / "EmoLabel" / "distribution.txt"
        return list(text.read_named(listed, 7, "NAME p1 p2 p3 p4 p5 p6"))

    def _variable(self, path: Path) -> str:
        """The name of the variable with the vectors; its rows are counted without reading them."""
        variables = _variables(path)
        matrices = {
            name: shape
            for name, shape, kind in variables
            if len(shape) == 2 and NUMBERS.fullmatch(kind)
        }
        name = str(self.member)
        if name not in matrices and len(matrices) == 1:
            (name,) = matrices
        if name not in matrices:
            content = ", ".join(f"{variable} ({kind})" for variable, _, kind in variables)
            raise BenchError(
                f"{path} has no matrix {name} (it holds {content or 'nothing'}); copy the released "
                "file again"
            )
        rows, images = matrices[name][0], len(self._names())
        if rows != images:
            raise BenchError(
                f"{path} has {rows} rows in {name} and EmoLabel/distribution.txt {images} lines: "
                "rows can only be told apart where both have all images"
            )
        return name

    def _read(self) -> dict[str, np.ndarray]:
        """The vectors by the name of their image."""
        path = self._file()
        name = self._variable(path)
        try:
            matrix = loadmat(path, variable_names=[name])[name]
        except Exception as error:
            raise BenchError(_damaged(path, error)) from error
        names = self._names()
        if np.iscomplexobj(matrix):
            raise BenchError(f"{path}: {name} is complex; copy the released file again")
        bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
        if len(bad):
            raise BenchError(
                f"{path}: {len(bad)} rows of {name} are not finite, the first of "
                f"{names[bad[0]]}; copy the released file again"
            )
        return dict(zip(names, matrix.astype(np.float32), strict=True))


def _variables(path: Path) -> list[tuple[str, tuple[int, ...], str]]:
    """Name, shape and MATLAB class of each variable in the file."""
    try:
        return list(whosmat(path))
    except NotImplementedError as error:
        raise BenchError(
            f"{path} is a MATLAB 7.3 file (HDF5): in MATLAB, load it and save it again with "
            "save(..., '-v7')"
        ) from error
    except Exception as error:  # scipy raises a dozen kinds for a damaged file
        raise BenchError(_damaged(path, error)) from error


def _damaged(path: Path, error: Exception) -> str:
    return f"{path} is damaged or no MATLAB file ({type(error).__name__}): copy it again"
