"""Dataset: reads the official on-disk layout of one dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bench.api.errors import BenchError
from bench.api.plugin import Plugin

if TYPE_CHECKING:
    import numpy as np

    from bench.api.faces import FaceSet


class Dataset(Plugin):
    """Reads one dataset's official on-disk layout.

    Class attributes
    ----------------
    kind : {"multi", "single", "people"}
        Label sets, one class per image, or persons without labels, to learn identities from, of
        what `load` gives by default; a parameter may change it, and `FaceSet.kind` decides.
    embedded : bool
        True where `load` makes the data itself and needs no root.
    protocols : tuple of str
        Protocols that `split` knows beside the general ones (``cvK``, ``holdout-60-20-20``);
        the first is the default.
    copies : float or None
        Where it holds photographs more than once, the correlation of pixels above which two images
        show one (`bench.data.duplicates`): intervals then draw these images together.
    obtain : str
        One sentence that says how to get the data.
    """

    kind: ClassVar[str] = "multi"
    embedded: ClassVar[bool] = False
    protocols: ClassVar[tuple[str, ...]] = ("official",)
    copies: ClassVar[float | None] = None
    obtain: ClassVar[str] = ""

    def load(self, root: Path | None, protocol: str = "") -> FaceSet:
        """Read everything under ``root``; raises `BenchError` naming file and line.

        ``protocol`` matters only where a dataset ships other files for another protocol.
        """
        raise NotImplementedError

    def split(self, faces: FaceSet, protocol: str) -> np.ndarray:
        """Part of each image under one of ``protocols``.

        Returns
        -------
        int8 (n,)
            `bench.api.faces.TRAIN`, ``VALID``, ``TEST`` or ``LEFT_OUT``.
        """
        if faces.split is None:
            raise BenchError(f"{self.name} has no {protocol} split; use --protocol cv5, say")
        return faces.split

    def check(self, faces: FaceSet) -> list[str]:
        """Findings where the counts differ from the published ones; empty when all agree."""
        return []

    def panel(self, votes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """What some people's votes say of faces, for the row that people get beside methods.

        Parameters
        ----------
        votes : int (n, V)
            As in `FaceSet.votes`, of all or of some of the people.

        Returns
        -------
        scores : float (n, L)
        labels : bool (n, L)
            By the dataset's rule, without what it does to votes that look like mistakes, and
            without its choice of faces.
        usable : bool (n,)
            False where no vote is for any label.

        None where the dataset has no votes.
        """
        return None

    def describe(self) -> str:
        """What the dataset is and how to obtain it."""
        return f"{(self.__doc__ or '').strip()}\n\n{self.obtain}".strip()
