"""Features: turns faces into vectors; and what the engine tells it before it learns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from bench.api.plugin import Plugin

if TYPE_CHECKING:
    import numpy as np

    from bench.api.faces import FaceSet


@dataclass(frozen=True)
class FaceInput:
    """The images a method wants; the engine resizes and converts to it before every call.

    Attributes
    ----------
    size : int or None
        Side in pixels of the square images; None: the images come as the dataset has them.
    colour : {"grey", "rgb"}
        ``uint8 (n, size, size)`` or ``uint8 (n, size, size, 3)``.
    crop_from : int or None
        Side that the image is resized to before a crop of ``size`` is cut from it (the method
        crops; None where it does not).
    """

    size: int | None = None
    colour: str = "grey"
    crop_from: int | None = None


@dataclass(frozen=True)
class Setting:
    """What the engine tells features and networks before `fit`; the defaults serve outside it.

    Attributes
    ----------
    budget : {"smoke", "quick", "paper"}
        Which schedule a training follows.
    selection : {"valid", "last", "test"}
        How a training chooses its epoch. ``test``: what `fit` gets as its validation part is the
        test part, so epochs may be chosen on it and thresholds may not.
    device : str
        Where tensors go, as torch names it: ``cpu``, ``cuda``, ``cuda:1``.
    folder : Path or None
        Where a training keeps its checkpoints, to resume from them; None keeps none.
    root : Path or None
        The dataset's folder, for methods that read more of it than its images.
    judge : callable or None
        Takes truth bool (n, L) and scores float (n, L), and returns how good the scores are; higher
        is better. None: epochs are compared by the validation loss.
    report : callable or None
        Called with the progress: steps done, steps in all, a few words.
    others : mapping of str to FaceSet
        The faces of other datasets, by the parameter that names them (`Features.companions`);
        images in their native size.
    """

    budget: str = "paper"
    selection: str = "valid"
    device: str = "cpu"
    folder: Path | None = None
    root: Path | None = None
    judge: Callable[[np.ndarray, np.ndarray], float] | None = None
    report: Callable[[int, int, str], None] | None = None
    others: Mapping[str, FaceSet] = field(default_factory=dict)


class Features(Plugin):
    """Turns faces into vectors.

    Class attributes
    ----------------
    input : FaceInput
        The images that `fit` and `transform` receive.
    stateless : bool
        True where `fit` learns nothing, so that the same vectors serve every split and seed.
    stochastic : bool
        True where the result depends on the seed.
    trains : bool
        True where `fit` follows a training schedule, so that ``--budget`` changes the result.
    chooses_epoch : bool
        False where such a method takes the last epoch, whatever ``--selection`` says.
    kinds : tuple of str
        Kinds of dataset it is meant for.
    needs_images : bool
        False where it takes a dataset's precomputed features instead.
    needs_landmarks : bool
        True where faces must carry landmarks; the engine looks for them where a dataset has none.
    accelerated : bool
        True where it computes on ``setting.device``; other methods ignore ``--device``.
    companions : mapping of str to str
        Parameters that name another dataset to learn from (``NAME:DIR``, ``NAME`` for an embedded
        one; None: no such dataset), and what `fit` finds of it in ``setting.others``:
        ``"labelled"``, all of it; ``"unlabelled"``, its images and landmarks, as kind ``multi``
        without a label; ``"people"``, a dataset that says who is seen.

    Attributes
    ----------
    setting : Setting
        Given by the engine before `fit`.
    """

    setting: Setting = Setting()
    kinds: ClassVar[tuple[str, ...]] = ("multi", "single")

    input: ClassVar[FaceInput] = FaceInput()
    needs_images: ClassVar[bool] = True
    needs_landmarks: ClassVar[bool] = False
    accelerated: ClassVar[bool] = False
    stateless: ClassVar[bool] = False
    stochastic: ClassVar[bool] = False
    trains: ClassVar[bool] = False
    chooses_epoch: ClassVar[bool] = True
    companions: ClassVar[Mapping[str, str]] = {}

    def requires(self) -> tuple[str, ...]:
        """Those of `companions` that must be given with the parameters as they are."""
        return ()

    def unsuited(self, kind: str) -> str | None:
        """Why it takes no dataset of a kind with its parameters as they are; None: it does.

        Overridden where a parameter lets it take a kind that is not in `kinds`. The engine asks
        where a method is named; ``all`` goes by `kinds` alone.
        """
        return (
            None
            if kind in self.kinds
            else f"{self.name}{self.member or ''} is not meant for {kind}-label data"
        )

    def weights_used(self) -> str | None:
        """SHA-256 of the file that `fit` reads weights or vectors from, 64 hexadecimal digits.

        The engine calls this before anything runs, after it has set ``setting``; the hash is part
        of the result's key.
        ``"random"`` where the user names untrained weights, None where no file is read.

        Raises
        ------
        UnavailableError
            The file is not there; says how to get it.
        BenchError
            The file is there and is no such thing.
        """
        return None

    def fit(self, faces: FaceSet, rng: np.random.Generator) -> Self:
        """Learn from the training part; returns self."""
        return self

    def transform(self, faces: FaceSet) -> np.ndarray:
        """Vectors of the faces.

        Returns
        -------
        float32 (n, d)
            Row i belongs to face i whatever other faces are in the call (the engine calls in
            chunks).
        """
        raise NotImplementedError

    def learned_weights(self) -> int:
        """After `fit`: how many numbers the training moved; 0 where nothing is trained."""
        return 0

    def learning_curve(self) -> list[dict[str, float | str]]:
        """After `fit`: one row per epoch, with ``phase`` where trainings have several."""
        return []

    def measures(self, faces: FaceSet) -> dict[str, float]:
        """Further figures on the test part, by names of the field; kept apart from the criteria.

        Parameters
        ----------
        faces : FaceSet
            With their labels and landmarks: what is measured is what the method says of them.
        """
        return {}
